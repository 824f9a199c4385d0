/* SPDX-License-Identifier: ISC */
/* real.h - the functions behind ours: libc's, or those of the next preloaded library. */
#ifndef SOCKSIFY_REAL_H
#define SOCKSIFY_REAL_H

#include <fcntl.h>
#include <netdb.h>
#include <resolv.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* Names that glibc exports without a prototype. */
extern int __connect(int fd, const struct sockaddr *addr, socklen_t len);
extern int __close(int fd);
extern int __dup2(int from, int to);

#define REAL_SYMBOLS(X) \
	X(close) X(close_range) X(closefrom) X(connect) X(dup) X(dup2) X(dup3) \
	X(fclose) X(fcntl) X(fcntl64) X(getaddrinfo) X(gethostbyaddr) X(gethostbyaddr_r) \
	X(gethostbyname) X(gethostbyname2) X(gethostbyname2_r) X(gethostbyname_r) \
	X(getnameinfo) X(getpeername) X(getsockopt) X(sendmmsg) X(sendmsg) \
	X(getaddrinfo_a) X(res_nquery) X(res_nquerydomain) X(res_nsearch) X(res_nsend) \
	X(res_query) X(res_querydomain) X(res_search) X(res_send) X(sendto) X(syscall)

#define REAL_ID(name) REAL_##name,
enum real_id { REAL_SYMBOLS(REAL_ID) REAL_COUNT };
#undef REAL_ID

#define REAL(name) ((__typeof__(&name))real_symbol(REAL_##name))

/*
 * real_symbol - the next definition of a function.
 * Lock-free: dlsym(3) may come back here, and racing threads store the same
 * pointer.  Async-signal-safe once real_resolve_all() has run.
 */
void *real_symbol(enum real_id id);

/* Look all of them up; called by the constructor. */
void real_resolve_all(void);

/* libc_result - what a libc function returns for @result: -1 and errno for -errno. */
int libc_result(int result);

#endif
