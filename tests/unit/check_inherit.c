/* SPDX-License-Identifier: ISC */
/* check_inherit.c - which variables a new program gets back, and which are left as they are. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "socksify/inherit.h"

#define LIBRARY "/usr/lib/socksify/libsocksify.so"

static char *start[] = {
	"PATH=/bin", "HOME=/home/alice", "LD_PRELOAD=/a.so:" LIBRARY, "SOCKSIFY_PROXY=socks5://p:1",
	"SOCKSIFY_DNS=remote", "SOCKSIFY_LIBEXECDIR=/opt/lib", "SOCKSIFY_PRELOAD=/x", NULL
};

static char **result;

/* Set up as at start; the noted variables stay for the process, which CK_FORK makes one a test. */
static void set_up(void)
{
	struct config config = { .file = "/etc/socksify.conf", .origin = "SOCKSIFY_PROXY" };

	ck_assert_int_eq(inherit_setup(start, LIBRARY, &config), 0);
}

static void tear_down(void)
{
	free(result);
	result = NULL;
}

/* The environment that comes of @env; @env itself when nothing is to be done. */
static char **given(char **env, enum inherit_way way)
{
	struct inherit_look look;
	size_t room = inherit_look(env, way, &look);

	free(result);
	result = NULL;
	if (room == 0)
		return env;
	result = malloc(room);
	ck_assert_ptr_nonnull(result);
	return inherit_build(&look, result);
}

/* How often a variable is there, and the value of the first. */
static int count_of(char **env, const char *name, const char **ret)
{
	size_t n = strlen(name);
	int count = 0;

	for (; *env != NULL; env++) {
		if (strncmp(*env, name, n) != 0 || (*env)[n] != '=')
			continue;
		if (count++ == 0 && ret != NULL)
			*ret = *env + n + 1;
	}
	return count;
}

static void has(char **env, const char *name, const char *value)
{
	const char *there = NULL;

	ck_assert_int_eq(count_of(env, name, &there), 1);
	ck_assert_str_eq(there, value);
}

static void has_none(char **env, const char *name)
{
	ck_assert_int_eq(count_of(env, name, NULL), 0);
}

START_TEST(empty_environment_gets_all)
{
	char *none[] = { NULL };
	char **env = given(none, INHERIT_PRELOAD);

	has(env, "LD_PRELOAD", LIBRARY);
	has(env, "SOCKSIFY_PROXY", "socks5://p:1");
	has(env, "SOCKSIFY_CONF", "/etc/socksify.conf");
	has(env, "SOCKSIFY_DNS", "remote");
	has(env, "SOCKSIFY_HOME", "/home/alice");
	has(env, "SOCKSIFY_LIBRARY", LIBRARY);
	has_none(env, "SOCKSIFY_PRELOAD");	/* was for one start */
	has_none(env, "HOME");
	has_none(env, "PATH");
	ck_assert_str_eq(given(NULL, INHERIT_PRELOAD)[0], env[0]);
}
END_TEST

START_TEST(what_was_given_back_is_enough)
{
	char *none[] = { NULL };
	struct inherit_look look;
	char **env = given(none, INHERIT_PRELOAD);

	ck_assert_uint_eq(inherit_look(env, INHERIT_PRELOAD, &look), 0);
}
END_TEST

START_TEST(other_preloads_stay_in_their_order)
{
	char *other[] = { "A=1", "LD_PRELOAD=/b.so /c.so", "B=2", NULL };
	char *ours[] = { "LD_PRELOAD=/b.so:" LIBRARY ":/c.so", NULL };
	char *similar[] = { "LD_PRELOAD=" LIBRARY ".1", NULL };
	char **env = given(other, INHERIT_PRELOAD);

	has(env, "LD_PRELOAD", LIBRARY ":/b.so /c.so");
	has(env, "A", "1");
	has(env, "B", "2");
	has(given(ours, INHERIT_PRELOAD), "LD_PRELOAD", "/b.so:" LIBRARY ":/c.so");
	has(given(similar, INHERIT_PRELOAD), "LD_PRELOAD", LIBRARY ":" LIBRARY ".1");
	has(given((char *[]){ "LD_PRELOAD=", NULL }, INHERIT_PRELOAD), "LD_PRELOAD", LIBRARY);
}
END_TEST

