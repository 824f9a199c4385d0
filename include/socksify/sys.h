/* SPDX-License-Identifier: ISC */
/*
 * sys.h - the seam between the engine and the kernel, chosen at link time:
 * the real calls (preload/sys.c) or a scripted fake (tests/lib/fakesys.c).
 *
 * Each function takes what its system call takes and returns its result, or
 * -errno; errno itself is left alone.  All are async-signal-safe, except
 * sys_resolve(), and none but those that say so is a cancellation point.
 */
#ifndef SOCKSIFY_SYS_H
#define SOCKSIFY_SYS_H

#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/utsname.h>

#include "socksify/target.h"

MUST_CHECK int sys_socket(int domain, int type, int protocol);
MUST_CHECK int sys_bind(int fd, const void *addr, socklen_t len);
MUST_CHECK int sys_listen(int fd, int backlog);
MUST_CHECK int sys_accept(int fd, int flags);	/* accept4(2), without the address */
/* What older headers lack. */
#ifndef SO_PEERNAME
#define SO_PEERNAME 28
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

MUST_CHECK int sys_connect(int fd, const void *addr, socklen_t len);
MUST_CHECK ssize_t sys_send(int fd, const void *bytes, size_t len, int flags);
MUST_CHECK ssize_t sys_recv(int fd, void *bytes, size_t size, int flags);
/* Cancellation points, since they may wait for what the program waits for. */
MUST_CHECK ssize_t sys_sendmsg(int fd, const struct msghdr *msg, int flags);
MUST_CHECK int sys_sendmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags);
MUST_CHECK ssize_t sys_recvmsg(int fd, struct msghdr *msg, int flags);
MUST_CHECK int sys_recvmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags,
			    struct timespec *timeout);
MUST_CHECK int sys_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
MUST_CHECK int sys_setsockopt(int fd, int level, int name, const void *value, socklen_t len);

MUST_CHECK int sys_getpeername(int fd, void *addr, socklen_t *len);
MUST_CHECK int sys_getsockname(int fd, void *addr, socklen_t *len);
MUST_CHECK int sys_shutdown(int fd, int how);
MUST_CHECK int sys_dup(int fd, int lowest);	/* F_DUPFD_CLOEXEC */
MUST_CHECK int sys_readable(int fd);	/* FIONREAD: octets */
MUST_CHECK int sys_dup_onto(int from, int to, bool cloexec);	/* dup3(2) */
MUST_CHECK int sys_get_flags(int fd);	/* F_GETFL */
MUST_CHECK int sys_set_flags(int fd, int flags);	/* F_SETFL */
MUST_CHECK int sys_set_cloexec(int fd, bool on);
bool sys_is_cloexec(int fd);
MUST_CHECK int sys_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);

/* ppoll(2): @timeout_ns < 0 waits for ever, @mask may be NULL.  A cancellation point. */
MUST_CHECK int sys_poll(struct pollfd *fds, nfds_t count, int64_t timeout_ns,
			const sigset_t *mask);

/* poll(2) of one fd without waiting, and no cancellation point.  Returns revents, 0 also for an error. */
int sys_poll_now(int fd, short events);

/* Back to a socket that was never connected: connect(2) to AF_UNSPEC. */
static inline void sys_disconnect(int fd)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	(void)!sys_connect(fd, &none, sizeof(none));
}

/* A socket option that is an int; 0 also for an error. */
static inline int sys_get_int(int fd, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return sys_getsockopt(fd, level, name, &value, &len) < 0 ? 0 : value;
}

/* SO_SNDTIMEO or SO_RCVTIMEO (socket(7)) of @fd in ns; 0: none, or no socket. */
static inline int64_t sys_timeout(int fd, int name)
{
	struct timeval tv = { 0, 0 };
	socklen_t len = sizeof(tv);

	if (sys_getsockopt(fd, SOL_SOCKET, name, &tv, &len) < 0)
		return 0;
	return tv.tv_sec * INT64_C(1000000000) + tv.tv_usec * INT64_C(1000);
}

/* epoll_pwait(2); the same, rounded up to milliseconds.  A cancellation point. */
MUST_CHECK int sys_epoll_wait(int epfd, struct epoll_event *events, int max,
			      int64_t timeout_ns, const sigset_t *mask);

/* CLOCK_MONOTONIC in nanoseconds; cannot fail. */
int64_t sys_now_ns(void);

/* CLOCK_REALTIME in milliseconds; cannot fail. */
int64_t sys_wall_ms(void);

/* Of two times of it, or of INT64_MAX for never. */
static inline int64_t sys_earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/*
 * sys_map - anonymous pages, all zero.
 * @shared: with the children of fork(2)
 * Returns NULL without memory.
 */
void *sys_map(size_t size, bool shared);
/* Private pages that are all zero again in the child of fork(2); NULL when they are not to be had. */
void *sys_map_wiped(size_t size);
void sys_unmap(void *map, size_t size);

/* The size of the process's fd table: no fd is higher.  INT_MAX when that cannot be found out. */
int sys_fd_table_size(void);

/* Does the process run?  One that is dead and not yet waited for does not. */
bool sys_is_running(int pid);

int sys_getpid(void);

/* Has the process never had more than one thread?  False also when that is not known.  No system call. */
bool sys_is_single_threaded(void);

MUST_CHECK int sys_open(const char *path, int flags, mode_t mode);
MUST_CHECK ssize_t sys_read(int fd, void *bytes, size_t size);
MUST_CHECK ssize_t sys_write(int fd, const void *bytes, size_t len);
MUST_CHECK int sys_fstat(int fd, struct stat *ret);
MUST_CHECK int sys_stat(const char *path, struct stat *ret);
MUST_CHECK int sys_uname(struct utsname *ret);
int sys_close(int fd);

/* Does the program catch any signal without SA_RESTART?  (signal(7)) */
bool sys_has_interrupting_handler(void);

/*
 * sys_resolve - addresses of a proxy that is given by name, by the machine's
 * own resolver.  Neither async-signal-safe nor free of waiting.
 * Returns their number, 1 .. @max, or -EHOSTUNREACH.
 */
MUST_CHECK int sys_resolve(const char *name, uint16_t port,
			   struct target *ret, int max);

#endif
