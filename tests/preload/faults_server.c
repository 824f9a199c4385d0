/* SPDX-License-Identifier: ISC */
/* faults_server.c - a SOCKS server that goes wrong at one octet of what it says, and targets that nobody may reach. */
#include "faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct talk {
	struct faulty_server *server;
	int fd;
	unsigned said;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *start_thread(void *(*run)(void *), void *arg)
{
	pthread_t t;

	if (pthread_create(&t, NULL, run, arg) != 0)
		die("pthread_create");
	pthread_detach(t);
	return NULL;
}

static int open_socket(int type, uint32_t host, in_port_t *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = *port,
				  .sin_addr.s_addr = htonl(host) };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	if (bind(fd, (struct sockaddr *)&in, sizeof(in)) < 0) {
		close(fd);
		return -1;
	}
	if (getsockname(fd, (struct sockaddr *)&in, &len) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 64) < 0))
		die("a socket on 127.0.0.1");
	*port = in.sin_port;
	return fd;
}

static void end(struct talk *t)
{
	close(t->fd);
	free(t);
	pthread_exit(NULL);
}

static void violation(struct talk *t, const char *why)
{
	fprintf(stderr, "faults: the server gets %s\n", why);
	atomic_fetch_add(&t->server->violations, 1);
	end(t);
}

static void hear(struct talk *t, void *octets, size_t len)
{
	if (recv(t->fd, octets, len, MSG_WAITALL) != (ssize_t)len)
		end(t);
}

/* Silence, until the client goes; what it still sends is part of a handshake or early data. */
static void be_silent(struct talk *t)
{
	char octets[256];
	ssize_t n;

	while ((n = recv(t->fd, octets, sizeof(octets), 0)) > 0) {
		if (memmem(octets, (size_t)n, "LEAK", 4) != NULL)
			violation(t, "what was sent after a failure");
	}
	end(t);
}

static void reset(struct talk *t)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	end(t);
}

static void say(struct talk *t, const unsigned char *octets, size_t len)
{
	struct faulty_server *s = t->server;
	unsigned char out[BIND_REPLIES];
	bool now = s->fault != SERVER_GOOD && s->at - t->said < len && s->at >= t->said;
	size_t good = now && s->fault != SERVER_CORRUPTS ? s->at - t->said : len;

	memcpy(out, octets, len);
	if (now)
		out[s->at - t->said] ^= s->mask;
	t->said += (unsigned)len;
	if (good > 0 && send(t->fd, out, good, MSG_NOSIGNAL) != (ssize_t)good)
		end(t);
	if (good == len)
		return;
	if (s->fault == SERVER_STOPS)
		be_silent(t);
	if (s->fault == SERVER_RESETS)
		reset(t);
	end(t);
}

static void echo(struct talk *t)
{
	char octets[4];

	for (;;) {
		hear(t, octets, 4);
		if (memcmp(octets, "PING", 4) != 0)
			violation(t, "what was not sent to it");
		if (send(t->fd, octets, 4, MSG_NOSIGNAL) != 4)
			end(t);
	}
}

/* Sees to the end of the request; returns its command. */
static int hear_request(struct talk *t)
{
	unsigned char head[5], rest[260];

	hear(t, head, 5);
	if (head[0] != 5 || head[1] < 1 || head[1] > 3 || head[2] != 0 ||
	    (head[3] != 1 && head[3] != 3))
		violation(t, "no request");
	hear(t, rest, head[3] == 1 ? 3 + 2 : head[4] + 2u);
	return head[1];
}

static void *converse(void *arg)
{
	struct talk *t = arg;
	unsigned char greeting[3], reply[10] = { 5, 0, 0, 1, 127, 0, 0, 1, 0x12, 0x34 };
	struct sockaddr_in relay;
	socklen_t len = sizeof(relay);
	int command;

	hear(t, greeting, 3);
	if (memcmp(greeting, "\5\1\0", 3) != 0)
		violation(t, "no greeting");
	say(t, (const unsigned char *)"\5\0", 2);
	command = hear_request(t);
	if (getsockname(t->server->relay, (struct sockaddr *)&relay, &len) < 0)
		die("getsockname");
	if (command == 3)
		memcpy(reply + 8, &relay.sin_port, 2);
	say(t, reply, 10);
	if (command == 3)
		be_silent(t);
	if (command == 2)
		say(t, reply, 10);
	echo(t);
	return NULL;
}

static void *accept_all(void *arg)
{
	struct faulty_server *s = arg;

	for (;;) {
		struct talk *t = calloc(1, sizeof(*t));

		if (t == NULL)
			die("calloc");
		*t = (struct talk){ .server = s, .fd = accept(s->socks, NULL, NULL) };
		if (t->fd < 0)
			die("accept");
		start_thread(converse, t);
	}
	return NULL;
}

/* The header of an answer is that of the question: the target is its source. */
static void *relay_all(void *arg)
{
	struct faulty_server *s = arg;

	for (;;) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		char octets[64];
		ssize_t n = recvfrom(s->relay, octets, sizeof(octets), 0, (struct sockaddr *)&from,
				     &len);

		if (n == 14 && memcmp(octets, "\0\0\0\1", 4) == 0 && memcmp(octets + 10, "PING", 4) == 0)
			sendto(s->relay, octets, (size_t)n, 0, (struct sockaddr *)&from, len);
		else if (n >= 0)
			atomic_fetch_add(&s->violations, 1);
	}
	return NULL;
}

void faulty_server_start(struct faulty_server *s)
{
	in_port_t any = 0;

	s->socks = open_socket(SOCK_STREAM, INADDR_LOOPBACK, &s->port);
	s->relay = open_socket(SOCK_DGRAM, INADDR_LOOPBACK, &any);
	/* The same port for both. */
	do {
		s->target_port = 0;
		s->target = open_socket(SOCK_STREAM, FAULT_TARGET, &s->target_port);
		s->datagrams = open_socket(SOCK_DGRAM, FAULT_TARGET, &s->target_port);
		if (s->datagrams < 0)
			close(s->target);
	} while (s->datagrams < 0);
	start_thread(accept_all, s);
	start_thread(relay_all, s);
}

bool faulty_server_was_passed_by(const struct faulty_server *s)
{
	struct timeval now = { .tv_usec = 1 };
	char octet;

	setsockopt(s->target, SOL_SOCKET, SO_RCVTIMEO, &now, sizeof(now));
	return accept(s->target, NULL, NULL) >= 0 ||
	       recv(s->datagrams, &octet, 1, MSG_DONTWAIT) >= 0;
}
