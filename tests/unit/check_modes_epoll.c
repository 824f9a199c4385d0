/* SPDX-License-Identifier: ISC */
/* check_modes_epoll.c - epoll among connections that are shown before the proxy answered. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>

#include "../lib/program.h"
#include "socksify/epreg.h"
#include "socksify/gate.h"
#include "socksify/sys.h"

static struct fake_server *const server = &fakesys.servers[0];

#define SET 3
#define LEG_MS 30	/* the request is sent */
#define ANSWER_MS 80	/* the answers begin, 12 octets with gaps */
#define GAP_MS 10
#define HELLO_MS 180	/* the first octet of the target's */
#define DATA 7

static const char granted_hello[] = FAKE_GRANTED "HELLO";

/* How a socket is registered, and when. */
static const uint32_t kinds[] = { 0, EPOLLET, EPOLLONESHOT, EPOLLET | EPOLLONESHOT,
				  EPOLLEXCLUSIVE, EPOLLEXCLUSIVE | EPOLLET };
enum { KINDS = 6, BEFORE = 0, IN_LEG, OWED, MOMENTS };

static void add(uint32_t events)
{
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, events, DATA), 0);
}

static int epoll_now(int64_t ms)
{
	return p_epoll1(SET, ms, DATA);
}

/* Connected for the program, at LEG_MS, and registered at some moment. */
static void begin(const char *reply, size_t len, uint32_t events, int when)
{
	program_start();
	program_proxy.handshake = HANDSHAKE_OPTIMISTIC;
	*server = (struct fake_server){ .host = 1, .reply = reply, .reply_len = len,
					.connect_ns = LEG_MS * MS, .gap_ns = GAP_MS * MS,
					.answer_ns = (ANSWER_MS - LEG_MS) * MS };
	p_set(SET);
	p_socket(5, O_NONBLOCK);
	if (when == BEFORE)
		add(events);
	ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	if (when == IN_LEG)
		add(events);
	ck_assert_int_eq(p_poll1(5, POLLOUT, 1000), POLLOUT);
	if (when == OWED)
		add(events);
	ck_assert_int_eq(fdtab_state(5), CONN_OWED);
	ck_assert_int_eq(fakesys.now_ns, LEG_MS * MS);
}

static void begin_granted(uint32_t events, int when)
{
	begin(granted_hello, sizeof(granted_hello) - 1, events, when);
}

/* Nothing else than EPOLLOUT before the target's octet, however often it is asked. */
START_TEST(writable_at_once_and_readable_in_time)
{
	const uint32_t kind = kinds[_i % KINDS];
	const bool again = (kind & (EPOLLET | EPOLLONESHOT)) == 0;

	begin_granted(EPOLLIN | EPOLLOUT | kind, _i / KINDS);
	ck_assert_int_eq(epoll_now(-1), EPOLLOUT);
	ck_assert_int_eq(fakesys.now_ns, LEG_MS * MS);
	while (fakesys.now_ns < (HELLO_MS - GAP_MS) * MS) {
		int events = epoll_now(1);

		/* An edge may come twice, but there is none of what did not happen. */
		ck_assert_int_eq(events & ~EPOLLOUT, 0);
		if (again)
			ck_assert_int_eq(events, EPOLLOUT);
		if ((kind & EPOLLONESHOT) != 0)
			ck_assert_int_eq(events, 0);
		fakesys.now_ns += events != 0 ? MS : 0;
	}
	if ((kind & EPOLLONESHOT) == 0) {
		while (epoll_now(-1) == EPOLLOUT)
			fakesys.now_ns += MS;
		ck_assert_int_ge(fakesys.now_ns, HELLO_MS * MS);
		ck_assert_int_lt(fakesys.now_ns, (HELLO_MS + GAP_MS) * MS);
	}
	ck_assert_int_eq(fdtab_state(5), (kind & EPOLLONESHOT) != 0 ? CONN_OWED : CONN_CONNECTED);
	program_end();
}
END_TEST

/* Who waits to read alone wakes once, for the target's octet. */
START_TEST(a_reader_wakes_for_what_is_its_own)
{
	const uint32_t kind = kinds[_i % KINDS];

	begin_granted(EPOLLIN | kind, _i / KINDS);
	ck_assert_int_eq(epoll_now(40), 0);
	ck_assert_int_eq(fakesys.now_ns, (LEG_MS + 40) * MS);
	ck_assert_int_eq(epoll_now(61), 0);
	ck_assert_int_eq(epoll_now(-1), EPOLLIN);
	ck_assert_int_eq(fakesys.now_ns, HELLO_MS * MS);
	ck_assert_int_eq(p_recv(5, 0), 1);
	ck_assert_int_eq(epoll_now(1), 0);
	ck_assert(!epreg_any());
	program_end();
}
END_TEST

