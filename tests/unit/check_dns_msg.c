/* SPDX-License-Identifier: ISC */
/* check_dns_msg.c - queries and the answers to them (RFC 1035, RFC 6891), names and their text. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "socksify/dns_msg.h"

#define HEADER(flags, counts) "\x12\x34" flags counts
#define ONE "\0\1\0\0\0\0\0\0"
#define ONE_AND_OPT "\0\1\0\0\0\0\0\1"
#define NAME "\7Example\3org\0"
#define A_IN "\0\1\0\1"
#define OPT "\0\0\51\x04\xd0\0\0\x80\0\0\0"
#define CASE(octets, result) { octets, sizeof(octets) - 1, result }

struct octets {
	const char *in;
	size_t len;
	int result;
};

static const struct octets queries[] = {
	CASE(HEADER("\1\0", ONE) NAME A_IN, DNS_NOERROR),
	CASE(HEADER("\1\x10", ONE_AND_OPT) NAME "\0\34\0\1" OPT, DNS_NOERROR),
	CASE(HEADER("\1\0", ONE_AND_OPT) "\0\0\2\0\1" OPT, DNS_NOERROR),		/* the root */
	CASE(HEADER("\1\0", "\0\1\0\0\0\0\0\2") NAME A_IN "\1x\0\0\20\0\1\0\0\0\5\0\2ab" OPT,
	     DNS_NOERROR),								/* others before OPT */
	CASE(HEADER("\1\0", "\0\1\0\0\0\0\0\1") NAME A_IN "\xc0\14\0\1\0\1\0\0\0\5\0\4abcd",
	     DNS_NOERROR),								/* a compressed owner */
	CASE(HEADER("\1\0", "\0\0\0\0\0\0\0\0"), DNS_FORMERR),				/* no question */
	CASE(HEADER("\1\0", "\0\2\0\0\0\0\0\0") NAME A_IN NAME A_IN, DNS_FORMERR),
	CASE(HEADER("\1\0", ONE) "\xc0\14" A_IN, DNS_FORMERR),			/* points at itself */
	CASE(HEADER("\1\0", ONE) "\1a\xc0\0" A_IN, DNS_FORMERR),			/* into the header */
	CASE(HEADER("\1\0", ONE) "\x41" "a\0" A_IN, DNS_FORMERR),			/* label type 01 */
	CASE(HEADER("\1\0", ONE) NAME A_IN "x", DNS_FORMERR),				/* more than it says */
	CASE(HEADER("\1\0", "\0\1\0\0\0\0\0\2") NAME A_IN OPT OPT, DNS_FORMERR),
	CASE(HEADER("\1\0", ONE_AND_OPT) NAME A_IN "\1a" OPT, DNS_FORMERR),		/* OPT is the root's */
	CASE(HEADER("\1\0", ONE) NAME "\0\51\0\1", DNS_FORMERR),			/* OPT is no question */
	CASE(HEADER("\1\0", ONE_AND_OPT) NAME A_IN "\0\0\51\x04\xd0\0\1\0\0\0\0", DNS_BADVERS),
	CASE(HEADER("\x11\0", ONE) NAME A_IN, DNS_NOTIMP),				/* STATUS */
	CASE(HEADER("\x28\0", ONE) NAME "\0\6\0\1", DNS_NOTIMP),			/* UPDATE */
	CASE(HEADER("\1\0", ONE) NAME "\0\20\0\3", DNS_REFUSED),			/* CHAOS */
	CASE(HEADER("\x81\0", ONE) NAME A_IN, -EBADMSG),				/* an answer */
	CASE("\x12\x34\1\0\0\1\0\0\0\0\0", -EBADMSG),					/* no whole header */
	CASE("", -EBADMSG),
};

/* In memory of its exact size, so that a sanitizer or valgrind sees a read past the end. */
static int parse(const char *in, size_t len, struct dns_query *ret)
{
	char *copy = malloc(len + (len == 0));
	int result;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, in, len);
	result = dns_query_parse(copy, len, ret);
	free(copy);
	return result;
}

