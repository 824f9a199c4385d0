/* SPDX-License-Identifier: ISC */
/* connect.c - connect(2), shutdown(2), and what tells about a connection's peer. */
#include <errno.h>
#include <string.h>

#include "datagram.h"
#include "preload.h"
#include "real.h"
#include "socksify/dns_stream.h"
#include "socksify/gate.h"
#include "socksify/listener.h"
#include "socksify/replace.h"
#include "socksify/sys.h"
#include "socksify/tunnel.h"

/* A UDP socket that has, or had, peers behind a proxy. */
static int connect_relayed(int fd, const struct sockaddr *addr, socklen_t len)
{
	int result;

	if (addr != NULL && len >= sizeof(addr->sa_family)) {
		relay_disconnect(fd);
		if (addr->sa_family == AF_UNSPEC)
			return 0;
	}
	result = REAL(connect)(fd, addr, len);
	if (result == 0)
		relay_note_direct(fd);
	return result;
}

/* A direct connection is none of ours from here on, unless it did not come about. */
static int connect_directly(int fd, const struct sockaddr *addr, socklen_t len)
{
	int result;

	if (fdtab_is_relayed(fd))
		return connect_relayed(fd, addr, len);
	result = REAL(connect)(fd, addr, len);
	if (fdtab_has(fd) && (fdtab_marks(fd) & FD_UDP) == 0 &&
	    (result == 0 || errno == EINPROGRESS))
		fdtab_forget(fd);
	return result;
}

/* connect(2).  The engine decides; this only translates the answer. */
EXPORT int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct route route;
	int err;

	preload_ready_network();
	err = fdtab_is_relayed(fd) ? TUNNEL_FRESH : tunnel_again(fd, addr, len);
	if (err != TUNNEL_FRESH)
		return libc_result(err);
	err = route_for_socket(fd, addr, len, &route);
	if (err < 0)
		return libc_result(err); /* cannot tell: refuse, never leak */
	switch (route.verdict) {
	case ROUTE_DIRECT:
		return connect_directly(fd, addr, len);
	case ROUTE_PROXY:
		return libc_result(route.is_datagram ? relay_connect(fd, &route, addr, len)
						     : tunnel_connect(fd, &route, addr, len));
	case ROUTE_BLOCK:
		break;
	}
	return libc_result(-ECONNREFUSED);
}

EXPORT int __connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return connect(fd, addr, len);
}

/* shutdown(2) */
EXPORT int shutdown(int fd, int how)
{
	int result;

	if (fdtab_is_gated(fd) && how >= SHUT_RD && how <= SHUT_RDWR && gate_shutdown(fd, how))
		return 0;
	result = REAL(shutdown)(fd, how);
	if (result == 0 && fdtab_is_answered(fd))
		dns_stream_sent(fd);
	return result;
}

/* As the kernel gives one: at most the room there is, and the full length. */
static int give_address(struct sockaddr *addr, socklen_t *len, const union sockaddr_any *known,
			socklen_t known_len)
{
	if (addr == NULL || len == NULL)
		return libc_result(-EFAULT);
	memcpy(addr, known, *len < known_len ? *len : known_len);
	*len = known_len;
	return 0;
}

/* The kernel decides whether there is a peer, the program decided which. */
static int __attribute__((noinline)) tell_peer(int fd, struct sockaddr *addr, socklen_t *len)
{
	union sockaddr_any peer;
	socklen_t room, peer_len;

	if (fdtab_is_relayed(fd) && relay_peer(fd, &peer, &peer_len))
		return give_address(addr, len, &peer, peer_len);
	if (fdtab_is_gated(fd) && !gate_has_peer(fd))
		return libc_result(-ENOTCONN);
	room = len != NULL ? *len : 0;
	if (REAL(getpeername)(fd, addr, len) < 0)
		return -1;
	if (*len == sizeof(struct sockaddr_in) && room >= sizeof(struct sockaddr_in) &&
	    fdtab_swap_peer(fd, (struct sockaddr_in *)(void *)addr))
		return 0;
	if (gate_peer(fd, addr, room < *len ? room : *len, &peer, &peer_len)) {
		/* as the kernel does: at most the room there is, and the full length */
		memcpy(addr, &peer, room < peer_len ? room : peer_len);
		*len = peer_len;
	}
	return 0;
}

/* getpeername(2) */
EXPORT int getpeername(int fd, struct sockaddr *restrict addr, socklen_t *restrict len)
{
	if (!__builtin_expect(fdtab_has(fd), 0))
		return REAL(getpeername)(fd, addr, len);
	return tell_peer(fd, addr, len);
}