START_TEST(a_one_shot_is_loaded_again_while_answers_are_owed)
{
	const uint32_t kind = EPOLLONESHOT | (_i % 2 != 0 ? EPOLLET : 0u);

	begin_granted(EPOLLOUT | kind, _i / 2);
	ck_assert_int_eq(epoll_now(-1), EPOLLOUT);
	ck_assert_int_eq(epoll_now(5), 0);
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_MOD, 5, EPOLLOUT | kind, DATA), 0);
	ck_assert_int_eq(epoll_now(-1), EPOLLOUT);
	ck_assert_int_eq(fakesys.now_ns, (LEG_MS + 5) * MS);
	ck_assert_int_eq(epoll_now(5), 0);
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_MOD, 5, EPOLLIN | kind, DATA), 0);
	ck_assert_int_eq(epoll_now(-1), EPOLLIN);
	ck_assert_int_eq(fakesys.now_ns, HELLO_MS * MS);
	ck_assert_int_eq(epoll_now(50), 0);
	program_end();
}
END_TEST

/* It was reported and not loaded again: the end of the handshake, good or bad, is no news. */
START_TEST(a_one_shot_that_fired_stays_silent)
{
	const uint32_t kind = EPOLLONESHOT | (_i % 2 != 0 ? EPOLLET : 0u);

	if (_i / 2 == 0)
		begin(FAKE_REFUSED("\5"), 12, EPOLLOUT | kind, BEFORE);
	else
		begin_granted(EPOLLOUT | kind, BEFORE);
	ck_assert_int_eq(epoll_now(-1), EPOLLOUT);
	if (_i / 4 != 0)
		ck_assert_int_eq(p_recv(5, 0), -EAGAIN);
	ck_assert_int_eq(epoll_now(200), 0);
	(void)p_recv(5, 0); /* which ends the handshake */
	ck_assert_int_ne(fdtab_state(5), CONN_OWED);
	ck_assert_int_eq(epoll_now(200), 0);
	/* Until it is loaded. */
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_MOD, 5, EPOLLOUT | kind, DATA), 0);
	ck_assert_int_eq(epoll_now(-1) & EPOLLOUT, EPOLLOUT);
	ck_assert_int_eq(epoll_now(200), 0);
	program_end();
}
END_TEST

START_TEST(a_refusal_is_reported_as_one)
{
	const uint32_t kind = kinds[_i % KINDS];
	const uint32_t asked = EPOLLIN | ((kind & EPOLLEXCLUSIVE) != 0 ? 0u : EPOLLRDHUP);

	begin(FAKE_REFUSED("\5"), 12, asked | kind, _i / KINDS);
	ck_assert_int_eq(epoll_now(-1), (int)(asked | EPOLLERR | EPOLLHUP));
	ck_assert_int_ge(fakesys.now_ns, ANSWER_MS * MS);
	ck_assert_int_le(fakesys.now_ns, (ANSWER_MS + 2 * GAP_MS) * MS);
	ck_assert_int_eq(p_error(5), ECONNREFUSED);
	if ((kind & (EPOLLET | EPOLLONESHOT)) != 0)
		ck_assert_int_eq(epoll_now(50), 0);
	program_end();
}
END_TEST

/* Nobody asks for EPOLLIN, so nobody but us asks for the answer. */
START_TEST(a_refusal_reaches_who_does_not_read)
{
	static const uint32_t asked[] = { EPOLLOUT, 0 };
	const uint32_t edge = _i % 2 != 0 ? EPOLLET : 0u, out = asked[_i / 2 % 2];
	int events;

	begin(FAKE_REFUSED("\5"), 12, out | edge, _i / 4);
	if (out != 0)
		ck_assert_int_eq(epoll_now(-1), EPOLLOUT);
	while ((events = epoll_now(-1)) == EPOLLOUT)
		fakesys.now_ns += MS;
	ck_assert_int_eq(events, (int)(out | EPOLLERR | EPOLLHUP));
	ck_assert_int_le(fakesys.now_ns, (ANSWER_MS + 4 * GAP_MS) * MS);
	ck_assert_int_eq(p_error(5), ECONNREFUSED);
	program_end();
}
END_TEST

