/* SPDX-License-Identifier: ISC */
/* check_wait.c - poll, select and epoll among handshakes, to the nanosecond of a fake clock. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>

#include "../lib/program.h"
#include "socksify/epreg.h"
#include "socksify/handshake.h"

static struct fake_server *const server = &fakesys.servers[0];
static const int refused = POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP;

#define SET 3
#define DONE_MS 130

static void begin(void)
{
	program_start();
	server->connect_ns = 30 * MS;
	server->answer_ns = 50 * MS;
	p_set(SET);
	p_socket(5, O_NONBLOCK);
}

static void begin_connect(void)
{
	begin();
	ck_assert_int_eq(p_connect(5), -EINPROGRESS);
}

/* What one epoll_wait(2) reports of one fd: events, 0 for nothing, or -errno. */
static int epoll_now(int64_t ms, uint64_t *ret_data)
{
	struct epoll_event e[4];
	int n = p_epoll(SET, e, 4, ms);

	ck_assert_int_le(n, 1);
	if (n < 1)
		return n;
	*ret_data = e[0].data.u64;
	return (int)e[0].events;
}

static const int64_t times[] = { 0, 1, 10, 29, 30, 31, 80, 100, 129 };

START_TEST(a_timeout_is_exact_while_pending)
{
	uint64_t data;

	begin_connect();
	ck_assert_int_eq(p_poll1(5, POLLIN | POLLOUT, times[_i]), 0);
	ck_assert_int_eq(fakesys.now_ns, times[_i] * MS);
	ck_assert_int_eq(p_poll1(5, POLLIN | POLLOUT, DONE_MS), POLLOUT);
	ck_assert_int_eq(fakesys.now_ns, DONE_MS * MS);
	program_end();
	begin_connect();
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, EPOLLOUT, 7), 0);
	ck_assert_int_eq(epoll_now(times[_i], &data), 0);
	ck_assert_int_eq(fakesys.now_ns, times[_i] * MS);
	ck_assert_int_eq(epoll_now(DONE_MS, &data), EPOLLOUT);
	ck_assert_uint_eq(data, 7);
	ck_assert_int_eq(fakesys.now_ns, DONE_MS * MS);
	program_end();
}
END_TEST

/* In slices of a millisecond, and for ever. */
START_TEST(waiting_in_slices_is_waiting)
{
	uint64_t data;
	int events = 0;

	begin_connect();
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, EPOLLOUT | (uint32_t)_i, 7), 0);
	for (int i = 0; i < DONE_MS && events == 0; i++)
		events = epoll_now(1, &data);
	ck_assert_int_eq(events, EPOLLOUT);
	ck_assert_int_eq(fakesys.now_ns, DONE_MS * MS);
	program_end();
	begin_connect();
	for (int i = 0; i < DONE_MS; i++)
		events = p_poll1(5, POLLOUT, 1);
	ck_assert_int_eq(events, POLLOUT);
	ck_assert_int_eq(fakesys.now_ns, DONE_MS * MS);
	program_end();
}
END_TEST

START_TEST(a_failure_shows_as_a_refused_connect)
{
	const uint32_t asked[] = { EPOLLIN | EPOLLOUT | EPOLLRDHUP, EPOLLOUT, 0 };
	uint64_t data;

	for (int i = 0; i < 3; i++) {
		const int want = refused & ((int)asked[i] | POLLERR | POLLHUP);

		begin();
		server->reply = FAKE_REFUSED("\5");
		if (_i == 0)
			ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, asked[i], 7), 0);
		ck_assert_int_eq(p_connect(5), -EINPROGRESS);
		if (_i == 1)
			ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, asked[i], 7), 0);
		if (_i == 2)
			ck_assert_int_eq(p_poll1(5, (short)asked[i], -1), want);
		else
			ck_assert_int_eq(epoll_now(-1, &data), want);
		ck_assert_int_eq(fakesys.now_ns, DONE_MS * MS);
		ck_assert_int_eq(p_error(5), ECONNREFUSED);
		ck_assert_int_eq(p_poll1(5, refused, 0), refused & ~POLLERR);
		program_end();
	}
}
END_TEST

