/* SPDX-License-Identifier: ISC */
/* socket.c - the calls that make sockets and epoll sets, or set what a handshake minds. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <string.h>

#include "datagram.h"
#include "preload.h"
#include "real.h"
#include "socksify/dns_stream.h"
#include "socksify/gate.h"
#include "socksify/log.h"
#include "socksify/route.h"
#include "socksify/sys.h"
#include "socksify/wait.h"

#define TYPE_FLAGS (SOCK_NONBLOCK | SOCK_CLOEXEC)

static bool is_tcp(int domain, int type, int protocol)
{
	return (domain == AF_INET || domain == AF_INET6) && (type & ~TYPE_FLAGS) == SOCK_STREAM &&
	       (protocol == 0 || protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP);
}

static bool is_udp(int domain, int type, int protocol)
{
	return (domain == AF_INET || domain == AF_INET6) && (type & ~TYPE_FLAGS) == SOCK_DGRAM &&
	       (protocol == 0 || protocol == IPPROTO_UDP);
}

#ifndef SOCK_PACKET
#define SOCK_PACKET 10
#endif

/*
 * What goes out by these is frames, whose destinations nobody here reads.
 * An ordinary user gets the same answer from the kernel.
 */
static bool makes_frames(int domain, int type)
{
	return domain == AF_PACKET || domain == AF_XDP ||
	       (domain == AF_INET && (type & ~TYPE_FLAGS) == SOCK_PACKET);
}

static int refuse_frames(void)
{
	log_line(LOG_LEVEL_CONNECTION, "a packet socket is refused: only TCP can be proxied", NULL);
	return libc_result(-EPERM);
}

/* socket(2) */
EXPORT int socket(int domain, int type, int protocol)
{
	int fd;

	if (__builtin_expect(makes_frames(domain, type), 0) && !preload_is_off())
		return refuse_frames();
	fd = REAL(socket)(domain, type, protocol);
	if (fd < 0)
		return fd;
	if (is_tcp(domain, type, protocol))
		fdtab_mark(fd, FD_TCP | ((type & SOCK_NONBLOCK) != 0 ? FD_NONBLOCK : 0));
	else if (is_udp(domain, type, protocol))
		fdtab_mark(fd, FD_UDP);
	else
		fdtab_forget(fd);
	return fd;
}

EXPORT int __socket(int domain, int type, int protocol)
{
	return socket(domain, type, protocol);
}

/* The following make fds that are none of ours: an old note under their number goes. */

EXPORT int socketpair(int domain, int type, int protocol, int fds[2])
{
	int result = REAL(socketpair)(domain, type, protocol, fds);

	if (result == 0) {
		fdtab_forget(fds[0]);
		fdtab_forget(fds[1]);
	}
	return result;
}

EXPORT int epoll_create(int size)
{
	int fd = REAL(epoll_create)(size);

	if (fd >= 0)
		fdtab_mark(fd, FD_EPOLL);
	return fd;
}

EXPORT int epoll_create1(int flags)
{
	int fd = REAL(epoll_create1)(flags);

	if (fd >= 0)
		fdtab_mark(fd, FD_EPOLL);
	return fd;
}

/* What would hold a handshake's messages back. */
static inline bool is_set_aside(int level, int name)
{
	return (level == SOL_SOCKET && name == SO_RCVLOWAT) ||
	       (level == IPPROTO_TCP && name == TCP_CORK);
}

static bool __attribute__((noinline)) is_kept(int fd, int level, int name, const void *value,
					      socklen_t len)
{
	return value != NULL && len >= sizeof(int) &&
	       gate_set_option(fd, level, name, *(const int *)value);
}

/* Returns true when the option is kept until the handshake is over. */
static bool __attribute__((noinline)) set_noted(int fd, int level, int name, const void *value,
						socklen_t len)
{
	if (fdtab_has(fd))
		fdtab_change_marks(fd, FD_OPTIONS, 0);
	return is_set_aside(level, name) && fdtab_is_gated(fd) &&
	       is_kept(fd, level, name, value, len);
}

