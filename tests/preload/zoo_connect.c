/* SPDX-License-Identifier: ISC */
/* zoo_connect.c - streams, by every call that connects one. */
#include "zoo.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef IPPROTO_DCCP
#define IPPROTO_DCCP 33
#endif
#ifndef SOCK_DCCP
#define SOCK_DCCP 6
#endif
#define SCTP_SOCKOPT_CONNECTX 110

extern int __connect(int fd, const struct sockaddr *addr, socklen_t len);

#define TO4 (const struct sockaddr *)&target4, sizeof(target4)
#define TO6 (const struct sockaddr *)&target6, sizeof(target6)

static enum outcome connected(int fd, int result)
{
	return result < 0 ? failed("connect") : ask(fd);
}

static enum outcome plain(void)
{
	int fd = stream(AF_INET, 0);

	return connected(fd, connect(fd, TO4));
}

static enum outcome plain6(void)
{
	int fd = stream(AF_INET6, 0);

	return connected(fd, connect(fd, TO6));
}

static enum outcome mapped(void)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = target4.sin_port };
	int fd = stream(AF_INET6, 0);

	memset(to.sin6_addr.s6_addr + 10, 0xff, 2);
	memcpy(to.sin6_addr.s6_addr + 12, &target4.sin_addr, 4);
	return connected(fd, connect(fd, (const struct sockaddr *)&to, sizeof(to)));
}

static enum outcome alias(void)
{
	int fd = stream(AF_INET, 0);

	return connected(fd, __connect(fd, TO4));
}

static enum outcome by_syscall(void)
{
	int fd = stream(AF_INET, 0);

	return connected(fd, (int)syscall(SYS_connect, fd, TO4));
}

/* Socket and connect both past the functions of libc. */
static enum outcome all_by_syscall(void)
{
	long fd = syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
	struct timeval limit = { limit_ms / 1000, limit_ms % 1000 * 1000 };

	syscall(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	syscall(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return connected((int)fd, (int)syscall(SYS_connect, fd, TO4));
}

static enum outcome sent(int fd, ssize_t n)
{
	return n < 0 ? failed("send") : await(fd);
}

static enum outcome fastopen_sendto(void)
{
	int fd = stream(AF_INET, 0);

	return sent(fd, sendto(fd, request, strlen(request), MSG_FASTOPEN, TO4));
}

static struct iovec part;
static struct mmsghdr message(void)
{
	part = (struct iovec){ (void *)(uintptr_t)request, strlen(request) };
	return message_of(&part);
}

static enum outcome fastopen_sendmsg(void)
{
	struct mmsghdr m = message();
	int fd = stream(AF_INET, 0);

	return sent(fd, sendmsg(fd, &m.msg_hdr, MSG_FASTOPEN));
}

static enum outcome fastopen_sendmmsg(void)
{
	struct mmsghdr m = message();
	int fd = stream(AF_INET, 0);

	return sent(fd, sendmmsg(fd, &m, 1, MSG_FASTOPEN));
}

static enum outcome fastopen_sendto_syscall(void)
{
	int fd = stream(AF_INET, 0);

	return sent(fd, syscall(SYS_sendto, fd, request, strlen(request), MSG_FASTOPEN, TO4));
}

static enum outcome fastopen_sendmsg_syscall(void)
{
	struct mmsghdr m = message();
	int fd = stream(AF_INET, 0);

	return sent(fd, syscall(SYS_sendmsg, fd, &m.msg_hdr, MSG_FASTOPEN));
}

static enum outcome fastopen_sendmmsg_syscall(void)
{
	struct mmsghdr m = message();
	int fd = stream(AF_INET, 0);

	return sent(fd, syscall(SYS_sendmmsg, fd, &m, 1, MSG_FASTOPEN));
}

static enum outcome fastopen_option(void)
{
	int fd = stream(AF_INET, 0), on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on));
	return connected(fd, connect(fd, TO4));
}

static enum outcome mptcp(void)
{
	int fd = stream(AF_INET, IPPROTO_MPTCP);

	return fd < 0 ? ZOO_ABSENT : connected(fd, connect(fd, TO4));
}

static enum outcome mptcp_fastopen(void)
{
	int fd = stream(AF_INET, IPPROTO_MPTCP);

	if (fd < 0)
		return ZOO_ABSENT;
	return sent(fd, sendto(fd, request, strlen(request), MSG_FASTOPEN, TO4));
}

static enum outcome sctp(void)
{
	int fd = stream(AF_INET, IPPROTO_SCTP);

