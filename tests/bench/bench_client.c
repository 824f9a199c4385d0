/* SPDX-License-Identifier: ISC */
/*
 * bench_client.c - the work that is measured.
 *
 *     bench_client MARK PROXY|- TARGET WORK COUNT [COMMAND...]
 *
 * MARK is what the first octet of each answer must be: P through the proxy, D
 * direct.  With PROXY, an address, the program speaks SOCKS5 itself (the native
 * client); with "-" it connects to TARGET, and a wrapper does the rest or none.
 * Prints microseconds for all of the work, and for "epoll" and "poll" also the
 * longest time that the loop stood still outside its wait.
 * Exit status: 3 when an answer came another way than MARK says, 1 otherwise.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK  65536
#define WINDOW 256 /* connects in flight in the loops */

extern char **environ;

static struct sockaddr_in proxy, target;
static bool native;
static char mark;
static double stall; /* us, the longest so far */

/* Request and answer of a CONNECT or, with another second octet, others. */
static unsigned char request[10] = { 5, 1, 0, 1 };

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void need(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "bench_client: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void check_mark(unsigned char got)
{
	if (got == (unsigned char)mark)
		return;
	fprintf(stderr, "bench_client: the answer came the other way\n");
	exit(3);
}

static void send_all(int fd, const void *bytes, size_t n)
{
	need(send(fd, bytes, n, MSG_NOSIGNAL) == (ssize_t)n, "send");
}

static void recv_all(int fd, void *bytes, size_t n)
{
	need(recv(fd, bytes, n, MSG_WAITALL) == (ssize_t)n, "recv");
}

static int new_socket(int flags)
{
	int fd = socket(AF_INET, SOCK_STREAM | flags, 0), one = 1;
	struct linger reset = { .l_onoff = 1 }; /* no TIME_WAIT: ports are few */

	need(fd >= 0, "socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	return fd;
}

static void socks(int fd, struct sockaddr_in *ret_bound)
{
	unsigned char answer[10];

	send_all(fd, "\5\1", 3);
	recv_all(fd, answer, 2);
	send_all(fd, request, sizeof(request));
	recv_all(fd, answer, sizeof(answer));
	need(answer[1] == 0, "SOCKS");
	*ret_bound = (struct sockaddr_in){ .sin_family = AF_INET };
	memcpy(&ret_bound->sin_addr, answer + 4, 4);
	memcpy(&ret_bound->sin_port, answer + 8, 2);
}

static int open_connection(void)
{
	struct sockaddr_in *to = native ? &proxy : &target, bound;
	int fd = new_socket(0);

	need(connect(fd, (struct sockaddr *)to, sizeof(*to)) == 0, "connect");
	if (native)
		socks(fd, &bound);
	return fd;
}

static void sequential(int count)
{
	unsigned char octet;

	for (int i = 0; i < count; i++) {
		int fd = open_connection();

		send_all(fd, "x", 1);
		recv_all(fd, &octet, 1);
		check_mark(octet);
		close(fd);
	}
}

/* One of the connections in a loop.  Each phase sends, then waits for that much. */
struct task {
	int fd;
	enum { CONNECTING, METHOD, REPLY, ANSWER, OVER } phase;
	size_t have;
};

static void task_begin(struct task *t)
{
	struct sockaddr_in *to = native ? &proxy : &target;

	*t = (struct task){ .fd = new_socket(SOCK_NONBLOCK) };
	need(connect(t->fd, (struct sockaddr *)to, sizeof(*to)) == 0 || errno == EINPROGRESS,
	     "connect");
}

static void task_connected(struct task *t)
{
	int err = 0;
	socklen_t length = sizeof(err);

	getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &err, &length);
	errno = err;
	need(err == 0, "connect");
	t->phase = native ? METHOD : ANSWER;
	send_all(t->fd, native ? "\5\1" : "x", native ? 3 : 1);
}

static void task_event(struct task *t)
{
	static const size_t wanted[] = { [METHOD] = 2, [REPLY] = 10, [ANSWER] = 1 };
	unsigned char m[10];
	ssize_t n;

	if (t->phase == CONNECTING) {
		task_connected(t);
		return;
	}
	n = recv(t->fd, m, wanted[t->phase] - t->have, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	need(n > 0, "recv");
	t->have += (size_t)n;
	if (t->have < wanted[t->phase])
		return;
	t->have = 0;
	if (t->phase == METHOD)
		send_all(t->fd, request, sizeof(request));
	else if (t->phase == REPLY)
		send_all(t->fd, "x", 1);
	else
		check_mark(m[0]);
	t->phase++;
	if (t->phase == OVER)
		close(t->fd);
}

static void saw_stall(double since)
{
	double took = now() - since;

	if (took > stall)
		stall = took;
}

static void epoll_begin(int epoll, struct task *t)
{
	struct epoll_event event = { .events = EPOLLOUT, .data.ptr = t };
	double since = now();

	task_begin(t);
	need(epoll_ctl(epoll, EPOLL_CTL_ADD, t->fd, &event) == 0, "epoll_ctl");
	saw_stall(since); /* here the program may not be held up */
}

static void epoll_loop(int count)
{
	static struct task tasks[WINDOW];
	struct epoll_event events[WINDOW];
	int epoll = epoll_create1(0), begun = 0, over = 0;

	for (; begun < count && begun < WINDOW; begun++)
		epoll_begin(epoll, &tasks[begun]);
	while (over < count) {
		int n = epoll_wait(epoll, events, WINDOW, 30000);

		need(n > 0, "epoll_wait");
		for (int i = 0; i < n; i++) {
			struct task *t = events[i].data.ptr;
			struct epoll_event in = { .events = EPOLLIN, .data.ptr = t };
			bool connecting = t->phase == CONNECTING;

			task_event(t);
			if (connecting)
				epoll_ctl(epoll, EPOLL_CTL_MOD, t->fd, &in);
			if (t->phase != OVER)
				continue;
			over++;
			if (begun < count) {
				begun++;
				epoll_begin(epoll, t);
			}
		}
	}
	close(epoll);
}

static void poll_loop(int count)
{
	static struct task tasks[WINDOW];
	struct pollfd fds[WINDOW];
	int over = 0;

	need(count <= WINDOW, "too many for poll");
	for (int i = 0; i < count; i++) {
		double since = now();

		task_begin(&tasks[i]);
		saw_stall(since);
	}
	while (over < count) {
		for (int i = 0; i < count; i++) {
			bool done = tasks[i].phase == OVER;
			short events = tasks[i].phase == CONNECTING ? POLLOUT : POLLIN;

			fds[i] = (struct pollfd){ done ? -1 : tasks[i].fd, events, 0 };
		}
		need(poll(fds, (nfds_t)count, 30000) > 0, "poll");
		for (int i = 0; i < count; i++) {
			if (fds[i].fd < 0 || fds[i].revents == 0)
				continue;
			task_event(&tasks[i]);
			over += tasks[i].phase == OVER;
		}
	}
}

static void names(int count)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *list;
	char name[64];

	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "n%d.p%d.example.org", i, (int)getpid());
		need(getaddrinfo(name, "80", &hints, &list) == 0, "getaddrinfo");
		freeaddrinfo(list);
	}
}

