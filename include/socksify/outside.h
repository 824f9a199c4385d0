/* SPDX-License-Identifier: ISC */
/*
 * outside.h - the addresses that connections through proxies have: on this
 * machine, and on the proxy's other side, where their peers see them.
 */
#ifndef SOCKSIFY_OUTSIDE_H
#define SOCKSIFY_OUTSIDE_H

#include "socksify/config.h"

/* One connection; the ports of the addresses are of no concern. */
struct outside {
	const struct proxy *proxy;
	struct target peer;	/* what the program asked for */
	struct target bound;	/* the proxy's address towards it (BND.ADDR, RFC 1928 section 6) */
	struct target local;	/* this machine's towards the proxy */
};

/* Remember @connection; the last few are kept.  Async-signal-safe, as all here. */
void outside_note(const struct outside *connection);

/* Has a connection that is remembered this address, on this machine or outside? */
bool outside_has(const struct target *address);

/* The same, outside only. */
bool outside_is_bound(const struct target *address);

/* The peer of the last connection through @proxy.  False: there is none. */
MUST_CHECK bool outside_last_peer(const struct proxy *proxy, struct target *ret);

#endif
