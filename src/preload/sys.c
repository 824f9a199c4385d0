/* SPDX-License-Identifier: ISC */
/* sys.c - the real system calls: raw ones, so neither cancellation points nor interposed. */
#include "socksify/sys.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/single_threaded.h>
#include <sys/syscall.h>
#include <time.h>

#include "real.h"

#define ARG(x) ((long)(x))

/* Inlined, for at most call sites half of the arguments are none. */
static inline __attribute__((always_inline)) long raw(long number, long a, long b, long c, long d, long e, long f)
{
	int saved = errno;
	long result = REAL(syscall)(number, a, b, c, d, e, f);

	if (result == -1) {
		result = -errno;
		errno = saved;
	}
	return result;
}

int sys_socket(int domain, int type, int protocol)
{
	return (int)raw(SYS_socket, domain, type, protocol, 0, 0, 0);
}

int sys_bind(int fd, const void *addr, socklen_t len)
{
	return (int)raw(SYS_bind, fd, ARG(addr), (long)len, 0, 0, 0);
}

int sys_listen(int fd, int backlog)
{
	return (int)raw(SYS_listen, fd, backlog, 0, 0, 0, 0);
}

int sys_accept(int fd, int flags)
{
	return (int)raw(SYS_accept4, fd, 0, 0, flags, 0, 0);
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

int sys_getpeername(int fd, void *addr, socklen_t *len)
{
	return (int)raw(SYS_getpeername, fd, ARG(addr), ARG(len), 0, 0, 0);
}

int sys_getsockname(int fd, void *addr, socklen_t *len)
{
	return (int)raw(SYS_getsockname, fd, ARG(addr), ARG(len), 0, 0, 0);
}

int sys_shutdown(int fd, int how)
{
	return (int)raw(SYS_shutdown, fd, how, 0, 0, 0, 0);
}

int sys_dup(int fd, int lowest)
{
	return (int)raw(SYS_fcntl, fd, F_DUPFD_CLOEXEC, lowest, 0, 0, 0);
}

int sys_dup_onto(int from, int to, bool cloexec)
{
	return (int)raw(SYS_dup3, from, to, cloexec ? O_CLOEXEC : 0, 0, 0, 0);
}

int sys_readable(int fd)
{
	int octets = 0, err = (int)raw(SYS_ioctl, fd, FIONREAD, ARG(&octets), 0, 0, 0);

	return err < 0 ? err : octets;
}

int sys_get_flags(int fd)
{
	return (int)raw(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
}

int sys_set_flags(int fd, int flags)
{
	return (int)raw(SYS_fcntl, fd, F_SETFL, flags, 0, 0, 0);
}

int sys_set_cloexec(int fd, bool on)
{
	return (int)raw(SYS_fcntl, fd, F_SETFD, on ? FD_CLOEXEC : 0, 0, 0, 0);
}

bool sys_is_cloexec(int fd)
{
	return (raw(SYS_fcntl, fd, F_GETFD, 0, 0, 0, 0) & FD_CLOEXEC) != 0;
}

int sys_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	return (int)raw(SYS_epoll_ctl, epfd, op, fd, ARG(event), 0, 0);
}

#define NS_PER_S 1000000000
#define NS_PER_MS 1000000

/* The result of a libc function, whose errno is taken back. */
static long taken(long result, int saved)
{
	if (result >= 0)
		return result;
	result = -errno;
	errno = saved;
	return result;
}

ssize_t sys_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	int saved = errno;

	return taken(REAL(sendmsg)(fd, msg, flags), saved);
}

int sys_sendmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags)
{
	int saved = errno;

	return (int)taken(REAL(sendmmsg)(fd, msgs, count, flags), saved);
}

ssize_t sys_recvmsg(int fd, struct msghdr *msg, int flags)
{
	int saved = errno;

	return taken(REAL(recvmsg)(fd, msg, flags), saved);
}

int sys_recvmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags,
		 struct timespec *timeout)
{
	int saved = errno;

