/* SPDX-License-Identifier: ISC */
/* check_namepool.c - names keep their addresses, across processes and at the pool's end. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "socksify/namepool.h"

static char dir[] = "/tmp/check_namepool.XXXXXX";
static char pool_dir[64];

static void make_dir(void)
{
	strcpy(dir, "/tmp/check_namepool.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(pool_dir, sizeof(pool_dir), "%s/pool", dir);
}

static void remove_dir(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	ck_assert_int_eq(system(command), 0);
}

static struct target address_of(const char *name, int family)
{
	struct target t;

	ck_assert_int_eq(namepool_address(name, strlen(name), family, &t), 0);
	ck_assert(namepool_contains(&t));
	return t;
}

START_TEST(a_name_has_one_address_and_back)
{
	struct target v4, v6, again, name;

	ck_assert_int_eq(namepool_open(pool_dir), 0);
	v4 = address_of("Example.ORG", AF_INET);
	v6 = address_of("example.org", AF_INET6);
	again = address_of("example.org", AF_INET);
	ck_assert(target_host_equal(&v4, &again));
	v4.port = 99;
	ck_assert_int_eq(namepool_name(&v4, &name), 0);
	ck_assert_str_eq(name.name, "example.org");
	ck_assert_uint_eq(name.port, 99);
	ck_assert_int_eq(namepool_name(&v6, &name), 0);
	ck_assert_str_eq(name.name, "example.org");
}
END_TEST

START_TEST(an_address_that_was_not_given_has_no_name)
{
	struct target t, name;

	ck_assert_int_eq(namepool_open(NULL), 0);
	t = address_of("a", AF_INET);
	t.ip[3]++;
	ck_assert(namepool_contains(&t));
	ck_assert_int_eq(namepool_name(&t, &name), -ENOENT);
	ck_assert_int_eq(target_from_host("192.0.2.1", 9, 1, &t), 0);
	ck_assert(!namepool_contains(&t));
	ck_assert_int_eq(namepool_name(&t, &name), -ENOENT);
}
END_TEST

START_TEST(the_pool_is_shared_by_unrelated_processes)
{
	struct target before, after;
	int status;

	ck_assert_int_eq(namepool_open(pool_dir), 0);
	before = address_of("parent.example", AF_INET);
	if (fork() == 0) {
		struct target t;

		/* As after exec: opened anew by its path. */
		_exit(namepool_open(pool_dir) != 0 ||
		      namepool_address("parent.example", 14, AF_INET, &t) != 0 ||
		      !target_host_equal(&t, &before) ||
		      namepool_address("child.example", 13, AF_INET, &t) != 0);
	}
	ck_assert_int_gt(wait(&status), 0);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(target_from_host("192.0.2.1", 9, 1, &after), 0);
	after = address_of("child.example", AF_INET);
	ck_assert(!target_host_equal(&before, &after));
}
END_TEST

START_TEST(concurrent_writers_agree)
{
	int status;

	ck_assert_int_eq(namepool_open(pool_dir), 0);
	for (int child = 0; child < 8; child++) {
		if (fork() != 0)
			continue;
		for (int i = 0; i < 2000; i++) {
			struct target t, name;
			char text[32];

			snprintf(text, sizeof(text), "n%d.example", i);
			if (namepool_address(text, strlen(text), AF_INET, &t) != 0 ||
			    namepool_name(&t, &name) != 0 || strcmp(name.name, text) != 0)
				_exit(1);
		}
		_exit(0);
	}
	for (int child = 0; child < 8; child++) {
		ck_assert_int_gt(wait(&status), 0);
		ck_assert_int_eq(status, 0);
	}
}
END_TEST

START_TEST(a_full_pool_says_so_and_keeps_what_it_has)
{
	struct target first, t;
	char text[32];
	int err = 0, given = 0;

	ck_assert_int_eq(namepool_open(NULL), 0);
	first = address_of("n0", AF_INET);
	for (int i = 1; err == 0 && i < 200000; i++) {
		snprintf(text, sizeof(text), "n%d", i);
		err = namepool_address(text, strlen(text), AF_INET, &t);
		given += err == 0;
	}
	ck_assert_int_eq(err, -EAGAIN);
	ck_assert_int_ge(given, 100000);
	t = address_of("n0", AF_INET);
	ck_assert(target_host_equal(&first, &t));
}
END_TEST

START_TEST(a_folder_that_others_can_read_is_not_used)
{
	char file[96];

	ck_assert_int_eq(mkdir(pool_dir, 0700), 0);
	ck_assert_int_eq(chmod(pool_dir, 0755), 0);
	ck_assert_int_eq(namepool_open(pool_dir), 0);
	address_of("a", AF_INET);
	snprintf(file, sizeof(file), "%s/names-1", pool_dir);
	ck_assert_int_ne(access(file, F_OK), 0);
}
END_TEST

START_TEST(a_damaged_file_is_replaced)
{
	char file[96];
	struct stat st;
	FILE *f;

	ck_assert_int_eq(mkdir(pool_dir, 0700), 0);
	snprintf(file, sizeof(file), "%s/names-1", pool_dir);
	f = fopen(file, "w");
	ck_assert_ptr_nonnull(f);
	fputs("nonsense", f);
	fclose(f);
	ck_assert_int_eq(chmod(file, 0600), 0);
	ck_assert_int_eq(namepool_open(pool_dir), 0);
	address_of("a", AF_INET);
	ck_assert_int_eq(stat(file, &st), 0);
	ck_assert_int_gt(st.st_size, 1000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("namepool");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, make_dir, remove_dir);
	tcase_add_test(t, a_name_has_one_address_and_back);
	tcase_add_test(t, an_address_that_was_not_given_has_no_name);
	tcase_add_test(t, the_pool_is_shared_by_unrelated_processes);
	tcase_add_test(t, concurrent_writers_agree);
	tcase_add_test(t, a_full_pool_says_so_and_keeps_what_it_has);
	tcase_add_test(t, a_folder_that_others_can_read_is_not_used);
	tcase_add_test(t, a_damaged_file_is_replaced);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
