/* SPDX-License-Identifier: ISC */
/* pending_epoll.c - registrations of a connect in progress: how many events, for whom. */
#include "pending.h"

#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

int (*const own_child)(int, char **) = NULL;

static const uint32_t kinds[] = { 0, EPOLLET, EPOLLONESHOT, EPOLLET | EPOLLONESHOT,
				  EPOLLEXCLUSIVE };
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]), SLEEPERS = 4 };

static int set_new(void)
{
	return CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
}

static void change(int epfd, int how, int fd, uint32_t events, uint64_t value)
{
	struct epoll_event e = { .events = events, .data.u64 = value };

	CHECK_OK(epoll_ctl(epfd, how, fd, &e));
}

/* Exactly one event within the bound: these events, this value. */
static void one_event(int epfd, int ms, uint32_t events, uint64_t value)
{
	struct epoll_event e[4];
	int n = CHECK_OK(epoll_wait(epfd, e, 4, ms));

	CHECK(n == 1, "%d events", n);
	CHECK(e[0].events == events, "events %#x, not %#x", e[0].events, events);
	CHECK(e[0].data.u64 == value, "the data of another");
}

static void no_event(int epfd)
{
	struct epoll_event e;

	CHECK(CHECK_OK(epoll_wait(epfd, &e, 1, 0)) == 0, "an event %#x too many", e.events);
}

/* Waits in @epfd, whose thread alone drives the handshake, for the gate. */
static void drive(const struct gate *g, int epfd)
{
	uint64_t end = now_us() + WAIT_MS * 1000;
	struct epoll_event e;

	while (!bare && control("waiting", g->id) == 0) {
		CHECK(CHECK_OK(epoll_wait(epfd, &e, 1, 5)) == 0, "an event %#x", e.events);
		CHECK(now_us() < end, "epoll_wait does not drive the handshake");
	}
	CHECK(CHECK_OK(epoll_wait(epfd, &e, 1, 1)) == 0, "an event %#x", e.events);
}

/* What each kind tells after the end, then after a re-arming. */
static void event_counts(uint32_t kind, bool refused)
{
	struct gate g = gate_new();
	uint32_t end = refused ? FAILED_EVENTS : EPOLLOUT;
	int fd = start(&g.to), epfd = set_new();
	uint32_t asked = EPOLLIN | EPOLLOUT | (kind == EPOLLEXCLUSIVE ? 0u : (uint32_t)EPOLLRDHUP);

	end &= asked | EPOLLERR | EPOLLHUP;
	change(epfd, EPOLL_CTL_ADD, fd, asked | kind, 5);
	drive(&g, epfd);
	if (refused)
		gate_refuse(&g);
	else
		gate_let(&g);
	one_event(epfd, WAIT_MS, end, 5);
	if (kind == 0 || kind == EPOLLEXCLUSIVE)
		one_event(epfd, 0, end, 5);
	else
		no_event(epfd);
	if (kind != EPOLLEXCLUSIVE) {
		change(epfd, EPOLL_CTL_MOD, fd, asked | kind, 6);
		one_event(epfd, 0, end, 6);
	}
	if (refused) {
		finish_failed(fd, ECONNREFUSED);
	} else {
		finish(fd, &g.to);
		talk(fd, 1);
	}
	close(fd);
	no_event(epfd);
}

static void kinds_granted(void)
{
	for (int i = 0; i < KINDS; i++)
		event_counts(kinds[i], false);
}

static void kinds_refused(void)
{
	for (int i = 0; i < KINDS; i++)
		event_counts(kinds[i], true);
}

/* Two sets, one of which is closed before the end. */
static void several_sets(void)
{
	struct gate g = gate_new();
	int fd = start(&g.to), first = set_new(), second = set_new(), third = set_new();

	change(first, EPOLL_CTL_ADD, fd, EPOLLOUT | EPOLLET, 1);
	change(second, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLONESHOT, 2);
	change(third, EPOLL_CTL_ADD, fd, EPOLLOUT, 3);
	drive(&g, second);
	close(third);
	no_event(first);
	gate_let(&g);
	one_event(first, WAIT_MS, EPOLLOUT, 1);
	one_event(second, WAIT_MS, EPOLLOUT, 2);
	no_event(first);
	no_event(second);
	finish(fd, &g.to);
	talk(fd, 2);
}

/* Changed while it is pending: the last change counts. */
static void changed_meanwhile(void)
{
	struct gate g = gate_new();
	int fd = start(&g.to), epfd = set_new();
	struct epoll_event e = { .events = EPOLLOUT };

	change(epfd, EPOLL_CTL_ADD, fd, EPOLLIN, 1);
	drive(&g, epfd);
	CHECK_ERRNO(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &e), EEXIST);
	change(epfd, EPOLL_CTL_MOD, fd, EPOLLOUT, 2);
	no_event(epfd);
	change(epfd, EPOLL_CTL_DEL, fd, 0, 0);
	CHECK_ERRNO(epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &e), ENOENT);
	no_event(epfd);
	change(epfd, EPOLL_CTL_ADD, fd, EPOLLOUT | EPOLLONESHOT, 3);
	no_event(epfd);
	gate_let(&g);
	one_event(epfd, WAIT_MS, EPOLLOUT, 3);
	no_event(epfd);
	finish(fd, &g.to);
	talk(fd, 3);
}

