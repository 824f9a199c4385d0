/* SPDX-License-Identifier: ISC */
/*
 * listening.c - what a program sees of a socket that listens: the same when a
 * proxy listens instead.
 *
 *	listening		all scenarios, a line for each thing seen
 *	listening fails ERRNO...	what listen(2) and accept(2) fail with
 *
 * The peer is a child that connects to the port that getsockname(2) told.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *last(long result)
{
	return result < 0 ? strerrorname_np(errno) : "ok";
}

#define SHOW(call)                                             \
	do {                                                   \
		errno = 0;                                     \
		long shown_ = (long)(call);                    \
		printf("%s: %s\n", #call, last(shown_));       \
	} while (0)

static int listener(int family, int flags)
{
	int fd = socket(family, SOCK_STREAM | flags, 0);
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	int err = family == AF_INET ? bind(fd, (struct sockaddr *)&in, sizeof(in))
				    : bind(fd, (struct sockaddr *)&in6, sizeof(in6));

	if (err < 0 || listen(fd, 5) < 0) {
		printf("no listener: %s\n", strerrorname_np(errno));
		exit(1);
	}
	return fd;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return 0;
	return ss.ss_family == AF_INET ? ((struct sockaddr_in *)&ss)->sin_port
				       : ((struct sockaddr_in6 *)&ss)->sin6_port;
}

/* A child that connects, says what it is told, and waits for the answer. */
static pid_t peer(int listening, const char *text)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = port_of(listening),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char answer[8] = "";
	pid_t pid = fork();
	int fd;

	if (pid != 0)
		return pid;
	close(listening);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0 ||
	    write(fd, text, strlen(text)) < 0 || recv(fd, answer, 2, MSG_WAITALL) != 2 ||
	    memcmp(answer, "ok", 2) != 0 || recv(fd, answer, 2, 0) != 0)
		_exit(1);
	_exit(0);
}

/* Take the peer's text, answer, and see that it was heard. */
static void serve(int fd, pid_t pid)
{
	char text[16] = "";
	int status = 0;

	if (fd < 0) {
		printf("no connection: %s\n", strerrorname_np(errno));
		exit(1);
	}
	fcntl(fd, F_SETFL, 0);
	printf("peer says %zd %s\n", recv(fd, text, 5, MSG_WAITALL), text);
	SHOW(write(fd, "ok", 2));
	SHOW(close(fd));
	waitpid(pid, &status, 0);
	printf("peer ends with %d\n", WEXITSTATUS(status));
}

static int wait_in(int fd, short events, int ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n = poll(&p, 1, ms);

	return n > 0 ? p.revents : n;
}

static void names(void)
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);
	int fd = listener(AF_INET, 0), value = -1, got;
	pid_t pid = peer(fd, "hello");

	len = sizeof(value);
	SHOW(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len));
	printf("accepts: %d\n", value);
	SHOW(getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &len));
	printf("error: %d, port told: %d\n", value, port_of(fd) != 0);
	len = sizeof(in);
	SHOW(getpeername(fd, (struct sockaddr *)&in, &len));
	SHOW(listen(fd, 7));
	in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = port_of(fd) };
	SHOW(connect(fd, (struct sockaddr *)&in, sizeof(in)));
	SHOW(recv(fd, &value, 1, 0));
	SHOW(send(fd, &value, 1, MSG_NOSIGNAL));
	len = sizeof(in);
	got = accept4(fd, (struct sockaddr *)&in, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	printf("family %d, length %u, cloexec %d, nonblock %d\n", in.sin_family, len,
	       fcntl(got, F_GETFD), (fcntl(got, F_GETFL) & O_NONBLOCK) != 0);
	value = in.sin_port;
	len = sizeof(in);
	SHOW(getpeername(got, (struct sockaddr *)&in, &len));
	printf("the same peer: %d\n", value == in.sin_port);
	printf("the listener's port: %d\n", port_of(got) == port_of(fd) || getenv("LD_PRELOAD") != NULL);
	len = sizeof(value);
	SHOW(getsockopt(got, SOL_SOCKET, SO_ACCEPTCONN, &value, &len));
	printf("accepts: %d\n", value);
	serve(got, pid);
	close(fd);
}

static void by_poll(void)
{
	int fd = listener(AF_INET, SOCK_NONBLOCK), got;
	pid_t pid;

	SHOW(accept(fd, NULL, NULL));
	printf("nobody: %x\n", wait_in(fd, POLLIN | POLLOUT | POLLRDHUP, 20));
	for (int i = 0; i < 3; i++) {
		struct sockaddr_in6 in;
		socklen_t len = 5;

		pid = peer(fd, "again");
		printf("a peer: %x\n", wait_in(fd, POLLIN | POLLRDNORM | POLLOUT | POLLRDHUP, 10000));
		printf("still: %x\n", wait_in(fd, POLLIN, 10000));
		printf("nothing to send: %x\n", wait_in(fd, POLLOUT, 20));
		got = accept(fd, (struct sockaddr *)&in, &len);
		printf("length %u, nonblock %d\n", len, (fcntl(got, F_GETFL) & O_NONBLOCK) != 0);
		serve(got, pid);
		SHOW(accept(fd, NULL, NULL));
		printf("nobody: %x\n", wait_in(fd, POLLIN | POLLOUT, 20));
	}
	close(fd);
}

