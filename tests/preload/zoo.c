/* SPDX-License-Identifier: ISC */
/*
 * zoo.c - every way past a library that interposes calls, in one program.
 *
 *   zoo --list                          the tricks; "proxied" if the answer must come
 *   zoo TRICK V4 V6 PORT NAME MS [PLUGIN [STATIC]]
 *
 * Each trick tries to reach an HTTP server at that address, or at least to get
 * a packet out.  Bare it does; what it does under socksify is the test.
 */
#include "zoo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

struct sockaddr_in target4 = { .sin_family = AF_INET };
struct sockaddr_in6 target6 = { .sin6_family = AF_INET6 };
const char *host_name;
int limit_ms;
char **arguments;
const char *self, *plugin, *static_child;
const char request[] = "GET /hello HTTP/1.0\r\n\r\n";

#define LISTED 4
static const struct trick *const houses[] = {
	connect_tricks, datagram_tricks, exec_tricks, load_tricks, part_tricks
};

int stream(int domain, int protocol)
{
	struct timeval limit = { limit_ms / 1000, limit_ms % 1000 * 1000 };
	int fd = socket(domain, SOCK_STREAM, protocol);

	if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
			setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0))
		return -1;
	return fd;
}

enum outcome failed(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return ZOO_FAILED;
}

enum outcome await(int fd)
{
	char answer[4096];
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(answer) - 1 &&
	       (n = recv(fd, answer + len, sizeof(answer) - 1 - len, 0)) > 0)
		len += (size_t)n;
	answer[len] = '\0';
	if (strstr(answer, "hello through the proxy") != NULL)
		return ZOO_HELLO;
	return failed("recv");
}

enum outcome ask(int fd)
{
	if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
		return failed("send");
	return await(fd);
}

struct mmsghdr message_of(struct iovec *part)
{
	struct mmsghdr m = { .msg_len = 0 };

	m.msg_hdr.msg_name = &target4;
	m.msg_hdr.msg_namelen = sizeof(target4);
	m.msg_hdr.msg_iov = part;
	m.msg_hdr.msg_iovlen = 1;
	return m;
}

enum outcome child_outcome(int pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return failed("child");
	if (!WIFEXITED(status)) {
		fprintf(stderr, "the child died of signal %d\n", WTERMSIG(status));
		return ZOO_FAILED;
	}
	/* socksify-run's own statuses are errors. */
	return WEXITSTATUS(status) >= 125 ? ZOO_FAILED : (enum outcome)WEXITSTATUS(status);
}

static int list(void)
{
	for (size_t i = 0; i < LISTED; i++)
		for (const struct trick *t = houses[i]; t->name != NULL; t++)
			printf("%s %s\n", t->name, t->is_proxied ? "proxied" : "any");
	return 0;
}

static const struct trick *find(const char *name)
{
	for (size_t i = 0; i < sizeof(houses) / sizeof(houses[0]); i++)
		for (const struct trick *t = houses[i]; t->name != NULL; t++)
			if (strcmp(t->name, name) == 0)
				return t;
	fprintf(stderr, "there is no trick %s\n", name);
	exit(99);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		return list();
	if (argc < 7) {
		fprintf(stderr, "usage: zoo TRICK V4 V6 PORT NAME MS [PLUGIN [STATIC]]\n");
		return 99;
	}
	self = argv[0];
	arguments = argv + 2;
	if (inet_pton(AF_INET, argv[2], &target4.sin_addr) != 1 ||
	    inet_pton(AF_INET6, argv[3], &target6.sin6_addr) != 1)
		return 99;
	target4.sin_port = target6.sin6_port = htons((uint16_t)atoi(argv[4]));
	host_name = argv[5];
	limit_ms = atoi(argv[6]);
	plugin = argc > 7 ? argv[7] : NULL;
	static_child = argc > 8 ? argv[8] : NULL;
	return (int)find(argv[1])->run();
}
