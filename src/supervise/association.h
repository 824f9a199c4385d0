/* SPDX-License-Identifier: ISC */
/*
 * association.h - datagrams of supervised programs by way of a proxy: UDP
 * ASSOCIATE (RFC 1928 section 7).
 *
 * A program's socket has one association.  Each of its targets is stood for by
 * a socket of ours on the loopback (peer.h), to which its datagrams go; they
 * come out of another one, which is connected to the relay, with a header.
 * The association is made when the first datagram has come.
 */
#ifndef SOCKSIFY_SUPERVISE_ASSOCIATION_H
#define SOCKSIFY_SUPERVISE_ASSOCIATION_H

#include "serve.h"
#include "socksify/route.h"

/*
 * association_address - the address on this machine that stands for a proxied target.
 * @s:     a UDP socket
 * @to:    as the program names the target
 * @route: ROUTE_PROXY and is_datagram, made of @to
 * @sends: a datagram is about to be sent there; else connect(2)
 * Returns the length of the address in @ret, or -errno:
 *   -ENETUNREACH  the proxy relays no datagrams; this socket's go through
 *                 another one; or the socket is in another network namespace
 *   -ENETDOWN     the association was lost, and there is no other
 *   -ENOBUFS      too many targets
 *   and how the last attempt to make one has failed.
 */
MUST_CHECK int association_address(const struct subject *s, const struct sockaddr_storage *to,
				   socklen_t len, const struct route *route, bool sends,
				   union sockaddr_any *ret);

/*
 * association_hold - the call has sent a datagram; it is answered when it is
 * known whether there is an association for it.
 * @result: what it is answered with if there is one
 * False: that is known already.
 */
bool association_hold(const struct subject *s, const struct call *c, int64_t result);

/* Has the socket an association, or had one? */
bool association_has(const struct subject *s);

/*
 * association_is_needed - have programs that have all ended sent something
 * that is still to be relayed?  Does what can be done for it now.
 */
bool association_is_needed(void);

#endif
