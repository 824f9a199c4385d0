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
 * Uses no memory but the stack.  A file that cannot be read has no names.
 */
void hosts_each(hosts_visit visit, void *arg);

#endif
