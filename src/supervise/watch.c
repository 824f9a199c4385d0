/* SPDX-License-Identifier: ISC */
/* watch.c - the supervisor's process: starts the program under the filter, and serves until all is over. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "association.h"
#include "conduit.h"
#include "landlock.h"
#include "loop.h"
#include "process.h"
#include "serve.h"
#include "socksify/stand_in.h"
#include "socksify/sys.h"
#include "socksify/tally.h"
#include "strict.h"
#include "tracee.h"

static pid_t program;		/* 0: it has ended */
static int front;		/* -1: it has ended, too */
static bool over;		/* nobody is left under the filter */
static struct watch calls, children, front_end;

static void report(enum report_kind kind, int value, int error)
{
	struct report r = { kind, value, error };

	if (front >= 0)
		(void)!write(front, &r, sizeof(r));
}

_Noreturn static void fail(enum supervise_step step, int err)
{
	report(REPORT_FAILED, (int)step, -err);
	_exit(1);
}

/* --- the program, before it is one --- */

/* What the child tells the supervisor: a descriptor number, or what failed. */
struct word {
	int step;	/* -1: value is the listener */
	int value;
};

_Noreturn static void tell_and_exit(int fd, enum supervise_step step, int err)
{
	struct word w = { (int)step, err };

	(void)!write(fd, &w, sizeof(w));
	_exit(126);
}

static void lock_tcp(int words)
{
	int err = landlock_has_tcp() ? landlock_forbid_tcp() : 0;

	if (err < 0)
		tell_and_exit(words, SUPERVISE_LANDLOCK, err);
}

_Noreturn static void become_program(const struct program *p, int words, const sigset_t *mask)
{
	static struct sock_filter code[FILTER_MAX];
	size_t count = p->strict ? filter_build_strict(code) : filter_build(NULL, code);
	struct word w = { -1, 0 };
	char go;

	if ((p->strict || !supervise_is_privileged()) &&
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		tell_and_exit(words, SUPERVISE_FILTER, -errno);
	if (p->strict)
		lock_tcp(words);
	w.value = listener_install(code, count);
	if (w.value < 0)
		tell_and_exit(words, w.value == -EBUSY ? SUPERVISE_LISTEN : SUPERVISE_FILTER,
			      w.value);
	/* Neither write(2) nor read(2) is reported, or nobody would ever answer. */
	if (write(words, &w, sizeof(w)) != (ssize_t)sizeof(w) || read(words, &go, 1) != 1)
		_exit(126);
	close(w.value);
	(void)sigprocmask(SIG_SETMASK, mask, NULL);
	execve(p->path, p->argv, p->env);
	tell_and_exit(words, SUPERVISE_EXEC, -errno);
}

/* One word of the child's.  False when it ended, or became the program. */
static bool hear(int words, struct word *ret)
{
	ssize_t n;

	do {
		n = read(words, ret, sizeof(*ret));
	} while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(*ret);
}

/* The listener, once the child is the program; ends this process if it cannot be. */
static int start_program(const struct program *p, const sigset_t *mask)
{
	int words[2], listener, err;
	struct word w;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, words) < 0)
		fail(SUPERVISE_START, -errno);
	program = fork();
	if (program < 0)
		fail(SUPERVISE_START, -errno);
	if (program == 0) {
		close(words[0]);
		become_program(p, words[1], mask);
	}
	close(words[1]);
	if (!hear(words[0], &w))
		fail(SUPERVISE_START, -ECHILD);
	if (w.step >= 0)
		fail((enum supervise_step)w.step, w.value);
	listener = tracee_fetch(program, w.value);
	if (listener < 0)
		fail(SUPERVISE_WATCH, listener);
	err = tracee_probe(program, &program);
	if (err == 0)
		err = listener_open(listener);
	if (err < 0)
		fail(SUPERVISE_WATCH, err);
	if (write(words[0], "", 1) != 1)
		fail(SUPERVISE_START, -errno);
	if (hear(words[0], &w))
		fail((enum supervise_step)w.step, w.value);
	close(words[0]);
	return listener;
}

/* --- serving --- */

/* Nobody is left under the filter, the program included; but how it ended is told first. */
static void note_last(struct watch *w)
{
	if (program == 0)
		over = true;
	else
		loop_remove(w);
}

static void take_call(struct watch *w, uint32_t events)
{
	struct call c;
	int err;

	if ((events & EPOLLIN) == 0) {
		note_last(w);
		return;
	}
	err = listener_receive(&c);
	if (err == 0)
		serve_call(&c);
	else if (err != -EAGAIN)
		over = true;
}

/* Is nobody left under the filter? */
static bool is_last(void)
{
	struct pollfd p = { .fd = calls.fd };

	return poll(&p, 1, 0) > 0 && (p.revents & POLLHUP) != 0;
}

/* Have the programs left something behind that is still to be sent? */
static bool has_more_to_send(void)
{
	bool datagrams = association_is_needed();

	return conduit_is_needed() || datagrams;
}

/* The program has ended; its children may go on, and so does this process then. */
static void note_end(int status)
{
	over = is_last();
	report(REPORT_ENDED, strict_status(status),
	       over && !has_more_to_send() ? 0 : EBUSY);
	program = 0;
	stand_in_drop_streams(true);
	(void)!chdir("/");
}

static void reap(struct watch *w, uint32_t events)
{
	struct signalfd_siginfo si;
	int status;
	pid_t pid;

	(void)events;
	(void)!read(w->fd, &si, sizeof(si));
	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
		if (pid != program)
			continue; /* an orphan below it came to us */
		if (WIFSTOPPED(status))
			report(REPORT_STOPPED, 0, 0);
		else
			note_end(status);
	}
}

/* Whoever kills the front means the program. */
static void front_gone(struct watch *w, uint32_t events)
{
	(void)events;
	loop_remove(w);
	close(front);
	front = -1;
	if (program > 0)
		(void)kill(program, SIGKILL);
}

static int watch_all(int listener, int signals)
{
	int err = loop_open();

	calls = (struct watch){ .fd = listener, .events = EPOLLIN, .ready = take_call };
	children = (struct watch){ .fd = signals, .events = EPOLLIN, .ready = reap };
	front_end = (struct watch){ .fd = front, .events = 0, .ready = front_gone };
	if (err == 0)
		err = loop_add(&calls);
	if (err == 0)
		err = loop_add(&children);
	return err == 0 ? loop_add(&front_end) : err;
}

/* One descriptor for each connection under way. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int ascending(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

void watch_run(const struct program *p, int reports)
{
	sigset_t all, before;
	int keep[3], listener, signals, err;

	front = reports;
	if (p->strict)
		strict_begin();
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	sigfillset(&all);
	/* What is meant for the program must not end those it depends on. */
	(void)sigprocmask(SIG_BLOCK, &all, &before);
	listener = start_program(p, &before);
	sigemptyset(&all);
	sigaddset(&all, SIGCHLD);
	signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	keep[0] = listener;
	keep[1] = reports;
	keep[2] = signals;
	qsort(keep, 3, sizeof(keep[0]), ascending);
	stand_in_drop_descriptors(keep, 3);
	stand_in_drop_streams(false);
	raise_limit();
	err = watch_all(listener, signals);
	if (err < 0) {
		(void)kill(program, SIGKILL);
		fail(SUPERVISE_START, err);
	}
	if (!p->strict)
		tally_add(TALLY_SUPERVISED); /* else who starts a program knows whether it is one of these */
	report(REPORT_STARTED, program, 0);
	while (!over)
		loop_turn();
	loop_remove(&calls);
	while (has_more_to_send())
		loop_turn();
	_exit(0);
}
