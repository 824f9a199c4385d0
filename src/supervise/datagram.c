/* SPDX-License-Identifier: ISC */
/* datagram.c - datagrams of supervised programs: sent for them, to where the rules let them. */
#include <errno.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "association.h"
#include "later.h"
#include "message.h"
#include "peer.h"
#include "responder.h"
#include "serve.h"
#include "socksify/dns_msg.h"
#include "socksify/report.h"
#include "socksify/route.h"
#include "socksify/sys.h"
#include "strict.h"
#include "tracee.h"

#define DATAGRAM_MAX 65536
#define CONTROL_MAX 1024	/* octets of control messages; IP has some twenty of 20 to 40 */
#define ASKERS 4096u		/* a power of two */
#define NS_PER_US 1000

#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY 0x4000000
#endif

/* Buffers of the one thread there is. */
static char payload[DATAGRAM_MAX];
static _Alignas(struct cmsghdr) char control[CONTROL_MAX];
static struct message message;

/*
 * Sockets that asked a nameserver, by cookie; who receives by another is not
 * disturbed.  One that is pushed out of the table sees who answered it really.
 */
static uint64_t askers[ASKERS];
static bool has_askers;

static void note_asker(const struct subject *s)
{
	askers[s->cookie % ASKERS] = s->cookie;
	has_askers = true;
}

static bool is_asker(const struct subject *s)
{
	return has_askers && askers[s->cookie % ASKERS] == s->cookie;
}

/* --- where to --- */

static int ask_responder(const struct subject *s, const struct target *asked,
			 struct sockaddr_storage *to)
{
	union sockaddr_any instead;
	int len = serve_is_foreign(s->fd) > 0 ? -ENETUNREACH : responder_for(asked, s->domain, &instead);

	if (len < 0)
		return len;
	note_asker(s);
	memcpy(to, &instead, (size_t)len);
	return len;
}

/* With `dns local` they go where the rules let them, as other datagrams do. */
static bool takes_queries(void)
{
	return route_config()->dns != DNS_LOCAL;
}

/* Does a rule say that queries to @to go there by themselves? */
static bool is_excused(const struct subject *s, const struct sockaddr_storage *to, socklen_t len)
{
	struct route route;
	int err;

	report_mute(true); /* it is told when it goes */
	err = route_for_socket(s->fd, (const struct sockaddr *)to, len, &route);
	report_mute(false);
	return err == 0 && route.verdict == ROUTE_DIRECT;
}

static int relay_instead(const struct subject *s, struct sockaddr_storage *to, socklen_t len,
			 const struct route *route, bool sends)
{
	union sockaddr_any instead;
	int left = association_address(s, to, len, route, sends, &instead);

	if (left < 0)
		return left;
	note_asker(s);
	memcpy(to, &instead, (size_t)left);
	return left;
}

/*
 * Where a datagram to @to goes.
 * @sends: now; else connect(2)
 * Returns the length of the address, which may be another one now, or -errno.
 */
static int redirect(const struct subject *s, struct sockaddr_storage *to, socklen_t len, bool sends)
{
	enum route_verdict verdict;
	struct target t;
	struct route route;
	int err;

	if (target_from_sockaddr((const struct sockaddr *)to, len, &t) < 0)
		t = (struct target){ .kind = TARGET_NONE };
	if (takes_queries() && s->type == SOCK_DGRAM && t.port == DNS_PORT && !is_excused(s, to, len))
		return ask_responder(s, &t, to);
	err = strict_route(s->fd, (const struct sockaddr *)to, len, &route);
	if (err < 0)
		return err;
	verdict = route.is_query ? route.otherwise : route.verdict;
	if (verdict == ROUTE_PROXY && route.is_datagram)
		return relay_instead(s, to, len, &route, sends);
	/* The library in a program looks at its queries itself; here, .onion does not leave (RFC 7686). */
	if (verdict == ROUTE_DIRECT && route.is_query && s->type == SOCK_DGRAM && !strict_concerns_caller())
		return ask_responder(s, &t, to);
	return verdict == ROUTE_DIRECT ? (int)len : -ENETUNREACH;
}

