/* SPDX-License-Identifier: ISC */
/* check_nameserver.c - what is answered here, what may go to a resolver, and to which. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../lib/nosys.h"
#include "socksify/config.h"
#include "socksify/dns_msg.h"
#include "socksify/namepool.h"
#include "socksify/nameserver.h"
#include "socksify/route.h"

enum { A = DNS_TYPE_A, AAAA = DNS_TYPE_AAAA, PTR = DNS_TYPE_PTR, HTTPS = DNS_TYPE_HTTPS, MX = 15,
       NS = 2 };

#define EMPTY ""	/* answered, without records */
#define POOL "pool"	/* answered with an address of the pool */
#define LONG_LABEL "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static struct config *config;
static uint8_t bytes[NAMESERVER_ROOM];
static size_t len;
static struct dns_query q;

static void start(void)
{
	static const char text[] = "proxy p socks5://192.0.2.99\n"
				   "direct .corp.example 10.0.0.0/8\n";
	char error[CONFIG_ERROR_SIZE];

	config = config_new();
	ck_assert_ptr_nonnull(config);
	ck_assert_int_eq(config_parse(config, "f", text, sizeof(text) - 1, NULL, error), 0);
	ck_assert_int_eq(namepool_open(NULL, NULL), 0);
	route_setup(config, NULL);
	nosys_hosts = "127.0.0.1 localhost\n"
		      "192.0.2.7 Printer printer.example # 192.0.2.8 nobody\n"
		      "192.0.2.9 printer\n"
		      "2001:db8::7 printer\n"
		      "2001:db8::8 sixonly";
}

static void end(void)
{
	config_free(config);
}

static enum nameserver_how ask_by(const char *name, uint16_t type, bool stream)
{
	uint8_t query[600];
	size_t query_len;

	q = (struct dns_query){ .id = 7, .has_question = true, .type = type,
				.class = DNS_CLASS_IN };
	ck_assert_int_eq(dns_name_from_text(name, strlen(name), &q.name), 0);
	ck_assert_int_eq(dns_query_build(&q, query, sizeof(query), &query_len), 0);
	return nameserver_answer(query, query_len, stream, bytes, sizeof(bytes), &len);
}

static enum nameserver_how ask(const char *name, uint16_t type)
{
	return ask_by(name, type, false);
}

static struct target host(const char *text)
{
	struct target t;

	ck_assert_int_eq(target_from_host(text, strlen(text), 0, &t), 0);
	return t;
}

/* The answer's address or name, or its lack. */
static void check_answer(const char *want)
{
	struct dns_reply reply;
	char text[TARGET_NAME_MAX + 1];
	struct target t;

	ck_assert_int_eq(dns_reply_parse(bytes, len, &q, &reply), 0);
	ck_assert_int_eq(reply.rcode, DNS_NOERROR);
	ck_assert_uint_eq(reply.count > 0, *want != '\0');
	if (reply.count == 0)
		return;
	ck_assert_uint_le(reply.ttl, 60);
	if (strcmp(want, POOL) == 0) {
		ck_assert_int_eq(namepool_name(&reply.addresses[0], &t), 0);
		ck_assert_int_gt(dns_name_text(&q.name, text), 0);
		ck_assert_str_eq(t.name, text);
	} else if (q.type == PTR) {
		ck_assert_int_ge(dns_name_text(&reply.name, text), 0);
		ck_assert_str_eq(text, want);
	} else {
		t = host(want);
		ck_assert(target_host_equal(&t, &reply.addresses[0]));
	}
}

