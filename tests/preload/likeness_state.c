/* SPDX-License-Identifier: ISC */
/* likeness_state.c - each call on a socket that is connecting. */
#include <arpa/inet.h>
#include <sys/sendfile.h>

#include "likeness.h"

static void ask_names(int fd)
{
	names_show(fd);
}

static void ask_connect(int fd)
{
	begin_again(fd, OPEN);
	begin_again(fd, CLOSED);
}

static void ask_send(int fd)
{
	CALL(send(fd, "x", 1, 0));
	CALL(send(fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL));
	CALL(sendto(fd, "x", 1, 0, place(OPEN), sizeof(struct sockaddr_in)));
	CALL(write(fd, "x", 1));
	CALL(write(fd, "", 0));
	CALL(send(fd, "", 0, 0));
}

static void ask_send_vectors(int fd)
{
	struct iovec part = { .iov_base = "x", .iov_len = 1 };
	struct mmsghdr message = { .msg_hdr = { .msg_iov = &part, .msg_iovlen = 1 } };

	CALL(writev(fd, &part, 1));
	CALL(sendmsg(fd, &message.msg_hdr, 0));
	CALL(sendmmsg(fd, &message, 1, 0));
}

static void ask_receive(int fd)
{
	char buffer[8];

	CALL(recv(fd, buffer, 8, 0));
	CALL(recv(fd, buffer, 8, MSG_PEEK));
	CALL(recv(fd, buffer, 8, MSG_DONTWAIT));
	CALL(recvfrom(fd, buffer, 8, 0, NULL, NULL));
	CALL(read(fd, buffer, 8));
	CALL(read(fd, buffer, 0));
	CALL(recv(fd, buffer, 0, 0));
	CALL(recv(fd, buffer, 1, MSG_OOB));
}

static void ask_receive_vectors(int fd)
{
	char buffer[8];
	struct iovec part = { .iov_base = buffer, .iov_len = 8 };
	struct mmsghdr message = { .msg_hdr = { .msg_iov = &part, .msg_iovlen = 1 } };

	CALL(readv(fd, &part, 1));
	CALL(recvmsg(fd, &message.msg_hdr, 0));
	CALL(recvmmsg(fd, &message, 1, 0, NULL));
}

static void ask_files(int fd)
{
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), ends[2];
	off_t at = 0;

	CALL(sendfile(fd, file, &at, 16));
	line("offset %lld", (long long)at);
	if (pipe2(ends, O_CLOEXEC) < 0 || write(ends[1], "x", 1) != 1)
		abort();
	CALL(splice(ends[0], NULL, fd, NULL, 1, SPLICE_F_NONBLOCK));
	CALL(splice(fd, NULL, ends[1], NULL, 1, SPLICE_F_NONBLOCK));
	close(file);
	close(ends[0]);
	close(ends[1]);
}

static void ask_listen(int fd)
{
	CALL(listen(fd, 1));
	CALL(accept(fd, NULL, NULL));
	CALL(bind(fd, place(OPEN), sizeof(struct sockaddr_in)));
}

static void ask_flags(int fd)
{
	int value = -1;
	socklen_t length = sizeof(value);

	line("F_GETFL %x", (unsigned)fcntl(fd, F_GETFL));
	line("F_GETFD %x", (unsigned)fcntl(fd, F_GETFD));
	CALL(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &length));
	CALL(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &length));
	line("SO_ACCEPTCONN %d", value);
}

static void (*const questions[])(int) = {
	events_show, error_show, ask_names, ask_connect, ask_send, ask_send_vectors, ask_receive,
	ask_receive_vectors, ask_files, count_show, ask_flags, ask_listen,
};
static const char *const question_names[] = {
	"events", "error", "names", "connect", "send", "send-vectors", "receive",
	"receive-vectors", "files", "count", "flags", "listen", NULL,
};

/* One question of a pending connect, then to its end. */
static void ask_pending(const struct run *r)
{
	int fd = pending(r);

	questions[r->kind](fd);
	questions[r->kind](fd);
	still_pending();
	finish(fd, r->outcome);
}

/* All questions one after the other, of one that stays pending. */
static void ask_all(const struct run *r)
{
	int fd = pending(r);

	for (size_t i = 0; question_names[i] != NULL; i++)
		questions[i](fd);
	for (size_t i = 0; question_names[i] != NULL; i++)
		questions[i](fd);
	CALL(close(fd));
}

/* The same of a socket before any connect, which does not block. */
static void ask_fresh(const struct run *r)
{
	int fd = tcp_socket(SOCK_NONBLOCK);

	for (size_t i = 0; i < 3; i++)
		questions[i](fd);
	count_show(fd);
	CALL(send(fd, "x", 1, 0));
	CALL(recv(fd, &(char){ 0 }, 1, 0));
	CALL(shutdown(fd, SHUT_RDWR));
	begin(fd, r->outcome);
	finish(fd, r->outcome);
}

