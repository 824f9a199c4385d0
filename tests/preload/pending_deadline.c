/* SPDX-License-Identifier: ISC */
/*
 * pending_deadline.c - nobody ever answers: ETIMEDOUT after about a second.
 * Proxied the library's timeout is 1 s; bare the socket option is the same.
 */
#include "pending.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

int (*const own_child)(int, char **) = NULL;

enum { LEAST_US = 700000, MOST_US = 8000000, SILENT_TARGETS = 3 };

/* Silent after the greeting, after half of the answer to it, after the request. */
static struct sockaddr_in silent(unsigned i)
{
	if (bare)
		return gate_new().to;
	return i == 0 ? early_target(EARLY_MUTE0) :
	       i == 1 ? early_target(EARLY_MUTE1) : step_target(STEP_MUTE, 2);
}

static int limited_socket(int flags)
{
	int fd = tcp_socket(flags), ms = 1000;

	if (bare)
		CHECK_OK(setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms)));
	return fd;
}

static void check_time(uint64_t begin)
{
	uint64_t took = now_us() - begin;

	CHECK(took > LEAST_US && took < MOST_US, "it took %u ms", (unsigned)(took / 1000));
}

/* Does @wait on each kind of silence. */
static void each_silence(void (*wait)(int fd))
{
	for (unsigned i = 0; i < (bare ? 1 : SILENT_TARGETS); i++) {
		struct sockaddr_in to = silent(i);
		int fd = limited_socket(SOCK_NONBLOCK);
		uint64_t begin = now_us();

		CHECK_ERRNO(tcp_connect(fd, &to), EINPROGRESS);
		wait(fd);
		check_time(begin);
		finish_failed(fd, ETIMEDOUT);
		close(fd);
	}
}

static void in_poll(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	CHECK(CHECK_OK(poll(&p, 1, -1)) == 1, "poll(-1) gives 0");
	CHECK(p.revents == (POLLOUT | POLLERR | POLLHUP), "events %#x", (unsigned)p.revents);
}

static void in_epoll(int fd)
{
	struct epoll_event e = { .events = EPOLLOUT | EPOLLIN | EPOLLRDHUP | EPOLLET };
	int epfd = CHECK_OK(epoll_create1(0));

	CHECK_OK(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &e));
	CHECK(CHECK_OK(epoll_wait(epfd, &e, 1, -1)) == 1, "epoll_wait(-1) gives 0");
	CHECK(e.events == FAILED_EVENTS, "events %#x", e.events);
	close(epfd);
}

static void in_select(int fd)
{
	fd_set in, out;

	FD_ZERO(&in);
	FD_SET(fd, &in);
	out = in;
	CHECK(CHECK_OK(select(fd + 1, &in, &out, NULL, NULL)) == 2, "select gives not 2");
}

static void poll_forever(void)
{
	each_silence(in_poll);
}

static void epoll_forever(void)
{
	each_silence(in_epoll);
}

static void select_forever(void)
{
	each_silence(in_select);
}

static void blocking(void)
{
	for (unsigned i = 0; i < (bare ? 1 : SILENT_TARGETS); i++) {
		struct sockaddr_in to = silent(i), good = step_target(STEP_OK, 0);
		int fd = limited_socket(0);
		uint64_t begin = now_us();

		CHECK_ERRNO(tcp_connect(fd, &to), ETIMEDOUT);
		check_time(begin);
		/* The socket is as good as new. */
		CHECK_OK(tcp_connect(fd, &good));
		talk(fd, i);
		close(fd);
	}
}

static void on_tick(int signal)
{
	(void)signal;
}

static void tick(int flags)
{
	struct sigaction action = { .sa_handler = on_tick, .sa_flags = flags };
	struct itimerval t = { .it_interval.tv_usec = 20000, .it_value.tv_usec = 20000 };

	CHECK_OK(sigaction(SIGALRM, &action, NULL));
	CHECK_OK(setitimer(ITIMER_REAL, &t, NULL));
}

/* C8: restarting after each tick must not begin the second anew. */
static void blocking_with_ticks(void)
{
	tick(SA_RESTART);
	blocking();
}

/* poll gives EINTR at each tick, and the time goes on over all of them. */
static void poll_with_ticks(void)
{
	struct sockaddr_in to = silent(2);
	int fd = limited_socket(SOCK_NONBLOCK);
	uint64_t begin = now_us();
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	unsigned interrupted = 0;

	tick(SA_RESTART);
	CHECK_ERRNO(tcp_connect(fd, &to), EINPROGRESS);
	while (poll(&p, 1, WAIT_MS) < 0) {
		CHECK(errno == EINTR, "poll: %s", strerrorname_np(errno));
		interrupted++;
	}
	check_time(begin);
	CHECK(interrupted > 5, "poll was interrupted %u times", interrupted);
	finish_failed(fd, ETIMEDOUT);
}

/* A read on the socket that is blocking by now waits for the same end. */
static void read_after_switch(void)
{
	struct sockaddr_in to = silent(2);
	int fd = limited_socket(SOCK_NONBLOCK);
	uint64_t begin = now_us();
	char byte;

	CHECK_ERRNO(tcp_connect(fd, &to), EINPROGRESS);
	set_blocking(fd, true);
	CHECK_ERRNO(send(fd, "x", 1, MSG_NOSIGNAL), ETIMEDOUT);
	check_time(begin);
	CHECK(recv(fd, &byte, 1, 0) == 0, "recv after the error is told");
}

