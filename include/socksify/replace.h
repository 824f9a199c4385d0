/* SPDX-License-Identifier: ISC */
/*
 * replace.h - another socket in the place of the program's.
 *
 * An AF_INET socket cannot speak to a proxy that has only IPv6 addresses: an
 * AF_INET6 socket takes its place until the connection ends or fails.
 */
#ifndef SOCKSIFY_REPLACE_H
#define SOCKSIFY_REPLACE_H

#include "socksify/conn.h"

/*
 * replace_prepare - make the AF_INET6 socket that can stand in for @fd.
 * @fd: a TCP socket of AF_INET that was never connected; its options, and the
 *      port that it is bound to, are carried over
 * Returns the fd of the new socket, for replace_stand_in(), or -errno:
 *   -EADDRNOTAVAIL  @fd is bound to an address of IPv4
 *   -EADDRINUSE     its port is taken among those of IPv6
 *   -EAFNOSUPPORT   @fd is no such socket, or what decides by which interface it
 *                   leaves cannot be carried over
 *   -EISCONN, -EALREADY, -EBADF, -EMFILE, -ENOMEM, ...  as connect(2) and socket(2)
 */
MUST_CHECK int replace_prepare(int fd);

/* The socket from replace_prepare(), whose fd is closed, takes the place of all numbers of @conn. */
void replace_stand_in(struct conn *conn, int fd, int fresh);

/* Nothing came of the connection: an AF_INET socket takes the place again.  Nothing if none was replaced. */
void replace_undo(struct conn *conn, int fd);

/* Was there ever a socket that took another's place so?  One relaxed load. */
extern _Atomic bool replace_happened;
static inline bool replace_is_on(void)
{
	return __builtin_expect(atomic_load_explicit(&replace_happened, memory_order_relaxed), 0);
}

/* Does another socket stand in for that of @fd?  SO_DOMAIN is AF_INET then. */
bool replace_is(int fd);

/*
 * replace_local - @addr, which getsockname(2) told of a socket that stands in,
 * as one of AF_INET: 127.0.0.1 for ::1, and else 0.0.0.0, with its port.
 */
void replace_local(union sockaddr_any *addr, socklen_t *len);

/* What getsockname(2) shall tell of @fd.  False: what the kernel says. */
MUST_CHECK bool replace_name(int fd, union sockaddr_any *ret, socklen_t *ret_len);

/* What sockets inherit (tcp(7), socket(7)).  Returns 0, or -errno when SO_MARK or SO_BINDTODEVICE stay behind. */
int replace_copy_options(int from, int to);

/*
 * replace_put - @fresh, which is closed, takes the place of the socket under
 * @fd and all other numbers of @conn: with their flags and epoll registrations.
 */
void replace_put(struct conn *conn, int fd, int fresh);

#endif