int serve_datagram_connect(const struct subject *s, const struct sockaddr_storage *to,
			   socklen_t len)
{
	struct sockaddr_storage there = *to;
	int left = (int)len, err;

	if (len >= sizeof(to->ss_family) && to->ss_family != AF_UNSPEC)
		left = redirect(s, &there, len, false);
	if (left < 0)
		return left;
	err = sys_connect(s->fd, &there, (socklen_t)left);
	/* The kernel keeps the address that it chose for the way to the last peer: ours was on the loopback. */
	if (err == -EINVAL && is_asker(s)) {
		sys_disconnect(s->fd);
		err = sys_connect(s->fd, &there, (socklen_t)left);
	}
	return err;
}

/* --- sending --- */

/* The address that a send names: its length, 0 for none, or -errno. */
static int read_destination(const struct call *c, const struct subject *s,
			    const struct message *m, struct sockaddr_storage *ret)
{
	int len;

	if (m->name == 0 || (m->header != 0 && m->name_len == 0))
		return 0;
	len = tracee_read_address(c, m->name, m->name_len, ret);
	if (len < 0)
		return len;
	/* Unlike connect(2), sending takes AF_UNSPEC for AF_INET, or for no address (udp_sendmsg() in the kernel). */
	if (len >= (int)sizeof(ret->ss_family) && ret->ss_family == AF_UNSPEC) {
		if (s->domain == AF_INET6)
			return 0;
		ret->ss_family = AF_INET;
	}
	return redirect(s, ret, (socklen_t)len, true);
}

static int read_control(const struct call *c, const struct message *m)
{
	if (m->control_len == 0)
		return 0;
	if (c->compat)
		return -EOPNOTSUPP; /* control messages of the other word size */
	if (m->control_len > sizeof(control))
		return -ENOBUFS;
	return tracee_read(c, m->control, control, m->control_len);
}

