/* SPDX-License-Identifier: ISC */
/* check_modes.c - handshakes that are pipelined, and those that are taken for done before they are. */
#include <string.h>

#include "check_modes.h"

/* mode, blocking or not: after how many round trips is it connected? */
START_TEST(the_mode_decides_how_long_it_takes)
{
	static const int64_t at[] = { [HANDSHAKE_STANDARD] = 130, [HANDSHAKE_PIPELINED] = ANSWER_MS,
				      [HANDSHAKE_OPTIMISTIC] = LEG_MS };
	const enum handshake_mode mode = (enum handshake_mode)(_i / 2);
	const bool blocks = _i % 2 != 0;

	begin(mode);
	if (blocks)
		p_set_flags(5, 0);
	ck_assert_int_eq(p_connect(5), blocks ? 0 : -EINPROGRESS);
	if (!blocks)
		ck_assert_int_eq(p_poll1(5, POLLOUT, 1000), POLLOUT);
	ck_assert_int_eq(fakesys.now_ns, at[mode] * MS);
	ck_assert_int_eq(fdtab_state(5), mode == HANDSHAKE_OPTIMISTIC ? CONN_OWED : CONN_CONNECTED);
	ck_assert_mem_eq(fakesys.fds[5]->sent, request, sizeof(request) - 1);
	ck_assert_uint_eq(fakesys.fds[5]->sent_len, sizeof(request) - 1);
	ck_assert_int_eq(p_peer_port(5), TARGET_PORT);
	ck_assert_int_eq(p_error(5), 0);
	ck_assert_int_eq(p_send(5, 0), 2);
	ck_assert_mem_eq(fakesys.fds[5]->sent + sizeof(request) - 1, "ho", 2);
	ck_assert_int_eq(fakesys.now_ns, at[mode] * MS);
	if (!blocks)
		ck_assert_int_eq(p_connect(5), 0); /* as the kernel's, once */
	ck_assert_int_eq(p_connect(5), -EISCONN);
	program_end();
}
END_TEST

START_TEST(a_pipelined_refusal_is_the_connects)
{
	begin(HANDSHAKE_PIPELINED);
	server->reply = FAKE_REFUSED("\4");
	if (_i == 0) {
		p_set_flags(5, 0);
		ck_assert_int_eq(p_connect(5), -EHOSTUNREACH);
	} else {
		ck_assert_int_eq(p_connect(5), -EINPROGRESS);
		ck_assert_int_eq(p_poll1(5, ALL_EVENTS, -1), REFUSED_EVENTS);
		ck_assert_int_eq(p_error(5), EHOSTUNREACH);
	}
	ck_assert_int_eq(fakesys.now_ns, ANSWER_MS * MS);
	program_end();
}
END_TEST

/* Until the request is sent it is as pending as any. */
START_TEST(the_tcp_leg_is_pending)
{
	begin(HANDSHAKE_OPTIMISTIC);
	ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	ck_assert_int_eq(p_poll1(5, ALL_EVENTS, LEG_MS - 1), 0);
	ck_assert_int_eq(p_connect(5), -EALREADY);
	ck_assert_int_eq(p_send(5, 0), -EAGAIN);
	ck_assert_int_eq(p_recv(5, 0), -EAGAIN);
	ck_assert_int_eq(p_peer_port(5), -ENOTCONN);
	ck_assert_int_eq(p_error(5), 0);
	ck_assert_uint_eq(fakesys.fds[5]->sent_len, 0);
	program_end();
}
END_TEST

START_TEST(a_receive_has_nothing_before_the_answers)
{
	begin_owed();
	for (int twice = 0; twice < 2; twice++) {
		ck_assert_int_eq(p_recv(5, 0), -EAGAIN);
		ck_assert_int_eq(p_recv(5, MSG_PEEK), -EAGAIN);
		ck_assert_int_eq(p_recv(5, MSG_OOB), -EINVAL);
		ck_assert_int_eq(gate_readable_octets(5), 0);
		ck_assert_int_eq(p_error(5), 0);
		ck_assert_int_eq(p_peer_port(5), TARGET_PORT);
	}
	ck_assert_int_eq(fakesys.now_ns, LEG_MS * MS);
	/* Answers that have come in part are nothing, too. */
	server->gap_ns = GAP_MS * MS;
	for (int ms = 0; ms < ANSWER_MS + GAP_MS; ms++) {
		ck_assert_int_eq(p_recv(5, _i != 0 ? MSG_PEEK : 0), -EAGAIN);
		ck_assert_int_eq(gate_readable_octets(5), 0);
		fakesys.now_ns += MS;
	}
	ck_assert_int_eq(fdtab_state(5), CONN_OWED);
	program_end();
}
END_TEST