	return fd < 0 ? ZOO_ABSENT : connected(fd, connect(fd, TO4));
}

static enum outcome sctp_connectx(void)
{
	int fd = stream(AF_INET, IPPROTO_SCTP);

	if (fd < 0)
		return ZOO_ABSENT;
	return connected(fd, setsockopt(fd, IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX, &target4,
					sizeof(target4)));
}

static enum outcome dccp(void)
{
	int fd = socket(AF_INET, SOCK_DCCP, IPPROTO_DCCP);

	return fd < 0 ? ZOO_ABSENT : connected(fd, connect(fd, TO4));
}

static enum outcome finish_nonblocking(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	if (errno != EINPROGRESS)
		return failed("connect");
	if (poll(&p, 1, limit_ms) != 1)
		return failed("poll");
	fcntl(fd, F_SETFL, 0);
	return ask(fd);
}

static enum outcome nonblocking(void)
{
	int fd = stream(AF_INET, 0);

	fcntl(fd, F_SETFL, O_NONBLOCK);
	return connect(fd, TO4) == 0 ? ask(fd) : finish_nonblocking(fd);
}

/* Made, set, connected and waited for by numbers. */
static enum outcome nonblocking_by_syscall(void)
{
	long fd = syscall(SYS_socket, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct pollfd p = { .fd = (int)fd, .events = POLLOUT };
	struct timespec limit = { limit_ms / 1000, limit_ms % 1000 * 1000000L };
	struct timeval tv = { limit_ms / 1000, limit_ms % 1000 * 1000 };

	setsockopt((int)fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (syscall(SYS_connect, fd, TO4) < 0 && errno != EINPROGRESS)
		return failed("connect");
	if (syscall(SYS_ppoll, &p, 1, &limit, NULL, 8) != 1)
		return failed("ppoll");
	syscall(SYS_fcntl, fd, F_SETFL, 0);
	if (syscall(SYS_write, fd, request, strlen(request)) < 0)
		return failed("write");
	return await((int)fd);
}

static enum outcome after_duplicate(void)
{
	int fd = stream(AF_INET, 0), other = dup(fd);

	close(fd);
	return connected(other, connect(other, TO4));
}

static void *in_thread(void *ret)
{
	*(enum outcome *)ret = plain();
	return NULL;
}

static enum outcome thread(void)
{
	enum outcome outcome = ZOO_FAILED;
	pthread_t id;

	if (pthread_create(&id, NULL, in_thread, &outcome) != 0)
		return ZOO_FAILED;
	pthread_join(id, NULL);
	return outcome;
}

static volatile enum outcome of_handler;

static void in_handler(int sig)
{
	(void)sig;
	of_handler = plain();
}

static enum outcome handler(void)
{
	signal(SIGUSR1, in_handler);
	raise(SIGUSR1);
	return of_handler;
}

static enum outcome forked(void)
{
	int pid = fork();

	if (pid == 0)
		_exit((int)plain());
	return child_outcome(pid);
}

/* No handlers of pthread_atfork() run. */
static enum outcome forked_quietly(void)
{
	int pid = _Fork();

	if (pid == 0)
		_exit((int)plain());
	return child_outcome(pid);
}

static enum outcome cloned(void)
{
	long pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);

	if (pid == 0)
		_exit((int)plain());
	return child_outcome((int)pid);
}

/* Another process made the socket; we only connect it. */
static enum outcome received(void)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	char octet = 'x';
	struct iovec iov = { &octet, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	int pair[2], fd, pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		return failed("socketpair");
	pid = fork();
	if (pid == 0) {
		fd = stream(AF_INET, 0);
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		_exit(sendmsg(pair[1], &msg, 0) < 0);
	}
	if (child_outcome(pid) != ZOO_HELLO || recvmsg(pair[0], &msg, 0) != 1)
		return failed("recvmsg");
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return connected(fd, connect(fd, TO4));
}

/* Used before, for something direct, under the same number. */
static enum outcome number_reused(void)
{
	int fd = stream(AF_INET, 0), other;

	syscall(SYS_close, fd);
	other = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
	syscall(SYS_close, other);
	fd = stream(AF_INET, 0);
	connect(fd, (const struct sockaddr *)&(struct sockaddr){ .sa_family = AF_UNSPEC },
		sizeof(struct sockaddr));
	return connected(fd, connect(fd, TO4));
}

/* In a sandbox that knows read, write and exit only, a connection goes on. */
static enum outcome sandboxed(void)
{
	int fd = stream(AF_INET, 0), pid;

