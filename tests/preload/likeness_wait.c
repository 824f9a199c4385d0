/* SPDX-License-Identifier: ISC */
/* likeness_wait.c - each way to wait for a connect, from before it to after. */
#include "likeness.h"

enum kind { LT, ET, ONESHOT, ET_ONESHOT, EXCLUSIVE, PWAIT, PWAIT2, POLL, PPOLL, SELECT, PSELECT };
static const char *const kinds[] = {
	"epoll-lt",    "epoll-et",     "epoll-oneshot", "epoll-et-oneshot",
	"epoll-excl",  "epoll-pwait",  "epoll-pwait2",	"poll",
	"ppoll",       "select",       "pselect",	NULL
};

/* ADDED: registered before the connect.  ASKED: and also waited on before it. */
enum order { AFTER, ADDED, ASKED };
static const char *const orders[] = { "after", "before", "asked-before", NULL };

#define COOKIE 0xfeedfacecafef00dULL

struct watch {
	enum kind kind;
	int fd, epfd;
	unsigned events; /* what is asked for */
};

static int is_epoll(const struct watch *w)
{
	return w->kind < POLL;
}

static const unsigned flags[] = {
	[ET] = EPOLLET,
	[ONESHOT] = EPOLLONESHOT,
	[ET_ONESHOT] = EPOLLET | EPOLLONESHOT,
	[EXCLUSIVE] = EPOLLEXCLUSIVE,
	[PSELECT] = 0,
};

static void watch_add(struct watch *w)
{
	/* the kernel has no EXCLUSIVE with RDHUP */
	w->events = POLLIN | POLLOUT | (w->kind == EXCLUSIVE ? 0 : POLLRDHUP);
	if (is_epoll(w))
		epoll_add(w->epfd, w->fd, w->events | flags[w->kind], COOKIE);
}

static void watch_again(struct watch *w)
{
	if (is_epoll(w) && w->kind != EXCLUSIVE)
		epoll_mod(w->epfd, w->fd, w->events | flags[w->kind], COOKIE + 1);
}

static int wait_epoll(struct watch *w, int ms)
{
	struct timespec limit = timespec_of(ms);
	struct epoll_event event[2] = { 0 };
	sigset_t none;
	int n;

	sigemptyset(&none);
	if (w->kind == PWAIT)
		n = (int)CALL(epoll_pwait(w->epfd, event, 2, ms, &none));
	else if (w->kind == PWAIT2)
		n = (int)CALL(epoll_pwait2(w->epfd, event, 2, ms < 0 ? NULL : &limit, &none));
	else
		n = (int)CALL(epoll_wait(w->epfd, event, 2, ms));
	if (n > 0)
		line("events %s data %llx", mask_text(event[0].events),
		     (unsigned long long)event[0].data.u64);
	return n;
}

static int wait_poll(struct watch *w, int ms)
{
	struct timespec limit = timespec_of(ms);
	struct pollfd p = { .fd = w->fd, .events = (short)w->events };
	int n;

	if (w->kind == PPOLL)
		n = (int)CALL(ppoll(&p, 1, ms < 0 ? NULL : &limit, NULL));
	else
		n = (int)CALL(poll(&p, 1, ms));
	line("events %s", mask_text((unsigned)p.revents));
	return n;
}

static int wait_select(struct watch *w, int ms)
{
	struct timespec limit = timespec_of(ms);
	struct timeval time = timeval_of(ms);
	fd_set in, out, except;
	int n;

	FD_ZERO(&in);
	FD_SET(w->fd, &in);
	out = except = in;
	if (w->kind == PSELECT)
		n = (int)CALL(pselect(w->fd + 1, &in, &out, &except, ms < 0 ? NULL : &limit, NULL));
	else
		n = (int)CALL(select(w->fd + 1, &in, &out, &except, ms < 0 ? NULL : &time));
	line("ready %d%d%d", FD_ISSET(w->fd, &in) != 0, FD_ISSET(w->fd, &out) != 0,
	     FD_ISSET(w->fd, &except) != 0);
	return n;
}

static int watch_wait(struct watch *w, int ms)
{
	if (is_epoll(w))
		return wait_epoll(w, ms);
	return w->kind < SELECT ? wait_poll(w, ms) : wait_select(w, ms);
}

static struct watch watch_make(const struct run *r)
{
	return (struct watch){ .kind = (enum kind)r->kind,
			       .fd = tcp_socket(SOCK_NONBLOCK),
			       .epfd = epoll_create1(EPOLL_CLOEXEC) };
}

/* What the end of the connect says, and what is left of it. */
static void ended(struct watch *w, enum outcome outcome)
{
	watch_wait(w, -1);
	watch_wait(w, 0);
	error_show(w->fd);
	watch_wait(w, 0);
	watch_again(w);
	watch_wait(w, 0);
	if (outcome == OPEN) {
		struct pollfd p = { .fd = w->fd, .events = POLLIN };

		CALL(send(w->fd, "data", 4, 0));
		poll(&p, 1, FOREVER_MS);
		watch_wait(w, 0);
		CALL(recv(w->fd, &(char[8]){ 0 }, 8, 0));
		watch_wait(w, 0);
		converse(w->fd);
	}
	events_show(w->fd);
}

/* A connect from before to after, the program asks now and again. */
static void wait_nonblocking(const struct run *r)
{
	struct watch w = watch_make(r);

	if (r->order != AFTER)
		watch_add(&w);
	if (r->order == ASKED) {
		watch_wait(&w, 0);
		watch_again(&w);
	}
	begin(w.fd, r->outcome);
	if (r->order == AFTER)
		watch_add(&w);
	watch_wait(&w, 0);
	watch_wait(&w, 60);
	still_pending();
	ended(&w, r->outcome);
	CALL(close(w.fd));
	if (is_epoll(&w))
		watch_wait(&w, 0);
}

/* The plainest of all: registered, and nothing asked until the one long wait. */
static void wait_once(const struct run *r)
{
	struct watch w = watch_make(r);

	if (r->order != AFTER)
		watch_add(&w);
	begin(w.fd, r->outcome);
	if (r->order == AFTER)
		watch_add(&w);
	watch_wait(&w, r->order == ADDED ? FOREVER_MS : -1);
	error_show(w.fd);
	if (r->outcome == OPEN)
		converse(w.fd);
	events_show(w.fd);
}

/* The whole life of two connects on one fd, the registration stays. */
static void wait_reused(const struct run *r)
{
	struct watch w = watch_make(r);

	watch_add(&w);
	begin(w.fd, CLOSED);
	watch_wait(&w, -1);
	if (r->order == 0)
		error_show(w.fd);
	else
		begin_again(w.fd, r->outcome);
	watch_again(&w);
	begin(w.fd, r->outcome);
	if (r->order == 0)
		begin(w.fd, r->outcome);
	watch_again(&w);
	watch_wait(&w, 0);
	still_pending();
	ended(&w, r->outcome);
}

static const char *const reuse_orders[] = { "error-taken", "error-left", NULL };
static const char *const once_orders[] = { "after", "before", NULL };

const struct scenario wait_scenarios[] = {
	{ "wait", wait_nonblocking, kinds, orders, BOTH },
	{ "wait-once", wait_once, kinds, once_orders, BOTH },
	{ "wait-reused", wait_reused, kinds, reuse_orders, BOTH },
	{ NULL, NULL, NULL, NULL, 0 },
};