/* Linux: both connect, to a list of addresses; so does the option 111 of getsockopt(2). */
#define SCTP_SOCKOPT_CONNECTX_OLD 107
#define SCTP_SOCKOPT_CONNECTX 110

/* sctp_connectx(3): 0 when all of the addresses are direct, or what the kernel will not take. */
static int may_connectx(int fd, const char *list, socklen_t len)
{
	struct route route;
	sa_family_t family;

	preload_ready_network();
	while (list != NULL && len >= sizeof(family)) {
		socklen_t size;
		int err;

		memcpy(&family, list, sizeof(family));
		size = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
		if (len < size)
			return 0;
		err = route_for_socket(fd, (const struct sockaddr *)(const void *)list, size, &route);
		if (err < 0 || route.verdict != ROUTE_DIRECT)
			return err < 0 ? err : -EPERM;
		list += size;
		len -= size;
	}
	return 0;
}

static int __attribute__((noinline)) set_special(int fd, int level, int name, const void *value,
						 socklen_t len)
{
	int result;

	if (level == IPPROTO_TCP && name == TCP_NODELAY && fdtab_is_gated(fd) &&
	    is_kept(fd, level, name, value, len))
		return 0;
	if (datagram_is_offload(level, name) && (fdtab_marks(fd) & FD_UDP) != 0)
		return libc_result(-ENOPROTOOPT);
	if (level == IPPROTO_SCTP &&
	    (name == SCTP_SOCKOPT_CONNECTX || name == SCTP_SOCKOPT_CONNECTX_OLD)) {
		int err = may_connectx(fd, value, len);

		if (err < 0)
			return libc_result(err);
	}
	if ((is_set_aside(level, name) || (level == SOL_SOCKET && name == SO_SNDTIMEO)) &&
	    set_noted(fd, level, name, value, len))
		return 0;
	result = REAL(setsockopt)(fd, level, name, value, len);
	/* TCP_CORK that ends lets go what was sent before. */
	if (result == 0 && fdtab_is_answered(fd))
		dns_stream_sent(fd);
	return result;
}

/* Does the option matter to a handshake, or to us, even while none is under way? */
static inline bool is_special_option(int level, int name)
{
	switch (level) {
	case SOL_SOCKET:
		return name == SO_RCVLOWAT || name == SO_SNDTIMEO;
	case IPPROTO_TCP:
		return name == TCP_CORK;
	default:
		return level == IPPROTO_UDP || level == IPPROTO_SCTP;
	}
}

/* setsockopt(2): what a handshake has to set aside is noted, so that it need not ask. */
EXPORT int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	if (__builtin_expect(wait_has_gated() || is_special_option(level, name), 0))
		return set_special(fd, level, name, value, len);
	return REAL(setsockopt)(fd, level, name, value, len);
}

static int __attribute__((noinline)) ask_readable(int fd, int *octets)
{
	if (octets == NULL)
		return REAL(ioctl)(fd, FIONREAD, octets);
	if (fdtab_is_gated(fd) && gate_readable_octets(fd) == 0) {
		*octets = 0;
		return 0;
	}
	if (fdtab_is_relayed(fd))
		return datagram_readable(fd, octets);
	return REAL(ioctl)(fd, FIONREAD, octets);
}

static int __attribute__((noinline)) set_blocking(int fd, const int *is_off)
{
	int result = REAL(ioctl)(fd, FIONBIO, is_off);

	if (result == 0 && *is_off != 0)
		fdtab_change_marks(fd, FD_NONBLOCK, 0);
	else if (result == 0)
		fdtab_change_marks(fd, 0, FD_NONBLOCK);
	return result;
}

/* ioctl(2): a pointer or an int, which travels as a long. */
EXPORT NO_CANARY int ioctl(int fd, unsigned long request, ...)
{
	va_list rest;
	void *argument;

	va_start(rest, request);
	argument = va_arg(rest, void *);
	va_end(rest);
	if (__builtin_expect(request == FIONBIO, 0))
		return set_blocking(fd, argument);
	if (__builtin_expect(wait_has_gated(), 0) && request == FIONREAD)
		return ask_readable(fd, argument);
	return REAL(ioctl)(fd, request, argument);
}