/* Bound by hand first: the address stays what it is. */
static void ask_bound(const struct run *r)
{
	int fd = tcp_socket(SOCK_NONBLOCK);
	struct sockaddr_in before = { .sin_family = AF_INET }, after = { 0 };
	socklen_t length = sizeof(after);

	CALL(bind(fd, (struct sockaddr *)&before, sizeof(before)));
	length = sizeof(before);
	getsockname(fd, (struct sockaddr *)&before, &length);
	begin(fd, r->outcome);
	CALL(getsockname(fd, (struct sockaddr *)&after, &length));
	line("same port: %d", before.sin_port == after.sin_port);
	names_show(fd);
	still_pending();
	finish(fd, r->outcome);
}

static void mapped_show(int fd)
{
	struct sockaddr_in6 name = { 0 };
	socklen_t length = sizeof(name);
	char text[INET6_ADDRSTRLEN] = "";

	CALL(getpeername(fd, (struct sockaddr *)&name, &length));
	inet_ntop(AF_INET6, &name.sin6_addr, text, sizeof(text));
	line("peer family %d [%s]:%d, %u bytes", name.sin6_family, text, ntohs(name.sin6_port),
	     length);
	length = sizeof(name);
	CALL(getsockname(fd, (struct sockaddr *)&name, &length));
	inet_ntop(AF_INET6, &name.sin6_addr, text, sizeof(text));
	line("own family %d [%s]", name.sin6_family, text);
}

/* An IPv6 socket goes to an IPv4 address. */
static void ask_mapped(const struct run *r)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6 };
	struct sockaddr_in v4;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(&v4, place(r->outcome), sizeof(v4));
	to.sin6_port = v4.sin_port;
	inet_pton(AF_INET6, "::ffff:0.0.0.0", &to.sin6_addr);
	memcpy(&to.sin6_addr.s6_addr[12], &v4.sin_addr, 4);
	connect_begins();
	CALL(connect(fd, (struct sockaddr *)&to, sizeof(to)));
	mapped_show(fd);
	CALL(connect(fd, (struct sockaddr *)&to, sizeof(to)));
	events_show(fd);
	still_pending();
	settle(fd);
	mapped_show(fd);
	CALL(connect(fd, (struct sockaddr *)&to, sizeof(to)));
	CALL(connect(fd, (struct sockaddr *)&to, sizeof(to)));
	mapped_show(fd);
	settle(fd);
	error_show(fd);
	if (r->outcome == OPEN)
		converse(fd);
	events_show(fd);
}

static void abort_by(int fd, int how)
{
	if (how == 3)
		unspec(fd);
	else
		CALL(shutdown(fd, how));
}

static const char *const abort_names[] = { "shutdown-rd", "shutdown-wr", "shutdown-rdwr", "unspec",
					   NULL };

/* A pending connect ended by the program: what is left, and is it of use? */
static void abort_pending(const struct run *r)
{
	int fd = pending(r);

	abort_by(fd, r->kind);
	still_pending();
	events_show(fd);
	names_show(fd);
	error_show(fd);
	events_show(fd);
	CALL(send(fd, "x", 1, 0));
	CALL(recv(fd, &(char){ 0 }, 1, 0));
	begin_again(fd, OPEN);
	begin_again(fd, OPEN);
	finish(fd, OPEN);
}

/* The same, nothing asked between the end of one and the next. */
static void abort_connect(const struct run *r)
{
	int fd = pending(r);

	abort_by(fd, r->kind);
	still_pending();
	begin(fd, OPEN);
	events_show(fd);
	begin_again(fd, OPEN);
	finish(fd, OPEN);
}

/* And with a registration that sees it. */
static void abort_watched(const struct run *r)
{
	int epfd = epoll_create1(EPOLL_CLOEXEC), fd = tcp_socket(SOCK_NONBLOCK);

	epoll_add(epfd, fd, ALL_EVENTS | (r->order == EARLY ? EPOLLET : 0), 7);
	begin(fd, r->outcome);
	CALL(epoll_wait(epfd, &(struct epoll_event){ 0 }, 1, r->order == EARLY ? 0 : LATE_MS));
	abort_by(fd, r->kind);
	still_pending();
	epoll_show(epfd, 0);
	epoll_show(epfd, 0);
	error_show(fd);
	epoll_show(epfd, 0);
	begin(fd, OPEN);
	begin(fd, OPEN);
	epoll_show(epfd, 0);
	still_pending();
	epoll_show(epfd, -1);
	finish(fd, OPEN);
}

#define ANY (BOTH | GOES(VOID))
const struct scenario state_scenarios[] = {
	{ "pending", ask_pending, question_names, phase_names, BOTH },
	{ "pending-all", ask_all, NULL, phase_names, GOES(VOID) },
	{ "fresh", ask_fresh, NULL, NULL, BOTH },
	{ "bound", ask_bound, NULL, NULL, BOTH },
	{ "mapped", ask_mapped, NULL, NULL, BOTH },
	{ "abort", abort_pending, abort_names, phase_names, ANY },
	{ "abort-connect", abort_connect, abort_names, phase_names, ANY },
	{ "abort-watched", abort_watched, abort_names, phase_names, ANY },
	{ NULL, NULL, NULL, NULL, 0 },
};