static const struct {
	enum dns_mode mode;
	const char *name;
	uint16_t type;
	enum nameserver_how how;
	enum dns_rcode rcode;
	const char *records;
} cases[] = {
	/* the pool */
	{ DNS_REMOTE, "example.org", A, NAMESERVER_ANSWERED, 0, POOL },
	{ DNS_REMOTE, "example.org", AAAA, NAMESERVER_ANSWERED, 0, POOL },
	{ DNS_REMOTE, LONG_LABEL ".example.org", A, NAMESERVER_ANSWERED, 0, POOL },
	{ DNS_REMOTE, "example.org", HTTPS, NAMESERVER_ANSWERED, 0, EMPTY },
	{ DNS_REMOTE, "example.org", MX, NAMESERVER_ANSWERED, DNS_NOTIMP, NULL },
	{ DNS_REMOTE, "", A, NAMESERVER_ANSWERED, 0, EMPTY },
	{ DNS_REMOTE, "", NS, NAMESERVER_ANSWERED, DNS_NOTIMP, NULL },
	{ DNS_REMOTE, "example.org", DNS_TYPE_AXFR, NAMESERVER_ANSWERED, DNS_REFUSED, NULL },
	/* .onion is nobody else's, whatever the mode */
	{ DNS_REMOTE, "x.onion", A, NAMESERVER_ANSWERED, 0, POOL },
	{ DNS_LOCAL, "x.onion", AAAA, NAMESERVER_ANSWERED, 0, POOL },
	{ DNS_TCP, "x.onion", A, NAMESERVER_ANSWERED, 0, POOL },
	{ DNS_TOR, "x.onion", A, NAMESERVER_ANSWERED, 0, POOL },
	{ DNS_LOCAL, "x.onion", MX, NAMESERVER_ANSWERED, 0, EMPTY },
	{ DNS_TCP, "x.onion", MX, NAMESERVER_ANSWERED, 0, EMPTY },
	{ DNS_TCP, "onion", NS, NAMESERVER_ANSWERED, 0, EMPTY },
	/* names of this machine */
	{ DNS_REMOTE, "printer", A, NAMESERVER_ANSWERED, 0, "192.0.2.7" },
	{ DNS_REMOTE, "PRINTER.example", A, NAMESERVER_ANSWERED, 0, "192.0.2.7" },
	{ DNS_REMOTE, "printer", AAAA, NAMESERVER_ANSWERED, 0, "2001:db8::7" },
	{ DNS_REMOTE, "printer.example", AAAA, NAMESERVER_ANSWERED, 0, EMPTY },
	{ DNS_TCP, "sixonly", A, NAMESERVER_ANSWERED, 0, EMPTY },
	{ DNS_TCP, "printer", MX, NAMESERVER_ANSWERED, 0, EMPTY },
	{ DNS_REMOTE, "nobody", A, NAMESERVER_ANSWERED, 0, POOL },
	{ DNS_REMOTE, "localhost", A, NAMESERVER_ANSWERED, 0, "127.0.0.1" },
	{ DNS_REMOTE, "x.localhost", AAAA, NAMESERVER_ANSWERED, 0, "::1" },
	{ DNS_TCP, "x.localhost", MX, NAMESERVER_ANSWERED, 0, EMPTY },
	/* may go where the program sends it */
	{ DNS_REMOTE, "www.corp.example", A, NAMESERVER_PASS, 0, NULL },
	{ DNS_TCP, "www.corp.example", MX, NAMESERVER_PASS, 0, NULL },
	{ DNS_LOCAL, "example.org", A, NAMESERVER_PASS, 0, NULL },
	{ DNS_LOCAL, "example.org", MX, NAMESERVER_PASS, 0, NULL },
	{ DNS_LOCAL, "", NS, NAMESERVER_PASS, 0, NULL },
	{ DNS_LOCAL, "1.2.0.192.in-addr.arpa", PTR, NAMESERVER_PASS, 0, NULL },
	{ DNS_LOCAL, "2.0.192.in-addr.arpa", PTR, NAMESERVER_PASS, 0, NULL },
	{ DNS_LOCAL, "example.org", DNS_TYPE_AXFR, NAMESERVER_PASS, 0, NULL },
	/* for the resolver behind the proxy */
	{ DNS_TCP, "example.org", A, NAMESERVER_FORWARD, 0, NULL },
	{ DNS_TCP, "example.org", HTTPS, NAMESERVER_ANSWERED, 0, EMPTY },
	{ DNS_TCP, "example.org", MX, NAMESERVER_FORWARD, 0, NULL },
	{ DNS_TCP, "", NS, NAMESERVER_FORWARD, 0, NULL },
	{ DNS_TCP, "1.2.0.192.in-addr.arpa", PTR, NAMESERVER_FORWARD, 0, NULL },
	{ DNS_TOR, "example.org", AAAA, NAMESERVER_FORWARD, 0, NULL },
	{ DNS_TOR, "example.org", MX, NAMESERVER_ANSWERED, DNS_NOTIMP, NULL },
	{ DNS_TOR, "1.2.0.192.in-addr.arpa", PTR, NAMESERVER_FORWARD, 0, NULL },
	/* names of addresses */
	{ DNS_REMOTE, "1.2.0.192.in-addr.arpa", PTR, NAMESERVER_ANSWERED, DNS_NXDOMAIN, NULL },
	{ DNS_REMOTE, "7.2.0.192.in-addr.arpa", PTR, NAMESERVER_ANSWERED, 0, "Printer" },
	{ DNS_TCP, "2.0.192.in-addr.arpa", PTR, NAMESERVER_ANSWERED, DNS_NXDOMAIN, NULL },
	{ DNS_TCP, "1.1.168.192.in-addr.arpa", PTR, NAMESERVER_ANSWERED, DNS_NXDOMAIN, NULL },
	{ DNS_TCP, "1.1.31.172.in-addr.arpa", PTR, NAMESERVER_ANSWERED, DNS_NXDOMAIN, NULL },
	{ DNS_TCP, "1.0.18.198.in-addr.arpa", PTR, NAMESERVER_ANSWERED, DNS_NXDOMAIN, NULL },
};

