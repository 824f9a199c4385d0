/* SPDX-License-Identifier: ISC */
/* check_enter.c - which programs are refused, and for which reason. */
#include <check.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "socksify/enter.h"

extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

/* A whole small program: header, two program headers, a loader, a dynamic section. */
struct image {
	ElfW(Ehdr) eh;
	ElfW(Phdr) ph[3];
	char loader[64];
	ElfW(Dyn) dynamic[2];
	struct {
		ElfW(Nhdr) head;
		char owner[4];
		char text[8];
	} note[2];
	char segment[8192];
};

static char dir[] = "/tmp/check_enter.XXXXXX";

static void make_dir(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chmod(dir, 0755), 0);
}

static void remove_dir(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
}

static const char *path_of(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static const char *write_file(const char *name, const void *bytes, size_t len,
			      mode_t mode)
{
	const char *path = path_of(name);
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(chmod(path, mode), 0);
	return path;
}

/* A dynamically linked position-independent program for this machine. */
static struct image program(const char *loader)
{
	struct image i = { .eh = __ehdr_start };

	i.eh.e_type = ET_DYN;
	i.eh.e_phoff = offsetof(struct image, ph);
	i.eh.e_phnum = 2;
	i.eh.e_phentsize = sizeof(ElfW(Phdr));
	strcpy(i.loader, loader);
	i.ph[0].p_type = PT_DYNAMIC;
	i.ph[0].p_offset = offsetof(struct image, dynamic);
	i.ph[0].p_filesz = sizeof(i.dynamic);
	i.ph[1].p_type = PT_INTERP;
	i.ph[1].p_offset = offsetof(struct image, loader);
	i.ph[1].p_filesz = (unsigned)strlen(loader) + 1;
	i.dynamic[0].d_tag = DT_DEBUG;
	i.dynamic[1].d_tag = DT_NULL;
	return i;
}

static enum inspection_verdict verdict_on(const char *path)
{
	struct inspection seen;
	int err = inspect_program(path, &seen);
	bool fine = seen.verdict == INSPECTION_ENTERABLE ||
		    seen.verdict == INSPECTION_SHELL_TEXT;

	if (strcmp(seen.path, path) == 0)	/* else about an interpreter */
		ck_assert_int_eq(err, fine ? 0 : -EACCES);
	ck_assert_ptr_nonnull(strstr(inspection_text(seen.verdict), ": "));
	return seen.verdict;
}

static enum inspection_verdict verdict_on_image(const struct image *i)
{
	return verdict_on(write_file("program", i, sizeof(*i), 0755));
}

START_TEST(glibc_program_is_entered)
{
	struct image i = program("/lib64/ld-linux-x86-64.so.2");

	ck_assert_int_eq(verdict_on_image(&i), INSPECTION_ENTERABLE);
	i.eh.e_type = ET_EXEC;
	ck_assert_int_eq(verdict_on_image(&i), INSPECTION_ENTERABLE);
	ck_assert_int_eq(verdict_on("/bin/sh"), INSPECTION_ENTERABLE);
}
END_TEST

/* What Go's linker leaves in a program that is linked with the C library. */
START_TEST(go_program_is_told_by_its_note)
{
	struct image i = program("/lib64/ld-linux-x86-64.so.2");

	i.eh.e_phnum = 3;
	i.ph[2].p_type = PT_NOTE;
	i.ph[2].p_offset = offsetof(struct image, note);
	i.ph[2].p_filesz = sizeof(i.note);
	i.note[0].head = (ElfW(Nhdr)){ 4, sizeof(i.note[0].text), 3 };
	strcpy(i.note[0].owner, "GNU");
	i.note[1] = i.note[0];
	ck_assert_int_eq(verdict_on_image(&i), INSPECTION_ENTERABLE);
	i.note[1].head.n_type = 4;
	memcpy(i.note[1].owner, "Go\0", 4);
	ck_assert_int_eq(verdict_on_image(&i), INSPECTION_GO);
	i.ph[2].p_filesz = sizeof(i.note[0]);
	ck_assert_int_eq(verdict_on_image(&i), INSPECTION_ENTERABLE);
}
END_TEST

START_TEST(go_program_is_told_by_its_build_information)
{
	struct image i = program("/lib64/ld-linux-x86-64.so.2");

	i.eh.e_phnum = 3;
	i.ph[2].p_type = PT_LOAD;
	i.ph[2].p_flags = PF_R | PF_W;
	i.ph[2].p_offset = offsetof(struct image, segment);
	i.ph[2].p_filesz = sizeof(i.segment);
	memcpy(i.segment + 4096 + 32, "\xff Go buildinf:", 14);
	ck_assert_int_eq(verdict_on_image(&i), INSPECTION_GO);
	i.ph[2].p_flags = PF_R | PF_X;
	ck_assert_int_eq(verdict_on_image(&i), INSPECTION_ENTERABLE);
	i.ph[2].p_flags = PF_R | PF_W;
	memmove(i.segment + 4096 + 40, i.segment + 4096 + 32, 14); /* not aligned */
	memset(i.segment + 4096 + 32, 0, 8);
	ck_assert_int_eq(verdict_on_image(&i), INSPECTION_ENTERABLE);
}
END_TEST

START_TEST(static_program_is_refused)
{
	struct image i = program("/lib/ld-linux.so.2");

	i.ph[1].p_type = PT_LOAD;
	ck_assert_int_eq(verdict_on_image(&i), INSPECTION_STATIC); /* static PIE */
	i.ph[0].p_type = PT_LOAD;
	ck_assert_int_eq(verdict_on_image(&i), INSPECTION_STATIC);
	i.eh.e_type = ET_EXEC;
	ck_assert_int_eq(verdict_on_image(&i), INSPECTION_STATIC);
}
END_TEST

START_TEST(library_is_no_program_but_the_loader_is)
{
	struct image i = program("");

	i.ph[1].p_type = PT_LOAD;
	i.dynamic[0].d_tag = DT_SONAME;
	ck_assert_int_eq(verdict_on_image(&i), INSPECTION_LIBRARY);
	ck_assert_int_eq(verdict_on(write_file("ld-linux-x86-64.so.2", &i,
					       sizeof(i), 0755)),
			 INSPECTION_ENTERABLE);
	ck_assert_int_eq(verdict_on(write_file("ld-musl-x86_64.so.1", &i,
					       sizeof(i), 0755)),
			 INSPECTION_LIBRARY);
}
END_TEST

START_TEST(other_loaders_are_refused)
{
	static const char *const loaders[] = {
		"/lib/ld-musl-x86_64.so.1", "/system/bin/linker64",
		"/lib/ld-uClibc.so.0", "/x"
	};

	for (size_t n = 0; n < sizeof(loaders) / sizeof(loaders[0]); n++) {
		struct image i = program(loaders[n]);

		ck_assert_int_eq(verdict_on_image(&i), INSPECTION_LOADER);
	}
}
END_TEST

START_TEST(foreign_program_is_refused)
{
	struct image i = program("/lib64/ld-linux-x86-64.so.2");

	i.eh.e_machine = (ElfW(Half))(i.eh.e_machine + 1);
	ck_assert_int_eq(verdict_on_image(&i), INSPECTION_FOREIGN);
	i = program("/lib64/ld-linux-x86-64.so.2");
	i.eh.e_ident[EI_CLASS] ^= ELFCLASS32 ^ ELFCLASS64;
	ck_assert_int_eq(verdict_on_image(&i), INSPECTION_FOREIGN);
	i = program("/lib64/ld-linux-x86-64.so.2");
	i.eh.e_ident[EI_DATA] ^= ELFDATA2LSB ^ ELFDATA2MSB;
	ck_assert_int_eq(verdict_on_image(&i), INSPECTION_FOREIGN);
}
END_TEST

START_TEST(cut_or_broken_file_is_never_entered)
{
	struct image i = program("/lib64/ld-linux-x86-64.so.2");
	size_t whole = offsetof(struct image, loader) + strlen(i.loader) + 1;

	for (size_t len = 1; len < whole; len++) {
		enum inspection_verdict v =
			verdict_on(write_file("cut", &i, len, 0755));

		ck_assert_int_ne(v, INSPECTION_ENTERABLE);
	}
	i.ph[1].p_filesz = 1 << 20;
	ck_assert_int_eq(verdict_on_image(&i), INSPECTION_MALFORMED);
	i = program("/lib64/ld-linux-x86-64.so.2");
	i.ph[1].p_offset = (ElfW(Off))-1;
	ck_assert_int_eq(verdict_on_image(&i), INSPECTION_MALFORMED);
	i = program("/lib64/ld-linux-x86-64.so.2");
	i.eh.e_phoff = (ElfW(Off))-8;
	ck_assert_int_eq(verdict_on_image(&i), INSPECTION_MALFORMED);
	i = program("/lib64/ld-linux-x86-64.so.2");
	i.eh.e_phnum = 0xffff;
	ck_assert_int_eq(verdict_on_image(&i), INSPECTION_MALFORMED);
	i = program("/lib64/ld-linux-x86-64.so.2");
	i.eh.e_type = ET_CORE;
	ck_assert_int_eq(verdict_on_image(&i), INSPECTION_MALFORMED);
	i = program("/lib64/ld-linux-x86-64.so.2");
	i.ph[1].p_filesz--;	/* no NUL at its end */
	ck_assert_int_eq(verdict_on_image(&i), INSPECTION_MALFORMED);
}
END_TEST

/* "#! <dir>/<target><rest>" into the file @name */
static const char *write_script(const char *name, const char *target,
				const char *rest)
{
	char text[PATH_MAX];
	int n = snprintf(text, sizeof(text), "#! %s%s%s", path_of(target), rest,
			 "\n:\n");

	return write_file(name, text, (size_t)n, 0755);
}

START_TEST(interpreters_are_followed)
{
	struct image i = program("/lib64/ld-linux-x86-64.so.2");
	struct inspection seen;

	write_file("good", &i, sizeof(i), 0755);
	ck_assert_int_eq(verdict_on(write_script("s1", "good", " -x")),
			 INSPECTION_ENTERABLE);
	ck_assert_int_eq(verdict_on(write_script("s2", "s1", "")),
			 INSPECTION_ENTERABLE);
	write_script("s3", "s2", "\t-y");
	ck_assert_int_eq(verdict_on(write_script("s4", "s3", "")),
			 INSPECTION_ENTERABLE);
	ck_assert_int_eq(verdict_on(write_script("s5", "s4", "")),
			 INSPECTION_TOO_DEEP);
	i.ph[1].p_type = PT_NULL;
	write_file("static", &i, sizeof(i), 0755);
	ck_assert_int_eq(inspect_program(write_script("t", "static", ""), &seen),
			 -EACCES);
	ck_assert_int_eq(seen.verdict, INSPECTION_STATIC);
	ck_assert_str_eq(seen.path, path_of("static"));
	ck_assert_int_eq(inspect_program(write_script("m", "absent", ""), &seen),
			 -EACCES);
	ck_assert_int_eq(seen.verdict, INSPECTION_MISSING);
	ck_assert_int_eq(verdict_on(write_script("loop", "loop", "")),
			 INSPECTION_TOO_DEEP);
}
END_TEST

START_TEST(odd_first_lines)
{
	char wide[400] = "#!/";

	ck_assert_int_eq(verdict_on(write_file("e", "#!", 2, 0755)),
			 INSPECTION_UNKNOWN);
	ck_assert_int_eq(verdict_on(write_file("b", "#! \t\n:\n", 7, 0755)),
			 INSPECTION_UNKNOWN);
	ck_assert_int_eq(verdict_on(write_file("n", "#!/bin/sh", 9, 0755)),
			 INSPECTION_ENTERABLE);
	memset(wide + 3, 'a', sizeof(wide) - 3);
	ck_assert_int_eq(verdict_on(write_file("w", wide, sizeof(wide), 0755)),
			 INSPECTION_UNKNOWN);
	ck_assert_int_eq(verdict_on(write_file("t", "echo hello\n", 11, 0755)),
			 INSPECTION_SHELL_TEXT);
	ck_assert_int_eq(verdict_on(write_file("z", "", 0, 0755)),
			 INSPECTION_SHELL_TEXT);
	ck_assert_int_eq(verdict_on(write_file("x", "MZ\0\1", 4, 0755)),
			 INSPECTION_UNKNOWN);
}
END_TEST

START_TEST(unreadable_file_is_refused)
{
	char path[PATH_MAX + 1];

	ck_assert_int_eq(verdict_on(dir), INSPECTION_UNREADABLE);
	ck_assert_int_eq(verdict_on(path_of("absent")), INSPECTION_UNREADABLE);
	ck_assert_int_eq(mkfifo(path_of("fifo"), 0755), 0);
	ck_assert_int_eq(verdict_on(path_of("fifo")), INSPECTION_UNREADABLE);
	memset(path, 'a', PATH_MAX);
	path[PATH_MAX] = '\0';
	ck_assert_int_eq(verdict_on(path), INSPECTION_UNREADABLE);
}
END_TEST

/* The verdict as another user sees it; a child, because real ids do not come back. */
static enum inspection_verdict verdict_as(uid_t uid, const char *path)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct inspection seen;

		if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
			_exit(255);
		_exit(inspect_program(path, &seen) == 0 ?
			      (int)INSPECTION_ENTERABLE : (int)seen.verdict);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return (enum inspection_verdict)WEXITSTATUS(status);
}

