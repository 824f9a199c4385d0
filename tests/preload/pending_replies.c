/* SPDX-License-Identifier: ISC */
/* pending_replies.c - what the server says, byte for byte, and what the program sees of it. */
#include "pending.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

int (*const own_child)(int, char **) = NULL;

enum way { POLL, EPOLL, EPOLL_EDGE, BLOCKING, WAYS };

static void wait_epoll(int fd, uint32_t edge, uint32_t want)
{
	struct epoll_event e = { .events = EPOLLOUT | EPOLLIN | EPOLLRDHUP | edge,
				 .data.fd = fd };
	int epfd = CHECK_OK(epoll_create1(0));

	CHECK_OK(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &e));
	CHECK(CHECK_OK(epoll_wait(epfd, &e, 1, WAIT_MS)) == 1, "no event");
	CHECK((e.events & ~(want == EPOLLOUT ? (uint32_t)EPOLLIN : 0u)) == want && e.data.fd == fd,
	      "events %#x, not %#x", e.events, want);
	close(epfd);
}

/* A connect to @to that must end with @err, 0 for none.  Returns the fd. */
static int connect_by(enum way way, const struct sockaddr_in *to, int err)
{
	int fd;

	if (way == BLOCKING) {
		fd = tcp_socket(0);
		if (err != 0)
			CHECK_ERRNO(tcp_connect(fd, to), err);
		else
			CHECK_OK(tcp_connect(fd, to));
		return fd;
	}
	fd = start(to);
	if (way != POLL)
		wait_epoll(fd, way == EPOLL_EDGE ? (uint32_t)EPOLLET : 0u,
			   err == 0 ? (uint32_t)EPOLLOUT : FAILED_EVENTS);
	if (err == 0)
		finish(fd, to);
	else
		finish_failed(fd, err);
	return fd;
}

static void fails_by_all(const struct sockaddr_in *to, int err)
{
	struct sockaddr_in good = step_target(STEP_OK, 0);

	for (enum way way = 0; way < WAYS; way++) {
		int fd = connect_by(way, to, err);

		/* The socket can be used again, as after the kernel's refusal. */
		set_blocking(fd, true);
		if (way != BLOCKING) /* what no connect() has been told yet */
			CHECK_ERRNO(tcp_connect(fd, &good), ECONNABORTED);
		CHECK_OK(tcp_connect(fd, &good));
		talk(fd, (unsigned)way);
		close(fd);
	}
}

static void works_by_all(const struct sockaddr_in *to)
{
	for (enum way way = 0; way < WAYS; way++) {
		int fd = connect_by(way, to, 0);

		talk(fd, (unsigned)way);
		close(fd);
	}
}

static void granted(void)
{
	struct sockaddr_in to = step_target(STEP_OK, 0);

	works_by_all(&to);
}

static void refused(void)
{
	struct sockaddr_in to = step_target(STEP_REP, 5);

	fails_by_all(&to, ECONNREFUSED);
}

/* A2: each code and its errno. */
static void reply_codes(void)
{
	static const struct { unsigned rep; int err; } codes[] = {
		{ 1, ECONNREFUSED }, { 2, EACCES }, { 3, ENETUNREACH }, { 4, EHOSTUNREACH },
		{ 5, ECONNREFUSED }, { 6, ETIMEDOUT }, { 7, ECONNREFUSED }, { 8, ENETUNREACH },
		{ 9, ECONNREFUSED }, { 255, ECONNREFUSED },
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		struct sockaddr_in to = step_target(STEP_REP, codes[i].rep);

		fails_by_all(&to, codes[i].err);
	}
}

/* A3, A4: the end or a reset after each byte of the replies. */
static void cut(enum step_script how, enum early zero, enum early one)
{
	for (unsigned n = 0; n < STEP_REPLIES; n++) {
		struct sockaddr_in to = n == 0 ? early_target(zero) :
					n == 1 ? early_target(one) : step_target(how, n);

		fails_by_all(&to, ECONNREFUSED);
	}
}

static void closed_at_each_byte(void)
{
	cut(STEP_CLOSE, EARLY_CLOSE0, EARLY_CLOSE1);
}

static void reset_at_each_byte(void)
{
	cut(STEP_RESET, EARLY_RESET0, EARLY_RESET1);
}

/* A5: both versions and the type of the bound address. */
static void wrong_bytes(void)
{
	struct sockaddr_in to[] = { early_target(EARLY_GARBAGE0), step_target(STEP_GARBAGE, 2),
				    step_target(STEP_GARBAGE, 5) };

	for (size_t i = 0; i < 3; i++)
		fails_by_all(&to[i], ECONNREFUSED);
}

/* A9 */
static void byte_by_byte(void)
{
	struct sockaddr_in early = early_target(EARLY_DRIBBLE), late = step_target(STEP_DRIBBLE, 2);

	works_by_all(&early);
	works_by_all(&late);
}

static void read_data(int fd, size_t want)
{
	unsigned char *text = malloc(want + 1);
	size_t have = 0;

	CHECK(text != NULL, "no memory");
	while (have < want) {
		ssize_t n;

		CHECK(events_of(fd, POLLIN, WAIT_MS) == POLLIN, "%zu of %zu bytes", have, want);
		n = recv(fd, text + have, want + 1 - have, 0);
		CHECK(n > 0, "recv gives %zd after %zu of %zu", n, have, want);
		have += (size_t)n;
	}
	CHECK(have == want, "%zu bytes, not %zu", have, want);
	for (size_t i = 0; i < want; i++)
		CHECK(text[i] == step_data(i), "byte %zu is %#x", i, text[i]);
	free(text);
}

/* A10: what comes with the reply is the program's, all of it and nothing else. */
static void data_with_the_reply(void)
{
	static const unsigned sizes[] = { 1, 2, 10, 255, 4096, STEP_DATA_MAX };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (enum way way = 0; way < WAYS; way++) {
			struct sockaddr_in to = step_target(STEP_DATA, sizes[i]);
			int fd = connect_by(way, &to, 0);

			read_data(fd, sizes[i]);
			talk(fd, sizes[i]);
			close(fd);
		}
	}
}

/* No number of waiting bytes is told before they are the program's. */
static void nothing_to_read_yet(void)
{
	struct sockaddr_in to = early_target(EARLY_DRIBBLE);
	int fd = start(&to), events, waiting;

	do {
		waiting = 0;
		CHECK_OK(ioctl(fd, FIONREAD, &waiting));
		CHECK(waiting == 0, "FIONREAD tells %d", waiting);
		events = events_of(fd, POLLIN | POLLOUT, 1);
		CHECK((events & ~POLLOUT) == 0, "events %#x", (unsigned)events);
	} while (events == 0);
	talk(fd, 1);
}

const struct scenario scenarios[] = {
	{ "granted", granted, 0, 0 },
	{ "refused", refused, 0, 0 },
	{ "reply_codes", reply_codes, PROXIED_ONLY, 0 },
	{ "closed_at_each_byte", closed_at_each_byte, PROXIED_ONLY, 0 },
	{ "reset_at_each_byte", reset_at_each_byte, PROXIED_ONLY, 0 },
	{ "wrong_bytes", wrong_bytes, PROXIED_ONLY, 0 },
	{ "byte_by_byte", byte_by_byte, 0, 0 },
	{ "data_with_the_reply", data_with_the_reply, PROXIED_ONLY, 0 },
	{ "nothing_to_read_yet", nothing_to_read_yet, 0, 0 },
	{ .name = NULL },
};
