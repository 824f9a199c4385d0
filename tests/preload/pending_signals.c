/* SPDX-License-Identifier: ISC */
/* pending_signals.c - a connect in progress, and handlers that interfere. */
#include "pending.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

int (*const own_child)(int, char **) = NULL;

static atomic_int target_fd = -1; /* what the handlers have to do with */
static atomic_int calls, bad_call, bad_errno;
static atomic_bool fresh; /* connect() may not have begun */
static sigjmp_buf before;

static void handle(int signal, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	sigemptyset(&action.sa_mask);
	CHECK_OK(sigaction(signal, &action, NULL));
}

/* SIGALRM after @first microseconds, then every @then; 0: never. */
static void tick(long first, long then)
{
	struct itimerval t = { .it_interval.tv_usec = then, .it_value.tv_usec = first };

	CHECK_OK(setitimer(ITIMER_REAL, &t, NULL));
}

static void expect(int call, bool good)
{
	if (good)
		return;
	atomic_store(&bad_errno, errno);
	atomic_store(&bad_call, call);
}

static void ask_everything(int signal)
{
	int fd = atomic_load(&target_fd), kept = errno;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	bool lenient = atomic_load(&fresh);
	char byte;

	(void)signal;
	atomic_fetch_add(&calls, 1);
	if (fd >= 0) {
		expect(1, poll(&p, 1, 0) >= 0 &&
				  (p.revents & ~(lenient ? POLLOUT | POLLHUP : POLLOUT)) == 0);
		expect(2, recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno == EAGAIN ||
				  (lenient && errno == ENOTCONN));
		expect(3, send(fd, "", 0, MSG_DONTWAIT | MSG_NOSIGNAL) == 0 || errno == EAGAIN ||
				  (lenient && errno == EPIPE));
	}
	errno = kept;
}

static void wait_epoll(int fd)
{
	struct epoll_event e = { .events = EPOLLOUT | EPOLLET, .data.fd = fd };
	int epfd = CHECK_OK(epoll_create1(0)), n;

	CHECK_OK(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &e));
	while ((n = epoll_wait(epfd, &e, 1, WAIT_MS)) < 0 && errno == EINTR)
		;
	CHECK(n == 1 && e.events == EPOLLOUT && e.data.fd == fd, "epoll_wait gives %d", n);
	close(epfd);
}

static void wait_select(int fd)
{
	fd_set set;
	int n;

	do {
		struct timeval limit = { .tv_sec = WAIT_MS / 1000 };

		FD_ZERO(&set);
		FD_SET(fd, &set);
		n = select(fd + 1, NULL, &set, NULL, &limit);
	} while (n < 0 && errno == EINTR);
	CHECK(n == 1 && FD_ISSET(fd, &set), "select gives %d", n);
}

/* One connect under the storm, waited for in the way of @i. */
static void connect_in_storm(unsigned i)
{
	struct sockaddr_in to = step_target(STEP_DELAY, 2);
	int fd = tcp_socket(i % 4 == 3 ? 0 : SOCK_NONBLOCK);

	if (i % 4 == 3) { /* restarts: all handlers have SA_RESTART */
		atomic_store(&fresh, true);
		atomic_store(&target_fd, fd);
		CHECK_OK(tcp_connect(fd, &to));
		atomic_store(&fresh, false);
	} else {
		CHECK_ERRNO(tcp_connect(fd, &to), EINPROGRESS);
		atomic_store(&target_fd, fd);
	}
	if (i % 4 == 1)
		wait_epoll(fd);
	else if (i % 4 == 2)
		wait_select(fd);
	finish(fd, &to);
	talk(fd, i);
	atomic_store(&target_fd, -1);
	close(fd);
}

/* G1: a signal every 200 us, whose handler asks the same fd. */
static void storm(void)
{
	handle(SIGALRM, ask_everything, SA_RESTART);
	tick(200, 200);
	for (unsigned i = 0; i < 200; i++) {
		connect_in_storm(i);
		CHECK(atomic_load(&bad_call) == 0, "call %d of the handler: %s",
		      atomic_load(&bad_call), strerrorname_np(atomic_load(&bad_errno)));
	}
	tick(0, 0);
	CHECK(atomic_load(&calls) > 20, "only %d signals", atomic_load(&calls));
}

static void close_target(int signal)
{
	(void)signal;
	close(atomic_exchange(&target_fd, -1));
}

/* G1: the handler closes the fd that the wait is about. */
static void handler_closes(void)
{
	handle(SIGALRM, close_target, SA_RESTART);
	for (unsigned how = 0; how < 3; how++) {
		struct gate g = gate_new();
		int fd = start(&g.to), epfd = CHECK_OK(epoll_create1(0));
		struct epoll_event e = { .events = EPOLLOUT };
		struct pollfd p = { .fd = fd, .events = POLLOUT };

		CHECK_OK(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &e));
		gate_reach(&g, fd);
		atomic_store(&target_fd, fd);
		tick(20000, 0);
		if (how == 0)
			CHECK_ERRNO(poll(&p, 1, WAIT_MS), EINTR);
		else if (how == 1)
			CHECK_ERRNO(epoll_wait(epfd, &e, 1, WAIT_MS), EINTR);
		else
			CHECK_ERRNO(ppoll(&p, 1, NULL, NULL), EINTR);
		CHECK_ERRNO(fcntl(fd, F_GETFL), EBADF);
		if (!bare)
			control_until("gone", 0, how + 1);
		connect_anew();
		close(epfd);
	}
}