/* Is what getsockname(2) tells not the kernel's? */
static bool has_local(int fd, union sockaddr_any *ret, socklen_t *ret_len)
{
	if (listener_is_on() && listener_name(fd, ret, ret_len))
		return true;
	return (fdtab_is_gated(fd) && gate_local(fd, ret, ret_len)) ||
	       replace_name(fd, ret, ret_len);
}

static int __attribute__((noinline)) tell_local(int fd, struct sockaddr *addr, socklen_t *len)
{
	union sockaddr_any local;
	socklen_t room, local_len;

	if (!has_local(fd, &local, &local_len))
		return REAL(getsockname)(fd, addr, len);
	room = len != NULL ? *len : 0;
	if (REAL(getsockname)(fd, addr, len) < 0)
		return -1;
	memcpy(addr, &local, room < local_len ? room : local_len);
	*len = local_len;
	return 0;
}

/* getsockname(2) */
EXPORT int getsockname(int fd, struct sockaddr *restrict addr, socklen_t *restrict len)
{
	if (fdtab_has(fd) && (listener_is_on() || replace_is_on() || fdtab_is_gated(fd)))
		return tell_local(fd, addr, len);
	return REAL(getsockname)(fd, addr, len);
}

/* An option whose value is ours to tell. */
static int give_option(int option, void *value, socklen_t *len)
{
	if (value == NULL || len == NULL)
		return libc_result(-EFAULT);
	if (*len > sizeof(option))
		*len = sizeof(option);
	memcpy(value, &option, *len);
	return 0;
}

/* SO_PEERNAME is getpeername(2) by another door, but refuses to cut. */
static int get_peer(int fd, void *value, socklen_t *len)
{
	union sockaddr_any peer;
	socklen_t peer_len;

	if (fdtab_is_gated(fd) && listener_has(fd))
		return libc_result(-ENOTCONN);
	if (fdtab_is_gated(fd) && gate_asked_peer(fd, &peer, &peer_len)) {
		if (value == NULL || len == NULL)
			return libc_result(-EFAULT);
	} else {
		if (REAL(getsockopt)(fd, SOL_SOCKET, SO_PEERNAME, value, len) < 0)
			return -1;
		if (!(fdtab_is_relayed(fd) && relay_peer(fd, &peer, &peer_len)) &&
		    !gate_peer(fd, value, *len, &peer, &peer_len))
			return 0;
	}
	if (*len < peer_len)
		return libc_result(-EINVAL);
	memcpy(value, &peer, peer_len);
	return 0;
}

static int __attribute__((noinline)) get_gated(int fd, int level, int name, void *value,
					       socklen_t *len)
{
	int option;

	if (name == SO_ACCEPTCONN && level == SOL_SOCKET && listener_has(fd))
		return give_option(listener_accepts(fd), value, len);
	if ((name == SO_ERROR && level == SOL_SOCKET && gate_error(fd, &option) == 0) ||
	    gate_get_option(fd, level, name, &option))
		return give_option(option, value, len);
	return REAL(getsockopt)(fd, level, name, value, len);
}

/* An option that connects: libsctp goes on with the one of setsockopt(2), which is judged. */
#define SCTP_SOCKOPT_CONNECTX3 111

static int __attribute__((noinline)) get_special(int fd, int level, int name, void *value,
						 socklen_t *len)
{
	if (level == IPPROTO_SCTP && name == SCTP_SOCKOPT_CONNECTX3 && !preload_is_off())
		return libc_result(-ENOPROTOOPT);
	if (name == SO_PEERNAME && level == SOL_SOCKET && fdtab_has(fd))
		return get_peer(fd, value, len);
	if (name == SO_DOMAIN && level == SOL_SOCKET && replace_is(fd))
		return give_option(AF_INET, value, len);
	if (fdtab_is_gated(fd))
		return get_gated(fd, level, name, value, len);
	if (name == SO_ERROR && level == SOL_SOCKET && relay_is_unsettled() && fdtab_is_relayed(fd)) {
		int error = relay_error(fd);

		if (error != 0)
			return give_option(error, value, len);
	}
	if (datagram_is_offload(level, name) && (fdtab_marks(fd) & FD_UDP) != 0)
		return libc_result(-ENOPROTOOPT);
	return REAL(getsockopt)(fd, level, name, value, len);
}

/* Is it an option about which more than the fd's state has to be looked at? */
static inline bool is_special(int level, int name)
{
	if (level != SOL_SOCKET)
		return level == IPPROTO_UDP || level == IPPROTO_SCTP;
	return name == SO_PEERNAME || (name == SO_DOMAIN && replace_is_on()) ||
	       (name == SO_ERROR && relay_is_unsettled());
}

/* getsockopt(2) */
EXPORT int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict len)
{
	if (__builtin_expect(is_special(level, name), 0) || fdtab_is_gated(fd))
		return get_special(fd, level, name, value, len);
	return REAL(getsockopt)(fd, level, name, value, len);
}
