/* SPDX-License-Identifier: ISC */
/*
 * exec.c - exec(3): handshakes on fds that the new program inherits come to
 * their end before it starts, and the library goes with it.
 */
#include <alloca.h>
#include <errno.h>
#include <paths.h>
#include <stdarg.h>
#include <string.h>

#include "launch.h"
#include "real.h"
#include "socksify/gate.h"
#include "socksify/report.h"

/* Which of the system's calls it was: their errors differ. */
enum call { CALL_EXECVE, CALL_EXECVEAT, CALL_FEXECVE };

static int start_real(const struct launch *l, enum call call, int flags)
{
	switch (l->by_runner ? CALL_EXECVE : call) {
	case CALL_EXECVEAT:
		return REAL(execveat)(l->dir, l->path, l->argv, l->env, flags);
	case CALL_FEXECVE:
		return REAL(fexecve)(l->dir, l->argv, l->env);
	case CALL_EXECVE:
		break;
	}
	return REAL(execve)(l->path, l->argv, l->env);
}

/* "" without AT_EMPTY_PATH, or of the working directory: the kernel has the right error. */
static bool is_nothing(const struct launch *l, enum call call, int flags)
{
	return call == CALL_EXECVEAT && l->path != NULL && l->path[0] == '\0' &&
	       (l->dir < 0 || (flags & AT_EMPTY_PATH) == 0);
}

/* Each call has the room for the new environment on its own stack. */
static int __attribute__((noinline)) start(struct launch l, enum call call, int flags)
{
	ssize_t room = is_nothing(&l, call, flags) ? 0 : launch_judge(&l);
	int err = room < 0 ? (int)room : 0, result;

	if (room > 0)
		err = LAUNCH_ARRANGE(&l, (size_t)room);
	if (err < 0)
		return libc_result(err);
	if (report_has_lines())
		report_close_all();
	result = start_real(&l, call, flags);
	launch_end(&l);
	return result;
}

EXPORT int execve(const char *path, char *const argv[], char *const env[])
{
	gate_finish_inherited();
	return start((struct launch){ .dir = AT_FDCWD, .path = path, .argv = argv, .env = env,
				      .kept_fd = -1 },
		     CALL_EXECVE, 0);
}

EXPORT int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

/* What the kernel has no format for is a script for the shell: execvp(3). */
static int __attribute__((noinline)) start_script(const char *path, char *const argv[],
						  char *const env[])
{
	size_t argc = 0;
	char **args;

	while (argv[argc] != NULL)
		argc++;
	args = alloca((argc + 3) * sizeof(*args));
	args[0] = (char *)(uintptr_t)_PATH_BSHELL;
	args[1] = (char *)(uintptr_t)path;
	args[2] = NULL;
	if (argc > 1)
		memcpy(args + 2, argv + 1, argc * sizeof(*args));
	return execve(_PATH_BSHELL, args, env);
}

static int start_or_script(const char *path, char *const argv[], char *const env[])
{
	int result = execve(path, argv, env);

	return errno == ENOEXEC ? start_script(path, argv, env) : result;
}

/* Is it an error of one directory only? */
static bool goes_on_after(int error)
{
	return error == EACCES || error == ENOENT || error == ESTALE || error == ENOTDIR ||
	       error == ENODEV || error == ETIMEDOUT;
}

EXPORT int execvpe(const char *file, char *const argv[], char *const env[])
{
	struct launch_search search;
	bool forbidden = false;
	int err;

	if (strchr(file, '/') != NULL)
		return start_or_script(file, argv, env);
	err = launch_search_begin(&search, file);
	if (err < 0)
		return libc_result(err);
	errno = ENOENT;
	while (launch_search_next(&search) == 0) {
		(void)start_or_script(search.path, argv, env);
		if (!goes_on_after(errno))
			return -1;
		forbidden = forbidden || errno == EACCES;
	}
	/* One that may not be started is better news than none. */
	return forbidden ? libc_result(-EACCES) : -1;
}

EXPORT int execvp(const char *file, char *const argv[])
{
	return execvpe(file, argv, environ);
}

EXPORT int fexecve(int fd, char *const argv[], char *const env[])
{
	if (fd < 0)
		return libc_result(-EINVAL);
	gate_finish_inherited();
	return start((struct launch){ .dir = fd, .path = "", .argv = argv, .env = env,
				      .kept_fd = -1 },
		     CALL_FEXECVE, 0);
}

EXPORT int execveat(int dir, const char *path, char *const argv[], char *const env[], int flags)
{
	gate_finish_inherited();
	return start((struct launch){ .dir = dir, .path = path, .argv = argv, .env = env,
				      .kept_fd = -1 },
		     CALL_EXECVEAT, flags);
}

/* How many arguments there are from @first on, with the NULL at their end. */
static size_t count_arguments(const char *first, va_list rest)
{
	size_t count = 1;

	while (first != NULL) {
		first = va_arg(rest, const char *);
		count++;
	}
	return count;
}

static void copy_arguments(char **argv, const char *first, va_list *rest)
{
	*argv = (char *)(uintptr_t)first;
	while (*argv != NULL)
		*++argv = va_arg(*rest, char *);
}

/* The arguments of a function that takes them one by one, as an array on its stack. */
#define ARGUMENTS(argv, first, rest)                                               \
	do {                                                                       \
		va_start(rest, first);                                             \
		argv = alloca(count_arguments(first, rest) * sizeof(*argv));       \
		va_end(rest);                                                      \
		va_start(rest, first);                                             \
		copy_arguments(argv, first, &(rest));                              \
	} while (0)

EXPORT int execl(const char *path, const char *arg, ...)
{
	va_list rest;
	char **argv;

	ARGUMENTS(argv, arg, rest);
	va_end(rest);
	return execv(path, argv);
}

EXPORT int execlp(const char *file, const char *arg, ...)
{
	va_list rest;
	char **argv;

	ARGUMENTS(argv, arg, rest);
	va_end(rest);
	return execvp(file, argv);
}

EXPORT int execle(const char *path, const char *arg, ...)
{
	va_list rest;
	char **argv, **env;

	ARGUMENTS(argv, arg, rest);
	env = va_arg(rest, char **);
	va_end(rest);
	return execve(path, argv, env);
}
