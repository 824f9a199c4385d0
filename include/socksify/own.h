/* SPDX-License-Identifier: ISC */
/* own.h - the library's own fds within the program: few, high, close-on-exec, and out of its reach. */
#ifndef SOCKSIFY_OWN_H
#define SOCKSIFY_OWN_H

#include "socksify/fdtab.h"

struct own;

/*
 * own_keep - make @fd ours: it moves to a high number, close-on-exec.
 * Returns its record, for own_close(); NULL without memory, and @fd is closed.
 */
MUST_CHECK struct own *own_keep(int fd);

/* Its number of this moment. */
int own_fd(const struct own *own);

/* Close it.  @own may be NULL. */
void own_close(struct own *own);

/* Is @fd ours?  The program knows nothing of it then.  One load. */
static inline bool own_is(int fd)
{
	return __builtin_expect((fdtab_marks(fd) & FD_OWN) != 0, 0);
}

/*
 * own_leave - the program takes the number @fd for something else (dup2(2)).
 * Returns 0 when the number is free now, or none of ours; or -errno: it stays ours.
 */
MUST_CHECK int own_leave(int fd);

/*
 * own_gap - the first part of the range *@low .. @high that has none of ours in it.
 * @ret_high: its end
 * Moves *@low to its beginning; returns false when nothing is left.
 */
bool own_gap(unsigned *low, unsigned high, unsigned *ret_high);

#endif
