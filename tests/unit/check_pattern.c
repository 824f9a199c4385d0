/* SPDX-License-Identifier: ISC */
/* check_pattern.c - pattern_parse(): hosts, domains, networks, ports. */
#include "socksify/config.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

static const struct {
	const char *text;
	enum pattern_kind kind;
	const char *host;
	unsigned prefix, low, high;
	enum rule_proto proto;
} good[] = {
	{ "*", PATTERN_ALL, NULL, 0, 0, 65535, PROTO_ANY },
	{ "*:443", PATTERN_ALL, NULL, 0, 443, 443, PROTO_ANY },
	{ "udp *:443", PATTERN_ALL, NULL, 0, 443, 443, PROTO_UDP },
	{ "tcp\th", PATTERN_NAME, "h:0", 0, 0, 65535, PROTO_TCP },
	{ "example.com", PATTERN_NAME, "example.com:0", 0, 0, 65535, PROTO_ANY },
	{ "example.com.:1-2", PATTERN_NAME, "example.com:0", 0, 1, 2, PROTO_ANY },
	{ ".example.com", PATTERN_DOMAIN, "example.com:0", 0, 0, 65535, PROTO_ANY },
	{ "*.example.com:8", PATTERN_DOMAIN, "example.com:0", 0, 8, 8, PROTO_ANY },
	{ "a_b", PATTERN_NAME, "a_b:0", 0, 0, 65535, PROTO_ANY },
	{ "10.0.0.1", PATTERN_NET, "10.0.0.1:0", 32, 0, 65535, PROTO_ANY },
	{ "10.0.0.0/8:22", PATTERN_NET, "10.0.0.0:0", 8, 22, 22, PROTO_ANY },
	{ "0.0.0.0/0", PATTERN_NET, "0.0.0.0:0", 0, 0, 65535, PROTO_ANY },
	{ "::/0", PATTERN_NET, "[::]:0", 0, 0, 65535, PROTO_ANY },
	{ "fd00::/8", PATTERN_NET, "[fd00::]:0", 8, 0, 65535, PROTO_ANY },
	{ "[fd00::/8]:22", PATTERN_NET, "[fd00::]:0", 8, 22, 22, PROTO_ANY },
	{ "[::1]", PATTERN_NET, "[::1]:0", 128, 0, 65535, PROTO_ANY },
	{ "[::1]:1-65535", PATTERN_NET, "[::1]:0", 128, 1, 65535, PROTO_ANY },
	{ "::ffff:10.0.0.0/104", PATTERN_NET, "10.0.0.0:0", 8, 0, 65535, PROTO_ANY },
	{ "::ffff:10.0.0.1", PATTERN_NET, "10.0.0.1:0", 32, 0, 65535, PROTO_ANY },
};

static const struct {
	const char *text, *says;
} bad[] = {
	{ "", "empty" },
	{ ".", "empty" },
	{ ":80", "*:port" },
	{ "a..b", "dots" },
	{ "a b", "letters" },
	{ "a*b", "stands alone" },
	{ "*example.com", "stands alone" },
	{ "10.0.0.256", "neither an IP address" },
	{ ".10.0.0.1", "dot in front" },
	{ "10.1.0.0/8", "the network address is 10.0.0.0/8" },
	{ "fd00::1/8", "the network address is fd00::/8" },
	{ "10.0.0.0/33", "use 0 to 32" },
	{ "::/129", "use 0 to 128" },
	{ "10.0.0.0/", "use 0 to 32" },
	{ "fd00::/8:22", "brackets" },
	{ "[fd00::]/8", "into the brackets" },
	{ "[10.0.0.1]", "IPv6" },
	{ "[::1", "']'" },
	{ "[::1]x", "']'" },
	{ "[::1]:", "bad port" },
	{ "fe80::1%eth0", "no valid IP" },
	{ "h:0", "use 1 to 65535" },
	{ "h:65536", "use 1 to 65535" },
	{ "h:http", "bad port 'http'" },
	{ "h:9-8", "lower port" },
	{ "h:-8", "bad port" },
	{ "h:8-", "bad port" },
	{ "h/8", "no valid IP" },
};

START_TEST(good_pattern_is_understood)
{
	char error[CONFIG_ERROR_SIZE] = "", text[TARGET_TEXT_SIZE];
	struct pattern p;

	ck_assert_msg(pattern_parse(good[_i].text, strlen(good[_i].text), &p,
				    error) == 0, "%s", error);
	ck_assert_int_eq(p.kind, good[_i].kind);
	ck_assert_int_eq(p.proto, good[_i].proto);
	ck_assert_uint_eq(p.port_low, good[_i].low);
	ck_assert_uint_eq(p.port_high, good[_i].high);
	ck_assert_int_eq(p.has_ports, good[_i].low != 0);
	if (good[_i].host != NULL)
		ck_assert_str_eq(target_text(&p.host, text), good[_i].host);
	if (p.kind == PATTERN_NET)
		ck_assert_uint_eq(p.prefix, good[_i].prefix);
}
END_TEST

START_TEST(bad_pattern_is_refused_with_a_remedy)
{
	char error[CONFIG_ERROR_SIZE] = "";
	struct pattern p = { .prefix = 77 };

	ck_assert_int_eq(pattern_parse(bad[_i].text, strlen(bad[_i].text), &p,
				       error), -EINVAL);
	ck_assert_msg(strstr(error, bad[_i].says) != NULL, "%s: %s",
		      bad[_i].text, error);
	ck_assert_uint_eq(p.prefix, 77);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pattern");
	TCase *tc = tcase_create("pattern");
	SRunner *sr = srunner_create(suite);
	int failures;

	tcase_add_loop_test(tc, good_pattern_is_understood, 0,
			    (int)(sizeof(good) / sizeof(good[0])));
	tcase_add_loop_test(tc, bad_pattern_is_refused_with_a_remedy, 0,
			    (int)(sizeof(bad) / sizeof(bad[0])));
	suite_add_tcase(suite, tc);
	srunner_run_all(sr, CK_NORMAL);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
