/* SPDX-License-Identifier: ISC */
/* tunnel.h - a SOCKS handshake on the program's own socket. */
#ifndef SOCKSIFY_TUNNEL_H
#define SOCKSIFY_TUNNEL_H

#include "socksify/route.h"

/*
 * tunnel_connect - connect @fd to the route's target through its proxy.
 * @fd:    a TCP socket of AF_INET or AF_INET6; its flags and options stay as they are
 * @route: verdict ROUTE_PROXY
 * @addr, @len: what the program asked for; getpeername(2) will give it back
 * Runs to the end of the handshake, within the configured time and SO_SNDTIMEO.
 * Returns 0, or -errno, after which the socket can be connected anew:
 *   -ECONNREFUSED, -ENETUNREACH, ...  what the proxy answered, see socks5_rep_errno(),
 *              or what connect(2) says of the proxy itself
 *   -EACCES    the proxy refused the login or the target
 *   -ETIMEDOUT the time is over
 *   -EINTR     a signal handler without SA_RESTART ran (connect(2))
 *   -EISCONN, -EALREADY, -EINVAL  as connect(2)
 */
MUST_CHECK int tunnel_connect(int fd, const struct route *route,
			      const struct sockaddr *addr, socklen_t len);

/*
 * tunnel_set_proxy_address - numeric addresses of the first proxy, which is
 * given by name and was resolved before.
 * @list: addresses with commas between; NULL or empty: none
 */
void tunnel_set_proxy_address(const char *list);

#endif
