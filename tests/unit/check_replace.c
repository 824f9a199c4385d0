/* SPDX-License-Identifier: ISC */
/* check_replace.c - an AF_INET socket and a proxy that has only IPv6 addresses. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

#include "../lib/program.h"
#include "socksify/gate.h"
#include "socksify/replace.h"
#include "socksify/sys.h"
#include "socksify/upstream.h"

#define SET 3

static struct fake_server *const server = &fakesys.servers[0];

static void begin(int flags)
{
	program_start();
	fakesys.has_numbers = true;
	ck_assert_int_eq(target_from_host("2001:db8::1", 11, 1080, &program_proxy.address), 0);
	p_socket(5, flags);
}

/* A socket of IPv4 is back under 5, and can be connected to. */
static void check_undone(void)
{
	ck_assert_int_eq(fakesys.fds[5]->domain, AF_INET);
	ck_assert(!replace_is(5));
	ck_assert_int_eq(fdtab_state(5), CONN_FRESH);
	for (int fd = 60; fd < FAKE_FDS; fd++)
		ck_assert_ptr_null(fakesys.fds[fd]); /* none of ours is left */
}

static void check_name(int fd, const char *address, int port)
{
	union sockaddr_any name;
	socklen_t len;

	ck_assert(replace_name(fd, &name, &len));
	ck_assert_uint_eq(len, sizeof(name.in));
	ck_assert_int_eq(name.sa.sa_family, AF_INET);
	ck_assert_uint_eq(ntohl(name.in.sin_addr.s_addr), strcmp(address, "any") == 0 ? 0 : INADDR_LOOPBACK);
	ck_assert_int_eq(ntohs(name.in.sin_port), port);
}

static void check_connected(void)
{
	ck_assert_int_eq(fdtab_state(5), CONN_CONNECTED);
	ck_assert_int_eq(fakesys.fds[5]->domain, AF_INET6);
	ck_assert(replace_is(5));
	ck_assert_int_eq(p_peer_port(5), TARGET_PORT);
	check_name(5, "loopback", 40000);
	ck_assert_int_eq(p_send(5, 0), 2);
	ck_assert_int_eq(p_connect(5), -EISCONN);
}

START_TEST(a_blocking_connect_goes_by_another_socket)
{
	begin(0);
	server->connect_ns = 30 * MS;
	fakesys.fds[5]->nodelay = 1;
	fakesys.fds[5]->receive_timeout_us = 5000;
	ck_assert_int_eq(p_connect(5), 0);
	check_connected();
	ck_assert_int_eq(fakesys.fds[5]->nodelay, 1);
	ck_assert_int_eq(fakesys.fds[5]->receive_timeout_us, 5000);
	ck_assert_int_eq(fakesys.fds[5]->send_timeout_us, 0);
	ck_assert_int_eq(fakesys.fds[5]->flags & O_NONBLOCK, 0);
	program_end();
}
END_TEST

START_TEST(all_numbers_become_the_other_socket)
{
	begin(O_NONBLOCK);
	p_dup(5, 7);
	ck_assert_int_eq(p_connect(7), -EINPROGRESS);
	ck_assert_ptr_eq(fakesys.fds[5], fakesys.fds[7]);
	ck_assert_int_eq(fakesys.fds[5]->flags & O_NONBLOCK, O_NONBLOCK);
	ck_assert_int_eq(p_poll1(5, POLLOUT, 1000), POLLOUT);
	ck_assert_int_eq(p_connect(5), 0);
	check_connected();
	program_end();
}
END_TEST

/* Level or edge triggered, registered before the connect or while it goes on. */
START_TEST(registrations_are_carried_over)
{
	uint32_t how = (_i & 1) != 0 ? EPOLLOUT | EPOLLET : EPOLLOUT;

	begin(O_NONBLOCK);
	server->connect_ns = 30 * MS;
	p_set(SET);
	if ((_i & 2) == 0)
		ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, how, 77), 0);
	ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	if ((_i & 2) != 0)
		ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, how, 77), 0);
	ck_assert_int_eq(p_epoll1(SET, 1000, 77), EPOLLOUT);
	ck_assert_int_eq(p_connect(5), 0);
	check_connected();
	ck_assert_int_eq(p_epoll1(SET, 0, 77), (_i & 1) != 0 ? 0 : EPOLLOUT);
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_DEL, 5, 0, 0), 0);
	program_end();
}
END_TEST

START_TEST(a_port_is_kept_and_an_address_is_not_to_be_had)
{
	begin(0);
	fakesys.fds[5]->bound = 4321;
	fakesys.fds[5]->bound_to_address = _i != 0;
	ck_assert_int_eq(p_connect(5), _i != 0 ? -EADDRNOTAVAIL : 0);
	ck_assert_int_eq(fakesys.fds[5]->domain, _i != 0 ? AF_INET : AF_INET6);
	ck_assert_int_eq(fakesys.fds[5]->bound, 4321);
	program_end();
}
END_TEST

START_TEST(what_is_no_fresh_socket_stays)
{
	static const struct { int state, err; } cases[] = {
		{ TCP_LISTEN, EISCONN }, { TCP_ESTABLISHED, EISCONN }, { TCP_SYN_SENT, EALREADY },
	};

	begin(0);
	fakesys.fds[5]->tcp_state = cases[_i].state;
	ck_assert_int_eq(p_connect(5), -cases[_i].err);
	ck_assert_int_eq(fakesys.fds[5]->domain, AF_INET);
	fakesys.fds[5]->tcp_state = 0;
	check_undone();
	program_end();
}
END_TEST

