/* SPDX-License-Identifier: ISC */
/*
 * faults_probe.c - a program that connects, sends, listens or looks up, and looks closely when that fails.
 *
 *	faults_probe WAY PORT		(the target's, on 127.77.0.1)
 *
 * It ends with 0, or the errno that it was told, or PROBE_BROKEN: then nobody may be told so.
 * FAULT_CALLS, FAULT_CHANNEL: the system calls that are asked for, and who is told of it
 * FAULT_MALLOC: the allocation that fails; FAULT_FILES: so many descriptors more than are open
 */
#include "faults.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netdb.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { WAIT_MS = 15000, SHORT_MS = 2000, LIMIT_S = 40 };

static struct sockaddr_in target;

static _Noreturn void broken(const char *what)
{
	dprintf(STDERR_FILENO, "faults_probe: %s (%s)\n", what, strerrorname_np(errno));
	_exit(PROBE_BROKEN);
}

/* --- allocations that fail: glibc lets a program have its own --- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

#define SHOWN __attribute__((visibility("default")))

static bool malloc_over;

static bool fails(void)
{
	static int left = -1;
	const char *text;

	if (left < 0 && environ != NULL) {
		text = getenv("FAULT_MALLOC");
		left = text != NULL ? atoi(text) : 0;
	}
	if (malloc_over || left <= 0 || --left > 0)
		return false;
	/* Told by what outlives a crash: an end of the channel is closed. */
	text = getenv("FAULT_CHANNEL");
	if (text != NULL)
		(void)!write(atoi(text), "m", 1);
	errno = ENOMEM;
	return true;
}

SHOWN void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

SHOWN void *calloc(size_t count, size_t size)
{
	return fails() ? NULL : __libc_calloc(count, size);
}

SHOWN void *realloc(void *old, size_t size)
{
	return fails() ? NULL : __libc_realloc(old, size);
}

/* --- system calls that fail --- */

static int install(struct sock_filter *code, unsigned short len)
{
	struct sock_fprog program = { .len = len, .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		broken("PR_SET_NO_NEW_PRIVS");
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			    &program);
}

static void report_calls(const char *list, int channel)
{
	struct sock_filter code[2 * FAULT_CALLS_MAX + 4] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	unsigned short len = 1;
	int fd;
	char octet;

	for (const char *at = list; at != NULL && *at != '\0'; at = strchr(at, ','), at += at != NULL) {
		code[len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							   (uint32_t)atoi(at), 0, 1);
		code[len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	}
	code[len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	fd = install(code, len);
	if (fd < 0)
		broken("a seccomp filter");
	if (write(channel, &fd, sizeof(fd)) != sizeof(fd) || read(channel, &octet, 1) != 1)
		broken("the channel");
	close(fd);
}

/* --- what the program does --- */

static int wait_events(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	do
		n = poll(&p, 1, WAIT_MS);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		broken("poll waits in vain");
	return n < 0 ? errno : 0;
}

/* Send and read back.  A connection that is not there any more is no fault of ours. */
static int exchange(int fd)
{
	char octets[4];
	ssize_t n;
	size_t got = 0;

	do {
		n = send(fd, "PING", 4, MSG_NOSIGNAL);
	} while (n < 0 && (errno == EINTR || (errno == EAGAIN && wait_events(fd, POLLOUT) == 0)));
	if (n != 4)
		return n < 0 ? errno : ECONNRESET;
	while (got < 4) {
		n = recv(fd, octets + got, 4 - got, 0);
		if (n == 0)
			return ECONNRESET;
		if (n < 0 && errno == EAGAIN && wait_events(fd, POLLIN) == 0)
			continue;
		if (n < 0 && errno != EINTR)
			return errno;
		got += n > 0 ? (size_t)n : 0;
	}
	if (memcmp(octets, "PING", 4) != 0)
		broken("other octets come back");
	return 0;
}

static int is_target(int fd)
{
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);

	if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0)
		return errno;
	if (peer.sin_addr.s_addr != target.sin_addr.s_addr || peer.sin_port != target.sin_port)
		broken("another peer");
	return 0;
}

/*
 * After a failure nothing may be sent, neither to the proxy nor past it.  @told: it was a failure of the
 * connect, and not of a call that asks for it.
 */
static int ended(int fd, int err, bool told)
{
	if (err != 0 && told)
		(void)send(fd, "LEAK", 4, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (err == 0)
		err = is_target(fd);
	if (err == 0)
		err = exchange(fd);
	close(fd);
	return err;
}

static int so_error(int fd, bool *told)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return errno;
	*told = true;
	return error;
}

static int start(int fd)
{
	return connect(fd, (struct sockaddr *)&target, sizeof(target)) < 0 ? errno : 0;
}

static int by_blocking(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return fd < 0 ? errno : ended(fd, start(fd), true);
}

/* A socket that was open before us: of it nothing is known but what the kernel says. */
static int by_inherited(void)
{
	static int count;
	int fd = dup(FAULT_SOCKETS + count++);

	return fd < 0 ? errno : ended(fd, start(fd), true);
}

static int by_poll(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), err;
	bool told;

	if (fd < 0)
		return errno;
	err = start(fd);
	told = err != EINPROGRESS;
	if (!told) {
		err = wait_events(fd, POLLOUT);
		err = err != 0 ? err : so_error(fd, &told);
	}
	return ended(fd, err, told);
}

static int by_spinning(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), err;

	if (fd < 0)
		return errno;
	do
		err = start(fd);
	while (err == EINPROGRESS || err == EALREADY);
	/* One of these calls may have failed, which the kernel's does not. */
	return ended(fd, err == EISCONN ? 0 : err, getenv("FAULT_CALLS") == NULL);
}

