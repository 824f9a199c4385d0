/* SPDX-License-Identifier: ISC */
/* listener_socket.c - the sockets by which a listener speaks to its proxy. */
#include "listener_socket.h"

#include <netinet/tcp.h>
#include <string.h>

#include "socksify/epreg.h"
#include "socksify/fdtab.h"
#include "socksify/sys.h"

/* An AF_INET socket cannot speak to a proxy that has IPv6 addresses only. */
static int family_of(const struct listener *l)
{
	union sockaddr_any any;

	for (int i = 0; i < l->address_count; i++)
		if (target_to_sockaddr(&l->addresses[i], l->family, &any) >= 0)
			return l->family;
	return AF_INET6;
}

int listener_socket(const struct listener *l)
{
	int family = family_of(l), off = 0;
	int fd = sys_socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	/* ::ffff:a.b.c.d is an address of the proxy, too. */
	if (fd >= 0 && family == AF_INET6)
		(void)!sys_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	return fd;
}

static void copy_option(int from, int to, int level, int name)
{
	uint8_t old[32], now[32];
	socklen_t old_len = sizeof(old), now_len = sizeof(now);

	if (sys_getsockopt(from, level, name, old, &old_len) < 0 ||
	    sys_getsockopt(to, level, name, now, &now_len) < 0)
		return;
	if (old_len != now_len || memcmp(old, now, old_len) != 0)
		(void)!sys_setsockopt(to, level, name, old, old_len);
}

void listener_copy_options(int from, int to)
{
	static const struct { int level, name; } options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE }, { SOL_SOCKET, SO_LINGER },
		{ SOL_SOCKET, SO_OOBINLINE }, { SOL_SOCKET, SO_PRIORITY },
		{ SOL_SOCKET, SO_RCVTIMEO }, { SOL_SOCKET, SO_SNDTIMEO },
		{ SOL_SOCKET, SO_REUSEADDR }, { SOL_SOCKET, SO_MARK },
		{ IPPROTO_TCP, TCP_NODELAY }, { IPPROTO_TCP, TCP_KEEPIDLE },
		{ IPPROTO_TCP, TCP_KEEPINTVL }, { IPPROTO_TCP, TCP_KEEPCNT },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT }, { IPPROTO_TCP, TCP_CONGESTION },
		{ IPPROTO_IP, IP_TOS }, { IPPROTO_IPV6, IPV6_TCLASS },
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		copy_option(from, to, options[i].level, options[i].name);
}

static void put_onto(int fd, void *arg)
{
	(void)!sys_dup_onto(*(const int *)arg, fd, sys_is_cloexec(fd));
	fdtab_change_marks(fd, 0, FD_TCP | FD_NONBLOCK | FD_OPTIONS);
}

void listener_put_socket(struct conn *conn, int fd, int fresh)
{
	int flags = sys_get_flags(fd);

	epreg_lift(conn);
	fdtab_each_number(conn, put_onto, &fresh);
	if (flags >= 0)
		(void)!sys_set_flags(fresh, flags);
	epreg_lay(conn);
	sys_close(fresh);
}

int listener_begin(const struct listener *l, struct handshake *hs)
{
	struct route route = { .verdict = ROUTE_PROXY, .proxy = l->proxy };
	int err = handshake_begin(hs, &route, family_of(l), l->addresses, l->address_count,
				  route_deadline(sys_now_ns()));

	if (err == 0)
		handshake_bind(hs, &l->dst, l->wish);
	return err;
}

void listener_refresh_name(struct conn *conn, const struct listener *l,
			   const struct handshake *hs)
{
	union sockaddr_any name;
	int len = hs->listening ? target_to_sockaddr(&hs->bound, l->family, &name) : -1;

	if (len < 0)
		return;
	conn->local = name;
	conn->local_len = (socklen_t)len;
}
