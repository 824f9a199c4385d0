/* SPDX-License-Identifier: ISC */
/* pending_threads.c - one connect in progress, and more than one thread. */
#include "pending.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

int (*const own_child)(int, char **) = NULL;

enum { POLLERS = 4, ALONE = 64 };

/* A thread that waits for one fd. */
struct waiter {
	pthread_t thread;
	int fd, epfd;
	atomic_int tid, count; /* count of the waits that have ended */
	int events;
	struct sockaddr_in to;
};

static pthread_t thread(void *(*run)(void *), void *arg)
{
	pthread_t t;

	CHECK(pthread_create(&t, NULL, run, arg) == 0, "pthread_create");
	return t;
}

static void *poll_once(void *arg)
{
	struct waiter *w = arg;
	struct pollfd p = { .fd = w->fd, .events = ALL_EVENTS & ~POLLIN };

	atomic_store(&w->tid, own_tid());
	CHECK_OK(poll(&p, 1, -1));
	w->events = p.revents;
	atomic_fetch_add(&w->count, 1);
	return NULL;
}

static void *epoll_once(void *arg)
{
	struct waiter *w = arg;
	struct epoll_event e = { .events = 0 };

	atomic_store(&w->tid, own_tid());
	CHECK(CHECK_OK(epoll_wait(w->epfd, &e, 1, -1)) == 1, "epoll_wait(-1) gives 0");
	CHECK(e.data.u64 == 0x123456789abcdefULL + (unsigned)w->fd, "wrong data");
	w->events = (int)e.events;
	atomic_fetch_add(&w->count, 1);
	return NULL;
}

static void add(const struct waiter *w, unsigned events)
{
	struct epoll_event e = { .events = events,
				 .data.u64 = 0x123456789abcdefULL + (unsigned)w->fd };

	CHECK_OK(epoll_ctl(w->epfd, EPOLL_CTL_ADD, w->fd, &e));
}

static void join_with(struct waiter *w, int events)
{
	until(&w->count, 1, "the waiter is not woken");
	pthread_join(w->thread, NULL);
	CHECK(w->events == events, "the waiter sees %#x, not %#x", (unsigned)w->events,
	      (unsigned)events);
}

/* E1: A sleeps in epoll_wait(-1); this thread connects, then adds. */
static void epoll_then_connect(void)
{
	struct gate g = gate_new();
	struct waiter w = { .epfd = epoll_create1(0), .fd = tcp_socket(SOCK_NONBLOCK) };

	w.thread = thread(epoll_once, &w);
	until_asleep(&w.tid);
	CHECK_ERRNO(tcp_connect(w.fd, &g.to), EINPROGRESS);
	add(&w, EPOLLOUT | EPOLLRDHUP);
	gate_reached(&g, 1); /* A alone drives it */
	CHECK(atomic_load(&w.count) == 0, "the waiter is woken too early");
	gate_let(&g);
	join_with(&w, EPOLLOUT);
	finish(w.fd, &g.to);
	talk(w.fd, 1);
}

/* E1: added before connect(); the edge of the fresh socket comes first. */
static void epoll_added_before(void)
{
	struct gate g = gate_new();
	struct waiter w = { .epfd = epoll_create1(0), .fd = tcp_socket(SOCK_NONBLOCK) };

	add(&w, EPOLLOUT | EPOLLRDHUP | EPOLLET);
	w.thread = thread(epoll_once, &w);
	join_with(&w, EPOLLOUT | EPOLLHUP);
	atomic_store(&w.count, 0);
	atomic_store(&w.tid, 0);
	w.thread = thread(epoll_once, &w);
	until_asleep(&w.tid);
	CHECK_ERRNO(tcp_connect(w.fd, &g.to), EINPROGRESS);
	gate_reached(&g, 1);
	CHECK(atomic_load(&w.count) == 0, "the waiter is woken too early");
	gate_let(&g);
	join_with(&w, EPOLLOUT);
	finish(w.fd, &g.to);
	talk(w.fd, 2);
}

