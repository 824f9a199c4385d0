/* SPDX-License-Identifier: ISC */
/* check_target.c - targets from and to text and socket addresses. */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "socksify/target.h"

static const struct {
	const char *host;
	enum target_kind kind;
	const char *text;
	bool loopback;
} cases[] = {
	{ "192.0.2.1", TARGET_IPV4, "192.0.2.1:80", false },
	{ "127.9.9.9", TARGET_IPV4, "127.9.9.9:80", true },
	{ "0.0.0.0", TARGET_IPV4, "0.0.0.0:80", true },
	{ "::1", TARGET_IPV6, "[::1]:80", true },
	{ "::", TARGET_IPV6, "[::]:80", true },
	{ "2001:db8::1", TARGET_IPV6, "[2001:db8::1]:80", false },
	{ "::ffff:192.0.2.1", TARGET_IPV4, "192.0.2.1:80", false },
	{ "::ffff:127.0.0.1", TARGET_IPV4, "127.0.0.1:80", true },
	{ "example.org", TARGET_NAME, "example.org:80", false },
	{ "bad\nname", TARGET_NAME, "bad?name:80", false },
	{ "1.2.3", TARGET_NAME, "1.2.3:80", false },
};

START_TEST(hosts_are_told_apart)
{
	struct target t;
	char buf[TARGET_TEXT_SIZE];

	ck_assert_int_eq(target_from_host(cases[_i].host, strlen(cases[_i].host), 80, &t), 0);
	ck_assert_int_eq(t.kind, cases[_i].kind);
	ck_assert_str_eq(target_text(&t, buf), cases[_i].text);
	ck_assert_int_eq(target_is_loopback(&t), cases[_i].loopback);
}
END_TEST

START_TEST(names_have_1_to_255_octets)
{
	char name[256];
	char buf[TARGET_TEXT_SIZE];
	struct target t;

	memset(name, 'a', sizeof(name));
	ck_assert_int_eq(target_from_host(name, 0, 1, &t), -EINVAL);
	ck_assert_int_eq(target_from_host(name, 255, 65535, &t), 0);
	ck_assert_uint_eq(strlen(target_text(&t, buf)), 255 + 6);
	ck_assert_int_eq(target_from_host(name, 256, 1, &t), -EINVAL);
	ck_assert_int_eq(target_from_host("a\0b", 3, 1, &t), -EINVAL);
}
END_TEST

/* At any alignment, and never more than was passed. */
START_TEST(socket_addresses_are_kept_as_passed)
{
	socklen_t full = _i == 0 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	union sockaddr_any any, kept;
	char bytes[sizeof(any) + 1];
	const void *at = bytes + 1;

	memset(&any, 0x5a, sizeof(any));
	any.sa.sa_family = _i == 0 ? AF_INET : AF_INET6;
	memcpy(bytes + 1, &any, sizeof(any));
	for (socklen_t len = sizeof(sa_family_t); len <= sizeof(any); len++) {
		socklen_t n;

		memset(&kept, 0, sizeof(kept));
		n = sockaddr_keep(at, len, &kept);
		ck_assert_uint_eq(n, len < full ? len : full);
		ck_assert_mem_eq(&kept, &any, n);
		for (socklen_t k = n; k < sizeof(kept); k++)
			ck_assert_int_eq(((const char *)&kept)[k], 0);
	}
}
END_TEST

START_TEST(socket_addresses_survive_the_round_trip)
{
	union sockaddr_any any;
	struct target t, back;
	int family = _i == 0 ? AF_INET : AF_INET6;
	int len;

	ck_assert_int_eq(target_from_host("192.0.2.1", 9, 443, &t), 0);
	len = target_to_sockaddr(&t, family, &any);
	ck_assert_int_gt(len, 0);
	ck_assert_int_eq(any.sa.sa_family, family);
	ck_assert_int_eq(target_from_sockaddr(&any.sa, (socklen_t)len, &back), 0);
	ck_assert(target_host_equal(&t, &back));
	ck_assert_uint_eq(back.port, 443);
	for (int cut = 0; cut < len - 4; cut++)
		ck_assert_int_lt(target_from_sockaddr(&any.sa, (socklen_t)cut, &back), 0);
}
END_TEST

START_TEST(a_family_that_cannot_carry_it_is_an_error)
{
	union sockaddr_any any;
	struct target t;

	ck_assert_int_eq(target_from_host("2001:db8::1", 11, 1, &t), 0);
	ck_assert_int_eq(target_to_sockaddr(&t, AF_INET, &any), -EAFNOSUPPORT);
	ck_assert_int_eq(target_from_host("name", 4, 1, &t), 0);
	ck_assert_int_eq(target_to_sockaddr(&t, AF_INET6, &any), -EAFNOSUPPORT);
	any.sa.sa_family = AF_UNIX;
	ck_assert_int_eq(target_from_sockaddr(&any.sa, sizeof(any), &t), -EAFNOSUPPORT);
}
END_TEST

START_TEST(names_are_equal_whatever_their_case)
{
	struct target a, b;

	ck_assert_int_eq(target_from_host("Example.ORG", 11, 1, &a), 0);
	ck_assert_int_eq(target_from_host("example.org", 11, 2, &b), 0);
	ck_assert(target_host_equal(&a, &b));
	ck_assert_int_eq(target_from_host("example.orh", 11, 2, &b), 0);
	ck_assert(!target_host_equal(&a, &b));
}
END_TEST

START_TEST(a_port_is_part_of_a_target)
{
	struct target a = target_loopback(AF_INET, 1), b = target_loopback(AF_INET, 2);
	struct target six = target_loopback(AF_INET6, 1), written;

	ck_assert(target_equal(&a, &a));
	ck_assert(!target_equal(&a, &b));
	ck_assert(!target_equal(&a, &six));
	ck_assert_int_eq(target_from_host("127.0.0.1", 9, 1, &written), 0);
	ck_assert(target_equal(&a, &written));
	ck_assert_int_eq(target_from_host("::1", 3, 1, &written), 0);
	ck_assert(target_equal(&six, &written));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("target");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_loop_test(t, hosts_are_told_apart, 0, (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(t, names_have_1_to_255_octets);
	tcase_add_test(t, a_port_is_part_of_a_target);
	tcase_add_loop_test(t, socket_addresses_survive_the_round_trip, 0, 2);
	tcase_add_loop_test(t, socket_addresses_are_kept_as_passed, 0, 2);
	tcase_add_test(t, a_family_that_cannot_carry_it_is_an_error);
	tcase_add_test(t, names_are_equal_whatever_their_case);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
