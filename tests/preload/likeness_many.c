/* SPDX-License-Identifier: ISC */
/* likeness_many.c - waits for a pending connect among other fds, and limits. */
#include <sys/resource.h>

#include "likeness.h"

enum way { EPOLL, POLL, PPOLL, SELECT, PSELECT };
static const char *const way_names[] = { "epoll", "poll", "ppoll", "select", "pselect", NULL };

#define FDS_MAX	 2048
#define BIG_FD	 1500
#define LONG_BITS (8 * sizeof(long))

/* An fd_set for more fds than FD_SET takes. */
struct big_set {
	unsigned long words[FDS_MAX / LONG_BITS];
};

static void big_add(struct big_set *s, int fd)
{
	s->words[(size_t)fd / LONG_BITS] |= 1UL << ((size_t)fd % LONG_BITS);
}

static int big_has(const struct big_set *s, int fd)
{
	return (int)(s->words[(size_t)fd / LONG_BITS] >> ((size_t)fd % LONG_BITS) & 1);
}

/* What of a and b is ready for reading or writing; each has its own wait. */
static int wait_select(enum way way, int a, int b, int ms)
{
	struct timespec limit = timespec_of(ms);
	struct timeval time = timeval_of(ms);
	struct big_set in = { { 0 } }, out = { { 0 } };
	int n;

	big_add(&in, a);
	big_add(&in, b);
	out = in;
	if (way == PSELECT)
		n = pselect(FDS_MAX, (fd_set *)&in, (fd_set *)&out, NULL, ms < 0 ? NULL : &limit,
			    NULL);
	else
		n = select(FDS_MAX, (fd_set *)&in, (fd_set *)&out, NULL, ms < 0 ? NULL : &time);
	line("ready %d: %d%d %d%d", n, big_has(&in, a), big_has(&out, a), big_has(&in, b),
	     big_has(&out, b));
	return n;
}

static int wait_poll(enum way way, int a, int b, int ms)
{
	struct timespec limit = timespec_of(ms);
	struct pollfd p[] = {
		{ .fd = a, .events = POLLIN | POLLOUT },
		{ .fd = -1, .events = POLLIN, .revents = POLLNVAL },
		{ .fd = b, .events = POLLIN | POLLOUT },
	};
	int n = way == PPOLL ? ppoll(p, 3, ms < 0 ? NULL : &limit, NULL) : poll(p, 3, ms);

	line("ready %d: %s %s %s", n, mask_text((unsigned)p[0].revents),
	     mask_text((unsigned)p[1].revents), mask_text((unsigned)p[2].revents));
	return n;
}

static int wait_two(enum way way, int a, int b, int ms)
{
	int epfd, n;

	if (way >= SELECT)
		return wait_select(way, a, b, ms);
	if (way >= POLL)
		return wait_poll(way, a, b, ms);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	epoll_add(epfd, a, EPOLLIN | EPOLLOUT, 1);
	epoll_add(epfd, b, EPOLLIN | EPOLLOUT, 2);
	n = epoll_show(epfd, ms);
	close(epfd);
	return n;
}

/* A pipe: its read end, ready or not. */
static int pipe_end(int ready)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0 || (ready && write(ends[1], "x", 1) != 1))
		abort();
	return ends[0];
}

/* Limits of all lengths are kept while nothing is ready. */
static void limits(const struct run *r)
{
	static const int times[] = { 0, 1, 10, 50, 200, 300, 400 };
	int fd = tcp_socket(SOCK_NONBLOCK), other = pipe_end(0);

	begin(fd, r->outcome);
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
		int64_t start = now_ms(), took;

		wait_two((enum way)r->kind, fd, other, times[i]);
		took = now_ms() - start;
		/* now_ms() rounds down twice */
		line("limit %d kept: %d", times[i], took >= times[i] - 1);
		within("that", took, times[i] + 60);
	}
}

/* What is ready is told at once, whatever is pending beside it. */
static void mixed(const struct run *r)
{
	int fd = tcp_socket(SOCK_NONBLOCK), ready = pipe_end(1), idle = pipe_end(0);
	enum way way = (enum way)r->kind;

	begin(fd, r->outcome);
	wait_two(way, fd, ready, -1);
	wait_two(way, ready, fd, 1000);
	wait_two(way, fd, idle, 0);
	still_pending();
	wait_two(way, fd, idle, -1);
	wait_two(way, fd, ready, -1);
	wait_two(way, ready, fd, 0);
	finish(fd, r->outcome);
	close(fd);
	wait_two(way, ready, idle, 0);
}

/* The pending one is closed or unknown to the kernel. */
static void bad_fds(const struct run *r)
{
	int fd = tcp_socket(SOCK_NONBLOCK), shut = pipe_end(0);
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN | POLLOUT }, { .fd = shut } };
	struct pollfd twice[2] = { { .fd = fd, .events = POLLOUT }, { .fd = fd, .events = POLLIN } };

	begin(fd, r->outcome);
	close(shut);
	CALL(poll(p, 2, -1));
	line("events %s %s", mask_text((unsigned)p[0].revents), mask_text((unsigned)p[1].revents));
	wait_select(SELECT, fd, shut, 100);
	line("%s", error_text(errno));
	CALL(poll(NULL, 0, 1));
	CALL(select(-1, NULL, NULL, NULL, NULL));
	still_pending();
	CALL(poll(twice, 2, -1));
	line("events %s %s", mask_text((unsigned)twice[0].revents),
	     mask_text((unsigned)twice[1].revents));
}