/* The program may do with it what it wants, then: connect directly, for one. */
START_TEST(a_refused_connect_gives_it_back)
{
	begin(_i != 0 ? O_NONBLOCK : 0);
	p_set(SET);
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, EPOLLIN | EPOLLOUT, 77), 0);
	server->reply = FAKE_REFUSED("\4");
	if (_i == 0) {
		ck_assert_int_eq(p_connect(5), -EHOSTUNREACH);
	} else {
		ck_assert_int_eq(p_connect(5), -EINPROGRESS);
		ck_assert_int_eq(p_epoll1(SET, 1000, 77), EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP);
		check_name(5, "any", 0);
		ck_assert_int_eq(p_connect(5), -EHOSTUNREACH);
	}
	check_undone();
	ck_assert_int_eq(p_epoll1(SET, 0, 77), EPOLLOUT | EPOLLHUP);
	server->reply = FAKE_GRANTED;
	ck_assert_int_eq(p_connect(5), _i == 0 ? 0 : -EINPROGRESS);
	ck_assert_int_eq(p_epoll1(SET, 1000, 77), EPOLLOUT);
	ck_assert_int_eq(p_connect(5), _i == 0 ? -EISCONN : 0);
	check_connected();
	program_end();
}
END_TEST

START_TEST(a_proxy_that_is_down_gives_it_back)
{
	begin(_i != 0 ? O_NONBLOCK : 0);
	server->connect_ns = 10 * MS;
	server->connect_error = ECONNREFUSED;
	if (_i != 0) {
		ck_assert_int_eq(p_connect(5), -EINPROGRESS);
		ck_assert_int_ne(p_poll1(5, POLLOUT, 1000) & POLLERR, 0);
	}
	ck_assert_int_eq(p_connect(5), -ECONNREFUSED);
	check_undone();
	program_end();
}
END_TEST

START_TEST(disconnecting_gives_it_back)
{
	begin(0);
	ck_assert_int_eq(p_connect(5), 0);
	ck_assert_int_eq(p_disconnect(5), 0);
	check_undone();
	program_end();
}
END_TEST

static const int faults[] = { ENOMEM, EMFILE, EADDRINUSE, EINVAL };

/* Whatever fails at whatever step: it is connected to the proxy, or fails and is as before. */
START_TEST(each_step_may_fail)
{
	int err, revents;

	begin(_i % 2 != 0 ? O_NONBLOCK : 0);
	fakesys.fds[5]->bound = 4321;
	fakesys.fail_with = -faults[_i / 2 % 4];
	fakesys.fail_at = 1 + _i / 8;
	err = p_connect(5);
	if (err == -EINPROGRESS) {
		revents = p_poll1(5, POLLOUT, 1000);
		fakesys.fail_at = 0;
		if (revents < 0)
			revents = p_poll1(5, POLLOUT, 1000);
		err = revents == POLLOUT ? 0 : p_connect(5);
	}
	fakesys.fail_at = 0;
	if (err == 0) {
		ck_assert_int_eq(fdtab_state(5), CONN_CONNECTED);
		ck_assert_int_eq(fakesys.fds[5]->domain, AF_INET6);
	} else {
		ck_assert_int_lt(err, 0);
		err = p_connect(5);
		if (err == -EINPROGRESS) {
			ck_assert_int_eq(p_poll1(5, POLLOUT, 1000), POLLOUT);
			err = p_connect(5);
		}
		ck_assert_int_eq(err, 0);
	}
	ck_assert_int_eq(p_peer_port(5), TARGET_PORT);
	for (int fd = 60; fd < FAKE_FDS; fd++)
		ck_assert_ptr_null(fakesys.fds[fd]);
	program_end();
}
END_TEST

/* Of a proxy's addresses those that the socket itself can reach come first. */
START_TEST(a_proxy_with_both_families_replaces_nothing)
{
	begin(0);
	ck_assert_int_eq(target_from_host("proxy.example", 13, 1080, &program_proxy.address), 0);
	upstream_hand_down("2001:db8::1,192.0.2.1");
	ck_assert_int_eq(p_connect(5), 0);
	ck_assert_int_eq(fakesys.fds[5]->domain, AF_INET);
	ck_assert(!replace_is(5));
	program_end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("replace");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_test(t, a_blocking_connect_goes_by_another_socket);
	tcase_add_test(t, all_numbers_become_the_other_socket);
	tcase_add_loop_test(t, registrations_are_carried_over, 0, 4);
	tcase_add_loop_test(t, a_port_is_kept_and_an_address_is_not_to_be_had, 0, 2);
	tcase_add_loop_test(t, what_is_no_fresh_socket_stays, 0, 3);
	tcase_add_loop_test(t, a_refused_connect_gives_it_back, 0, 2);
	tcase_add_loop_test(t, a_proxy_that_is_down_gives_it_back, 0, 2);
	tcase_add_test(t, disconnecting_gives_it_back);
	tcase_add_loop_test(t, each_step_may_fail, 0, 8 * 70);
	tcase_add_test(t, a_proxy_with_both_families_replaces_nothing);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
