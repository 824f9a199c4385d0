/* SPDX-License-Identifier: ISC */
/* fdtab.h - which fds are proxied connections, and what the program asked for. */
#ifndef SOCKSIFY_FDTAB_H
#define SOCKSIFY_FDTAB_H

#include "socksify/target.h"

/* Written once, before it can be found; shared by duplicates of an fd. */
struct conn {
	uint64_t cookie;	/* SO_COOKIE: which socket this is about */
	socklen_t peer_len;
	union sockaddr_any peer;	/* as the program passed it to connect(2) */
};

/*
 * All functions are lock-free and async-signal-safe, and leave fds outside
 * 0 .. FDTAB_MAX - 1 alone.
 */
#define FDTAB_MAX (1 << 20)

/* Is there an entry for @fd?  One load; it may be stale, see fdtab_find(). */
bool fdtab_has(int fd);

/*
 * fdtab_put - @fd is a proxied connection.
 * Replaces an earlier entry.  Returns 0; -ENOMEM; -EMFILE when @fd is too high.
 */
MUST_CHECK int fdtab_put(int fd, const struct conn *conn);

/*
 * fdtab_find - the entry of @fd, copied.
 * Checks the socket's SO_COOKIE, so that an fd number which was reused behind
 * our back is not mistaken: its stale entry is dropped.
 * Returns 0, or -ENOENT.
 */
MUST_CHECK int fdtab_find(int fd, struct conn *ret);

/*
 * fdtab_adopt - the same for an @fd without an entry, by its SO_COOKIE: it may
 * be a duplicate from before connect(2).  It gets an entry of its own.
 * Takes time in proportion to the number of connections.
 */
MUST_CHECK int fdtab_adopt(int fd, struct conn *ret);

/* @fd was closed or its number reused.  Does nothing in a vfork(2) child, whose table is its parent's. */
void fdtab_drop(int fd);

/* The same for low .. high. */
void fdtab_drop_range(unsigned low, unsigned high);

/* @to became a duplicate of @from; an entry of @to is dropped first. */
void fdtab_dup(int from, int to);

/* The process is a new one: called at start and in the child of fork(2). */
void fdtab_set_owner(int pid);

#endif
