/* SPDX-License-Identifier: ISC */
/* likeness_signal.c - signals that come while the program waits. */
#include "likeness.h"

enum way { EPOLL, EPOLL2, PPOLL, PSELECT };
static const char *const way_names[] = { "epoll_pwait", "epoll_pwait2", "ppoll", "pselect", NULL };

static int wait_masked(enum way way, int fd, int ms, const sigset_t *mask)
{
	struct timespec limit = timespec_of(ms);
	struct timespec *time = ms < 0 ? NULL : &limit;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	struct epoll_event event = { .events = EPOLLOUT };
	int epfd, n;
	fd_set out;

	if (way == PPOLL)
		return (int)CALL(ppoll(&p, 1, time, mask));
	if (way == PSELECT) {
		FD_ZERO(&out);
		FD_SET(fd, &out);
		return (int)CALL(pselect(fd + 1, NULL, &out, NULL, time, mask));
	}
	epfd = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event);
	if (way == EPOLL2)
		n = (int)CALL(epoll_pwait2(epfd, &event, 1, time, mask));
	else
		n = (int)CALL(epoll_pwait(epfd, &event, 1, ms, mask));
	close(epfd);
	return n;
}

static void mask_show(void)
{
	sigset_t now;

	sigprocmask(SIG_BLOCK, NULL, &now);
	line("blocked: USR1 %d USR2 %d ALRM %d TERM %d", sigismember(&now, SIGUSR1),
	     sigismember(&now, SIGUSR2), sigismember(&now, SIGALRM), sigismember(&now, SIGTERM));
}

/* Blocked and already there: only a mask that lets it in ends the wait. */
static void masks(const struct run *r)
{
	int fd = tcp_socket(SOCK_NONBLOCK);
	sigset_t blocked, none;

	sigemptyset(&none);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	handle(SIGUSR1, SA_RESTART);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	begin(fd, r->outcome);
	raise(SIGUSR1);
	wait_masked((enum way)r->kind, fd, 20, &blocked);
	wait_masked((enum way)r->kind, fd, 20, NULL);
	line("handled %d", handled());
	wait_masked((enum way)r->kind, fd, -1, &none);
	line("handled %d", handled());
	mask_show();
	wait_masked((enum way)r->kind, fd, 20, &none);
	still_pending();
	raise(SIGUSR1);
	wait_masked((enum way)r->kind, fd, -1, &blocked);
	line("handled %d", handled());
	/* ready and a signal: which of them comes first is the kernel's to say */
	wait_masked((enum way)r->kind, fd, 0, NULL);
	mask_show();
	wait_masked((enum way)r->kind, fd, -1, &none);
	line("handled %d", handled());
	mask_show();
	finish(fd, r->outcome);
}

/* One that comes in the middle; SA_RESTART does not help a wait. */
static void interrupted(const struct run *r)
{
	int fd = tcp_socket(SOCK_NONBLOCK);
	sigset_t none;

	sigemptyset(&none);
	handle(SIGALRM, r->order ? SA_RESTART : 0);
	begin(fd, r->outcome);
	alarm_in(15);
	wait_masked((enum way)r->kind, fd, -1, NULL);
	alarm_in(60);
	wait_masked((enum way)r->kind, fd, 1000, &none);
	line("handled %d", handled());
	still_pending();
	wait_masked((enum way)r->kind, fd, -1, NULL);
	finish(fd, r->outcome);
}
static const char *const restart_names[] = { "no-restart", "restart", NULL };

/* The same of those without a mask. */
static void interrupted_plain(const struct run *r)
{
	int fd = tcp_socket(SOCK_NONBLOCK), epfd = epoll_create1(EPOLL_CLOEXEC);
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	struct timeval time = { 5, 0 };
	fd_set out;

	FD_ZERO(&out);
	FD_SET(fd, &out);
	handle(SIGALRM, r->order ? SA_RESTART : 0);
	epoll_add(epfd, fd, EPOLLOUT, 1);
	begin(fd, r->outcome);
	alarm_in(15);
	CALL(poll(&p, 1, -1));
	alarm_in(15);
	CALL(select(fd + 1, NULL, &out, NULL, &time));
	line("set kept: %d", FD_ISSET(fd, &out) != 0);
	alarm_in(30);
	epoll_show(epfd, 1000);
	line("handled %d", handled());
	still_pending();
	epoll_show(epfd, -1);
	finish(fd, r->outcome);
}

/* The program is told by SIGIO that there is something to ask for. */
static void told(const struct run *r)
{
	int fd = tcp_socket(SOCK_NONBLOCK), on = 1;
	long result = -1;
	sigset_t blocked;
	siginfo_t which;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGIO);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	CALL(fcntl(fd, F_SETOWN, getpid()));
	CALL(ioctl(fd, FIOASYNC, &on));
	begin(fd, r->outcome);
	still_pending();
	for (int i = 0; i < 20 && result < 0 && errno != ECONNREFUSED; i++) {
		struct timespec limit = { 2, 0 };

		/* how often it is told before the end is not to be seen */
		sigtimedwait(&blocked, &which, &limit);
		errno = 0;
		result = connect(fd, place(OPEN), sizeof(struct sockaddr_in));
	}
	record("asked when told", result);
	finish(fd, OPEN);
}

const struct scenario signal_scenarios[] = {
	{ "signal-mask", masks, way_names, NULL, BOTH },
	{ "signal", interrupted, way_names, restart_names, BOTH },
	{ "signal-plain", interrupted_plain, NULL, restart_names, BOTH },
	{ "signal-io", told, NULL, NULL, BOTH },
	{ NULL, NULL, NULL, NULL, 0 },
};
