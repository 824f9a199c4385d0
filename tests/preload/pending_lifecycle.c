/* SPDX-License-Identifier: ISC */
/* pending_lifecycle.c - numbers, ends and limits: what becomes of a connect in progress. */
#include "pending.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* close(2) as a program without a C library does it. */
static long raw_close(int fd)
{
	long result;

#if defined(__x86_64__)
	__asm__ volatile("syscall" : "=a"(result)
			 : "0"((long)SYS_close), "D"((long)fd)
			 : "rcx", "r11", "memory");
#elif defined(__aarch64__)
	register long number __asm__("x8") = SYS_close;
	register long first __asm__("x0") = fd;

	__asm__ volatile("svc 0" : "+r"(first) : "r"(number) : "memory");
	result = first;
#else
	result = close(fd);
#endif
	return result;
}

/* H3: closed behind the library's back; a pipe gets the number. */
static void raw_close_then_pipe(void)
{
	for (int reached = 0; reached < 2; reached++) {
		struct gate g = gate_new();
		struct epoll_event e = { .events = EPOLLOUT, .data.u64 = 1 };
		int fd = start(&g.to), ends[2], epfd = CHECK_OK(epoll_create1(0));
		char text[8];

		CHECK_OK(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &e));
		if (reached)
			gate_reach(&g, fd);
		CHECK(raw_close(fd) == 0, "the raw close fails");
		CHECK_OK(pipe2(ends, O_NONBLOCK));
		CHECK(ends[0] == fd, "another number: %d", ends[0]);
		CHECK_ERRNO(read(fd, text, sizeof(text)), EAGAIN);
		CHECK(events_of(fd, POLLIN, 0) == 0, "an empty pipe is readable");
		e = (struct epoll_event){ .events = EPOLLIN, .data.u64 = 2 };
		CHECK_OK(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &e));
		CHECK_ERRNO(send(fd, "x", 1, 0), ENOTSOCK);
		CHECK(write(ends[1], "pipe", 4) == 4, "write to the pipe");
		CHECK(epoll_wait(epfd, &e, 1, WAIT_MS) == 1 && e.data.u64 == 2, "no event of the pipe");
		CHECK(read(fd, text, sizeof(text)) == 4 && memcmp(text, "pipe", 4) == 0,
		      "the pipe has something else");
		close(fd);
		close(ends[1]);
		connect_anew();
	}
}

/* H3: the next socket gets the number. */
static void raw_close_then_socket(void)
{
	struct sockaddr_in to = step_target(STEP_DELAY, 5);

	for (int reached = 0; reached < 2; reached++) {
		struct gate g = gate_new();
		struct epoll_event e = { .events = EPOLLOUT, .data.u64 = 1 };
		int fd = start(&g.to), next, pair[2], epfd = CHECK_OK(epoll_create1(0));

		CHECK_OK(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &e));
		if (reached)
			gate_reach(&g, fd);
		CHECK(raw_close(fd) == 0, "the raw close fails");
		next = start(&to);
		CHECK(next == fd, "another number: %d", next);
		e = (struct epoll_event){ .events = EPOLLOUT, .data.u64 = 2 };
		CHECK_OK(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &e));
		CHECK(epoll_wait(epfd, &e, 1, WAIT_MS) == 1 && e.data.u64 == 2 &&
			      e.events == EPOLLOUT, "no event of the next socket");
		finish(fd, &to);
		talk(fd, 1);
		/* A socket of another kind gets the number of a pending one. */
		close(fd);
		fd = start(&g.to);
		CHECK(raw_close(fd) == 0, "the raw close fails");
		CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
		CHECK(pair[0] == fd, "another number: %d", pair[0]);
		CHECK(events_of(fd, POLLOUT, 0) == POLLOUT, "a socket pair is not writable");
		CHECK(send(fd, "x", 1, 0) == 1, "send on a socket pair");
		close(pair[0]);
		close(pair[1]);
		close(epfd);
	}
	connect_anew();
}

