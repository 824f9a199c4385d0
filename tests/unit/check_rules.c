/* SPDX-License-Identifier: ISC */
/* check_rules.c - config_decide() and config_name_is_direct(). */
#include "socksify/config.h"

#include <check.h>
#include <stdlib.h>

#define TWO "proxy a socks5://192.0.2.1:1080\nproxy b socks5://proxy.example.com\n"

/* @want: "direct", "block", or the name of the proxy */
static const struct {
	const char *rules, *host;
	unsigned port;
	enum rule_proto proto;
	const char *want;
} cases[] = {
	{ TWO, "example.org", 443, PROTO_TCP, "a" },
	{ TWO, "198.51.100.1", 443, PROTO_TCP, "a" },
	{ TWO, "127.9.9.9", 80, PROTO_TCP, "direct" },
	{ TWO, "::1", 80, PROTO_TCP, "direct" },
	{ TWO, "localhost", 80, PROTO_TCP, "direct" },
	{ TWO, "x.LocalHost.", 80, PROTO_TCP, "direct" },
	{ TWO, "notlocalhost", 80, PROTO_TCP, "a" },
	{ TWO "via b *", "127.0.0.1", 80, PROTO_TCP, "direct" },
	{ TWO "via b 127.0.0.0/8", "127.0.0.1", 80, PROTO_TCP, "b" },
	{ TWO "via b localhost:80", "localhost", 80, PROTO_TCP, "b" },
	{ TWO, "192.0.2.1", 1080, PROTO_TCP, "direct" },
	{ TWO, "192.0.2.1", 1081, PROTO_TCP, "a" },
	{ TWO, "PROXY.example.com.", 1080, PROTO_TCP, "direct" },
	{ TWO "via b *", "192.0.2.1", 1080, PROTO_TCP, "direct" },
	{ TWO "block 192.0.2.1", "192.0.2.1", 1080, PROTO_TCP, "block" },
	{ TWO "via b *", "example.org", 1, PROTO_TCP, "b" },
	{ TWO "via b .onion", "x.ONION", 1, PROTO_TCP, "b" },
	{ TWO "direct example.com", "www.example.com", 1, PROTO_TCP, "a" },
	{ TWO "direct .example.com", "www.example.com", 1, PROTO_TCP, "direct" },
	{ TWO "direct .example.com", "example.com", 1, PROTO_TCP, "direct" },
	{ TWO "direct .example.com", "badexample.com", 1, PROTO_TCP, "a" },
	{ TWO "direct Example.COM:5-9", "example.com.", 9, PROTO_TCP, "direct" },
	{ TWO "direct Example.COM:5-9", "example.com.", 10, PROTO_TCP, "a" },
	{ TWO "direct Example.COM:5-9", "example.com.", 4, PROTO_TCP, "a" },
	{ TWO "direct 10.0.0.0/9", "10.127.255.255", 1, PROTO_TCP, "direct" },
	{ TWO "direct 10.0.0.0/9", "10.128.0.0", 1, PROTO_TCP, "a" },
	{ TWO "direct fd00::/8", "fdff::1", 1, PROTO_TCP, "direct" },
	{ TWO "direct 0.0.0.0/0", "2001:db8::1", 1, PROTO_TCP, "a" },
	{ TWO "direct 0.0.0.0/0 ::/0", "example.org", 1, PROTO_TCP, "a" },
	{ TWO "direct 10.0.0.0/8", "::ffff:10.1.1.1", 1, PROTO_TCP, "direct" },
	{ TWO "block h\ndirect h", "h", 1, PROTO_TCP, "block" },
	{ TWO "direct h\nblock h", "h", 1, PROTO_TCP, "direct" },
	{ TWO "block udp *:443", "h", 443, PROTO_UDP, "block" },
	{ TWO "block udp *:443", "h", 443, PROTO_TCP, "a" },
	{ TWO "block udp x h", "h", 443, PROTO_TCP, "a" },
	{ TWO "block udp x tcp h", "h", 443, PROTO_TCP, "block" },
	{ TWO, "h", 53, PROTO_UDP, "a" },
	{ TWO "udp block", "h", 53, PROTO_UDP, "block" },
	{ TWO "udp direct", "h", 53, PROTO_UDP, "direct" },
	{ TWO "udp direct", "h.onion", 53, PROTO_UDP, "block" },
	{ TWO "udp direct", "h", 53, PROTO_TCP, "a" },
	{ TWO "udp block\nvia b *", "h", 53, PROTO_UDP, "block" },
	{ TWO "udp block\nvia b udp *", "h", 53, PROTO_UDP, "b" },
	{ TWO "udp direct\nvia b h", "h", 53, PROTO_UDP, "b" },
	{ TWO "udp direct\nvia b *", "h", 53, PROTO_UDP, "direct" },
	{ TWO "udp direct\nblock *", "h", 53, PROTO_UDP, "block" },
	{ TWO "udp block\ndirect h", "h", 53, PROTO_UDP, "direct" },
	{ "", "example.org", 443, PROTO_TCP, "block" },
};