/* Tests of privileges need some, and a file system that honours them. */
static bool can_test_privileges(void)
{
	struct statvfs fs;

	return getuid() == 0 && statvfs(dir, &fs) == 0 &&
	       (fs.f_flag & ST_NOSUID) == 0 &&
	       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0;
}

START_TEST(setuid_counts_only_when_it_changes_the_user)
{
	struct image i = program("/lib64/ld-linux-x86-64.so.2");
	const char *path = write_file("setuid", &i, sizeof(i), 04755);

	ck_assert_int_eq(verdict_on(path), INSPECTION_ENTERABLE); /* ours */
	if (!can_test_privileges())
		return;
	ck_assert_int_eq(verdict_as(65534, path), INSPECTION_SETID);
	ck_assert_int_eq(chmod(path, 0755), 0);
	ck_assert_int_eq(verdict_as(65534, path), INSPECTION_ENTERABLE);
	ck_assert_int_eq(chown(path, 65534, 65534), 0);
	ck_assert_int_eq(chmod(path, 04755), 0);
	ck_assert_int_eq(verdict_as(65534, path), INSPECTION_ENTERABLE);
	ck_assert_int_eq(verdict_on(path), INSPECTION_SETID);
	ck_assert_int_eq(chmod(path, 02755), 0);
	ck_assert_int_eq(verdict_on(path), INSPECTION_SETID);
	ck_assert_int_eq(chmod(path, 02745), 0); /* mandatory locking, not setgid */
	ck_assert_int_eq(verdict_on(path), INSPECTION_ENTERABLE);
}
END_TEST