START_TEST(a_blocking_receive_waits_for_the_answers)
{
	char octets[8];

	begin_owed();
	p_set_flags(5, 0);
	fakesys.fds[5]->receive_timeout_us = 7000;
	ck_assert_int_eq(take(5, octets, sizeof(octets)), -EAGAIN);
	ck_assert_int_eq(fakesys.now_ns, (LEG_MS + 7) * MS);
	ck_assert_int_eq(p_send(5, 0), 2);
	ck_assert_int_eq(fakesys.now_ns, (LEG_MS + 7) * MS);
	fakesys.interrupts = true;
	fakesys.fds[5]->receive_timeout_us = 0;
	fakesys.fail_with = -EINTR;
	fakesys.fail_at = fakesys.step + 1;
	ck_assert_int_eq(take(5, octets, sizeof(octets)), -EINTR);
	fakesys.fail_at = 0;
	server->reply = granted_hello;
	server->reply_len = sizeof(granted_hello) - 1;
	ck_assert_int_eq(take(5, octets, sizeof(octets)), 5);
	ck_assert_mem_eq(octets, "HELLO", 5);
	ck_assert_int_eq(fakesys.now_ns, ANSWER_MS * MS);
	ck_assert_int_eq(fdtab_state(5), CONN_CONNECTED);
	program_end();
}
END_TEST

/* From the TCP leg on: the request is sent on the way. */
START_TEST(a_blocking_receive_waits_for_all_of_it)
{
	begin(HANDSHAKE_OPTIMISTIC);
	ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	ck_assert_int_eq(fdtab_state(5), CONN_PENDING);
	p_set_flags(5, 0);
	if (_i == 0) {
		ck_assert_int_eq(p_recv(5, 0), -EAGAIN); /* the fake does not wait */
		ck_assert_int_eq(fakesys.now_ns, ANSWER_MS * MS);
		ck_assert_int_eq(fdtab_state(5), CONN_CONNECTED);
	} else {
		ck_assert_int_eq(p_send(5, 0), 2);
		check_owed(5);
	}
	program_end();
}
END_TEST

/* One that was never connected before it received: connect, receive, both blocking, any slices. */
START_TEST(what_is_behind_the_reply_is_the_programs)
{
	char got[16] = "";
	size_t n = 0;

	begin(HANDSHAKE_OPTIMISTIC);
	greet_slowly();
	fakesys.slice = (size_t)_i;
	p_set_flags(5, 0);
	ck_assert_int_eq(p_connect(5), 0);
	while (n < 5) {
		ssize_t more;

		ck_assert_int_eq(p_poll1(5, POLLIN, -1), POLLIN);
		more = take(5, got + n, sizeof(got) - n);
		ck_assert_int_gt(more, 0);
		ck_assert_int_ge(fakesys.now_ns, HELLO_MS * MS);
		n += (size_t)more;
	}
	ck_assert_uint_eq(n, 5);
	ck_assert_str_eq(got, "HELLO");
	program_end();
}
END_TEST

START_TEST(poll_hides_answers_and_nothing_else)
{
	begin_owed();
	greet_slowly();
	for (int ms = LEG_MS; ms < HELLO_MS - 1; ms++) {
		ck_assert_int_eq(p_poll1(5, ALL_EVENTS, 0), POLLOUT);
		ck_assert_int_eq(p_poll1(5, POLLIN | POLLRDNORM | POLLRDHUP, 1), 0);
		ck_assert_int_eq(fakesys.now_ns, (ms + 1) * MS);
	}
	ck_assert_int_eq(p_poll1(5, POLLIN, 1), POLLIN);
	ck_assert_int_eq(p_poll1(5, ALL_EVENTS, 0), POLLIN | POLLOUT);
	program_end();
	begin_owed();
	greet_slowly();
	ck_assert_int_eq(p_poll1(5, POLLIN, 100), 0);
	ck_assert_int_eq(fakesys.now_ns, (LEG_MS + 100) * MS);
	ck_assert_int_eq(p_poll1(5, POLLIN, 100), POLLIN);
	ck_assert_int_eq(fakesys.now_ns, HELLO_MS * MS);
	program_end();
}
END_TEST

/* They are there at the moment when it becomes writable. */
START_TEST(answers_that_come_at_once_are_hidden)
{
	begin(HANDSHAKE_OPTIMISTIC);
	server->answer_ns = 0;
	server->gap_ns = GAP_MS * MS;
	ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	ck_assert_int_eq(p_poll1(5, ALL_EVENTS, -1), POLLOUT);
	check_owed(5);
	ck_assert_uint_eq(fakesys.fds[5]->reply_pos, 0);
	ck_assert_int_gt(sys_readable(5), 0);
	program_end();
}
END_TEST

START_TEST(select_hides_answers_and_nothing_else)
{
	fd_set in, out;
	int64_t left;

	begin_owed();
	greet_slowly();
	FD_ZERO(&in);
	FD_SET(5, &in);
	out = in;
	ck_assert_int_eq(wait_select(6, &in, &out, NULL, 0, NULL, &left), 1);
	ck_assert(!FD_ISSET(5, &in) && FD_ISSET(5, &out));
	FD_SET(5, &in);
	ck_assert_int_eq(wait_select(6, &in, NULL, NULL, WAIT_FOREVER, NULL, &left), 1);
	ck_assert(FD_ISSET(5, &in));
	ck_assert_int_eq(fakesys.now_ns, HELLO_MS * MS);
	program_end();
}
END_TEST