static const struct {
	const char *rules, *name;
	bool direct;
} names[] = {
	{ "", "h", false },
	{ "", "localhost", true },
	{ "direct h:22", "H.", true },
	{ "direct .h", "a.h", true },
	{ "direct *", "h", true },
	{ "direct *:22", "h", false },
	{ "direct tcp *", "h", false },
	{ "block h\ndirect h", "h", false },
	{ "block udp h\ndirect h", "h", true },
	{ "block h:80\ndirect h", "h", true },
	{ "direct 10.0.0.0/8", "h", false },
};

static struct config *parsed(const char *text)
{
	char error[CONFIG_ERROR_SIZE] = "";
	struct config *c = config_new();

	ck_assert_ptr_nonnull(c);
	ck_assert_msg(config_parse(c, "f", text, strlen(text), NULL, error) == 0,
		      "%s", error);
	return c;
}

static const char *answer(const struct decision *d)
{
	if (d->action == RULE_VIA)
		return d->proxy->name;
	return d->action == RULE_DIRECT ? "direct" : "block";
}

START_TEST(first_matching_rule_decides)
{
	struct config *c = parsed(cases[_i].rules);
	struct decision d;
	struct target t;

	ck_assert_int_eq(target_from_host(cases[_i].host, strlen(cases[_i].host),
					  (uint16_t)cases[_i].port, &t), 0);
	d = config_decide(c, &t, cases[_i].proto);
	ck_assert_msg(strcmp(answer(&d), cases[_i].want) == 0, "%s / %s: %s (%s)",
		      cases[_i].rules, cases[_i].host, answer(&d), d.why);
	ck_assert_ptr_nonnull(d.why);
	config_free(c);
}
END_TEST

START_TEST(names_of_direct_rules_are_known)
{
	struct config *c = parsed(names[_i].rules);

	ck_assert_int_eq(config_name_is_direct(c, names[_i].name),
			 names[_i].direct);
	config_free(c);
}
END_TEST

static const struct {
	const char *local;
	uint16_t port;
	const char *want;	/* NULL: none */
} listeners[] = {
	{ "0.0.0.0", 21, "a" },
	{ "0.0.0.0", 22, "b" },
	{ "0.0.0.0", 0, NULL },
	{ "::", 21, "a" },
	{ "::", 25, "c" },
	{ "192.0.2.7", 0, "b" },
	{ "192.0.2.8", 80, NULL },
};

START_TEST(bind_rules_name_listeners_by_address_and_port)
{
	struct config *c = parsed("proxy a h\nproxy b h\nproxy c h\nbind via a *:21\n"
				  "bind via b 0.0.0.0:21-23 192.0.2.7\nbind via c [::]:25");
	const struct proxy *proxy;
	struct target t;

	ck_assert_int_eq(target_from_host(listeners[_i].local, strlen(listeners[_i].local),
					  listeners[_i].port, &t), 0);
	proxy = config_bind(c, &t);
	ck_assert_str_eq(proxy != NULL ? proxy->name : "none",
			 listeners[_i].want != NULL ? listeners[_i].want : "none");
	config_free(c);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rules");
	TCase *tc = tcase_create("rules");
	SRunner *sr = srunner_create(suite);
	int failures;

	tcase_add_loop_test(tc, first_matching_rule_decides, 0,
			    (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_loop_test(tc, names_of_direct_rules_are_known, 0,
			    (int)(sizeof(names) / sizeof(names[0])));
	tcase_add_loop_test(tc, bind_rules_name_listeners_by_address_and_port, 0,
			    (int)(sizeof(listeners) / sizeof(listeners[0])));
	suite_add_tcase(suite, tc);
	srunner_run_all(sr, CK_NORMAL);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
