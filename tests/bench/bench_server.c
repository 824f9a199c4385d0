/* SPDX-License-Identifier: ISC */
/*
 * bench_server.c - the other side of the benchmarks, in one epoll loop.
 *
 *     bench_server PROXY-ADDRESS TARGET-ADDRESS
 *
 * A SOCKS5 server at PROXY-ADDRESS:1080 and an echo, TCP and UDP, at
 * TARGET-ADDRESS:7.  Whatever is asked for, the SOCKS server connects to an
 * echo of its own, so that a proxied connection costs this process what a
 * direct one does.  Names (RESOLVE, as Tor has it) are 203.0.113.1.
 * The first octet of each answer is 'P' through SOCKS, and 'D' direct.
 * Says "ready" when it listens.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROXY_PORT  1080
#define TARGET_PORT 7
#define BLOCK	    65536

enum kind { SOCKS_LISTENER, ECHO_LISTENER, UDP_ECHO, UDP_RELAY, GREETING, REQUEST, ECHO };

struct source {
	int fd;
	enum kind kind;
	char mark;	       /* 'P' or 'D' */
	size_t length;	       /* of a SOCKS message so far, or of what waits to be sent */
	unsigned char *bytes;  /* BLOCK of them for an echo, less before */
	size_t sent;
};

static int epoll;
static struct sockaddr_in relay; /* where the UDP relay is */

static void give_up(const char *what)
{
	perror(what);
	exit(1);
}

static struct source *watch(int fd, enum kind kind, char mark)
{
	struct source *s = calloc(1, sizeof(*s));
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = s };

	if (s == NULL || (s->bytes = malloc(BLOCK)) == NULL)
		give_up("malloc");
	s->fd = fd;
	s->kind = kind;
	s->mark = mark;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		give_up("epoll_ctl");
	return s;
}

static void end(struct source *s)
{
	close(s->fd);
	free(s->bytes);
	free(s);
}

static struct sockaddr_in address_of(const char *text, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };

	if (inet_pton(AF_INET, text, &a.sin_addr) != 1)
		give_up(text);
	return a;
}

static void bind_source(struct sockaddr_in a, int type, enum kind kind, char mark)
{
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		give_up("bind");
	if (type == SOCK_STREAM && listen(fd, 16384) < 0)
		give_up("listen");
	watch(fd, kind, mark);
}

static void accept_all(const struct source *listener)
{
	int fd, one = 1;

	while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		watch(fd, listener->kind == SOCKS_LISTENER ? GREETING : ECHO, listener->mark);
	}
}

static void answer_datagram(const struct source *s)
{
	unsigned char d[2048];
	struct sockaddr_in from;
	socklen_t length = sizeof(from);
	size_t header = s->kind == UDP_RELAY ? 10 : 0; /* that of an IPv4 address */
	ssize_t n = recvfrom(s->fd, d, sizeof(d), 0, (struct sockaddr *)&from, &length);

	if (n <= (ssize_t)header)
		return;
	d[header] = (unsigned char)s->mark;
	if (sendto(s->fd, d, (size_t)n, 0, (struct sockaddr *)&from, length) < 0)
		perror("sendto");
}

/* The length of the request that @m begins with, 0 while that is unknown. */
static size_t request_length(const unsigned char *m, size_t have)
{
	if (have < 5)
		return 0;
	return m[3] == 1 ? 10 : m[3] == 4 ? 22 : 7u + m[4];
}

static bool reply(struct source *s)
{
	unsigned char m[10] = { 5, 0, 0, 1 };
	struct sockaddr_in a = relay;

	if (s->bytes[1] == 0xf0)
		inet_pton(AF_INET, "203.0.113.1", &a.sin_addr);
	memcpy(m + 4, &a.sin_addr, 4);
	memcpy(m + 8, &a.sin_port, 2);
	return send(s->fd, m, sizeof(m), MSG_NOSIGNAL) == sizeof(m);
}

/* Sends what is there of the echo; the rest when there is room. */
static bool echo_rest(struct source *s)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = s };
	bool waited = s->sent > 0;
	ssize_t n = send(s->fd, s->bytes + s->sent, s->length - s->sent, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN)
		return false;
	s->sent += n > 0 ? (size_t)n : 0;
	if (s->sent < s->length) {
		event.events = EPOLLOUT;
		waited = true;
	} else {
		s->sent = s->length = 0;
	}
	return !waited || epoll_ctl(epoll, EPOLL_CTL_MOD, s->fd, &event) == 0;
}

/* A whole message, and perhaps the next ones: pipelined, and data with them. */
static bool converse(struct source *s)
{
	size_t used = 0;

	if (s->kind == GREETING && s->length >= 2 && s->length >= 2u + s->bytes[1]) {
		used = 2u + s->bytes[1];
		s->kind = REQUEST;
		if (send(s->fd, "\5", 2, MSG_NOSIGNAL) != 2)
			return false;
	} else if (s->kind == REQUEST) {
		used = request_length(s->bytes, s->length);
		if (used == 0 || used > s->length)
			return true;
		if (!reply(s))
			return false;
		s->kind = ECHO;
	}
	s->length -= used;
	memmove(s->bytes, s->bytes + used, s->length);
	if (s->kind == ECHO && s->length > 0) {
		s->bytes[0] = (unsigned char)s->mark;
		return echo_rest(s);
	}
	return used == 0 || s->length == 0 || converse(s);
}

static bool stream_event(struct source *s, uint32_t events)
{
	ssize_t n;

	if (s->kind == ECHO && s->length > 0)
		return (events & (EPOLLERR | EPOLLHUP)) == 0 && echo_rest(s);
	n = recv(s->fd, s->bytes + s->length, BLOCK - s->length, 0);
	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	s->length += (size_t)n;
	return converse(s);
}

static void serve(struct source *s, uint32_t events)
{
	switch (s->kind) {
	case SOCKS_LISTENER:
	case ECHO_LISTENER:
		accept_all(s);
		break;
	case UDP_ECHO:
	case UDP_RELAY:
		answer_datagram(s);
		break;
	case GREETING:
	case REQUEST:
	case ECHO:
		if (!stream_event(s, events))
			end(s);
	}
}

int main(int argc, char **argv)
{
	struct rlimit files;
	struct epoll_event events[64];

	if (argc != 3) {
		fprintf(stderr, "usage: bench_server PROXY-ADDRESS TARGET-ADDRESS\n");
		return 2;
	}
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	relay = address_of(argv[1], PROXY_PORT);
	bind_source(relay, SOCK_STREAM, SOCKS_LISTENER, 'P');
	bind_source(relay, SOCK_DGRAM, UDP_RELAY, 'P');
	bind_source(address_of(argv[2], TARGET_PORT), SOCK_STREAM, ECHO_LISTENER, 'D');
	bind_source(address_of(argv[2], TARGET_PORT), SOCK_DGRAM, UDP_ECHO, 'D');
	puts("ready");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(epoll, events, 64, -1);

		for (int i = 0; i < n; i++)
			serve(events[i].data.ptr, events[i].events);
	}
}
