/* SPDX-License-Identifier: ISC */
/* pool_dir.h - for tests of the name pool: a folder, and a clock that the test moves. */
#ifndef TESTS_POOL_DIR_H
#define TESTS_POOL_DIR_H

#include "socksify/namepool.h"

extern char pool_dir[64];	/* not there yet; its parent is the test's own */
extern char pool_file[80];	/* the file in it */

void make_pool_dir(void);
void remove_pool_dir(void);

/* The pool's coarse clock stands still from the first call on, but for so many seconds. */
void pool_clock_advance(int seconds);

/* An address, or the end of the test. */
struct target address_of(const char *name, int family);

/* Does the address stand for the name, here and now? */
bool stands_for(const struct target *address, const char *name);

#endif
