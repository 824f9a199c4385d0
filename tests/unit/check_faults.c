/* SPDX-License-Identifier: ISC */
/* check_faults.c - each error of each system call at each step: an error or a connection, nothing left, nothing hangs. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>

#include "../lib/program.h"
#include "socksify/route.h"

static struct fake_server *const server = &fakesys.servers[0];

static const int errors[] = { EINTR, EAGAIN, ENOMEM, EINVAL, ENOSPC, ECONNRESET, EPIPE,
			      ECONNREFUSED, ENETUNREACH, EHOSTUNREACH, ETIMEDOUT };
#define ERRORS 11

enum way { BLOCKING, BY_POLL, BY_SELECT, BY_EPOLL, BY_EDGES, BY_SPINNING, WAYS };

/* Wait for the end of a connect that is in progress.  Returns how it ended, as SO_ERROR says. */
static int wait_end(enum way way)
{
	for (int rounds = 0; rounds < 1000; rounds++) {
		struct epoll_event e;
		int64_t left;
		fd_set out;
		int n;

		FD_ZERO(&out);
		FD_SET(5, &out);
		switch (way) {
		case BY_SELECT:
			n = wait_has_pending() ? wait_select(6, NULL, &out, NULL, 50 * MS, NULL, &left)
					       : p_poll1(5, POLLOUT, 50);
			break;
		case BY_EPOLL:
		case BY_EDGES:
			n = p_epoll(3, &e, 1, 50);
			break;
		case BY_SPINNING:
			n = p_connect(5);
			fakesys.now_ns += MS;
			if (n != -EALREADY)
				return n == -EISCONN ? 0 : n;
			n = 0;
			break;
		case BLOCKING:
		case BY_POLL:
		case WAYS:
		default:
			n = p_poll1(5, POLLOUT, 50);
		}
		if (n > 0) {
			fakesys.fail_at = 0; /* what the test itself asks */
			return -p_error(5);
		}
	}
	ck_abort_msg("it does not end");
	return 0;
}

static int attempt(enum way way, int step, int error)
{
	int err = 0;

	program_start();
	server->connect_ns = 30 * MS;
	server->answer_ns = 50 * MS;
	server->gap_ns = 3 * MS;
	p_set(3);
	p_socket(5, way == BLOCKING ? 0 : O_NONBLOCK);
	fdtab_change_marks(5, FD_OPTIONS, 0);
	fakesys.fds[5]->lowat = 10;
	fakesys.fail_with = -error;
	fakesys.fail_at = step;
	if (way == BY_EPOLL)
		err = p_ctl(3, EPOLL_CTL_ADD, 5, EPOLLOUT, 1);
	if (err == 0)
		err = p_connect(5);
	if (err == -EINPROGRESS && way == BY_EDGES)
		err = p_ctl(3, EPOLL_CTL_ADD, 5, EPOLLOUT | EPOLLET, 1) < 0 ? -ENOMEM : err;
	return err == -EINPROGRESS ? wait_end(way) : err;
}

/* A failed connect must not leave a socket on which the program's octets reach the proxy. */
static void check_no_leak(int result)
{
	const struct fake_file *f = fakesys.fds[5];
	size_t talk = FAKE_GREETING + FAKE_REQUEST;
	bool works = f->state == FAKE_CONNECTED && f->reply_pos == server->reply_len;
	size_t before = f->sent_len;

	if (result == 0) {
		ck_assert(works);
		ck_assert_uint_eq(before, talk);
		/* Unless it was the restoring that failed. */
		if (fakesys.fail_with != -ENOMEM && fakesys.fail_with != -EINVAL)
			ck_assert_int_eq(f->lowat, 10);
		ck_assert_int_eq(p_peer_port(5), TARGET_PORT);
		return;
	}
	ck_assert_int_ne(result, -EPROTO);
	ck_assert_int_ne(fdtab_state(5), CONN_CONNECTED);
	ck_assert_int_lt(p_send(5, MSG_DONTWAIT), 0);
	ck_assert_uint_eq(f->sent_len, before);
}

START_TEST(each_error_at_each_step_is_an_error_or_harmless)
{
	const enum way way = (enum way)(_i / ERRORS);
	int step = 0;

	do {
		check_no_leak(attempt(way, ++step, errors[_i % ERRORS]));
		program_end();
	} while (fakesys.step >= step);
	ck_assert_int_lt(step, 200);
}
END_TEST

/* The same, with a handler that interrupts: then the program asks again. */
START_TEST(an_interrupted_connect_can_be_asked_again)
{
	int step = 0, result;

	do {
		result = attempt(BLOCKING, ++step, EINTR);
		fakesys.interrupts = true;
		if (result == -EINTR)
			result = p_connect(5);
		ck_assert_int_eq(result, 0);
		check_no_leak(result);
		program_end();
	} while (fakesys.step >= step);
	ck_assert_int_gt(step, 3);
}
END_TEST

/* Of a socket that was there before us nothing is known but what the kernel says. */
START_TEST(a_socket_that_cannot_be_asked_is_an_error)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(TARGET_PORT),
				  .sin_addr.s_addr = htonl(0x01020304) };
	const struct sockaddr *sa = (const struct sockaddr *)(const void *)&in;
	struct route route;
	int step = 0, err;

	do {
		program_start();
		fake_socket(5, 0);
		fakesys.fail_with = -EINVAL;
		fakesys.fail_at = ++step;
		err = route_for_socket(5, sa, sizeof(in), &route);
		ck_assert(err < 0 || route.verdict == ROUTE_PROXY);
		program_end();
	} while (fakesys.step >= step);
	ck_assert_int_gt(step, 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("faults");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_loop_test(t, each_error_at_each_step_is_an_error_or_harmless, 0, ERRORS * WAYS);
	tcase_add_test(t, an_interrupted_connect_can_be_asked_again);
	tcase_add_test(t, a_socket_that_cannot_be_asked_is_an_error);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