START_TEST(another_proxy_is_not_overruled)
{
	char *proxy[] = { "SOCKSIFY_PROXY=socks5://q:2", NULL };
	char *conf[] = { "SOCKSIFY_CONF=/q.conf", NULL };
	char *same[] = { "SOCKSIFY_CONF=/etc/socksify.conf", NULL };
	char **env = given(proxy, INHERIT_PRELOAD);

	has(env, "SOCKSIFY_PROXY", "socks5://q:2");
	has_none(env, "SOCKSIFY_CONF");
	has(env, "SOCKSIFY_DNS", "remote");
	env = given(conf, INHERIT_PRELOAD);
	has_none(env, "SOCKSIFY_PROXY");
	has(env, "SOCKSIFY_CONF", "/q.conf");
	env = given(same, INHERIT_PRELOAD);
	has(env, "SOCKSIFY_PROXY", "socks5://p:1");
	has(env, "SOCKSIFY_CONF", "/etc/socksify.conf");
}
END_TEST

START_TEST(the_way_out)
{
	struct inherit_look look;
	char *out[] = { "SOCKSIFY_DISABLE=1", NULL };
	char *not_out[] = { "SOCKSIFY_DISABLE=0", NULL };
	char *empty[] = { "SOCKSIFY_DISABLE=", NULL };

	ck_assert_uint_eq(inherit_look(out, INHERIT_PRELOAD, &look), 0);
	ck_assert_uint_ne(inherit_look(not_out, INHERIT_PRELOAD, &look), 0);
	ck_assert_uint_ne(inherit_look(empty, INHERIT_PRELOAD, &look), 0);
}
END_TEST

START_TEST(the_runner_runs_without_the_library)
{
	char *before[] = { "LD_PRELOAD=/b.so:" LIBRARY, "SOCKSIFY_DISABLE=0", "A=1", NULL };
	char **env = given(before, INHERIT_RUN);

	ck_assert_str_eq(inherit_runner(), "/opt/lib/socksify-run");
	has_none(env, "LD_PRELOAD");
	has(env, "SOCKSIFY_PRELOAD", "/b.so:" LIBRARY);
	has(env, "SOCKSIFY_DISABLE", "1");
	has(env, "A", "1");
	has(given((char *[]){ NULL }, INHERIT_RUN), "SOCKSIFY_PRELOAD", "");
}
END_TEST

START_TEST(address_sanitizer_is_told)
{
	char *none[] = { NULL };
	char *some[] = { "ASAN_OPTIONS=detect_leaks=0", NULL };
	char *said[] = { "ASAN_OPTIONS=verify_asan_link_order=1", NULL };

	has(given(none, INHERIT_PRELOAD_LATE), "ASAN_OPTIONS", "verify_asan_link_order=0");
	has(given(some, INHERIT_PRELOAD_LATE), "ASAN_OPTIONS",
	    "verify_asan_link_order=0:detect_leaks=0");
	has(given(said, INHERIT_PRELOAD_LATE), "ASAN_OPTIONS", "verify_asan_link_order=1");
	has_none(given(none, INHERIT_PRELOAD), "ASAN_OPTIONS");
}
END_TEST

START_TEST(shell_words_mean_the_same)
{
	char *some[] = { "LD_PRELOAD=/it's.so", NULL };
	struct inherit_look look;
	char script[4096];
	size_t n;

	ck_assert_uint_ne(inherit_look(some, INHERIT_PRELOAD, &look), 0);
	n = inherit_script(&look, "echo 'a b'", NULL);
	ck_assert_uint_lt(n, sizeof(script));
	ck_assert_uint_eq(inherit_script(&look, "echo 'a b'", script), n);
	ck_assert_uint_eq(strlen(script) + 1, n);
	ck_assert_ptr_nonnull(strstr(script, "export LD_PRELOAD='" LIBRARY ":/it'\\''s.so'; "));
	ck_assert_ptr_nonnull(strstr(script, "exec /bin/sh -c -- 'echo '\\''a b'\\''' sh"));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("inherit");
	TCase *t = tcase_create("environment");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, empty_environment_gets_all);
	tcase_add_test(t, what_was_given_back_is_enough);
	tcase_add_test(t, other_preloads_stay_in_their_order);
	tcase_add_test(t, another_proxy_is_not_overruled);
	tcase_add_test(t, the_way_out);
	tcase_add_test(t, the_runner_runs_without_the_library);
	tcase_add_test(t, address_sanitizer_is_told);
	tcase_add_test(t, shell_words_mean_the_same);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
