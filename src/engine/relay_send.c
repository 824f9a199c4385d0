/* SPDX-License-Identifier: ISC */
/* relay_send.c - datagrams to a relay: the header goes in front, and the payload stays where it is. */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#include "relay_state.h"
#include "socksify/scratch.h"
#include "socksify/sys.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

/* Scatter lists up to this length are copied to the stack. */
#define SMALL 16

int relay_refuse_offload(const struct msghdr *msg, int flags)
{
	struct msghdr *m = (struct msghdr *)(uintptr_t)msg;

	if ((flags & MSG_ZEROCOPY) != 0)
		return -ENOBUFS;
	if (msg->msg_control == NULL)
		return 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_SEGMENT)
			return -EIO;
	return 0;
}

void relay_wrap(const struct relay_wrapping *w, const struct msghdr *msg, struct iovec *parts,
		 struct msghdr *ret)
{
	parts[0].iov_base = (void *)(uintptr_t)w->header;
	parts[0].iov_len = w->header_len;
	if (msg->msg_iovlen > 0)
		memcpy(parts + 1, msg->msg_iov, msg->msg_iovlen * sizeof(*parts));
	*ret = *msg;
	ret->msg_name = w->connected ? NULL : (void *)(uintptr_t)w->to;
	ret->msg_namelen = w->connected ? 0 : w->to_len;
	ret->msg_iov = parts;
	ret->msg_iovlen = msg->msg_iovlen + 1;
}

static ssize_t send_wrapped(int fd, const struct relay_wrapping *w, const struct msghdr *msg, int flags)
{
	struct iovec small[SMALL + 1], *parts = small;
	struct msghdr whole;
	ssize_t n;

	if (msg->msg_iovlen >= IOV_MAX)
		return -EMSGSIZE;
	if (msg->msg_iovlen > SMALL)
		parts = scratch_take((msg->msg_iovlen + 1) * sizeof(*parts));
	if (parts == NULL)
		return -ENOMEM;
	relay_wrap(w, msg, parts, &whole);
	n = sys_sendmsg(fd, &whole, flags);
	if (parts != small)
		scratch_give(parts);
	return n < 0 ? n : n - (ssize_t)w->header_len;
}

/* With MSG_MORE several sends make one datagram, and the first of them has the header. */
static ssize_t send_corked(int fd, struct relay *r, struct relay_wrapping *w, const struct msghdr *msg,
			   int flags)
{
	bool more = (flags & MSG_MORE) != 0;
	ssize_t n;

	if (atomic_load(&r->corked))
		w->header_len = 0;
	n = send_wrapped(fd, w, msg, flags);
	if (n >= 0 || !more)
		atomic_store(&r->corked, more);
	return n;
}

/* The header of a datagram that goes where @route says. */
static void set_header(struct relay *r, const struct route *route, const struct msghdr *msg,
		       uint8_t *header, struct relay_wrapping *ret)
{
	if (msg->msg_name == NULL) {
		ret->header = relay_target(r)->header;
		ret->header_len = relay_target(r)->header_len;
		ret->connected = !atomic_load_explicit(&r->unbound, memory_order_relaxed);
	} else {
		ret->header = header;
		ret->header_len = socks5_udp_header_put(header, &route->target);
		ret->connected = false;
		relay_note_name(r, &route->target, msg->msg_name, msg->msg_namelen);
	}
}

int relay_begin(int fd, struct relay *r, const struct route *route, int flags,
		const struct msghdr *msg, uint8_t *header, struct relay_wrapping *ret)
{
	const struct association *a = NULL;
	int err = relay_associate(fd, r, route, flags, &a);

	if (err < 0 && err != -EINPROGRESS)
		return err;
	set_header(r, route, msg, header, ret);
	if (err < 0)
		return err;
	ret->to = &a->address;
	ret->to_len = a->address_len;
	return 0;
}

/* Through the relay; or, until there is one, into the queue. */
static ssize_t send_relayed(int fd, struct relay *r, const struct route *route,
			    const struct msghdr *msg, int flags)
{
	uint8_t header[SOCKS5_UDP_HEADER_MAX];
	struct relay_wrapping w;
	ssize_t n;

	do {
		n = relay_begin(fd, r, route, flags, msg, header, &w);
		if (n == -EINPROGRESS)
			n = relay_enqueue(fd, r, &w, msg);
		else if (n == 0)
			n = (flags & MSG_MORE) != 0 || atomic_load_explicit(&r->corked,
									    memory_order_relaxed)
			    ? send_corked(fd, r, &w, msg, flags)
			    : send_wrapped(fd, &w, msg, flags);
	} while (n == -ENOENT);
	return n;
}

static ssize_t send_query(int fd, struct relay *r, const struct route *route,
			  const struct msghdr *msg, int flags)
{
	uint8_t header[SOCKS5_UDP_HEADER_MAX];
	struct relay_wrapping w;
	struct msghdr direct = *msg;
	int result;

	if (atomic_load(&r->family) == 0)
		atomic_store(&r->family, relay_family_of(fd));
	set_header(r, route, msg, header, &w);
	result = relay_answer(fd, r, &w, msg);
	if (result < 0)
		return result;
	if (result != RELAY_PASS)
		return (ssize_t)relay_room(msg);
	/* Who answers here is not who is to be asked. */
	if (msg->msg_name == NULL && !atomic_exchange(&r->unbound, true))
		relay_unconnect(fd);
	if (route->otherwise == ROUTE_PROXY)
		return send_relayed(fd, r, route, msg, flags);
	if (msg->msg_name == NULL) {
		direct.msg_name = (void *)(uintptr_t)&relay_target(r)->peer;
		direct.msg_namelen = relay_target(r)->peer_len;
	}
	return sys_sendmsg(fd, &direct, flags);
}

static ssize_t send_once(int fd, struct relay *r, const struct route *route,
			 const struct msghdr *msg, int flags)
{
	return route->is_query ? send_query(fd, r, route, msg, flags)
			       : send_relayed(fd, r, route, msg, flags);
}

static ssize_t send_again(int fd, struct relay *r, const struct route *route,
			  const struct msghdr *msg, int flags)
{
	ssize_t n = relay_is_unsettled() ? -relay_take_error(r) : 0;

	if (n < 0)
		return n;
	n = send_once(fd, r, route, msg, flags);
	/* The relay's port is closed, as it is when the association has ended. */
	if (n == -ECONNREFUSED && atomic_load(&r->association) != NULL) {
		relay_suspect(r);
		n = send_once(fd, r, route, msg, flags);
	}
	return n;
}

ssize_t relay_send(int fd, const struct route *route, const struct msghdr *msg, int flags)
{
	struct conn *conn;
	struct relay *r;
	ssize_t n = relay_refuse_offload(msg, flags);

	if (n < 0)
		return n;
	r = route != NULL ? relay_get(fd, &conn) : relay_look_up(fd, &conn);
	if (r == NULL)
		return route != NULL ? -ENOMEM : sys_sendmsg(fd, msg, flags);
	if (route != NULL)
		n = send_again(fd, r, route, msg, flags);
	else if (atomic_load_explicit(&r->mode, memory_order_relaxed) == RELAY_CONNECTED)
		n = send_again(fd, r, &relay_target(r)->route, msg, flags);
	else
		n = sys_sendmsg(fd, msg, flags);
	conn_unref(conn);
	return n;
}
