/* SPDX-License-Identifier: ISC */
/* likeness_spin.c - programs that never wait, but ask again until it is done. */
#include "likeness.h"

static long ask_connect(int fd)
{
	return connect(fd, place(OPEN), sizeof(struct sockaddr_in));
}

static long ask_send(int fd)
{
	return send(fd, "x", 1, 0);
}

static long ask_recv(int fd)
{
	return recv(fd, &(char){ 0 }, 1, MSG_DONTWAIT);
}

static long ask_peer(int fd)
{
	struct sockaddr_in peer;
	socklen_t length = sizeof(peer);

	return getpeername(fd, (struct sockaddr *)&peer, &length);
}

static long ask_poll(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int n = poll(&p, 1, 0);

	errno = EAGAIN;
	return n > 0 ? p.revents : -1;
}

static long ask_select(int fd)
{
	struct timeval none = { 0, 0 };
	fd_set out;

	FD_ZERO(&out);
	FD_SET(fd, &out);
	select(fd + 1, NULL, &out, NULL, &none);
	errno = EAGAIN;
	return FD_ISSET(fd, &out) ? 0 : -1;
}

/* Each error that means "not yet", for the one call that it comes from. */
static const struct {
	long (*ask)(int);
	int not_yet;
} kinds[] = {
	{ ask_connect, EALREADY }, { ask_send, EAGAIN }, { ask_recv, EAGAIN },
	{ ask_peer, ENOTCONN },	   { ask_poll, EAGAIN }, { ask_select, EAGAIN },
};

/* What fails says nothing to getpeername, what is open nothing to recv. */
enum { CONNECT, SEND, RECV, PEER };
static const char *const kind_names[] = { "connect", "send", "poll", "select", NULL };
static const int kind_of[] = { CONNECT, SEND, 4, 5 };
static const char *const only_open[] = { "peer", NULL };
static const char *const only_closed[] = { "recv", NULL };

static long spin_on(int fd, int kind)
{
	int64_t end = now_ms() + FOREVER_MS;
	long result;

	do {
		errno = 0;
		result = kinds[kind].ask(fd);
		if (result >= 0 || errno != kinds[kind].not_yet)
			break;
		usleep(2000);
	} while (now_ms() < end);
	return record("asked until it is done", result);
}

static void spin(const struct run *r, int kind)
{
	int fd = tcp_socket(SOCK_NONBLOCK);

	begin(fd, r->outcome);
	spin_on(fd, kind);
	error_show(fd);
	names_show(fd);
	kinds[kind].ask(fd);
	events_show(fd);
	CALL(close(fd));
}

static void spin_kinds(const struct run *r)
{
	spin(r, kind_of[r->kind]);
}

static void spin_peer(const struct run *r)
{
	spin(r, PEER);
}

static void spin_recv(const struct run *r)
{
	spin(r, RECV);
}

const struct scenario spin_scenarios[] = {
	{ "spin", spin_kinds, kind_names, NULL, BOTH },
	{ "spin", spin_peer, only_open, NULL, GOES(OPEN) },
	{ "spin", spin_recv, only_closed, NULL, GOES(CLOSED) },
	{ NULL, NULL, NULL, NULL, 0 },
};
