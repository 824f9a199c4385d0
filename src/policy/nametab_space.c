/* SPDX-License-Identifier: ISC */
/* nametab_space.c - storage for a table in a sparse file, before anything is stored there. */
#include "nametab.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/*
 * A store to a hole of a file whose file system is full is a SIGBUS.  In a
 * system call it is only an error: here one that changes nothing at @at (it
 * ors 0 to it), for kernels that lack a better one.
 */
static bool probe(const void *at)
{
	unsigned op = (unsigned)FUTEX_OP_OR << 28 | (unsigned)FUTEX_OP_CMP_EQ << 24;

	return syscall(SYS_futex, at, FUTEX_WAKE_OP, 0, 0L, at, op) >= 0;
}

/*
 * nametab_back - reserve storage for @len octets of a shared mapping.
 * Returns true, or false when there is none, or the file ends before.
 */
bool nametab_back(const void *at, size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), into = (uintptr_t)at % page;
	char *from = (char *)(uintptr_t)at - into;
	int saved = errno;
	bool done;

	len = (len + into + page - 1) / page * page;
	done = madvise(from, len, MADV_POPULATE_WRITE) == 0;
	if (!done && errno == EINVAL) {
		done = true;
		for (size_t i = 0; done && i < len; i += page)
			done = probe(from + i);
	}
	errno = saved;
	return done;
}
