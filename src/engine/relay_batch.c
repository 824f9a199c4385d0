/* SPDX-License-Identifier: ISC */
/* relay_batch.c - sendmmsg(2): to relays and to direct peers, in as few calls as the program made. */
#include <errno.h>
#include <limits.h>

#include "relay_state.h"
#include "socksify/scratch.h"
#include "socksify/sys.h"

/* So many go to the kernel together. */
#define BATCH 64

struct batch {
	struct mmsghdr msgs[BATCH];
	size_t header_lens[BATCH];	/* 0: it goes as the program says */
	uint8_t headers[BATCH][SOCKS5_UDP_HEADER_MAX];
	struct iovec parts[];
};

/* The call under way. */
struct sender {
	int fd, flags;
	bool goes_alone;	/* the next datagram: a query, or one into the queue */
	struct conn *conn;	/* NULL: not relayed, yet */
	struct relay *relay;
};

/* 0 and the route of one datagram; or -errno. */
static int decide(const struct sender *s, const struct msghdr *msg, struct route *ret)
{
	int err;

	if (msg->msg_name == NULL) {
		ret->verdict = ROUTE_DIRECT;
		if (s->relay != NULL && atomic_load(&s->relay->mode) == RELAY_CONNECTED)
			*ret = relay_target(s->relay)->route;
		return 0;
	}
	err = route_for_send(s->fd, msg->msg_name, msg->msg_namelen, ret);
	return err == 0 && ret->verdict == ROUTE_BLOCK ? -ECONNREFUSED : err;
}

/*
 * Make the @i'th of the batch of @msg.  Returns the parts it took, or -errno;
 * with goes_alone set the result of sending it, if it is the first.
 */
static int add(struct sender *s, struct batch *b, unsigned i, const struct msghdr *msg,
	       struct iovec *parts)
{
	struct relay_wrapping w;
	struct route route;
	int err = decide(s, msg, &route);

	b->header_lens[i] = 0;
	b->msgs[i].msg_hdr = *msg;
	if (err < 0 || route.verdict == ROUTE_DIRECT)
		return err;
	if (s->relay == NULL)
		s->relay = relay_get(s->fd, &s->conn);
	if (s->relay == NULL)
		return -ENOMEM;
	if (route.is_query) {
		s->goes_alone = true;
		return i > 0 ? -EAGAIN : (int)relay_send(s->fd, &route, msg, s->flags);
	}
	err = relay_refuse_offload(msg, s->flags);
	if (err == 0)
		err = relay_begin(s->fd, s->relay, &route, s->flags, msg, b->headers[i], &w);
	if (err == -EINPROGRESS) {
		s->goes_alone = true;
		return i > 0 ? -EAGAIN : (int)relay_send(s->fd, msg->msg_name != NULL ? &route : NULL,
							 msg, s->flags);
	}
	if (err < 0)
		return err;
	b->header_lens[i] = w.header_len;
	relay_wrap(&w, msg, parts, &b->msgs[i].msg_hdr);
	return (int)b->msgs[i].msg_hdr.msg_iovlen;
}

/* The first up to BATCH of @count messages.  Returns how many were sent, or -errno. */
static int send_some(struct sender *s, struct batch *b, struct mmsghdr *msgs, unsigned count)
{
	struct iovec *parts = b->parts;
	unsigned n = 0;
	int err = 0, sent;

	s->goes_alone = false;
	while (n < count && n < BATCH) {
		err = add(s, b, n, &msgs[n].msg_hdr, parts);
		if (s->goes_alone && n == 0 && err >= 0) {
			msgs[0].msg_len = (unsigned)err;
			return 1;
		}
		if (err < 0)
			break;
		parts += err;
		n++;
	}
	if (n == 0)
		return err;
	sent = sys_sendmmsg(s->fd, b->msgs, n, s->flags);
	if (sent == -ECONNREFUSED && s->relay != NULL)
		relay_suspect(s->relay);
	for (int i = 0; i < sent; i++)
		msgs[i].msg_len = b->msgs[i].msg_len - (unsigned)b->header_lens[i];
	return sent;
}

static size_t size_for(const struct mmsghdr *msgs, unsigned count)
{
	size_t parts = 0;

	for (unsigned i = 0; i < count && i < BATCH; i++) {
		if (msgs[i].msg_hdr.msg_iovlen >= IOV_MAX)
			return 0;
		parts += msgs[i].msg_hdr.msg_iovlen + 1;
	}
	return sizeof(struct batch) + parts * sizeof(struct iovec);
}

int relay_send_many(int fd, struct mmsghdr *msgs, unsigned count, int flags)
{
	struct sender s = { .fd = fd, .flags = flags };
	unsigned sent = 0;
	int n = 0;

	if ((flags & MSG_MORE) != 0)
		return -EOPNOTSUPP;
	s.relay = relay_look_up(fd, &s.conn);
	while (sent < count) {
		size_t size = size_for(msgs + sent, count - sent);
		struct batch *b = size > 0 ? scratch_take(size) : NULL;

		n = size == 0 ? -EMSGSIZE : -ENOMEM;
		if (b != NULL) {
			n = send_some(&s, b, msgs + sent, count - sent);
			scratch_give(b);
		}
		if (n <= 0)
			break;
		sent += (unsigned)n;
		if (n < BATCH && !s.goes_alone)
			break; /* the next one fails, which the next call will tell */
	}
	if (s.conn != NULL)
		conn_unref(s.conn);
	return sent > 0 || count == 0 ? (int)sent : n;
}
