/* SPDX-License-Identifier: ISC */
/* relay_receive.c - datagrams from a relay: the header is taken off, and who sent it is told. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "relay_receive.h"
#include "socksify/scratch.h"
#include "socksify/sys.h"

/* Scatter lists up to this length are copied to the stack. */
#define SMALL 16

size_t relay_room(const struct msghdr *msg)
{
	size_t room = 0;

	for (size_t i = 0; i < msg->msg_iovlen; i++)
		room += msg->msg_iov[i].iov_len;
	return room;
}

/* Move @len octets between a buffer and a list of parts, from octet @skip of the list on. */
static void move_octets(const struct iovec *parts, size_t count, size_t skip, uint8_t *buf,
			size_t len, bool out)
{
	for (size_t i = 0; i < count && len > 0; i++) {
		size_t n = parts[i].iov_len;
		uint8_t *at = parts[i].iov_base;

		if (skip >= n) {
			skip -= n;
			continue;
		}
		n -= skip;
		n = n < len ? n : len;
		if (out)
			memcpy(at + skip, buf, n);
		else
			memcpy(buf, at + skip, n);
		buf += n;
		len -= n;
		skip = 0;
	}
}

int relay_copy_parts(const struct iovec *from, size_t from_count, size_t skip,
		     const struct iovec *to, size_t to_count, size_t len)
{
	uint8_t *buf;

	if (len == 0)
		return 0;
	buf = scratch_take(len);
	if (buf == NULL)
		return -ENOMEM;
	move_octets(from, from_count, skip, buf, len, false);
	move_octets(to, to_count, 0, buf, len, true);
	scratch_give(buf);
	return 0;
}

void relay_unwrap_begin(struct relay_unwrapping *u, const struct relay_view *v,
			const struct msghdr *msg, struct iovec *parts, struct msghdr *ret)
{
	size_t n = msg->msg_iovlen;

	u->expected = v->expected;
	u->room = relay_room(msg);
	u->name_room = msg->msg_namelen;
	u->control_room = msg->msg_controllen;
	parts[0] = (struct iovec){ u->head, u->expected };
	if (n > 0)
		memcpy(parts + 1, msg->msg_iov, n * sizeof(*parts));
	/* Where the end of the payload goes when the header is longer than was expected. */
	parts[n + 1] = (struct iovec){ u->spare, sizeof(u->spare) };
	*ret = *msg;
	ret->msg_name = &u->from;
	ret->msg_namelen = sizeof(u->from);
	ret->msg_iov = parts;
	ret->msg_iovlen = n + 2;
	ret->msg_flags = 0;
}

/* The header, if the datagram has one that is as long as expected; else the first octets in @buf. */
static const uint8_t *first_octets(const struct relay_unwrapping *u, const struct msghdr *whole,
				   size_t len, uint8_t buf[SOCKS5_UDP_HEADER_MAX])
{
	if (len > SOCKS5_UDP_HEADER_MAX)
		len = SOCKS5_UDP_HEADER_MAX;
	if (u->expected >= len)
		return u->head;
	move_octets(whole->msg_iov, whole->msg_iovlen, 0, buf, len, false);
	return buf;
}

/* An answer of the server itself, to a query that was not answered here. */
static bool is_passed_peer(struct relay *r, const union sockaddr_any *from)
{
	const struct relay_target *t = relay_target(r);

	return t->route.is_query && t->route.otherwise == ROUTE_DIRECT &&
	       relay_address_equal(from, &t->peer);
}

/* Whose datagram is it?  Returns the length of its header, or -errno: it is to be dropped. */
static int judge(const struct relay_view *v, struct relay *r, struct relay_unwrapping *u,
		 const struct msghdr *whole, size_t len)
{
	uint8_t buf[SOCKS5_UDP_HEADER_MAX];
	struct target from;
	int header;

	if (!(v->has_relay && relay_address_equal(&u->from, &v->relay)) &&
	    !relay_is_answerer(&u->from)) {
		u->source = u->from;
		u->source_len = whole->msg_namelen;
		if (v->mode == RELAY_CONNECTED)
			return is_passed_peer(r, &u->from) ? 0 : -EPERM;
		if (target_from_sockaddr(&u->from.sa, whole->msg_namelen, &from) < 0 ||
		    !route_is_direct(&from))
			return -EPERM;
		return 0;
	}
	header = socks5_udp_header_take(first_octets(u, whole, len, buf),
					len < sizeof(buf) ? len : sizeof(buf), &from);
	if (header < 0)
		return header;
	target_unmap(&from);
	if (from.kind == TARGET_NONE ||
	    (v->mode == RELAY_CONNECTED && !relay_is_from_peer(relay_target(r), &from)))
		return -EPERM;
	if (v->mode == RELAY_CONNECTED) {
		u->source = relay_target(r)->peer;
		u->source_len = relay_target(r)->peer_len;
		return header;
	}
	u->source_len = (socklen_t)relay_source(r, &from, &u->source);
	return (int)u->source_len < 0 ? (int)u->source_len : header;
}

