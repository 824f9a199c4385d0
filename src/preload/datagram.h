/* SPDX-License-Identifier: ISC */
/* datagram.h - the calls of a program on a relayed socket, as messages. */
#ifndef SOCKSIFY_DATAGRAM_H
#define SOCKSIFY_DATAGRAM_H

#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdarg.h>

#include "socksify/relay.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/*
 * Segmentation offload, with which one header would stand before many
 * datagrams.  It is refused from the start, as by a kernel that is too old:
 * QUIC stacks then do without.
 */
static inline bool datagram_is_offload(int level, int name)
{
	return level == IPPROTO_UDP && (name == UDP_SEGMENT || name == UDP_GRO);
}

/* Each returns what its libc function does, and sets errno.  @route: NULL without an @addr. */
ssize_t datagram_send(int fd, const struct route *route, const void *bytes, size_t n, int flags,
		      const struct sockaddr *addr, socklen_t len);
ssize_t datagram_writev(int fd, const struct iovec *parts, int count, int flags);
ssize_t datagram_receive(int fd, void *bytes, size_t n, int flags, struct sockaddr *addr,
			 socklen_t *len);
ssize_t datagram_read(int fd, void *bytes, size_t n);
ssize_t datagram_readv(int fd, const struct iovec *parts, int count, int flags);
int datagram_print(int fd, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));
int datagram_readable(int fd, int *ret);

#endif
