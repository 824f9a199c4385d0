/* SPDX-License-Identifier: ISC */
/*
 * counts.c - the same few calls again and again, between marks that a trace shows.
 * run-counts counts the system calls in between.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TIMES 20

static struct sockaddr_in to, to_datagrams;

static void expect(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

/* A call that fails, does nothing and can be found in a trace. */
static void mark(const char *name)
{
	expect(chdir(name) < 0, "chdir");
}

static void blocking(void)
{
	char octet = 'x';
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	expect(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0, "connect");
	expect(write(fd, &octet, 1) == 1 && read(fd, &octet, 1) == 1, "echo");
	close(fd);
}

/* Sends and goes, without an answer. */
static void sent(void)
{
	char octet = 'x';
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	expect(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0, "connect");
	expect(write(fd, &octet, 1) == 1, "write");
	close(fd);
}

static void nonblocking(void)
{
	char octet = 'x';
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	expect(connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno == EINPROGRESS,
	       "connect");
	expect(poll(&p, 1, 5000) == 1 && p.revents == POLLOUT, "poll");
	expect(write(fd, &octet, 1) == 1, "write");
	p.events = POLLIN;
	expect(poll(&p, 1, 5000) == 1 && read(fd, &octet, 1) == 1, "echo");
	close(fd);
}

/* Calls on a connection that is made: each is one system call, with us and without. */
static void connected(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer), size = sizeof(int);
	char octet = 'x';
	int error;

	expect(write(fd, &octet, 1) == 1 && read(fd, &octet, 1) == 1, "echo");
	expect(send(fd, &octet, 1, 0) == 1 && recv(fd, &octet, 1, 0) == 1, "echo");
	expect(poll(&p, 1, 0) == 1, "poll");
	expect(getpeername(fd, (struct sockaddr *)&peer, &len) == 0, "getpeername");
	expect(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0, "getsockopt");
}

static void new_name(void)
{
	static int count;
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *list;
	char name[32];

	snprintf(name, sizeof(name), "n%d.example.test", count++);
	expect(getaddrinfo(name, "80", &hints, &list) == 0, "getaddrinfo");
	freeaddrinfo(list);
}

static int datagrams;	/* a UDP socket */

static void pair(void)
{
	char octet = 'x';

	expect(send(datagrams, &octet, 1, 0) == 1 && recv(datagrams, &octet, 1, 0) == 1, "pair");
}

static void pair_to(void)
{
	char octet = 'x';

	expect(sendto(datagrams, &octet, 1, 0, (struct sockaddr *)&to_datagrams,
		      sizeof(to_datagrams)) == 1 && recv(datagrams, &octet, 1, 0) == 1, "pair");
}

static void pair_polled(void)
{
	struct pollfd p = { .fd = datagrams, .events = POLLIN };
	char octet = 'x';

	expect(send(datagrams, &octet, 1, 0) == 1 && poll(&p, 1, 5000) == 1 &&
	       recv(datagrams, &octet, 1, 0) == 1, "pair");
}

static void association(void)
{
	datagrams = socket(AF_INET, SOCK_DGRAM, 0);
	pair_to();
	close(datagrams);
}

static void repeat(const char *name, void (*fn)(void))
{
	fn(); /* once for what is only done once */
	mark(name);
	for (int i = 0; i < TIMES; i++)
		fn();
	mark("end");
}

static void all_datagrams(uint16_t port)
{
	to_datagrams = to;
	to_datagrams.sin_port = htons(port);
	datagrams = socket(AF_INET, SOCK_DGRAM, 0);
	repeat("pair_to", pair_to);
	expect(connect(datagrams, (struct sockaddr *)&to_datagrams, sizeof(to_datagrams)) == 0,
	       "connect");
	repeat("pair", pair);
	repeat("pair_polled", pair_polled);
	close(datagrams);
	repeat("association", association);
}

int main(int argc, char **argv)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (argc < 2) {
		fprintf(stderr, "usage: counts PORT [DATAGRAM-PORT [names]]\n");
		return 2;
	}
	to.sin_family = AF_INET;
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((uint16_t)atoi(argv[1]));
	repeat("blocking", blocking);
	repeat("sent", sent);
	repeat("nonblocking", nonblocking);
	expect(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0, "connect");
	mark("connected");
	for (int i = 0; i < TIMES; i++)
		connected(fd);
	mark("end");
	close(fd);
	for (int i = 0; argc > 3 && i < 5; i++)
		repeat("name", new_name);
	if (argc > 2)
		all_datagrams((uint16_t)atoi(argv[2]));
	return 0;
}