	return (int)taken(REAL(recvmmsg)(fd, msgs, count, flags, timeout), saved);
}

int sys_poll(struct pollfd *fds, nfds_t count, int64_t timeout_ns, const sigset_t *mask)
{
	struct timespec ts = { timeout_ns / NS_PER_S, timeout_ns % NS_PER_S };
	int saved = errno;

	return (int)taken(REAL(ppoll)(fds, count, timeout_ns < 0 ? NULL : &ts, mask), saved);
}

int sys_poll_now(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	struct timespec none = { 0, 0 };

	return raw(SYS_ppoll, ARG(&p), 1, ARG(&none), 0, 0, 0) > 0 ? p.revents : 0;
}

int sys_fd_table_size(void)
{
	char text[2048], *at;
	int fd = sys_open("/proc/self/status", O_RDONLY | O_CLOEXEC, 0), size = 0;
	ssize_t n = fd < 0 ? fd : sys_read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		sys_close(fd);
	text[n > 0 ? n : 0] = '\0';
	at = strstr(text, "FDSize:");
	if (at == NULL)
		return INT_MAX;
	for (at += strcspn(at, "0123456789\n"); *at >= '0' && *at <= '9' && size < INT_MAX / 10; at++)
		size = size * 10 + (*at - '0');
	return size > 0 ? size : INT_MAX;
}

int sys_epoll_wait(int epfd, struct epoll_event *events, int max, int64_t timeout_ns,
		   const sigset_t *mask)
{
	int64_t ms = timeout_ns < 0 ? -1 : (timeout_ns + NS_PER_MS - 1) / NS_PER_MS;
	int saved = errno;

	return (int)taken(REAL(epoll_pwait)(epfd, events, max, ms > INT_MAX ? INT_MAX : (int)ms, mask),
		     saved);
}

int64_t sys_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t sys_wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / NS_PER_MS;
}

void *sys_map(size_t size, bool shared)
{
	long map = raw(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE,
		       (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return map < 0 && map > -4096 ? NULL : (void *)map;
}

void *sys_map_wiped(size_t size)
{
	void *map = sys_map(size, false);

	if (map == NULL || raw(SYS_madvise, ARG(map), (long)size, MADV_WIPEONFORK, 0, 0, 0) == 0)
		return map;
	sys_unmap(map, size);
	return NULL;
}

void sys_unmap(void *map, size_t size)
{
	(void)raw(SYS_munmap, ARG(map), (long)size, 0, 0, 0, 0);
}

bool sys_is_running(int pid)
{
	long fd = raw(SYS_pidfd_open, pid, 0, 0, 0, 0, 0);
	bool running;

	if (fd < 0)
		return fd != -ESRCH && raw(SYS_kill, pid, 0, 0, 0, 0, 0) != -ESRCH;
	running = sys_poll_now((int)fd, POLLIN) == 0;
	(void)raw(SYS_close, fd, 0, 0, 0, 0, 0);
	return running;
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

int sys_stat(const char *path, struct stat *ret)
{
	int saved = errno, result = stat(path, ret) < 0 ? -errno : 0;

	errno = saved;
	return result;
}

int sys_uname(struct utsname *ret)
{
	return (int)raw(SYS_uname, ARG(ret), 0, 0, 0, 0, 0);
}

int sys_close(int fd)
{
	return (int)raw(SYS_close, fd, 0, 0, 0, 0, 0);
}

bool sys_is_single_threaded(void)
{
	return __libc_single_threaded;
}

bool sys_has_interrupting_handler(void)
{
	struct sigaction sa;
	int saved = errno;
	bool has = false;

	for (int sig = 1; sig < NSIG; sig++) {
		if (sig == SIGKILL || sig == SIGSTOP || sigaction(sig, NULL, &sa) < 0)
			continue;
		has = has || (sa.sa_handler != SIG_DFL && sa.sa_handler != SIG_IGN &&
			      (sa.sa_flags & SA_RESTART) == 0);
	}
	errno = saved; /* the signals that libc keeps to itself are EINVAL */
	return has;
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
