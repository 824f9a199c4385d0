/* SPDX-License-Identifier: ISC */
/* zoo_exec.c - children by every call that starts one, with an environment that was cleared. */
#include "zoo.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS_MAX 16

static char *nothing[] = { NULL };

/* The command line of this program with another trick: it reaches the same target. */
static char **again(const char *trick)
{
	static char *argv[ARGUMENTS_MAX];
	int n = 0;

	argv[n++] = (char *)(uintptr_t)self;
	argv[n++] = (char *)(uintptr_t)trick;
	for (char **a = arguments; *a != NULL && n < ARGUMENTS_MAX - 2; a++)
		argv[n++] = *a;
	argv[n] = NULL;
	return argv;
}

/* For the functions that take them so: all of zoo's, whose last is the static child. */
#define ONE_BY_ONE(v) (v)[0], (v)[1], (v)[2], (v)[3], (v)[4], (v)[5], (v)[6], (v)[7], (v)[8]

static enum outcome by_execve(void)
{
	execve(self, again("connect"), nothing);
	return failed("execve");
}

static enum outcome by_execve_syscall(void)
{
	syscall(SYS_execve, self, again("connect"), nothing);
	return failed("execve");
}

static enum outcome by_null_environment(void)
{
	syscall(SYS_execve, self, again("connect"), NULL);
	return failed("execve");
}

static enum outcome by_execv(void)
{
	clearenv();
	execv(self, again("connect"));
	return failed("execv");
}

static enum outcome by_execvp(void)
{
	clearenv();
	execvp(self, again("connect"));
	return failed("execvp");
}

static enum outcome by_execvpe(void)
{
	execvpe(self, again("connect"), nothing);
	return failed("execvpe");
}

static enum outcome by_execl(void)
{
	char **v = again("connect");

	clearenv();
	execl(self, ONE_BY_ONE(v), (char *)NULL);
	return failed("execl");
}

static enum outcome by_execlp(void)
{
	char **v = again("connect");

	clearenv();
	execlp(self, ONE_BY_ONE(v), (char *)NULL);
	return failed("execlp");
}

static enum outcome by_execle(void)
{
	char **v = again("connect");

	execle(self, ONE_BY_ONE(v), (char *)NULL, nothing);
	return failed("execle");
}

static enum outcome by_execveat(void)
{
	execveat(AT_FDCWD, self, again("connect"), nothing, 0);
	return failed("execveat");
}

static enum outcome by_execveat_fd(void)
{
	execveat(open(self, O_PATH | O_CLOEXEC), "", again("connect"), nothing, AT_EMPTY_PATH);
	return failed("execveat");
}

static enum outcome by_fexecve(void)
{
	fexecve(open(self, O_RDONLY | O_CLOEXEC), again("connect"), nothing);
	return failed("fexecve");
}

/* Only the variable of the loader is gone. */
static enum outcome by_unset(void)
{
	unsetenv("LD_PRELOAD");
	execv(self, again("connect"));
	return failed("execv");
}

/* The variable names another library. */
static enum outcome by_other_preload(void)
{
	setenv("LD_PRELOAD", plugin, 1);
	execv(self, again("connect"));
	return failed("execv");
}

static enum outcome by_vfork(void)
{
	char **v = again("connect");
	int pid = vfork();

	if (pid == 0) {
		execve(self, v, nothing);
		_exit(ZOO_FAILED);
	}
	return child_outcome(pid);
}

/* More variables than a stack is asked for, and some of them long. */
static enum outcome by_large_environment(void)
{
	enum { COUNT = 6000 };
	static char *env[COUNT + 1];
	int pid;

	for (int i = 0; i < COUNT; i++)
		if (asprintf(&env[i], "VARIABLE_%d=%.*s", i, i % 100, "......................"
			     "..........................................................") < 0)
			return ZOO_FAILED;
	pid = vfork();
	if (pid == 0) {
		execve(self, again("connect"), env);
		_exit(ZOO_FAILED);
	}
	return child_outcome(pid);
}

static enum outcome by_posix_spawn(void)
{
	pid_t pid;

	errno = posix_spawn(&pid, self, NULL, NULL, again("connect"), nothing);
	return errno != 0 ? failed("posix_spawn") : child_outcome(pid);
}

static enum outcome by_posix_spawnp(void)
{
	pid_t pid;

	errno = posix_spawnp(&pid, self, NULL, NULL, again("connect"), nothing);
	return errno != 0 ? failed("posix_spawnp") : child_outcome(pid);
}

/* The same with a command line for a shell. */
static const char *command_line(void)
{
	static char line[4096];
	char *to = line;

	for (char **a = again("connect"); *a != NULL; a++)
		to += sprintf(to, "'%s' ", *a);
	return line;
}

static enum outcome by_system(void)
{
	clearenv();
	return (enum outcome)WEXITSTATUS(system(command_line()));
}

static enum outcome by_popen(void)
{
	FILE *stream;

	clearenv();
	stream = popen(command_line(), "r");
	return stream == NULL ? failed("popen") : (enum outcome)WEXITSTATUS(pclose(stream));
}

/* A program that no library enters. */
static enum outcome statically(void)
{
	char **v = again("connect");

	v[0] = (char *)(uintptr_t)static_child;
	execv(static_child, v);
	return failed("execv");
}

static enum outcome statically_by_fd(void)
{
	fexecve(open(static_child, O_RDONLY | O_CLOEXEC), again("connect"), nothing);
	return failed("fexecve");
}

