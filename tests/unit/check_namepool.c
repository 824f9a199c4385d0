/* SPDX-License-Identifier: ISC */
/* check_namepool.c - names keep their addresses: across processes, and while they are in use. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/pool_dir.h"

#define ALL 131072
#define OLD_S (NAMEPOOL_FRESH_S + 60) /* the time of the last use is known to a minute */

static const char *numbered(int i)
{
	static char text[32];

	snprintf(text, sizeof(text), "n%d.example", i);
	return text;
}

static int ask(int i, struct target *ret)
{
	const char *name = numbered(i);

	return namepool_address(name, strlen(name), AF_INET, ret);
}

/* 0 .. 131071, whatever address the pool's first name has. */
static unsigned place_of(const struct target *t)
{
	return ((unsigned)t->ip[1] << 16 | (unsigned)t->ip[2] << 8 | t->ip[3]) - (18u << 16);
}

static void wait_for(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

START_TEST(a_name_has_one_address_and_back)
{
	struct target v4, v6, again, name;

	ck_assert_int_eq(namepool_open(pool_dir, NULL), 0);
	v4 = address_of("Example.ORG", AF_INET);
	v6 = address_of("example.org", AF_INET6);
	again = address_of("example.org", AF_INET);
	ck_assert(target_host_equal(&v4, &again));
	ck_assert_int_eq(memcmp(v4.ip + 2, v6.ip + 14, 2), 0);
	ck_assert_int_eq(v4.ip[1] - 18, v6.ip[13]);
	v4.port = 99;
	ck_assert_int_eq(namepool_name(&v4, &name), 0);
	ck_assert_str_eq(name.name, "example.org");
	ck_assert_uint_eq(name.port, 99);
	ck_assert(stands_for(&v6, "example.org"));
}
END_TEST

START_TEST(names_of_every_length)
{
	struct target seen[256], t;
	char text[257];

	ck_assert_int_eq(namepool_open(pool_dir, NULL), 0);
	memset(text, 'a', sizeof(text));
	for (size_t len = 1; len <= 255; len++)
		ck_assert_int_eq(namepool_address(text, len, AF_INET, &seen[len]), 0);
	for (size_t len = 1; len <= 255; len++) {
		ck_assert_int_eq(namepool_name(&seen[len], &t), 0);
		ck_assert_uint_eq(t.name_len, len);
		ck_assert_uint_eq(strlen(t.name), len);
	}
	ck_assert_int_eq(namepool_address(text, 0, AF_INET, &t), -EINVAL);
	ck_assert_int_eq(namepool_address(text, 256, AF_INET, &t), -EINVAL);
	/* octets that differ in their last, or are no letters, are other names */
	text[254] = 'b';
	ck_assert_int_eq(namepool_address(text, 255, AF_INET, &t), 0);
	ck_assert(!target_host_equal(&t, &seen[255]));
	ck_assert_int_eq(namepool_address("a\0b", 3, AF_INET, &t), 0);
	ck_assert_int_eq(namepool_name(&t, &t), 0);
	ck_assert_uint_eq(t.name_len, 3);
	ck_assert_int_eq(memcmp(t.name, "a\0b", 4), 0);
}
END_TEST

START_TEST(nothing_works_before_it_is_open)
{
	struct target t;

	ck_assert_int_eq(namepool_address("a", 1, AF_INET, &t), -ENODEV);
	ck_assert_int_eq(target_from_host("198.18.0.1", 10, 1, &t), 0);
	ck_assert(namepool_contains(&t));
	ck_assert_int_eq(namepool_name(&t, &t), -ENOENT);
}
END_TEST

START_TEST(an_address_that_was_not_given_has_no_name)
{
	struct target t, name;

	ck_assert_int_eq(namepool_open(NULL, NULL), 0);
	t = address_of("a", AF_INET);
	t.ip[3]++;
	ck_assert(namepool_contains(&t));
	ck_assert_int_eq(namepool_name(&t, &name), -ENOENT);
	t = address_of("a", AF_INET6);
	t.ip[9] = 1;
	ck_assert(namepool_contains(&t));
	ck_assert_int_eq(namepool_name(&t, &name), -ENOENT);
	t = address_of("a", AF_INET6);
	t.ip[13] |= 2;
	ck_assert_int_eq(namepool_name(&t, &name), -ENOENT);
	ck_assert_int_eq(target_from_host("192.0.2.1", 9, 1, &t), 0);
	ck_assert(!namepool_contains(&t));
	ck_assert_int_eq(namepool_name(&t, &name), -ENOENT);
}
END_TEST

START_TEST(the_pool_is_shared_by_unrelated_processes)
{
	struct target before, after;
	pid_t pid;

	ck_assert_int_eq(namepool_open(pool_dir, NULL), 0);
	before = address_of("parent.example", AF_INET);
	pid = fork();
	if (pid == 0) {
		struct target t;

		/* As after exec: opened anew by its path. */
		_exit(namepool_open(pool_dir, NULL) != 0 ||
		      namepool_address("parent.example", 14, AF_INET, &t) != 0 ||
		      !target_host_equal(&t, &before) ||
		      namepool_address("child.example", 13, AF_INET, &t) != 0);
	}
	wait_for(pid);
	after = address_of("child.example", AF_INET);
	ck_assert(!target_host_equal(&before, &after));
}
END_TEST

START_TEST(without_a_folder_a_child_shares_it_still)
{
	struct target before;
	pid_t pid;

	ck_assert_int_eq(namepool_open(NULL, NULL), 0);
	before = address_of("parent.example", AF_INET);
	pid = fork();
	if (pid == 0) {
		struct target t;

		_exit(!stands_for(&before, "parent.example") ||
		      namepool_address("child.example", 13, AF_INET, &t) != 0);
	}
	wait_for(pid);
	before.ip[3]++;
	if (before.ip[3] == 0 && ++before.ip[2] == 0)
		before.ip[1] ^= 1;
	ck_assert(stands_for(&before, "child.example"));
}
END_TEST

/* Any system call but write and _exit is death. */
static void names_without_system_calls(void)
{
	struct target t;

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
		_exit(9);
	for (int i = 0; i < 1000; i++) {
		if (ask(i, &t) != 0 || !stands_for(&t, numbered(i)) || ask(i, &t) != 0)
			syscall(SYS_exit, 1);
	}
	syscall(SYS_exit, 0);
}

START_TEST(new_names_need_no_system_call)
{
	pid_t pid;

	for (int round = 0; round < 2; round++) {
		ck_assert_int_eq(namepool_open(round == 0 ? NULL : pool_dir, NULL), 0);
		pid = fork();
		if (pid == 0)
			names_without_system_calls();
		wait_for(pid);
	}
}
END_TEST

static long page_faults(void)
{
	struct rusage usage;

	ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_minflt;
}

/* Each page costs a fault, which is many times what a name costs; whoever makes the file has all of them. */
START_TEST(few_names_need_few_pages)
{
	struct target t;
	long before;
	pid_t pid = fork();

	if (pid == 0)
		_exit(namepool_open(pool_dir, NULL) != 0);
	wait_for(pid);
	ck_assert_int_eq(namepool_open(pool_dir, NULL), 0);
	before = page_faults();
	for (int i = 0; i < 400; i++)
		ck_assert_int_eq(ask(i, &t), 0);
	/* 32 for the first lines of all buckets, 28 for the texts, and some */
	ck_assert_int_lt(page_faults() - before, 100);
}
END_TEST

START_TEST(the_pool_outlives_rights_root_and_descriptors)
{
	struct target before;
	pid_t pid;

	ck_assert_int_eq(namepool_open(pool_dir, NULL), 0);
	before = address_of("before.example", AF_INET);
	pid = fork();
	if (pid == 0) {
		struct target t;

		closefrom(0);
		if (geteuid() == 0 && (chroot(pool_dir) != 0 || chdir("/") != 0 ||
				       setgid(65534) != 0 || setuid(65534) != 0))
			_exit(1);
		for (int i = 0; i < 3000; i++) {
			if (ask(i, &t) != 0)
				_exit(2);
		}
		_exit(!stands_for(&before, "before.example"));
	}
	wait_for(pid);
	for (int i = 0; i < 3000; i++) {
		struct target t;

		ck_assert_int_eq(ask(i, &t), 0);
		ck_assert(stands_for(&t, numbered(i)));
	}
}
END_TEST

/* 131072 names, each with an address of its own. */
static void fill(void)
{
	static uint8_t seen[ALL];
	struct target t;

	pool_clock_advance(0);
	for (int i = 0; i < ALL; i++) {
		ck_assert_int_eq(ask(i, &t), 0);
		ck_assert_int_eq(seen[place_of(&t)]++, 0);
	}
}

START_TEST(a_full_pool_says_so_and_keeps_what_it_has)
{
	struct target first, t;

	ck_assert_int_eq(namepool_open(NULL, NULL), 0);
	fill();
	ck_assert_int_eq(ask(0, &first), 0);
	ck_assert_int_eq(ask(ALL, &t), -EAGAIN);
	pool_clock_advance(NAMEPOOL_FRESH_S);
	ck_assert_int_eq(ask(ALL, &t), -EAGAIN);
	for (int i = 0; i < ALL; i++) {
		ck_assert_int_eq(ask(i, &t), 0);
		ck_assert(stands_for(&t, numbered(i)));
	}
	ck_assert_int_eq(ask(0, &t), 0);
	ck_assert(target_host_equal(&first, &t));
	ck_assert_int_eq(ask(ALL, &t), -EAGAIN);
}
END_TEST

START_TEST(a_fresh_answer_is_never_recycled_and_the_longest_unused_is)
{
	struct target answered, used, longest, t;

	ck_assert_int_eq(namepool_open(NULL, NULL), 0);
	fill();
	pool_clock_advance(OLD_S - 100);
	for (int i = 0; i < ALL; i++) {
		if (i == 7)
			continue;
		ck_assert_int_eq(ask(i, &t), 0); /* all are used again but one */
	}
	ck_assert_int_eq(ask(ALL, &t), -EAGAIN);
	pool_clock_advance(101);
	ck_assert_int_eq(ask(ALL, &longest), 0);
	ck_assert(stands_for(&longest, numbered(ALL)));
	ck_assert_int_eq(ask(ALL + 1, &t), -EAGAIN);
	/* two that are used meanwhile: by an answer, and by a connect */
	ck_assert_int_eq(ask(100, &answered), 0);
	ck_assert_int_eq(ask(101, &used), 0);
	pool_clock_advance(OLD_S - 161);
	ck_assert_int_eq(ask(100, &t), 0);
	ck_assert(stands_for(&used, numbered(101)));
	pool_clock_advance(160);
	for (int i = 0; i < ALL - 3; i++) {
		ck_assert_int_eq(ask(2 * ALL + i, &t), 0);
		ck_assert(!target_host_equal(&t, &answered));
		ck_assert(!target_host_equal(&t, &used));
		ck_assert(!target_host_equal(&t, &longest));
	}
	ck_assert_int_eq(ask(4 * ALL, &t), -EAGAIN);
	ck_assert(stands_for(&answered, numbered(100)));
	ck_assert(stands_for(&used, numbered(101)));
}
END_TEST

/* The address was cached for hours: an error, not another name's server. */
START_TEST(who_knew_the_old_name_is_not_given_the_new_one)
{
	struct target address[100], t;
	pid_t pid;

	ck_assert_int_eq(namepool_open(NULL, NULL), 0);
	fill();
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(ask(i, &address[i]), 0);
	pool_clock_advance(OLD_S);
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < ALL; i++) {
			if (ask(ALL + i, &t) != 0 || !stands_for(&t, numbered(ALL + i)))
				_exit(1);
		}
		_exit(0);
	}
	wait_for(pid);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(namepool_name(&address[i], &t), -ENOENT);
	/* It is one who asks for the new name. */
	for (int i = 0; i < ALL; i++) {
		ck_assert_int_eq(ask(ALL + i, &t), 0);
		ck_assert(stands_for(&t, numbered(ALL + i)));
	}
}
END_TEST

