/* SPDX-License-Identifier: ISC */
/* pending_scale.c - many connects in progress at once, in one thread. */
#include "pending.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

int (*const own_child)(int, char **) = NULL;

enum { PARALLEL = 1000, MANY = 10000, MANY_AT_LEAST = 3000, SPARE_FDS = 64 };

static unsigned raise_files(void)
{
	struct rlimit files;

	CHECK_OK(getrlimit(RLIMIT_NOFILE, &files));
	files.rlim_cur = files.rlim_max;
	CHECK_OK(setrlimit(RLIMIT_NOFILE, &files));
	return files.rlim_cur > MANY + SPARE_FDS ? MANY : (unsigned)files.rlim_cur - SPARE_FDS;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Starts them all; a connect() that waits for the server takes 50 ms at least. */
static void start_quickly(int fds[PARALLEL], const struct sockaddr_in *to)
{
	uint64_t took[PARALLEL];

	for (int i = 0; i < PARALLEL; i++) {
		uint64_t begin = now_us();

		fds[i] = start(to);
		took[i] = now_us() - begin;
	}
	qsort(took, PARALLEL, sizeof(took[0]), by_value);
	CHECK(took[PARALLEL / 2] < 20000, "half of the connects take more than %u us",
	      (unsigned)took[PARALLEL / 2]);
	CHECK(took[PARALLEL - 1] < 1000000, "one connect takes %u us",
	      (unsigned)took[PARALLEL - 1]);
}

static void talk_to_all(int fds[PARALLEL], const struct sockaddr_in *to)
{
	for (unsigned i = 0; i < PARALLEL; i++) {
		finish(fds[i], to);
		talk(fds[i], i);
		close(fds[i]);
	}
	if (!bare)
		CHECK(control("finished", 0) == PARALLEL, "%u finished", control("finished", 0));
}

/* D1: one after the other would take 100 seconds. */
static void parallel_epoll(void)
{
	struct sockaddr_in to = early_target(EARLY_DELAY50);
	int fds[PARALLEL], epfd = CHECK_OK(epoll_create1(0));
	uint64_t begin = now_us();

	raise_files();
	start_quickly(fds, &to);
	for (unsigned i = 0; i < PARALLEL; i++) {
		struct epoll_event e = { .events = EPOLLOUT | EPOLLET, .data.u32 = i };

		CHECK_OK(epoll_ctl(epfd, EPOLL_CTL_ADD, fds[i], &e));
	}
	for (int left = PARALLEL; left > 0;) {
		struct epoll_event e[128];
		int n = CHECK_OK(epoll_wait(epfd, e, 128, WAIT_MS));

		CHECK(n > 0, "%d connects do not end", left);
		for (int i = 0; i < n; i++)
			CHECK(e[i].events == EPOLLOUT, "events %#x", e[i].events);
		left -= n;
	}
	CHECK(now_us() - begin < 10000000, "it takes %u ms", (unsigned)((now_us() - begin) / 1000));
	talk_to_all(fds, &to);
}

static void parallel_poll(void)
{
	struct sockaddr_in to = early_target(EARLY_DELAY50);
	struct pollfd p[PARALLEL];
	int fds[PARALLEL];
	uint64_t begin = now_us();

	raise_files();
	start_quickly(fds, &to);
	for (int i = 0; i < PARALLEL; i++)
		p[i] = (struct pollfd){ .fd = fds[i], .events = POLLOUT };
	for (int left = PARALLEL; left > 0;) {
		CHECK(CHECK_OK(poll(p, PARALLEL, WAIT_MS)) > 0, "%d connects do not end", left);
		for (int i = 0; i < PARALLEL; i++) {
			if (p[i].revents == 0)
				continue;
			CHECK(p[i].revents == POLLOUT, "events %#x", (unsigned)p[i].revents);
			p[i].fd = -1;
			left--;
		}
	}
	CHECK(now_us() - begin < 10000000, "it takes %u ms", (unsigned)((now_us() - begin) / 1000));
	talk_to_all(fds, &to);
}

/* Says its own number on each that is connected, and reads it back. */
static void talk_event(int epfd, const int *fds, const struct epoll_event *e, unsigned *done)
{
	uint32_t i = e->data.u32, value = 0;
	struct epoll_event in = { .events = EPOLLIN, .data.u32 = i };

	CHECK((e->events & ~(uint32_t)(EPOLLIN | EPOLLOUT)) == 0, "events %#x", e->events);
	if ((e->events & EPOLLOUT) != 0) {
		value = i << 8; /* the first byte is not that of SOCKS */
		CHECK(send(fds[i], &value, sizeof(value), MSG_NOSIGNAL) == sizeof(value), "send");
		CHECK_OK(epoll_ctl(epfd, EPOLL_CTL_MOD, fds[i], &in));
		return;
	}
	CHECK(recv(fds[i], &value, sizeof(value), 0) == sizeof(value), "recv");
	CHECK(value >> 8 == i, "connection %u reads %u", i, value >> 8);
	CHECK_OK(close(fds[i]));
	(*done)++;
}

/* Ten thousand wait for their replies at the same time. */
static void ten_thousand(void)
{
	unsigned count = raise_files(), done = 0;
	int *fds = calloc(count, sizeof(*fds)), epfd = CHECK_OK(epoll_create1(0));
	struct gate g = { .to = step_target(STEP_OK, 0) };
	struct epoll_event e[256];

	CHECK(fds != NULL && count >= MANY_AT_LEAST, "only %u fds are allowed", count);
	if (!bare)
		g = gate_new();
	for (unsigned i = 0; i < count; i++) {
		e[0] = (struct epoll_event){ .events = EPOLLOUT, .data.u32 = i };
		fds[i] = start(&g.to);
		CHECK_OK(epoll_ctl(epfd, EPOLL_CTL_ADD, fds[i], &e[0]));
	}
	for (uint64_t end = now_us() + 3 * WAIT_MS * 1000;
	     !bare && control("waiting", g.id) < count;) {
		CHECK(CHECK_OK(epoll_wait(epfd, e, 256, 5)) == 0, "an event while all are pending");
		CHECK(now_us() < end, "only %u of %u are pending", control("waiting", g.id), count);
	}
	if (!bare) {
		CHECK(control("max", 0) == count, "%u at once", control("max", 0));
		gate_let(&g);
	}
	while (done < count) {
		int n = CHECK_OK(epoll_wait(epfd, e, 256, WAIT_MS));

		CHECK(n > 0, "%u of %u have answered", done, count);
		for (int i = 0; i < n; i++)
			talk_event(epfd, fds, &e[i], &done);
	}
	free(fds);
}

const struct scenario scenarios[] = {
	{ "parallel_epoll", parallel_epoll, 0, 40 },
	{ "parallel_poll", parallel_poll, 0, 40 },
	{ "ten_thousand", ten_thousand, 0, 60 },
	{ .name = NULL },
};
