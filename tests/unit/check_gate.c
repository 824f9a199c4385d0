/* SPDX-License-Identifier: ISC */
/* check_gate.c - each call on a socket, before, during and after its handshake: the table of the design. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>

#include "../lib/program.h"
#include "socksify/gate.h"

static struct fake_server *const server = &fakesys.servers[0];
static const int refused = POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP;
static const short all = POLLIN | POLLOUT | POLLRDHUP;

static int look_now(int fd)
{
	return p_poll1(fd, all, 0);
}

/* A non-blocking connect with a leg of 30 ms and answers after 50 ms each, at @ms. */
static void begin_at(int64_t ms)
{
	program_start();
	server->connect_ns = 30 * MS;
	server->answer_ns = 50 * MS;
	p_socket(5, O_NONBLOCK);
	ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	ck_assert_int_eq(p_poll1(5, POLLOUT, ms), 0);
	ck_assert_int_eq(fakesys.now_ns, ms * MS);
}

/* In the TCP leg, after the greeting, after the request. */
static const int64_t moments[] = { 10, 40, 100 };
#define MOMENTS 3

static void begin_pending(int which)
{
	begin_at(moments[which]);
	ck_assert_int_eq(fdtab_state(5), CONN_PENDING);
}

static void begin_failed(void)
{
	program_start();
	server->reply = FAKE_REFUSED("\4");
	p_socket(5, O_NONBLOCK);
	ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	ck_assert_int_eq(p_poll1(5, all, 1000), refused);
}

static void begin_done(void)
{
	program_start();
	p_socket(5, O_NONBLOCK);
	ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	ck_assert_int_eq(p_poll1(5, POLLOUT, 1000), POLLOUT);
	ck_assert_int_eq(fdtab_state(5), CONN_CONNECTED);
}

static void finish_well(int fd)
{
	ck_assert_int_eq(p_poll1(fd, POLLOUT, 1000), POLLOUT);
	ck_assert_int_eq(fakesys.now_ns, 130 * MS);
	ck_assert_int_eq(p_error(fd), 0);
	ck_assert_int_eq(p_send(fd, 0), 2);
	ck_assert_int_eq(p_peer_port(fd), TARGET_PORT);
	program_end();
}

START_TEST(pending_answers_nothing_and_goes_on)
{
	begin_pending(_i);
	for (int twice = 0; twice < 2; twice++) {
		ck_assert_int_eq(p_connect(5), -EALREADY);
		ck_assert_int_eq(p_send(5, 0), -EAGAIN);
		ck_assert_int_eq(p_recv(5, 0), -EAGAIN);
		ck_assert_int_eq(p_recv(5, MSG_PEEK), -EAGAIN);
		ck_assert_int_eq(p_error(5), 0);
		ck_assert_int_eq(p_peer_port(5), -ENOTCONN);
		ck_assert_int_eq(gate_readable_octets(5), 0);
		ck_assert_int_eq(look_now(5), 0);
		ck_assert_int_eq(p_poll1(5, 0, 0), 0);
	}
	ck_assert_int_eq(fakesys.now_ns, moments[_i] * MS);
	finish_well(5);
}
END_TEST

START_TEST(a_blocking_call_waits_for_the_handshake)
{
	begin_pending(_i % MOMENTS);
	p_set_flags(5, 0);
	switch (_i / MOMENTS) {
	case 0:
		ck_assert_int_eq(p_send(5, 0), 2);
		break;
	case 1:
		ck_assert_int_eq(p_connect(5), 0);
		ck_assert_int_eq(p_connect(5), -EISCONN);
		break;
	default:
		ck_assert_int_eq(p_recv(5, 0), -EAGAIN); /* the fake does not wait */
	}
	ck_assert_int_eq(fdtab_state(5), CONN_CONNECTED);
	ck_assert_int_eq(fakesys.now_ns, 130 * MS);
	program_end();
}
END_TEST

START_TEST(a_blocking_call_waits_no_longer_than_its_timeout)
{
	begin_pending(_i);
	p_set_flags(5, 0);
	fakesys.fds[5]->receive_timeout_us = 7000;
	fakesys.fds[5]->send_timeout_us = 6000;
	ck_assert_int_eq(p_recv(5, 0), -EAGAIN);
	ck_assert_int_eq(fakesys.now_ns, (moments[_i] + 7) * MS);
	ck_assert_int_eq(p_send(5, 0), -EAGAIN);
	ck_assert_int_eq(fakesys.now_ns, (moments[_i] + 13) * MS);
	ck_assert_int_eq(p_send(5, MSG_DONTWAIT), -EAGAIN);
	ck_assert_int_eq(fakesys.now_ns, (moments[_i] + 13) * MS);
	fakesys.interrupts = true;
	fakesys.fail_with = -EINTR;
	fakesys.fail_at = fakesys.step + 1;
	ck_assert_int_eq(p_send(5, 0), -EINTR);
	fakesys.fail_at = 0;
	fakesys.fds[5]->send_timeout_us = 0;
	ck_assert_int_eq(p_send(5, 0), 2);
	program_end();
}
END_TEST

