/* SPDX-License-Identifier: ISC */
/* check_url.c - proxy_from_url(): what is accepted, what is refused, what is never shown. */
#include "socksify/config.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

static const struct {
	const char *url, *where, *user, *pass;
} good[] = {
	{ "socks5://proxy.example.com:1081", "proxy.example.com:1081", NULL, NULL },
	{ "SOCKS5H://proxy", "proxy:1080", NULL, NULL },
	{ "proxy", "proxy:1080", NULL, NULL },
	{ "192.0.2.1:9050", "192.0.2.1:9050", NULL, NULL },
	{ "socks5://[2001:db8::1]", "[2001:db8::1]:1080", NULL, NULL },
	{ "[::1]:65535/", "[::1]:65535", NULL, NULL },
	{ "socks5h://user:p%40ss@host:1", "host:1", "user", "p@ss" },
	{ "u:a:b@host", "host:1080", "u", "a:b" },
	{ "u:a@b@host", "host:1080", "u", "a@b" },
	{ "u%3a:%2F,@host/", "host:1080", "u:", "/," },
	{ "socks5://7f3a:1080", "7f3a:1080", NULL, NULL },
};

static const struct {
	const char *url;
	int result;
	const char *says;
} bad[] = {
	{ "", -EINVAL, "empty" },
	{ "socks5://", -EINVAL, "host is empty" },
	{ "socks5://:1080", -EINVAL, "host is empty" },
	{ "sokcs5://h", -EINVAL, "did you mean 'socks5'" },
	{ "ftp://h", -EINVAL, "use socks5 or socks5h" },
	{ "socks4://h", -ENOTSUP, "not built yet" },
	{ "socks4a://h", -ENOTSUP, "not built yet" },
	{ "HTTP://h", -ENOTSUP, "not built yet" },
	{ "socks5://unix:/run/socks", -ENOTSUP, "not built yet" },
	{ "socks5://h:70000", -EINVAL, "bad port '70000': use 1 to 65535" },
	{ "socks5://h:0", -EINVAL, "bad port '0'" },
	{ "socks5://h:", -EINVAL, "bad port" },
	{ "socks5://h:1/x", -EINVAL, "follows" },
	{ "socks5://h?x", -EINVAL, "follows" },
	{ "socks5://h#", -EINVAL, "follows" },
	{ "socks5://[::1", -EINVAL, "']'" },
	{ "socks5://[::1]1080", -EINVAL, "']'" },
	{ "socks5://[192.0.2.1]", -EINVAL, "IPv6" },
	{ "socks5://[::g]", -EINVAL, "IPv6" },
	{ "socks5://::1", -EINVAL, "brackets" },
	{ "socks5://10.0.0.256", -EINVAL, "neither an IP address" },
	{ "socks5://a..b", -EINVAL, "dots" },
	{ "socks5://a b", -EINVAL, "blank" },
	{ "user@h", -EINVAL, "no password" },
	{ "user:@h", -EINVAL, "no password" },
	{ ":secret@h", -EINVAL, "user name is empty" },
	{ "@h", -EINVAL, "no password" },
	{ "u:secret%4@h", -EINVAL, "hex digits" },
	{ "u:secret%zz@h", -EINVAL, "hex digits" },
	{ "u:sec/ret@h", -EINVAL, "%2F" },
	{ "socks5://user:secret", -EINVAL, "bad port" },
	{ "socks5://user:secret:h:1080", -EINVAL, "more than one ':'" },
};

START_TEST(good_url_is_understood)
{
	char error[CONFIG_ERROR_SIZE], text[TARGET_TEXT_SIZE];
	struct proxy p;

	ck_assert_int_eq(proxy_from_url(good[_i].url, &p, error), 0);
	ck_assert_str_eq(target_text(&p.address, text), good[_i].where);
	ck_assert_int_eq(p.has_login, good[_i].user != NULL);
	if (!p.has_login)
		return;
	ck_assert_uint_eq(p.login.user_len, strlen(good[_i].user));
	ck_assert_uint_eq(p.login.pass_len, strlen(good[_i].pass));
	ck_assert_mem_eq(p.login.user, good[_i].user, p.login.user_len);
	ck_assert_mem_eq(p.login.pass, good[_i].pass, p.login.pass_len);
}
END_TEST

START_TEST(bad_url_is_refused_without_showing_a_password)
{
	char error[CONFIG_ERROR_SIZE] = "";
	struct proxy p = { .name = "untouched" };

	ck_assert_int_eq(proxy_from_url(bad[_i].url, &p, error), bad[_i].result);
	ck_assert_msg(strstr(error, bad[_i].says) != NULL, "%s: %s",
		      bad[_i].url, error);
	ck_assert_ptr_null(strstr(error, "secret"));
	ck_assert_str_eq(p.name, "untouched");
}
END_TEST

START_TEST(login_has_255_octets_at_most)
{
	char url[600], error[CONFIG_ERROR_SIZE];
	struct proxy p;

	for (int len = 254; len <= 257; len++) {
		memcpy(url, "u:", 2);
		memset(url + 2, 'x', (size_t)len);
		memcpy(url + 2 + len, "@h", 3);
		ck_assert_int_eq(proxy_from_url(url, &p, error),
				 len <= 255 ? 0 : -EINVAL);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("url");
	TCase *tc = tcase_create("url");
	SRunner *sr = srunner_create(suite);
	int failures;

	tcase_add_loop_test(tc, good_url_is_understood, 0,
			    (int)(sizeof(good) / sizeof(good[0])));
	tcase_add_loop_test(tc, bad_url_is_refused_without_showing_a_password, 0,
			    (int)(sizeof(bad) / sizeof(bad[0])));
	tcase_add_test(tc, login_has_255_octets_at_most);
	suite_add_tcase(suite, tc);
	srunner_run_all(sr, CK_NORMAL);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