/* The deadline wakes whoever waits. */
START_TEST(a_hung_proxy_fails_in_time)
{
	uint64_t data;

	begin();
	server->reply_len = 0;
	if (_i % 2 != 0)
		server->connect_ns = -1;
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, EPOLLOUT, 7), 0);
	ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	if (_i < 2)
		ck_assert_int_eq(epoll_now(-1, &data), EPOLLOUT | EPOLLERR | EPOLLHUP);
	else
		ck_assert_int_eq(p_poll1(5, POLLOUT, -1), POLLOUT | POLLERR | POLLHUP);
	ck_assert_int_ge(fakesys.now_ns, 10000 * MS);
	ck_assert_int_le(fakesys.now_ns, 10001 * MS);
	ck_assert_int_eq(p_error(5), ETIMEDOUT);
	program_end();
}
END_TEST

static const uint32_t kinds[] = { 0, EPOLLET, EPOLLONESHOT, EPOLLET | EPOLLONESHOT,
				  EPOLLEXCLUSIVE, EPOLLEXCLUSIVE | EPOLLET };
#define KINDS 6

/* Each kind of registration, before and after connect(2), at once or in the middle. */
START_TEST(epoll_reports_once_what_is_to_report)
{
	const uint32_t kind = kinds[_i % KINDS];
	const int when = _i / KINDS;
	uint64_t data;

	begin();
	if (when == 0)
		ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, EPOLLOUT | kind, 7), 0);
	ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	if (when == 2)
		ck_assert_int_eq(p_poll1(5, POLLOUT, 90), 0);
	if (when >= 1)
		ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, EPOLLOUT | kind, 7), 0);
	ck_assert_int_eq(epoll_now(-1, &data), EPOLLOUT);
	ck_assert_uint_eq(data, 7);
	ck_assert_int_eq(fakesys.now_ns, DONE_MS * MS);
	ck_assert_int_eq(epoll_now(5, &data), (kind & (EPOLLET | EPOLLONESHOT)) != 0 ? 0 : EPOLLOUT);
	ck_assert(!epreg_any());
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_MOD, 5, EPOLLOUT, 8),
			 (kind & EPOLLEXCLUSIVE) != 0 ? -EINVAL : 0);
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_DEL, 5, 0, 0), 0);
	ck_assert_int_eq(epoll_now(5, &data), 0);
	program_end();
}
END_TEST

START_TEST(epoll_ctl_answers_as_the_kernel)
{
	begin();
	if (_i == 1)
		ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_MOD, 5, EPOLLIN, 1), -ENOENT);
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_DEL, 5, 0, 0), -ENOENT);
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_MOD, 5, EPOLLIN | EPOLLEXCLUSIVE, 1), -EINVAL);
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, EPOLLONESHOT | EPOLLEXCLUSIVE, 1), -EINVAL);
	ck_assert_int_eq(p_ctl(5, EPOLL_CTL_ADD, 5, EPOLLIN, 1), -EINVAL);
	ck_assert_int_eq(p_ctl(77, EPOLL_CTL_ADD, 5, EPOLLIN, 1), -EBADF);
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, EPOLLIN, 1), 0);
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, EPOLLIN, 1), -EEXIST);
	if (_i == 2)
		ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, EPOLLIN, 1), -EEXIST);
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_MOD, 5, EPOLLIN | EPOLLEXCLUSIVE, 1), -EINVAL);
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_MOD, 5, EPOLLIN, 2), 0);
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_DEL, 5, 0, 0), 0);
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_DEL, 5, 0, 0), -ENOENT);
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, EPOLLIN | EPOLLEXCLUSIVE, 1), 0);
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_MOD, 5, EPOLLIN, 1), -EINVAL);
	program_end();
}
END_TEST

