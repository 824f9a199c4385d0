/* SPDX-License-Identifier: ISC */
/* check_tunnel.c - the blocking tunnel against a scripted kernel that fails at each step. */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "../lib/fakesys.h"
#include "socksify/fdtab.h"
#include "socksify/tunnel.h"

#define GRANTED "\5\0" "\5\0\0\1\1\2\3\4\0\120"

static struct config config;
static struct proxy proxy;
static struct route route;
static const struct sockaddr_in asked = { .sin_family = AF_INET };

static void begin(const char *reply, size_t len)
{
	memset(&fakesys, 0, sizeof(fakesys));
	fakesys.reply = reply;
	fakesys.reply_len = len;
	fakesys.slice = 1024;
	fakesys.send_timeout_us = 0;
	config = (struct config){ .proxies = &proxy, .proxy_count = 1, .timeout_ms = 1000 };
	proxy = (struct proxy){ .has_login = false };
	ck_assert_int_eq(target_from_host("192.0.2.1", 9, 1080, &proxy.address), 0);
	route = (struct route){ .verdict = ROUTE_PROXY, .proxy = &proxy };
	ck_assert_int_eq(target_from_host("example.org", 11, 80, &route.target), 0);
	route_setup(&config, NULL);
	tunnel_set_proxy_address(NULL);
	fdtab_set_owner(1);
}

static int go(void)
{
	return tunnel_connect(5, &route, (const struct sockaddr *)(const void *)&asked,
			      sizeof(asked));
}

START_TEST(it_connects_in_any_slicing)
{
	begin(GRANTED, sizeof(GRANTED) - 1);
	fakesys.slice = (size_t)_i;
	ck_assert_int_eq(go(), 0);
	ck_assert_uint_eq(fakesys.reply_pos, fakesys.reply_len);
	ck_assert_uint_eq(fakesys.sent_len, 3 + 4 + 1 + 11 + 2);
	ck_assert(fakesys.connected);
	ck_assert(fdtab_has(5));
}
END_TEST

START_TEST(each_error_at_each_step_is_an_error_or_harmless)
{
	static const int errors[] = { -EINTR, -EAGAIN, -ENOMEM, -ECONNRESET, -EPIPE,
				      -ECONNREFUSED, -ENETUNREACH, -EINPROGRESS };
	int last;

	begin(GRANTED, sizeof(GRANTED) - 1);
	ck_assert_int_eq(go(), 0);
	last = fakesys.step;
	for (int step = 1; step <= last; step++) {
		int result;

		begin(GRANTED, sizeof(GRANTED) - 1);
		fakesys.fail_at = step;
		fakesys.fail_with = errors[_i];
		result = go();
		ck_assert_int_ne(result, -EPROTO);
		ck_assert_int_ne(result, -ECONNRESET);
		if (result == 0) {
			ck_assert_uint_eq(fakesys.reply_pos, fakesys.reply_len);
			ck_assert(fakesys.connected);
		} else {
			ck_assert_int_lt(result, 0);
			ck_assert(!fakesys.connected);
		}
	}
}
END_TEST

START_TEST(silence_ends_at_the_deadline)
{
	begin(GRANTED, (size_t)_i);
	ck_assert_int_eq(go(), -ETIMEDOUT);
	ck_assert_int_ge(fakesys.now_ms, 1000);
	ck_assert_int_lt(fakesys.now_ms, 1010);
	ck_assert(!fakesys.connected);
}
END_TEST

START_TEST(an_early_end_is_a_refusal)
{
	begin(GRANTED, (size_t)_i);
	fakesys.then_eof = true;
	ck_assert_int_eq(go(), -ECONNREFUSED);
	ck_assert(!fakesys.connected);
}
END_TEST

START_TEST(the_programs_send_timeout_counts_and_stays)
{
	begin(GRANTED, 2);
	fakesys.send_timeout_us = 250000;
	ck_assert_int_eq(go(), -ETIMEDOUT);
	ck_assert_int_lt(fakesys.now_ms, 260);
	ck_assert_int_eq(fakesys.send_timeout_us, 250000);
}
END_TEST

START_TEST(a_handler_without_restart_interrupts)
{
	begin(GRANTED, 2);
	fakesys.interrupts = true;
	fakesys.fail_with = -EINTR;
	fakesys.fail_at = 3; /* connect */
	ck_assert_int_eq(go(), -EINTR);
}
END_TEST

/* Else the program's next connect(2) would be 0 instead of EISCONN, and begin a second handshake. */
START_TEST(a_connect_in_progress_is_asked_for_its_result)
{
	begin(GRANTED, sizeof(GRANTED) - 1);
	fakesys.fail_with = -EINPROGRESS;
	fakesys.fail_at = 3;
	ck_assert_int_eq(go(), 0);
	ck_assert_int_eq(fakesys.connects, 2);
}
END_TEST

START_TEST(a_proxy_given_by_name_is_resolved)
{
	begin(GRANTED, sizeof(GRANTED) - 1);
	ck_assert_int_eq(target_from_host("proxy.example", 13, 1080, &proxy.address), 0);
	ck_assert_int_eq(go(), 0);
	begin(GRANTED, sizeof(GRANTED) - 1);
	ck_assert_int_eq(target_from_host("other.example", 13, 1080, &proxy.address), 0);
	ck_assert_int_eq(go(), -EHOSTUNREACH);
	begin(GRANTED, sizeof(GRANTED) - 1);
	ck_assert_int_eq(target_from_host("other.example", 13, 1080, &proxy.address), 0);
	tunnel_set_proxy_address("192.0.2.7,nonsense,192.0.2.8");
	ck_assert_int_eq(go(), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tunnel");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_loop_test(t, it_connects_in_any_slicing, 1, 24);
	tcase_add_loop_test(t, each_error_at_each_step_is_an_error_or_harmless, 0, 8);
	tcase_add_loop_test(t, silence_ends_at_the_deadline, 0, (int)sizeof(GRANTED) - 1);
	tcase_add_loop_test(t, an_early_end_is_a_refusal, 0, (int)sizeof(GRANTED) - 1);
	tcase_add_test(t, the_programs_send_timeout_counts_and_stays);
	tcase_add_test(t, a_handler_without_restart_interrupts);
	tcase_add_test(t, a_connect_in_progress_is_asked_for_its_result);
	tcase_add_test(t, a_proxy_given_by_name_is_resolved);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
