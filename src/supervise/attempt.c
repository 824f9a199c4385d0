/* SPDX-License-Identifier: ISC */
/* attempt.c - a connection under way, on behalf of calls that wait for it. */
#include "attempt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loop.h"
#include "socksify/handshake.h"
#include "socksify/report.h"
#include "socksify/sys.h"
#include "socksify/upstream.h"
#include "tracee.h"


struct waiter {
	struct timer timer;	/* first: SO_SNDTIMEO */
	struct waiter *next;
	struct attempt *attempt;
	struct call call;
};

struct attempt {
	struct watch watch;	/* first: of the socket */
	struct timer timer;	/* second: the deadline */
	struct flow *flow;
	struct handshake *hs;	/* NULL: the kernel connects, directly */
	struct waiter *waiters;
	pid_t tid;		/* who asked for it */
	bool begun;		/* the kernel took the connect(2): its state is ours to undo */
};

static struct attempt *of_timer(struct timer *t)
{
	return (struct attempt *)(void *)((char *)t - offsetof(struct attempt, timer));
}

void attempt_answer_option(const struct call *c, int value)
{
	int room, err = tracee_read(c, c->arg[4], &room, sizeof(room));

	if (err == 0 && room < 0)
		err = -EINVAL;
	if (err == 0 && room > (int)sizeof(value))
		room = sizeof(value);
	if (err == 0 && room > 0)
		err = tracee_write(c, c->arg[3], &value, (size_t)room);
	if (err == 0)
		err = tracee_write(c, c->arg[4], &room, sizeof(room));
	(void)listener_reply(c->id, err);
}

/* True when somebody heard it. */
static bool answer(const struct waiter *w, int result)
{
	if (w->call.kind == CALL_CONNECT)
		return listener_reply(w->call.id, result);
	if (!listener_is_waiting(w->call.id))
		return false;
	attempt_answer_option(&w->call, -result);
	return result < 0;
}

static void free_waiter(struct waiter *w)
{
	struct waiter **at = &w->attempt->waiters;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	loop_stop_timer(&w->timer);
	free(w);
}

/* SO_SNDTIMEO (socket(7)): the connection goes on without its caller. */
static void give_up_waiting(struct timer *t)
{
	struct waiter *w = (struct waiter *)(void *)t;

	(void)listener_reply(w->call.id, -EINPROGRESS);
	free_waiter(w);
}

void attempt_wait(struct attempt *a, const struct call *c)
{
	struct waiter *w = calloc(1, sizeof(*w));
	int64_t timeout = c->kind == CALL_CONNECT ? sys_timeout(a->watch.fd, SO_SNDTIMEO) : 0;

	if (w == NULL) {
		(void)listener_reply(c->id, -ENOMEM);
		return;
	}
	w->attempt = a;
	w->call = *c;
	w->next = a->waiters;
	w->timer.late = give_up_waiting;
	a->waiters = w;
	if (timeout > 0)
		loop_start_timer(&w->timer, sys_now_ns() + timeout);
}

static bool answer_all(struct attempt *a, int result)
{
	bool heard = false;

	while (a->waiters != NULL) {
		heard = answer(a->waiters, result) || heard;
		free_waiter(a->waiters);
	}
	return heard;
}

/*
 * The kernel was asked to connect without waiting, so it owes a 0 for the next
 * connect(2) after its success.
 */
static void take_zero(int fd)
{
	union sockaddr_any peer;
	socklen_t len = sizeof(peer);

	if (sys_getpeername(fd, &peer, &len) == 0)
		(void)!sys_connect(fd, &peer, len);
}

static int socket_error(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	return sys_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? ECONNREFUSED : error;
}

/* For another connect(2); its predecessor's errno is told by the call. */
static void make_fresh(int fd)
{
	sys_disconnect(fd);
	(void)socket_error(fd); /* the kernel's substitute for it */
}

static void free_attempt(struct attempt *a)
{
	loop_remove(&a->watch);
	loop_stop_timer(&a->timer);
	close(a->watch.fd);
	if (a->hs != NULL)
		handshake_unref(a->hs);
	free(a);
}

static void tell(const struct attempt *a, int result)
{
	const char *reason = a->hs->s.reason;

	if (result < 0 && reason == NULL)
		reason = strerrordesc_np(-result);
	tracee_speak_for(a->tid);
	report_attempt(&a->flow->peer, a->flow->peer_len, a->hs, result < 0 ? reason : NULL);
}

