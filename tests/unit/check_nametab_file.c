/* SPDX-License-Identifier: ISC */
/* check_nametab_file.c - the pool's file: what is not ours or not whole is refused and replaced. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/policy/nametab.h"
#include "../lib/pool_dir.h"

static void wait_for(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

/* A process like any other that starts now: does its pool know what this one's does, and back? */
static void expect_shared(void)
{
	struct target here = address_of("here.example", AF_INET), there;
	pid_t pid = fork();

	if (pid == 0)
		_exit(namepool_open(pool_dir, NULL) != 0 || !stands_for(&here, "here.example") ||
		      namepool_address("there.example", 13, AF_INET, &there) != 0);
	wait_for(pid);
	there = address_of("there.example", AF_INET);
	ck_assert(stands_for(&there, "there.example"));
}

static void expect_good_file(void)
{
	struct stat st;

	ck_assert_int_eq(lstat(pool_file, &st), 0);
	ck_assert(S_ISREG(st.st_mode));
	ck_assert_uint_eq(st.st_mode & 07777, 01600);
	ck_assert_uint_eq(st.st_uid, geteuid());
	ck_assert_uint_eq(st.st_nlink, 1);
	ck_assert_int_eq(st.st_size, sizeof(struct nametab));
	expect_shared();
}

static void expect_replaced(void)
{
	ck_assert_int_eq(namepool_open(pool_dir, NULL), 0);
	expect_good_file();
}

static void expect_private(const char *path)
{
	ck_assert_int_eq(namepool_open(path, NULL), 0);
	address_of("private.example", AF_INET);
	ck_assert_int_ne(access(pool_file, F_OK), 0);
}

/* A sound file, with a name in it, that no process has. */
static void make_file(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct target t;

		_exit(namepool_open(pool_dir, NULL) != 0 ||
		      namepool_address("old.example", 11, AF_INET, &t) != 0);
	}
	wait_for(pid);
	ck_assert_int_eq(access(pool_file, F_OK), 0);
}

static void overwrite(off_t at, const void *octets, size_t len)
{
	int fd = open(pool_file, O_RDWR);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, octets, len, at), (ssize_t)len);
	close(fd);
}

START_TEST(a_new_file_is_the_users_alone_whatever_the_umask)
{
	static const mode_t masks[] = { 0, 022, 0777 };

	umask(masks[_i]);
	expect_replaced();
	umask(022);
}
END_TEST

START_TEST(a_folder_that_is_not_the_users_alone_is_not_used)
{
	switch (_i) {
	case 0:
		ck_assert_int_eq(mkdir(pool_dir, 0700), 0);
		ck_assert_int_eq(chmod(pool_dir, 0755), 0);
		break;
	case 1:
		ck_assert_int_eq(mkdir(pool_dir, 0700), 0);
		ck_assert_int_eq(chmod(pool_dir, 0730), 0);
		break;
	case 2:
		ck_assert_int_eq(symlink("/", pool_dir), 0);
		break;
	case 3:
		ck_assert_int_eq(mkfifo(pool_dir, 0700), 0);
		break;
	default:
		if (geteuid() != 0)
			return;
		ck_assert_int_eq(mkdir(pool_dir, 0700), 0);
		ck_assert_int_eq(chown(pool_dir, 65534, 65534), 0);
		break;
	}
	expect_private(pool_dir);
}
END_TEST

START_TEST(the_second_folder_where_the_first_cannot_be)
{
	ck_assert_int_eq(namepool_open("/nowhere/at/all", pool_dir), 0);
	expect_good_file();
}
END_TEST

START_TEST(a_size_that_is_not_the_tables_is_replaced)
{
	static const off_t sizes[] = { 0, 1, 4096, sizeof(struct nametab) - 1,
				       sizeof(struct nametab) + 1 };

	make_file();
	ck_assert_int_eq(truncate(pool_file, sizes[_i]), 0);
	expect_replaced();
}
END_TEST

START_TEST(another_mode_is_replaced)
{
	static const mode_t modes[] = { 0644, 0620, 0602, 0660 };

	make_file();
	ck_assert_int_eq(chmod(pool_file, modes[_i]), 0);
	expect_replaced();
}
END_TEST

START_TEST(another_owner_is_replaced)
{
	if (geteuid() != 0)
		return;
	make_file();
	ck_assert_int_eq(chown(pool_file, 65534, 65534), 0);
	expect_replaced();
}
END_TEST