START_TEST(a_query_is_answered_by_whom_it_concerns)
{
	struct dns_reply reply;
	enum nameserver_how how;

	config->dns = cases[_i].mode;
	how = ask(cases[_i].name, cases[_i].type);
	ck_assert_int_eq(how, cases[_i].how);
	if (how != NAMESERVER_ANSWERED)
		return;
	ck_assert_int_eq(dns_reply_parse(bytes, len, &q, &reply), 0);
	ck_assert_int_eq(reply.rcode, cases[_i].rcode);
	if (cases[_i].records != NULL)
		check_answer(cases[_i].records);
}
END_TEST

START_TEST(a_zone_is_not_passed_on_from_a_stream)
{
	config->dns = DNS_LOCAL;
	for (uint16_t type = DNS_TYPE_IXFR; type <= DNS_TYPE_AXFR; type++) {
		ck_assert_int_eq(ask_by("example.org", type, true), NAMESERVER_ANSWERED);
		ck_assert_int_eq(bytes[3] & 15, DNS_REFUSED);
	}
	ck_assert_int_eq(ask_by("example.org", MX, true), NAMESERVER_PASS);
}
END_TEST

START_TEST(all_addresses_of_the_hosts_file_are_given)
{
	struct dns_reply reply;

	ck_assert_int_eq(ask("printer", A), NAMESERVER_ANSWERED);
	ck_assert_int_eq(dns_reply_parse(bytes, len, &q, &reply), 0);
	ck_assert_uint_eq(reply.count, 2);
}
END_TEST

START_TEST(the_own_name_is_this_machine)
{
	nosys_own = "machine";
	ck_assert_int_eq(ask("machine", A), NAMESERVER_ANSWERED);
	check_answer("127.0.0.1");
}
END_TEST

START_TEST(an_address_of_the_pool_has_its_name)
{
	static const int families[] = { AF_INET, AF_INET6 };
	char text[TARGET_NAME_MAX + 1];
	struct dns_name name;
	struct target t;

	ck_assert_int_eq(namepool_address("example.org", 11, families[_i], &t), 0);
	dns_name_of_address(&t, &name);
	ck_assert_int_gt(dns_name_text(&name, text), 0);
	config->dns = DNS_LOCAL;
	ck_assert_int_eq(ask(text, PTR), NAMESERVER_ANSWERED);
	check_answer("example.org");
}
END_TEST

