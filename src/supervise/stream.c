/* SPDX-License-Identifier: ISC */
/* stream.c - connect(2) of supervised programs, and what tells how it went. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "attempt.h"
#include "serve.h"
#include "socksify/sys.h"
#include "strict.h"
#include "tracee.h"

/* The flow of the socket; that of a parked one which is open has become CONNECTED. */
static struct flow *look_up(uint64_t cookie)
{
	struct flow *f = flow_find(cookie);

	if (f != NULL && f->state == FLOW_PENDING)
		attempt_settle(f->attempt);
	return flow_find(cookie);
}

/*
 * Sockets of other families: only the kernel can connect them (a path is
 * relative to the program's directory), so it reads the address again.
 */
static void connect_other(const struct call *c)
{
	struct sockaddr_storage to;
	struct route route;
	int len = tracee_read_address(c, c->arg[1], c->arg[2], &to);
	int err = 0;

	/* A resolver's daemon would ask outside of any proxy.  No fd: its family is known. */
	if (len > 0 && to.ss_family == AF_UNIX)
		err = route_for_socket(-1, (struct sockaddr *)&to, (socklen_t)len, &route);
	if (err < 0)
		(void)listener_reply(c->id, err);
	else
		(void)listener_continue(c->id);
}

/* The kernel's own, on our copy of the socket: what is decided is what was read. */
static void connect_directly(struct subject *s, const struct call *c,
			     const struct sockaddr_storage *to, socklen_t len)
{
	int err = sys_connect(s->fd, to, len);
	struct flow *f;

	/* A blocking one waits, also for one that was begun before. */
	if ((err != -EINPROGRESS && err != -EALREADY) || s->nonblocking) {
		(void)listener_reply(c->id, err);
		close(s->fd);
		return;
	}
	f = flow_new(s->cookie, to, len);
	if (f == NULL) {
		(void)listener_reply(c->id, -ENOMEM);
		close(s->fd);
		return;
	}
	attempt_direct(f, s->fd, c);
}

static void connect_by_proxy(struct subject *s, const struct call *c,
			     const struct sockaddr_storage *to, socklen_t len,
			     const struct route *route)
{
	struct flow *f;

	flow_sweep();
	f = flow_new(s->cookie, to, len);
	if (f != NULL) {
		/* Its own socket is faster, and outlives us; but it would show the proxy's progress. */
		if (!s->nonblocking || serve_is_foreign(s->fd) != 0 ||
		    !attempt_park(f, s->fd, c, route))
			attempt_proxy(f, s->fd, c, route);
		return;
	}
	(void)listener_reply(c->id, -ENOMEM);
	close(s->fd);
}

/* A stream without a flow: the rules decide. */
static void connect_fresh(struct subject *s, const struct call *c,
			  const struct sockaddr_storage *to, socklen_t len)
{
	struct route route;
	int err = strict_route(s->fd, (const struct sockaddr *)to, len, &route);

	/* Queries over TCP are not answered here: a resolver on this machine would ask for us. */
	if (err == 0 && route.is_query && route.verdict == ROUTE_PROXY &&
	    route.otherwise != ROUTE_PROXY)
		err = -ECONNREFUSED;
	if (err == 0) {
		switch (route.verdict) {
		case ROUTE_DIRECT:
			connect_directly(s, c, to, len);
			return;
		case ROUTE_PROXY:
			connect_by_proxy(s, c, to, len, &route);
			return;
		case ROUTE_BLOCK:
			err = -ECONNREFUSED;
			break;
		}
	}
	(void)listener_reply(c->id, err);
	close(s->fd);
}

/* connect(2) on a socket with a flow.  Returns true when it was answered, or will be. */
static bool connect_again(struct subject *s, const struct call *c, struct flow *f,
			  const struct sockaddr_storage *to, socklen_t len)
{
	int result;

	if (to->ss_family == AF_UNSPEC && len >= sizeof(to->ss_family)) {
		if (f->state == FLOW_PENDING)
			attempt_cancel(f->attempt);
		else
			flow_free(f);
		return false;
	}
	switch (f->state) {
	case FLOW_PENDING:
		/* Also one that was interrupted and comes again: it is the same connection. */
		if (s->nonblocking)
			(void)listener_reply(c->id, -EALREADY);
		else
			attempt_wait(f->attempt, c);
		return true;
	case FLOW_CONNECTED:
		if (f->owes_zero) {
			f->owes_zero = !listener_reply(c->id, 0);
			return true;
		}
		return false; /* the kernel says EISCONN, or that it is over */
	case FLOW_FAILED:
		result = f->error;
		attempt_drop_error(s->fd);
		if (listener_reply(c->id, result))
			flow_free(f);
		return true;
	}
	return false;
}

/* Does it still have the connection that the flow stands for, be it one that has ended? */
static bool is_of_flow(int fd)
{
	sa_family_t family;
	socklen_t len = sizeof(family); /* it refuses to give less than what is asked for */

	return sys_getsockopt(fd, SOL_SOCKET, SO_PEERNAME, &family, &len) == 0;
}

