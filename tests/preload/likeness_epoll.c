/* SPDX-License-Identifier: ISC */
/* likeness_epoll.c - registrations made, changed and taken back at any time. */
#include "likeness.h"

#define EVERY (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI)

static int epoll_new(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

static int epoll_del(int epfd, int fd)
{
	return (int)CALL(epoll_ctl(epfd, EPOLL_CTL_DEL, fd, NULL));
}

/* All that epoll_ctl can find wrong. */
static void errors_of_ctl(int epfd, int fd)
{
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN };

	epoll_del(epfd, fd);
	epoll_mod(epfd, fd, EPOLLIN, 1);
	epoll_add(epfd, fd, EPOLLIN | EPOLLRDHUP | EPOLLEXCLUSIVE, 1);
	epoll_add(epfd, fd, EPOLLIN | EPOLLONESHOT | EPOLLEXCLUSIVE, 1);
	epoll_add(epfd, fd, EVERY, 1);
	epoll_add(epfd, fd, EPOLLIN, 2);
	epoll_mod(epfd, fd, EPOLLIN | EPOLLEXCLUSIVE, 3);
	CALL(epoll_ctl(epfd, EPOLL_CTL_ADD, epfd, &event));
	CALL(epoll_ctl(epfd, EPOLL_CTL_ADD, file, &event));
	CALL(epoll_ctl(file, EPOLL_CTL_ADD, fd, &event));
	CALL(epoll_ctl(fd, EPOLL_CTL_ADD, epfd, &event));
	CALL(epoll_ctl(epfd, EPOLL_CTL_ADD, -1, &event));
	CALL(epoll_ctl(-1, EPOLL_CTL_ADD, fd, &event));
	CALL(epoll_ctl(epfd, 99, fd, &event));
	CALL(epoll_ctl(epfd, EPOLL_CTL_MOD, fd, NULL));
	CALL(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, NULL));
	CALL(epoll_wait(epfd, &event, 0, 0));
	CALL(epoll_wait(fd, &event, 1, 0));
	close(file);
	epoll_del(epfd, fd);
	epoll_add(epfd, fd, EPOLLIN | EPOLLEXCLUSIVE, 1);
	epoll_mod(epfd, fd, EPOLLIN, 1);
	epoll_add(epfd, fd, EPOLLIN, 1);
	epoll_del(epfd, fd);
	epoll_del(epfd, fd);
}

static void ctl_errors(const struct run *r)
{
	int epfd = epoll_new(), fd = tcp_socket(SOCK_NONBLOCK);

	errors_of_ctl(epfd, fd);
	begin(fd, r->outcome);
	phase_reach(fd, r->order);
	errors_of_ctl(epfd, fd);
	still_pending();
	settle(fd);
	errors_of_ctl(epfd, fd);
	error_show(fd);
	errors_of_ctl(epfd, fd);
}

/* Changed while pending: what is reported is what was asked for last. */
static void mod_pending(const struct run *r)
{
	static const unsigned asked[] = { EPOLLOUT, EPOLLIN, 0, EPOLLRDHUP, EVERY | EPOLLET,
					  EVERY | EPOLLONESHOT };
	int epfd = epoll_new(), fd = tcp_socket(SOCK_NONBLOCK);

	epoll_add(epfd, fd, EVERY, 1);
	begin(fd, r->outcome);
	epoll_show(epfd, 0);
	epoll_mod(epfd, fd, asked[r->kind], 2);
	epoll_show(epfd, 60);
	epoll_mod(epfd, fd, asked[r->kind], 0xffffffffffffffffULL);
	epoll_show(epfd, 0);
	still_pending();
	settle(fd);
	epoll_show(epfd, 0);
	epoll_show(epfd, 0);
	epoll_mod(epfd, fd, asked[r->kind], 3);
	epoll_show(epfd, 0);
	epoll_mod(epfd, fd, EVERY, 4);
	epoll_show(epfd, 0);
	error_show(fd);
	epoll_show(epfd, 0);
}
static const char *const mod_kinds[] = { "out", "in", "none", "rdhup", "et", "oneshot", NULL };

static void del_pending(const struct run *r)
{
	int epfd = epoll_new(), fd = tcp_socket(SOCK_NONBLOCK);

	epoll_add(epfd, fd, EVERY, 1);
	begin(fd, r->outcome);
	phase_reach(fd, r->order);
	epoll_del(epfd, fd);
	epoll_show(epfd, 0);
	if (r->kind == 1)
		epoll_add(epfd, fd, EVERY | EPOLLET, 0xffff000000000002ULL);
	epoll_show(epfd, 0);
	still_pending();
	settle(fd);
	epoll_show(epfd, 0);
	if (r->kind == 0)
		epoll_add(epfd, fd, EVERY, 3);
	epoll_show(epfd, 0);
	epoll_del(epfd, fd);
	epoll_show(epfd, 0);
	finish(fd, r->outcome);
}
static const char *const del_kinds[] = { "gone", "added-anew", NULL };

