/* SPDX-License-Identifier: ISC */
/* dns_tor.h - ask the proxy for addresses and names, by Tor's extension of SOCKS (`dns tor`). */
#ifndef SOCKSIFY_DNS_TOR_H
#define SOCKSIFY_DNS_TOR_H

#include "socksify/target.h"

/*
 * dns_tor_address - RESOLVE: the one address that Tor says @name has.
 * @name: @len octets, 1 .. 255
 * dns_tor_name - RESOLVE_PTR: the name of an address.
 * Both ask the proxy that the rules name for the target, or the first one,
 * and wait as dns_tcp_exchange() does.
 * Return 0, or -errno: -ENOENT it knows none; -ENETDOWN no proxy; -EACCES a
 * rule blocks the target; -EPROTO an answer of another kind; others as of
 * a connection through the proxy.
 */
MUST_CHECK int dns_tor_address(const char *name, size_t len, struct target *ret);
MUST_CHECK int dns_tor_name(const struct target *address, struct target *ret);

#endif
