/* SPDX-License-Identifier: ISC */
/* check_tally.c - processes count together, and only in a file that is theirs. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "socksify/tally.h"

static char dir[] = "/tmp/check_tally.XXXXXX";

static int open_in_child(const char *path)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int err = tally_open(path);

		tally_add(TALLY_BLOCKED);
		_exit(-err);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

START_TEST(nothing_is_counted_unasked)
{
	tally_add(TALLY_PROXIED);
	ck_assert_uint_eq(tally_get(TALLY_PROXIED), 0);
}
END_TEST

START_TEST(processes_count_together)
{
	char path[TALLY_PATH_SIZE], other[TALLY_PATH_SIZE + 8];

	ck_assert_int_eq(tally_create(dir, path), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(open_in_child(path), 0);
	ck_assert_uint_eq(tally_get(TALLY_BLOCKED), 3);
	ck_assert_uint_eq(tally_get(TALLY_DIRECT), 0);

	ck_assert_int_eq(open_in_child("relative"), -EPERM);
	ck_assert_int_eq(open_in_child(dir), -EISDIR);
	snprintf(other, sizeof(other), "%s.link", path);
	ck_assert_int_eq(symlink(path, other), 0);
	ck_assert_int_eq(open_in_child(other), -ELOOP);
	ck_assert_int_eq(unlink(other), 0);
	ck_assert_int_eq(chmod(path, 0640), 0);
	ck_assert_int_eq(open_in_child(path), -EPERM);
	ck_assert_int_eq(chmod(path, 0600), 0);
	ck_assert_int_eq(link(path, other), 0);
	ck_assert_int_eq(open_in_child(path), -EPERM);
	ck_assert_int_eq(unlink(other), 0);
	ck_assert_int_eq(truncate(path, 8), 0);
	ck_assert_int_eq(open_in_child(path), -EPERM);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(open_in_child(path), -ENOENT);
}
END_TEST

START_TEST(what_is_no_tally_is_not_written_to)
{
	char path[TALLY_PATH_SIZE];
	FILE *f;

	ck_assert_int_eq(tally_create(dir, path), 0);
	f = fopen(path, "r+");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fputs("something", f) < 0, 0);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(open_in_child(path), -EPERM);
	ck_assert_uint_eq(tally_get(TALLY_BLOCKED), 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(tally_create("/nonexistent", path), -ENOENT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tally");
	TCase *tc = tcase_create("tally");
	SRunner *runner = srunner_create(suite);
	int failed;

	if (mkdtemp(dir) == NULL)
		return 1;
	tcase_add_test(tc, nothing_is_counted_unasked);
	tcase_add_test(tc, processes_count_together);
	tcase_add_test(tc, what_is_no_tally_is_not_written_to);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	(void)rmdir(dir);
	return failed != 0;
}
