/* SPDX-License-Identifier: ISC */
/* likeness_end.c - the first calls after a connect has ended, in any order. */
#include "likeness.h"

static void first_error(int fd)
{
	error_show(fd);
}

static void first_connect(int fd)
{
	begin_again(fd, OPEN);
}

static void first_send(int fd)
{
	CALL(send(fd, "x", 1, 0));
}

static void first_write(int fd)
{
	CALL(write(fd, "x", 1));
}

static void first_recv(int fd)
{
	CALL(recv(fd, &(char){ 0 }, 1, MSG_DONTWAIT));
}

static void first_peek(int fd)
{
	CALL(recv(fd, &(char){ 0 }, 1, MSG_PEEK | MSG_DONTWAIT));
}

static void first_read(int fd)
{
	CALL(read(fd, &(char){ 0 }, 1));
}

static void first_names(int fd)
{
	names_show(fd);
}

static void first_count(int fd)
{
	count_show(fd);
}

static void first_events(int fd)
{
	events_show(fd);
}

static void first_shutdown(int fd)
{
	CALL(shutdown(fd, SHUT_WR));
}

static void first_unspec(int fd)
{
	unspec(fd);
}

static void first_vectors(int fd)
{
	struct iovec part = { .iov_base = &(char){ 'x' }, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	CALL(sendmsg(fd, &message, MSG_NOSIGNAL));
	CALL(recvmsg(fd, &message, MSG_DONTWAIT));
	CALL(writev(fd, &part, 1));
	CALL(readv(fd, &part, 1));
}

static void (*const firsts[])(int) = {
	first_error, first_connect, first_send,	  first_recv,	first_write,	first_peek,
	first_read,  first_names,   first_count, first_events, first_shutdown, first_unspec,
	first_vectors,
};
static const char *const first_names_list[] = {
	"error", "connect", "send",  "recv",   "write",	   "peek",    "read",
	"names", "count",   "events", "shutdown", "unspec", "vectors", NULL,
};

/* One call and a second, third of it; then what the others say. */
static void ended_first(const struct run *r)
{
	int fd = pending(r);

	settle(fd);
	connect_begins(); /* one of the calls may */
	firsts[r->kind](fd);
	events_show(fd);
	firsts[r->kind](fd);
	error_show(fd);
	firsts[r->kind](fd);
	count_show(fd);
	names_show(fd);
	events_show(fd);
	begin_again(fd, OPEN);
	still_pending();
	finish(fd, OPEN);
}

/* Each pair of those that take the error. */
static void ended_pairs(const struct run *r)
{
	int fd = pending(r);

	settle(fd);
	connect_begins(); /* one of the calls may */
	firsts[r->kind](fd);
	firsts[r->order](fd);
	firsts[r->kind](fd);
	firsts[r->order](fd);
	events_show(fd);
	still_pending();
	CALL(close(fd));
}
static const char *const takers[] = { "error", "connect", "send", "recv", NULL };

/* A socket that was refused is used again, over and over. */
static void reuse_refused(const struct run *r)
{
	int fd = tcp_socket(SOCK_NONBLOCK);

	for (int i = 0; i < 2; i++) {
		begin(fd, CLOSED);
		events_show(fd);
		still_pending();
		settle(fd);
		if (r->kind == 0)
			error_show(fd);
		if (r->kind == 2)
			unspec(fd);
		else
			begin_again(fd, CLOSED);
		names_show(fd);
		events_show(fd);
	}
	begin(fd, r->outcome);
	events_show(fd);
	names_show(fd);
	still_pending();
	finish(fd, r->outcome);
}
static const char *const reuse_kinds[] = { "error-taken", "error-left", "unspec", NULL };

/* A connected one is made fresh and used again. */
static void reuse_connected(const struct run *r)
{
	int fd = tcp_socket(SOCK_NONBLOCK);

	begin(fd, OPEN);
	settle(fd);
	converse(fd);
	unspec(fd);
	names_show(fd);
	error_show(fd);
	events_show(fd);
	begin(fd, r->outcome);
	begin_again(fd, r->outcome);
	still_pending();
	finish(fd, r->outcome);
}

/* Half closed by us, then by the other end. */
static void close_halves(const struct run *r)
{
	int fd = pending(r), epfd = epoll_create1(EPOLL_CLOEXEC);
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	settle(fd);
	epoll_add(epfd, fd, EPOLLRDHUP, 3);
	epoll_show(epfd, 0);
	converse(fd);
	epoll_show(epfd, 0);
	CALL(shutdown(fd, SHUT_WR));
	CALL(poll(&p, 1, FOREVER_MS));
	line("events %s", mask_text((unsigned)p.revents));
	epoll_show(epfd, 0);
	events_show(fd);
	CALL(recv(fd, &(char){ 0 }, 1, 0));
	CALL(send(fd, "x", 1, 0));
	names_show(fd);
	error_show(fd);
	events_show(fd);
}

/* The addresses in each state, each state in a scenario of its own. */
enum { A_FRESH, A_PENDING, A_ENDED, A_TAKEN, A_UNSPEC, A_SHUTDOWN, A_HALVES };
static const char *const address_kinds[] = { "fresh",  "pending",  "ended",  "error-taken",
					     "unspec", "shutdown", "halves", NULL };

static void addresses(const struct run *r)
{
	int fd = tcp_socket(SOCK_NONBLOCK);
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	if (r->kind != A_FRESH)
		begin(fd, r->outcome);
	if (r->kind == A_SHUTDOWN)
		CALL(shutdown(fd, SHUT_RDWR));
	if (r->kind >= A_ENDED && r->kind != A_SHUTDOWN)
		settle(fd);
	if (r->kind == A_TAKEN)
		error_show(fd);
	if (r->kind == A_UNSPEC)
		unspec(fd);
	if (r->kind == A_HALVES) {
		CALL(shutdown(fd, SHUT_WR));
		CALL(poll(&p, 1, FOREVER_MS));
	}
	addresses_show(fd);
	addresses_show(fd);
	if (r->kind == A_PENDING)
		still_pending();
	begin_again(fd, OPEN);
	addresses_show(fd);
}

const struct scenario end_scenarios[] = {
	{ "addresses", addresses, address_kinds, NULL, BOTH },
	{ "ended", ended_first, first_names_list, NULL, BOTH },
	{ "ended-pairs", ended_pairs, takers, takers, BOTH },
	{ "reuse-refused", reuse_refused, reuse_kinds, NULL, BOTH },
	{ "reuse-connected", reuse_connected, NULL, NULL, BOTH },
	{ "close-halves", close_halves, NULL, phase_names, GOES(OPEN) },
	{ NULL, NULL, NULL, NULL, 0 },
};
