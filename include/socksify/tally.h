/* SPDX-License-Identifier: ISC */
/* tally.h - how many connections went where, over all processes of a run. */
#ifndef SOCKSIFY_TALLY_H
#define SOCKSIFY_TALLY_H

#include <stdint.h>

#include "socksify/target.h"

enum tally_kind {
	TALLY_PROXIED,		/* connections through a proxy */
	TALLY_DIRECT,		/* allowed to go past it, by a rule or built in */
	TALLY_BLOCKED,		/* forbidden by a rule */
	TALLY_REFUSED,		/* what cannot be proxied: datagrams, sockets, programs */
	TALLY_FAILED,		/* the proxy, or what is behind it, did not take them */
	TALLY_SUPERVISED,	/* programs that the library cannot enter */
	TALLY_COUNT
};

#define TALLY_PATH_SIZE 256

/*
 * tally_create - begin to count.
 * @dir: an absolute path; the file in it is the caller's to remove with unlink(2)
 * @ret: its name, for the other processes of the run
 * Returns 0 or a negative errno.
 */
MUST_CHECK int tally_create(const char *dir, char ret[TALLY_PATH_SIZE]);

/*
 * tally_open - count together with others.
 * Returns 0; or a negative errno, and nothing is counted: -EPERM when the
 * file is not this user's alone, or no such file at all.
 */
MUST_CHECK int tally_open(const char *path);

/* One more.  Async-signal-safe; nothing happens unless it is counted. */
void tally_add(enum tally_kind kind);

/* How many so far; 0 unless it is counted. */
uint64_t tally_get(enum tally_kind kind);

#endif