START_TEST(what_was_modified_meanwhile_is_reported)
{
	uint64_t data;

	begin_connect();
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, EPOLLIN, 1), 0);
	ck_assert_int_eq(epoll_now(40, &data), 0);
	if (_i == 0) {
		ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_MOD, 5, EPOLLOUT, 2), 0);
	} else {
		ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_DEL, 5, 0, 0), 0);
		ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, EPOLLOUT, 2), 0);
	}
	ck_assert_int_eq(epoll_now(-1, &data), EPOLLOUT);
	ck_assert_uint_eq(data, 2);
	program_end();
}
END_TEST

START_TEST(what_was_deleted_meanwhile_is_not_reported)
{
	uint64_t data;

	begin_connect();
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, EPOLLIN | EPOLLOUT, 1), 0);
	ck_assert_int_eq(epoll_now(_i, &data), 0);
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_DEL, 5, 0, 0), 0);
	ck_assert_int_eq(epoll_now(300, &data), 0);
	ck_assert_int_eq(p_poll1(5, POLLOUT, 500), POLLOUT);
	program_end();
}
END_TEST

START_TEST(one_event_at_a_time_is_enough)
{
	struct epoll_event e;
	uint64_t seen = 0;

	begin();
	for (int fd = 5; fd < 13; fd++) {
		if (fd != 5)
			p_socket(fd, O_NONBLOCK);
		ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, fd, EPOLLOUT | EPOLLONESHOT,
				       (uint64_t)fd), 0);
		ck_assert_int_eq(p_connect(fd), -EINPROGRESS);
	}
	for (int i = 0; i < 8; i++) {
		ck_assert_int_eq(p_epoll(SET, &e, 1, -1), 1);
		ck_assert_int_eq((int)e.events, EPOLLOUT);
		seen |= UINT64_C(1) << e.data.u64;
	}
	ck_assert_uint_eq(seen, 0xff << 5);
	ck_assert_int_eq(fakesys.now_ns, DONE_MS * MS);
	ck_assert_int_eq(p_epoll(SET, &e, 1, 50), 0);
	program_end();
}
END_TEST

/* Another thread connects while this one sleeps in the kernel, having seen nothing pending. */
static void connect_now(void)
{
	ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	if (fakesys.fds[SET]->registrations[0].file == NULL)
		ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, EPOLLOUT, 7), 0);
}

START_TEST(a_sleeper_hears_of_a_later_connect)
{
	uint64_t data;

	begin();
	/* Edge-triggered, and a fresh socket's event taken: else it would wake. */
	if (_i == 1) {
		ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, EPOLLOUT | EPOLLET, 7), 0);
		ck_assert_int_eq(epoll_now(0, &data), EPOLLOUT | EPOLLHUP);
	}
	fakesys.hook = connect_now;
	fakesys.hook_at = 20 * MS;
	ck_assert_int_eq(epoll_now(500, &data), EPOLLOUT);
	ck_assert_uint_eq(data, 7);
	ck_assert_int_eq(fakesys.now_ns, (20 + DONE_MS) * MS);
	program_end();
}
END_TEST

/* The fresh socket's events are none of the connection that is about to be made. */
static void look(void)
{
	uint64_t data;

	ck_assert_int_eq(fdtab_state(5), CONN_PENDING);
	ck_assert_int_eq(epoll_now(0, &data), 0);
	ck_assert_int_eq(p_poll1(5, POLLOUT, 0), 0);
	ck_assert_int_eq(fdtab_state(5), CONN_PENDING);
}

START_TEST(a_look_before_the_kernels_connect_sees_nothing)
{
	uint64_t data;

	begin();
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, EPOLLOUT | (_i == 1 ? EPOLLET : 0), 7), 0);
	ck_assert_int_eq(epoll_now(0, &data), EPOLLOUT | EPOLLHUP);
	fakesys.before_connect = look;
	ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	ck_assert_int_eq(epoll_now(500, &data), EPOLLOUT);
	ck_assert_int_eq(fakesys.now_ns, DONE_MS * MS);
	ck_assert_int_eq(fdtab_state(5), CONN_CONNECTED);
	program_end();
}
END_TEST

