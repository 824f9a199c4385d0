/* SPDX-License-Identifier: ISC */
/*
 * namepool.h - names and the addresses that stand for them: 198.18.0.0/15
 * (RFC 2544) and fd73:6f63:6b73::/64 (RFC 4193), the same index in both.
 */
#ifndef SOCKSIFY_NAMEPOOL_H
#define SOCKSIFY_NAMEPOOL_H

#include "socksify/target.h"

/*
 * For so long after it was last answered or looked up, an address keeps its
 * name: programs cache what a resolver says, most for a minute, some much
 * longer.  (The TTL of our own DNS answers is a few seconds.)  The pool has 131,072 addresses, so that new names may come at 36 a
 * second for ever; faster, and it is full until the oldest are an hour old.
 */
#define NAMEPOOL_FRESH_S 3600

/*
 * namepool_open - map the user's pool, and make it if there is none.
 * @first, @second: folders to try, in this order, or NULL; one that is missing
 *       is made, one that is not the effective user's alone is not used
 * Where neither can be used there is a pool that only fork(2) hands on.
 * Called once, by one thread; keeps no fd.  Returns 0, or -ENOMEM.
 */
MUST_CHECK int namepool_open(const char *first, const char *second);

/*
 * namepool_runtime - the user's folder for files of this session (XDG base directory specification).
 * @getenv_fn: getenv(3) or secure_getenv(3)
 * Returns the variable's value, an absolute path, or NULL.
 */
const char *namepool_runtime(char *(*getenv_fn)(const char *));

/*
 * namepool_open_for_user - namepool_open() in the "socksify" of @runtime, or
 * in /tmp/socksify-UID.
 * @runtime: from namepool_runtime(), or NULL
 */
MUST_CHECK int namepool_open_for_user(const char *runtime);

/*
 * namepool_address - the address that stands for @name.
 * @name:   @len octets, 1 .. 255; upper and lower case are the same name
 * @family: AF_INET or AF_INET6
 * Lock-free, async-signal-safe, and without a system call but one in some
 * thousand new names, which has the kernel reserve storage.
 * Returns 0; -EAGAIN when the pool is full, or there is no storage, and no
 * address was out of use for NAMEPOOL_FRESH_S; -EINVAL for a bad length;
 * -ENODEV before namepool_open().
 */
MUST_CHECK int namepool_address(const char *name, size_t len, int family,
				struct target *ret);

/* Is @t inside the pool's ranges, whether a name belongs to it or not? */
bool namepool_contains(const struct target *t);

/*
 * namepool_name - the name that an address stands for; its port is kept.
 * Lock-free and async-signal-safe; the address counts as used.
 * Returns 0 and a TARGET_NAME, or -ENOENT: no name was given that address, or
 * this process knows it from before it was given to another name.
 */
MUST_CHECK int namepool_name(const struct target *t, struct target *ret);

#endif