/* Leave socket and flow as connect(2) with this result does. */
static void finish(struct attempt *a, int result)
{
	struct flow *f = a->flow;
	bool heard, is_proxied = a->hs != NULL;

	if (is_proxied)
		handshake_restore_options(a->hs, a->watch.fd);
	if (is_proxied && report_is_on())
		tell(a, result);
	if (a->begun && result < 0)
		make_fresh(a->watch.fd);
	else if (a->begun)
		take_zero(a->watch.fd);
	f->attempt = NULL;
	f->owes_zero = false;
	flow_set_state(f, result < 0 ? FLOW_FAILED : FLOW_CONNECTED);
	f->error = result;
	/* Whoever hears it may ask at once, so all is in order by now. */
	heard = answer_all(a, result);
	free_attempt(a);
	f->owes_zero = result == 0 && !heard;
	if (heard && (result < 0 || !is_proxied))
		flow_free(f);
}

static void step_direct(struct attempt *a, uint32_t events)
{
	if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0)
		finish(a, -socket_error(a->watch.fd));
}

static void step_proxy(struct attempt *a, int ready)
{
	int error;

	switch (handshake_step(a->hs, a->watch.fd, ready)) {
	case HANDSHAKE_DONE:
		finish(a, 0);
		return;
	case HANDSHAKE_REFUSED:
		finish(a, -a->hs->error);
		return;
	case HANDSHAKE_UNREACHED:
		error = socket_error(a->watch.fd);
		finish(a, error != 0 ? handshake_errno(-error) : -ECONNREFUSED);
		return;
	case HANDSHAKE_CONNECTING:
	case HANDSHAKE_TALKING:
	case HANDSHAKE_TAKEN: /* of a BIND, which nobody asks for here */
	case HANDSHAKE_OWED: /* an optimist's program would read the answers: it waits for them, too */
		break;
	}
	if (loop_change(&a->watch, (uint32_t)handshake_events(a->hs)) < 0)
		finish(a, -ENOMEM);
}

static void ready(struct watch *w, uint32_t events)
{
	struct attempt *a = (struct attempt *)(void *)w;

	if (a->hs != NULL)
		step_proxy(a, (int)events);
	else
		step_direct(a, events);
}

static void late(struct timer *t)
{
	step_proxy(of_timer(t), 0);
}

/* With its first waiter; without memory for it NULL, and all is cleaned up. */
static struct attempt *begin(struct flow *f, int fd, const struct call *c)
{
	struct attempt *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		close(fd);
		flow_free(f);
		(void)listener_reply(c->id, -ENOMEM);
		return NULL;
	}
	a->watch = (struct watch){ .fd = fd, .events = EPOLLOUT, .ready = ready };
	a->timer.late = late;
	a->flow = f;
	a->tid = c->tid;
	f->attempt = a;
	attempt_wait(a, c);
	return a;
}

void attempt_direct(struct flow *f, int fd, const struct call *c)
{
	struct attempt *a = begin(f, fd, c);
	int err;

	if (a == NULL)
		return;
	a->begun = true;
	err = loop_add(&a->watch);
	if (err < 0)
		finish(a, err);
}

/* Returns 0 when the handshake is under way, or -errno. */
static int start_handshake(struct attempt *a, const struct route *route)
{
	struct target addresses[UPSTREAM_MAX];
	int count = upstream_addresses(route->proxy, addresses), err;
	int family = a->flow->peer.sa.sa_family;

	if (count < 0)
		return count;
	a->hs = handshake_new(sys_getpid());
	if (a->hs == NULL)
		return -ENOMEM;
	err = handshake_begin(a->hs, route, family, addresses, count,
			      route_deadline(sys_now_ns()));
	if (err == 0)
		err = handshake_allow_ipv4(a->hs, a->watch.fd, family);
	if (err < 0)
		return err;
	a->hs->begun = sys_now_ns();
	handshake_hide_options(a->hs, a->watch.fd);
	loop_start_timer(&a->timer, a->hs->deadline);
	err = handshake_connect(a->hs, a->watch.fd);
	a->begun = err == 0 || err == -EINPROGRESS;
	return a->begun ? 0 : handshake_errno(err);
}

void attempt_proxy(struct flow *f, int fd, const struct call *c, const struct route *route)
{
	struct attempt *a = begin(f, fd, c);
	int err;

	if (a == NULL)
		return;
	err = start_handshake(a, route);
	if (err == 0)
		err = loop_add(&a->watch);
	if (err < 0)
		finish(a, err);
	else
		step_proxy(a, HANDSHAKE_ASK);
}

void attempt_cancel(struct attempt *a)
{
	struct flow *f = a->flow;

	if (a->hs != NULL)
		handshake_restore_options(a->hs, a->watch.fd);
	(void)answer_all(a, -ECONNABORTED);
	free_attempt(a);
	flow_free(f);
}