/* Another thread was about to look for registrations when there was none yet. */
static void end_unseen(void)
{
	struct conn *conn = fdtab_get(5);
	struct handshake *hs = atomic_exchange(&conn->handshake, NULL);

	handshake_unref(hs);
	conn_set_state(conn, CONN_CONNECTED);
	conn_unref(conn);
}

START_TEST(a_registration_that_comes_at_the_end_is_shown)
{
	uint32_t events = EPOLLOUT | (_i == 1 ? EPOLLET : 0);
	uint64_t data;

	begin_connect();
	fakesys.now_ns = 30 * MS; /* there is a connection, to the proxy */
	fakesys.before_add = end_unseen;
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, events, 7), 0);
	ck_assert_int_eq(epoll_now(0, &data), EPOLLOUT);
	ck_assert_uint_eq(data, 7);
	program_end();
}
END_TEST

static void begin_unseen(void)
{
	struct conn *conn = fdtab_get(5);

	conn_set_state(conn, CONN_PENDING);
	conn_unref(conn);
}

START_TEST(a_registration_that_comes_at_the_beginning_is_hidden)
{
	struct conn *conn;
	uint64_t data;

	begin();
	fakesys.before_add = begin_unseen;
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, EPOLLOUT, 7), 0);
	ck_assert_int_eq(epoll_now(0, &data), 0);
	conn = fdtab_get(5);
	conn_set_state(conn, CONN_FRESH);
	conn_unref(conn);
	program_end();
}
END_TEST

/* The others of a set are reported when they are ready, pending ones stay silent. */
START_TEST(a_mixed_set_reports_what_is_ready)
{
	struct pollfd p[4] = { { .fd = 5, .events = POLLOUT }, { .fd = 6, .events = POLLOUT },
			       { .fd = -1 }, { .fd = 77, .events = POLLIN } };

	begin_connect();
	p_socket(6, 0);
	ck_assert_int_eq(p_poll(p, 4, -1), 2);
	ck_assert_int_eq(p[0].revents, 0);
	ck_assert_int_eq(p[1].revents, POLLOUT | POLLHUP);
	ck_assert_int_eq(p[2].revents, 0);
	ck_assert_int_eq(p[3].revents, POLLNVAL);
	ck_assert_int_eq(p[0].fd, 5);
	ck_assert_int_eq(p[0].events, POLLOUT);
	program_end();
}
END_TEST

START_TEST(a_large_set_finds_them_all)
{
	static struct pollfd p[100];

	begin_connect();
	for (int i = 0; i < 100; i++)
		p[i] = (struct pollfd){ .fd = i == 90 || i == 91 ? 5 : -1, .events = POLLOUT };
	ck_assert_int_eq(p_poll(p, 100, -1), 2);
	ck_assert_int_eq(p[90].revents, POLLOUT);
	ck_assert_int_eq(p[91].revents, POLLOUT);
	ck_assert_int_eq(fakesys.now_ns, DONE_MS * MS);
	program_end();
}
END_TEST

static fd_set set_of(int fd)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	return set;
}

START_TEST(select_tells_what_is_left_of_the_time)
{
	fd_set in, out, except;
	int64_t left;

	begin_connect();
	in = out = except = set_of(5);
	ck_assert(wait_select_concerns(6, &in, NULL, NULL));
	ck_assert(!wait_select_concerns(5, &in, &out, &except));
	ck_assert_int_eq(wait_select(6, &in, &out, &except, 100 * MS, NULL, &left), 0);
	ck_assert(!FD_ISSET(5, &in) && !FD_ISSET(5, &out) && !FD_ISSET(5, &except));
	ck_assert_int_eq(left, 0);
	in = out = except = set_of(5);
	ck_assert_int_eq(wait_select(6, &in, &out, &except, 100 * MS, NULL, &left), 1);
	ck_assert(!FD_ISSET(5, &in) && FD_ISSET(5, &out) && !FD_ISSET(5, &except));
	ck_assert_int_eq(left, 70 * MS);
	program_end();
}
END_TEST