START_TEST(a_query_is_understood)
{
	struct dns_query q;

	ck_assert_int_eq(parse(queries[_i].in, queries[_i].len, &q), queries[_i].result);
}
END_TEST

START_TEST(a_truncated_query_is_malformed)
{
	struct dns_query q;

	for (size_t len = 0; len < queries[_i].len; len++) {
		int result = parse(queries[_i].in, len, &q);

		if (len < DNS_HEADER_SIZE)
			ck_assert_int_eq(result, -EBADMSG);
		else if (queries[_i].result == DNS_NOERROR)
			ck_assert_int_eq(result, DNS_FORMERR);
	}
}
END_TEST

START_TEST(all_fields_of_a_query_are_taken)
{
	static const struct octets *in = &queries[1];
	struct dns_query q;
	char text[TARGET_NAME_MAX + 1];

	ck_assert_int_eq(parse(in->in, in->len, &q), 0);
	ck_assert_uint_eq(q.id, 0x1234);
	ck_assert(q.recursion_desired && q.checking_disabled && q.dnssec_ok && q.has_opt);
	ck_assert_uint_eq(q.payload, 1232);
	ck_assert_uint_eq(q.type, DNS_TYPE_AAAA);
	ck_assert_uint_eq(q.class, DNS_CLASS_IN);
	ck_assert_int_eq(dns_name_text(&q.name, text), 11);
	ck_assert_str_eq(text, "Example.org"); /* case is kept: 0x20 resolvers compare it */
}
END_TEST

START_TEST(a_query_that_is_built_is_the_one_that_was_parsed)
{
	uint8_t built[600];
	struct dns_query q;
	size_t len;

	if (queries[_i].result != DNS_NOERROR)
		return;
	ck_assert_int_eq(parse(queries[_i].in, queries[_i].len, &q), 0);
	ck_assert_int_eq(dns_query_build(&q, built, sizeof(built), &len), 0);
	if (_i < 3) { /* those without foreign records */
		ck_assert_uint_eq(len, queries[_i].len);
		ck_assert_mem_eq(built, queries[_i].in, len);
	}
	for (size_t room = 0; room < len; room++)
		ck_assert_int_eq(dns_query_build(&q, built, room, &len), -EMSGSIZE);
}
END_TEST

static struct dns_query query_of(const char *name, uint16_t type)
{
	struct dns_query q = { .id = 0xabcd, .has_question = true, .type = type,
			       .class = DNS_CLASS_IN, .recursion_desired = true };

	ck_assert_int_eq(dns_name_from_text(name, strlen(name), &q.name), 0);
	return q;
}

static struct target host(const char *text)
{
	struct target t;

	ck_assert_int_eq(target_from_host(text, strlen(text), 0, &t), 0);
	return t;
}

START_TEST(an_answer_has_the_octets_of_the_rfc)
{
	static const char want[] = "\xab\xcd\x81\x80\0\1\0\1\0\0\0\0" "\1a\0\0\1\0\1"
				   "\xc0\14\0\1\0\1\0\0\0\5\0\4\xc0\0\2\1";
	struct dns_query q = query_of("a", DNS_TYPE_A);
	struct dns_record record = { 5, host("192.0.2.1") };
	uint8_t answer[512];
	size_t len;

	ck_assert_int_eq(dns_answer_build(&q, DNS_NOERROR, &record, 1, answer, sizeof(answer),
					  &len), 0);
	ck_assert_uint_eq(len, sizeof(want) - 1);
	ck_assert_mem_eq(answer, want, len);
}
END_TEST

START_TEST(opt_and_the_upper_bits_of_an_rcode)
{
	static const char want[] = "\xab\xcd\x81\x80\0\1\0\0\0\0\0\1" "\1a\0\0\1\0\1"
				   "\0\0\51\x04\xd0\1\0\x80\0\0\0";
	struct dns_query q = query_of("a", DNS_TYPE_A);
	uint8_t answer[512];
	size_t len;

	q.has_opt = q.dnssec_ok = true;
	ck_assert_int_eq(dns_answer_build(&q, DNS_BADVERS, NULL, 0, answer, sizeof(answer), &len),
			 0);
	ck_assert_uint_eq(len, sizeof(want) - 1);
	ck_assert_mem_eq(answer, want, len);
}
END_TEST

