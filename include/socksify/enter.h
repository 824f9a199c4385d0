/* SPDX-License-Identifier: ISC */
/* enter.h - can a preloaded library enter this program? */
#ifndef SOCKSIFY_ENTER_H
#define SOCKSIFY_ENTER_H

#include "socksify/target.h"

enum inspection_verdict {
	INSPECTION_ENTERABLE,
	INSPECTION_SHELL_TEXT,	/* no ELF, no "#!": as execvp(3), /bin/sh reads it */
	INSPECTION_STATIC,
	INSPECTION_LIBRARY,	/* a shared object that is no program */
	INSPECTION_LOADER,	/* linked against another C library than glibc */
	INSPECTION_FOREIGN,	/* other class, byte order or machine */
	INSPECTION_GO,		/* makes its system calls itself, not by the C library */
	INSPECTION_SETID,
	INSPECTION_CAPABILITIES,
	INSPECTION_UNREADABLE,
	INSPECTION_MISSING,	/* an interpreter */
	INSPECTION_TOO_DEEP,	/* "#!" leads to "#!" leads to ... */
	INSPECTION_MALFORMED,	/* an ELF file that cannot be understood */
	INSPECTION_UNKNOWN	/* no format that the kernel itself knows: ENOEXEC */
};

/* BINPRM_BUF_SIZE: the kernel reads no more of a "#!" line. */
#define INSPECTION_LINE_SIZE 256

struct inspection {
	enum inspection_verdict verdict;
	const char *path;	/* the file it is about: the program as passed, or @interpreter */
	char interpreter[INSPECTION_LINE_SIZE];
	bool needs_to_be_first;	/* its AddressSanitizer accepts no library before it */
};

/*
 * inspect_program - look at the file that execve(2) would run.
 * @path: the file; found already, no search of PATH
 * @ret:  always written; "#!" lines are followed, so @ret->path may be an interpreter
 * Returns 0 when the library will be loaded (verdict ENTERABLE or
 * SHELL_TEXT), or -EACCES when it will not, or when that cannot be told.
 * Without allocator, lock or stdio's streams; errno changes, and the calls
 * are cancellation points.
 */
MUST_CHECK int inspect_program(const char *path, struct inspection *ret);

/* The same for the file of execveat(2): @path from @dir, or "" for @dir itself. */
MUST_CHECK int inspect_program_at(int dir, const char *path, struct inspection *ret);

/* inspection_fd_path - "/proc/self/fd/N" for an @fd of 0 or more; returns @ret. */
#define INSPECTION_FD_PATH_SIZE (sizeof("/proc/self/fd/") + 3 * sizeof(int))
char *inspection_fd_path(int fd, char ret[INSPECTION_FD_PATH_SIZE]);

/*
 * inspect_library - is this a shared object that this machine's loader takes?
 * A file that the loader only warns about would leave the program direct.
 * Returns 0 or -EACCES; @ret is always written.
 */
MUST_CHECK int inspect_library(const char *path, struct inspection *ret);

/* "what is wrong: what to do" for a refusal, to follow the path; static. */
const char *inspection_text(enum inspection_verdict verdict);

#endif