static void datagrams(int count)
{
	struct sockaddr_in to = target;
	unsigned char d[110] = { 0, 0, 0, 1 };
	size_t header = native ? 10 : 0;
	struct timeval limit = { .tv_sec = 5 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), control = -1;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (native) {
		request[1] = 3; /* UDP ASSOCIATE */
		control = new_socket(0);
		need(connect(control, (struct sockaddr *)&proxy, sizeof(proxy)) == 0, "connect");
		socks(control, &to);
		memcpy(d + 4, &target.sin_addr, 4);
		memcpy(d + 8, &target.sin_port, 2);
	}
	for (int i = 0; i < count; i++) {
		size_t n = header + 100;

		need(sendto(fd, d, n, 0, (struct sockaddr *)&to, sizeof(to)) == (ssize_t)n, "sendto");
		need(recvfrom(fd, d, sizeof(d), 0, NULL, NULL) == (ssize_t)n, "recvfrom");
		check_mark(d[header]);
	}
	close(fd);
	if (control >= 0)
		close(control);
}

/* On one connection; the connect is not measured.  Returns the time. */
static double exchange(int count, size_t size)
{
	static unsigned char block[BLOCK];
	int fd = open_connection();
	double since = now();

	for (int i = 0; i < count; i++) {
		send_all(fd, block, size);
		recv_all(fd, block, size);
		check_mark(block[0]);
	}
	since = now() - since;
	close(fd);
	return since;
}

static void start(int count, char **command)
{
	for (int i = 0; i < count; i++) {
		pid_t pid;
		int status;

		errno = posix_spawnp(&pid, command[0], NULL, NULL, command, environ);
		need(errno == 0, command[0]);
		need(waitpid(pid, &status, 0) == pid && status == 0, "the command");
	}
}

static void address(const char *text, uint16_t port, struct sockaddr_in *ret)
{
	*ret = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port) };
	need(inet_pton(AF_INET, text, &ret->sin_addr) == 1, text);
}

int main(int argc, char **argv)
{
	double since, took = 0;
	const char *work;
	int count;

	if (argc < 6) {
		fprintf(stderr, "usage: bench_client MARK PROXY|- TARGET WORK COUNT [COMMAND...]\n");
		return 2;
	}
	mark = argv[1][0];
	native = strcmp(argv[2], "-") != 0;
	if (native)
		address(argv[2], 1080, &proxy);
	address(argv[3], 7, &target);
	memcpy(request + 4, &target.sin_addr, 4);
	memcpy(request + 8, &target.sin_port, 2);
	work = argv[4];
	count = atoi(argv[5]);
	since = now();
	if (strcmp(work, "sequential") == 0)
		sequential(count);
	else if (strcmp(work, "epoll") == 0)
		epoll_loop(count);
	else if (strcmp(work, "poll") == 0)
		poll_loop(count);
	else if (strcmp(work, "names") == 0)
		names(count);
	else if (strcmp(work, "udp") == 0)
		datagrams(count);
	else if (strcmp(work, "bulk") == 0)
		took = exchange(count, BLOCK);
	else if (strcmp(work, "pingpong") == 0)
		took = exchange(count, 64);
	else if (strcmp(work, "start") == 0 && argc > 6)
		start(count, argv + 6);
	else
		return 2;
	printf("%.1f %.1f\n", took > 0 ? took : now() - since, stall);
	return 0;
}
