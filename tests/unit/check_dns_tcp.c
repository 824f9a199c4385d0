/* SPDX-License-Identifier: ISC */
/* check_dns_tcp.c - a resolver behind the proxy that answers, lies, stops or hangs. */
#include <check.h>
#include <errno.h>

#include "../lib/program.h"
#include "socksify/dns_cache.h"
#include "socksify/dns_msg.h"
#include "socksify/dns_tcp.h"
#include "socksify/namepool.h"
#include "socksify/nameserver.h"
#include "socksify/resolver.h"

#define QUESTION "\1a\0\0\1\0\1"
#define QUERY "\1\2\1\0\0\1\0\0\0\0\0\0" QUESTION
#define HEAD(id) id "\x81\x80\0\1\0\1\0\0\0\0"
#define RECORD "\xc0\14\0\1\0\1\0\0\0\5\0\4\xc0\0\2\1"
#define ANSWER HEAD("\1\2") QUESTION RECORD
#define CASE(octets, eof, err) { FAKE_GRANTED octets, sizeof(FAKE_GRANTED octets) - 1, eof, err }

static const struct {
	const char *reply;
	size_t len;
	bool then_eof;
	int err;
} cases[] = {
	CASE("\0\43" ANSWER, false, 0),
	CASE("\0\43" ANSWER "more", true, 0),
	CASE("\0\43" HEAD("\1\3") QUESTION RECORD, false, -EPROTO),	/* another's */
	CASE("\0\43" HEAD("\1\2") "\1b\0\0\1\0\1" RECORD, false, -EPROTO),
	CASE("\0\43" "\1\2\1\0\0\1\0\1\0\0\0\0" QUESTION RECORD, false, -EPROTO),	/* no answer */
	CASE("\0\13\1\2\x81\x80\0\1\0\0\0\0\0", false, -EPROTO),	/* no header */
	CASE("\2\1" ANSWER, true, -EMSGSIZE),
	CASE("\0\44" ANSWER, true, -ECONNRESET),
	CASE("\0", true, -ECONNRESET),
	CASE("", true, -ECONNRESET),
	CASE("\0\44" ANSWER, false, -ETIMEDOUT),
	CASE("\0\43\1", false, -ETIMEDOUT),
	CASE("", false, -ETIMEDOUT),
};

static void start(void)
{
	program_start();
	program_config.dns = DNS_TCP;
	ck_assert_int_eq(target_from_host("192.0.2.53", 10, 53, &program_config.dns_server), 0);
	ck_assert_int_eq(namepool_open(NULL, NULL), 0);
}

static void serve(const char *reply, size_t len, bool then_eof)
{
	fakesys.servers[0].reply = reply;
	fakesys.servers[0].reply_len = len;
	fakesys.servers[0].then_eof = then_eof;
}

/* Nothing of ours stays open. */
static void check_closed(void)
{
	for (int fd = 0; fd < FAKE_FDS; fd++)
		ck_assert_ptr_null(fakesys.fds[fd]);
	ck_assert(!fakesys.hung);
}

START_TEST(a_resolver_is_believed_when_it_answers_the_question)
{
	for (size_t slice = 0; slice <= 48; slice++) {
		uint8_t answer[512];
		size_t len = 0;
		int err;

		start();
		fakesys.slice = slice;
		fakesys.servers[0].gap_ns = (int64_t)slice * 1000;
		serve(cases[_i].reply, cases[_i].len, cases[_i].then_eof);
		err = dns_tcp_ask((const uint8_t *)QUERY, sizeof(QUERY) - 1, answer, sizeof(answer), &len);
		ck_assert_int_eq(err, cases[_i].err);
		ck_assert_int_le(fakesys.now_ns, 10000 * MS);
		if (err == 0) {
			ck_assert_uint_eq(len, sizeof(ANSWER) - 1);
			ck_assert_mem_eq(answer, ANSWER, len);
		}
		check_closed();
	}
}
END_TEST