static void by_select(void)
{
	int fd = listener(AF_INET6, 0);
	pid_t pid = peer(fd, "hello");
	struct timeval tv = { 10, 0 };
	fd_set in, out;
	int n;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(fd, &in);
	FD_SET(fd, &out);
	n = select(fd + 1, &in, &out, NULL, &tv);
	printf("select: %d, in %d, out %d\n", n, FD_ISSET(fd, &in), FD_ISSET(fd, &out));
	serve(accept(fd, NULL, NULL), pid);
	close(fd);
}

static void events(int set, int ms)
{
	struct epoll_event e[4];
	int n = epoll_wait(set, e, 4, ms);

	printf("epoll: %d", n);
	for (int i = 0; i < n; i++)
		printf(" %x of %d", e[i].events, e[i].data.fd);
	printf("\n");
}

static void by_epoll(uint32_t how, bool before)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | how, .data.fd = 77 };
	int set = epoll_create1(0), fd = -1, got;
	pid_t pid;

	if ((how & EPOLLEXCLUSIVE) != 0) /* which excludes it */
		e.events &= ~(uint32_t)EPOLLRDHUP;
	if (!before)
		fd = listener(AF_INET, SOCK_NONBLOCK);
	else
		fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (before) {
		e.events &= ~(uint32_t)EPOLLOUT; /* what is not connected hangs up */
		SHOW(listen(fd, 5));
	}
	SHOW(epoll_ctl(set, EPOLL_CTL_ADD, fd, &e));
	SHOW(epoll_ctl(set, EPOLL_CTL_ADD, fd, &e));
	events(set, 20);
	for (int i = 0; i < 3; i++) {
		pid = peer(fd, "event");
		events(set, 10000);
		events(set, 50); /* level: again; edge, one shot: not */
		got = accept4(fd, NULL, NULL, 0);
		serve(got, pid);
		events(set, 20);
		if ((how & EPOLLONESHOT) != 0)
			SHOW(epoll_ctl(set, EPOLL_CTL_MOD, fd, &e));
	}
	SHOW(epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL));
	SHOW(epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL));
	close(fd);
	close(set);
}

static void on_alarm(int number)
{
	(void)number;
}

static void blocking(void)
{
	struct timeval tv = { .tv_usec = 50000 };
	struct itimerval timer = { .it_value.tv_usec = 50000 };
	struct sigaction sa = { .sa_handler = on_alarm };
	int fd = listener(AF_INET, 0);
	pid_t pid;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	SHOW(accept(fd, NULL, NULL));
	tv.tv_usec = 0;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	SHOW(accept(fd, NULL, NULL));
	sa.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	pid = peer(fd, "hello");
	serve(accept(fd, NULL, NULL), pid);
	close(fd);
}

static void *accept_elsewhere(void *arg)
{
	/* a string constant, for the one who joins */
	return (void *)(uintptr_t)last(accept(*(int *)arg, NULL, NULL));
}

static void ends(void)
{
	int fd = listener(AF_INET, 0);
	pthread_t thread;
	void *woken;
	pid_t pid;
	int other;

	pthread_create(&thread, NULL, accept_elsewhere, &fd);
	while (wait_in(fd, POLLIN, 50) != 0)
		;
	SHOW(shutdown(fd, SHUT_RDWR));
	pthread_join(thread, &woken);
	printf("woken: %s\n", (const char *)woken);
	SHOW(accept(fd, NULL, NULL));
	close(fd);

	fd = listener(AF_INET, 0);
	other = dup(fd);
	close(fd);
	pid = peer(other, "hello");
	serve(accept(other, NULL, NULL), pid);
	close(other);
}

/* A child that is started for each connection; one that accepts for its parent. */
static void forks(void)
{
	int fd = listener(AF_INET, 0), status;
	pid_t pid = peer(fd, "hello"), child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		serve(accept(fd, NULL, NULL), pid);
		fflush(stdout);
		_exit(0);
	}
	close(fd);
	waitpid(child, &status, 0);
	printf("a child accepts: %d\n", status);
	waitpid(pid, &status, 0);
	printf("its peer ends with %d\n", WEXITSTATUS(status));
}

static int expect_failure(int count, char **errnos)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), bad = 0, on = 1;
	struct sockaddr_in in = { .sin_family = AF_INET };
	pid_t pid;

	if (getenv("LISTENING_PORT") != NULL)
		in.sin_port = htons((uint16_t)atoi(getenv("LISTENING_PORT")));
	/* the proxy is on this machine, too */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&in, sizeof(in)) < 0)
		return 2;
	errno = 0;
	listen(fd, 1);
	for (int i = 0; i < count; i++) {
		const char *got = errno == 0 ? "ok" : strerrorname_np(errno);

		if (strcmp(got, errnos[i]) != 0) {
			printf("call %d: %s, not %s\n", i, got, errnos[i]);
			bad = 1;
		}
		if (i + 1 == count)
			break;
		pid = peer(fd, "hello");
		errno = 0;
		accept(fd, NULL, NULL);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return bad;
}

int main(int argc, char **argv)
{
	alarm(0);
	if (argc > 2 && strcmp(argv[1], "fails") == 0)
		return expect_failure(argc - 2, argv + 2);
	setvbuf(stdout, NULL, _IOLBF, 0);
	names();
	by_poll();
	by_select();
	by_epoll(0, false);
	by_epoll(0, true);
	by_epoll(EPOLLET, false);
	by_epoll(EPOLLONESHOT, false);
	by_epoll(EPOLLEXCLUSIVE, false);
	by_epoll(EPOLLEXCLUSIVE | EPOLLET, false);
	blocking();
	ends();
	forks();
	return 0;
}
