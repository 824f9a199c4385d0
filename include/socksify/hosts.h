/* SPDX-License-Identifier: ISC */
/* hosts.h - the machine's own table of names (hosts(5)). */
#ifndef SOCKSIFY_HOSTS_H
#define SOCKSIFY_HOSTS_H

#include "socksify/target.h"

/* What a scan is told: one name of one line.  Returns false to stop. */
typedef bool (*hosts_visit)(const struct target *address, const char *name,
			    size_t len, void *arg);

/*
 * hosts_each - read /etc/hosts and call @visit for each name of each line.
 * Words over 255 octets and lines without a numeric address are passed over.
 * Uses no memory but the stack.
 * Returns 0, also when there is no such file, or -errno of the reading.
 */
int hosts_each(hosts_visit visit, void *arg);

/* What the machine knows of a name by itself. */
enum {
	HOSTS_V4 = 1,	/* /etc/hosts has an IPv4 address for it ... */
	HOSTS_V6 = 2,	/* ... an IPv6 address */
	HOSTS_OWN = 4,	/* it is the machine's own name (uname(2)) */
};

/*
 * hosts_find - look @name up, without a system call but once in a second.
 * @name: @len octets, 1 .. 255; upper and lower case are the same name
 * What was read is kept, and read again when the file has changed: a change
 * is noticed after a second at the latest.  Lock-free.
 * Returns HOSTS_ bits, 0 for a name that the machine does not know.
 */
unsigned hosts_find(const char *name, size_t len);

/* In the child of fork(2): nobody else looks anything up here. */
void hosts_in_child(void);

#endif