START_TEST(the_proxy_is_asked_for_the_resolver_and_the_query_is_framed)
{
	static const char sent[] = "\5\1\0" "\5\1\0\1\xc0\0\2\x35\0\x35" "\0\23" QUERY;
	uint8_t answer[512];
	size_t len;

	serve(cases[0].reply, cases[0].len, false);
	ck_assert_int_eq(dns_tcp_ask((const uint8_t *)QUERY, sizeof(QUERY) - 1, answer,
				     sizeof(answer), &len), 0);
	ck_assert_uint_eq(fakesys.files[0].sent_len, sizeof(sent) - 1);
	ck_assert_mem_eq(fakesys.files[0].sent, sent, sizeof(sent) - 1);
}
END_TEST

START_TEST(two_answers_may_come_in_any_order)
{
	static const char first[] = QUERY, second[] = "\7\7\1\0\0\1\0\0\0\0\0\0" QUESTION;
	uint8_t answers[2][512];
	struct dns_ask asks[2] = {
		{ (const uint8_t *)first, sizeof(first) - 1, answers[0], 512, 0 },
		{ (const uint8_t *)second, sizeof(second) - 1, answers[1], 512, 0 },
	};
	static const char reply[] = FAKE_GRANTED "\0\43" HEAD("\7\7") QUESTION RECORD "\0\43" ANSWER;
	static const char twice[] = FAKE_GRANTED "\0\43" ANSWER "\0\43" ANSWER;

	serve(reply, sizeof(reply) - 1, false);
	ck_assert_int_eq(dns_tcp_exchange(asks, 2), 0);
	ck_assert_mem_eq(answers[0], ANSWER, asks[0].answer_len);
	ck_assert_mem_eq(answers[1], "\7\7", 2);
	serve(twice, sizeof(twice) - 1, false);
	ck_assert_int_eq(dns_tcp_exchange(asks, 2), -EPROTO);
	check_closed();
}
END_TEST

START_TEST(what_cannot_be_asked_is_not_sent)
{
	struct rule block = { .action = RULE_BLOCK, .pattern = { .kind = PATTERN_ALL, .port_high = 65535 } };
	uint8_t answer[512];
	size_t len;

	ck_assert_int_eq(dns_tcp_ask((const uint8_t *)ANSWER, sizeof(ANSWER) - 1, answer,
				     sizeof(answer), &len), -EINVAL);
	program_config.rules = &block;
	program_config.rule_count = 1;
	ck_assert_int_eq(dns_tcp_ask((const uint8_t *)QUERY, sizeof(QUERY) - 1, answer,
				     sizeof(answer), &len), -EACCES);
	program_config.dns = DNS_REMOTE;
	ck_assert_int_eq(dns_tcp_ask((const uint8_t *)QUERY, sizeof(QUERY) - 1, answer,
				     sizeof(answer), &len), -ENETDOWN);
	ck_assert_int_eq(fakesys.connects, 0);
}
END_TEST

START_TEST(a_failure_on_the_way_is_an_error)
{
	static const int errors[] = { -ENOMEM, -EMFILE, -ECONNREFUSED, -ECONNRESET, -EPIPE };
	uint8_t answer[512];
	size_t len;
	int err;

	for (int step = 1; step < 1000; step++) {
		start();
		serve(cases[0].reply, cases[0].len, false);
		fakesys.fail_with = errors[_i];
		fakesys.fail_at = step;
		err = dns_tcp_ask((const uint8_t *)QUERY, sizeof(QUERY) - 1, answer, sizeof(answer), &len);
		if (fakesys.step < step)
			return;
		ck_assert_int_lt(err, 0);
		check_closed();
	}
	ck_abort_msg("it never ends");
}
END_TEST