START_TEST(what_does_not_fit_is_truncated)
{
	struct dns_query q = query_of("a", DNS_TYPE_A);
	struct dns_record records[3] = { { 5, host("192.0.2.1") }, { 5, host("192.0.2.2") },
					 { 5, host("192.0.2.3") } };
	const size_t bare = 12 + 3 + 4 + DNS_OPT_SIZE, whole = bare + sizeof(records) / sizeof(records[0]) * 16;
	uint8_t answer[512];
	size_t len;

	q.has_opt = true;
	for (size_t room = 0; room <= whole; room++) {
		int err = dns_answer_build(&q, DNS_NOERROR, records, 3, answer, room, &len);

		ck_assert_int_eq(err, room < bare ? -EMSGSIZE : 0);
		if (err < 0)
			continue;
		ck_assert_uint_eq(len, room < whole ? bare : whole);
		ck_assert_int_eq((answer[2] & 2) != 0, room < whole); /* TC */
		ck_assert_uint_eq(answer[7], room < whole ? 0 : 3);
		ck_assert_uint_eq(answer[11], 1);
	}
	len = dns_answer_cut(&q, answer, whole, whole - 1);
	ck_assert_uint_eq(len, bare);
	ck_assert_int_ne(answer[2] & 2, 0);
	ck_assert_uint_eq(answer[7], 0);
	ck_assert_uint_eq(dns_answer_cut(&q, answer, bare, bare), bare);
	ck_assert_uint_eq(dns_answer_cut(&q, answer, bare, bare - 1), 0);
}
END_TEST

START_TEST(the_limit_is_what_the_client_takes)
{
	struct dns_query q = query_of("a", DNS_TYPE_A);

	q.payload = 4096;
	ck_assert_uint_eq(dns_limit(&q, false), 512);
	q.has_opt = true;
	ck_assert_uint_eq(dns_limit(&q, false), 4096);
	q.payload = 100;
	ck_assert_uint_eq(dns_limit(&q, false), 512); /* RFC 6891 section 6.2.3 */
	ck_assert_uint_eq(dns_limit(&q, true), 65535);
}
END_TEST

/* @count labels of @each octets, the last of @last. */
static size_t long_name(char *text, size_t count, size_t each, size_t last)
{
	size_t len = 0;

	for (size_t i = 0; i < count; i++) {
		size_t n = i + 1 < count ? each : last;

		memset(text + len, 'x', n);
		len += n;
		text[len++] = '.';
	}
	return len - 1;
}

START_TEST(names_have_limits)
{
	struct dns_name name;
	char text[600], back[TARGET_NAME_MAX + 1];
	size_t len;

	ck_assert_int_eq(dns_name_from_text(text, long_name(text, 1, 0, 63), &name), 0);
	ck_assert_int_eq(dns_name_from_text(text, long_name(text, 1, 0, 64), &name), -EINVAL);
	len = long_name(text, 4, 63, 61); /* 253, which are 255 on the wire */
	ck_assert_int_eq(dns_name_from_text(text, len, &name), 0);
	ck_assert_uint_eq(name.len, 255);
	ck_assert_int_eq(dns_name_text(&name, back), 253);
	ck_assert_int_eq(dns_name_from_text(text, len + 1, &name), 0); /* the dot */
	ck_assert_int_eq(dns_name_from_text(text, long_name(text, 4, 63, 62), &name), -EINVAL);
	ck_assert_int_eq(dns_name_from_text(text, long_name(text, 127, 1, 1), &name), 0);
	ck_assert_int_eq(dns_name_from_text(text, long_name(text, 128, 1, 1), &name), -EINVAL);
	ck_assert_int_eq(dns_name_from_text("a..b", 4, &name), -EINVAL);
	ck_assert_int_eq(dns_name_from_text(".a", 2, &name), -EINVAL);
	ck_assert_int_eq(dns_name_from_text("a\0b", 3, &name), -EINVAL);
	ck_assert_int_eq(dns_name_from_text(".", 1, &name), 0);
	ck_assert_uint_eq(name.len, 1);
	ck_assert_int_eq(dns_name_text(&name, back), 0);
}
END_TEST

