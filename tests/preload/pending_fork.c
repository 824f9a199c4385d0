/* SPDX-License-Identifier: ISC */
/* pending_fork.c - one connect in progress, two processes that have the fd. */
#include "pending.h"

#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int (*const own_child)(int, char **) = NULL;

/* Both directions between parent and child; of no interest to the library. */
struct link {
	int down[2], up[2];
};

static struct link link_new(void)
{
	struct link l;

	CHECK_OK(pipe(l.down));
	CHECK_OK(pipe(l.up));
	return l;
}

static void tell(const int pipe_ends[2])
{
	CHECK(write(pipe_ends[1], "x", 1) == 1, "a pipe is broken");
}

static void hear(const int pipe_ends[2])
{
	char byte;

	CHECK(events_of(pipe_ends[0], POLLIN, WAIT_MS) == POLLIN, "the other process is silent");
	CHECK(read(pipe_ends[0], &byte, 1) == 1, "a pipe is broken");
}

/* F1: both poll.  @reached: before the fork, or the fork right after connect(). */
static void both(bool reached, bool other_first)
{
	struct gate g = gate_new();
	struct link l = link_new();
	int fd = start(&g.to), child;

	if (reached)
		gate_reach(&g, fd);
	child = CHECK_OK(fork());
	if (child == 0) {
		if (other_first)
			hear(l.down);
		finish(fd, &g.to);
		talk(fd, 1);
		tell(l.up);
		hear(l.down);
		_exit(0);
	}
	gate_reach(&g, fd);
	gate_let(&g);
	finish(fd, &g.to);
	if (other_first)
		tell(l.down);
	hear(l.up);
	talk(fd, 2);
	tell(l.down);
	reap(child);
	talk(fd, 3);
}

static void fork_both_poll(void)
{
	both(true, false);
}

static void fork_at_once(void)
{
	both(false, false);
}

static void fork_parent_first(void)
{
	both(true, true);
}

/* The one error goes to the one that asks first. */
static void fork_refused(void)
{
	struct gate g = gate_new();
	struct link l = link_new();
	int fd = start(&g.to), child, err;

	gate_reach(&g, fd);
	child = CHECK_OK(fork());
	if (child == 0) {
		hear(l.down);
		CHECK((events_of(fd, ALL_EVENTS, WAIT_MS) & (POLLOUT | POLLHUP)) ==
			      (POLLOUT | POLLHUP), "the child does not see the end");
		_exit(so_error(fd) == ECONNREFUSED ? 3 : 0);
	}
	gate_refuse(&g);
	CHECK(events_of(fd, ALL_EVENTS, WAIT_MS) == FAILED_EVENTS, "the parent's events");
	tell(l.down);
	CHECK_OK(waitpid(child, &err, 0));
	CHECK(WIFEXITED(err) && (WEXITSTATUS(err) == 3 || WEXITSTATUS(err) == 0),
	      "the child ends with %#x", (unsigned)err);
	CHECK(so_error(fd) == (WEXITSTATUS(err) == 3 ? 0 : ECONNREFUSED), "the error is told twice");
	/* The socket can be used again, here as in the kernel. */
	CHECK(events_of(fd, ALL_EVENTS, 0) == (FAILED_EVENTS & ~POLLERR), "events after it");
}

/* F2: the child closes its copy, by close() or by its end. */
static void child_closes(void)
{
	for (int how = 0; how < 4; how++) {
		struct gate g = gate_new();
		struct link l = link_new();
		int fd = start(&g.to), child;

		if (how % 2 > 0)
			gate_reach(&g, fd);
		child = CHECK_OK(fork());
		if (child == 0) {
			if (how < 2) {
				close(fd);
				tell(l.up);
				hear(l.down);
			}
			_exit(0);
		}
		if (how < 2)
			hear(l.up);
		else
			reap(child);
		gate_reach(&g, fd);
		gate_let(&g);
		finish(fd, &g.to);
		talk(fd, (unsigned)how);
		if (how < 2) {
			tell(l.down);
			reap(child);
		}
	}
}

