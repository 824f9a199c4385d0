/* SPDX-License-Identifier: ISC */
/* real.h - the functions behind ours: libc's, or those of the next preloaded library. */
#ifndef SOCKSIFY_REAL_H
#define SOCKSIFY_REAL_H

#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <resolv.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <wordexp.h>

#define EXPORT __attribute__((visibility("default")))

/*
 * For what takes one argument from a va_list, which is an array to the compiler:
 * nothing can overflow, and to check that costs as much as the rest.
 */
#if __has_attribute(no_stack_protector)
#define NO_CANARY __attribute__((no_stack_protector))
#else
#define NO_CANARY
#endif

/* Names that glibc exports without a prototype, or only to its fortified headers. */
extern int __close(int fd);
extern int __connect(int fd, const struct sockaddr *addr, socklen_t len);
extern int __dup2(int from, int to);
extern int __fcntl(int fd, int command, ...);
extern int __poll(struct pollfd *fds, nfds_t count, int timeout);
extern int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t size);
extern int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		       const sigset_t *mask, size_t size);
extern ssize_t __read(int fd, void *bytes, size_t n);
extern ssize_t __read_chk(int fd, void *bytes, size_t n, size_t size);
extern ssize_t __recv(int fd, void *bytes, size_t n, int flags);
extern ssize_t __recv_chk(int fd, void *bytes, size_t n, size_t size, int flags);
extern ssize_t __recvfrom_chk(int fd, void *bytes, size_t n, size_t size, int flags,
			      struct sockaddr *addr, socklen_t *len);
extern int __select(int nfds, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout);
extern ssize_t __send(int fd, const void *bytes, size_t n, int flags);
extern int __sendmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags);
extern int __socket(int domain, int type, int protocol);
extern ssize_t __write(int fd, const void *bytes, size_t n);
extern FILE *_IO_fdopen(int fd, const char *mode);
extern FILE *_IO_popen(const char *command, const char *mode);
extern int __dprintf_chk(int fd, int flag, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
extern int __vdprintf_chk(int fd, int flag, const char *format, va_list arguments)
	__attribute__((format(printf, 3, 0)));

#define REAL_SYMBOLS(X) \
	X(_exit) X(accept) X(accept4) X(bind) X(close) X(close_range) X(closefrom) X(connect) \
	X(dup) X(dup2) X(dup3) X(epoll_create) X(epoll_create1) X(epoll_ctl) \
	X(dlmopen) X(dlopen) X(epoll_pwait) X(epoll_pwait2) X(epoll_wait) X(execve) X(execveat) \
	X(fclose) X(fcntl) X(fcntl64) X(fdopen) X(fexecve) \
	X(gai_cancel) X(gai_suspend) X(getaddrinfo) X(getaddrinfo_a) X(gethostbyaddr) X(gethostbyaddr_r) \
	X(gethostbyname) X(gethostbyname2) X(gethostbyname2_r) X(gethostbyname_r) \
	X(getnameinfo) X(getpeername) X(getsockname) X(getsockopt) X(ioctl) X(listen) X(poll) \
	X(popen) X(posix_spawn) X(posix_spawnp) X(posix_spawn_file_actions_addchdir_np) \
	X(posix_spawn_file_actions_adddup2) X(posix_spawn_file_actions_addfchdir_np) X(ppoll) X(preadv2) X(preadv64v2) X(pselect) X(pwritev2) X(pwritev64v2) X(read) X(readv) X(recv) X(recvfrom) X(recvmmsg) X(recvmsg) \
	X(res_nmkquery) X(res_nsend) \
	 X(select) X(send) X(sendfile) \
	X(sendfile64) X(sendmmsg) X(sendmsg) X(sendto) X(setsockopt) X(shutdown) \
	X(socket) X(socketpair) X(splice) X(syscall) X(system) X(wordexp) X(write) X(writev) \
	X(vdprintf) X(__vdprintf_chk) X(__poll_chk) X(__ppoll_chk) X(__read_chk) X(__recv_chk) X(__recvfrom_chk)

#define REAL_ID(name) REAL_##name,
enum real_id { REAL_SYMBOLS(REAL_ID) REAL_COUNT };
#undef REAL_ID

#define REAL(name) ((__typeof__(&name))real_symbol(REAL_##name))

/* NULL until they are looked up. */
extern _Atomic(void *) real_symbols[REAL_COUNT];
void *real_look_up(enum real_id id);

/*
 * real_symbol - the next definition of a function.
 * Lock-free: dlsym(3) may come back here, and racing threads store the same
 * pointer.  Async-signal-safe once real_resolve_all() has run.
 */
static inline void *real_symbol(enum real_id id)
{
	void *fn = atomic_load_explicit(&real_symbols[id], memory_order_relaxed);

	return __builtin_expect(fn != NULL, 1) ? fn : real_look_up(id);
}

/* Look all of them up; called by the constructor. */
void real_resolve_all(void);

/*
 * real_own_path - the path of the library as the loader knows it, perhaps not absolute; or NULL.
 * real_resolve_all() comes by it; before that the loader is asked, which looks at each symbol.
 */
const char *real_own_path(void);

/* libc_result - what a libc function returns for @result: -1 and errno for -errno. */
int libc_result(int result);
ssize_t libc_size_result(ssize_t result);

#endif
