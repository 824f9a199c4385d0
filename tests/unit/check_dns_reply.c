/* SPDX-License-Identifier: ISC */
/* check_dns_reply.c - what is taken from a resolver's answer, and what is not believed. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "socksify/dns_msg.h"

#define CASE(question, type, octets, result, rcode, ttl, ...) \
	{ question, type, octets, sizeof(octets) - 1, result, rcode, ttl, { __VA_ARGS__ } }
#define ANSWERS(n) "\0\1\x81\x80\0\1\0" n "\0\0\0\0"
#define Q_A "\1a\0\0\1\0\1"		/* at 12; 7 octets */
#define OWNER "\xc0\14"
#define A(ttl, last) "\0\1\0\1\0\0\0" ttl "\0\4\xc0\0\2" last
#define CNAME(ttl, label) "\0\5\0\1\0\0\0" ttl "\0\3\1" label "\0"
#define SOA "\0\6\0\1\0\0\0\x63\0\x16\0\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\x1e"

static const struct {
	const char *question;
	uint16_t type;
	const char *in;
	size_t len;
	int result;
	unsigned rcode;
	uint32_t ttl;
	const char *addresses[3];
} replies[] = {
	CASE("a", 1, ANSWERS("\1") Q_A OWNER A("\5", "\1"), 0, 0, 5, "192.0.2.1"),
	CASE("A", 1, ANSWERS("\2") Q_A OWNER A("\5", "\1") OWNER A("\3", "\2"), 0, 0, 3,
	     "192.0.2.1", "192.0.2.2"),
	CASE("a", 28, ANSWERS("\1") "\1a\0\0\34\0\1" OWNER "\0\34\0\1\0\0\0\7\0\20\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1",
	     0, 0, 7, "2001:db8::1"),
	/* aliases, in order and not; the least TTL of the chain */
	CASE("a", 1, ANSWERS("\3") Q_A OWNER CNAME("\4", "b") "\1b\0" CNAME("\2", "c") "\1c\0" A("\x9", "\1"),
	     0, 0, 2, "192.0.2.1"),
	CASE("a", 1, ANSWERS("\3") Q_A "\1c\0" A("\x9", "\1") "\1b\0" CNAME("\4", "c") OWNER CNAME("\6", "b"),
	     0, 0, 4, "192.0.2.1"),
	/* an alias that leads nowhere, and records of others */
	CASE("a", 1, ANSWERS("\1") Q_A OWNER CNAME("\4", "b"), 0, 0, 0, NULL),
	CASE("a", 1, ANSWERS("\2") Q_A "\1b\0" A("\4", "\1") OWNER A("\5", "\2"), 0, 0, 5, "192.0.2.2"),
	CASE("a", 1, ANSWERS("\1") Q_A "\1b\0" A("\4", "\1"), 0, 0, 0, NULL),
	/* an alias of itself */
	CASE("a", 1, ANSWERS("\1") Q_A OWNER CNAME("\4", "a"), -EBADMSG, 0, 0, NULL),
	/* no such name, and for how long */
	CASE("a", 1, "\0\1\x81\x83\0\1\0\0\0\1\0\0" Q_A "\0" SOA, 0, 3, 30, NULL),
	CASE("a", 1, "\0\1\x81\x82\0\1\0\0\0\0\0\0" Q_A, 0, 2, 0, NULL),
	CASE("a", 1, "\0\1\x81\x85\0\0\0\0\0\0\0\0", 0, 5, 0, NULL),
	CASE("a", 1, "\0\1\x81\x80\0\1\0\0\0\0\0\1" Q_A "\0\0\51\x04\xd0\1\0\0\0\0\0", 0, 16, 0, NULL),
	/* an address in an error is none */
	CASE("a", 1, "\0\1\x81\x83\0\1\0\1\0\0\0\0" Q_A OWNER A("\5", "\1"), 0, 3, 5, NULL),
	/* a TTL with its top bit is 0 */
	CASE("a", 1, ANSWERS("\1") Q_A OWNER "\0\1\0\1\x80\0\0\1\0\4\xc0\0\2\1", 0, 0, 0, "192.0.2.1"),
	/* answers to something else */
	CASE("a", 1, "\0\2\x81\x80\0\1\0\0\0\0\0\0" Q_A, -ESRCH, 0, 0, NULL),
	CASE("b", 1, ANSWERS("\0") Q_A, -ESRCH, 0, 0, NULL),
	CASE("a", 28, ANSWERS("\0") Q_A, -ESRCH, 0, 0, NULL),
	CASE("a", 1, "\0\1\x81\x80\0\0\0\0\0\0\0\0", -ESRCH, 0, 0, NULL),
	CASE("a", 1, "\0\1\x89\x80\0\1\0\0\0\0\0\0" Q_A, -ESRCH, 0, 0, NULL),
	/* malformed */
	CASE("a", 1, "\0\1\1\x80\0\1\0\0\0\0\0\0" Q_A, -EBADMSG, 0, 0, NULL),
	CASE("a", 1, "\0\1\x81\x80\0\2\0\0\0\0\0\0" Q_A Q_A, -EBADMSG, 0, 0, NULL),
	CASE("a", 1, ANSWERS("\1") Q_A OWNER "\0\1\0\1\0\0\0\5\0\3\xc0\0\2", -EBADMSG, 0, 0, NULL),
	CASE("a", 1, ANSWERS("\1") Q_A OWNER "\0\1\0\1\0\0\0\5\0\5\xc0\0\2\1\1", -EBADMSG, 0, 0, NULL),
	CASE("a", 1, ANSWERS("\1") Q_A "\xc0\x13" A("\5", "\1"), -EBADMSG, 0, 0, NULL), /* itself */
	CASE("a", 1, ANSWERS("\1") Q_A "\xc0\x40" A("\5", "\1"), -EBADMSG, 0, 0, NULL), /* forward */
};

