/* SPDX-License-Identifier: ISC */
/* likeness_option.c - options that a handshake could trip over, and dups. */
#include "likeness.h"

static void option_show(int fd, int level, int option, const char *name)
{
	int value = -1;
	socklen_t length = sizeof(value);

	CALL(getsockopt(fd, level, option, &value, &length));
	line("%s %d", name, value);
}

/* Each with a value that would hide or delay a handshake. */
static const struct {
	int level, option, value;
} options[] = {
	{ SOL_SOCKET, SO_RCVLOWAT, 100 },
	{ IPPROTO_TCP, TCP_CORK, 1 },
	{ IPPROTO_TCP, TCP_NODELAY, 1 },
	{ IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1 },
	{ IPPROTO_TCP, TCP_DEFER_ACCEPT, 5 },
	{ SOL_SOCKET, SO_KEEPALIVE, 1 },
	{ SOL_SOCKET, SO_OOBINLINE, 1 },
	{ SOL_SOCKET, SO_REUSEADDR, 1 },
};
static const char *const option_names[] = { "rcvlowat", "cork",	     "nodelay",	  "fastopen-connect",
					    "defer",	"keepalive", "oobinline", "reuseaddr",
					    NULL };

static void set(int fd, const struct run *r)
{
	CALL(setsockopt(fd, options[r->kind].level, options[r->kind].option,
			&options[r->kind].value, sizeof(int)));
}

static void show(int fd, const struct run *r)
{
	option_show(fd, options[r->kind].level, options[r->kind].option, option_names[r->kind]);
}

/* More than any mark holds, so that it comes back in every case. */
static void converse_long(int fd)
{
	char text[400], answer[400] = "";
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t n = 0;

	memset(text, 'x', sizeof(text));
	CALL(send(fd, text, sizeof(text), 0));
	CALL(poll(&p, 1, FOREVER_MS));
	while (n < sizeof(answer) && poll(&p, 1, FOREVER_MS) == 1) {
		ssize_t got = recv(fd, answer + n, sizeof(answer) - n, MSG_DONTWAIT);

		if (got <= 0)
			break;
		n += (size_t)got;
	}
	line("answer %zu bytes, same: %d", n, memcmp(text, answer, sizeof(text)) == 0);
}

static void option_end(int fd, const struct run *r)
{
	settle(fd);
	within("the connect", since_connect_ms(), 600);
	show(fd, r);
	error_show(fd);
	if (r->outcome == OPEN)
		converse_long(fd);
	show(fd, r);
	events_show(fd);
}

static void option_before(const struct run *r)
{
	int fd = tcp_socket(SOCK_NONBLOCK);

	set(fd, r);
	show(fd, r);
	begin(fd, r->outcome);
	option_end(fd, r);
}

/* Asked, and set, while the connect is pending. */
static void option_asked(const struct run *r)
{
	int fd = tcp_socket(SOCK_NONBLOCK);

	set(fd, r);
	begin(fd, r->outcome);
	show(fd, r);
	phase_reach(fd, LATE);
	show(fd, r);
	still_pending();
	option_end(fd, r);
}

static void option_set_pending(const struct run *r)
{
	int fd = pending(r);

	show(fd, r);
	set(fd, r);
	show(fd, r);
	still_pending();
	option_end(fd, r);
}

static void option_blocking(const struct run *r)
{
	int fd = tcp_socket(0);

	set(fd, r);
	begin(fd, r->outcome);
	option_end(fd, r);
}

static void option_watched(const struct run *r)
{
	int fd = tcp_socket(SOCK_NONBLOCK), epfd = epoll_create1(EPOLL_CLOEXEC);

	set(fd, r);
	epoll_add(epfd, fd, EPOLLIN | EPOLLOUT | EPOLLET, 5);
	begin(fd, r->outcome);
	epoll_show(epfd, 60);
	still_pending();
	epoll_show(epfd, -1);
	option_end(fd, r);
}

/* Data with the SYN: the call is connect and send in one. */
static long fastopen(int fd, enum outcome outcome, int by_message)
{
	struct iovec part = { .iov_base = "first", .iov_len = 5 };
	struct sockaddr_in to;
	struct msghdr message = { .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &part,
				  .msg_iovlen = 1 };

	memcpy(&to, place(outcome), sizeof(to));
	if (by_message)
		return CALL(sendmsg(fd, &message, MSG_FASTOPEN));
	return CALL(sendto(fd, "first", 5, MSG_FASTOPEN, (struct sockaddr *)&to, sizeof(to)));
}

static void fastopen_nonblocking(const struct run *r)
{
	int fd = tcp_socket(SOCK_NONBLOCK);

	connect_begins();
	fastopen(fd, r->outcome, r->kind);
	fastopen(fd, r->outcome, r->kind);
	CALL(send(fd, "x", 1, 0));
	events_show(fd);
	names_show(fd);
	begin_again(fd, r->outcome);
	still_pending();
	settle(fd);
	fastopen(fd, r->outcome, r->kind);
	finish(fd, OPEN);
}

