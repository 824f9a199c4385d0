/* SPDX-License-Identifier: ISC */
/* elf.h - can a preloaded library enter this program? */
#ifndef SOCKSIFY_CMD_ELF_H
#define SOCKSIFY_CMD_ELF_H

#include <limits.h>

#include "socksify/target.h"

enum inspection_verdict {
	INSPECTION_ENTERABLE,
	INSPECTION_SHELL_TEXT,	/* no ELF, no "#!": as execvp(3), /bin/sh reads it */
	INSPECTION_STATIC,
	INSPECTION_LIBRARY,	/* a shared object that is no program */
	INSPECTION_LOADER,	/* linked against another C library than glibc */
	INSPECTION_FOREIGN,	/* other class, byte order or machine */
	INSPECTION_SETID,
	INSPECTION_CAPABILITIES,
	INSPECTION_UNREADABLE,
	INSPECTION_MISSING,	/* an interpreter */
	INSPECTION_TOO_DEEP,	/* "#!" leads to "#!" leads to ... */
	INSPECTION_MALFORMED
};

struct inspection {
	enum inspection_verdict verdict;
	char path[PATH_MAX];	/* the file it is about: the program or an interpreter */
};

/*
 * inspect_program - look at the file that execve(2) would run.
 * @path: the file; found already, no search of PATH
 * @ret:  always written; "#!" lines are followed, so @ret->path may be an interpreter
 * Returns 0 when the library will be loaded (verdict ENTERABLE or
 * SHELL_TEXT), or -EACCES when it will not, or when that cannot be told.
 */
MUST_CHECK int inspect_program(const char *path, struct inspection *ret);

/*
 * inspect_library - is this a shared object that this machine's loader takes?
 * A file that the loader only warns about would leave the program direct.
 * Returns 0 or -EACCES; @ret is always written.
 */
MUST_CHECK int inspect_library(const char *path, struct inspection *ret);

/* "what is wrong: what to do" for a refusal, to follow the path; static. */
const char *inspection_text(enum inspection_verdict verdict);

#endif
