/* SPDX-License-Identifier: ISC */
/* exec.c - exec(3): handshakes on fds that the new program inherits come to their end before it starts. */
#include <alloca.h>
#include <stdarg.h>

#include "real.h"
#include "socksify/gate.h"

/* posix_spawn(3) itself goes past us, and so would what its child does with the fd. */
EXPORT int posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *actions, int from, int to)
{
	gate_finish(from);
	return REAL(posix_spawn_file_actions_adddup2)(actions, from, to);
}

EXPORT int execve(const char *path, char *const argv[], char *const env[])
{
	gate_finish_inherited();
	return REAL(execve)(path, argv, env);
}

EXPORT int execv(const char *path, char *const argv[])
{
	gate_finish_inherited();
	return REAL(execv)(path, argv);
}

EXPORT int execvp(const char *file, char *const argv[])
{
	gate_finish_inherited();
	return REAL(execvp)(file, argv);
}

EXPORT int execvpe(const char *file, char *const argv[], char *const env[])
{
	gate_finish_inherited();
	return REAL(execvpe)(file, argv, env);
}

EXPORT int fexecve(int fd, char *const argv[], char *const env[])
{
	gate_finish_inherited();
	return REAL(fexecve)(fd, argv, env);
}

EXPORT int execveat(int dir, const char *path, char *const argv[], char *const env[], int flags)
{
	gate_finish_inherited();
	return REAL(execveat)(dir, path, argv, env, flags);
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
