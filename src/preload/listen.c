/* SPDX-License-Identifier: ISC */
/* listen.c - the calls that wait for connections: bind(2), listen(2), accept(2). */
#include <errno.h>
#include <string.h>

#include "preload.h"
#include "real.h"
#include "socksify/fdtab.h"
#include "socksify/listener.h"

static int __attribute__((noinline)) bind_noted(int fd, const struct sockaddr *addr, socklen_t len)
{
	int result;

	preload_ready_network();
	result = listener_bind(fd, addr, len);
	if (result != LISTENER_KERNEL)
		return result == LISTENER_DONE ? 0 : libc_result(result);
	result = REAL(bind)(fd, addr, len);
	if (result == 0)
		listener_note_bind(fd, addr, len);
	return result;
}

/* bind(2): which port was asked for matters only where a proxy may listen instead. */
EXPORT int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	preload_ready();
	if (listener_is_on())
		return bind_noted(fd, addr, len);
	return REAL(bind)(fd, addr, len);
}

/* listen(2) */
EXPORT int listen(int fd, int backlog)
{
	int result = LISTENER_KERNEL;

	preload_ready();
	if (listener_is_on()) {
		preload_ready_network();
		result = listener_listen(fd);
	}
	if (result != LISTENER_KERNEL)
		return result == LISTENER_DONE ? 0 : libc_result(result);
	result = REAL(listen)(fd, backlog);
	if (result == 0)
		fdtab_forget(fd); /* not a socket to connect */
	return result;
}

/* accept4(2) of a socket for which a proxy listens. */
static int __attribute__((noinline)) accept_peer(int fd, struct sockaddr *addr, socklen_t *len,
						 int flags)
{
	union sockaddr_any peer;
	socklen_t peer_len;
	int result;

	if ((flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) != 0 ||
	    (addr != NULL && len != NULL && (int)*len < 0))
		return libc_result(-EINVAL);
	if (addr != NULL && len == NULL)
		return libc_result(-EFAULT);
	result = listener_accept(fd, flags, &peer, &peer_len);
	if (result < 0)
		return libc_result(result);
	if (addr != NULL) {
		memcpy(addr, &peer, *len < peer_len ? *len : peer_len);
		*len = peer_len;
	}
	return result;
}

static inline bool is_listener(int fd)
{
	return listener_is_on() && listener_has(fd);
}

/* accept(2) */
EXPORT int accept(int fd, struct sockaddr *restrict addr, socklen_t *restrict len)
{
	int result;

	if (is_listener(fd))
		return accept_peer(fd, addr, len, 0);
	result = REAL(accept)(fd, addr, len);
	fdtab_forget(result);
	return result;
}

/* accept4(2) */
EXPORT int accept4(int fd, struct sockaddr *restrict addr, socklen_t *restrict len, int flags)
{
	int result;

	if (is_listener(fd))
		return accept_peer(fd, addr, len, flags);
	result = REAL(accept4)(fd, addr, len, flags);
	fdtab_forget(result);
	return result;
}
