/* SPDX-License-Identifier: ISC */
/* fd.c - the calls that end or duplicate an fd, so that the fd table hears of it early. */
#include <errno.h>
#include <stdarg.h>

#include "real.h"
#include "socksify/gate.h"
#include "socksify/own.h"
#include "socksify/relay.h"
#include "socksify/report.h"

static __attribute__((noinline)) int close_known(int fd)
{
	if (own_is(fd))
		return libc_result(-EBADF); /* as far as the program knows */
	if (fdtab_state(fd) == CONN_OWED)
		gate_close(fd);
	if (__builtin_expect(relay_is_unsettled(), 0) && fdtab_is_relayed(fd))
		relay_close(fd);
	if (report_has_lines())
		report_close(fd);
	fdtab_close(fd);
	return REAL(close)(fd);
}

/* close(2) */
EXPORT int close(int fd)
{
	if (__builtin_expect(fdtab_has(fd), 0) && !fdtab_close_plain(fd))
		return close_known(fd);
	return REAL(close)(fd);
}

EXPORT int __close(int fd)
{
	return close(fd);
}

/* close_range(2) */
EXPORT int close_range(unsigned low, unsigned high, int flags)
{
	unsigned from = low, to;
	int result = 0;

	if (low > high)
		return REAL(close_range)(low, high, flags);
	while (result == 0 && own_gap(&from, high, &to)) {
		if (report_has_lines() && ((unsigned)flags & CLOSE_RANGE_CLOEXEC) == 0)
			report_close_range(from, to);
		result = REAL(close_range)(from, to, flags);
		if (result == 0 && ((unsigned)flags & CLOSE_RANGE_CLOEXEC) == 0)
			fdtab_close_range(from, to);
		if (to == high)
			break;
		from = to + 1;
	}
	return result;
}

/* closefrom(3) */
EXPORT void closefrom(int low)
{
	unsigned from = low < 0 ? 0 : (unsigned)low, to;

	while (own_gap(&from, ~0u, &to) && to != ~0u) {
		(void)close_range(from, to, 0);
		from = to + 1;
	}
	if (report_has_lines())
		report_close_range(from, ~0u);
	fdtab_close_range(from, ~0u);
	REAL(closefrom)((int)from);
}

/* fclose(3) closes inside libc, past close(). */
EXPORT int fclose(FILE *stream)
{
	int saved = errno, fd = fileno(stream);

	errno = saved; /* a stream without an fd is no error */
	if (report_has_lines())
		report_close(fd);
	fdtab_close(fd);
	return REAL(fclose)(stream);
}

/* fdopen(3) */
EXPORT FILE *fdopen(int fd, const char *mode)
{
	if (conn_is_under_way(fdtab_state(fd)))
		gate_finish(fd);
	return REAL(fdopen)(fd, mode);
}

EXPORT FILE *_IO_fdopen(int fd, const char *mode)
{
	return fdopen(fd, mode);
}

/* What stdio reads and writes goes past us: a handshake comes to its end first. */
static void finish_for_stdio(int from, int to)
{
	if (to >= STDIN_FILENO && to <= STDERR_FILENO && conn_is_under_way(fdtab_state(from)))
		gate_finish(from);
}

static inline void note_duplicate(int from, int to)
{
	if ((!fdtab_has(from) && !fdtab_has(to)) || fdtab_has_same(from, to))
		return;
	finish_for_stdio(from, to);
	fdtab_dup(from, to);
}

/* dup(2) */
EXPORT int dup(int fd)
{
	int result = REAL(dup)(fd);

	if (result >= 0)
		note_duplicate(fd, result);
	return result;
}

/* dup2(2) */
EXPORT int dup2(int from, int to)
{
	int result;

	finish_for_stdio(from, to);
	result = own_is(from) ? -EBADF : own_leave(to);
	if (result < 0)
		return libc_result(result);
	if (from != to && report_has_lines())
		report_close(to);
	result = REAL(dup2)(from, to);
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
	int result;

	finish_for_stdio(from, to);
	result = own_is(from) ? -EBADF : own_leave(to);
	if (result < 0)
		return libc_result(result);
	if (from != to && report_has_lines())
		report_close(to);
	result = REAL(dup3)(from, to, flags);
	if (result >= 0)
		fdtab_dup(from, to);
	return result;
}

static inline bool is_noted(int command)
{
	return command == F_SETFL || command == F_DUPFD || command == F_DUPFD_CLOEXEC;
}

static __attribute__((noinline)) int note_fcntl(int fd, int command, long argument, int result)
{
	if (result < 0)
		return result;
	if (command != F_SETFL) {
		note_duplicate(fd, result);
	} else if ((argument & O_NONBLOCK) != 0) {
		fdtab_change_marks(fd, FD_NONBLOCK, 0);
	} else {
		fdtab_change_marks(fd, 0, FD_NONBLOCK);
	}
	return result;
}

/* fcntl(2): the third argument is an int or a pointer, and travels as a long. */
EXPORT NO_CANARY int fcntl(int fd, int command, ...)
{
	va_list rest;
	long argument;

	va_start(rest, command);
	argument = va_arg(rest, long);
	va_end(rest);
	if (__builtin_expect(is_noted(command), 0))
		return note_fcntl(fd, command, argument, REAL(fcntl)(fd, command, argument));
	return REAL(fcntl)(fd, command, argument);
}

EXPORT int __fcntl(int fd, int command, ...)
{
	va_list rest;
	long argument;

	va_start(rest, command);
	argument = va_arg(rest, long);
	va_end(rest);
	return fcntl(fd, command, argument);
}

EXPORT NO_CANARY int fcntl64(int fd, int command, ...)
{
	va_list rest;
	long argument;

	va_start(rest, command);
	argument = va_arg(rest, long);
	va_end(rest);
	if (__builtin_expect(is_noted(command), 0))
		return note_fcntl(fd, command, argument, REAL(fcntl64)(fd, command, argument));
	return REAL(fcntl64)(fd, command, argument);
}