static bool has_peer(int fd)
{
	union sockaddr_any peer;
	socklen_t len = sizeof(peer);

	return sys_getpeername(fd, &peer, &len) == 0;
}

static void connect_stream(struct subject *s, const struct call *c,
			   const struct sockaddr_storage *to, socklen_t len)
{
	struct flow *f = look_up(s->cookie);

	if (f != NULL && connect_again(s, c, f, to, len)) {
		close(s->fd);
		return;
	}
	f = flow_find(s->cookie);
	if (f != NULL && is_of_flow(s->fd)) {
		(void)listener_reply(c->id, sys_connect(s->fd, to, len));
		close(s->fd);
		return;
	}
	if (f != NULL)
		flow_free(f);
	connect_fresh(s, c, to, len);
}

void serve_connect(const struct call *c)
{
	struct sockaddr_storage to;
	struct subject s;
	int is_inet = serve_look(c, &s), len;

	if (is_inet == 0) {
		connect_other(c);
		return;
	}
	if (is_inet < 0) {
		(void)listener_reply(c->id, is_inet);
		return;
	}
	len = tracee_read_address(c, c->arg[1], c->arg[2], &to);
	if (len < 0) {
		(void)listener_reply(c->id, len);
		close(s.fd);
	} else if (s.type == SOCK_STREAM) {
		connect_stream(&s, c, &to, (socklen_t)len);
	} else {
		(void)listener_reply(c->id, serve_datagram_connect(&s, &to, (socklen_t)len));
		close(s.fd);
	}
}

/*
 * find - what is known of the call's socket.
 * @ret:      its flow, or NULL for one that asks a nameserver
 * @ret_peer: what it was connected to, of *@ret_len octets; 0: it is not connected yet
 * False: it is none of ours, and the call is answered.
 */
static bool find(const struct call *c, struct flow **ret, union sockaddr_any *ret_peer,
		 socklen_t *ret_len)
{
	struct flow *f = NULL;
	struct subject s;
	int is_inet = 0, len = 0;

	if (flow_count() > 0 || serve_has_askers())
		is_inet = serve_look(c, &s);
	if (is_inet < 0) {
		(void)listener_reply(c->id, is_inet);
		return false;
	}
	if (is_inet == 1) {
		f = look_up(s.cookie);
		/* A parked one has the kernel's substitute for the errno that is told now. */
		if (f != NULL && f->state == FLOW_FAILED && c->kind == CALL_GETSOCKOPT)
			attempt_drop_error(s.fd);
		/* Without a peer the kernel has the right errno. */
		if (f != NULL && f->state == FLOW_CONNECTED && !has_peer(s.fd))
			f = NULL;
		if (f == NULL && s.type == SOCK_DGRAM)
			len = serve_asked_peer(&s, ret_peer);
		close(s.fd);
	}
	if (f != NULL && f->state == FLOW_CONNECTED) {
		*ret_peer = f->peer;
		len = (int)f->peer_len;
	}
	if (f == NULL && len == 0) {
		(void)listener_continue(c->id);
		return false;
	}
	*ret = f;
	*ret_len = (socklen_t)len;
	return true;
}

void serve_getpeername(const struct call *c)
{
	union sockaddr_any peer;
	struct flow *f;
	socklen_t len;

	if (find(c, &f, &peer, &len))
		(void)listener_reply(c->id, len == 0 ? -ENOTCONN :
				     tracee_write_address(c, c->arg[1], c->arg[2], &peer, len));
}

/* SO_PEERNAME is getpeername(2) by another door, but refuses to cut. */
static int give_peer(const struct call *c, const union sockaddr_any *peer, socklen_t len)
{
	int room, err;

	if (len == 0)
		return -ENOTCONN;
	err = tracee_read(c, c->arg[4], &room, sizeof(room));
	if (err < 0)
		return err;
	if (room < (int)len)
		return -EINVAL;
	return tracee_write(c, c->arg[3], peer, len);
}

void serve_getsockopt(const struct call *c)
{
	union sockaddr_any peer;
	struct flow *f;
	socklen_t len;

	if (!find(c, &f, &peer, &len))
		return;
	if ((int)c->arg[2] != SO_ERROR) {
		(void)listener_reply(c->id, give_peer(c, &peer, len));
		return;
	}
	if (f == NULL) {
		(void)listener_continue(c->id);
		return;
	}
	switch (f->state) {
	case FLOW_CONNECTED:
		(void)listener_continue(c->id);
		return;
	case FLOW_PENDING:
		if (attempt_is_parked(f->attempt)) {
			attempt_answer_option(c, 0);
			return;
		}
		/* The socket looks connected from the proxy on: who asks would send too early. */
		attempt_wait(f->attempt, c);
		return;
	case FLOW_FAILED:
		attempt_answer_option(c, -f->error);
		flow_free(f);
		return;
	}
}