/* One round of every call that asks a connect in progress. */
static size_t hammer(int fd, const struct sockaddr_in *to, bool decided)
{
	char byte;
	ssize_t n = send(fd, "x", 1, MSG_NOSIGNAL);

	CHECK(n == 1 ? decided : n < 0 && errno == EAGAIN, "send: %s", strerrorname_np(errno));
	CHECK(n == 1 || recv(fd, &byte, 1, MSG_PEEK) < 0, "recv before any data");
	CHECK(n == 1 || errno == EAGAIN, "recv: %s", strerrorname_np(errno));
	CHECK(so_error(fd) == 0, "SO_ERROR");
	if (tcp_connect(fd, to) == 0)
		CHECK(decided, "connect gives 0 while it is pending");
	else
		CHECK(errno == EALREADY || (decided && errno == EISCONN), "connect: %s",
		      strerrorname_np(errno));
	return n > 0 ? 1 : 0;
}

/* E2: poll in A, all other calls in B. */
static void poll_and_hammer(void)
{
	struct gate g = gate_new();
	struct waiter w = { .fd = start(&g.to) };
	uint64_t end = now_us() + WAIT_MS * 1000;
	size_t sent = 0, have = 0;
	char byte;

	w.thread = thread(poll_once, &w);
	until_asleep(&w.tid);
	for (int i = 0; i < 2000; i++)
		sent += hammer(w.fd, &g.to, false);
	gate_reached(&g, 1);
	for (int i = 0; i < 2000; i++)
		sent += hammer(w.fd, &g.to, false);
	gate_let(&g);
	for (int i = 0; atomic_load(&w.count) == 0; i++) {
		sent += hammer(w.fd, &g.to, true);
		CHECK(now_us() < end, "the poll is not woken");
	}
	join_with(&w, POLLOUT);
	while (have < sent) {
		CHECK(events_of(w.fd, POLLIN, WAIT_MS) == POLLIN, "%zu of %zu came back", have, sent);
		have += recv(w.fd, &byte, 1, 0) == 1 && byte == 'x';
	}
	talk(w.fd, 3);
}

static void poll_by_many(bool refused)
{
	struct gate g = gate_new();
	struct waiter w[POLLERS] = { { .fd = start(&g.to) } };

	for (int i = 0; i < POLLERS; i++) {
		w[i].fd = w[0].fd;
		w[i].thread = thread(poll_once, &w[i]);
		until_asleep(&w[i].tid);
	}
	gate_reached(&g, 1);
	for (int i = 0; i < POLLERS; i++)
		CHECK(atomic_load(&w[i].count) == 0, "a poll ends too early");
	if (refused)
		gate_refuse(&g);
	else
		gate_let(&g);
	for (int i = 0; i < POLLERS; i++)
		join_with(&w[i], refused ? FAILED_EVENTS & ~POLLIN : POLLOUT);
	if (refused) {
		finish_failed(w[0].fd, ECONNREFUSED);
	} else {
		finish(w[0].fd, &g.to);
		talk(w[0].fd, 4);
	}
}

/* E3 */
static void four_polls(void)
{
	poll_by_many(false);
}

static void four_polls_refused(void)
{
	poll_by_many(true);
}

/* E4: one thread in poll, one in epoll_wait, in both orders. */
static void poll_and_epoll(void)
{
	for (int order = 0; order < 2; order++) {
		struct gate g = gate_new();
		struct waiter p = { .fd = start(&g.to) };
		struct waiter e = { .fd = p.fd, .epfd = epoll_create1(0) };

		add(&e, EPOLLOUT);
		for (int i = 0; i < 2; i++) {
			struct waiter *w = i == order ? &p : &e;

			w->thread = thread(w == &p ? poll_once : epoll_once, w);
			until_asleep(&w->tid);
		}
		gate_reached(&g, 1);
		CHECK(atomic_load(&p.count) + atomic_load(&e.count) == 0, "woken too early");
		gate_let(&g);
		join_with(&p, POLLOUT);
		join_with(&e, EPOLLOUT);
		finish(p.fd, &g.to);
		talk(p.fd, 5);
	}
}

static atomic_int short_fd = -1;