/* H9: stdio writes with calls that nobody sees. */
static void stdio_on_pending(void)
{
	struct sockaddr_in to = step_target(STEP_DELAY, 50);
	char text[32] = "";
	int fd = start(&to), copy;
	FILE *in, *out;

	set_blocking(fd, true);
	copy = dup(fd);
	out = fdopen(fd, "w");
	in = fdopen(copy, "r");
	CHECK(out != NULL && in != NULL, "fdopen");
	CHECK(fprintf(out, "through %s\n", "stdio") == 14, "fprintf");
	CHECK(fflush(out) == 0, "fflush: %s", strerrorname_np(errno));
	CHECK(fgets(text, sizeof(text), in) != NULL, "fgets: %s", strerrorname_np(errno));
	CHECK(strcmp(text, "through stdio\n") == 0, "stdio reads %s", text);
	CHECK(fclose(out) == 0 && fclose(in) == 0, "fclose");
}

/* A duplicate of @fd with the number @want, which is closed. */
static void duplicate_onto(int fd, int want, unsigned how)
{
	int copy = CHECK_OK(how == 0 ? dup(fd) :
			    fcntl(fd, how == 1 ? F_DUPFD : F_DUPFD_CLOEXEC, want));

	CHECK(copy == want, "another number: %d", copy);
}

/* stdin and stdout can come by any kind of duplicate. */
static void duplicates_as_stdio(void)
{
	struct sockaddr_in to = step_target(STEP_DELAY, 50);

	for (unsigned how = 0; how < 3; how++) {
		char text[32] = "", want[32];
		int fd = start(&to);

		close(STDIN_FILENO);
		duplicate_onto(fd, STDIN_FILENO, how);
		close(STDOUT_FILENO);
		duplicate_onto(fd, STDOUT_FILENO, how);
		set_blocking(fd, true);
		snprintf(want, sizeof(want), "way %u\n", how);
		CHECK(fputs(want, stdout) >= 0 && fflush(stdout) == 0, "stdout: %s",
		      strerrorname_np(errno));
		CHECK(fgets(text, sizeof(text), stdin) != NULL, "stdin: %s", strerrorname_np(errno));
		CHECK(strcmp(text, want) == 0, "stdin reads %s", text);
		close(fd);
	}
}

/* A stream without an fd is no error, which would be seen in errno. */
static void fclose_of_memory(void)
{
	char text[8] = "";
	FILE *f = fmemopen(text, sizeof(text), "r");

	CHECK(f != NULL, "fmemopen");
	errno = EDOM;
	CHECK(fclose(f) == 0, "fclose");
	CHECK(errno == EDOM, "errno is %s after fclose", strerrorname_np(errno));
	connect_anew();
}

/* fclose() closes with calls that nobody sees, and the number is used again. */
static void fclose_of_pending(void)
{
	struct sockaddr_in to = step_target(STEP_DELAY, 50), next = step_target(STEP_OK, 0);

	for (int i = 0; i < 10; i++) {
		int fd = start(&to), again;
		FILE *f = fdopen(fd, "r+");

		CHECK(f != NULL, "fdopen");
		CHECK(fclose(f) == 0, "fclose");
		CHECK_ERRNO(fcntl(fd, F_GETFD), EBADF);
		again = start(&next);
		CHECK(again == fd, "another number: %d", again);
		finish(again, &next);
		talk(again, 2);
		close(again);
	}
}

static long resident_kb(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long size, resident;

	CHECK(f != NULL && fscanf(f, "%ld %ld", &size, &resident) == 2, "statm");
	fclose(f);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* @how: at once, after the handshake came to the gate, with a registration. */
static void abandon(const struct gate *g, int epfd, unsigned how)
{
	struct epoll_event e = { .events = EPOLLOUT };
	int fd = start(&g->to), copy;

	if (how % 3 == 2)
		CHECK_OK(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &e));
	if (how % 3 > 0)
		CHECK(events_of(fd, POLLOUT, 0) == 0, "an event while it is pending");
	if (how % 5 == 0) {
		copy = dup(fd);
		close(fd);
		fd = copy;
	}
	close(fd);
}

