/* SPDX-License-Identifier: ISC */
/* resolver.h - real addresses and names, from behind the proxy: `dns tcp:` and `dns tor`. */
#ifndef SOCKSIFY_RESOLVER_H
#define SOCKSIFY_RESOLVER_H

#include "socksify/resolve.h"

/*
 * resolver_addresses - the addresses of a host.
 * @name:   @len octets, a valid name without a final dot
 * @family: AF_INET, AF_INET6 or AF_UNSPEC, which gives both kinds, IPv4 first
 * Waits for the resolver, unless its answer is known and still counts.
 * Returns RESOLVE_ADDRESS; RESOLVE_NOTHING, no such name; RESOLVE_NO_ADDRESS,
 * none of this family; RESOLVE_AGAIN, no answer, or none that can be used.
 */
enum resolve_how resolver_addresses(const char *name, size_t len, int family,
				    struct resolve_list *ret);

/* resolver_name - the name of an address: RESOLVE_ADDRESS and a TARGET_NAME, or RESOLVE_NOTHING. */
enum resolve_how resolver_name(const struct target *address, struct target *ret);

#endif
