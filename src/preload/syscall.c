/* SPDX-License-Identifier: ISC */
/* syscall.c - syscall(2): calls of ours that come by this door are diverted, all others forwarded. */
#include <errno.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "real.h"

#define PTR(type, x) ((type)(uintptr_t)(x))

/* syscall(2) */
EXPORT long syscall(long number, ...)
{
	long a[6];
	va_list rest;

	va_start(rest, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(rest, long);
	va_end(rest);
	switch (number) {
	case SYS_connect:
		return connect((int)a[0], PTR(const struct sockaddr *, a[1]), (socklen_t)a[2]);
	case SYS_sendto:
		return sendto((int)a[0], PTR(const void *, a[1]), (size_t)a[2], (int)a[3],
			      PTR(const struct sockaddr *, a[4]), (socklen_t)a[5]);
	case SYS_sendmsg:
		return sendmsg((int)a[0], PTR(const struct msghdr *, a[1]), (int)a[2]);
	case SYS_sendmmsg:
		return sendmmsg((int)a[0], PTR(struct mmsghdr *, a[1]), (unsigned)a[2], (int)a[3]);
	case SYS_close:
		return close((int)a[0]);
	case SYS_getpeername:
		return getpeername((int)a[0], PTR(struct sockaddr *, a[1]), PTR(socklen_t *, a[2]));
	case SYS_io_uring_setup:
		/* Its connects could not be seen; runtimes fall back to epoll. */
		return libc_result(-ENOSYS);
	default:
		return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	}
}