/* H11: what is given up leaves nothing behind, here and at the server. */
static void three_hundred_abandoned(void)
{
	struct gate g = gate_new();
	int epfd = CHECK_OK(epoll_create1(0));
	struct epoll_event e;
	unsigned fds = 0;
	long kb = 0;

	for (unsigned i = 0; i < 1200; i++) {
		if (i == 300) { /* all that is allocated once is there */
			fds = count_fds();
			kb = resident_kb();
		}
		abandon(&g, epfd, i);
	}
	CHECK(count_fds() == fds, "%u fds, and %u before", count_fds(), fds);
	CHECK(resident_kb() - kb < 512, "%ld kB more", resident_kb() - kb);
	CHECK(epoll_wait(epfd, &e, 1, 0) == 0, "an event of a closed socket");
	if (!bare)
		control_until("accepted", 0, 600);
	for (uint64_t end = now_us() + WAIT_MS * 1000; control("live", 0) > 0; breathe())
		CHECK(now_us() < end, "%u connections are left", control("live", 0));
	connect_anew();
}

/* Finished connects leave nothing either. */
static void many_in_turn(void)
{
	struct sockaddr_in to = step_target(STEP_OK, 0);
	struct sockaddr_in no = step_target(STEP_REP, 5);
	unsigned fds = 0;
	long kb = 0;

	for (unsigned i = 0; i < 1200; i++) {
		int fd;

		if (i == 300) {
			fds = count_fds();
			kb = resident_kb();
		}
		fd = start(i % 4 == 0 ? &no : &to);
		if (i % 4 == 0)
			finish_failed(fd, ECONNREFUSED);
		else
			finish(fd, &to);
		close(fd);
	}
	CHECK(count_fds() == fds, "%u fds, and %u before", count_fds(), fds);
	CHECK(resident_kb() - kb < 512, "%ld kB more", resident_kb() - kb);
}

/* The program of H12 under a small address space. */
static int small_child(int argc, char **argv)
{
	struct sockaddr_in to = step_target(STEP_DELAY, 1);
	int fds[100];

	(void)argc;
	(void)argv;
	for (int i = 0; i < 100; i++)
		fds[i] = start(&to);
	for (int i = 0; i < 100; i++) {
		finish(fds[i], &to);
		talk(fds[i], (unsigned)i);
	}
	connect_anew();
	return 0;
}

int (*const own_child)(int, char **) = small_child;

/* H12: ulimit -v; nothing reserves what a small program does not have. */
static void small_memory(void)
{
	struct rlimit limit = { 40 << 20, 40 << 20 };
	int child = CHECK_OK(fork());

	if (child == 0) {
		CHECK_OK(setrlimit(RLIMIT_AS, &limit));
		execl("/proc/self/exe", "pending", "--small", (char *)NULL);
		fail("exec: %s", strerrorname_np(errno));
	}
	reap(child);
}

/* H12: there is no fd to be had, not for the library either. */
static void no_more_fds(void)
{
	struct sockaddr_in to = step_target(STEP_DELAY, 20), no = step_target(STEP_REP, 5);
	int epfd = CHECK_OK(epoll_create1(0)), fd[4], count = 0, fill[256];
	struct epoll_event e = { .events = EPOLLOUT };
	struct rlimit limit;

	for (int i = 0; i < 4; i++)
		fd[i] = tcp_socket(i == 3 ? 0 : SOCK_NONBLOCK);
	CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = (rlim_t)fd[3] + 4;
	CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
	while (count < 256 && (fill[count] = dup(0)) >= 0)
		count++;
	CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, 0), EMFILE);
	CHECK_ERRNO(tcp_connect(fd[0], &to), EINPROGRESS);
	CHECK_ERRNO(tcp_connect(fd[1], &to), EINPROGRESS);
	CHECK_ERRNO(tcp_connect(fd[2], &no), EINPROGRESS);
	CHECK_OK(epoll_ctl(epfd, EPOLL_CTL_ADD, fd[1], &e));
	CHECK(CHECK_OK(epoll_wait(epfd, &e, 1, WAIT_MS)) == 1, "no event");
	finish(fd[0], &to);
	finish(fd[1], &to);
	finish_failed(fd[2], ECONNREFUSED);
	CHECK_OK(tcp_connect(fd[3], &to));
	for (int i = 0; i < 4; i++) {
		if (i != 2)
			talk(fd[i], (unsigned)i);
	}
	while (count > 0)
		close(fill[--count]);
}

