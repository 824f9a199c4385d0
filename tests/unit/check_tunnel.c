/* SPDX-License-Identifier: ISC */
/* check_tunnel.c - connect(2) on a blocking socket against a scripted kernel. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>

#include "../lib/program.h"
#include "socksify/sys.h"
#include "socksify/upstream.h"

static struct fake_server *const server = &fakesys.servers[0];

static void begin(void)
{
	program_start();
	p_socket(5, 0);
}

START_TEST(it_connects_in_any_slicing)
{
	begin();
	fakesys.slice = (size_t)_i;
	server->answer_ns = 50 * MS;
	ck_assert_int_eq(p_connect(5), 0);
	p_check_connected(5);
	program_end();
}
END_TEST

START_TEST(it_connects_however_slowly_the_octets_arrive)
{
	begin();
	server->connect_ns = 30 * MS;
	server->answer_ns = 50 * MS;
	server->gap_ns = _i * MS;
	ck_assert_int_eq(p_connect(5), 0);
	ck_assert_int_eq(fakesys.now_ns, (30 + 2 * 50 + 10 * _i) * MS);
	p_check_connected(5);
	program_end();
}
END_TEST

START_TEST(silence_ends_at_the_deadline)
{
	begin();
	server->reply_len = (size_t)_i;
	ck_assert_int_eq(p_connect(5), -ETIMEDOUT);
	ck_assert_int_eq(fakesys.now_ns, 10000 * MS);
	p_check_reusable(5);
	program_end();
}
END_TEST

START_TEST(an_early_end_is_a_refusal)
{
	begin();
	server->reply_len = (size_t)(_i / 2);
	server->then_eof = _i % 2 == 0;
	server->then_reset = _i % 2 != 0;
	ck_assert_int_eq(p_connect(5), -ECONNREFUSED);
	p_check_reusable(5);
	program_end();
}
END_TEST

START_TEST(each_reply_has_its_errno)
{
	static const struct {
		const char *reply;
		int errno_;
	} cases[] = {
		{ FAKE_REFUSED("\1"), ECONNREFUSED }, { FAKE_REFUSED("\2"), EACCES },
		{ FAKE_REFUSED("\3"), ENETUNREACH },  { FAKE_REFUSED("\4"), EHOSTUNREACH },
		{ FAKE_REFUSED("\5"), ECONNREFUSED }, { FAKE_REFUSED("\6"), ETIMEDOUT },
		{ FAKE_REFUSED("\7"), ECONNREFUSED }, { FAKE_REFUSED("\10"), ENETUNREACH },
		{ FAKE_REFUSED("\11"), ECONNREFUSED }, { "\5\377\0\0\0\0\0\0\0\0\0\0", EACCES },
		{ "\4\0\0\0\0\0\0\0\0\0\0\0", ECONNREFUSED },
		{ "\5\0\4\0\0\0\0\0\0\0\0\0", ECONNREFUSED },
	};

	begin();
	server->reply = cases[_i].reply;
	ck_assert_int_eq(p_connect(5), -cases[_i].errno_);
	p_check_reusable(5);
	program_end();
}
END_TEST

START_TEST(a_proxy_that_refuses_gives_its_own_errno)
{
	static const int errors[] = { ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT };

	begin();
	server->connect_ns = 20 * MS;
	server->connect_error = errors[_i];
	ck_assert_int_eq(p_connect(5), -errors[_i]);
	p_check_reusable(5);
	program_end();
}
END_TEST

START_TEST(a_proxy_that_does_not_answer_ends_at_the_deadline)
{
	begin();
	server->connect_ns = -1;
	ck_assert_int_eq(p_connect(5), -ETIMEDOUT);
	ck_assert_int_eq(fakesys.now_ns, 10000 * MS);
	p_check_reusable(5);
	program_end();
}
END_TEST

START_TEST(all_addresses_of_the_proxy_are_tried)
{
	begin();
	fakesys.servers[1] = *server;
	fakesys.servers[1].host = 2;
	server->connect_error = ECONNREFUSED;
	server->connect_ns = 10 * MS;
	ck_assert_int_eq(target_from_host("proxies.example", 15, 1080, &program_proxy.address), 0);
	p_set_flags(5, _i);
	if (_i == 0) {
		ck_assert_int_eq(p_connect(5), 0);
	} else {
		ck_assert_int_eq(p_connect(5), -EINPROGRESS);
		ck_assert_int_eq(p_poll1(5, POLLOUT, 1000), POLLOUT);
	}
	ck_assert_int_eq(fakesys.connects, 2);
	ck_assert_int_eq(fakesys.fds[5]->server->host, 2);
	ck_assert_int_eq(p_peer_port(5), TARGET_PORT);
	program_end();
}
END_TEST

START_TEST(a_proxy_given_by_name_is_resolved)
{
	begin();
	ck_assert_int_eq(target_from_host("other.example", 13, 1080, &program_proxy.address), 0);
	ck_assert_int_eq(p_connect(5), -EHOSTUNREACH);
	ck_assert_int_eq(target_from_host("proxy.example", 13, 1080, &program_proxy.address), 0);
	ck_assert_int_eq(p_connect(5), 0);
	p_check_connected(5);
	p_socket(6, 0);
	ck_assert_int_eq(target_from_host("other.example", 13, 1080, &program_proxy.address), 0);
	upstream_hand_down("192.0.2.1,nonsense,192.0.2.8");
	ck_assert_int_eq(p_connect(6), 0);
	program_end();
}
END_TEST

START_TEST(the_programs_send_timeout_counts_and_stays)
{
	begin();
	p_check_send_timeout(5, _i == 0);
	program_end();
}
END_TEST

START_TEST(connect_asked_again_says_ealready_after_the_send_timeout)
{
	begin();
	fdtab_change_marks(5, FD_OPTIONS, 0);
	fakesys.fds[5]->send_timeout_us = 100000;
	server->answer_ns = 300 * MS;
	ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	ck_assert_int_eq(p_connect(5), -EALREADY);
	ck_assert_int_eq(fakesys.now_ns, 200 * MS);
	program_end();
}
END_TEST

START_TEST(options_that_hold_messages_back_are_off_meanwhile)
{
	begin();
	fdtab_change_marks(5, FD_OPTIONS, 0);
	fakesys.fds[5]->lowat = 100;
	fakesys.fds[5]->cork = 1;
	if (_i != 0)
		server->reply = FAKE_REFUSED("\5");
	ck_assert_int_eq(p_connect(5), _i != 0 ? -ECONNREFUSED : 0);
	ck_assert_int_eq(fakesys.fds[5]->lowat, 100);
	ck_assert_int_eq(fakesys.fds[5]->cork, 1);
	program_end();
}
END_TEST

/* At the first or second thing that is waited for, a handler runs. */
static void interrupt_at(int step, bool interrupting)
{
	begin();
	server->answer_ns = 50 * MS;
	fakesys.fail_with = -EINTR;
	fakesys.fail_at = step;
	fakesys.interrupts = interrupting;
}