	if (connect(fd, TO4) < 0)
		return failed("connect");
	pid = fork();
	if (pid == 0) {
		char answer[512];
		ssize_t n = 1, len = 0;

		prctl(PR_SET_SECCOMP, 1 /* SECCOMP_MODE_STRICT */);
		if (write(fd, request, strlen(request)) < 0)
			syscall(SYS_exit, ZOO_FAILED);
		while (n > 0 && (n = read(fd, answer + len, sizeof(answer) - 1 - (size_t)len)) > 0)
			len += n;
		answer[len] = '\0';
		syscall(SYS_exit, strstr(answer, "hello") != NULL ? ZOO_HELLO : ZOO_FAILED);
	}
	return child_outcome(pid);
}

struct ring {
	int fd;
	uint8_t *sq, *cq;
	struct io_uring_sqe *sqes;
	struct io_uring_params params;
};

static uint32_t *at(uint8_t *base, uint32_t offset)
{
	return (uint32_t *)(void *)(base + offset);
}

static bool make_ring(struct ring *r)
{
	size_t size;

	memset(&r->params, 0, sizeof(r->params));
	r->fd = (int)syscall(SYS_io_uring_setup, 4, &r->params);
	if (r->fd < 0)
		return false;
	size = r->params.sq_off.array + r->params.sq_entries * sizeof(uint32_t);
	r->sq = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
	size = r->params.cq_off.cqes + r->params.cq_entries * sizeof(struct io_uring_cqe);
	r->cq = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_CQ_RING);
	r->sqes = mmap(NULL, r->params.sq_entries * sizeof(*r->sqes), PROT_READ | PROT_WRITE,
		       MAP_SHARED, r->fd, IORING_OFF_SQES);
	return r->sq != MAP_FAILED && r->cq != MAP_FAILED && r->sqes != MAP_FAILED;
}

static enum outcome uring(void)
{
	int fd = stream(AF_INET, 0);
	struct ring r;

	if (!make_ring(&r))
		return errno == ENOSYS ? failed("io_uring_setup") : ZOO_ABSENT;
	memset(r.sqes, 0, sizeof(*r.sqes));
	r.sqes[0].opcode = IORING_OP_CONNECT;
	r.sqes[0].fd = fd;
	r.sqes[0].addr = (uint64_t)(uintptr_t)&target4;
	r.sqes[0].off = sizeof(target4);
	*at(r.sq, r.params.sq_off.array) = 0;
	__atomic_store_n(at(r.sq, r.params.sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, r.fd, 1, 0, 0, NULL, 0) < 0)
		return failed("io_uring_enter");
	return ZOO_SENT;
}

const struct trick connect_tricks[] = {
	{ "connect", plain, true },
	{ "connect-inet6", plain6, true },
	{ "connect-mapped", mapped, true },
	{ "connect-alias", alias, true },
	{ "connect-syscall", by_syscall, true },
	{ "connect-all-syscall", all_by_syscall, true },
	{ "connect-nonblocking", nonblocking, true },
	{ "connect-nonblocking-syscall", nonblocking_by_syscall, true },
	{ "connect-duplicate", after_duplicate, true },
	{ "connect-thread", thread, true },
	{ "connect-handler", handler, true },
	{ "connect-fork", forked, true },
	{ "connect-quiet-fork", forked_quietly, true },
	{ "connect-clone", cloned, true },
	{ "connect-received", received, true },
	{ "connect-number-reused", number_reused, true },
	{ "connect-sandbox", sandboxed, true },
	{ "connect-io-uring", uring, false },
	{ "fastopen-sendto", fastopen_sendto, true },
	{ "fastopen-sendmsg", fastopen_sendmsg, true },
	{ "fastopen-sendmmsg", fastopen_sendmmsg, true },
	{ "fastopen-sendto-syscall", fastopen_sendto_syscall, true },
	{ "fastopen-sendmsg-syscall", fastopen_sendmsg_syscall, true },
	{ "fastopen-sendmmsg-syscall", fastopen_sendmmsg_syscall, true },
	{ "fastopen-option", fastopen_option, true },
	{ "mptcp", mptcp, true },
	{ "mptcp-fastopen", mptcp_fastopen, false },
	{ "sctp", sctp, false },
	{ "sctp-connectx", sctp_connectx, false },
	{ "dccp", dccp, false },
	{ NULL, NULL, false },
};
