/* SPDX-License-Identifier: ISC */
/*
 * check_nametab_kill.c - a process that is killed after any store of
 * nametab_add() leaves a table that others go on with, and no wrong answer.
 */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/policy/nametab_word.h"
#include "../lib/pool_dir.h"

static struct nametab *tab;

static union nametab_key key_of(const char *what, int i)
{
	union nametab_key key;
	char name[32];
	int len = snprintf(name, sizeof(name), "%s%d.example", what, i);

	ck_assert_int_eq(nametab_key(name, (size_t)len, &key), 0);
	return key;
}

static struct nametab_ref add(const char *what, int i)
{
	union nametab_key key = key_of(what, i);
	struct nametab_ref ref;

	ck_assert_int_eq(nametab_add(tab, &key, &ref), 0);
	return ref;
}

static bool is_named(uint32_t index, const char *what, int i)
{
	union nametab_key key = key_of(what, i), found;
	uint32_t gen;

	return nametab_name(tab, index, &found, &gen) == 0 &&
	       memcmp(found.octet, key.octet, key.octet[0] + 1u) == 0;
}

/* Adds the name as soon as it is stepped. */
static pid_t start_adding(const char *what, int i)
{
	union nametab_key key = key_of(what, i);
	struct nametab_ref ref;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(nametab_add(tab, &key, &ref) != 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSTOPPED(status), "ptrace is not allowed here");
	return pid;
}

/* What a name is stored in, as it was after the last step. */
static uint8_t before[offsetof(struct nametab, page) + 64 * sizeof(struct nametab_page)];

/* Steps on until the table has changed so often; false when it came to its end before. */
static bool step(pid_t pid, int stores)
{
	int status = 0, steps = 0;

	memcpy(before, tab, sizeof(before));
	while (stores > 0) {
		ck_assert_int_eq(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status)) {
			ck_assert_int_eq(WEXITSTATUS(status), 0);
			return false;
		}
		ck_assert(WIFSTOPPED(status));
		ck_assert_int_lt(steps++, 100000);
		if (memcmp(before, tab, sizeof(before)) != 0) {
			memcpy(before, tab, sizeof(before));
			stores--;
		}
	}
	return true;
}

static void end(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
}

/* All is as it should be with the name whose adding was cut off, and with others. */
static void expect_sound(int i)
{
	struct nametab_ref again, cut = add("cut", i), next = add("next", i);

	ck_assert(is_named(cut.index, "cut", i));
	ck_assert(is_named(next.index, "next", i));
	ck_assert_uint_ne(cut.index, next.index);
	again = add("cut", i);
	ck_assert_uint_eq(again.index, cut.index);
	ck_assert_uint_eq(again.gen, cut.gen);
	if (i > 0) {
		again = add("next", i - 1);
		ck_assert(is_named(again.index, "next", i - 1));
	}
	ck_assert(nametab_is_sound(tab));
}

static void set_up(void)
{
	make_pool_dir();
	pool_clock_advance(0);
	tab = nametab_map_private();
	ck_assert_ptr_nonnull(tab);
	add("warm", 0); /* what the dynamic linker does once */
}

START_TEST(killed_while_it_adds_a_name)
{
	bool more = true;
	int count;

	for (count = 0; more; count++) {
		pid_t pid = start_adding("cut", count);

		more = step(pid, count);
		if (more)
			end(pid);
		expect_sound(count);
	}
	ck_assert_int_ge(count, 8); /* used, word, text, check, word, head, slot, head */
}
END_TEST

/* The index that is claimed next has a name, which is old. */
static struct nametab_ref prepare_old(int i)
{
	struct nametab_ref old;

	pool_clock_advance(-2 * NAMETAB_OLD_S);
	old = add("old", i);
	pool_clock_advance(2 * NAMETAB_OLD_S);
	atomic_store(&tab->numbers.used, NAMETAB_SIZE);
	atomic_store(&tab->numbers.bound, second_now() - NAMETAB_OLD_S);
	atomic_store(&tab->numbers.hand, old.index);
	return old;
}

START_TEST(killed_while_it_takes_the_place_of_another)
{
	bool more = true;
	int count, taken = 0;

	for (count = 0; more; count++) {
		struct nametab_ref old = prepare_old(count);
		union nametab_key key;
		uint32_t gen;
		pid_t pid = start_adding("cut", count);

		more = step(pid, count);
		if (more)
			end(pid);
		if (nametab_name(tab, old.index, &key, &gen) == 0)
			ck_assert(is_named(old.index, gen == old.gen ? "old" : "cut", count));
		else
			taken++;
		expect_sound(count);
	}
	ck_assert_int_ge(count, 8);
	ck_assert_int_gt(taken, 1); /* it was seen between the two names */
}
END_TEST

/*
 * Stopped, and not killed: for so long that its index is taken from it.  When
 * it goes on, what it still writes must not become anybody's answer.
 */
START_TEST(stopped_for_hours_and_then_going_on)
{
	bool more = true;
	int spoilt = 0;

	atomic_store(&tab->numbers.used, NAMETAB_SIZE);
	for (int count = 0; more; count++) {
		uint32_t at = 100 + 4 * (uint32_t)count, gen;
		struct nametab_ref thief, cut;
		union nametab_key key;
		pid_t pid;
		int status;

		atomic_store(&tab->numbers.bound, second_now() - NAMETAB_OLD_S);
		atomic_store(&tab->numbers.hand, at);
		pid = start_adding("cut", count);
		more = step(pid, count);
		if (!more)
			break;
		pool_clock_advance(2 * NAMETAB_OLD_S);
		atomic_store(&tab->numbers.bound, second_now() - NAMETAB_OLD_S);
		atomic_store(&tab->numbers.hand, at);
		thief = add("thief", count);
		ck_assert_uint_eq(thief.index, at);
		ck_assert_int_eq(ptrace(PTRACE_DETACH, pid, NULL, NULL), 0);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, 0);
		if (nametab_name(tab, at, &key, &gen) == 0)
			ck_assert(is_named(at, "thief", count));
		else
			spoilt++;
		cut = add("cut", count);
		ck_assert(is_named(cut.index, "cut", count));
		ck_assert_uint_ne(cut.index, at);
		thief = add("thief", count);
		ck_assert(is_named(thief.index, "thief", count));
	}
	ck_assert_int_gt(spoilt, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nametab_kill");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_set_timeout(t, 300);
	tcase_add_checked_fixture(t, set_up, remove_pool_dir);
	tcase_add_test(t, killed_while_it_adds_a_name);
	tcase_add_test(t, killed_while_it_takes_the_place_of_another);
	tcase_add_test(t, stopped_for_hours_and_then_going_on);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
