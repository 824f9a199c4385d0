/* SPDX-License-Identifier: ISC */
/* front.c - the process that people see: it stands for the program that the supervisor runs. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"
#include "socksify/log.h"
#include "socksify/stand_in.h"

#define EXIT_LOST 125 /* nobody can tell how the program ended */

static pid_t program;	/* 0: not started yet */

static void hand_on(int signals)
{
	struct signalfd_siginfo si;

	if (read(signals, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return;
	stand_in_hand_on(program, (int)si.ssi_signo, si.ssi_code);
}

/* The supervisor is dead: the program's calls fail from now on, and it became our child. */
_Noreturn static void outlive(int signals)
{
	struct pollfd p = { .fd = signals, .events = POLLIN };
	int status;
	pid_t pid;

	log_line(LOG_LEVEL_ERROR, "the supervisor is gone: the command has no network any more",
		 NULL);
	for (;;) {
		while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
			if (pid == program && WIFSTOPPED(status))
				stand_in_stop(program);
			else if (pid == program)
				stand_in_end(status);
		}
		if (pid < 0 && errno != EINTR)
			_exit(EXIT_LOST);
		if (poll(&p, 1, -1) > 0)
			hand_on(signals);
	}
}

static bool receive(int reports, struct report *ret)
{
	ssize_t n;

	do {
		n = read(reports, ret, sizeof(*ret));
	} while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(*ret);
}

/* False: it failed. */
static bool take_report(const struct report *r, pid_t supervisor, struct supervise_failure *ret)
{
	switch (r->kind) {
	case REPORT_FAILED:
		(void)waitpid(supervisor, NULL, 0);
		ret->step = (enum supervise_step)r->value;
		ret->error = r->error;
		return false;
	case REPORT_STARTED:
		program = (pid_t)r->value;
		/* Whoever reads the program's output waits for the end of all who have it. */
		stand_in_drop_streams(false);
		break;
	case REPORT_STOPPED:
		stand_in_stop(program);
		break;
	case REPORT_ENDED:
		if (r->error == 0)
			(void)waitpid(supervisor, NULL, 0);
		stand_in_end(r->value);
	}
	return true;
}

void front_run(pid_t supervisor, int reports, struct supervise_failure *ret)
{
	sigset_t all, before;
	struct report r;
	int signals;

	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, &before);
	signals = signalfd(-1, &all, SFD_CLOEXEC);
	for (;;) {
		/* What comes before there is a program waits for it. */
		struct pollfd fds[] = { { .fd = reports, .events = POLLIN },
					{ .fd = program > 0 ? signals : -1, .events = POLLIN } };

		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents != 0)
			hand_on(signals);
		if (fds[0].revents == 0)
			continue;
		if (!receive(reports, &r))
			outlive(signals);
		if (!take_report(&r, supervisor, ret))
			break;
	}
	close(signals);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
}