static struct dns_query query_of(const char *name, uint16_t type)
{
	struct dns_query q = { .id = 1, .has_question = true, .type = type,
			       .class = DNS_CLASS_IN };

	ck_assert_int_eq(dns_name_from_text(name, strlen(name), &q.name), 0);
	return q;
}

static int parse(const char *in, size_t len, const struct dns_query *q, struct dns_reply *ret)
{
	char *copy = malloc(len + (len == 0));
	int result;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, in, len);
	result = dns_reply_parse(copy, len, q, ret);
	free(copy);
	return result;
}

START_TEST(an_answer_is_understood)
{
	struct dns_query q = query_of(replies[_i].question, replies[_i].type);
	struct dns_reply reply;
	size_t count = 0;
	int err = parse(replies[_i].in, replies[_i].len, &q, &reply);

	ck_assert_int_eq(err, replies[_i].result);
	if (err != -EBADMSG)
		ck_assert_int_eq(dns_reply_matches(replies[_i].in, replies[_i].len, &q), err == 0);
	if (err < 0)
		return;
	ck_assert_uint_eq((unsigned)reply.rcode, replies[_i].rcode);
	ck_assert_uint_eq(reply.ttl, replies[_i].ttl);
	for (; replies[_i].addresses[count] != NULL; count++) {
		struct target want;

		ck_assert_int_eq(target_from_host(replies[_i].addresses[count],
						  strlen(replies[_i].addresses[count]), 0, &want), 0);
		ck_assert_uint_lt(count, reply.count);
		ck_assert(target_host_equal(&reply.addresses[count], &want));
	}
	ck_assert_uint_eq(reply.count, count);
}
END_TEST

START_TEST(a_truncated_answer_is_malformed)
{
	struct dns_query q = query_of(replies[_i].question, replies[_i].type);
	struct dns_reply reply;

	for (size_t len = 0; len < replies[_i].len; len++)
		ck_assert_int_lt(parse(replies[_i].in, len, &q, &reply), 0);
}
END_TEST

START_TEST(a_name_is_taken_from_ptr)
{
	static const char in[] = ANSWERS("\1") "\0011\0012\0010\003192\7in-addr\4arpa\0\0\14\0\1"
				 OWNER "\0\14\0\1\0\0\0\5\0\7\4Host\xc0\x1e";
	struct dns_query q = query_of("1.2.0.192.in-addr.arpa", DNS_TYPE_PTR);
	char text[TARGET_NAME_MAX + 1];
	struct dns_reply reply;

	ck_assert_int_eq(parse(in, sizeof(in) - 1, &q, &reply), 0);
	ck_assert_uint_eq(reply.count, 1);
	ck_assert_int_gt(dns_name_text(&reply.name, text), 0);
	ck_assert_str_eq(text, "Host.arpa");
}
END_TEST

START_TEST(addresses_beyond_our_room_are_left_out)
{
	static const char start[] = "\0\1\x81\x80\0\1\0\50\0\0\0\0" Q_A, record[] = OWNER A("\5", "\1");
	struct dns_query q = query_of("a", DNS_TYPE_A);
	struct dns_reply reply;
	char in[1024];
	size_t len = sizeof(start) - 1;

	memcpy(in, start, len);
	for (int i = 0; i < 40; i++) {
		memcpy(in + len, record, sizeof(record) - 1);
		len += sizeof(record) - 1;
	}
	ck_assert_int_eq(parse(in, len, &q, &reply), 0);
	ck_assert_uint_eq(reply.count, DNS_ADDRESSES);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dns_reply");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(suite);
	const int count = sizeof(replies) / sizeof(replies[0]);
	int failed;

	tcase_add_loop_test(t, an_answer_is_understood, 0, count);
	tcase_add_loop_test(t, a_truncated_answer_is_malformed, 0, count);
	tcase_add_test(t, a_name_is_taken_from_ptr);
	tcase_add_test(t, addresses_beyond_our_room_are_left_out);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
