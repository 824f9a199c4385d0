/* SPDX-License-Identifier: ISC */
/*
 * datagrams.c - a program to be linked statically, which sends datagrams.
 *
 *   datagrams COMMAND HOST PORT [HOST PORT]
 *
 * Each command prints what the system calls said, errnos as numbers.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static struct sockaddr_storage target, other;
static socklen_t target_len, other_len;

static socklen_t resolve(const char *host, const char *port, struct sockaddr_storage *ret)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM }, *list;
	int err = getaddrinfo(host, port, &hints, &list);

	if (err != 0) {
		printf("getaddrinfo: %s\n", gai_strerror(err));
		exit(1);
	}
	memcpy(ret, list->ai_addr, list->ai_addrlen);
	return list->ai_addrlen;
}

static int outcome(long result)
{
	return result < 0 ? errno : 0;
}

/* A lost datagram must not hang the test. */
static int udp(int flags)
{
	struct timeval limit = { 10, 0 };
	int fd = socket(target.ss_family, SOCK_DGRAM | flags, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

static bool is_from(const struct sockaddr_storage *from, const struct sockaddr_storage *to,
		    socklen_t len)
{
	return memcmp(from, to, len) == 0;
}

static void print(const char *what, ssize_t n, const char *octets,
		  const struct sockaddr_storage *from, const struct sockaddr_storage *to)
{
	if (n < 0)
		printf("%s: errno %d\n", what, errno);
	else
		printf("%s: %.*s from %s\n", what, (int)n, octets,
		       is_from(from, to, target_len) ? "the target" : "a stranger");
}

static void receive(int fd, const char *what, const struct sockaddr_storage *to)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	char octets[64];
	ssize_t n;

	memset(&from, 0, sizeof(from));
	n = recvfrom(fd, octets, sizeof(octets), 0, (void *)&from, &len);
	print(what, n, octets, &from, to);
}

/* each: every way to send, and to receive */
static void each(void)
{
	struct sockaddr_storage from;
	char octets[64];
	struct iovec out = { "2nd", 3 }, in = { octets, sizeof(octets) };
	struct mmsghdr mm = { { .msg_name = &target, .msg_namelen = target_len, .msg_iov = &out,
				.msg_iovlen = 1 }, 0 };
	int fd = udp(0);

	sendto(fd, "1st", 3, 0, (void *)&target, target_len);
	receive(fd, "recvfrom", &target);
	memset(&from, 0, sizeof(from));
	sendmsg(fd, &mm.msg_hdr, 0);
	mm.msg_hdr.msg_name = &from;
	mm.msg_hdr.msg_namelen = sizeof(from);
	mm.msg_hdr.msg_iov = &in;
	print("recvmsg", recvmsg(fd, &mm.msg_hdr, 0), octets, &from, &target);
	memset(&from, 0, sizeof(from));
	mm.msg_hdr.msg_name = &target;
	mm.msg_hdr.msg_namelen = target_len;
	mm.msg_hdr.msg_iov = &out;
	sendmmsg(fd, &mm, 1, 0);
	mm.msg_hdr.msg_name = &from;
	mm.msg_hdr.msg_iov = &in;
	print("recvmmsg", recvmmsg(fd, &mm, 1, 0, NULL) == 1 ? (ssize_t)mm.msg_len : -1, octets,
	      &from, &target);
}

/* connected: write and read, and who the peer is; then the same socket connected to the other one */
static void connected(void)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	char octets[64];
	int fd = udp(0);

	printf("connect: %d\n", outcome(connect(fd, (void *)&target, target_len)));
	memset(&peer, 0, sizeof(peer));
	getpeername(fd, (void *)&peer, &len);
	printf("peer: %s\n", is_from(&peer, &target, target_len) ? "the target" : "another");
	printf("write: %zd\n", write(fd, "hello", 5));
	printf("read: %zd\n", read(fd, octets, sizeof(octets)));
	write(fd, "again", 5);
	receive(fd, "recvfrom", &target);
	if (other_len == 0)
		return;
	printf("connect: %d\n", outcome(connect(fd, (void *)&other, other_len)));
	write(fd, "other", 5);
	receive(fd, "recvfrom", &other);
}

/* two: one socket, two targets, answers in any order */
static void two(void)
{
	int fd = udp(0);

	sendto(fd, "one", 3, 0, (void *)&target, target_len);
	receive(fd, "recvfrom", &target);
	sendto(fd, "two", 3, 0, (void *)&other, other_len);
	receive(fd, "recvfrom", &other);
	sendto(fd, "three", 5, 0, (void *)&target, target_len);
	receive(fd, "recvfrom", &target);
}

/* epoll: a socket that does not block, in a set before it sends */
static void by_epoll(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fd = udp(SOCK_NONBLOCK), set = epoll_create1(0);

	epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
	printf("send: %d\n", outcome(sendto(fd, "hello", 5, 0, (void *)&target, target_len)));
	printf("ready: %d\n", epoll_wait(set, &event, 1, 10000));
	receive(fd, "recvfrom", &target);
	receive(fd, "empty", &target);
}

/* errors: what a socket is told that has no way; a connected one hears it as of a closed port */
static void errors(void)
{
	struct pollfd p = { .fd = udp(0), .events = POLLIN };

	printf("send: %d\n", outcome(sendto(p.fd, "x", 1, 0, (void *)&target, target_len)));
	printf("again: %d\n", outcome(sendto(p.fd, "x", 1, 0, (void *)&target, target_len)));
	printf("connect: %d\n", outcome(connect(p.fd, (void *)&target, target_len)));
	printf("nonblocking: %d\n",
	       outcome(sendto(udp(SOCK_NONBLOCK), "x", 1, 0, (void *)&target, target_len)));
}

/* late: connected, and nothing but write: the end of the attempt is an error of the socket */
static void late(void)
{
	int fd = udp(0), error = 0;

	printf("connect: %d\n", outcome(connect(fd, (void *)&target, target_len)));
	for (int i = 0; i < 1000 && error == 0; i++) {
		error = outcome(write(fd, "x", 1));
		usleep(10000);
	}
	printf("write: %d\n", error);
}

/* last: a datagram, and the end */
static void last(void)
{
	int fd = udp(SOCK_NONBLOCK);

	connect(fd, (void *)&target, target_len);
	write(fd, "last words", 10);
}

/* sockets: more of them, one after the other, than the supervisor may have descriptors for at a time */
static void sockets(void)
{
	int failed = 0;
	char octet;

	for (int i = 0; i < 100; i++) {
		int fd = udp(0);

		if (sendto(fd, "x", 1, 0, (void *)&target, target_len) != 1 || read(fd, &octet, 1) != 1)
			failed++;
		close(fd);
	}
	printf("failed: %d\n", failed);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *word;
		void (*run)(void);
	} commands[] = {
		{ "each", each }, { "connected", connected }, { "two", two }, { "epoll", by_epoll },
		{ "errors", errors }, { "late", late }, { "last", last }, { "sockets", sockets },
	};

	if (argc < 4)
		return 2;
	target_len = resolve(argv[2], argv[3], &target);
	if (argc > 5)
		other_len = resolve(argv[4], argv[5], &other);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i].word) == 0) {
			commands[i].run();
			return 0;
		}
	return 2;
}