int relay_unwrap(const struct relay_view *v, struct relay *r, struct relay_unwrapping *u,
		 const struct msghdr *whole, size_t full, struct msghdr *msg, int flags)
{
	size_t got = u->expected + u->room + sizeof(u->spare), payload;
	int header, err = 0;

	if (full < got)
		got = full;
	header = judge(v, r, u, whole, got);
	if (header < 0)
		return header;
	payload = got - (size_t)header;
	if (payload > u->room)
		payload = u->room;
	if ((size_t)header != u->expected)
		err = relay_copy_parts(whole->msg_iov, whole->msg_iovlen, (size_t)header,
				       msg->msg_iov, msg->msg_iovlen, payload);
	if (err < 0)
		return err;
	if (header > 0)
		atomic_store_explicit(&r->expected, header, memory_order_relaxed);
	full -= (size_t)header;
	if (msg->msg_name != NULL) {
		memcpy(msg->msg_name, &u->source, msg->msg_namelen < u->source_len
						  ? msg->msg_namelen : u->source_len);
		msg->msg_namelen = u->source_len;
	}
	msg->msg_controllen = whole->msg_controllen;
	msg->msg_flags = (whole->msg_flags & ~MSG_TRUNC) | (full > u->room ? MSG_TRUNC : 0);
	return (int)((flags & MSG_TRUNC) != 0 ? full : payload);
}

/* Nothing of the relay is held while the kernel waits. */
int relay_take_view(int fd, struct relay_view *ret)
{
	struct conn *conn;
	struct relay *r = relay_look_up(fd, &conn);
	const struct association *a;

	if (r == NULL)
		return -EBADF;
	a = atomic_load_explicit(&r->association, memory_order_acquire);
	ret->mode = atomic_load(&r->mode);
	ret->has_relay = a != NULL;
	if (a != NULL)
		ret->relay = a->address;
	ret->expected = (size_t)atomic_load_explicit(&r->expected, memory_order_relaxed);
	conn_unref(conn);
	return 0;
}

/* One datagram.  -ENOMSG: it was dropped. */
static ssize_t receive_one(int fd, const struct relay_view *v, struct msghdr *msg, int flags,
			   struct iovec *parts)
{
	struct relay_unwrapping u;
	struct msghdr whole;
	struct conn *conn;
	struct relay *r;
	ssize_t n;

	relay_unwrap_begin(&u, v, msg, parts, &whole);
	n = sys_recvmsg(fd, &whole, flags | MSG_TRUNC);
	if (n < 0)
		return n;
	r = relay_look_up(fd, &conn);
	if (r == NULL)
		return -EBADF;
	n = relay_unwrap(v, r, &u, &whole, (size_t)n, msg, flags);
	conn_unref(conn);
	if (n < 0 && (flags & MSG_PEEK) != 0) {
		struct msghdr none = { .msg_iovlen = 0 };

		(void)!sys_recvmsg(fd, &none, MSG_DONTWAIT | (flags & MSG_ERRQUEUE));
	}
	return n < 0 ? -ENOMSG : n;
}

/* SO_RCVTIMEO of a socket that blocks, in ns; 0: it does not block; INT64_MAX: for ever. */
static int64_t patience_of(int fd, int flags)
{
	int64_t timeout;
	int fl = (flags & MSG_DONTWAIT) != 0 ? O_NONBLOCK : sys_get_flags(fd);

	if (fl < 0 || (fl & O_NONBLOCK) != 0)
		return 0;
	timeout = sys_timeout(fd, SO_RCVTIMEO);
	return timeout > 0 ? timeout : INT64_MAX;
}

/* After a datagram was dropped: wait for another one, within what is left of the socket's timeout. */
static int wait_for_next(int fd, int flags, int64_t start)
{
	int64_t patience = patience_of(fd, flags), now = sys_now_ns();
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int ready;

	if (patience == 0 || patience == INT64_MAX)
		return 0; /* the receive itself knows */
	ready = sys_poll(&p, 1, start + patience > now ? start + patience - now : 0, NULL);
	return ready < 0 ? ready : ready == 0 ? -EAGAIN : 0;
}

static ssize_t receive(int fd, struct msghdr *msg, int flags, struct iovec *parts)
{
	int64_t start = (flags & MSG_DONTWAIT) == 0 ? sys_now_ns() : 0;
	struct relay_view v;
	ssize_t n;
	int err = relay_is_unsettled() ? relay_before_receive(fd, flags) : 0;

	if (err < 0)
		return err;
	for (;;) {
		err = relay_take_view(fd, &v);
		if (err < 0)
			return err;
		if (v.mode == RELAY_DIRECT)
			return sys_recvmsg(fd, msg, flags);
		n = receive_one(fd, &v, msg, flags, parts);
		if (n != -ENOMSG)
			return n;
		err = wait_for_next(fd, flags, start);
		if (err < 0)
			return err;
	}
}

ssize_t relay_receive(int fd, struct msghdr *msg, int flags)
{
	struct iovec small[SMALL + 2], *parts = small;
	ssize_t n;

	if (msg->msg_iovlen + 2 > IOV_MAX)
		return -EMSGSIZE;
	if (msg->msg_iovlen > SMALL)
		parts = scratch_take((msg->msg_iovlen + 2) * sizeof(*parts));
	if (parts == NULL)
		return -ENOMEM;
	n = receive(fd, msg, flags, parts);
	if (parts != small)
		scratch_give(parts);
	return n;
}

int relay_readable(int fd)
{
	struct msghdr msg = { .msg_iovlen = 0 };
	ssize_t n = relay_receive(fd, &msg, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);

	return n == -EAGAIN ? 0 : (int)n;
}

bool relay_has_datagram(int fd)
{
	struct msghdr msg = { .msg_iovlen = 0 };

	return relay_receive(fd, &msg, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT) != -EAGAIN;
}
