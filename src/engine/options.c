/* SPDX-License-Identifier: ISC */
/* options.c - options of a socket that would disturb a handshake: off until it is over. */
#include <netinet/tcp.h>

#include "socksify/handshake.h"
#include "socksify/sys.h"

void handshake_hide_options(struct handshake *hs, int fd)
{
	int off = 0, one = 1, lowat = sys_get_int(fd, SOL_SOCKET, SO_RCVLOWAT);

	if (lowat > 1 && sys_setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one)) == 0)
		hs->rcvlowat = lowat;
	if (sys_get_int(fd, IPPROTO_TCP, TCP_CORK) != 0 &&
	    sys_setsockopt(fd, IPPROTO_TCP, TCP_CORK, &off, sizeof(off)) == 0)
		hs->cork = true;
}

void handshake_restore_cork(struct handshake *hs, int fd)
{
	int on = 1;

	if (hs->cork)
		(void)!sys_setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
	hs->cork = false;
}

void handshake_send_at_once(struct handshake *hs, int fd)
{
	int now = 0, on = 1;
	socklen_t len = sizeof(now);

	if (sys_getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &now, &len) == 0 && now == 0 &&
	    sys_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0)
		hs->delay = true;
}

void handshake_restore_options(struct handshake *hs, int fd)
{
	int off = 0;

	handshake_restore_cork(hs, fd);
	if (hs->delay)
		(void)!sys_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &off, sizeof(off));
	hs->delay = false;
	if (hs->rcvlowat != 0)
		(void)!sys_setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &hs->rcvlowat,
				      sizeof(hs->rcvlowat));
	hs->rcvlowat = 0;
}

int handshake_allow_ipv4(const struct handshake *hs, int fd, int family)
{
	int off = 0;
	bool needed = false;

	if (family != AF_INET6)
		return 0;
	for (int i = 0; i < hs->address_count; i++)
		needed = needed || IN6_IS_ADDR_V4MAPPED(&hs->addresses[i].in6.sin6_addr);
	if (!needed || sys_get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 0)
		return 0;
	return sys_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
}