/* H12: numbers beyond what any table may have been made for. */
static void high_numbers(void)
{
	struct sockaddr_in to = step_target(STEP_DELAY, 5);
	struct rlimit limit;

	CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = limit.rlim_max;
	CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
	for (int at = 1000; at < (int)limit.rlim_max && at < 2000000; at += at / 2) {
		int low = tcp_socket(SOCK_NONBLOCK), fd = CHECK_OK(fcntl(low, F_DUPFD, at));

		close(low);
		CHECK_ERRNO(tcp_connect(fd, &to), EINPROGRESS);
		finish(fd, &to);
		talk(fd, (unsigned)at);
		close(fd);
	}
}

static int select_one(int nfds, fd_set *out, int ms, bool precise)
{
	struct timespec ns = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	struct timeval us = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	return CHECK_OK(precise ? pselect(nfds, NULL, out, NULL, &ns, NULL) :
				  select(nfds, NULL, out, NULL, &us));
}

/*
 * select(getdtablesize()) with a set of the usual size: the kernel looks no
 * further than there can be fds, and what follows the set is something else.
 */
static void select_of_all_numbers(void)
{
	struct {
		fd_set set;
		unsigned char next[8192];
	} out;
	struct rlimit limit;

	CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = limit.rlim_max < 65536 ? limit.rlim_max : 65536;
	CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
	for (int precise = 0; precise < 2; precise++) {
		struct gate g = gate_new();
		int fd = start(&g.to);

		memset(&out, 0, sizeof(out));
		memset(out.next, 0xff, sizeof(out.next));
		FD_SET(fd, &out.set);
		CHECK(select_one(getdtablesize(), &out.set, 20, precise) == 0,
		      "an event while it is pending");
		CHECK(!FD_ISSET(fd, &out.set), "the set is as before");
		gate_let(&g);
		FD_SET(fd, &out.set);
		CHECK(select_one(getdtablesize(), &out.set, WAIT_MS, precise) == 1, "no event");
		CHECK(FD_ISSET(fd, &out.set), "not in the set");
		for (size_t i = 0; i < sizeof(out.next); i++)
			CHECK(out.next[i] == 0xff, "byte %zu after the set is changed", i);
		finish(fd, &g.to);
		talk(fd, 3);
	}
}

const struct scenario scenarios[] = {
	{ "raw_close_then_pipe", raw_close_then_pipe, 0, 0 },
	{ "raw_close_then_socket", raw_close_then_socket, 0, 0 },
	{ "stdio_on_pending", stdio_on_pending, 0, 0 },
	{ "duplicates_as_stdio", duplicates_as_stdio, 0, 0 },
	{ "fclose_of_memory", fclose_of_memory, 0, 0 },
	{ "fclose_of_pending", fclose_of_pending, 0, 0 },
	{ "three_hundred_abandoned", three_hundred_abandoned, 0, 0 },
	{ "many_in_turn", many_in_turn, 0, 0 },
	{ "small_memory", small_memory, 0, 0 },
	{ "no_more_fds", no_more_fds, 0, 0 },
	{ "high_numbers", high_numbers, 0, 0 },
	{ "select_of_all_numbers", select_of_all_numbers, 0, 0 },
	{ .name = NULL },
};
