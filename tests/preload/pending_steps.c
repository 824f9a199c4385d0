/* SPDX-License-Identifier: ISC */
/* pending_steps.c - the steps that scenarios are made of. */
#include "pending.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* A wait that the library has no part in. */
void breathe(void)
{
	struct timespec ms = { .tv_nsec = 1000000 };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &ms, NULL);
}

int own_tid(void)
{
	return (int)syscall(SYS_gettid);
}

void until(atomic_int *what, int value, const char *why)
{
	uint64_t end = now_us() + WAIT_MS * 1000;

	while (atomic_load(what) < value) {
		CHECK(now_us() < end, "%s", why);
		breathe();
	}
}

static char state_of(int tid)
{
	char path[64], text[256] = "", *at;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	at = strrchr(text, ')');
	return at != NULL ? at[2] : '?';
}

void until_asleep(atomic_int *tid)
{
	uint64_t end = now_us() + WAIT_MS * 1000;

	until(tid, 1, "the thread does not start");
	for (int asleep = 0; asleep < 3;) {
		CHECK(now_us() < end, "the thread does not go to sleep");
		asleep = state_of(atomic_load(tid)) == 'S' ? asleep + 1 : 0;
		breathe();
	}
}

void reap(int pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		CHECK(errno == EINTR, "waitpid: %s", strerrorname_np(errno));
	CHECK(status == 0, "a child ends with status %#x", (unsigned)status);
}

unsigned count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	CHECK(dir != NULL, "/proc/self/fd: %s", strerrorname_np(errno));
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

int tcp_connect(int fd, const struct sockaddr_in *to)
{
	return connect(fd, (const struct sockaddr *)to, sizeof(*to));
}

int tcp_socket(int flags)
{
	return CHECK_OK(socket(AF_INET, SOCK_STREAM | flags, 0));
}

int start(const struct sockaddr_in *to)
{
	int fd = tcp_socket(SOCK_NONBLOCK);

	CHECK_ERRNO(tcp_connect(fd, to), EINPROGRESS);
	return fd;
}

void set_blocking(int fd, bool blocking)
{
	int flags = CHECK_OK(fcntl(fd, F_GETFL));

	flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
	CHECK_OK(fcntl(fd, F_SETFL, flags));
}

int so_error(int fd)
{
	int value = -1;
	socklen_t len = sizeof(value);

	CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &len));
	return value;
}

int events_of(int fd, int events, int ms)
{
	struct pollfd p = { .fd = fd, .events = (short)events };
	uint64_t end = now_us() + (uint64_t)ms * 1000;
	int n;

	while ((n = poll(&p, 1, ms)) < 0 && errno == EINTR && now_us() < end)
		;
	CHECK(n >= 0 || errno == EINTR, "poll: %s", strerrorname_np(errno));
	return n > 0 ? p.revents : 0;
}

void finish(int fd, const struct sockaddr_in *to)
{
	struct sockaddr_in peer = { .sin_family = 0 };
	socklen_t len = sizeof(peer);
	int events = events_of(fd, POLLOUT, WAIT_MS);

	CHECK(events == POLLOUT, "events %#x, not POLLOUT", (unsigned)events);
	CHECK(so_error(fd) == 0, "SO_ERROR is not 0");
	CHECK_OK(getpeername(fd, (struct sockaddr *)&peer, &len));
	CHECK(peer.sin_port == to->sin_port && peer.sin_addr.s_addr == to->sin_addr.s_addr,
	      "getpeername tells %#x", ntohl(peer.sin_addr.s_addr));
}

void finish_failed(int fd, int err)
{
	int events = events_of(fd, ALL_EVENTS, WAIT_MS), got;
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);

	CHECK(events == FAILED_EVENTS, "events %#x, not %#x", (unsigned)events, FAILED_EVENTS);
	got = so_error(fd);
	CHECK(got == err, "SO_ERROR %s, not %s", strerrorname_np(got), strerrorname_np(err));
	CHECK(so_error(fd) == 0, "SO_ERROR a second time");
	events = events_of(fd, ALL_EVENTS, WAIT_MS);
	CHECK(events == (FAILED_EVENTS & ~POLLERR), "events %#x after SO_ERROR", (unsigned)events);
	CHECK_ERRNO(getpeername(fd, (struct sockaddr *)&peer, &len), ENOTCONN);
}

void talk(int fd, unsigned id)
{
	char text[32], echo[32];
	size_t len = (size_t)snprintf(text, sizeof(text), "connection %u.", id), have = 0;
	ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

	CHECK(n == (ssize_t)len, "send gives %zd %s", n, strerrorname_np(errno));
	while (have < len) {
		CHECK(events_of(fd, POLLIN, WAIT_MS) == POLLIN, "no echo of %s", text);
		n = recv(fd, echo + have, len - have, 0);
		CHECK(n > 0, "recv gives %zd %s", n, strerrorname_np(errno));
		have += (size_t)n;
	}
	CHECK(memcmp(text, echo, len) == 0, "the echo of %s is %.*s", text, (int)have, echo);
}

void connect_anew(void)
{
	struct sockaddr_in to = step_target(STEP_OK, 0);
	int fd = start(&to);

	finish(fd, &to);
	talk(fd, (unsigned)fd);
	close(fd);
	fd = tcp_socket(0);
	CHECK_OK(tcp_connect(fd, &to));
	talk(fd, (unsigned)fd);
	close(fd);
}