/* Closed while pending: nothing is left, and the fd number is as good as new. */
static void close_pending(const struct run *r)
{
	int epfd = epoll_new(), fd = tcp_socket(SOCK_NONBLOCK), next;

	epoll_add(epfd, fd, EVERY, 1);
	begin(fd, r->outcome);
	phase_reach(fd, r->order);
	CALL(close(fd));
	still_pending();
	epoll_show(epfd, 0);
	next = tcp_socket(SOCK_NONBLOCK);
	line("same number: %d", next == fd);
	epoll_mod(epfd, next, EVERY, 1);
	events_show(next);
	names_show(next);
	begin(next, OPEN);
	epoll_add(epfd, next, EPOLLOUT, 2);
	epoll_show(epfd, -1);
	finish(next, OPEN);
	epoll_show(epfd, 0);
}

/* One socket in two sets, which want different things. */
static void two_sets(const struct run *r)
{
	int one = epoll_new(), two = epoll_new(), fd = tcp_socket(SOCK_NONBLOCK);

	epoll_add(one, fd, EPOLLIN | EPOLLOUT, 1);
	begin(fd, r->outcome);
	epoll_add(two, fd, EVERY | EPOLLET, 2);
	epoll_show(one, 0);
	epoll_show(two, 60);
	still_pending();
	epoll_show(r->order ? two : one, -1);
	epoll_show(r->order ? one : two, 0);
	epoll_show(one, 0);
	epoll_show(two, 0);
	CALL(close(one));
	epoll_show(two, 0);
	epoll_mod(two, fd, EVERY, 3);
	epoll_show(two, 0);
	finish(fd, r->outcome);
	epoll_show(two, 0);
}
static const char *const two_orders[] = { "first", "second", NULL };

/*
 * A set in a set.  The outer one may say "ready" too early, so only what the
 * inner one gives in the end counts.
 */
static void nested(const struct run *r)
{
	int inner = epoll_new(), outer = epoll_new(), fd = tcp_socket(SOCK_NONBLOCK);
	struct epoll_event event = { 0 };
	int n = 0;

	epoll_add(outer, inner, EPOLLIN | (r->kind == 1 ? EPOLLET : 0), 9);
	epoll_add(inner, fd, EVERY, 1);
	begin(fd, r->outcome);
	for (int64_t end = now_ms() + FOREVER_MS; n == 0 && now_ms() < end;) {
		epoll_wait(outer, &event, 1, FOREVER_MS);
		n = epoll_wait(inner, &event, 1, 0);
	}
	line("inner %d %s", n, mask_text(event.events));
	epoll_show(inner, 0);
	if (r->kind == 0)
		epoll_show(outer, 0);
	error_show(fd);
	epoll_show(inner, 0);
	finish(fd, r->outcome);
	epoll_show(inner, 0);
	epoll_show(outer, 0);
}
static const char *const nested_kinds[] = { "lt", "et", NULL };

static int set_is_ready(int epfd, int by_select)
{
	struct pollfd p = { .fd = epfd, .events = POLLIN };
	struct timeval limit = { FOREVER_MS / 1000, 0 };
	fd_set in;

	if (!by_select)
		return poll(&p, 1, FOREVER_MS);
	FD_ZERO(&in);
	FD_SET(epfd, &in);
	return select(epfd + 1, &in, NULL, NULL, &limit);
}

/* A set among the fds of poll or select, as an event loop in another's. */
static void set_polled(const struct run *r)
{
	int epfd = epoll_new(), fd = tcp_socket(SOCK_NONBLOCK), n = 0;
	struct epoll_event event = { 0 };

	epoll_add(epfd, fd, EVERY, 1);
	begin(fd, r->outcome);
	for (int64_t end = now_ms() + FOREVER_MS; n == 0 && now_ms() < end;) {
		set_is_ready(epfd, r->kind);
		n = epoll_wait(epfd, &event, 1, 0);
	}
	line("set %d %s", n, mask_text(event.events));
	line("ready %d", set_is_ready(epfd, r->kind));
	finish(fd, r->outcome);
	epoll_show(epfd, 0);
}
static const char *const polled_kinds[] = { "poll", "select", NULL };

#define ANY (BOTH | GOES(VOID))
const struct scenario epoll_scenarios[] = {
	{ "epoll-errors", ctl_errors, NULL, phase_names, BOTH },
	{ "epoll-mod", mod_pending, mod_kinds, NULL, BOTH },
	{ "epoll-del", del_pending, del_kinds, phase_names, BOTH },
	{ "epoll-close", close_pending, NULL, phase_names, ANY },
	{ "epoll-two", two_sets, NULL, two_orders, BOTH },
	{ "epoll-nested", nested, nested_kinds, NULL, BOTH },
	{ "epoll-polled", set_polled, polled_kinds, NULL, BOTH },
	{ NULL, NULL, NULL, NULL, 0 },
};
