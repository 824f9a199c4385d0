/* SPDX-License-Identifier: ISC */
/* fd.c - the calls that end or duplicate an fd, so that the fd table hears of it early. */
#include <stdarg.h>

#include "real.h"
#include "socksify/fdtab.h"

/* close(2) */
EXPORT int close(int fd)
{
	fdtab_drop(fd);
	return REAL(close)(fd);
}

EXPORT int __close(int fd)
{
	return close(fd);
}

/* close_range(2) */
EXPORT int close_range(unsigned low, unsigned high, int flags)
{
	int result = REAL(close_range)(low, high, flags);

	if (result == 0 && ((unsigned)flags & CLOSE_RANGE_CLOEXEC) == 0)
		fdtab_drop_range(low, high);
	return result;
}

/* closefrom(3) */
EXPORT void closefrom(int low)
{
	fdtab_drop_range(low < 0 ? 0 : (unsigned)low, ~0u);
	REAL(closefrom)(low);
}

/* fclose(3) closes inside libc, past close(). */
EXPORT int fclose(FILE *stream)
{
	int fd = fileno(stream);

	if (fdtab_has(fd))
		fdtab_drop(fd);
	return REAL(fclose)(stream);
}

/* dup(2) */
EXPORT int dup(int fd)
{
	int result = REAL(dup)(fd);

	if (result >= 0)
		fdtab_dup(fd, result);
	return result;
}

/* dup2(2) */
EXPORT int dup2(int from, int to)
{
	int result = REAL(dup2)(from, to);

	if (result >= 0)
		fdtab_dup(from, to);
	return result;
}

EXPORT int __dup2(int from, int to)
{
	return dup2(from, to);
}

/* dup3(2) */
EXPORT int dup3(int from, int to, int flags)
{
	int result = REAL(dup3)(from, to, flags);

	if (result >= 0)
		fdtab_dup(from, to);
	return result;
}

static void note_fcntl(int fd, int command, int result)
{
	if (result >= 0 && (command == F_DUPFD || command == F_DUPFD_CLOEXEC))
		fdtab_dup(fd, result);
}

/* fcntl(2): the third argument is an int or a pointer, and travels as a long. */
EXPORT int fcntl(int fd, int command, ...)
{
	va_list rest;
	long argument;
	int result;

	va_start(rest, command);
	argument = va_arg(rest, long);
	va_end(rest);
	result = REAL(fcntl)(fd, command, argument);
	note_fcntl(fd, command, result);
	return result;
}

EXPORT int fcntl64(int fd, int command, ...)
{
	va_list rest;
	long argument;
	int result;

	va_start(rest, command);
	argument = va_arg(rest, long);
	va_end(rest);
	result = REAL(fcntl64)(fd, command, argument);
	note_fcntl(fd, command, result);
	return result;
}
