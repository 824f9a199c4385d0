/* SPDX-License-Identifier: ISC */
/* attempt.c - a connection under way, on behalf of calls that wait for it. */
#include "attempt.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conduit.h"
#include "loop.h"
#include "park.h"
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
	struct watch watch;	/* first: of the socket that speaks with the proxy */
	struct timer timer;	/* second: the deadline */
	struct watch parked;	/* the program's own socket, if that is another one; else fd -1 */
	struct watch opener;	/* the other end of it, when the proxy has connected; else fd -1 */
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

/* Our copy of the program's descriptor. */
static int program_fd(const struct attempt *a)
{
	return attempt_is_parked(a) ? a->parked.fd : a->watch.fd;
}

bool attempt_is_parked(const struct attempt *a)
{
	return a->parked.fd >= 0;
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
	int64_t timeout = c->kind == CALL_CONNECT ? sys_timeout(program_fd(a), SO_SNDTIMEO) : 0;

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

void attempt_drop_error(int fd)
{
	(void)socket_error(fd);
}

static void drop(struct watch *w)
{
	if (w->fd < 0)
		return;
	loop_remove(w);
	close(w->fd);
}

static void free_attempt(struct attempt *a)
{
	loop_stop_timer(&a->timer);
	drop(&a->watch);
	drop(&a->parked);
	drop(&a->opener);
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

/* The octets that came and come through the proxy go to the program.  0 or -errno. */
static int join(struct attempt *a)
{
	int inner = a->opener.fd, outer = a->watch.fd;

	loop_remove(&a->opener);
	loop_remove(&a->watch);
	a->opener.fd = -1;
	a->watch.fd = -1;
	return conduit_start(inner, outer);
}

/* The kernel's state of the socket, as the program is to find it. */
static void leave_socket(struct attempt *a, int result, bool is_waited_for)
{
	int fd = program_fd(a);

	if (attempt_is_parked(a) && !is_waited_for) {
		if (result < 0)
			park_refuse(fd);
	} else if (result < 0) {
		make_fresh(fd);
	} else {
		take_zero(fd);
	}
}

/* Leave socket and flow as connect(2) with this result does. */
static void finish(struct attempt *a, int result)
{
	struct flow *f = a->flow;
	bool heard, is_proxied = a->hs != NULL, is_waited_for = a->waiters != NULL;
	bool kernel_tells = attempt_is_parked(a) && !is_waited_for;

	if (is_proxied)
		handshake_restore_options(a->hs, a->watch.fd);
	if (result == 0 && attempt_is_parked(a))
		result = join(a);
	if (is_proxied && report_is_on())
		tell(a, result);
	if (a->begun)
		leave_socket(a, result, is_waited_for);
	f->attempt = NULL;
	f->owes_zero = false;
	flow_set_state(f, result < 0 ? FLOW_FAILED : FLOW_CONNECTED);
	f->error = result;
	/* Whoever hears it may ask at once, so all is in order by now. */
	heard = answer_all(a, result);
	free_attempt(a);
	f->owes_zero = result == 0 && !heard && !kernel_tells;
	if (heard && (result < 0 || !is_proxied))
		flow_free(f);
}

static void step_direct(struct attempt *a, uint32_t events)
{
	if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0)
		finish(a, -socket_error(a->watch.fd));
}

static void opened(struct attempt *a)
{
	int error = socket_error(a->opener.fd);

	/* Whatever else has come under its port is none of the program's. */
	finish(a, error == 0 && park_is_open(a->parked.fd, a->opener.fd) ? 0 : -ECONNREFUSED);
}

void attempt_settle(struct attempt *a)
{
	struct pollfd p = { .fd = a->opener.fd, .events = POLLOUT };

	if (a->opener.fd >= 0 && poll(&p, 1, 0) > 0)
		opened(a);
}

static void opener_ready(struct watch *w, uint32_t events)
{
	(void)events;
	opened((struct attempt *)(void *)((char *)w - offsetof(struct attempt, opener)));
}

/* The proxy has connected: now the program's socket may be, too. */
static void open_parked(struct attempt *a)
{
	int fd = park_open(a->parked.fd);

	loop_remove(&a->watch);
	if (fd < 0) {
		finish(a, -ECONNREFUSED);
		return;
	}
	a->opener = (struct watch){ .fd = fd, .events = EPOLLOUT, .ready = opener_ready };
	if (loop_add(&a->opener) < 0)
		finish(a, -ENOMEM);
	else
		attempt_settle(a);
}

static void step_proxy(struct attempt *a, int ready)
{
	int error;

	switch (handshake_step(a->hs, a->watch.fd, ready)) {
	case HANDSHAKE_DONE:
		if (attempt_is_parked(a))
			open_parked(a);
		else
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
	struct attempt *a = of_timer(t);

	if (a->opener.fd >= 0)
		finish(a, -ETIMEDOUT);
	else
		step_proxy(a, 0);
}

/* It ended without us: by shutdown(2), or the kernel has tried for long enough. */
static void parked_ended(struct watch *w, uint32_t events)
{
	(void)events;
	attempt_cancel((struct attempt *)(void *)((char *)w - offsetof(struct attempt, parked)));
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
	a->parked.fd = -1;
	a->opener.fd = -1;
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
static int start_handshake(struct attempt *a, const struct route *route, int family)
{
	struct target addresses[UPSTREAM_MAX];
	int count = upstream_addresses(route->proxy, addresses), err;

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
	err = start_handshake(a, route, f->peer.sa.sa_family);
	if (err == 0)
		err = loop_add(&a->watch);
	if (err < 0)
		finish(a, err);
	else
		step_proxy(a, HANDSHAKE_ASK);
}

/* A socket of ours that can reach a proxy of either family, or -errno. */
static int open_outer(int *ret_family)
{
	int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, on = 1, fd;

	*ret_family = AF_INET6;
	fd = socket(AF_INET6, type, 0);
	if (fd < 0) {
		*ret_family = AF_INET;
		fd = socket(AF_INET, type, 0);
	}
	if (fd < 0)
		return -errno;
	(void)!sys_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

bool attempt_park(struct flow *f, int fd, const struct call *c, const struct route *route)
{
	int family, outer = open_outer(&family), err;
	struct attempt *a;

	if (outer < 0 || park_socket(fd, f->peer.sa.sa_family) < 0) {
		if (outer >= 0)
			close(outer);
		return false;
	}
	a = begin(f, outer, c);
	if (a == NULL) {
		make_fresh(fd);
		close(fd);
		return true;
	}
	a->parked = (struct watch){ .fd = fd, .events = 0, .ready = parked_ended };
	err = start_handshake(a, route, family);
	a->begun = true;
	if (err == 0)
		err = loop_add(&a->watch);
	if (err == 0)
		err = loop_add(&a->parked);
	if (err < 0) {
		finish(a, err);
		return true;
	}
	(void)answer_all(a, -EINPROGRESS);
	step_proxy(a, HANDSHAKE_ASK);
	return true;
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