START_TEST(a_query_without_an_answer_is_a_server_failure)
{
	uint8_t answer[512];
	size_t len;

	serve(cases[_i].reply, cases[_i].len, cases[_i].then_eof);
	ck_assert_int_eq(nameserver_forward((const uint8_t *)QUERY, sizeof(QUERY) - 1, false, answer,
					    sizeof(answer), &len), 0);
	/* Here there is room for a message of any length. */
	if (cases[_i].err == 0) {
		ck_assert_mem_eq(answer, ANSWER, len);
		return;
	}
	ck_assert_uint_eq(len, sizeof(QUERY) - 1);
	ck_assert_int_eq(answer[3] & 15, DNS_SERVFAIL);
}
END_TEST

START_TEST(an_answer_that_is_too_long_is_cut)
{
	uint8_t answer[512];
	size_t len;

	serve(cases[0].reply, cases[0].len, false);
	ck_assert_int_eq(nameserver_forward((const uint8_t *)QUERY, sizeof(QUERY) - 1, false, answer,
					    20, &len), 0);
	ck_assert_uint_eq(len, sizeof(QUERY) - 1);
	ck_assert_int_ne(answer[2] & 2, 0);
}
END_TEST

/* The ID is made of the clock, which begins at 0 here. */
#define ANSWERS(id, question, records, code) \
	id "\x81" code "\0\1\0" records "\0\0\0\0" question

START_TEST(addresses_are_kept_for_as_long_as_they_last)
{
	static const char reply[] = FAKE_GRANTED "\0\43" ANSWERS("\0\0", QUESTION, "\1", "\x80") RECORD
				    "\0\23" ANSWERS("\0\1", "\1a\0\0\34\0\1", "\0", "\x80");
	struct resolve_list list;
	int connects;

	serve(reply, sizeof(reply) - 1, false);
	ck_assert_int_eq(resolver_addresses("a", 1, AF_UNSPEC, &list), RESOLVE_ADDRESS);
	ck_assert_uint_eq(list.count, 1);
	ck_assert_int_eq(list.addresses[0].ip[3], 1);
	connects = fakesys.connects;
	fakesys.now_ns += 4000 * MS;
	ck_assert_int_eq(resolver_addresses("A", 1, AF_INET, &list), RESOLVE_ADDRESS);
	ck_assert_int_eq(fakesys.connects, connects);
	fakesys.now_ns += 2000 * MS;
	serve("", 0, true);
	ck_assert_int_eq(resolver_addresses("a", 1, AF_INET, &list), RESOLVE_AGAIN);
	ck_assert_int_gt(fakesys.connects, connects);
}
END_TEST

START_TEST(an_address_of_the_pool_is_none_of_a_resolvers)
{
	static const char reply[] = FAKE_GRANTED "\0\43" ANSWERS("\0\0", "\1p\0\0\1\0\1", "\1", "\x80")
				    "\xc0\14\0\1\0\1\0\0\0\5\0\4\xc6\x12\0\1";
	struct resolve_list list;

	serve(reply, sizeof(reply) - 1, false);
	ck_assert_int_eq(resolver_addresses("p", 1, AF_INET, &list), RESOLVE_NO_ADDRESS);
}
END_TEST

START_TEST(a_name_that_is_not_is_nothing)
{
	static const char reply[] = FAKE_GRANTED "\0\23" ANSWERS("\0\0", "\1n\0\0\1\0\1", "\0", "\x83");
	struct resolve_list list;

	serve(reply, sizeof(reply) - 1, false);
	ck_assert_int_eq(resolver_addresses("n", 1, AF_INET, &list), RESOLVE_NOTHING);
}
END_TEST

#define TOR(command) "\5\1\0" "\5" command "\0"