START_TEST(a_handler_with_restart_is_not_noticed)
{
	interrupt_at(_i, false);
	ck_assert_int_eq(p_connect(5), 0);
	p_check_connected(5);
	program_end();
}
END_TEST

enum { BY_POLL, BY_CONNECT, BY_SEND, BY_RECEIVE, WAYS };

START_TEST(a_handler_without_restart_interrupts_and_the_handshake_goes_on)
{
	interrupt_at(1 + _i / WAYS, true);
	ck_assert_int_eq(p_connect(5), -EINTR);
	ck_assert_int_eq(fdtab_state(5), CONN_PENDING);
	switch (_i % WAYS) {
	case BY_POLL:
		ck_assert_int_eq(p_poll1(5, POLLOUT, -1), POLLOUT);
		ck_assert_int_eq(p_connect(5), 0);
		break;
	case BY_CONNECT:
		ck_assert_int_eq(p_connect(5), 0);
		break;
	case BY_RECEIVE:
		ck_assert_int_eq(p_recv(5, 0), -EAGAIN);
		ck_assert_int_eq(p_connect(5), 0);
		break;
	default:
		ck_assert_int_eq(p_send(5, 0), 2);
		ck_assert_int_eq(fdtab_state(5), CONN_CONNECTED);
		program_end();
		return;
	}
	p_check_connected(5);
	program_end();
}
END_TEST

