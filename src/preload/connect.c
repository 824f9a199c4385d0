/* SPDX-License-Identifier: ISC */
/* connect.c - connect(2) and what tells about a connection's peer. */
#include <errno.h>
#include <string.h>

#include "preload.h"
#include "real.h"
#include "socksify/fdtab.h"
#include "socksify/tunnel.h"

#ifndef SO_PEERNAME
#define SO_PEERNAME 28
#endif

/* connect(2).  route_for_socket() decides; this only translates the answer. */
EXPORT int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct route route;
	int err;

	preload_ready_network();
	err = route_for_socket(fd, addr, len, &route);
	if (err < 0)
		return libc_result(err); /* cannot tell: refuse, never leak */
	switch (route.verdict) {
	case ROUTE_DIRECT:
		fdtab_drop(fd);
		return REAL(connect)(fd, addr, len);
	case ROUTE_PROXY:
		return libc_result(tunnel_connect(fd, &route, addr, len));
	case ROUTE_BLOCK:
		break;
	}
	return libc_result(-ECONNREFUSED);
}

EXPORT int __connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return connect(fd, addr, len);
}

/* As the kernel does: at most *@len octets, and the full length. */
static void give_peer(const struct conn *conn, void *addr, socklen_t room, socklen_t *len)
{
	memcpy(addr, &conn->peer, room < conn->peer_len ? room : conn->peer_len);
	*len = conn->peer_len;
}

/* Could a peer that the kernel names be a proxy?  Cheap, and right when it says no. */
static bool may_be_proxy(const struct sockaddr *addr, socklen_t len)
{
	const struct config *config = route_config();
	struct target peer;

	if (config == NULL || target_from_sockaddr(addr, len, &peer) < 0)
		return false;
	for (int i = 0; i < config->proxy_count; i++)
		if (config->proxies[i].address.port == peer.port)
			return true;
	return false;
}

/* What the program asked for, if @fd goes through a proxy. */
static int find_conn(int fd, struct conn *ret)
{
	struct sockaddr_in6 peer;
	socklen_t len = sizeof(peer);

	if (fdtab_has(fd))
		return fdtab_find(fd, ret);
	if (REAL(getpeername)(fd, (struct sockaddr *)&peer, &len) < 0 || len > sizeof(peer) ||
	    !may_be_proxy((const struct sockaddr *)&peer, len))
		return -ENOENT;
	return fdtab_adopt(fd, ret);
}

/* getpeername(2): the kernel decides whether there is a peer, the program decided which. */
EXPORT int getpeername(int fd, struct sockaddr *restrict addr, socklen_t *restrict len)
{
	struct conn conn;
	socklen_t room = len != NULL ? *len : 0;

	if (REAL(getpeername)(fd, addr, len) < 0)
		return -1;
	if (fdtab_has(fd) || may_be_proxy(addr, room < *len ? room : *len)) {
		int saved = errno;

		if (find_conn(fd, &conn) == 0)
			give_peer(&conn, addr, room, len);
		errno = saved;
	}
	return 0;
}

/* getsockopt(2): SO_PEERNAME is getpeername(2) by another door, but refuses to cut. */
EXPORT int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict len)
{
	struct conn conn;
	int result = REAL(getsockopt)(fd, level, name, value, len);
	int saved = errno;

	if (result < 0 || level != SOL_SOCKET || name != SO_PEERNAME)
		return result;
	if (find_conn(fd, &conn) == 0) {
		if (*len < conn.peer_len)
			return libc_result(-EINVAL);
		memcpy(value, &conn.peer, conn.peer_len);
	}
	errno = saved;
	return 0;
}
