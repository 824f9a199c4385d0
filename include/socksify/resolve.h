/* SPDX-License-Identifier: ISC */
/* resolve.h - who answers for a name: this machine, the name pool, or nobody. */
#ifndef SOCKSIFY_RESOLVE_H
#define SOCKSIFY_RESOLVE_H

#include "socksify/target.h"

enum resolve_how {
	RESOLVE_LIBC,		/* as without us: libc may ask the network */
	RESOLVE_FILE,		/* libc finds it in /etc/hosts, under the name without a final dot */
	RESOLVE_ADDRESS,	/* the answer is the address in @ret */
	RESOLVE_NOTHING,	/* there is no such name */
	RESOLVE_NO_ADDRESS,	/* a local name without an address of this family */
	RESOLVE_AGAIN,		/* the pool is full or cannot be had */
	RESOLVE_DOWN,		/* there is no usable configuration */
};

/* Whose business a name is. */
enum resolve_owner {
	RESOLVE_OF_NOBODY,	/* no name of a host: its labels or its length are wrong */
	RESOLVE_OF_ONION,	/* the proxy's, in every mode (RFC 7686) */
	RESOLVE_OF_SYSTEM,	/* dns local: whoever the program asks */
	RESOLVE_OF_HOSTS,	/* in /etc/hosts */
	RESOLVE_OF_MACHINE,	/* localhost, the machine's own name */
	RESOLVE_OF_DIRECT,	/* of a direct rule: whoever the program asks */
	RESOLVE_OF_PROXY,
	RESOLVE_OF_UNKNOWN,	/* there is no usable configuration */
};

/* resolve_owner - whose business is @name?  NUL-terminated; a final dot is ignored. */
enum resolve_owner resolve_owner(const char *name);

#define RESOLVE_ADDRESSES 16	/* of one name; those after them are left out */

struct resolve_list {
	size_t count;		/* 1 .. RESOLVE_ADDRESSES */
	struct target addresses[RESOLVE_ADDRESSES];
};

/*
 * resolve_all - who answers for @name, and what?
 * @name:   no numeric address; NUL-terminated
 * @family: AF_INET, AF_INET6, or AF_UNSPEC, which gets an IPv4 address of the pool
 * @both:   AF_UNSPEC gets the IPv6 address of the pool, too, in the second place
 * @ret:    set for RESOLVE_ADDRESS; with dns tcp and dns tor there may be
 *          several addresses, for AF_UNSPEC of both families, and it may wait for them
 */
enum resolve_how resolve_all(const char *name, int family, bool both, struct resolve_list *ret);

/* resolve_name - the same, the first address alone. */
enum resolve_how resolve_name(const char *name, int family, struct target *ret);

/*
 * resolve_address - the name of an address.
 * Returns RESOLVE_FILE for this machine's own, RESOLVE_LIBC when all names are
 * this machine's business, RESOLVE_ADDRESS and the name in @ret for one of the
 * pool, and with dns tcp and dns tor for one that the resolver knows, which it
 * may wait for; else RESOLVE_NOTHING: a reverse query would leak.
 */
enum resolve_how resolve_address(const struct target *address, struct target *ret);

/* Are real addresses to be had, from behind the proxy?  (dns tcp, dns tor) */
bool resolve_has_resolver(void);

/* May the program ask a resolver of its own (res_query(3) and others)? */
bool resolve_is_local(void);

/* Are there names that libc resolves as without us, though others go to the proxy? */
bool resolve_has_direct_names(void);

#endif