/* The registration belongs to the open file, which a copy keeps. */
static void original_closed(void)
{
	struct gate g = gate_new();
	int fd = start(&g.to), epfd = set_new(), copy;

	change(epfd, EPOLL_CTL_ADD, fd, EPOLLOUT | EPOLLET, 4);
	copy = CHECK_OK(dup(fd));
	close(fd);
	drive(&g, epfd);
	gate_let(&g);
	one_event(epfd, WAIT_MS, EPOLLOUT, 4);
	finish(copy, &g.to);
	talk(copy, 4);
	close(copy);
	no_event(epfd);
}

/* Only for reading: nothing is told of the end, then the data is. */
static void only_for_reading(void)
{
	struct gate g = gate_new();
	int fd = start(&g.to), epfd = set_new();

	change(epfd, EPOLL_CTL_ADD, fd, EPOLLIN, 5);
	drive(&g, epfd);
	gate_let(&g);
	CHECK(events_of(fd, POLLOUT, WAIT_MS) == POLLOUT, "not writable");
	no_event(epfd);
	CHECK(send(fd, "x", 1, MSG_NOSIGNAL) == 1, "send: %s", strerrorname_np(errno));
	one_event(epfd, WAIT_MS, EPOLLIN, 5);
}

/* Ready fds are told at once though others are pending. */
static void ready_among_pending(void)
{
	struct gate g = gate_new();
	int epfd = set_new(), ends[2], fds[3];

	CHECK_OK(pipe(ends));
	for (unsigned i = 0; i < 3; i++) {
		fds[i] = start(&g.to);
		change(epfd, EPOLL_CTL_ADD, fds[i], EPOLLOUT | EPOLLET, 10 + i);
	}
	change(epfd, EPOLL_CTL_ADD, ends[0], EPOLLIN, 20);
	CHECK(write(ends[1], "x", 1) == 1, "write to a pipe");
	for (int i = 0; i < 20; i++) {
		uint64_t begin = now_us();

		one_event(epfd, WAIT_MS, EPOLLIN, 20);
		CHECK(now_us() - begin < 2000000, "the ready one waits for the pending");
	}
	change(epfd, EPOLL_CTL_DEL, ends[0], 0, 0);
	drive(&g, epfd);
	gate_let(&g);
	for (int i = 0; i < 3; i++) {
		struct epoll_event e;

		CHECK(CHECK_OK(epoll_wait(epfd, &e, 1, WAIT_MS)) == 1, "no event");
		CHECK(e.events == EPOLLOUT, "events %#x", e.events);
		talk(fds[e.data.u64 - 10], 6);
	}
}

/* Connected, dissolved, registered, connected again: hidden as the first time. */
static void connected_before(void)
{
	struct gate g = gate_new();
	struct sockaddr_in first = step_target(STEP_OK, 0);
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	int fd = tcp_socket(0), epfd = set_new();

	CHECK_OK(tcp_connect(fd, &first));
	CHECK_OK(connect(fd, &none, sizeof(none)));
	set_blocking(fd, false);
	change(epfd, EPOLL_CTL_ADD, fd, EPOLLOUT, 5);
	CHECK_ERRNO(tcp_connect(fd, &g.to), EINPROGRESS);
	drive(&g, epfd);
	gate_let(&g);
	one_event(epfd, WAIT_MS, EPOLLOUT, 5);
	finish(fd, &g.to);
	talk(fd, 8);
}

static atomic_int woken, asleep;

static void *sleep_in(void *arg)
{
	struct epoll_event e;

	atomic_fetch_add(&asleep, 1);
	CHECK(CHECK_OK(epoll_wait(*(int *)arg, &e, 1, WAIT_MS)) == 1, "epoll_wait");
	if (e.data.u64 == 1)
		atomic_fetch_add(&woken, 1);
	return NULL;
}

/* One set, four threads: a one-shot event is for one of them. */
static void one_shot_for_one(void)
{
	struct gate g = gate_new();
	int fd = start(&g.to), epfd = set_new(), ends[2];
	pthread_t t[SLEEPERS];

	CHECK_OK(pipe(ends));
	change(epfd, EPOLL_CTL_ADD, fd, EPOLLOUT | EPOLLONESHOT, 1);
	for (int i = 0; i < SLEEPERS; i++)
		CHECK(pthread_create(&t[i], NULL, sleep_in, &epfd) == 0, "pthread_create");
	until(&asleep, SLEEPERS, "the threads do not start");
	gate_reached(&g, 1);
	gate_let(&g);
	until(&woken, 1, "nobody is woken");
	/* The others sleep on, until something else ends that. */
	change(epfd, EPOLL_CTL_ADD, ends[0], EPOLLIN, 2);
	CHECK(write(ends[1], "x", 1) == 1, "write to a pipe");
	for (int i = 0; i < SLEEPERS; i++)
		pthread_join(t[i], NULL);
	CHECK(atomic_load(&woken) == 1, "%d are woken", atomic_load(&woken));
	finish(fd, &g.to);
	talk(fd, 7);
}

const struct scenario scenarios[] = {
	{ "kinds_granted", kinds_granted, 0, 30 },
	{ "kinds_refused", kinds_refused, 0, 30 },
	{ "several_sets", several_sets, 0, 0 },
	{ "changed_meanwhile", changed_meanwhile, 0, 0 },
	{ "original_closed", original_closed, 0, 0 },
	{ "only_for_reading", only_for_reading, 0, 0 },
	{ "ready_among_pending", ready_among_pending, 0, 0 },
	{ "connected_before", connected_before, 0, 0 },
	{ "one_shot_for_one", one_shot_for_one, 0, 0 },
	{ .name = NULL },
};
