/* SPDX-License-Identifier: ISC */
/*
 * step_server.c - a SOCKS5 server and echo target whose steps a test controls.
 *
 *	step_server [SCRIPT[:N]]...	(step_script.h; a listener for each)
 *
 * It prints "CONTROL ECHO SOCKS..." - the UDP port of its control, the port of
 * the echo target, the port of each listener; all on 127.0.0.1.  A datagram to
 * the control is "COMMAND [N]" and is answered with a number:
 *
 *	accepted direct open max finished gone live violations	a counter
 *	reset		all counters but open and live become 0
 *	waiting N	how many conversations wait at gate N
 *	let N, refuse N	gate N opens, or answers with code 5; for good
 *	bare N		a port whose connections stay pending until gate N is
 *			decided, without SOCKS: its accept queue is full
 *	closed		a port that refuses
 */
#include "step_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 4096 }; /* of a millisecond each */

struct gate {
	struct source listener; /* bare connections wait here */
	struct conn *waiting;
	unsigned count;
	enum { SHUT, OPEN, REFUSES } state;
};

static int epfd;
static struct conn *slots[SLOTS];
static uint64_t clock_ms; /* slots up to here are done */
static struct gate gates[STEP_GATES];
static struct source control = { .kind = SOURCE_CONTROL };
static unsigned closed_port;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void watch(struct source *s, uint32_t events, bool add)
{
	struct epoll_event e = { .events = events, .data.ptr = s };

	if (epoll_ctl(epfd, add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, s->fd, &e) < 0)
		die("epoll_ctl");
}

static void link_to(struct conn *c, struct conn **head)
{
	c->next = *head;
	c->link = head;
	if (c->next != NULL)
		c->next->link = &c->next;
	*head = c;
}

void timer_set(struct conn *c, unsigned ms)
{
	uint64_t at = now_ms() + (ms < SLOTS - 8 ? ms : SLOTS - 8) + 1;

	link_to(c, &slots[at % SLOTS]);
}

static void timers_run(void)
{
	for (uint64_t now = now_ms(); clock_ms < now;) {
		struct conn **slot = &slots[++clock_ms % SLOTS];

		while (*slot != NULL) {
			struct conn *c = *slot;

			conn_unlink(c);
			conn_go_on(c);
		}
	}
}

/* Milliseconds until the next timer, -1 without one. */
static int timers_next(void)
{
	for (unsigned ms = 1; ms < SLOTS; ms++) {
		if (slots[(clock_ms + ms) % SLOTS] != NULL)
			return (int)ms;
	}
	return -1;
}

bool gate_hold(struct conn *c, unsigned n, unsigned char *ret_rep)
{
	struct gate *g = &gates[n % STEP_GATES];

	if (g->state == SHUT) {
		link_to(c, &g->waiting);
		return true;
	}
	*ret_rep = g->state == OPEN ? 0 : 5;
	return false;
}

static unsigned gate_waiting(unsigned n)
{
	unsigned count = 0;

	for (struct conn *c = gates[n % STEP_GATES].waiting; c != NULL; c = c->next)
		count++;
	return count;
}

static int loopback_socket(int type, uint16_t *ret_port)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&in, sizeof(in)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&in, &len) < 0)
		die("a socket on 127.0.0.1");
	*ret_port = ntohs(in.sin_port);
	return fd;
}

static uint16_t listen_on(struct source *s, int backlog)
{
	uint16_t port;

	s->fd = loopback_socket(SOCK_STREAM, &port);
	if (listen(s->fd, backlog) < 0)
		die("listen");
	return port;
}

/*
 * A queue of one, and one that fills it: what comes next stays in SYN_SENT,
 * and its SYN is sent again each second.
 */
static unsigned gate_bare(unsigned n)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct source *s = &gates[n % STEP_GATES].listener;
	int filler = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	s->kind = SOURCE_GATE;
	in.sin_port = htons(listen_on(s, 0));
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (filler < 0 || connect(filler, (struct sockaddr *)&in, sizeof(in)) < 0)
		die("connect to a gate");
	close(filler);
	return ntohs(in.sin_port);
}