/* EPOLLOUT is asked for, too, and was told before. */
START_TEST(a_refusal_comes_after_the_success)
{
	const uint32_t edge = _i % 2 != 0 ? EPOLLET : 0u;
	int events;

	begin(FAKE_REFUSED("\5"), 12, EPOLLIN | EPOLLOUT | EPOLLRDHUP | edge, _i / 2);
	ck_assert_int_eq(epoll_now(-1), EPOLLOUT);
	while ((events = epoll_now(-1)) == EPOLLOUT)
		fakesys.now_ns += MS;
	ck_assert_int_eq(events, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLERR | EPOLLHUP);
	ck_assert_int_eq(p_recv(5, 0), -ECONNREFUSED);
	ck_assert_int_eq(p_recv(5, 0), 0);
	ck_assert_int_eq(p_send(5, 0), -EPIPE);
	program_end();
}
END_TEST

START_TEST(epoll_ctl_answers_as_the_kernel)
{
	begin_granted(EPOLLIN, _i);
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_ADD, 5, EPOLLIN, 1), -EEXIST);
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_MOD, 5, EPOLLIN | EPOLLEXCLUSIVE, 1), -EINVAL);
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_DEL, 5, 0, 0), 0);
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_DEL, 5, 0, 0), -ENOENT);
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_MOD, 5, EPOLLIN, 1), -ENOENT);
	ck_assert_int_eq(epoll_now(300), 0);
	add(EPOLLIN);
	ck_assert_int_eq(epoll_now(-1), EPOLLIN);
	program_end();
}
END_TEST

START_TEST(what_was_modified_meanwhile_is_reported)
{
	struct epoll_event e;

	begin_granted(EPOLLIN, _i);
	ck_assert_int_eq(epoll_now(60), 0);
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_MOD, 5, EPOLLOUT, 8), 0);
	ck_assert_int_eq(p_epoll(SET, &e, 1, -1), 1);
	ck_assert_int_eq((int)e.events, EPOLLOUT);
	ck_assert_uint_eq(e.data.u64, 8);
	ck_assert_int_eq(fakesys.now_ns, (LEG_MS + 60) * MS);
	/* No more than the error and the end is reported to who asks for nothing. */
	ck_assert_int_eq(p_ctl(SET, EPOLL_CTL_MOD, 5, 0, DATA), 0);
	ck_assert_int_eq(epoll_now(500), 0);
	program_end();
}
END_TEST

/* The number it was registered with is gone, a duplicate keeps it alive. */
START_TEST(a_registration_outlives_its_number)
{
	int64_t limit = 2 * HELLO_MS * MS;

	begin_granted(EPOLLIN, _i);
	p_dup(5, 9);
	p_close(5);
	while (epoll_now(1) == 0 && fakesys.now_ns < limit)
		continue;
	ck_assert_int_ge(fakesys.now_ns, HELLO_MS * MS);
	ck_assert_int_lt(fakesys.now_ns, limit);
	ck_assert_int_eq(p_recv(9, 0), ((int)(fakesys.now_ns / MS) - HELLO_MS) / GAP_MS + 1);
	program_end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("modes_epoll");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_loop_test(t, writable_at_once_and_readable_in_time, 0, KINDS * MOMENTS);
	tcase_add_loop_test(t, a_reader_wakes_for_what_is_its_own, 0, KINDS * MOMENTS);
	tcase_add_loop_test(t, a_one_shot_is_loaded_again_while_answers_are_owed, 0, 2 * MOMENTS);
	tcase_add_loop_test(t, a_one_shot_that_fired_stays_silent, 0, 8);
	tcase_add_loop_test(t, a_refusal_is_reported_as_one, 0, KINDS * MOMENTS);
	tcase_add_loop_test(t, a_refusal_reaches_who_does_not_read, 0, 4 * MOMENTS);
	tcase_add_loop_test(t, a_refusal_comes_after_the_success, 0, 2 * MOMENTS);
	tcase_add_loop_test(t, epoll_ctl_answers_as_the_kernel, 0, MOMENTS);
	tcase_add_loop_test(t, what_was_modified_meanwhile_is_reported, 0, MOMENTS);
	tcase_add_loop_test(t, a_registration_outlives_its_number, 0, MOMENTS);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
