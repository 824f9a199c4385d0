/* SPDX-License-Identifier: ISC */
/* listener_socket.c - the sockets by which a listener speaks to its proxy. */
#include "listener_socket.h"

#include "socksify/fdtab.h"
#include "socksify/replace.h"
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

static void forget_marks(int fd, void *arg)
{
	(void)arg;
	fdtab_change_marks(fd, 0, FD_TCP | FD_NONBLOCK | FD_OPTIONS);
}

void listener_put_socket(struct conn *conn, int fd, int fresh)
{
	replace_put(conn, fd, fresh);
	fdtab_each_number(conn, forget_marks, NULL);
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