static int epoll_end(int set, int fd, bool *told)
{
	struct epoll_event e;
	int n;

	do
		n = epoll_wait(set, &e, 1, WAIT_MS);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		broken("epoll_wait waits in vain");
	if (n > 0 && e.data.u64 != 0x1234567890abcdef)
		broken("other data");
	return n < 0 ? errno : so_error(fd, told);
}

static int by_epoll_of(uint32_t events)
{
	struct epoll_event e = { .events = events, .data.u64 = 0x1234567890abcdef };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), set, err;
	bool told;

	if (fd < 0)
		return errno;
	set = epoll_create1(0);
	err = set < 0 ? errno : start(fd);
	told = set >= 0 && err != EINPROGRESS;
	if (err == EINPROGRESS)
		err = epoll_ctl(set, EPOLL_CTL_ADD, fd, &e) < 0 ? errno : epoll_end(set, fd, &told);
	if (set >= 0)
		close(set);
	return ended(fd, err, told);
}

static int by_epoll(void)
{
	return by_epoll_of(EPOLLOUT);
}

static int by_edges(void)
{
	return by_epoll_of(EPOLLOUT | EPOLLET);
}

/* A datagram may be lost: then there is one more. */
static int datagram(int fd, bool connected)
{
	const struct sockaddr *to = connected ? NULL : (const struct sockaddr *)&target;
	struct sockaddr_in from;
	char octets[8];

	for (int tries = 0; tries < 2; tries++) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		socklen_t len = sizeof(from);
		ssize_t n = sendto(fd, "PING", 4, 0, to, to != NULL ? sizeof(target) : 0);

		if (n >= 0 && poll(&p, 1, SHORT_MS) > 0)
			n = recvfrom(fd, octets, sizeof(octets), MSG_DONTWAIT, (struct sockaddr *)&from,
				     &len);
		else if (n >= 0)
			continue;
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return errno;
		if (n < 0)
			continue;
		if (n != 4 || memcmp(octets, "PING", 4) != 0 || from.sin_port != target.sin_port)
			broken("another datagram");
		return 0;
	}
	return ETIMEDOUT;
}

static int by_datagrams(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), err;

	if (fd < 0)
		return errno;
	err = datagram(fd, false);
	close(fd);
	return err;
}

static int by_connected_datagrams(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), err;

	if (fd < 0)
		return errno;
	err = start(fd);
	err = err != 0 ? err : datagram(fd, true);
	close(fd);
	return err;
}

static int by_listening(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0), peer = -1, err = 0;

	if (fd < 0)
		return errno;
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(fd, 5) < 0)
		err = errno;
	while (err == 0 && (peer = accept(fd, NULL, NULL)) < 0 && errno == EINTR)
		;
	if (err == 0 && peer < 0)
		err = errno;
	if (peer >= 0)
		err = exchange(peer);
	if (peer >= 0)
		close(peer);
	close(fd);
	return err;
}

static int by_name(void)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *list;
	char port[8];
	int err, fd;

	snprintf(port, sizeof(port), "%u", ntohs(target.sin_port));
	err = getaddrinfo("name.test", port, &hints, &list);
	if (err == EAI_SYSTEM)
		return errno != 0 ? errno : EIO;
	if (err != 0)
		return err == EAI_MEMORY ? ENOMEM : EHOSTUNREACH;
	target.sin_addr = ((struct sockaddr_in *)(void *)list->ai_addr)->sin_addr;
	freeaddrinfo(list);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	return fd < 0 ? errno : ended(fd, start(fd), true);
}

static const struct {
	const char *name;
	int (*run)(void);
} ways[] = {
	{ "blocking", by_blocking }, { "poll", by_poll }, { "spinning", by_spinning },
	{ "epoll", by_epoll }, { "edges", by_edges }, { "datagrams", by_datagrams },
	{ "connected-datagrams", by_connected_datagrams }, { "listening", by_listening },
	{ "name", by_name }, { "inherited", by_inherited },
};

static int open_files(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void limit_files(int more)
{
	struct rlimit limit = { .rlim_max = RLIM_INFINITY };
	int lowest = dup(0);

	close(lowest);
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		broken("getrlimit");
	limit.rlim_cur = more < 0 ? limit.rlim_max : (rlim_t)(lowest + more);
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		broken("setrlimit");
}

/* With what goes wrong; then nothing does any more, and all must be as if nothing had been. */
static int run(int (*way)(void))
{
	const char *calls = getenv("FAULT_CALLS"), *files = getenv("FAULT_FILES");
	const char *channel = getenv("FAULT_CHANNEL");
	int before, err;

	before = open_files();
	if (files != NULL)
		limit_files(atoi(files));
	if (calls != NULL)
		report_calls(calls, atoi(channel));
	err = way();
	if (calls != NULL)
		(void)syscall(SYS_getpriority, 0, FAULTS_OVER);
	malloc_over = true;
	if (files != NULL)
		limit_files(-1);
	if (open_files() != before)
		broken("descriptors are left open");
	if (getenv("FAULT_PASSES") != NULL) {
		errno = way();
		if (errno != 0)
			broken("it does not work afterwards");
		if (open_files() != before)
			broken("descriptors are left open by what works");
	}
	return err;
}

int main(int argc, char **argv)
{
	alarm(LIMIT_S);
	if (argc != 3)
		return PROBE_BROKEN + 1;
	target = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((in_port_t)atoi(argv[2])),
				       .sin_addr.s_addr = htonl(FAULT_TARGET) };
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strcmp(ways[i].name, argv[1]) == 0)
			return run(ways[i].run);
	return PROBE_BROKEN + 1;
}