/* Polls of a millisecond until the fd is there and writable, again and again. */
static void *poll_shortly(void *arg)
{
	(void)arg;
	for (int fd; (fd = atomic_load(&short_fd)) != -2;) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };

		CHECK_OK(poll(&p, 1, 1));
		/* By now it may be closed, or the next one that is not connecting yet. */
		CHECK((p.revents & ~(POLLOUT | POLLHUP | POLLNVAL)) == 0, "events %#x",
		      (unsigned)p.revents);
	}
	return NULL;
}

/* E5: many short polls must not eat what an epoll waiter sleeps for. */
static void short_polls(void)
{
	struct sockaddr_in to = step_target(STEP_DELAY, 3);
	pthread_t t[POLLERS];

	for (int i = 0; i < POLLERS; i++)
		t[i] = thread(poll_shortly, NULL);
	for (unsigned i = 0; i < 60; i++) {
		struct waiter w = { .fd = start(&to), .epfd = epoll_create1(0) };

		atomic_store(&short_fd, w.fd);
		add(&w, EPOLLOUT | (i % 2 > 0 ? EPOLLET : 0u));
		w.thread = thread(epoll_once, &w);
		join_with(&w, EPOLLOUT);
		talk(w.fd, i);
		atomic_store(&short_fd, -1);
		close(w.epfd);
		close(w.fd);
	}
	atomic_store(&short_fd, -2);
	for (int i = 0; i < POLLERS; i++)
		pthread_join(t[i], NULL);
}

static void *poll_a_while(void *arg)
{
	struct waiter *w = arg;
	struct pollfd p = { .fd = w->fd, .events = POLLOUT };

	atomic_store(&w->tid, own_tid());
	w->events = CHECK_OK(poll(&p, 1, 300)) > 0 ? p.revents : 0;
	atomic_fetch_add(&w->count, 1);
	return NULL;
}

/* E7: closed by another thread while polled; a pipe gets the number. */
static void close_while_polled(void)
{
	struct gate g = gate_new();
	struct waiter w = { .fd = start(&g.to) };
	int ends[2], waiting = -1;
	char text[8] = "";

	gate_reach(&g, w.fd);
	w.thread = thread(poll_a_while, &w);
	until_asleep(&w.tid);
	close(w.fd);
	CHECK_OK(pipe2(ends, O_NONBLOCK));
	CHECK(ends[0] == w.fd, "another number: %d", ends[0]);
	until(&w.count, 1, "the poll does not end");
	pthread_join(w.thread, NULL);
	/* The kernel's poll keeps the file; one that asks anew sees the pipe. */
	CHECK((w.events & ~(POLLOUT | POLLNVAL | POLLHUP)) == 0, "events %#x", (unsigned)w.events);
	CHECK_OK(ioctl(ends[0], FIONREAD, &waiting));
	CHECK(waiting == 0, "%d bytes in the pipe", waiting);
	CHECK(write(ends[1], "pipe", 4) == 4 && read(ends[0], text, 8) == 4, "the pipe is broken");
	if (!bare)
		control_until("gone", 0, 1);
	connect_anew();
}

/* The same, and the next connect gets the number. */
static void close_and_connect_while_polled(void)
{
	struct gate g = gate_new();
	struct sockaddr_in to = step_target(STEP_OK, 0);
	struct waiter w = { .fd = start(&g.to) };
	int fd;

	gate_reach(&g, w.fd);
	w.thread = thread(poll_a_while, &w);
	until_asleep(&w.tid);
	close(w.fd);
	fd = start(&to);
	CHECK(fd == w.fd, "another number: %d", fd);
	finish(fd, &to);
	talk(fd, 7);
	until(&w.count, 1, "the poll does not end");
	pthread_join(w.thread, NULL);
	talk(fd, 8);
}

static void *connect_blocking(void *arg)
{
	struct sockaddr_in to = early_target(EARLY_DELAY50);
	int fd = tcp_socket(0);

	CHECK_OK(tcp_connect(fd, &to));
	finish(fd, &to);
	talk(fd, (unsigned)(uintptr_t)arg);
	close(fd);
	return NULL;
}

