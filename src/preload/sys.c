/* SPDX-License-Identifier: ISC */
/* sys.c - the real system calls: raw ones, so neither cancellation points nor interposed. */
#include "socksify/sys.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>

#include "real.h"

#define ARG(x) ((long)(x))

static long raw(long number, long a, long b, long c, long d, long e, long f)
{
	int saved = errno;
	long result = REAL(syscall)(number, a, b, c, d, e, f);

	if (result == -1) {
		result = -errno;
		errno = saved;
	}
	return result;
}

int sys_connect(int fd, const void *addr, socklen_t len)
{
	return (int)raw(SYS_connect, fd, ARG(addr), (long)len, 0, 0, 0);
}

ssize_t sys_send(int fd, const void *bytes, size_t len, int flags)
{
	return raw(SYS_sendto, fd, ARG(bytes), (long)len, flags, 0, 0);
}

ssize_t sys_recv(int fd, void *bytes, size_t size, int flags)
{
	return raw(SYS_recvfrom, fd, ARG(bytes), (long)size, flags, 0, 0);
}

int sys_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	return (int)raw(SYS_getsockopt, fd, level, name, ARG(value), ARG(len), 0);
}

int sys_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	return (int)raw(SYS_setsockopt, fd, level, name, ARG(value), (long)len, 0);
}

int sys_poll(struct pollfd *fds, nfds_t count, int64_t timeout_ms)
{
	struct timespec ts = { timeout_ms / 1000, timeout_ms % 1000 * 1000000 };

	return (int)raw(SYS_ppoll, ARG(fds), (long)count,
			timeout_ms < 0 ? 0 : ARG(&ts), 0, 0, 0);
}

int64_t sys_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int sys_getpid(void)
{
	return (int)raw(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

int sys_open(const char *path, int flags, mode_t mode)
{
	return (int)raw(SYS_openat, AT_FDCWD, ARG(path), flags, (long)mode, 0, 0);
}

ssize_t sys_read(int fd, void *bytes, size_t size)
{
	return raw(SYS_read, fd, ARG(bytes), (long)size, 0, 0, 0);
}

ssize_t sys_write(int fd, const void *bytes, size_t len)
{
	return raw(SYS_write, fd, ARG(bytes), (long)len, 0, 0, 0);
}

int sys_fstat(int fd, struct stat *ret)
{
	int saved = errno, result = fstat(fd, ret) < 0 ? -errno : 0;

	errno = saved;
	return result;
}

int sys_close(int fd)
{
	return (int)raw(SYS_close, fd, 0, 0, 0, 0, 0);
}

bool sys_has_interrupting_handler(void)
{
	struct sigaction sa;

	for (int sig = 1; sig < NSIG; sig++) {
		if (sig == SIGKILL || sig == SIGSTOP || sigaction(sig, NULL, &sa) < 0)
			continue;
		if (sa.sa_handler != SIG_DFL && sa.sa_handler != SIG_IGN &&
		    (sa.sa_flags & SA_RESTART) == 0)
			return true;
	}
	return false;
}

int sys_resolve(const char *name, uint16_t port, struct target *ret, int max)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	int saved = errno, count = 0;

	if (REAL(getaddrinfo)(name, NULL, &hints, &list) == 0) {
		for (struct addrinfo *a = list; a != NULL && count < max; a = a->ai_next) {
			if (target_from_sockaddr(a->ai_addr, a->ai_addrlen, &ret[count]) < 0)
				continue;
			ret[count++].port = port;
		}
		freeaddrinfo(list);
	}
	errno = saved;
	return count > 0 ? count : -EHOSTUNREACH;
}