START_TEST(what_is_no_file_is_replaced)
{
	char other[80];

	snprintf(other, sizeof(other), "%s/other", pool_dir);
	make_file();
	ck_assert_int_eq(rename(pool_file, other), 0);
	switch (_i) {
	case 0:
		ck_assert_int_eq(symlink("other", pool_file), 0);
		break;
	case 1:
		ck_assert_int_eq(symlink("nothing", pool_file), 0);
		break;
	case 2:
		ck_assert_int_eq(link(other, pool_file), 0);
		break;
	case 3:
		ck_assert_int_eq(mkfifo(pool_file, 0600), 0);
		break;
	default:
		ck_assert_int_eq(mkdir(pool_file, 0700), 0);
		break;
	}
	expect_replaced();
	/* What a link leads to is left alone. */
	ck_assert_int_eq(access(other, F_OK), 0);
}
END_TEST

START_TEST(a_folder_full_in_its_place_is_left_alone)
{
	char inside[96];

	snprintf(inside, sizeof(inside), "%s/inside", pool_file);
	ck_assert_int_eq(mkdir(pool_dir, 0700), 0);
	ck_assert_int_eq(mkdir(pool_file, 0700), 0);
	ck_assert_int_eq(mkdir(inside, 0700), 0);
	ck_assert_int_eq(namepool_open(pool_dir, NULL), 0);
	address_of("a.example", AF_INET);
	ck_assert_int_eq(access(inside, F_OK), 0);
}
END_TEST

START_TEST(another_version_or_a_wrong_head_is_replaced)
{
	static const uint8_t octets[16] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	static const struct { size_t at, len; } wrong[] = {
		{ offsetof(struct nametab_numbers, fixed.magic), 1 },
		{ offsetof(struct nametab_numbers, fixed.seed), 8 },
		{ offsetof(struct nametab_numbers, fixed.base), 4 },
		{ offsetof(struct nametab_numbers, fixed.size), 4 },
		{ offsetof(struct nametab_numbers, fixed_check), 8 },
		{ offsetof(struct nametab_numbers, used), 4 },
		{ offsetof(struct nametab_numbers, backed), 4 },
	};

	make_file();
	overwrite((off_t)wrong[_i].at, octets, wrong[_i].len);
	expect_replaced();
}
END_TEST

START_TEST(the_file_of_an_older_version_goes)
{
	char old[80];
	FILE *f;

	snprintf(old, sizeof(old), "%s/names-2", pool_dir);
	ck_assert_int_eq(mkdir(pool_dir, 0700), 0);
	f = fopen(old, "w");
	ck_assert_ptr_nonnull(f);
	fclose(f);
	expect_replaced();
	ck_assert_int_ne(access(old, F_OK), 0);
}
END_TEST

/* Many start at the same time, and what is there is damaged: all of them get the same new one. */
START_TEST(who_comes_at_the_same_time_gets_the_same_pool)
{
	int go[2], back[2];
	struct target first, t;

	make_file();
	ck_assert_int_eq(truncate(pool_file, 5), 0);
	ck_assert_int_eq(pipe(go), 0);
	ck_assert_int_eq(pipe(back), 0);
	for (int i = 0; i < 16; i++) {
		char octet;

		if (fork() != 0)
			continue;
		close(go[1]);
		if (read(go[0], &octet, 1) != 0 || namepool_open(pool_dir, NULL) != 0 ||
		    namepool_address("same.example", 12, AF_INET, &t) != 0 ||
		    write(back[1], &t, sizeof(t)) != sizeof(t))
			_exit(1);
		_exit(0);
	}
	close(go[1]);
	for (int i = 0; i < 16; i++) {
		ck_assert_int_eq(read(back[0], &t, sizeof(t)), sizeof(t));
		if (i == 0)
			first = t;
		ck_assert(target_host_equal(&first, &t));
	}
	for (int i = 0; i < 16; i++) {
		int status;

		ck_assert_int_gt(wait(&status), 0);
		ck_assert_int_eq(status, 0);
	}
}
END_TEST

START_TEST(a_limit_on_files_is_no_signal)
{
	struct rlimit limit = { 1 << 20, 1 << 20 };

	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	expect_private(pool_dir);
}
END_TEST

/* Who cannot take the lock does not wait for ever. */
START_TEST(a_stopped_holder_of_the_lock_is_not_waited_for)
{
	int fd;

	ck_assert_int_eq(mkdir(pool_dir, 0700), 0);
	fd = open(pool_dir, O_RDONLY | O_DIRECTORY);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	expect_private(pool_dir);
	close(fd);
	expect_replaced();
}
END_TEST

/* What became of the file is nothing to those who have it. */
START_TEST(a_file_that_was_removed_lives_on)
{
	struct target t;

	ck_assert_int_eq(namepool_open(pool_dir, NULL), 0);
	t = address_of("before.example", AF_INET);
	ck_assert_int_eq(unlink(pool_file), 0);
	ck_assert_int_eq(rmdir(pool_dir), 0);
	ck_assert(stands_for(&t, "before.example"));
	t = address_of("after.example", AF_INET);
	ck_assert(stands_for(&t, "after.example"));
}
END_TEST