/* The child alone waits for it and is gone then; the parent goes on. */
static void child_drives_and_dies(void)
{
	struct gate g = gate_new();
	int fd = start(&g.to), child = CHECK_OK(fork());

	if (child == 0) {
		gate_reach(&g, fd);
		_exit(0);
	}
	reap(child);
	CHECK(events_of(fd, POLLOUT, 1) == 0, "an event while it is pending");
	gate_let(&g);
	finish(fd, &g.to);
	talk(fd, 4);
}

/* F3: the parent closes, before or after the handshake has come to the gate. */
static void parent_closes(void)
{
	for (int how = 0; how < 2; how++) {
		struct gate g = gate_new();
		struct link l = link_new();
		int fd = start(&g.to), child;

		if (how > 0)
			gate_reach(&g, fd);
		child = CHECK_OK(fork());
		if (child == 0) {
			hear(l.down);
			finish(fd, &g.to);
			talk(fd, 5);
			_exit(0);
		}
		close(fd);
		tell(l.down);
		gate_reached(&g, 1);
		gate_let(&g);
		reap(child);
		connect_anew();
	}
}

/* F4: daemon(3) with an epoll set; the parent ends with no close(). */
static void daemon_with_epoll(void)
{
	struct gate g = gate_new();
	struct link l = link_new();
	struct epoll_event e = { .events = EPOLLOUT | EPOLLET, .data.u64 = 77 };
	int fd, child = CHECK_OK(fork());

	if (child == 0) {
		int epfd = CHECK_OK(epoll_create1(0));

		fd = start(&g.to);
		CHECK_OK(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &e));
		CHECK(epoll_wait(epfd, &e, 1, 0) == 0, "an event while it is pending");
		if (CHECK_OK(fork()) > 0)
			_exit(0);
		hear(l.down);
		CHECK(CHECK_OK(epoll_wait(epfd, &e, 1, WAIT_MS)) == 1, "the daemon is not woken");
		CHECK(e.events == EPOLLOUT && e.data.u64 == 77, "events %#x", e.events);
		finish(fd, &g.to);
		talk(fd, 6);
		tell(l.up);
		_exit(0);
	}
	reap(child);
	tell(l.down);
	gate_reached(&g, 1);
	gate_let(&g);
	hear(l.up);
}

/* F5: a vfork child has our memory and its own fds. */
static void vfork_close_storm(void)
{
	enum { FDS = 20, TIMES = 50 };
	struct gate g = gate_new();
	int fds[FDS], last = 0;

	for (int i = 0; i < FDS; i++)
		last = fds[i] = start(&g.to);
	gate_reach(&g, fds[0]);
	for (int i = 0; i < TIMES; i++) {
		int child = vfork();

		if (child == 0) {
			for (int fd = 3; fd <= last; fd++)
				close(fd);
			if (i % 2 > 0)
				close_range(3, ~0u, 0);
			_exit(0);
		}
		reap(child);
		CHECK(events_of(fds[i % FDS], POLLOUT, 0) == 0, "an event while it is pending");
	}
	for (int i = 0; i < FDS; i++)
		events_of(fds[i], POLLOUT, 0);
	gate_let(&g);
	for (int i = 0; i < FDS; i++) {
		finish(fds[i], &g.to);
		talk(fds[i], (unsigned)i);
	}
}

/* The number that a vfork child gives to the connect is another fd of its parent. */
static void vfork_duplicates(void)
{
	struct gate g = gate_new();
	int fd = start(&g.to), pair[2], child;
	char text[8] = "";

	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
	gate_reach(&g, fd);
	child = vfork();
	if (child == 0) {
		dup2(fd, pair[0]);
		_exit(0);
	}
	reap(child);
	CHECK(send(pair[0], "pair", 4, MSG_NOSIGNAL) == 4, "send: %s", strerrorname_np(errno));
	CHECK(recv(pair[1], text, sizeof(text), 0) == 4 && memcmp(text, "pair", 4) == 0,
	      "the other end reads %.8s", text);
	CHECK(events_of(pair[0], POLLOUT, 0) == POLLOUT, "the pair is not writable");
	close(pair[0]);
	CHECK(events_of(fd, POLLOUT, 1) == 0, "an event while it is pending");
	gate_let(&g);
	finish(fd, &g.to);
	talk(fd, 9);
}

