/* SPDX-License-Identifier: ISC */
/* send.c - the calls that send to an address: sendto(2), sendmsg(2), sendmmsg(2). */
#include <errno.h>
#include <string.h>

#include "datagram.h"
#include "preload.h"
#include "real.h"
#include "socksify/gate.h"
#include "socksify/tunnel.h"
#include "socksify/wait.h"

/* What to do with a send that names an address. */
enum send_how { SEND_AS_IS, SEND_CONNECTED, SEND_RELAYED };

/*
 * Returns SEND_AS_IS; SEND_CONNECTED when MSG_FASTOPEN made the connection,
 * so that what is left is a plain send; SEND_RELAYED for a datagram that goes
 * where @route says; or a negative errno.
 */
static int prepare(int fd, const struct sockaddr *addr, socklen_t len, int flags,
		   struct route *route)
{
	int err;

	preload_ready_network();
	err = route_for_send(fd, addr, len, route);
	if (err < 0)
		return err;
	switch (route->verdict) {
	case ROUTE_DIRECT:
		return SEND_AS_IS;
	case ROUTE_BLOCK:
		return -ECONNREFUSED;
	case ROUTE_PROXY:
		break;
	}
	if (route->is_datagram)
		return SEND_RELAYED;
	/* On a stream an address without MSG_FASTOPEN goes nowhere: the kernel's business. */
	if ((flags & MSG_FASTOPEN) == 0)
		return SEND_AS_IS;
	err = tunnel_connect(fd, route, addr, len);
	return err < 0 ? err : SEND_CONNECTED;
}

/* MSG_FASTOPEN on a socket that has a connection already is connect(2) again. */
static int prepare_address(int fd, const struct sockaddr *addr, socklen_t len, int flags,
			   struct route *route)
{
	int err = TUNNEL_FRESH;

	if ((flags & MSG_FASTOPEN) != 0)
		err = tunnel_again(fd, addr, len);
	if (err == TUNNEL_FRESH)
		err = prepare(fd, addr, len, flags, route);
	else if (err == 0)
		err = SEND_CONNECTED;
	/* Other than a stream's own address, which the kernel ignores, nothing may overtake a handshake. */
	if (err == SEND_AS_IS && fdtab_is_gated(fd))
		err = gate_send(fd, flags);
	return err;
}

static int prepare_send(int fd, const struct sockaddr *addr, socklen_t len, int flags,
			struct route *route)
{
	if (addr != NULL)
		return prepare_address(fd, addr, len, flags, route);
	return fdtab_is_gated(fd) ? gate_send(fd, flags) : SEND_AS_IS;
}

/* sendto(2) */
EXPORT ssize_t sendto(int fd, const void *bytes, size_t n, int flags,
		      const struct sockaddr *addr, socklen_t len)
{
	struct route route;
	int how;

	if (fdtab_is_relayed(fd) && addr == NULL)
		return datagram_send(fd, NULL, bytes, n, flags, NULL, 0);
	how = prepare_send(fd, addr, len, flags, &route);
	if (how < 0)
		return libc_result(how);
	if (how == SEND_RELAYED)
		return datagram_send(fd, &route, bytes, n, flags, addr, len);
	if (how == SEND_CONNECTED)
		return preload_sent(fd, REAL(sendto)(fd, bytes, n, flags & ~MSG_FASTOPEN,
						     NULL, 0));
	return preload_sent(fd, REAL(sendto)(fd, bytes, n, flags, addr, len));
}

/* Another process gets these fds: a handshake comes to its end first. */
static void finish_passed(const struct msghdr *msg)
{
	if (!wait_has_pending() || msg->msg_control == NULL)
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL;
	     c = CMSG_NXTHDR((struct msghdr *)(uintptr_t)msg, c)) {
		const unsigned char *at = CMSG_DATA(c);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t n = CMSG_LEN(0); n + sizeof(int) <= c->cmsg_len; n += sizeof(int)) {
			int fd;

			memcpy(&fd, at + n - CMSG_LEN(0), sizeof(fd));
			gate_finish(fd);
		}
	}
}

static ssize_t __attribute__((noinline)) send_noted(int fd, const struct msghdr *msg, int flags)
{
	struct msghdr plain;
	struct route route;
	int how = SEND_AS_IS;

	if (msg != NULL) {
		if (fdtab_is_relayed(fd) && msg->msg_name == NULL)
			return libc_size_result(relay_send(fd, NULL, msg, flags));
		finish_passed(msg);
		how = prepare_send(fd, msg->msg_name, msg->msg_namelen, flags, &route);
	}
	if (how < 0)
		return libc_result(how);
	if (how == SEND_RELAYED)
		return libc_size_result(relay_send(fd, &route, msg, flags));
	if (how == SEND_AS_IS)
		return preload_sent(fd, REAL(sendmsg)(fd, msg, flags));
	plain = *msg;
	plain.msg_name = NULL;
	plain.msg_namelen = 0;
	return preload_sent(fd, REAL(sendmsg)(fd, &plain, flags & ~MSG_FASTOPEN));
}

/* sendmsg(2) */
EXPORT ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	/* Nothing that concerns us: no address, and no handshake anywhere. */
	if (__builtin_expect(wait_has_gated() || msg == NULL || msg->msg_name != NULL, 0))
		return send_noted(fd, msg, flags);
	return REAL(sendmsg)(fd, msg, flags);
}

/* The first message that names an address; NULL: none does. */
static const struct msghdr *first_named(const struct mmsghdr *msgs, unsigned count)
{
	for (unsigned i = 0; msgs != NULL && i < count; i++)
		if (msgs[i].msg_hdr.msg_name != NULL)
			return &msgs[i].msg_hdr;
	return NULL;
}

static bool is_udp(int fd, const struct msghdr *named)
{
	struct route route;

	if (fdtab_is_relayed(fd))
		return true;
	if (named == NULL)
		return false;
	preload_ready_network();
	/* What becomes of it is asked again, for each; this only tells what the socket is. */
	return route_for_send(fd, named->msg_name, named->msg_namelen, &route) == 0 &&
	       route.is_datagram;
}

/*
 * sendmmsg(2).  On a stream messages with addresses go one by one; as in the
 * kernel an error counts only for the first one.
 */
EXPORT int sendmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags)
{
	const struct msghdr *named = first_named(msgs, count);
	unsigned sent;

	if (named == NULL && !wait_has_gated())
		return REAL(sendmmsg)(fd, msgs, count, flags);
	if (is_udp(fd, named))
		return libc_result(relay_send_many(fd, msgs, count, flags));
	if (named == NULL && !wait_has_pending())
		return (int)preload_sent(fd, REAL(sendmmsg)(fd, msgs, count, flags));
	for (sent = 0; sent < count; sent++) {
		ssize_t n = sendmsg(fd, &msgs[sent].msg_hdr, flags);

		if (n < 0)
			break;
		msgs[sent].msg_len = (unsigned)n;
	}
	return sent > 0 || count == 0 ? (int)sent : -1;
}

EXPORT int __sendmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags)
{
	return sendmmsg(fd, msgs, count, flags);
}