/* Fds past what an fd_set holds. */
static void big_fds(const struct run *r)
{
	struct rlimit limit = { FDS_MAX, FDS_MAX };
	int small = tcp_socket(SOCK_NONBLOCK), fd, idle = pipe_end(0);

	CALL(setrlimit(RLIMIT_NOFILE, &limit));
	fd = fcntl(small, F_DUPFD_CLOEXEC, BIG_FD);
	line("fd %d", fd);
	close(small);
	begin(fd, r->outcome);
	wait_two((enum way)r->kind, fd, idle, 0);
	wait_two((enum way)r->kind, idle, fd, 60);
	begin_again(fd, r->outcome);
	still_pending();
	wait_two((enum way)r->kind, fd, idle, -1);
	error_show(fd);
	if (r->outcome == OPEN)
		converse(fd);
	wait_two((enum way)r->kind, fd, idle, 0);
}

/* One event a call: each fd is told once. */
static void one_event(const struct run *r)
{
	int epfd = epoll_create1(EPOLL_CLOEXEC), ready = pipe_end(1), seen[4] = { 0 }, calls = 0;
	struct epoll_event event;

	epoll_add(epfd, ready, EPOLLIN | EPOLLET, 0);
	for (uint64_t i = 1; i < 4; i++) {
		int fd = tcp_socket(SOCK_NONBLOCK);

		if (r->kind == 0)
			epoll_add(epfd, fd, EPOLLOUT | EPOLLET, i);
		begin(fd, r->outcome);
		if (r->kind == 1)
			epoll_add(epfd, fd, EPOLLOUT | EPOLLONESHOT, i);
	}
	CALL(epoll_wait(epfd, &event, 1, -1));
	line("data %llu", (unsigned long long)event.data.u64);
	CALL(epoll_wait(epfd, &event, 1, 60));
	still_pending();
	while (calls < 20 && epoll_wait(epfd, &event, 1, 2000) == 1) {
		calls++;
		seen[event.data.u64]++;
		if (seen[1] && seen[2] && seen[3])
			break;
	}
	line("calls %d: %d %d %d %d", calls, seen[0], seen[1], seen[2], seen[3]);
	epoll_show(epfd, 0);
}
static const char *const one_kinds[] = { "before", "after", NULL };

/* select says how much time was left. */
static void time_left(const struct run *r)
{
	int fd = tcp_socket(SOCK_NONBLOCK);
	struct timeval time = { 0, 100000 };
	fd_set out;

	begin(fd, r->outcome);
	FD_ZERO(&out);
	FD_SET(fd, &out);
	CALL(select(fd + 1, NULL, &out, NULL, &time));
	line("left %ld.%06ld", (long)time.tv_sec, (long)time.tv_usec);
	still_pending();
	time = (struct timeval){ 5, 0 };
	FD_SET(fd, &out);
	CALL(select(fd + 1, NULL, &out, NULL, &time));
	line("left less than all: %d", time.tv_sec < 5);
	within("the rest", 5000 - time.tv_sec * 1000 - time.tv_usec / 1000, 1000);
	time = (struct timeval){ 3, 0 };
	FD_SET(fd, &out);
	CALL(select(fd + 1, NULL, &out, NULL, &time));
	line("left nearly all: %d", time.tv_sec >= 2);
}

/* Asks for less than the end of a connect has to say. */
enum { P_NONE, P_IN, P_PRI, P_RDHUP, S_IN, S_EXCEPT, E_NONE, E_IN, E_PRI };
static const char *const narrow_kinds[] = { "poll-none", "poll-in",	 "poll-pri",
					    "poll-rdhup", "select-read", "select-except",
					    "epoll-none", "epoll-in",	 "epoll-pri", NULL };
static const unsigned narrow_masks[] = { 0, POLLIN, POLLPRI, POLLRDHUP, 0, 0, 0, POLLIN, POLLPRI };

static void narrow_wait(int fd, int kind, int ms)
{
	struct pollfd p = { .fd = fd, .events = (short)narrow_masks[kind] };
	struct timeval time = timeval_of(ms);
	fd_set set;
	int epfd;

	if (kind >= E_NONE) {
		epfd = epoll_create1(EPOLL_CLOEXEC);
		epoll_add(epfd, fd, narrow_masks[kind], 1);
		epoll_show(epfd, ms);
		close(epfd);
	} else if (kind >= S_IN) {
		FD_ZERO(&set);
		FD_SET(fd, &set);
		CALL(select(fd + 1, kind == S_IN ? &set : NULL, NULL,
			    kind == S_EXCEPT ? &set : NULL, &time));
	} else {
		CALL(poll(&p, 1, ms));
		line("events %s", mask_text((unsigned)p.revents));
	}
}

/* An accepted one has nothing to say to them, a refused one nearly always. */
static void narrow(const struct run *r)
{
	int fd = tcp_socket(SOCK_NONBLOCK);

	begin(fd, r->outcome);
	narrow_wait(fd, r->kind, 0);
	narrow_wait(fd, r->kind, 60);
	still_pending();
	narrow_wait(fd, r->kind, 700);
	events_show(fd);
	narrow_wait(fd, r->kind, 0);
	finish(fd, r->outcome);
}

const struct scenario many_scenarios[] = {
	{ "narrow", narrow, narrow_kinds, NULL, BOTH },
	{ "limits", limits, way_names, NULL, GOES(VOID) },
	{ "mixed", mixed, way_names, NULL, BOTH },
	{ "bad-fds", bad_fds, NULL, NULL, BOTH },
	{ "big-fds", big_fds, way_names, NULL, BOTH },
	{ "one-event", one_event, one_kinds, NULL, BOTH },
	{ "time-left", time_left, NULL, NULL, BOTH },
	{ NULL, NULL, NULL, NULL, 0 },
};