START_TEST(shutdown_gives_a_pending_handshake_up)
{
	begin_pending(_i);
	ck_assert_int_eq(p_shutdown(5, _i), 0);
	ck_assert_int_eq(conn_pending, 0);
	ck_assert_int_eq(look_now(5) & ~POLLIN & ~POLLRDHUP, POLLOUT | POLLERR | POLLHUP);
	ck_assert_int_eq(p_error(5), ECONNRESET);
	ck_assert_int_eq(p_peer_port(5), -ENOTCONN);
	ck_assert_int_eq(p_send(5, 0), -EPIPE);
	ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	ck_assert_int_eq(p_poll1(5, POLLOUT, 1000), POLLOUT);
	ck_assert_int_eq(p_peer_port(5), TARGET_PORT);
	program_end();
}
END_TEST

START_TEST(af_unspec_gives_any_handshake_up)
{
	if (_i < MOMENTS)
		begin_pending(_i);
	else if (_i == MOMENTS)
		begin_failed();
	else
		begin_done();
	ck_assert_int_eq(p_disconnect(5), 0);
	/* The error of a failed one is still to be told. */
	ck_assert_int_eq(fdtab_state(5), _i == MOMENTS ? CONN_FAILED : CONN_FRESH);
	ck_assert_int_eq(conn_pending, 0);
	ck_assert_int_eq(p_peer_port(5), -ENOTCONN);
	(void)!p_error(5);
	*server = (struct fake_server){ .host = 1, .reply = FAKE_GRANTED,
					.reply_len = sizeof(FAKE_GRANTED) - 1 };
	ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	ck_assert_int_eq(p_poll1(5, POLLOUT, 1000), POLLOUT);
	ck_assert_int_eq(p_connect(5), 0);
	program_end();
}
END_TEST

START_TEST(close_drops_a_pending_handshake)
{
	begin_pending(_i);
	p_close(5);
	ck_assert_int_eq(conn_pending, 0);
	ck_assert(!fdtab_has(5));
	p_socket(5, O_NONBLOCK);
	ck_assert_int_eq(p_peer_port(5), -ENOTCONN);
	ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	program_end();
}
END_TEST

START_TEST(a_duplicate_has_the_same_handshake)
{
	begin_pending(_i);
	p_dup(5, 9);
	ck_assert_int_eq(p_connect(9), -EALREADY);
	ck_assert_int_eq(p_send(9, 0), -EAGAIN);
	ck_assert_int_eq(conn_pending, 1);
	p_close(5);
	ck_assert_int_eq(conn_pending, 1);
	ck_assert_int_eq(p_poll1(9, POLLOUT, 10), 0);
	finish_well(9);
}
END_TEST

START_TEST(a_duplicate_can_go_first)
{
	begin_pending(_i);
	p_dup(5, 9);
	ck_assert_int_eq(p_error(9), 0);
	p_close(9);
	finish_well(5);
}
END_TEST

START_TEST(done_is_the_kernels_business)
{
	begin_done();
	ck_assert(!fdtab_is_gated(5));
	ck_assert_int_eq(look_now(5), POLLOUT);
	ck_assert_int_eq(p_error(5), 0);
	ck_assert_int_eq(p_recv(5, 0), -EAGAIN);
	ck_assert_int_eq(p_peer_port(5), TARGET_PORT);
	ck_assert_int_eq(p_connect(5), 0);
	ck_assert_int_eq(p_connect(5), -EISCONN);
	ck_assert_int_eq(p_send(5, 0), 2);
	p_dup(5, 9);
	ck_assert_int_eq(p_peer_port(9), TARGET_PORT);
	ck_assert_int_eq(p_shutdown(5, 1), 0);
	ck_assert_int_eq(p_send(5, 0), -EPIPE);
	program_end();
}
END_TEST

enum { FIRST_ERROR, FIRST_CONNECT, FIRST_SEND, FIRST_RECEIVE, FIRSTS };

/* The errno comes once, from whatever asks first. */
START_TEST(a_failure_is_told_once)
{
	begin_failed();
	ck_assert_int_eq(p_peer_port(5), -ENOTCONN);
	ck_assert_int_eq(look_now(5), refused);
	switch (_i) {
	case FIRST_ERROR:
		ck_assert_int_eq(p_error(5), EHOSTUNREACH);
		break;
	case FIRST_CONNECT:
		ck_assert_int_eq(p_connect(5), -EHOSTUNREACH);
		ck_assert_int_eq(p_error(5), 0);
		program_end();
		return;
	case FIRST_SEND:
		ck_assert_int_eq(p_send(5, 0), -EHOSTUNREACH);
		break;
	default:
		ck_assert_int_eq(p_recv(5, 0), -EHOSTUNREACH);
	}
	ck_assert_int_eq(look_now(5), refused & ~POLLERR);
	ck_assert_int_eq(p_error(5), 0);
	ck_assert_int_eq(p_send(5, 0), -EPIPE);
	ck_assert_int_eq(p_recv(5, 0), 0);
	ck_assert_int_eq(p_shutdown(5, 2), -ENOTCONN);
	ck_assert_int_eq(p_connect(5), -EINVAL); /* until AF_UNSPEC, as in the kernel */
	ck_assert_int_eq(p_disconnect(5), 0);
	ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	fake_close(5);
	fdtab_close(5);
	program_end();
}
END_TEST