START_TEST(labels_may_hold_any_octet_but_text_cannot)
{
	struct dns_name name = { 5, "\3\xff\1 " };
	char text[TARGET_NAME_MAX + 1];

	ck_assert_int_eq(dns_name_text(&name, text), 3);
	name.wire[2] = '.';
	ck_assert_int_eq(dns_name_text(&name, text), -EINVAL);
	name.wire[2] = '\0';
	ck_assert_int_eq(dns_name_text(&name, text), -EINVAL);
}
END_TEST

START_TEST(names_are_equal_but_for_case)
{
	struct dns_query q = query_of("WWW.Example.org", DNS_TYPE_A), other;

	other = query_of("www.example.ORG", DNS_TYPE_A);
	ck_assert(dns_name_equal(&q.name, &other.name));
	other = query_of("www.example.or", DNS_TYPE_A);
	ck_assert(!dns_name_equal(&q.name, &other.name));
	ck_assert(dns_name_is_below(&q.name, "example.ORG"));
	ck_assert(dns_name_is_below(&q.name, "www.example.org."));
	ck_assert(dns_name_is_below(&q.name, ""));
	ck_assert(!dns_name_is_below(&q.name, "ample.org"));
	ck_assert(!dns_name_is_below(&q.name, "a.www.example.org"));
}
END_TEST

static const struct {
	const char *name, *address;
} reverses[] = {
	{ "1.2.0.192.in-addr.arpa", "192.0.2.1" },
	{ "255.10.0.0.IN-ADDR.ARPA", "0.0.10.255" },
	{ "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "2001:db8::1" },
	{ "2.0.192.in-addr.arpa", NULL },
	{ "0.1.2.0.192.in-addr.arpa", NULL },
	{ "01.2.0.192.in-addr.arpa", NULL },
	{ "256.2.0.192.in-addr.arpa", NULL },
	{ "1x.2.0.192.in-addr.arpa", NULL },
	{ "in-addr.arpa", NULL },
	{ "1.2.0.192.in-addr.arp", NULL },
	{ "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", NULL },
	{ "g.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", NULL },
	{ "", NULL },
};

START_TEST(addresses_are_names_below_arpa)
{
	struct dns_query q = query_of(reverses[_i].name, DNS_TYPE_PTR);
	struct target address, want;
	struct dns_name back;
	int err = dns_name_address(&q.name, &address);

	ck_assert_int_eq(err, reverses[_i].address != NULL ? 0 : -EINVAL);
	if (err < 0)
		return;
	want = host(reverses[_i].address);
	ck_assert(target_host_equal(&address, &want));
	dns_name_of_address(&address, &back);
	ck_assert(dns_name_equal(&back, &q.name));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dns_msg");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(suite);
	const int count = sizeof(queries) / sizeof(queries[0]);
	int failed;

	tcase_add_loop_test(t, a_query_is_understood, 0, count);
	tcase_add_loop_test(t, a_truncated_query_is_malformed, 0, count);
	tcase_add_test(t, all_fields_of_a_query_are_taken);
	tcase_add_loop_test(t, a_query_that_is_built_is_the_one_that_was_parsed, 0, count);
	tcase_add_test(t, an_answer_has_the_octets_of_the_rfc);
	tcase_add_test(t, opt_and_the_upper_bits_of_an_rcode);
	tcase_add_test(t, what_does_not_fit_is_truncated);
	tcase_add_test(t, the_limit_is_what_the_client_takes);
	tcase_add_test(t, names_have_limits);
	tcase_add_test(t, labels_may_hold_any_octet_but_text_cannot);
	tcase_add_test(t, names_are_equal_but_for_case);
	tcase_add_loop_test(t, addresses_are_names_below_arpa, 0,
			    sizeof(reverses) / sizeof(reverses[0]));
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
