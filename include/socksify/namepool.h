/* SPDX-License-Identifier: ISC */
/*
 * namepool.h - names and the addresses that stand for them: 198.18.0.0/15
 * (RFC 2544) and fd73:6f63:6b73::/64 (RFC 4193), the same index in both.
 */
#ifndef SOCKSIFY_NAMEPOOL_H
#define SOCKSIFY_NAMEPOOL_H

#include "socksify/target.h"

/*
 * namepool_open - map the user's pool, and make it if there is none.
 * @dir: a folder that only this user can write, verified here; NULL or
 *       unusable: a mapping that only fork(2) hands on
 * Called once, by one thread.  Returns 0, or -ENOMEM.
 */
MUST_CHECK int namepool_open(const char *dir);

/*
 * namepool_address - the address that stands for @name.
 * @name:   @len octets, 1 .. 255; upper and lower case are the same name
 * @family: AF_INET or AF_INET6
 * Lock-free and async-signal-safe.
 * Returns 0; -EAGAIN when the pool is full; -EINVAL for a bad length;
 * -ENODEV before namepool_open().
 */
MUST_CHECK int namepool_address(const char *name, size_t len, int family,
				struct target *ret);

/* Is @t inside the pool's ranges, whether a name belongs to it or not? */
bool namepool_contains(const struct target *t);

/*
 * namepool_name - the name that an address stands for; its port is kept.
 * Returns 0 and a TARGET_NAME, or -ENOENT: no name was given that address.
 */
MUST_CHECK int namepool_name(const struct target *t, struct target *ret);

#endif