START_TEST(tor_is_asked_for_addresses_and_names)
{
	static const char address[] = "\5\0" "\5\0\0\1\xc0\0\2\7\0\0", none[] = "\5\0" "\5\4\0\1\0\0\0\0\0\0";
	static const char name[] = "\5\0" "\5\0\0\3\1n\0\0", evil[] = "\5\0" "\5\0\0\3\3n\n;\0\0";
	struct resolve_list list;
	struct target t, got;

	program_config.dns = DNS_TOR;
	serve(address, sizeof(address) - 1, false);
	ck_assert_int_eq(resolver_addresses("t.x", 3, AF_INET, &list), RESOLVE_ADDRESS);
	ck_assert_int_eq(list.addresses[0].ip[3], 7);
	ck_assert_mem_eq(fakesys.files[0].sent, TOR("\xf0") "\3\3t.x\0\0", 13);
	ck_assert_int_eq(resolver_addresses("t.x", 3, AF_INET6, &list), RESOLVE_NO_ADDRESS);
	serve(none, sizeof(none) - 1, false);
	ck_assert_int_eq(resolver_addresses("u.x", 3, AF_UNSPEC, &list), RESOLVE_NOTHING);
	/* A no is not remembered. */
	serve(address, sizeof(address) - 1, false);
	ck_assert_int_eq(resolver_addresses("u.x", 3, AF_INET, &list), RESOLVE_ADDRESS);
	ck_assert_int_eq(target_from_host("192.0.2.7", 9, 9, &t), 0);
	serve(name, sizeof(name) - 1, false);
	ck_assert_int_eq(resolver_name(&t, &got), RESOLVE_ADDRESS);
	ck_assert_str_eq(got.name, "n");
	ck_assert_uint_eq(got.port, 9);
	ck_assert_mem_eq(fakesys.files[0].sent, TOR("\xf1") "\1\xc0\0\2\7\0\0", 13);
	serve(evil, sizeof(evil) - 1, false);
	ck_assert_int_eq(resolver_name(&t, &got), RESOLVE_NOTHING);
	check_closed();
}
END_TEST

START_TEST(the_cache_is_bounded_and_keeps_the_newest)
{
	struct dns_cached in = { .rcode = DNS_NOERROR, .count = 1 }, out;
	struct dns_name name = { 4, "\2xx" };

	for (int i = 0; i < 5000; i++) {
		name.wire[1] = (uint8_t)(i >> 8);
		name.wire[2] = (uint8_t)i;
		in.ip[0][0] = (uint8_t)(i % 251);
		dns_cache_put(&name, DNS_TYPE_A, 100, &in);
		ck_assert(dns_cache_get(&name, DNS_TYPE_A, &out));
		ck_assert_int_eq(out.ip[0][0], i % 251);
		ck_assert(!dns_cache_get(&name, DNS_TYPE_AAAA, &out));
	}
	dns_cache_put(&name, DNS_TYPE_AAAA, 0, &in);
	ck_assert(!dns_cache_get(&name, DNS_TYPE_AAAA, &out));
	dns_cache_put(&name, DNS_TYPE_A, UINT32_MAX, &in);
	fakesys.now_ns += 3601000 * MS;
	ck_assert(!dns_cache_get(&name, DNS_TYPE_A, &out));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dns_tcp");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(suite);
	const int count = sizeof(cases) / sizeof(cases[0]);
	int failed;

	tcase_add_checked_fixture(t, start, NULL);
	tcase_add_loop_test(t, a_resolver_is_believed_when_it_answers_the_question, 0, count);
	tcase_add_test(t, the_proxy_is_asked_for_the_resolver_and_the_query_is_framed);
	tcase_add_test(t, two_answers_may_come_in_any_order);
	tcase_add_test(t, what_cannot_be_asked_is_not_sent);
	tcase_add_loop_test(t, a_failure_on_the_way_is_an_error, 0, 5);
	tcase_add_loop_test(t, a_query_without_an_answer_is_a_server_failure, 0, count);
	tcase_add_test(t, an_answer_that_is_too_long_is_cut);
	tcase_add_test(t, addresses_are_kept_for_as_long_as_they_last);
	tcase_add_test(t, an_address_of_the_pool_is_none_of_a_resolvers);
	tcase_add_test(t, a_name_that_is_not_is_nothing);
	tcase_add_test(t, tor_is_asked_for_addresses_and_names);
	tcase_add_test(t, the_cache_is_bounded_and_keeps_the_newest);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