#if __GLIBC_PREREQ(2, 34)
#define fork_bare() _Fork()
#else
#define fork_bare() fork()
#endif

/* No fork handler runs: what each of both begins then is its own. */
static void fork_without_handlers(void)
{
	struct gate g[2] = { gate_new(), gate_new() };
	struct link l = link_new();
	int fd, child;

	connect_anew();
	child = CHECK_OK(fork_bare());
	if (child == 0) {
		fd = start(&g[0].to);
		CHECK(events_of(fd, POLLOUT, 1) == 0, "an event while it is pending");
		tell(l.up);
		hear(l.down);
		finish(fd, &g[0].to);
		talk(fd, 10);
		_exit(0);
	}
	hear(l.up);
	fd = start(&g[1].to);
	gate_reach(&g[1], fd);
	tell(l.down);
	gate_let(&g[0]);
	reap(child);
	CHECK(events_of(fd, POLLOUT, 1) == 0, "the gate of the other is open");
	gate_let(&g[1]);
	finish(fd, &g[1].to);
	talk(fd, 11);
	connect_anew();
}

/* F7: the child closes the epoll set, the parent still waits with it. */
static void child_closes_epfd(void)
{
	struct gate g = gate_new();
	struct epoll_event e = { .events = EPOLLOUT, .data.u64 = 78 };
	int epfd = CHECK_OK(epoll_create1(0)), fd = start(&g.to), child;

	CHECK_OK(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &e));
	child = CHECK_OK(fork());
	if (child == 0) {
		close(epfd);
		close(fd);
		_exit(0);
	}
	reap(child);
	CHECK(epoll_wait(epfd, &e, 1, 1) == 0, "an event while it is pending");
	gate_let(&g);
	CHECK(CHECK_OK(epoll_wait(epfd, &e, 1, WAIT_MS)) == 1, "no event");
	CHECK(e.events == EPOLLOUT && e.data.u64 == 78, "events %#x", e.events);
	finish(fd, &g.to);
	talk(fd, 7);
}

/* A forked child makes connects of its own while the parent's is pending. */
static void child_connects(void)
{
	struct gate g = gate_new();
	int fd = start(&g.to), child = CHECK_OK(fork());

	if (child == 0) {
		close(fd);
		connect_anew();
		_exit(0);
	}
	reap(child);
	connect_anew();
	gate_reach(&g, fd);
	gate_let(&g);
	finish(fd, &g.to);
	talk(fd, 8);
}

const struct scenario scenarios[] = {
	{ "fork_both_poll", fork_both_poll, 0, 0 },
	{ "fork_at_once", fork_at_once, 0, 0 },
	{ "fork_parent_first", fork_parent_first, 0, 0 },
	{ "fork_refused", fork_refused, 0, 0 },
	{ "child_closes", child_closes, 0, 0 },
	{ "child_drives_and_dies", child_drives_and_dies, ON_REQUEST, 0 },
	{ "parent_closes", parent_closes, 0, 0 },
	{ "daemon_with_epoll", daemon_with_epoll, 0, 0 },
	{ "vfork_close_storm", vfork_close_storm, 0, 0 },
	{ "vfork_duplicates", vfork_duplicates, 0, 0 },
	{ "fork_without_handlers", fork_without_handlers, 0, 0 },
	{ "child_closes_epfd", child_closes_epfd, 0, 0 },
	{ "child_connects", child_connects, 0, 0 },
	{ .name = NULL },
};
