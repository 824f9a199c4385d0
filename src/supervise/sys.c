/* SPDX-License-Identifier: ISC */
/* sys.c - the seam of the engine in the supervisor: plain libc, one thread. */
#include "socksify/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000
#define NS_PER_MS 1000000

static int result_of(int result)
{
	return result < 0 ? -errno : result;
}

/*
 * The sockets are the program's, some of them block, and the supervisor must
 * not wait: so none blocks while this lasts.
 */
int sys_connect(int fd, const void *addr, socklen_t len)
{
	int flags = fcntl(fd, F_GETFL), err;

	if (flags < 0)
		return -errno;
	if ((flags & O_NONBLOCK) == 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	err = result_of(connect(fd, addr, len));
	if ((flags & O_NONBLOCK) == 0)
		(void)fcntl(fd, F_SETFL, flags);
	return err;
}

ssize_t sys_send(int fd, const void *bytes, size_t len, int flags)
{
	ssize_t n = send(fd, bytes, len, flags);

	return n < 0 ? -errno : n;
}

ssize_t sys_recv(int fd, void *bytes, size_t size, int flags)
{
	ssize_t n = recv(fd, bytes, size, flags);

	return n < 0 ? -errno : n;
}

int sys_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	return result_of(getsockopt(fd, level, name, value, len));
}

int sys_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	return result_of(setsockopt(fd, level, name, value, len));
}

int sys_getpeername(int fd, void *addr, socklen_t *len)
{
	return result_of(getpeername(fd, addr, len));
}

int sys_getsockname(int fd, void *addr, socklen_t *len)
{
	return result_of(getsockname(fd, addr, len));
}

int sys_shutdown(int fd, int how)
{
	return result_of(shutdown(fd, how));
}

int sys_dup(int fd, int lowest)
{
	return result_of(fcntl(fd, F_DUPFD_CLOEXEC, lowest));
}

int sys_dup_onto(int from, int to, bool cloexec)
{
	return result_of(dup3(from, to, cloexec ? O_CLOEXEC : 0));
}

int sys_readable(int fd)
{
	int octets = 0;

	return ioctl(fd, FIONREAD, &octets) < 0 ? -errno : octets;
}

int sys_get_flags(int fd)
{
	return result_of(fcntl(fd, F_GETFL));
}

int sys_set_flags(int fd, int flags)
{
	return result_of(fcntl(fd, F_SETFL, flags));
}

int sys_set_cloexec(int fd, bool on)
{
	return result_of(fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0));
}

bool sys_is_cloexec(int fd)
{
	return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

int sys_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	return result_of(epoll_ctl(epfd, op, fd, event));
}

int sys_poll_now(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) > 0 ? p.revents : 0;
}

int64_t sys_wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t sys_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

void *sys_map(size_t size, bool shared)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

void *sys_map_wiped(size_t size)
{
	return sys_map(size, false);
}

void sys_unmap(void *map, size_t size)
{
	(void)munmap(map, size);
}

int sys_getpid(void)
{
	return getpid();
}

int sys_open(const char *path, int flags, mode_t mode)
{
	return result_of(open(path, flags, mode));
}

ssize_t sys_read(int fd, void *bytes, size_t size)
{
	ssize_t n = read(fd, bytes, size);

	return n < 0 ? -errno : n;
}

ssize_t sys_write(int fd, const void *bytes, size_t len)
{
	ssize_t n = write(fd, bytes, len);

	return n < 0 ? -errno : n;
}

int sys_fstat(int fd, struct stat *ret)
{
	return result_of(fstat(fd, ret));
}

int sys_close(int fd)
{
	return result_of(close(fd));
}

int sys_resolve(const char *name, uint16_t port, struct target *ret, int max)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	int count = 0;

	if (getaddrinfo(name, NULL, &hints, &list) != 0)
		return -EHOSTUNREACH;
	for (struct addrinfo *a = list; a != NULL && count < max; a = a->ai_next) {
		if (target_from_sockaddr(a->ai_addr, a->ai_addrlen, &ret[count]) < 0)
			continue;
		ret[count++].port = port;
	}
	freeaddrinfo(list);
	return count > 0 ? count : -EHOSTUNREACH;
}

int sys_socket(int domain, int type, int protocol)
{
	return result_of(socket(domain, type, protocol));
}

int sys_listen(int fd, int backlog)
{
	return result_of(listen(fd, backlog));
}

int sys_accept(int fd, int flags)
{
	return result_of(accept4(fd, NULL, NULL, flags));
}

int sys_bind(int fd, const void *addr, socklen_t len)
{
	return result_of(bind(fd, addr, len));
}

ssize_t sys_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	ssize_t n = sendmsg(fd, msg, flags);

	return n < 0 ? -errno : n;
}

int sys_sendmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags)
{
	return result_of(sendmmsg(fd, msgs, count, flags));
}

ssize_t sys_recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t n = recvmsg(fd, msg, flags);

	return n < 0 ? -errno : n;
}

int sys_recvmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags,
		 struct timespec *timeout)
{
	return result_of(recvmmsg(fd, msgs, count, flags, timeout));
}

int sys_poll(struct pollfd *fds, nfds_t count, int64_t timeout_ns, const sigset_t *mask)
{
	struct timespec ts = { timeout_ns / NS_PER_S, timeout_ns % NS_PER_S };

	return result_of(ppoll(fds, count, timeout_ns < 0 ? NULL : &ts, mask));
}

int sys_epoll_wait(int epfd, struct epoll_event *events, int max, int64_t timeout_ns,
		   const sigset_t *mask)
{
	int64_t ms = timeout_ns < 0 ? -1 : (timeout_ns + NS_PER_MS - 1) / NS_PER_MS;

	return result_of(epoll_pwait(epfd, events, max, ms > INT_MAX ? INT_MAX : (int)ms, mask));
}

int sys_fd_table_size(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > INT_MAX
		? INT_MAX : (int)limit.rlim_cur;
}

bool sys_is_running(int pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool running;

	if (fd < 0)
		return errno != ESRCH;
	running = poll(&p, 1, 0) == 0;
	close(fd);
	return running;
}

/* The supervisor's own handlers restart what they interrupt. */
bool sys_is_single_threaded(void)
{
	return false;
}

bool sys_has_interrupting_handler(void)
{
	return false;
}

int sys_stat(const char *path, struct stat *ret)
{
	return result_of(stat(path, ret));
}

int sys_uname(struct utsname *ret)
{
	return result_of(uname(ret));
}