START_TEST(select_shows_a_failure_and_bad_fds)
{
	fd_set in, out;
	int64_t left;

	begin_connect();
	server->reply = FAKE_REFUSED("\5");
	in = out = set_of(5);
	ck_assert_int_eq(wait_select(6, &in, &out, NULL, WAIT_FOREVER, NULL, &left), 2);
	ck_assert(FD_ISSET(5, &in) && FD_ISSET(5, &out));
	FD_SET(77, &in);
	ck_assert_int_eq(wait_select(78, &in, NULL, NULL, 0, NULL, &left), -EBADF);
	program_end();
}
END_TEST

START_TEST(a_signal_interrupts_the_wait_and_not_the_handshake)
{
	uint64_t data;

	begin_connect();
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, EPOLLOUT, 7), 0);
	fakesys.fail_with = -EINTR;
	fakesys.fail_at = fakesys.step + 1;
	if (_i == 0)
		ck_assert_int_eq(p_poll1(5, POLLOUT, -1), -EINTR);
	else
		ck_assert_int_eq(epoll_now(-1, &data), -EINTR);
	ck_assert_int_eq(epoll_now(-1, &data), EPOLLOUT);
	ck_assert_int_eq(fakesys.now_ns, DONE_MS * MS);
	program_end();
}
END_TEST

/* The set goes, then the number has another use. */
START_TEST(a_closed_set_is_forgotten)
{
	uint64_t data;

	begin();
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, EPOLLOUT, 7), 0);
	if (_i == 1)
		ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	p_close(SET);
	ck_assert(!epreg_any());
	p_set(SET);
	if (_i == 0)
		ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	ck_assert_int_eq(epoll_now(200, &data), 0);
	ck_assert_int_eq(p_poll1(5, POLLOUT, 500), POLLOUT);
	program_end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wait");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_loop_test(t, a_timeout_is_exact_while_pending, 0, 9);
	tcase_add_loop_test(t, waiting_in_slices_is_waiting, 0, 1);
	tcase_add_loop_test(t, a_failure_shows_as_a_refused_connect, 0, 3);
	tcase_add_loop_test(t, a_hung_proxy_fails_in_time, 0, 4);
	tcase_add_loop_test(t, epoll_reports_once_what_is_to_report, 0, 3 * KINDS);
	tcase_add_loop_test(t, epoll_ctl_answers_as_the_kernel, 0, 3);
	tcase_add_loop_test(t, what_was_modified_meanwhile_is_reported, 0, 2);
	tcase_add_loop_test(t, what_was_deleted_meanwhile_is_not_reported, 0, 3);
	tcase_add_test(t, one_event_at_a_time_is_enough);
	tcase_add_loop_test(t, a_sleeper_hears_of_a_later_connect, 0, 2);
	tcase_add_test(t, a_mixed_set_reports_what_is_ready);
	tcase_add_loop_test(t, a_registration_that_comes_at_the_end_is_shown, 0, 2);
	tcase_add_test(t, a_registration_that_comes_at_the_beginning_is_hidden);
	tcase_add_loop_test(t, a_look_before_the_kernels_connect_sees_nothing, 0, 2);
	tcase_add_test(t, a_large_set_finds_them_all);
	tcase_add_test(t, select_tells_what_is_left_of_the_time);
	tcase_add_test(t, select_shows_a_failure_and_bad_fds);
	tcase_add_loop_test(t, a_signal_interrupts_the_wait_and_not_the_handshake, 0, 2);
	tcase_add_loop_test(t, a_closed_set_is_forgotten, 0, 2);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