/* E8: one after the other they would take more than 6 seconds. */
static void many_blocking(void)
{
	uint64_t begin = now_us();
	pthread_t t[ALONE];

	for (uintptr_t i = 0; i < ALONE; i++)
		t[i] = thread(connect_blocking, (void *)i);
	for (int i = 0; i < ALONE; i++)
		pthread_join(t[i], NULL);
	CHECK(now_us() - begin < 3000000, "they wait for one another");
}

static void *connect_once(void *arg)
{
	struct waiter *w = arg;

	atomic_store(&w->tid, own_tid());
	tcp_connect(w->fd, &w->to);
	return NULL;
}

static void cancel(struct waiter *w)
{
	void *result;

	until_asleep(&w->tid);
	CHECK(pthread_cancel(w->thread) == 0, "pthread_cancel");
	CHECK(pthread_join(w->thread, &result) == 0 && result == PTHREAD_CANCELED,
	      "the thread was not cancelled");
}

/* E9: a cancelled wait leaves the connect to the others. */
static void cancel_waits(void)
{
	for (int i = 0; i < 2; i++) {
		struct gate g = gate_new();
		struct waiter w = { .fd = start(&g.to), .epfd = epoll_create1(0) };

		gate_reach(&g, w.fd);
		add(&w, EPOLLOUT);
		w.thread = thread(i > 0 ? poll_once : epoll_once, &w);
		cancel(&w);
		CHECK(events_of(w.fd, POLLOUT, 1) == 0, "an event while it is pending");
		gate_let(&g);
		finish(w.fd, &g.to);
		talk(w.fd, 9);
	}
	connect_anew();
}

/*
 * What comes while a thread that was cancelled still seems to wait for it is
 * not lost, and not late by more than that thread's sleep (about a second).
 */
static void cancel_before_the_answer(void)
{
	struct gate g = gate_new();
	struct waiter w = { .fd = start(&g.to), .epfd = epoll_create1(0) };
	struct epoll_event e;
	uint64_t begin;

	add(&w, EPOLLOUT);
	w.thread = thread(poll_once, &w);
	gate_reached(&g, 1);
	cancel(&w);
	begin = now_us();
	gate_let(&g);
	/* Not in a new thread: it could get the id of the cancelled one. */
	CHECK(CHECK_OK(epoll_wait(w.epfd, &e, 1, WAIT_MS)) == 1, "no event");
	CHECK(e.events == EPOLLOUT, "events %#x", e.events);
	CHECK(now_us() - begin < 5000000, "it took %u ms", (unsigned)((now_us() - begin) / 1000));
	finish(w.fd, &g.to);
	talk(w.fd, 11);
}

static void cancel_connect(void)
{
	struct gate g = gate_new();
	struct waiter w = { .fd = tcp_socket(0), .to = g.to };
	struct waiter next = { .fd = w.fd };

	w.thread = thread(connect_once, &w);
	gate_reached(&g, 1);
	cancel(&w);
	next.thread = thread(poll_once, &next);
	until_asleep(&next.tid);
	gate_let(&g);
	join_with(&next, POLLOUT);
	finish(w.fd, &g.to);
	talk(w.fd, 10);
	connect_anew();
}

const struct scenario scenarios[] = {
	{ "epoll_then_connect", epoll_then_connect, 0, 0 },
	{ "epoll_added_before", epoll_added_before, 0, 0 },
	{ "poll_and_hammer", poll_and_hammer, 0, 0 },
	{ "four_polls", four_polls, 0, 0 },
	{ "four_polls_refused", four_polls_refused, 0, 0 },
	{ "poll_and_epoll", poll_and_epoll, 0, 0 },
	{ "short_polls", short_polls, 0, 0 },
	{ "close_while_polled", close_while_polled, 0, 0 },
	{ "close_and_connect_while_polled", close_and_connect_while_polled, 0, 0 },
	{ "many_blocking", many_blocking, 0, 0 },
	{ "cancel_waits", cancel_waits, 0, 0 },
	{ "cancel_before_the_answer", cancel_before_the_answer, 0, 0 },
	{ "cancel_connect", cancel_connect, 0, 0 },
	{ .name = NULL },
};