/* G2: nothing but SIGIO says that there is something to do. */
static void driven_by_sigio(void)
{
	struct sockaddr_in to = step_target(STEP_DELAY, 20);
	struct timespec limit = { .tv_sec = WAIT_MS / 1000 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
	for (unsigned i = 0; i < 20; i++) {
		int fd = tcp_socket(SOCK_NONBLOCK);

		CHECK_OK(fcntl(fd, F_SETOWN, getpid()));
		CHECK_OK(fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC));
		CHECK_ERRNO(tcp_connect(fd, &to), EINPROGRESS);
		while (tcp_connect(fd, &to) < 0 && errno != EISCONN) {
			CHECK(errno == EALREADY, "connect: %s", strerrorname_np(errno));
			CHECK(sigtimedwait(&set, NULL, &limit) == SIGIO, "no SIGIO comes");
		}
		finish(fd, &to);
		talk(fd, i);
		close(fd);
	}
}

/* The same with SO_ERROR and poll(0) in the handler's stead of connect(). */
static void sigio_and_poll(void)
{
	struct sockaddr_in to = step_target(STEP_DELAY, 20);
	struct timespec limit = { .tv_sec = WAIT_MS / 1000 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
	for (unsigned i = 0; i < 20; i++) {
		int fd = tcp_socket(SOCK_NONBLOCK);

		CHECK_OK(fcntl(fd, F_SETOWN, getpid()));
		CHECK_OK(fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC));
		CHECK_ERRNO(tcp_connect(fd, &to), EINPROGRESS);
		while (events_of(fd, POLLOUT, 0) == 0)
			CHECK(sigtimedwait(&set, NULL, &limit) == SIGIO, "no SIGIO comes");
		finish(fd, &to);
		talk(fd, i);
		close(fd);
	}
}

static void jump(int signal)
{
	(void)signal;
	siglongjmp(before, 1);
}

enum call { CONNECT, POLL, EPOLL_WAIT, SELECT, CALLS };

static void wait_in(enum call call, int fd, const struct sockaddr_in *to)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	switch (call) {
	case CONNECT: tcp_connect(fd, to); break;
	case POLL: poll(&p, 1, -1); break;
	case EPOLL_WAIT: wait_epoll(fd); break;
	case SELECT: wait_select(fd); break;
	case CALLS: break;
	}
}

/* G4: out of each wait; the connect goes on, and so does the next. */
static void jump_out(void)
{
	for (volatile unsigned i = 0; i < 2 * CALLS; i++) {
		struct gate g = gate_new();
		volatile enum call call = (enum call)(i / 2);
		volatile int fd = call == CONNECT ? tcp_socket(0) : start(&g.to);

		handle(SIGALRM, jump, i % 2 > 0 ? SA_RESTART : 0);
		if (sigsetjmp(before, 1) == 0) {
			tick(30000, 0);
			wait_in(call, fd, &g.to);
			fail("wait %d ends while it is pending", (int)call);
		}
		connect_anew();
		set_blocking(fd, false);
		CHECK_ERRNO(tcp_connect(fd, &g.to), EALREADY);
		gate_reach(&g, fd);
		gate_let(&g);
		finish(fd, &g.to);
		talk(fd, i);
		close(fd);
	}
}

/*
 * G4: at any moment of a blocking connect, and the fd is used again.  On
 * request, as it is a known limit: who jumps out between two instructions that
 * change a handshake leaves it to its deadline.
 */
static void jump_out_anywhen(void)
{
	struct sockaddr_in to = step_target(STEP_DELAY, 3);
	volatile unsigned jumps = 0;

	handle(SIGALRM, jump, SA_RESTART);
	for (volatile unsigned i = 0; i < 150; i++) {
		volatile int fd = tcp_socket(0);

		if (sigsetjmp(before, 1) == 0) {
			tick(20 + (long)(i * 37 % 150) * 40, 0);
			CHECK_OK(tcp_connect(fd, &to));
			talk(fd, i);
			tick(0, 0);
		} else {
			jumps++;
			/* Unless connect() had not begun yet. */
			if (i % 2 > 0 && events_of(fd, POLLOUT, 0) != (POLLOUT | POLLHUP))
				finish(fd, &to);
		}
		close(fd);
	}
	CHECK(jumps > 0, "the signal never came in time");
	connect_anew();
}

const struct scenario scenarios[] = {
	{ "storm", storm, 0, 30 },
	{ "handler_closes", handler_closes, 0, 0 },
	{ "driven_by_sigio", driven_by_sigio, 0, 0 },
	{ "sigio_and_poll", sigio_and_poll, 0, 0 },
	{ "jump_out", jump_out, 0, 30 },
	{ "jump_out_anywhen", jump_out_anywhen, ON_REQUEST, 0 },
	{ .name = NULL },
};