static void *connect_in_thread(void *arg)
{
	*(int *)arg = 0;
	blocking();
	*(int *)arg = 1;
	return NULL;
}

/* Each has its own second: a deadline of one is no deadline of the other. */
static void two_at_different_times(void)
{
	struct sockaddr_in to[2] = { silent(2), silent(2) };
	uint64_t begin[2];
	struct epoll_event e;
	int fd[2], epfd = CHECK_OK(epoll_create1(0)), done;
	pthread_t t;

	CHECK(pthread_create(&t, NULL, connect_in_thread, &done) == 0, "pthread_create");
	for (int i = 0; i < 2; i++) {
		e = (struct epoll_event){ .events = EPOLLOUT | EPOLLONESHOT, .data.fd = i };
		fd[i] = limited_socket(SOCK_NONBLOCK);
		CHECK_OK(epoll_ctl(epfd, EPOLL_CTL_ADD, fd[i], &e));
		CHECK(CHECK_OK(epoll_wait(epfd, &e, 1, WAIT_MS)) == 1, "a fresh socket");
		begin[i] = now_us();
		CHECK_ERRNO(tcp_connect(fd[i], &to[i]), EINPROGRESS);
		e = (struct epoll_event){ .events = EPOLLOUT | EPOLLONESHOT, .data.fd = i };
		CHECK_OK(epoll_ctl(epfd, EPOLL_CTL_MOD, fd[i], &e));
		if (i == 0)
			CHECK(epoll_wait(epfd, &e, 1, 500) == 0, "the first ends too early");
	}
	for (int i = 0; i < 2; i++) {
		CHECK(CHECK_OK(epoll_wait(epfd, &e, 1, -1)) == 1, "no event");
		check_time(begin[e.data.fd]);
		finish_failed(fd[e.data.fd], ETIMEDOUT);
	}
	pthread_join(t, NULL);
	CHECK(done == 1, "the thread did not finish");
}

/* An exec waits for a connect that it leaves to the program, but not for longer. */
static void exec_while_parent_waits(void)
{
	struct sockaddr_in to = silent(2);
	int fd = limited_socket(SOCK_NONBLOCK), child;
	uint64_t begin = now_us();

	CHECK_ERRNO(tcp_connect(fd, &to), EINPROGRESS);
	child = CHECK_OK(fork());
	if (child == 0) {
		execlp("true", "true", (char *)NULL);
		fail("exec: %s", strerrorname_np(errno));
	}
	reap(child);
	CHECK(now_us() - begin < MOST_US, "the exec took too long");
	finish_failed(fd, ETIMEDOUT);
}

/*
 * The parent leaves it to the child and goes on after the deadline, when what
 * it kept for the connect could be taken for over: the child's is its own.
 */
static void child_asks_late(void)
{
	struct sockaddr_in to[2] = { silent(2), silent(2) };
	struct gate g = gate_new();
	int fd = limited_socket(SOCK_NONBLOCK), other = limited_socket(SOCK_NONBLOCK);
	int ends[2], child;
	char byte;

	CHECK_OK(pipe(ends));
	CHECK_ERRNO(tcp_connect(fd, &to[0]), EINPROGRESS);
	child = CHECK_OK(fork());
	if (child == 0) {
		CHECK(read(ends[0], &byte, 1) == 1, "the parent is gone");
		CHECK_ERRNO(send(fd, "x", 1, MSG_NOSIGNAL), ETIMEDOUT);
		_exit(0);
	}
	close(fd);
	/* Begun later, so the first one's time is over with it. */
	CHECK_ERRNO(tcp_connect(other, &to[1]), EINPROGRESS);
	in_poll(other);
	close(other);
	fd = start(&g.to);
	CHECK(events_of(fd, POLLOUT, 0) == 0, "an event while it is pending");
	CHECK(write(ends[1], "x", 1) == 1, "a pipe is broken");
	reap(child);
	gate_let(&g);
	finish(fd, &g.to);
	talk(fd, 2);
}

/* The deadline is for the handshake: what is connected has none. */
static void none_when_connected(void)
{
	struct sockaddr_in to = step_target(STEP_OK, 0);
	int fd = start(&to);

	finish(fd, &to);
	CHECK(events_of(fd, POLLIN, 1500) == 0, "an event of a connected socket");
	talk(fd, 1);
}

const struct scenario scenarios[] = {
	{ "poll_forever", poll_forever, 0, 0 },
	{ "epoll_forever", epoll_forever, 0, 0 },
	{ "select_forever", select_forever, 0, 0 },
	{ "blocking", blocking, 0, 0 },
	{ "blocking_with_ticks", blocking_with_ticks, 0, 0 },
	{ "poll_with_ticks", poll_with_ticks, 0, 0 },
	{ "read_after_switch", read_after_switch, 0, 0 },
	{ "two_at_different_times", two_at_different_times, 0, 0 },
	{ "exec_while_parent_waits", exec_while_parent_waits, 0, 0 },
	{ "child_asks_late", child_asks_late, 0, 0 },
	{ "none_when_connected", none_when_connected, 0, 0 },
	{ .name = NULL },
};
