/* SPDX-License-Identifier: ISC */
/* tunnel.h - connect(2) through a proxy: a handshake on the program's own socket. */
#ifndef SOCKSIFY_TUNNEL_H
#define SOCKSIFY_TUNNEL_H

#include "socksify/conn.h"
#include "socksify/route.h"

/*
 * tunnel_connect - connect @fd to the route's target through its proxy.
 * @fd:    a TCP socket of AF_INET or AF_INET6; its flags and options stay as they are.  If it is of
 *         AF_INET and the proxy has only IPv6 addresses, another one stands in for it: replace.h
 * @route: verdict ROUTE_PROXY
 * @addr, @len: what the program asked for; getpeername(2) will give it back
 * A blocking socket runs to the end of the handshake, within the configured
 * time and SO_SNDTIMEO.  Returns 0, or -errno:
 *   -EINPROGRESS  a non-blocking socket, or SO_SNDTIMEO is over: the handshake
 *              goes on inside whatever the program calls for this fd
 *   -EINTR     a signal handler without SA_RESTART ran; the same (connect(2))
 *   otherwise the socket can be connected anew:
 *   -ECONNREFUSED, -ENETUNREACH, ...  what the proxy answered, see socks5_rep_errno(),
 *              or what connect(2) says of the proxy itself
 *   -EACCES    the proxy refused the login or the target
 *   -ETIMEDOUT the time is over
 *   -EAFNOSUPPORT  the socket can speak to none of the proxy's addresses
 *   -EADDRNOTAVAIL, -EADDRINUSE  nor can the one that would stand in for it, see replace_prepare()
 *   -EHOSTUNREACH  the proxy's name is not known
 *   -EISCONN, -EALREADY, -EINVAL, -ENOMEM  as connect(2)
 */
MUST_CHECK int tunnel_connect(int fd, const struct route *route,
			      const struct sockaddr *addr, socklen_t len);

/*
 * tunnel_again - connect(2) on an @fd that may have a connection of ours.
 * Returns TUNNEL_FRESH when there is none, so that the call begins one; else
 * what connect(2) returns for it:
 *   0, -EISCONN  done      -EALREADY  under way
 *   -ECONNREFUSED, ...     it failed; the next call begins anew
 *   -ECONNABORTED          the same, after SO_ERROR told why
 */
#define TUNNEL_FRESH 1
MUST_CHECK int tunnel_again(int fd, const struct sockaddr *addr, socklen_t len);

/* Is @addr, of @len octets, the peer that the kernel knows of a settled @conn: the proxy? */
bool tunnel_is_peer(const struct conn *conn, const struct sockaddr *addr, socklen_t len);

/* Is @fd the socket that @conn is about?  For settled ones: the kernel's peer is the proxy. */
bool tunnel_is_of(const struct conn *conn, int fd);

#endif