static enum outcome statically_spawned(void)
{
	char **v = again("connect");
	pid_t pid;

	errno = posix_spawn(&pid, static_child, NULL, NULL, v, nothing);
	return errno != 0 ? failed("posix_spawn") : child_outcome(pid);
}

/* Under a name that means nothing before the child has changed its directory. */
static enum outcome statically_elsewhere(void)
{
	posix_spawn_file_actions_t actions;
	char path[4096], *slash;
	pid_t pid;

	snprintf(path, sizeof(path), "%s", static_child);
	slash = strrchr(path, '/');
	*slash = '\0';
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addchdir_np(&actions, path);
	*slash = '.'; /* "./NAME" */
	memmove(slash + 2, slash + 1, strlen(slash + 1) + 1);
	slash[1] = '/';
	errno = posix_spawn(&pid, slash, &actions, NULL, again("connect"), nothing);
	return errno != 0 ? failed("posix_spawn") : child_outcome(pid);
}

static enum outcome statically_by_shell(void)
{
	static char line[4096];
	char *to = line + sprintf(line, "'%s' ", static_child);

	for (char **a = again("connect") + 1; *a != NULL; a++)
		to += sprintf(to, "'%s' ", *a);
	clearenv();
	return WEXITSTATUS(system(line)) == ZOO_HELLO ? ZOO_HELLO : ZOO_FAILED;
}

/* Its interpreter is one. */
static enum outcome script(void)
{
	char path[] = "/tmp/zoo.XXXXXX", text[4096], *argv[ARGUMENTS_MAX];
	int fd = mkstemp(path), n, pid;

	/* The interpreter sees the path of the script behind "connect", and takes it for nothing. */
	n = snprintf(text, sizeof(text), "#!%s connect\n", static_child);
	if (fd < 0 || write(fd, text, (size_t)n) != n || fchmod(fd, 0700) < 0)
		return failed("script");
	close(fd);
	n = 0;
	argv[n++] = path;
	for (char **a = arguments; *a != NULL && n < ARGUMENTS_MAX - 2; a++)
		argv[n++] = *a;
	argv[n] = NULL;
	pid = vfork();
	if (pid == 0) {
		execve(path, argv, nothing);
		_exit(ZOO_FAILED);
	}
	n = (int)child_outcome(pid);
	unlink(path);
	return (enum outcome)n;
}

/* Replaced by this program with another trick, whose last argument is an fd. */
static enum outcome go_on_with(const char *trick, int fd)
{
	char number[12], **v = again(trick);
	int n = 0;

	snprintf(number, sizeof(number), "%d", fd);
	while (v[n] != NULL)
		n++;
	v[n] = number;
	v[n + 1] = NULL;
	execve(self, v, nothing);
	return failed("execve");
}

/* A socket that is connected only after the program was replaced. */
static enum outcome inherited_socket(void)
{
	return go_on_with("use-inherited", stream(AF_INET, 0));
}

static int last_number(void)
{
	int n = 0;

	while (arguments[n + 1] != NULL)
		n++;
	return atoi(arguments[n]);
}

static enum outcome use_inherited(void)
{
	int fd = last_number();

	if (connect(fd, (const struct sockaddr *)&target4, sizeof(target4)) < 0)
		return failed("connect");
	return ask(fd);
}

/* One whose connect is under way. */
static enum outcome pending_socket(void)
{
	int fd = stream(AF_INET, 0);

	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (connect(fd, (const struct sockaddr *)&target4, sizeof(target4)) < 0 &&
	    errno != EINPROGRESS)
		return failed("connect");
	fcntl(fd, F_SETFL, 0);
	return go_on_with("use-connected", fd);
}

static enum outcome use_connected(void)
{
	return ask(last_number());
}

const struct trick exec_tricks[] = {
	{ "execve", by_execve, true },
	{ "execve-syscall", by_execve_syscall, true },
	{ "execve-null-environment", by_null_environment, true },
	{ "execv", by_execv, true },
	{ "execvp", by_execvp, true },
	{ "execvpe", by_execvpe, true },
	{ "execl", by_execl, true },
	{ "execlp", by_execlp, true },
	{ "execle", by_execle, true },
	{ "execveat", by_execveat, true },
	{ "execveat-fd", by_execveat_fd, true },
	{ "fexecve", by_fexecve, true },
	{ "exec-unset", by_unset, true },
	{ "exec-other-preload", by_other_preload, true },
	{ "exec-vfork", by_vfork, true },
	{ "exec-large-environment", by_large_environment, true },
	{ "posix-spawn", by_posix_spawn, true },
	{ "posix-spawnp", by_posix_spawnp, true },
	{ "system", by_system, true },
	{ "popen", by_popen, true },
	{ "static", statically, false },
	{ "static-fd", statically_by_fd, false },
	{ "static-spawn", statically_spawned, false },
	{ "static-elsewhere", statically_elsewhere, false },
	{ "static-shell", statically_by_shell, false },
	{ "static-script", script, false },
	{ "inherited-socket", inherited_socket, true },
	{ "inherited-pending", pending_socket, true },
	{ NULL, NULL, false },
};

/* Parts of tricks, by programs that were started. */
const struct trick part_tricks[] = {
	{ "use-inherited", use_inherited, false },
	{ "use-connected", use_connected, false },
	{ NULL, NULL, false },
};