START_TEST(after_a_failure_the_socket_can_be_connected_anew)
{
	begin_failed();
	if (_i != 0)
		ck_assert_int_eq(p_error(5), EHOSTUNREACH);
	ck_assert_int_eq(p_connect(5), _i != 0 ? -ECONNABORTED : -EHOSTUNREACH);
	server->reply = FAKE_GRANTED;
	ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	ck_assert_int_eq(p_poll1(5, POLLOUT, 1000), POLLOUT);
	ck_assert_int_eq(p_error(5), 0);
	ck_assert_int_eq(p_send(5, 0), 2);
	program_end();
}
END_TEST

/* The kernel has the error of a proxy that is down, and the engine leaves it there. */
START_TEST(a_proxy_that_is_down_is_a_refused_connect)
{
	program_start();
	server->connect_ns = 30 * MS;
	server->connect_error = ECONNREFUSED;
	p_socket(5, O_NONBLOCK);
	ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	ck_assert_int_eq(p_poll1(5, all, 1000), refused);
	ck_assert_int_eq(conn_pending, 0);
	if (_i == FIRST_CONNECT)
		ck_assert_int_eq(p_connect(5), -ECONNREFUSED);
	else if (_i == FIRST_SEND)
		ck_assert_int_eq(p_send(5, 0), -ECONNREFUSED);
	else
		ck_assert_int_eq(p_error(5), ECONNREFUSED);
	ck_assert_int_eq(p_error(5), 0);
	program_end();
}
END_TEST

START_TEST(the_time_is_bounded)
{
	begin_pending(_i);
	fakesys.now_ns = 10001 * MS;
	server->reply_len = fakesys.fds[5]->reply_pos;
	if (_i == 0)
		fakesys.fds[5]->connected_at = INT64_MAX;
	ck_assert_int_eq(p_send(5, 0), -ETIMEDOUT);
	ck_assert_int_eq(p_send(5, 0), -EPIPE);
	ck_assert_int_eq(conn_pending, 0);
	program_end();
}
END_TEST

/* Who is never seen waiting waits where we do not see it: the first send completes the handshake, and all others. */
START_TEST(an_unseen_waiter_gets_what_it_expects)
{
	program_start();
	server->answer_ns = 50 * MS;
	for (int fd = 5; fd < 15; fd++) {
		p_socket(fd, O_NONBLOCK);
		ck_assert_int_eq(p_connect(fd), -EINPROGRESS);
	}
	ck_assert_int_eq(p_error(5), 0);
	if (_i == 0)
		ck_assert_int_eq(p_send(5, 0), 2);
	else
		ck_assert_int_eq(p_peer_port(5), TARGET_PORT);
	ck_assert_int_eq(fakesys.now_ns, 100 * MS);
	for (int fd = 6; fd < 15; fd++)
		ck_assert_int_eq(p_send(fd, 0), 2);
	ck_assert_int_eq(fakesys.now_ns, 100 * MS);
	program_end();
}
END_TEST

START_TEST(finish_waits_for_the_end)
{
	begin_pending(_i);
	gate_finish(5);
	ck_assert_int_eq(fdtab_state(5), CONN_CONNECTED);
	ck_assert_int_eq(fakesys.now_ns, 130 * MS);
	program_end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("gate");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_loop_test(t, pending_answers_nothing_and_goes_on, 0, MOMENTS);
	tcase_add_loop_test(t, a_blocking_call_waits_for_the_handshake, 0, 3 * MOMENTS);
	tcase_add_loop_test(t, a_blocking_call_waits_no_longer_than_its_timeout, 0, MOMENTS);
	tcase_add_loop_test(t, shutdown_gives_a_pending_handshake_up, 0, MOMENTS);
	tcase_add_loop_test(t, af_unspec_gives_any_handshake_up, 0, MOMENTS + 2);
	tcase_add_loop_test(t, close_drops_a_pending_handshake, 0, MOMENTS);
	tcase_add_loop_test(t, a_duplicate_has_the_same_handshake, 0, MOMENTS);
	tcase_add_loop_test(t, a_duplicate_can_go_first, 0, MOMENTS);
	tcase_add_test(t, done_is_the_kernels_business);
	tcase_add_loop_test(t, a_failure_is_told_once, 0, FIRSTS);
	tcase_add_loop_test(t, after_a_failure_the_socket_can_be_connected_anew, 0, 2);
	tcase_add_loop_test(t, a_proxy_that_is_down_is_a_refused_connect, 0, 3);
	tcase_add_loop_test(t, the_time_is_bounded, 0, MOMENTS);
	tcase_add_loop_test(t, an_unseen_waiter_gets_what_it_expects, 0, 2);
	tcase_add_loop_test(t, finish_waits_for_the_end, 0, MOMENTS);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