START_TEST(another_user_has_another_pool)
{
	struct target here;
	pid_t pid;

	if (geteuid() != 0)
		return;
	ck_assert_int_eq(namepool_open(pool_dir, NULL), 0);
	here = address_of("root.example", AF_INET);
	pid = fork();
	if (pid == 0) {
		struct target t;

		if (setgid(65534) != 0 || setuid(65534) != 0)
			_exit(1);
		/* As after exec, with the environment of the other user. */
		if (namepool_open(pool_dir, NULL) != 0)
			_exit(2);
		_exit(stands_for(&here, "root.example") ||
		      namepool_address("user.example", 12, AF_INET, &t) != 0 ||
		      !stands_for(&t, "user.example"));
	}
	wait_for(pid);
}
END_TEST

/* A kernel before 5.14. */
static void refuse_madvise(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

/* SIZE kB of room, for the file and for nothing else. */
static bool mount_small(const char *size)
{
	if (unshare(CLONE_NEWNS | (geteuid() != 0 ? CLONE_NEWUSER : 0)) == 0 &&
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mkdir(pool_dir, 0700) == 0 && mount("none", pool_dir, "tmpfs", 0, size) == 0)
		return chmod(pool_dir, 0700) == 0;
	ck_assert_msg(getenv("CI") == NULL, "no namespace for a small file system: %s",
		      strerror(errno));
	return false;
}

/* A full file system is an error, and not the SIGBUS that a store to a hole is. */
static void fill_up(void)
{
	struct target t;
	char name[32];
	int given = 0;

	ck_assert_int_eq(namepool_open(pool_dir, NULL), 0);
	ck_assert_int_eq(access(pool_file, F_OK), 0);
	for (;; given++) {
		int len = snprintf(name, sizeof(name), "n%d.example", given);
		int err = namepool_address(name, (size_t)len, AF_INET, &t);

		if (err != 0) {
			ck_assert_int_eq(err, -EAGAIN);
			break;
		}
		ck_assert(stands_for(&t, name));
	}
	ck_assert_int_gt(given, 3000);
	ck_assert_int_lt(given, 100000);
	t = address_of("n0.example", AF_INET);
	ck_assert(stands_for(&t, "n0.example"));
	/* The names that were longest out of use make room, as in a full pool. */
	pool_clock_advance(0);
	pool_clock_advance(2 * NAMEPOOL_FRESH_S);
	t = address_of("new.example", AF_INET);
	ck_assert(stands_for(&t, "new.example"));
}

START_TEST(a_full_file_system_is_an_error)
{
	if (!mount_small("size=8m"))
		return;
	if (_i == 1)
		refuse_madvise();
	fill_up();
	umount2(pool_dir, MNT_DETACH);
}
END_TEST

START_TEST(no_room_at_all_is_a_private_pool)
{
	if (!mount_small("size=1m"))
		return;
	if (_i == 1)
		refuse_madvise();
	expect_private(pool_dir);
	umount2(pool_dir, MNT_DETACH);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, a_new_file_is_the_users_alone_whatever_the_umask, 0, 3);
	tcase_add_loop_test(t, a_folder_that_is_not_the_users_alone_is_not_used, 0, 5);
	tcase_add_test(t, the_second_folder_where_the_first_cannot_be);
	tcase_add_loop_test(t, a_size_that_is_not_the_tables_is_replaced, 0, 5);
	tcase_add_loop_test(t, another_mode_is_replaced, 0, 4);
	tcase_add_test(t, another_owner_is_replaced);
	tcase_add_loop_test(t, what_is_no_file_is_replaced, 0, 5);
	tcase_add_test(t, a_folder_full_in_its_place_is_left_alone);
	tcase_add_loop_test(t, another_version_or_a_wrong_head_is_replaced, 0, 7);
	tcase_add_test(t, the_file_of_an_older_version_goes);
	tcase_add_test(t, who_comes_at_the_same_time_gets_the_same_pool);
	tcase_add_test(t, a_limit_on_files_is_no_signal);
	tcase_add_test(t, a_stopped_holder_of_the_lock_is_not_waited_for);
	tcase_add_test(t, a_file_that_was_removed_lives_on);
	tcase_add_test(t, another_user_has_another_pool);
	tcase_add_loop_test(t, a_full_file_system_is_an_error, 0, 2);
	tcase_add_loop_test(t, no_room_at_all_is_a_private_pool, 0, 2);
}

int main(void)
{
	Suite *suite = suite_create("nametab_file");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, make_pool_dir, remove_pool_dir);
	add_tests(t);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
