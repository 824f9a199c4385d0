/* SPDX-License-Identifier: ISC */
/* check_event.c - lines stay lines whatever is in a name, and say what is known. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "socksify/event.h"

static struct event plain(void)
{
	return (struct event){
		.time_ms = INT64_C(1709210096789), /* 2024-02-29T12:34:56.789Z */
		.pid = 4242, .program = "curl", .target = "example.org:443",
		.proxy = "192.0.2.1:1080", .verdict = EVENT_PROXIED,
		.ms = 102, .sent = 517, .received = 5310,
	};
}

START_TEST(text_has_all_in_one_order)
{
	struct event e = plain();
	char line[EVENT_LINE_SIZE];
	size_t len = event_text(&e, line);

	ck_assert_str_eq(line, "2024-02-29T12:34:56.789Z 4242 curl example.org:443 -> "
			       "192.0.2.1:1080 proxied 102ms 517/5310\n");
	ck_assert_uint_eq(len, strlen(line));
	e.verdict = EVENT_REFUSED;
	e.protocol = "udp";
	e.proxy = NULL;
	e.ms = e.sent = e.received = EVENT_UNKNOWN;
	e.reason = "no \x1b way";
	(void)event_text(&e, line);
	ck_assert_str_eq(line, "2024-02-29T12:34:56.789Z 4242 curl example.org:443/udp -> "
			       "- refused - -/- no \\x1b way\n");
}
END_TEST

START_TEST(json_has_all_and_null)
{
	struct event e = plain();
	char line[EVENT_LINE_SIZE];

	(void)event_json(&e, line);
	ck_assert_str_eq(line, "{\"time\":\"2024-02-29T12:34:56.789Z\",\"pid\":4242,"
			       "\"program\":\"curl\",\"protocol\":\"tcp\","
			       "\"target\":\"example.org:443\",\"proxy\":\"192.0.2.1:1080\","
			       "\"verdict\":\"proxied\",\"ms\":102,\"sent\":517,"
			       "\"received\":5310,\"reason\":null}\n");
	e.proxy = NULL;
	e.ms = EVENT_UNKNOWN;
	(void)event_json(&e, line);
	ck_assert_ptr_nonnull(strstr(line, "\"proxy\":null,"));
	ck_assert_ptr_nonnull(strstr(line, "\"ms\":null,"));
}
END_TEST

START_TEST(each_octet_of_a_name_is_harmless)
{
	char name[2] = { (char)_i, '\0' }, line[EVENT_LINE_SIZE], before[] = "4242 ";
	struct event e = plain();
	size_t len;

	e.program = name;
	len = event_text(&e, line);
	ck_assert_ptr_eq(memchr(line, '\n', len), line + len - 1);
	for (size_t i = 0; i + 1 < len; i++)
		ck_assert(line[i] >= ' ' && line[i] < 0x7f && line[i] != '"');
	if (_i <= ' ' || _i >= 0x7f || strchr("\\\"'", _i) != NULL)
		ck_assert_int_eq(strncmp(strstr(line, before) + 5, "\\x", 2), 0);
	len = event_json(&e, line);
	ck_assert_ptr_eq(memchr(line, '\n', len), line + len - 1);
	if (_i < ' ' || _i >= 0x7f)
		ck_assert_ptr_nonnull(strstr(line, "\"program\":\"\\u00"));
	if (_i == '"' || _i == '\\')
		ck_assert_ptr_nonnull(strstr(line, _i == '"' ? ":\"\\\"\"," : ":\"\\\\\","));
}
END_TEST

START_TEST(too_long_strings_are_cut_not_the_line)
{
	char line[EVENT_LINE_SIZE], *name = malloc(5000);
	struct event e = plain();
	size_t len;

	memset(name, _i, 4999);
	name[4999] = '\0';
	e.program = e.target = e.proxy = e.reason = name;
	len = event_text(&e, line);
	ck_assert_uint_lt(len, EVENT_LINE_SIZE);
	ck_assert_ptr_nonnull(strstr(line, " proxied 102ms 517/5310 "));
	ck_assert_int_eq(line[len - 1], '\n');
	len = event_json(&e, line);
	ck_assert_uint_lt(len, EVENT_LINE_SIZE);
	ck_assert_ptr_nonnull(strstr(line, "\"received\":5310,\"reason\":\""));
	ck_assert_str_eq(line + len - 3, "\"}\n");
	len = event_message(0, 1, name, line);
	ck_assert_str_eq(line + len - 3, "\"}\n");
	free(name);
}
END_TEST

START_TEST(dates_are_those_of_the_calendar)
{
	static const struct {
		int64_t ms;
		const char *text;
	} dates[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ INT64_C(951782400000), "2000-02-29T00:00:00.000Z" },
		{ INT64_C(1735689599999), "2024-12-31T23:59:59.999Z" },
		{ INT64_C(4107542400000), "2100-03-01T00:00:00.000Z" },
	};
	char line[EVENT_LINE_SIZE];
	struct event e = plain();

	for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
		e.time_ms = dates[i].ms;
		(void)event_text(&e, line);
		line[24] = '\0';
		ck_assert_str_eq(line, dates[i].text);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("event");
	TCase *tc = tcase_create("event");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, text_has_all_in_one_order);
	tcase_add_test(tc, json_has_all_and_null);
	tcase_add_loop_test(tc, each_octet_of_a_name_is_harmless, 1, 256);
	tcase_add_loop_test(tc, too_long_strings_are_cut_not_the_line, 'a' - 0, 'a' + 1);
	tcase_add_loop_test(tc, too_long_strings_are_cut_not_the_line, 1, 2);
	tcase_add_test(tc, dates_are_those_of_the_calendar);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