enum { FIRST_RECEIVE, FIRST_SEND, FIRST_ERROR, FIRST_POLL, FIRSTS };

/* The errno comes once, from whatever asks first; blocking or not. */
START_TEST(a_refusal_is_told_once)
{
	const int first = _i / 2;

	begin(HANDSHAKE_OPTIMISTIC);
	server->reply = FAKE_REFUSED("\4");
	connect_optimistically();
	ck_assert_int_eq(p_send(5, 0), 2);
	if (_i % 2 != 0)
		p_set_flags(5, 0);
	if (first != FIRST_RECEIVE || _i % 2 == 0)
		fakesys.now_ns = 200 * MS;
	if (first == FIRST_RECEIVE)
		ck_assert_int_eq(p_recv(5, 0), -EHOSTUNREACH);
	else if (first == FIRST_SEND)
		ck_assert_int_eq(p_send(5, 0), -EHOSTUNREACH);
	else if (first == FIRST_POLL)
		ck_assert_int_eq(p_poll1(5, ALL_EVENTS, -1), REFUSED_EVENTS);
	if (first >= FIRST_ERROR)
		ck_assert_int_eq(p_error(5), EHOSTUNREACH);
	ck_assert_int_eq(fdtab_state(5), CONN_FAILED);
	ck_assert_int_eq(p_error(5), 0);
	ck_assert_int_eq(p_recv(5, 0), 0);
	ck_assert_int_eq(p_send(5, 0), -EPIPE);
	ck_assert_int_eq(p_poll1(5, ALL_EVENTS, 0), REFUSED_EVENTS & ~POLLERR);
	ck_assert_int_eq(p_peer_port(5), -ENOTCONN);
	ck_assert_int_eq(p_disconnect(5), 0);
	server->reply = FAKE_GRANTED;
	p_set_flags(5, O_NONBLOCK);
	ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	ck_assert_int_eq(p_poll1(5, POLLOUT, 1000), POLLOUT);
	ck_assert_int_eq(p_peer_port(5), TARGET_PORT);
	program_end();
}
END_TEST

START_TEST(a_proxy_that_ends_it_refuses)
{
	begin(HANDSHAKE_OPTIMISTIC);
	server->reply_len = (size_t)_i / 2;
	server->then_eof = _i % 2 == 0;
	server->then_reset = !server->then_eof;
	ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	if (_i > 1)
		ck_assert_int_eq(p_poll1(5, POLLOUT, -1), POLLOUT);
	ck_assert_int_eq(p_poll1(5, POLLIN, -1), POLLIN | POLLERR | POLLHUP);
	ck_assert_int_eq(p_recv(5, 0), -ECONNREFUSED);
	ck_assert_int_eq(p_recv(5, 0), 0);
	program_end();
}
END_TEST

/* The deadline holds for the answers, whoever waits for them. */
START_TEST(the_time_is_bounded)
{
	const int how = _i % 3;

	begin(_i < 3 ? HANDSHAKE_OPTIMISTIC : HANDSHAKE_PIPELINED);
	server->reply_len = 0;
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, EPOLLIN, 7), 0);
	ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	if (_i < 3)
		ck_assert_int_eq(p_poll1(5, POLLOUT, 1000), POLLOUT);
	if (how == 0) {
		ck_assert_int_eq(p_poll1(5, POLLIN, -1), POLLIN | POLLERR | POLLHUP);
	} else if (how == 1) {
		ck_assert_int_eq(epoll_now(-1, 7), EPOLLIN | EPOLLERR | EPOLLHUP);
	} else {
		p_set_flags(5, 0);
		ck_assert_int_eq(p_recv(5, 0), -ETIMEDOUT);
	}
	if (how != 2)
		ck_assert_int_eq(p_error(5), ETIMEDOUT);
	ck_assert_int_ge(fakesys.now_ns, 10000 * MS);
	ck_assert_int_le(fakesys.now_ns, 10001 * MS);
	ck_assert_int_eq(p_recv(5, 0), 0);
	program_end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("modes");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_loop_test(t, the_mode_decides_how_long_it_takes, 0, 6);
	tcase_add_loop_test(t, a_pipelined_refusal_is_the_connects, 0, 2);
	tcase_add_test(t, the_tcp_leg_is_pending);
	tcase_add_loop_test(t, a_receive_has_nothing_before_the_answers, 0, 2);
	tcase_add_test(t, a_blocking_receive_waits_for_the_answers);
	tcase_add_loop_test(t, a_blocking_receive_waits_for_all_of_it, 0, 2);
	tcase_add_loop_test(t, what_is_behind_the_reply_is_the_programs, 0, 8);
	tcase_add_test(t, poll_hides_answers_and_nothing_else);
	tcase_add_test(t, answers_that_come_at_once_are_hidden);
	tcase_add_test(t, select_hides_answers_and_nothing_else);
	tcase_add_loop_test(t, a_refusal_is_told_once, 0, 2 * FIRSTS);
	tcase_add_loop_test(t, a_proxy_that_ends_it_refuses, 2, 24);
	tcase_add_loop_test(t, the_time_is_bounded, 0, 6);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
