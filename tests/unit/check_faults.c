/* SPDX-License-Identifier: ISC */
/* check_faults.c - each error of each system call at each step: an error or a connection, nothing left, nothing hangs. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "../lib/program.h"
#include "socksify/route.h"

static struct fake_server *const server = &fakesys.servers[0];

static const int errors[] = { EINTR, EAGAIN, ENOMEM, EINVAL, ENOSPC, ECONNRESET, EPIPE,
			      ECONNREFUSED, ENETUNREACH, EHOSTUNREACH, ETIMEDOUT, EMFILE, EPERM };
#define ERRORS 13
#define MODES 3
#define TALK (FAKE_GREETING + FAKE_REQUEST)

enum way { BLOCKING, BY_POLL, BY_SELECT, BY_EPOLL, BY_EDGES, BY_SPINNING, WAYS };

static bool is_made(int fd)
{
	return fdtab_state(fd) == CONN_CONNECTED || fdtab_state(fd) == CONN_OWED;
}

/* What the test itself asks does not fail. */
static int error_of(int fd)
{
	int at = fakesys.fail_at, error;

	fakesys.fail_at = 0;
	error = p_error(fd);
	fakesys.fail_at = fdtab_state(fd) == CONN_OWED ? at : 0;
	return error;
}

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
			/* It may be the asking that failed, as the kernel's does not. */
			if (n != -EALREADY && (n != fakesys.fail_with || !is_made(5)))
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
			return -error_of(5);
		}
	}
	ck_abort_msg("it does not end");
	return 0;
}

static void begin(enum way way, enum handshake_mode mode)
{
	program_start();
	program_proxy.handshake = mode;
	server->connect_ns = 30 * MS;
	server->answer_ns = 50 * MS;
	server->gap_ns = 3 * MS;
	p_set(3);
	p_socket(5, way == BLOCKING ? 0 : O_NONBLOCK);
	fdtab_change_marks(5, FD_OPTIONS, 0);
	fakesys.fds[5]->lowat = 10;
}

static int go(enum way way)
{
	int err = 0;

	if (way == BY_EPOLL)
		err = p_ctl(3, EPOLL_CTL_ADD, 5, EPOLLOUT, 1);
	if (err == 0)
		err = p_connect(5);
	if (err == -EINPROGRESS && way == BY_EDGES)
		err = p_ctl(3, EPOLL_CTL_ADD, 5, EPOLLOUT | EPOLLET, 1) < 0 ? -ENOMEM : err;
	return err == -EINPROGRESS ? wait_end(way) : err;
}

static int attempt(enum way way, enum handshake_mode mode, int step, int error)
{
	begin(way, mode);
	fakesys.fail_with = -error;
	fakesys.fail_at = step;
	return go(way);
}

/* An optimist's program says "ho", and waits for an answer, of which there is none.  Returns what it is told. */
static int say_and_wait(void)
{
	int err;

	do
		err = (int)p_send(5, MSG_DONTWAIT);
	while (err == -EAGAIN);
	for (int rounds = 0; err == 2 && fdtab_state(5) == CONN_OWED; rounds++) {
		(void)!p_poll1(5, POLLIN, 50);
		ck_assert_int_lt(rounds, 1000);
	}
	if (err == 2)
		err = (int)p_recv(5, MSG_DONTWAIT);
	return err == -EAGAIN ? 0 : err == 0 ? -ECONNRESET : err;
}

/*
 * A failed connect must not leave a socket on which the program's octets reach the proxy; nor may the
 * target get what is the proxy's.
 */
static void check_no_leak(int result)
{
	const struct fake_file *f = fakesys.fds[5];
	bool works = f->state == FAKE_CONNECTED && f->reply_pos == server->reply_len;
	size_t before = f->sent_len;

	ck_assert(before <= TALK || (before == TALK + 2 && memcmp(f->sent + TALK, "ho", 2) == 0));
	if (result == 0) {
		ck_assert(works);
		ck_assert_uint_ge(before, TALK);
		/* Unless it was the restoring that failed. */
		if (fakesys.fail_with != -ENOMEM && fakesys.fail_with != -EINVAL)
			ck_assert_int_eq(f->lowat, 10);
		ck_assert_int_eq(p_peer_port(5), TARGET_PORT);
		return;
	}
	ck_assert_int_ne(result, -EPROTO);
	ck_assert(f->state != FAKE_CONNECTED || fdtab_state(5) != CONN_CONNECTED);
	ck_assert_int_lt(p_send(5, MSG_DONTWAIT), 0);
	ck_assert_uint_eq(f->sent_len, before);
}

START_TEST(each_error_at_each_step_is_an_error_or_harmless)
{
	const enum handshake_mode mode = (enum handshake_mode)(_i / (ERRORS * WAYS));
	const enum way way = (enum way)(_i / ERRORS % WAYS);
	int step = 0, result;

	do {
		result = attempt(way, mode, ++step, errors[_i % ERRORS]);
		if (result == 0 && fdtab_state(5) == CONN_OWED)
			result = say_and_wait();
		check_no_leak(result);
		program_end();
	} while (fakesys.step >= step);
	ck_assert_int_lt(step, 300);
}
END_TEST

/* A machine that slept, or was moved: between any two looks at the clock it may be another time. */
START_TEST(a_clock_that_jumps_ends_it_or_is_harmless)
{
	static const int64_t hours[] = { 1, -1, 100000 };
	const enum handshake_mode mode = (enum handshake_mode)(_i / (3 * WAYS));
	int at = 0, result;

	do {
		begin((enum way)(_i / 3 % WAYS), mode);
		fakesys.now_ns = 2 * 3600 * 1000 * MS; /* no clock of the kernel's is ever below 0 */
		fakesys.jump_at = ++at;
		fakesys.jump_ns = hours[_i % 3] * 3600 * 1000 * MS;
		result = go((enum way)(_i / 3 % WAYS));
		if (result == 0 && fdtab_state(5) == CONN_OWED)
			result = say_and_wait();
		ck_assert(result == 0 || (result == -ETIMEDOUT && hours[_i % 3] > 0));
		check_no_leak(result);
		program_end();
	} while (fakesys.looks >= at);
	ck_assert_int_gt(at, 2);
	ck_assert_int_lt(at, 500);
}
END_TEST

/* The same, with a handler that interrupts: then the program asks again. */
START_TEST(an_interrupted_connect_can_be_asked_again)
{
	int step = 0, result;

	do {
		result = attempt(BLOCKING, HANDSHAKE_STANDARD, ++step, EINTR);
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

	tcase_add_loop_test(t, each_error_at_each_step_is_an_error_or_harmless, 0, MODES * ERRORS * WAYS);
	tcase_add_loop_test(t, a_clock_that_jumps_ends_it_or_is_harmless, 0, MODES * 3 * WAYS);
	tcase_add_test(t, an_interrupted_connect_can_be_asked_again);
	tcase_add_test(t, a_socket_that_cannot_be_asked_is_an_error);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