static unsigned gate_decide(unsigned n, bool open)
{
	struct gate *g = &gates[n % STEP_GATES];
	unsigned count = gate_waiting(n);

	g->state = open ? OPEN : REFUSES;
	while (g->waiting != NULL) {
		struct conn *c = g->waiting;

		conn_unlink(c);
		conn_reply(c, open ? 0 : 5);
	}
	if (g->listener.fd > 0 && open) {
		if (listen(g->listener.fd, 4096) < 0)
			die("listen");
		watch(&g->listener, EPOLLIN, true);
	} else if (g->listener.fd > 0) {
		close(g->listener.fd);
		g->listener.fd = -1;
	}
	return count;
}

static unsigned command(const char *word, unsigned n)
{
	const struct { const char *name; unsigned value; } values[] = {
		{ "accepted", counters.accepted }, { "direct", counters.direct },
		{ "open", counters.open }, { "max", counters.max },
		{ "finished", counters.finished }, { "gone", counters.gone },
		{ "live", counters.live }, { "violations", counters.violations },
		{ "closed", closed_port },
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		if (strcmp(word, values[i].name) == 0)
			return values[i].value;
	}
	if (strcmp(word, "waiting") == 0)
		return gate_waiting(n);
	if (strcmp(word, "let") == 0 || strcmp(word, "refuse") == 0)
		return gate_decide(n, word[0] == 'l');
	if (strcmp(word, "bare") == 0)
		return gate_bare(n);
	if (strcmp(word, "reset") != 0)
		fprintf(stderr, "step_server: no command %s\n", word);
	counters = (struct counters){ .open = counters.open, .live = counters.live };
	return 0;
}

static void control_event(void)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char text[64], word[32] = "";
	unsigned n = 0;
	ssize_t got = recvfrom(control.fd, text, sizeof(text) - 1, 0,
			       (struct sockaddr *)&from, &len);

	if (got < 0)
		return;
	text[got] = '\0';
	sscanf(text, "%31s %u", word, &n);
	got = snprintf(text, sizeof(text), "%u", command(word, n));
	sendto(control.fd, text, (size_t)got, 0, (struct sockaddr *)&from, len);
}

static void source_event(struct source *s, uint32_t events)
{
	if (s->kind == SOURCE_CONN) {
		conn_event((struct conn *)s, events);
		return;
	}
	if (s->kind == SOURCE_CONTROL) {
		control_event();
		return;
	}
	for (int fd; (fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;)
		conn_begin(fd, s);
	if (errno != EAGAIN && errno != ECONNABORTED && errno != EBADF)
		die("accept");
}

static void parse_listener(const char *text, struct source *ret)
{
	static const char *const names[] = STEP_NAMES;
	size_t len = strcspn(text, ":");

	ret->kind = SOURCE_SOCKS;
	ret->arg = text[len] == ':' ? (unsigned)atoi(text + len + 1) : 0;
	for (unsigned s = 0; s < STEP_SCRIPTS; s++) {
		if (strlen(names[s]) == len && memcmp(names[s], text, len) == 0) {
			ret->script = (enum step_script)s;
			return;
		}
	}
	fprintf(stderr, "step_server: no script %s\n", text);
	exit(2);
}

static void open_all(int count, char **scripts)
{
	static struct source echo = { .kind = SOURCE_ECHO };
	struct source *listeners = calloc((size_t)count + 1, sizeof(*listeners));
	uint16_t port;

	if (listeners == NULL || (epfd = epoll_create1(EPOLL_CLOEXEC)) < 0)
		die("epoll_create1");
	loopback_socket(SOCK_STREAM, &port); /* bound, and does not listen */
	closed_port = port;
	control.fd = loopback_socket(SOCK_DGRAM, &port);
	watch(&control, EPOLLIN, true);
	printf("%u %u", port, listen_on(&echo, 4096));
	watch(&echo, EPOLLIN, true);
	for (int i = 0; i < count; i++) {
		parse_listener(scripts[i], &listeners[i]);
		printf(" %u", listen_on(&listeners[i], 4096));
		watch(&listeners[i], EPOLLIN, true);
	}
	printf("\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct epoll_event events[256];
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	open_all(argc - 1, argv + 1);
	clock_ms = now_ms();
	for (;;) {
		int n = epoll_wait(epfd, events, 256, timers_next());

		for (int i = 0; i < n; i++)
			source_event(events[i].data.ptr, events[i].events);
		timers_run();
		conn_bury();
	}
}
