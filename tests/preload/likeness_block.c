/* SPDX-License-Identifier: ISC */
/* likeness_block.c - blocking sockets: limits, signals, and a change of mind. */
#include "likeness.h"

static void limit_set(int fd, int option, int ms)
{
	struct timeval limit = timeval_of(ms);

	CALL(setsockopt(fd, SOL_SOCKET, option, &limit, sizeof(limit)));
}

static void timed_begin(int fd, enum outcome outcome, int64_t limit)
{
	begin(fd, outcome);
	within("that", since_connect_ms(), limit);
}

static void block_plain(const struct run *r)
{
	int fd = tcp_socket(0);

	begin(fd, r->outcome);
	begin_again(fd, r->outcome);
	error_show(fd);
	if (r->outcome == CLOSED)
		begin_again(fd, OPEN);
	finish(fd, OPEN);
}

/* How a connect that was left pending on a blocking socket goes on. */
static void go_on_connect(int fd)
{
	begin_again(fd, OPEN);
	begin_again(fd, OPEN);
}

static void go_on_send(int fd)
{
	CALL(send(fd, "x", 1, 0));
	CALL(send(fd, "x", 1, 0));
}

static void go_on_write(int fd)
{
	struct iovec part = { .iov_base = "x", .iov_len = 1 };

	CALL(writev(fd, &part, 1));
	CALL(write(fd, "x", 1));
}

/* What was sent by others does not come: the limit ends it, or the refusal. */
static void go_on_recv(int fd)
{
	limit_set(fd, SO_RCVTIMEO, 600);
	CALL(recv(fd, &(char){ 0 }, 1, 0));
	CALL(recv(fd, &(char){ 0 }, 1, 0));
}

static void go_on_read(int fd)
{
	limit_set(fd, SO_RCVTIMEO, 600);
	CALL(read(fd, &(char){ 0 }, 1));
	CALL(recv(fd, &(char){ 0 }, 1, MSG_PEEK));
}

static void go_on_poll(int fd)
{
	settle(fd);
	begin_again(fd, OPEN);
	begin_again(fd, OPEN);
}

static void go_on_dontwait(int fd)
{
	CALL(send(fd, "x", 1, MSG_DONTWAIT));
	CALL(recv(fd, &(char){ 0 }, 1, MSG_DONTWAIT));
	error_show(fd);
	names_show(fd);
	CALL(shutdown(fd, SHUT_WR));
}

static void (*const ways[])(int) = { go_on_connect, go_on_send, go_on_write,   go_on_recv,
				     go_on_read,    go_on_poll, go_on_dontwait };
static const char *const way_names[] = { "connect", "send", "write",	"recv",
					 "read",    "poll", "dontwait", NULL };

static void go_on(const struct run *r, int fd)
{
	still_pending();
	events_show(fd);
	ways[r->kind](fd);
	events_show(fd);
	error_show(fd);
	names_show(fd);
	CALL(close(fd));
}

/* SO_SNDTIMEO is over before the target has answered. */
static void block_limit(const struct run *r)
{
	static const int limits[] = { 10, LATE_MS };
	int fd = tcp_socket(0);

	limit_set(fd, SO_SNDTIMEO, limits[r->order]);
	begin(fd, r->outcome);
	limit_set(fd, SO_SNDTIMEO, 0);
	go_on(r, fd);
}

/* The same limit again and again; each call waits for so long. */
static void block_limits(const struct run *r)
{
	int fd = tcp_socket(0);

	limit_set(fd, SO_SNDTIMEO, 150);
	timed_begin(fd, r->outcome, 350);
	timed_begin(fd, r->outcome, 350);
	CALL(send(fd, "x", 1, 0));
	limit_set(fd, SO_RCVTIMEO, 50);
	CALL(recv(fd, &(char){ 0 }, 1, 0));
	CALL(send(fd, "x", 1, MSG_DONTWAIT));
	within("all that", since_connect_ms(), 700);
	error_show(fd);
	events_show(fd);
	names_show(fd);
}

static const int signal_times[] = { 15, 60, LATE_MS };
static const char *const signal_names[] = { "15ms", "60ms", "130ms", NULL };

/* A handler runs meanwhile, without SA_RESTART. */
static void block_interrupted(const struct run *r)
{
	int fd = tcp_socket(0);

	handle(SIGALRM, 0);
	alarm_in(signal_times[r->order]);
	begin(fd, r->outcome);
	line("handled %d", handled());
	go_on(r, fd);
}

