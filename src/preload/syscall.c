/* SPDX-License-Identifier: ISC */
/* syscall.c - syscall(2): calls of ours that come by this door are diverted, all others forwarded. */
#include <errno.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "real.h"

/* The arguments by number. */
#define PTR(type, i) ((type)(uintptr_t)a[i])
#define INT(i) ((int)a[i])

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
	case SYS_socket:
		return socket(INT(0), INT(1), INT(2));
	case SYS_connect:
		return connect(INT(0), PTR(const struct sockaddr *, 1), (socklen_t)a[2]);
	case SYS_sendto:
		return sendto(INT(0), PTR(const void *, 1), (size_t)a[2], INT(3),
			      PTR(const struct sockaddr *, 4), (socklen_t)a[5]);
	case SYS_sendmsg:
		return sendmsg(INT(0), PTR(const struct msghdr *, 1), INT(2));
	case SYS_sendmmsg:
		return sendmmsg(INT(0), PTR(struct mmsghdr *, 1), (unsigned)a[2], INT(3));
	case SYS_recvfrom:
		return recvfrom(INT(0), PTR(void *, 1), (size_t)a[2], INT(3),
				PTR(struct sockaddr *, 4), PTR(socklen_t *, 5));
	case SYS_recvmsg:
		return recvmsg(INT(0), PTR(struct msghdr *, 1), INT(2));
	case SYS_read:
		return read(INT(0), PTR(void *, 1), (size_t)a[2]);
	case SYS_readv:
		return readv(INT(0), PTR(const struct iovec *, 1), INT(2));
	case SYS_write:
		return write(INT(0), PTR(const void *, 1), (size_t)a[2]);
	case SYS_writev:
		return writev(INT(0), PTR(const struct iovec *, 1), INT(2));
	case SYS_close:
		return close(INT(0));
	case SYS_shutdown:
		return shutdown(INT(0), INT(1));
	case SYS_getpeername:
		return getpeername(INT(0), PTR(struct sockaddr *, 1), PTR(socklen_t *, 2));
	case SYS_getsockopt:
		return getsockopt(INT(0), INT(1), INT(2), PTR(void *, 3), PTR(socklen_t *, 4));
	case SYS_epoll_ctl:
		return epoll_ctl(INT(0), INT(1), INT(2), PTR(struct epoll_event *, 3));
#ifdef SYS_epoll_wait
	case SYS_epoll_wait:
		return epoll_wait(INT(0), PTR(struct epoll_event *, 1), INT(2), INT(3));
#endif
	case SYS_epoll_pwait:
		return epoll_pwait(INT(0), PTR(struct epoll_event *, 1), INT(2), INT(3),
				   PTR(const sigset_t *, 4));
#ifdef SYS_poll
	case SYS_poll:
		return poll(PTR(struct pollfd *, 0), (nfds_t)a[1], INT(2));
#endif
	case SYS_io_uring_setup:
		/* Its connects could not be seen; runtimes fall back to epoll. */
		return libc_result(-ENOSYS);
	default:
		return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	}
}
