/* SPDX-License-Identifier: ISC */
/* resolver_socket.h - daemons of this machine that resolve names for whoever asks. */
#ifndef SOCKSIFY_RESOLVER_SOCKET_H
#define SOCKSIFY_RESOLVER_SOCKET_H

#include <stdbool.h>
#include <sys/socket.h>

/*
 * resolver_socket_is - is this the socket of nscd, systemd-resolved, avahi or mdnsd?
 * @addr: of family AF_UNIX, @len octets; need not end in NUL (unix(7))
 * Any way of writing the path that keeps the socket's own name is seen through:
 * relative, by links to folders, with more slashes than needed.  Asks the
 * kernel only when the path ends in such a name.  Async-signal-safe.
 */
bool resolver_socket_is(const struct sockaddr *addr, socklen_t len);

#endif