START_TEST(a_name_that_dns_cannot_say_is_none)
{
	char text[TARGET_NAME_MAX + 1];
	struct dns_reply reply;
	struct dns_name name;
	struct target t;

	memset(text, 'x', TARGET_NAME_MAX);
	ck_assert_int_eq(namepool_address(text, TARGET_NAME_MAX, AF_INET, &t), 0);
	dns_name_of_address(&t, &name);
	ck_assert_int_gt(dns_name_text(&name, text), 0);
	ck_assert_int_eq(ask(text, PTR), NAMESERVER_ANSWERED);
	ck_assert_int_eq(dns_reply_parse(bytes, len, &q, &reply), 0);
	ck_assert_int_eq(reply.rcode, DNS_NXDOMAIN);
}
END_TEST

/* RCODE of the answer to octets, or -1 for none. */
static int rcode_of(const char *query, size_t query_len)
{
	if (nameserver_answer((const uint8_t *)query, query_len, false, bytes, sizeof(bytes),
			      &len) != NAMESERVER_ANSWERED)
		return -1;
	ck_assert_uint_ge(len, DNS_HEADER_SIZE);
	return bytes[3] & 15;
}

#define RCODE_OF(octets) rcode_of(octets, sizeof(octets) - 1)

START_TEST(what_is_wrong_is_said)
{
	ck_assert_int_eq(RCODE_OF("\0\1\1\0\0\0\0\0\0\0\0\0"), DNS_FORMERR);
	ck_assert_int_eq(RCODE_OF("\0\1\x11\0\0\0\0\0\0\0\0\0"), DNS_NOTIMP);
	ck_assert_int_eq(RCODE_OF("\0\1\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\3"), DNS_REFUSED);
	ck_assert_int_eq(RCODE_OF("\0\1\x81\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1"), -1);
	ck_assert_int_eq(RCODE_OF("\0\1"), -1);
	/* "a.b" in one label is not a.b, and "x.onion" not to be told anybody */
	ck_assert_int_eq(RCODE_OF("\0\1\1\0\0\1\0\0\0\0\0\0\3a.b\0\0\1\0\1"), DNS_NXDOMAIN);
	config->dns = DNS_TCP;
	ck_assert_int_eq(RCODE_OF("\0\1\1\0\0\1\0\0\0\0\0\0\7x.onion\0\0\17\0\1"), DNS_NXDOMAIN);
}
END_TEST

START_TEST(without_settings_nothing_is_known)
{
	static const char *const names[] = { "example.org", "", "1.2.0.192.in-addr.arpa", "x.onion" };

	route_setup(NULL, "none");
	for (size_t i = 0; i < 4; i++) {
		ck_assert_int_eq(ask(names[i], i == 2 ? PTR : A), NAMESERVER_ANSWERED);
		ck_assert_int_eq(bytes[3] & 15, DNS_SERVFAIL);
	}
}
END_TEST

START_TEST(a_full_pool_is_a_failure)
{
	struct target t;
	char name[32];
	int err = 0;

	for (int i = 0; err == 0; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		err = namepool_address(name, strlen(name), AF_INET, &t);
	}
	ck_assert_int_eq(ask("one.more", A), NAMESERVER_ANSWERED);
	ck_assert_int_eq(bytes[3] & 15, DNS_SERVFAIL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nameserver");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(t, start, end);
	tcase_add_loop_test(t, a_query_is_answered_by_whom_it_concerns, 0,
			    sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(t, a_zone_is_not_passed_on_from_a_stream);
	tcase_add_test(t, all_addresses_of_the_hosts_file_are_given);
	tcase_add_test(t, the_own_name_is_this_machine);
	tcase_add_loop_test(t, an_address_of_the_pool_has_its_name, 0, 2);
	tcase_add_test(t, a_name_that_dns_cannot_say_is_none);
	tcase_add_test(t, what_is_wrong_is_said);
	tcase_add_test(t, without_settings_nothing_is_known);
	tcase_add_test(t, a_full_pool_is_a_failure);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