START_TEST(no_new_privileges_makes_setuid_harmless)
{
	struct image i = program("/lib64/ld-linux-x86-64.so.2");
	const char *path = write_file("setuid", &i, sizeof(i), 0755);
	int status;
	pid_t pid;

	if (!can_test_privileges())
		return;
	ck_assert_int_eq(chown(path, 65534, 65534), 0);
	ck_assert_int_eq(chmod(path, 04755), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct inspection seen;

		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		_exit(inspect_program(path, &seen) == 0 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(file_capabilities_count_for_users_but_not_for_root)
{
	/* VFS_CAP_REVISION_2 with the effective bit, CAP_NET_RAW permitted */
	static const unsigned char caps[20] = { 1, 0, 0, 2, 0, 0x20 };
	struct image i = program("/lib64/ld-linux-x86-64.so.2");
	const char *path = write_file("caps", &i, sizeof(i), 0755);

	if (!can_test_privileges() ||
	    setxattr(path, "security.capability", caps, sizeof(caps), 0) < 0)
		return;
	ck_assert_int_eq(verdict_on(path), INSPECTION_ENTERABLE);
	ck_assert_int_eq(verdict_as(65534, path), INSPECTION_CAPABILITIES);
}
END_TEST

START_TEST(library_to_preload_must_be_one)
{
	struct image i = program("");
	struct inspection seen;

	ck_assert_int_eq(inspect_library(write_file("l.so", &i, sizeof(i), 0644),
					 &seen), 0);
	i.eh.e_type = ET_REL;
	ck_assert_int_eq(inspect_library(write_file("l.so", &i, sizeof(i), 0644),
					 &seen), -EACCES);
	i.eh.e_type = ET_DYN;
	i.eh.e_machine = EM_NONE;
	ck_assert_int_eq(inspect_library(write_file("l.so", &i, sizeof(i), 0644),
					 &seen), -EACCES);
	ck_assert_int_eq(seen.verdict, INSPECTION_FOREIGN);
	ck_assert_int_eq(inspect_library(write_file("l.so", "", 0, 0644), &seen),
			 -EACCES);
	ck_assert_int_eq(inspect_library(path_of("absent"), &seen), -EACCES);
	ck_assert_int_eq(seen.verdict, INSPECTION_UNREADABLE);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("elf");
	TCase *t = tcase_create("inspection");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, make_dir, remove_dir);
	tcase_add_test(t, glibc_program_is_entered);
	tcase_add_test(t, go_program_is_told_by_its_note);
	tcase_add_test(t, go_program_is_told_by_its_build_information);
	tcase_add_test(t, static_program_is_refused);
	tcase_add_test(t, library_is_no_program_but_the_loader_is);
	tcase_add_test(t, other_loaders_are_refused);
	tcase_add_test(t, foreign_program_is_refused);
	tcase_add_test(t, cut_or_broken_file_is_never_entered);
	tcase_add_test(t, interpreters_are_followed);
	tcase_add_test(t, odd_first_lines);
	tcase_add_test(t, unreadable_file_is_refused);
	tcase_add_test(t, setuid_counts_only_when_it_changes_the_user);
	tcase_add_test(t, no_new_privileges_makes_setuid_harmless);
	tcase_add_test(t, file_capabilities_count_for_users_but_not_for_root);
	tcase_add_test(t, library_to_preload_must_be_one);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
