/* SPDX-License-Identifier: ISC */
/* check_fdtab.c - entries follow dup and close, stale ones are noticed, threads do not confuse them. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "socksify/fdtab.h"
#include "socksify/sys.h"

static uint64_t cookie_now = 7;
static int pid_now = 1;

int sys_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	(void)fd;
	(void)level;
	(void)name;
	memcpy(value, &cookie_now, *len);
	return 0;
}

int sys_getpid(void)
{
	return pid_now;
}

static struct conn conn_of(uint16_t port)
{
	struct conn c = { .cookie = 7, .peer_len = sizeof(c.peer.in) };

	c.peer.in.sin_port = port;
	return c;
}

static void reset(void)
{
	cookie_now = 7;
	pid_now = 1;
	fdtab_set_owner(1);
	fdtab_drop_range(0, 100);
}

START_TEST(entries_follow_dup_and_close)
{
	struct conn c = conn_of(80), found;

	reset();
	ck_assert(!fdtab_has(3));
	ck_assert_int_eq(fdtab_put(3, &c), 0);
	fdtab_dup(3, 9);
	fdtab_drop(3);
	ck_assert_int_eq(fdtab_find(3, &found), -ENOENT);
	ck_assert_int_eq(fdtab_find(9, &found), 0);
	ck_assert_uint_eq(found.peer.in.sin_port, 80);
	fdtab_dup(4, 9); /* an fd that is not ours over one that is */
	ck_assert(!fdtab_has(9));
}
END_TEST

START_TEST(a_reused_number_is_noticed)
{
	struct conn c = conn_of(80), found;

	reset();
	ck_assert_int_eq(fdtab_put(3, &c), 0);
	cookie_now = 8;
	ck_assert_int_eq(fdtab_find(3, &found), -ENOENT);
	ck_assert(!fdtab_has(3));
}
END_TEST

START_TEST(a_vfork_child_changes_nothing)
{
	struct conn c = conn_of(80), found;

	reset();
	ck_assert_int_eq(fdtab_put(3, &c), 0);
	pid_now = 2;
	fdtab_drop(3);
	fdtab_drop_range(0, 100);
	pid_now = 1;
	ck_assert_int_eq(fdtab_find(3, &found), 0);
}
END_TEST

START_TEST(numbers_out_of_range_are_left_alone)
{
	struct conn c = conn_of(80), found;

	reset();
	ck_assert_int_eq(fdtab_put(-1, &c), -EMFILE);
	ck_assert_int_eq(fdtab_put(FDTAB_MAX, &c), -EMFILE);
	ck_assert_int_eq(fdtab_find(FDTAB_MAX, &found), -ENOENT);
	fdtab_drop(-1);
	fdtab_drop(FDTAB_MAX);
	ck_assert_int_eq(fdtab_put(FDTAB_MAX - 1, &c), 0);
	fdtab_drop(FDTAB_MAX - 1);
}
END_TEST

START_TEST(entries_are_reused)
{
	struct conn c = conn_of(80);

	reset();
	for (int i = 0; i < 3000000; i++) {
		ck_assert_int_eq(fdtab_put(3 + i % 7, &c), 0);
		fdtab_drop(3 + i % 7);
	}
}
END_TEST

/* Each thread owns one fd; all read all of them. */
static void *churn(void *arg)
{
	int own = *(int *)arg;
	struct conn c = conn_of((uint16_t)own), found;

	for (int i = 0; i < 100000; i++) {
		if (fdtab_put(own, &c) < 0)
			return arg;
		for (int fd = 10; fd < 14; fd++)
			if (fdtab_find(fd, &found) == 0 && found.peer.in.sin_port != fd)
				return arg;
		fdtab_drop(own);
	}
	return NULL;
}

START_TEST(threads_never_see_another_fds_entry)
{
	pthread_t threads[4];
	int fds[4] = { 10, 11, 12, 13 };

	reset();
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, churn, &fds[i]), 0);
	for (int i = 0; i < 4; i++) {
		void *result;

		pthread_join(threads[i], &result);
		ck_assert_ptr_null(result);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fdtab");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_test(t, entries_follow_dup_and_close);
	tcase_add_test(t, a_reused_number_is_noticed);
	tcase_add_test(t, a_vfork_child_changes_nothing);
	tcase_add_test(t, numbers_out_of_range_are_left_alone);
	tcase_add_test(t, entries_are_reused);
	tcase_add_test(t, threads_never_see_another_fds_entry);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