/* It runs a second time, in the call that goes on. */
static void block_interrupted_twice(const struct run *r)
{
	int fd = tcp_socket(0);

	handle(SIGALRM, 0);
	alarm_in(15);
	begin(fd, r->outcome);
	alarm_in(60);
	begin_again(fd, r->outcome);
	alarm_in(30);
	CALL(send(fd, "x", 1, 0));
	line("handled %d", handled());
	still_pending();
	begin_again(fd, r->outcome);
	begin_again(fd, r->outcome);
	finish(fd, r->outcome);
}

/* With SA_RESTART it goes on by itself. */
static void block_restarted(const struct run *r)
{
	int fd = tcp_socket(0);

	handle(SIGALRM, SA_RESTART);
	alarm_in(signal_times[r->order]);
	begin(fd, r->outcome);
	line("handled %d", handled());
	begin_again(fd, r->outcome);
	finish(fd, r->outcome);
}

/* But not where there is a limit. */
static void block_restarted_limit(const struct run *r)
{
	int fd = tcp_socket(0);

	handle(SIGALRM, SA_RESTART);
	limit_set(fd, SO_SNDTIMEO, 5000);
	alarm_in(signal_times[r->order]);
	begin(fd, r->outcome);
	line("handled %d", handled());
	still_pending();
	begin_again(fd, r->outcome);
	begin_again(fd, r->outcome);
	finish(fd, r->outcome);
}

/* A signal that is ignored, or whose default is nothing, ends no connect. */
static void block_ignored(const struct run *r)
{
	int fd = tcp_socket(0);

	signal(SIGALRM, SIG_IGN);
	alarm_in(signal_times[r->order]);
	begin(fd, r->outcome);
	begin_again(fd, r->outcome);
	finish(fd, r->outcome);
}

static void blocking_set(int fd, int by_ioctl)
{
	int off = 0;

	if (by_ioctl)
		CALL(ioctl(fd, FIONBIO, &off));
	else
		CALL(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK));
}

/* Begun non-blocking, made blocking: the next call waits. */
static void block_switched(const struct run *r)
{
	int fd = tcp_socket(SOCK_NONBLOCK);

	begin(fd, r->outcome);
	phase_reach(fd, r->order);
	blocking_set(fd, r->order == LATE);
	go_on(r, fd);
}

/* Begun blocking, left by a signal, made non-blocking. */
static void block_to_nonblocking(const struct run *r)
{
	int fd = tcp_socket(0);

	handle(SIGALRM, 0);
	alarm_in(15);
	begin(fd, r->outcome);
	CALL(fcntl(fd, F_SETFL, O_NONBLOCK));
	begin_again(fd, r->outcome);
	CALL(send(fd, "x", 1, 0));
	still_pending();
	settle(fd);
	begin_again(fd, r->outcome);
	begin_again(fd, r->outcome);
	finish(fd, r->outcome);
}

/* SO_RCVTIMEO is no limit for connect or send. */
static void block_receive_limit(const struct run *r)
{
	int fd = tcp_socket(SOCK_NONBLOCK);

	limit_set(fd, SO_RCVTIMEO, 50);
	begin(fd, r->outcome);
	blocking_set(fd, 0);
	CALL(recv(fd, &(char){ 0 }, 1, 0));
	CALL(recv(fd, &(char){ 0 }, 1, MSG_PEEK));
	still_pending();
	CALL(send(fd, "x", 1, 0));
	finish(fd, r->outcome);
}

static void block_receive_limit_first(const struct run *r)
{
	int fd = tcp_socket(0);

	limit_set(fd, SO_RCVTIMEO, 50);
	begin(fd, r->outcome);
	CALL(recv(fd, &(char){ 0 }, 1, 0));
	finish(fd, r->outcome);
}

const struct scenario block_scenarios[] = {
	{ "block", block_plain, NULL, NULL, BOTH },
	{ "block-limit", block_limit, way_names, phase_names, BOTH },
	{ "block-limits", block_limits, NULL, NULL, GOES(VOID) },
	{ "block-eintr", block_interrupted, way_names, signal_names, BOTH },
	{ "block-eintr-twice", block_interrupted_twice, NULL, NULL, BOTH },
	{ "block-restart", block_restarted, NULL, signal_names, BOTH },
	{ "block-restart-limit", block_restarted_limit, NULL, signal_names, BOTH },
	{ "block-ignored", block_ignored, NULL, signal_names, BOTH },
	{ "block-switched", block_switched, way_names, phase_names, BOTH },
	{ "block-unblocked", block_to_nonblocking, NULL, NULL, BOTH },
	{ "block-rcvtimeo", block_receive_limit, NULL, NULL, BOTH },
	{ "block-rcvtimeo-connect", block_receive_limit_first, NULL, NULL, BOTH },
	{ NULL, NULL, NULL, NULL, 0 },
};
