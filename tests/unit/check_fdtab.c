/* SPDX-License-Identifier: ISC */
/* check_fdtab.c - entries follow dup and close, stale ones are noticed, threads do not confuse them. */
#include <check.h>
#include <pthread.h>

#include "../lib/fakesys.h"
#include "socksify/fdtab.h"

static void reset(void)
{
	fake_reset();
	fdtab_set_owner(1);
	for (int fd = 0; fd < 100; fd++)
		fdtab_mark(fd, 0);
}

static bool has_conn(int fd)
{
	struct conn *conn = fdtab_get(fd);

	if (conn != NULL)
		conn_unref(conn);
	return conn != NULL;
}

static void make(int fd, uint16_t port)
{
	struct conn *conn = fdtab_get_or_new(fd);

	ck_assert_ptr_nonnull(conn);
	conn->peer.in.sin_port = port;
	conn_unref(conn);
}

START_TEST(entries_follow_dup_and_close)
{
	struct conn *found;

	reset();
	ck_assert(!fdtab_has(3));
	make(3, 80);
	fdtab_dup(3, 9);
	fdtab_close(3);
	ck_assert(!has_conn(3));
	found = fdtab_get(9);
	ck_assert_ptr_nonnull(found);
	ck_assert_uint_eq(found->peer.in.sin_port, 80);
	conn_unref(found);
	fdtab_dup(4, 9); /* an fd that is not ours over one that is */
	ck_assert(!fdtab_has(9));
}
END_TEST

START_TEST(a_vfork_child_changes_nothing_that_is_under_way)
{
	struct conn *conn;

	reset();
	make(3, 80);
	conn = fdtab_get(3);
	conn_set_state(conn, CONN_PENDING);
	fakesys.pid = 2;
	fdtab_close(3);
	fdtab_close_range(0, 100);
	fdtab_mark(3, 0);
	fdtab_dup(4, 3);
	fakesys.pid = 1;
	ck_assert(has_conn(3));
	conn_unref(conn);
	fdtab_close(3);
	ck_assert(!has_conn(3));
	ck_assert_int_eq(conn_pending, 0);
}
END_TEST

START_TEST(numbers_out_of_range_are_left_alone)
{
	reset();
	ck_assert_ptr_null(fdtab_get_or_new(-1));
	ck_assert_ptr_null(fdtab_get_or_new(FDTAB_MAX));
	ck_assert_ptr_null(fdtab_get(FDTAB_MAX));
	fdtab_close(-1);
	fdtab_close(FDTAB_MAX);
	fdtab_mark(FDTAB_MAX, FD_TCP);
	make(FDTAB_MAX - 1, 1);
	fdtab_close(FDTAB_MAX - 1);
}
END_TEST

START_TEST(entries_are_reused)
{
	reset();
	for (int i = 0; i < 3000000; i++) {
		make(3 + i % 7, 80);
		fdtab_close(3 + i % 7);
	}
}
END_TEST

/* Each thread owns one fd; all read all of them. */
static void *churn(void *arg)
{
	int own = *(int *)arg;

	for (int i = 0; i < 100000; i++) {
		struct conn *conn = fdtab_get_or_new(own);

		if (conn == NULL)
			return arg;
		atomic_store(&conn->error, own);
		conn_unref(conn);
		for (int fd = 10; fd < 14; fd++) {
			int error;

			conn = fdtab_get(fd);
			if (conn == NULL)
				continue;
			error = atomic_load(&conn->error);
			conn_unref(conn);
			if (error != 0 && error != fd)
				return arg;
		}
		fdtab_close(own);
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
	tcase_add_test(t, a_vfork_child_changes_nothing_that_is_under_way);
	tcase_add_test(t, numbers_out_of_range_are_left_alone);
	tcase_add_test(t, entries_are_reused);
	tcase_add_test(t, threads_never_see_another_fds_entry);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
