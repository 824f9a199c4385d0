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
	case SYS_epoll_pwait2:
		return epoll_pwait2(INT(0), PTR(struct epoll_event *, 1), INT(2),
				    PTR(const struct timespec *, 3), PTR(const sigset_t *, 4));
	case SYS_epoll_create1:
		return epoll_create1(INT(0));
	case SYS_ppoll:
		return ppoll(PTR(struct pollfd *, 0), (nfds_t)a[1],
			     PTR(const struct timespec *, 2), PTR(const sigset_t *, 3));
#ifdef SYS_select
	case SYS_select:
		return select(INT(0), PTR(fd_set *, 1), PTR(fd_set *, 2), PTR(fd_set *, 3),
			      PTR(struct timeval *, 4));
#endif
	case SYS_recvmmsg:
		return recvmmsg(INT(0), PTR(struct mmsghdr *, 1), (unsigned)a[2], INT(3),
				PTR(struct timespec *, 4));
	case SYS_sendfile:
		return sendfile(INT(0), INT(1), PTR(off_t *, 2), (size_t)a[3]);
	case SYS_splice:
		return splice(INT(0), PTR(off64_t *, 1), INT(2), PTR(off64_t *, 3),
			      (size_t)a[4], (unsigned)a[5]);
	case SYS_dup:
		return dup(INT(0));
#ifdef SYS_dup2
	case SYS_dup2:
		return dup2(INT(0), INT(1));
#endif
	case SYS_dup3:
		return dup3(INT(0), INT(1), INT(2));
	case SYS_fcntl:
		return fcntl(INT(0), INT(1), a[2]);
	case SYS_setsockopt:
		return setsockopt(INT(0), INT(1), INT(2), PTR(const void *, 3), (socklen_t)a[4]);
	case SYS_io_uring_setup:
		/* Its connects could not be seen; runtimes fall back to epoll. */
		return libc_result(-ENOSYS);
	default:
		return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	}
}