static void fastopen_blocking(const struct run *r)
{
	char answer[8] = "";
	struct pollfd p;
	int fd = tcp_socket(0);

	p = (struct pollfd){ .fd = fd, .events = POLLIN };
	if (fastopen(fd, r->outcome, r->kind) == 5) {
		poll(&p, 1, FOREVER_MS);
		CALL(recv(fd, answer, 5, MSG_WAITALL));
		line("answer %s", answer);
	}
	names_show(fd);
	error_show(fd);
	fastopen(fd, r->outcome, r->kind);
	events_show(fd);
}
static const char *const fastopen_kinds[] = { "sendto", "sendmsg", NULL };

enum dup_kind { DUP, DUP2, DUP3, F_DUP };
static const char *const dup_kinds[] = { "dup", "dup2", "dup3", "f_dupfd", NULL };
enum dup_order { DUP_FIRST, DUP_PENDING, DUP_CLOSES_OLD, DUP_CLOSES_NEW };
static const char *const dup_orders[] = { "before", "pending", "old-closed", "new-closed", NULL };

static int dup_by(enum dup_kind kind, int fd)
{
	int over = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (kind == DUP2)
		return dup2(fd, over);
	if (kind == DUP3)
		return dup3(fd, over, O_CLOEXEC);
	return kind == F_DUP ? fcntl(fd, F_DUPFD_CLOEXEC, 100) : dup(fd);
}

/* One socket by two fds. */
static void dups(const struct run *r)
{
	int fd = tcp_socket(SOCK_NONBLOCK), epfd = epoll_create1(EPOLL_CLOEXEC), copy = -1;

	epoll_add(epfd, fd, EPOLLOUT, 1);
	if (r->order == DUP_FIRST)
		copy = dup_by((enum dup_kind)r->kind, fd);
	begin(fd, r->outcome);
	if (r->order != DUP_FIRST)
		copy = dup_by((enum dup_kind)r->kind, fd);
	epoll_add(epfd, copy, EPOLLIN | EPOLLOUT | EPOLLET, 2);
	events_show(copy);
	begin_again(copy, r->outcome);
	epoll_show(epfd, 0);
	if (r->order == DUP_CLOSES_OLD)
		CALL(close(fd));
	if (r->order == DUP_CLOSES_NEW)
		CALL(close(copy));
	if (r->order == DUP_CLOSES_OLD)
		fd = copy;
	still_pending();
	settle(fd);
	epoll_show(epfd, 0);
	epoll_show(epfd, 0);
	finish(fd, r->outcome);
	if (r->order < DUP_CLOSES_OLD)
		finish(copy, r->outcome);
}

static void replace_by(int fd, int other, int kind)
{
	if (kind == 0)
		CALL(dup2(other, fd) == fd);
	else if (kind == 1)
		CALL(dup3(other, fd, O_CLOEXEC) == fd);
	else
		CALL(close_range((unsigned)fd, (unsigned)fd, 0));
}
static const char *const replace_kinds[] = { "dup2", "dup3", "close_range", NULL };

/* Another file takes its number while it is pending. */
static void replaced(const struct run *r)
{
	int epfd = epoll_create1(EPOLL_CLOEXEC), other = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fd = tcp_socket(SOCK_NONBLOCK);

	epoll_add(epfd, fd, EPOLLIN | EPOLLOUT, 1);
	begin(fd, r->outcome);
	phase_reach(fd, r->order);
	replace_by(fd, other, r->kind);
	still_pending();
	events_show(fd);
	CALL(write(fd, "x", 1));
	CALL(read(fd, &(char){ 0 }, 1));
	error_show(fd);
	epoll_show(epfd, 300);
	CALL(close(fd));
	fd = tcp_socket(SOCK_NONBLOCK);
	epoll_add(epfd, fd, EPOLLOUT, 2);
	begin(fd, OPEN);
	epoll_show(epfd, -1);
	finish(fd, OPEN);
}

const struct scenario option_scenarios[] = {
	{ "replaced", replaced, replace_kinds, phase_names, BOTH | GOES(VOID) },
	{ "option", option_before, option_names, NULL, BOTH },
	{ "option-asked", option_asked, option_names, NULL, BOTH },
	{ "option-set-pending", option_set_pending, option_names, phase_names, BOTH },
	{ "option-blocking", option_blocking, option_names, NULL, BOTH },
	{ "option-watched", option_watched, option_names, NULL, BOTH },
	{ "fastopen", fastopen_nonblocking, fastopen_kinds, NULL, BOTH },
	{ "fastopen-blocking", fastopen_blocking, fastopen_kinds, NULL, BOTH },
	{ "dup", dups, dup_kinds, dup_orders, BOTH },
	{ NULL, NULL, NULL, NULL, 0 },
};
