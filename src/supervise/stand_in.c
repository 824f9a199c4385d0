/* SPDX-License-Identifier: ISC */
/* stand_in.c - a process that stands for another one before whoever started it. */
#include "socksify/stand_in.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

void stand_in_hand_on(pid_t program, int sig, int code)
{
	if (sig != SIGCHLD && code != SI_KERNEL && program > 0)
		(void)kill(program, sig);
}

void stand_in_stop(pid_t program)
{
	(void)kill(getpid(), SIGSTOP);
	(void)kill(program, SIGCONT);
}

void stand_in_end(int status)
{
	struct rlimit none = { 0, 0 };
	sigset_t one;

	if (WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)signal(WTERMSIG(status), SIG_DFL);
	sigemptyset(&one);
	sigaddset(&one, WTERMSIG(status));
	(void)raise(WTERMSIG(status));
	(void)sigprocmask(SIG_UNBLOCK, &one, NULL);
	_exit(128 + WTERMSIG(status));
}

void stand_in_drop_descriptors(const int *keep, int count)
{
	unsigned from = 3;

	for (int i = 0; i < count; i++) {
		if ((unsigned)keep[i] > from)
			(void)close_range(from, (unsigned)keep[i] - 1, 0);
		from = (unsigned)keep[i] + 1;
	}
	(void)close_range(from, ~0u, 0);
}

void stand_in_drop_streams(bool with_stderr)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)dup2(fd, STDIN_FILENO);
	(void)dup2(fd, STDOUT_FILENO);
	if (with_stderr)
		(void)dup2(fd, STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}
