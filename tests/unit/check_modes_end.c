/* SPDX-License-Identifier: ISC */
/* check_modes_end.c - what an optimist may do with a connection before it is one: duplicate, shut, close it. */
#include <netinet/tcp.h>

#include "check_modes.h"
#include "socksify/epreg.h"

START_TEST(a_duplicate_owes_the_same)
{
	char got[8] = "";

	begin_owed();
	greet_slowly();
	p_dup(5, 9);
	ck_assert_int_eq(p_recv(9, 0), -EAGAIN);
	ck_assert_int_eq(p_peer_port(9), TARGET_PORT);
	ck_assert_int_eq(conn_pending, 1);
	p_close(_i != 0 ? 5 : 9);
	ck_assert_int_eq(conn_pending, 1);
	ck_assert_int_eq(p_poll1(_i != 0 ? 9 : 5, POLLIN, -1), POLLIN);
	ck_assert_int_eq(fakesys.now_ns, HELLO_MS * MS);
	ck_assert_int_eq(take(_i != 0 ? 9 : 5, got, sizeof(got)), 1);
	ck_assert_str_eq(got, "H");
	program_end();
}
END_TEST

/* The program has said all: the answers come none the less. */
START_TEST(shutdown_of_writing_leaves_the_answers)
{
	char got[8] = "";

	begin_owed();
	server->reply = granted_hello;
	server->reply_len = sizeof(granted_hello) - 1;
	ck_assert_int_eq(p_send(5, 0), 2);
	ck_assert_int_eq(p_shutdown(5, SHUT_WR), 0);
	ck_assert_int_eq(fdtab_state(5), CONN_OWED);
	ck_assert_int_eq(fakesys.fds[5]->shut, 2);
	ck_assert_int_eq(p_send(5, 0), -EPIPE);
	ck_assert_int_eq(p_poll1(5, POLLIN, -1), POLLIN);
	ck_assert_int_eq(take(5, got, sizeof(got)), 5);
	ck_assert_str_eq(got, "HELLO");
	program_end();
}
END_TEST

/* Both ways: the end of file, as of any connection, and no error. */
START_TEST(shutdown_of_all_is_the_end_and_no_failure)
{
	begin_owed();
	ck_assert_int_eq(p_send(5, 0), 2);
	ck_assert_int_eq(p_shutdown(5, SHUT_RDWR), 0);
	if (_i == 0)
		ck_assert_int_eq(p_poll1(5, ALL_EVENTS, 0), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
	ck_assert_int_eq(p_recv(5, 0), 0);
	ck_assert_int_eq(p_error(5), 0);
	ck_assert_int_eq(fakesys.fds[5]->state, FAKE_CONNECTED);
	program_end();
}
END_TEST

START_TEST(close_leaves_nothing_behind)
{
	begin_owed();
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, EPOLLIN | EPOLLOUT, 7), 0);
	p_close(5);
	ck_assert_int_eq(conn_pending, 0);
	ck_assert_int_eq(epoll_now(200, 7), 0);
	p_socket(5, O_NONBLOCK);
	ck_assert_int_eq(p_peer_port(5), -ENOTCONN);
	program_end();
}
END_TEST

START_TEST(af_unspec_makes_it_fresh)
{
	begin_owed();
	ck_assert_int_eq(p_disconnect(5), 0);
	ck_assert_int_eq(fdtab_state(5), CONN_FRESH);
	ck_assert_int_eq(conn_pending, 0);
	ck_assert_int_eq(p_peer_port(5), -ENOTCONN);
	program_end();
}
END_TEST

START_TEST(finish_waits_for_the_answers)
{
	begin_owed();
	gate_finish(5);
	ck_assert_int_eq(fdtab_state(5), CONN_CONNECTED);
	ck_assert_int_eq(fakesys.now_ns, ANSWER_MS * MS);
	program_end();
}
END_TEST

static void set_option(int fd, int level, int name, int value)
{
	if (!fdtab_is_gated(fd) || !gate_set_option(fd, level, name, value))
		ck_assert_int_eq(sys_setsockopt(fd, level, name, &value, sizeof(value)), 0);
}

/* The cork holds what the program sends, so it is the program's again; the mark is not yet. */
START_TEST(options_are_given_back_when_they_matter)
{
	begin(HANDSHAKE_OPTIMISTIC);
	fdtab_change_marks(5, FD_OPTIONS, 0);
	fakesys.fds[5]->cork = 1;
	fakesys.fds[5]->lowat = 4;
	connect_optimistically();
	ck_assert_int_eq(fakesys.fds[5]->cork, 1);
	ck_assert_int_eq(fakesys.fds[5]->lowat, 1);
	if (_i == 1) {
		set_option(5, IPPROTO_TCP, TCP_CORK, 0);
		ck_assert_int_eq(fakesys.fds[5]->cork, 0);
	}
	gate_finish(5);
	ck_assert_int_eq(fakesys.fds[5]->cork, _i == 0);
	ck_assert_int_eq(fakesys.fds[5]->lowat, 4);
	program_end();
}
END_TEST

static int get_option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	if (!fdtab_is_gated(fd) || !gate_get_option(fd, level, name, &value))
		ck_assert_int_eq(sys_getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

/* While answers are owed, Nagle's algorithm would hold the program's first octets back. */
START_TEST(octets_behind_the_request_leave_at_once)
{
	bool before = (_i & 1) != 0, after = (_i & 2) != 0;

	begin(HANDSHAKE_OPTIMISTIC);
	fakesys.fds[5]->nodelay = before;
	connect_optimistically();
	ck_assert_int_eq(fakesys.fds[5]->nodelay, 1);
	ck_assert_int_eq(get_option(5, IPPROTO_TCP, TCP_NODELAY), before);
	set_option(5, IPPROTO_TCP, TCP_NODELAY, after);
	ck_assert_int_eq(fakesys.fds[5]->nodelay, 1);
	ck_assert_int_eq(get_option(5, IPPROTO_TCP, TCP_NODELAY), after);
	if ((_i & 4) != 0)
		gate_finish(5);
	else
		ck_assert_int_eq(p_disconnect(5), 0);
	ck_assert_int_eq(fakesys.fds[5]->nodelay, after);
	program_end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("modes_end");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_loop_test(t, a_duplicate_owes_the_same, 0, 2);
	tcase_add_test(t, shutdown_of_writing_leaves_the_answers);
	tcase_add_loop_test(t, shutdown_of_all_is_the_end_and_no_failure, 0, 2);
	tcase_add_test(t, close_leaves_nothing_behind);
	tcase_add_test(t, af_unspec_makes_it_fresh);
	tcase_add_test(t, finish_waits_for_the_answers);
	tcase_add_loop_test(t, options_are_given_back_when_they_matter, 0, 2);
	tcase_add_loop_test(t, octets_behind_the_request_leave_at_once, 0, 8);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