/* One message.  Returns octets or -errno. */
static ssize_t send_one(const struct call *c, const struct subject *s, unsigned i)
{
	struct sockaddr_storage to;
	struct iovec piece = { payload, 0 };
	struct msghdr h = { .msg_iov = &piece, .msg_iovlen = 1 };
	int flags = message_flags(c), len, err = message_read(c, i, &message);
	ssize_t n;

	if (err < 0)
		return err;
	if ((flags & MSG_ZEROCOPY) != 0)
		return -ENOBUFS; /* the pages would be ours; programs copy then */
	if (message.size > sizeof(payload))
		return -EMSGSIZE;
	len = read_destination(c, s, &message, &to);
	err = len < 0 ? len : read_control(c, &message);
	if (err < 0)
		return err;
	n = message.size > 0 ?
	    tracee_gather(c, message.piece, message.count, payload, message.size) : 0;
	if (n < 0 || (size_t)n != message.size)
		return -EFAULT;
	piece.iov_len = message.size;
	h.msg_name = len > 0 ? &to : NULL;
	h.msg_namelen = (socklen_t)len;
	h.msg_control = message.control_len > 0 ? control : NULL;
	h.msg_controllen = message.control_len;
	n = sendmsg(s->fd, &h, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
	return n < 0 ? -errno : n;
}

/* All of them; as in the kernel an error counts only for the first one. */
static int64_t send_all(const struct call *c, const struct subject *s)
{
	unsigned count = message_count(c), sent;
	ssize_t n = 0;

	if (c->kind != CALL_SENDMMSG)
		return send_one(c, s, 0);
	if (count > MESSAGE_PIECES)
		count = MESSAGE_PIECES;
	for (sent = 0; sent < count; sent++) {
		n = send_one(c, s, sent);
		if (n < 0)
			break;
		if (message_write_length(c, sent, (unsigned)n) < 0)
			return -EFAULT;
	}
	return sent > 0 ? sent : n;
}

static int64_t own_timeout(int fd, int name)
{
	struct timeval tv = { 0, 0 };
	socklen_t len = sizeof(tv);

	if (sys_getsockopt(fd, SOL_SOCKET, name, &tv, &len) < 0)
		return 0;
	return ((int64_t)tv.tv_sec * 1000000 + tv.tv_usec) * NS_PER_US;
}

static bool may_wait(const struct call *c, const struct subject *s)
{
	return !s->nonblocking && (message_flags(c) & MSG_DONTWAIT) == 0;
}

/* Answer it, or let it wait as the program's socket would. */
static void settle(const struct call *c, const struct subject *s, int64_t result,
		   uint32_t events, int timeout)
{
	if (result == -EAGAIN && may_wait(c, s)) {
		later_serve(c, s->fd, events, own_timeout(s->fd, timeout));
		return;
	}
	(void)listener_reply(c->id, result);
	close(s->fd);
}

/* Of an association that is under way whoever may wait hears how it goes. */
static void settle_send(const struct call *c, const struct subject *s, int64_t result)
{
	if (result >= 0 && may_wait(c, s) && association_hold(s, c, result))
		close(s->fd);
	else
		settle(c, s, result, EPOLLOUT, SO_SNDTIMEO);
}

/*
 * Only a strict run is told of a fast open.  Whoever may connect is to do that
 * by connect(2); what has no address, or is no stream, is none.
 */
static int judge_fastopen(const struct call *c, const struct subject *s)
{
	struct sockaddr_storage to;
	struct route route;
	int err = message_read(c, 0, &message), len = 0;

	if (err == 0 && message.name != 0 && strict_concerns_caller())
		len = tracee_read_address(c, message.name, message.name_len, &to);
	if (err == 0 && len > 0)
		err = strict_route(s->fd, (const struct sockaddr *)&to, (socklen_t)len, &route);
	return err < 0 ? err : len < 0 ? len : -EOPNOTSUPP;
}

static void serve_fastopen(const struct call *c, int is_inet, const struct subject *s)
{
	int err = is_inet == 1 && s->type == SOCK_STREAM ? judge_fastopen(c, s) : -EOPNOTSUPP;

	(void)listener_reply(c->id, err);
	if (is_inet == 1)
		close(s->fd);
}

void serve_send(const struct call *c)
{
	struct subject s;
	int is_inet = serve_look(c, &s);

	if (is_inet < 0) {
		(void)listener_reply(c->id, is_inet);
	} else if ((message_flags(c) & MSG_FASTOPEN) != 0) {
		serve_fastopen(c, is_inet, &s);
	} else if (is_inet == 0) {
		(void)listener_continue(c->id);
	} else if (s.type == SOCK_STREAM) {
		/* Without MSG_FASTOPEN, which the filter refuses, a stream ignores addresses. */
		(void)listener_continue(c->id);
		close(s.fd);
	} else {
		settle_send(c, &s, send_all(c, &s));
	}
}

/* --- receiving --- */

/* In whose place does @from stand?  The length of that address, or 0: it is none of ours. */
static int asked_by(const union sockaddr_any *from, int family, union sockaddr_any *ret)
{
	int len = responder_asked(from, family, ret);

	return len > 0 ? len : peer_asked(from, family, ret);
}

/* On a socket that has an association: does it come past the proxy, though no rule says so? */
static bool is_past_proxy(const struct subject *s, const union sockaddr_any *from, socklen_t len)
{
	union sockaddr_any asked;
	struct target t;

	return association_has(s) && asked_by(from, s->domain, &asked) == 0 &&
	       target_from_sockaddr(&from->sa, len, &t) == 0 && !route_is_direct(&t);
}

/* Give to the program what was received: octets as recvmsg(2) counts them, or -errno. */
static int64_t deliver(const struct call *c, const struct subject *s, const struct msghdr *h,
		       size_t len)
{
	const union sockaddr_any *from = h->msg_name;
	union sockaddr_any asked;
	int asked_len = asked_by(from, s->domain, &asked), err;
	size_t room = len < message.size ? len : message.size;

	if (room > 0 && tracee_scatter(c, message.piece, message.count, payload, room) !=
				(ssize_t)room)
		return -EFAULT;
	err = asked_len > 0 ? message_write_source(c, &message, &asked, (socklen_t)asked_len)
			    : message_write_source(c, &message, from, h->msg_namelen);
	if (err == 0 && h->msg_controllen > 0)
		err = tracee_write(c, message.control, control, h->msg_controllen);
	if (err == 0)
		err = message_write_rest(c, &message, h->msg_controllen,
					 h->msg_flags & ~MSG_CMSG_CLOEXEC);
	return err < 0 ? err : (int64_t)((message_flags(c) & MSG_TRUNC) != 0 ? len : room);
}

/* True: it was dropped, and there may be another one. */
static bool drops(const struct subject *s, const union sockaddr_any *from, socklen_t len, int flags)
{
	if ((flags & MSG_ERRQUEUE) != 0 || !is_past_proxy(s, from, len))
		return false;
	if ((flags & MSG_PEEK) != 0)
		(void)!recv(s->fd, NULL, 0, MSG_DONTWAIT);
	return true;
}

static int64_t receive(const struct call *c, const struct subject *s)
{
	union sockaddr_any from;
	struct iovec piece = { payload, sizeof(payload) };
	struct msghdr h = { .msg_name = &from, .msg_iov = &piece, .msg_iovlen = 1,
			    .msg_control = control };
	size_t control_room = 0;
	int flags = message_flags(c) & ~(MSG_WAITALL | MSG_WAITFORONE);
	int64_t result;
	int err;
	ssize_t n;

	err = message_read(c, 0, &message);
	if (err < 0)
		return err;
	if (message.size < sizeof(payload))
		piece.iov_len = message.size;
	if (!c->compat)
		control_room = message.control_len < sizeof(control) ? message.control_len
								     : sizeof(control);
	do {
		h.msg_namelen = sizeof(from);
		h.msg_controllen = control_room;
		n = recvmsg(s->fd, &h, flags | MSG_DONTWAIT | MSG_TRUNC);
	} while (n >= 0 && drops(s, &from, h.msg_namelen, flags));
	if (n < 0)
		return -errno;
	result = deliver(c, s, &h, (size_t)n);
	if (result >= 0 && c->kind == CALL_RECVMMSG) {
		err = message_write_length(c, 0, (unsigned)result);
		result = err < 0 ? err : 1;
	}
	return result;
}

void serve_receive(const struct call *c)
{
	struct subject s;
	int is_inet;

	if (!has_askers || message_count(c) == 0) {
		(void)listener_continue(c->id);
		return;
	}
	is_inet = serve_look(c, &s);
	if (is_inet < 0) {
		(void)listener_reply(c->id, is_inet);
	} else if (is_inet == 0) {
		(void)listener_continue(c->id);
	} else if (s.type == SOCK_STREAM || !is_asker(&s)) {
		(void)listener_continue(c->id);
		close(s.fd);
	} else {
		settle(c, &s, receive(c, &s), EPOLLIN, SO_RCVTIMEO);
	}
}

bool serve_has_askers(void)
{
	return has_askers;
}

int serve_asked_peer(const struct subject *s, union sockaddr_any *ret)
{
	union sockaddr_any peer;
	socklen_t len = sizeof(peer);

	return is_asker(s) && sys_getpeername(s->fd, &peer, &len) == 0 ?
		       asked_by(&peer, s->domain, ret) : 0;
}