/* By a system call of the program's own, to whoever is there: then the octets of a handshake would go to that one. */
START_TEST(a_connection_that_was_not_seen_is_left_alone)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(TARGET_PORT),
				  .sin_addr.s_addr = htonl(0xc0000201) };

	program_start();
	p_socket(5, O_NONBLOCK);
	server->connect_ns = 30 * MS;
	ck_assert_int_eq(sys_connect(5, &in, sizeof(in)), -EINPROGRESS);
	fakesys.now_ns += 40 * MS;
	ck_assert_int_eq(p_connect(5), -EISCONN);
	ck_assert_int_eq(fakesys.fds[5]->state, FAKE_CONNECTED);
	ck_assert_uint_eq(fakesys.fds[5]->sent_len, 0);
	program_end();
}
END_TEST

/* Where the kernel does not say whose connection it is, there is no second handshake on it. */
START_TEST(a_peer_that_cannot_be_asked_for_is_an_error)
{
	program_start();
	p_socket(5, O_NONBLOCK);
	ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	ck_assert_int_eq(p_poll1(5, POLLOUT, 1000), POLLOUT);
	fakesys.fail_with = -ENOMEM;
	fakesys.fail_at = 1;
	ck_assert_int_eq(p_connect(5), -ENOMEM);
	fakesys.fail_at = 0;
	ck_assert_int_eq(p_connect(5), 0);
	p_check_connected(5);
	program_end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tunnel");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(suite);
	int failed, length = (int)sizeof(FAKE_GRANTED) - 1;

	tcase_add_loop_test(t, it_connects_in_any_slicing, 1, 24);
	tcase_add_loop_test(t, it_connects_however_slowly_the_octets_arrive, 0, 12);
	tcase_add_loop_test(t, silence_ends_at_the_deadline, 0, length);
	tcase_add_loop_test(t, an_early_end_is_a_refusal, 0, 2 * length);
	tcase_add_loop_test(t, each_reply_has_its_errno, 0, 12);
	tcase_add_loop_test(t, a_proxy_that_refuses_gives_its_own_errno, 0, 3);
	tcase_add_test(t, a_proxy_that_does_not_answer_ends_at_the_deadline);
	tcase_add_loop_test(t, all_addresses_of_the_proxy_are_tried, 0, 1);
	tcase_add_loop_test(t, all_addresses_of_the_proxy_are_tried, O_NONBLOCK, O_NONBLOCK + 1);
	tcase_add_test(t, a_proxy_given_by_name_is_resolved);
	tcase_add_loop_test(t, the_programs_send_timeout_counts_and_stays, 0, 2);
	tcase_add_test(t, connect_asked_again_says_ealready_after_the_send_timeout);
	tcase_add_loop_test(t, options_that_hold_messages_back_are_off_meanwhile, 0, 2);
	tcase_add_loop_test(t, a_handler_with_restart_is_not_noticed, 1, 4);
	tcase_add_loop_test(t, a_handler_without_restart_interrupts_and_the_handshake_goes_on,
			    0, 3 * WAYS);
	tcase_add_test(t, a_connection_that_was_not_seen_is_left_alone);
	tcase_add_test(t, a_peer_that_cannot_be_asked_for_is_an_error);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