/* Stamps of an earlier boot, or of another time namespace. */
START_TEST(a_clock_that_is_behind_recycles_nothing)
{
	struct target t;

	ck_assert_int_eq(namepool_open(NULL, NULL), 0);
	fill();
	pool_clock_advance(-50000);
	ck_assert_int_eq(ask(ALL, &t), -EAGAIN);
	pool_clock_advance(OLD_S * 2);
	ck_assert_int_eq(ask(ALL, &t), -EAGAIN);
	ck_assert_int_eq(ask(5, &t), 0);
	ck_assert(stands_for(&t, numbered(5)));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("namepool");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, make_pool_dir, remove_pool_dir);
	tcase_add_test(t, a_name_has_one_address_and_back);
	tcase_add_test(t, names_of_every_length);
	tcase_add_test(t, nothing_works_before_it_is_open);
	tcase_add_test(t, an_address_that_was_not_given_has_no_name);
	tcase_add_test(t, the_pool_is_shared_by_unrelated_processes);
	tcase_add_test(t, without_a_folder_a_child_shares_it_still);
	tcase_add_test(t, new_names_need_no_system_call);
	tcase_add_test(t, few_names_need_few_pages);
	tcase_add_test(t, the_pool_outlives_rights_root_and_descriptors);
	tcase_add_test(t, a_full_pool_says_so_and_keeps_what_it_has);
	tcase_add_test(t, a_fresh_answer_is_never_recycled_and_the_longest_unused_is);
	tcase_add_test(t, who_knew_the_old_name_is_not_given_the_new_one);
	tcase_add_test(t, a_clock_that_is_behind_recycles_nothing);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
