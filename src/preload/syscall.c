/* SPDX-License-Identifier: ISC */
/*
 * syscall.c - syscall(2): calls of ours that come by this door are diverted.
 * All others, and those about what is none of ours, go to the kernel as they are.
 */
#include <errno.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "preload.h"
#include "real.h"
#include "socksify/fdtab.h"
#include "socksify/wait.h"

/* The arguments by number. */
#define PTR(type, i) ((type)(uintptr_t)a[i])
#define INT(i) ((int)a[i])

#define KERNEL_SIGSET_SIZE 8 /* what libc's functions pass for a signal mask */

static long forward(long number, const long a[6])
{
	return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* The calls that send to an address, or make an fd: whatever they are about, ours come first. */
static bool divert_always(long number, const long a[6], long *ret)
{
	switch (number) {
	case SYS_socket:
		*ret = socket(INT(0), INT(1), INT(2));
		return true;
	case SYS_socketpair:
		*ret = socketpair(INT(0), INT(1), INT(2), PTR(int *, 3));
		return true;
	case SYS_connect:
		*ret = connect(INT(0), PTR(const struct sockaddr *, 1), (socklen_t)a[2]);
		return true;
#ifdef SYS_accept
	case SYS_accept:
		*ret = accept(INT(0), PTR(struct sockaddr *, 1), PTR(socklen_t *, 2));
		return true;
#endif
	case SYS_accept4:
		*ret = accept4(INT(0), PTR(struct sockaddr *, 1), PTR(socklen_t *, 2), INT(3));
		return true;
	case SYS_bind:
		*ret = bind(INT(0), PTR(const struct sockaddr *, 1), (socklen_t)a[2]);
		return true;
	case SYS_listen:
		*ret = listen(INT(0), INT(1));
		return true;
	case SYS_sendto:
		*ret = sendto(INT(0), PTR(const void *, 1), (size_t)a[2], INT(3),
			      PTR(const struct sockaddr *, 4), (socklen_t)a[5]);
		return true;
	case SYS_sendmsg:
		*ret = sendmsg(INT(0), PTR(const struct msghdr *, 1), INT(2));
		return true;
	case SYS_sendmmsg:
		*ret = sendmmsg(INT(0), PTR(struct mmsghdr *, 1), (unsigned)a[2], INT(3));
		return true;
	case SYS_setsockopt:
		*ret = setsockopt(INT(0), INT(1), INT(2), PTR(const void *, 3), (socklen_t)a[4]);
		return true;
	case SYS_getsockopt:
		*ret = getsockopt(INT(0), INT(1), INT(2), PTR(void *, 3), PTR(socklen_t *, 4));
		return true;
	case SYS_dup:
		*ret = dup(INT(0));
		return true;
	case SYS_fcntl:
		if (INT(1) != F_DUPFD && INT(1) != F_DUPFD_CLOEXEC)
			return false;
		*ret = fcntl(INT(0), INT(1), a[2]);
		return true;
#ifdef SYS_dup2
	case SYS_dup2:
		*ret = dup2(INT(0), INT(1));
		return true;
#endif
	case SYS_dup3:
		*ret = dup3(INT(0), INT(1), INT(2));
		return true;
	case SYS_close_range:
		*ret = close_range((unsigned)a[0], (unsigned)a[1], INT(2));
		return true;
	case SYS_execve:
		*ret = execve(PTR(const char *, 0), PTR(char *const *, 1), PTR(char *const *, 2));
		return true;
	case SYS_execveat:
		*ret = execveat(INT(0), PTR(const char *, 1), PTR(char *const *, 2),
				PTR(char *const *, 3), INT(4));
		return true;
	default:
		return false;
	}
}

/* The calls about one fd, of which something is known. */
static bool divert_noted(long number, const long a[6], long *ret)
{
	switch (number) {
	case SYS_recvfrom:
		*ret = recvfrom(INT(0), PTR(void *, 1), (size_t)a[2], INT(3),
				PTR(struct sockaddr *, 4), PTR(socklen_t *, 5));
		return true;
	case SYS_recvmsg:
		*ret = recvmsg(INT(0), PTR(struct msghdr *, 1), INT(2));
		return true;
	case SYS_recvmmsg:
		*ret = recvmmsg(INT(0), PTR(struct mmsghdr *, 1), (unsigned)a[2], INT(3),
				PTR(struct timespec *, 4));
		return true;
	case SYS_read:
		*ret = read(INT(0), PTR(void *, 1), (size_t)a[2]);
		return true;
	case SYS_readv:
		*ret = readv(INT(0), PTR(const struct iovec *, 1), INT(2));
		return true;
#ifdef __LP64__ /* elsewhere the offset comes in two words */
	case SYS_preadv2:
		*ret = preadv2(INT(0), PTR(const struct iovec *, 1), INT(2), a[3], INT(5));
		return true;
	case SYS_pwritev2:
		*ret = pwritev2(INT(0), PTR(const struct iovec *, 1), INT(2), a[3], INT(5));
		return true;
#endif
	case SYS_write:
		*ret = write(INT(0), PTR(const void *, 1), (size_t)a[2]);
		return true;
	case SYS_writev:
		*ret = writev(INT(0), PTR(const struct iovec *, 1), INT(2));
		return true;
	case SYS_sendfile:
		*ret = sendfile(INT(0), INT(1), PTR(off_t *, 2), (size_t)a[3]);
		return true;
	case SYS_close:
		*ret = close(INT(0));
		return true;
	case SYS_shutdown:
		*ret = shutdown(INT(0), INT(1));
		return true;
	case SYS_getpeername:
		*ret = getpeername(INT(0), PTR(struct sockaddr *, 1), PTR(socklen_t *, 2));
		return true;
	case SYS_getsockname:
		*ret = getsockname(INT(0), PTR(struct sockaddr *, 1), PTR(socklen_t *, 2));
		return true;
	case SYS_fcntl:
		*ret = fcntl(INT(0), INT(1), a[2]);
		return true;
	case SYS_ioctl:
		*ret = ioctl(INT(0), (unsigned long)a[1], a[2]);
		return true;
	default:
		return false;
	}
}

/* The calls that wait, and those that epoll needs. */
static bool divert_waiting(long number, const long a[6], long *ret)
{
	switch (number) {
#ifdef SYS_epoll_create
	case SYS_epoll_create:
		*ret = epoll_create(INT(0));
		return true;
#endif
	case SYS_epoll_create1:
		*ret = epoll_create1(INT(0));
		return true;
	case SYS_epoll_ctl:
		*ret = epoll_ctl(INT(0), INT(1), INT(2), PTR(struct epoll_event *, 3));
		return true;
#ifdef SYS_epoll_wait
	case SYS_epoll_wait:
		*ret = epoll_wait(INT(0), PTR(struct epoll_event *, 1), INT(2), INT(3));
		return true;
#endif
	case SYS_epoll_pwait:
		if (a[4] != 0 && a[5] != KERNEL_SIGSET_SIZE)
			return false;
		*ret = epoll_pwait(INT(0), PTR(struct epoll_event *, 1), INT(2), INT(3),
				   PTR(const sigset_t *, 4));
		return true;
	case SYS_epoll_pwait2:
		if (a[4] != 0 && a[5] != KERNEL_SIGSET_SIZE)
			return false;
		*ret = epoll_pwait2(INT(0), PTR(struct epoll_event *, 1), INT(2),
				    PTR(const struct timespec *, 3), PTR(const sigset_t *, 4));
		return true;
	default:
		return false;
	}
}

/* The mask of pselect6, which comes as a pointer to its address and size; false: not one of libc's. */
static bool select_mask(long argument, const sigset_t **ret)
{
	const struct {
		const sigset_t *mask;
		size_t size;
	} *packed = (const void *)(uintptr_t)argument;

	*ret = packed != NULL ? packed->mask : NULL;
	return *ret == NULL || packed->size == KERNEL_SIGSET_SIZE;
}

/* While a handshake is under way; else the kernel sees the very call. */
static bool divert_pending(long number, const long a[6], long *ret)
{
	const sigset_t *mask;

	switch (number) {
#ifdef SYS_poll
	case SYS_poll:
		*ret = poll(PTR(struct pollfd *, 0), (nfds_t)a[1], INT(2));
		return true;
#endif
	case SYS_ppoll:
		if (a[3] != 0 && a[4] != KERNEL_SIGSET_SIZE)
			return false;
		*ret = ppoll(PTR(struct pollfd *, 0), (nfds_t)a[1],
			     PTR(const struct timespec *, 2), PTR(const sigset_t *, 3));
		return true;
#ifdef SYS_select
	case SYS_select:
		*ret = select(INT(0), PTR(fd_set *, 1), PTR(fd_set *, 2), PTR(fd_set *, 3),
			      PTR(struct timeval *, 4));
		return true;
#endif
	case SYS_pselect6:
		if (!select_mask(a[5], &mask))
			return false;
		*ret = pselect(INT(0), PTR(fd_set *, 1), PTR(fd_set *, 2), PTR(fd_set *, 3),
			       PTR(const struct timespec *, 4), mask);
		return true;
	case SYS_splice:
		*ret = splice(INT(0), PTR(off64_t *, 1), INT(2), PTR(off64_t *, 3),
			      (size_t)a[4], (unsigned)a[5]);
		return true;
	default:
		return false;
	}
}

/* syscall(2) */
EXPORT long syscall(long number, ...)
{
	long a[6], result;
	va_list rest;

	va_start(rest, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(rest, long);
	va_end(rest);
	if (divert_always(number, a, &result) || divert_waiting(number, a, &result) ||
	    (fdtab_has(INT(0)) && divert_noted(number, a, &result)) ||
	    (wait_has_gated() && divert_pending(number, a, &result)))
		return result;
	/* The connects of an io_uring could not be seen; runtimes fall back to epoll. */
	if (number == SYS_io_uring_setup && !preload_is_off())
		return libc_result(-ENOSYS);
	return forward(number, a);
}
