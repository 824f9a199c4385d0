/* SPDX-License-Identifier: ISC */
/* wait.c - the calls by which a program waits: poll(2), select(2), epoll_wait(2) and their kin. */
#include "socksify/wait.h"

#include <errno.h>

#include "preload.h"
#include "real.h"
#include "socksify/epreg.h"
#include "socksify/listener.h"
#include "socksify/relay.h"
#include "socksify/sys.h"

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_US INT64_C(1000)

static int64_t from_ms(int ms)
{
	return ms < 0 ? WAIT_FOREVER : ms * NS_PER_MS;
}

static bool is_valid(const struct timespec *ts)
{
	return ts == NULL || (ts->tv_sec >= 0 && ts->tv_nsec >= 0 && ts->tv_nsec < NS_PER_S);
}

static int64_t from_timespec(const struct timespec *ts)
{
	if (ts == NULL || ts->tv_sec > INT64_MAX / NS_PER_S - 1)
		return WAIT_FOREVER;
	return ts->tv_sec * NS_PER_S + ts->tv_nsec;
}

/* poll(2) */
EXPORT int poll(struct pollfd *fds, nfds_t count, int timeout)
{
	if (!wait_has_gated())
		return REAL(poll)(fds, count, timeout);
	return libc_result(wait_poll(fds, count, from_ms(timeout), NULL));
}

EXPORT int __poll(struct pollfd *fds, nfds_t count, int timeout)
{
	return poll(fds, count, timeout);
}

EXPORT int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t size)
{
	if (!wait_has_gated() || size / sizeof(*fds) < count)
		return REAL(__poll_chk)(fds, count, timeout, size);
	return poll(fds, count, timeout);
}

/* ppoll(2) */
EXPORT int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		 const sigset_t *mask)
{
	if (!wait_has_gated() || !is_valid(timeout))
		return REAL(ppoll)(fds, count, timeout, mask);
	return libc_result(wait_poll(fds, count, from_timespec(timeout), mask));
}

EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		       const sigset_t *mask, size_t size)
{
	if (!wait_has_gated() || size / sizeof(*fds) < count)
		return REAL(__ppoll_chk)(fds, count, timeout, mask, size);
	return ppoll(fds, count, timeout, mask);
}

/* Linux tells how much of the timeout is left. */
static int __attribute__((noinline)) select_pending(int nfds, fd_set *in, fd_set *out,
						    fd_set *except, struct timeval *timeout)
{
	int64_t ns = WAIT_FOREVER, left;
	int result;

	if (!wait_select_concerns(nfds, in, out, except) ||
	    (timeout != NULL && (timeout->tv_sec < 0 || timeout->tv_usec < 0)))
		return REAL(select)(nfds, in, out, except, timeout);
	if (timeout != NULL && timeout->tv_sec < INT64_MAX / NS_PER_S / 2 &&
	    timeout->tv_usec < INT64_MAX / NS_PER_US / 2)
		ns = timeout->tv_sec * NS_PER_S + timeout->tv_usec * NS_PER_US;
	result = wait_select(nfds, in, out, except, ns, NULL, &left);
	if (timeout != NULL) {
		timeout->tv_sec = left / NS_PER_S;
		timeout->tv_usec = left % NS_PER_S / NS_PER_US;
	}
	return libc_result(result);
}

/* select(2) */
EXPORT int select(int nfds, fd_set *restrict in, fd_set *restrict out, fd_set *restrict except,
		  struct timeval *restrict timeout)
{
	if (__builtin_expect(!wait_has_gated(), 1))
		return REAL(select)(nfds, in, out, except, timeout);
	return select_pending(nfds, in, out, except, timeout);
}

EXPORT int __select(int nfds, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout)
{
	return select(nfds, in, out, except, timeout);
}

/* pselect(2) */
EXPORT int pselect(int nfds, fd_set *restrict in, fd_set *restrict out,
		   fd_set *restrict except, const struct timespec *restrict timeout,
		   const sigset_t *restrict mask)
{
	int64_t left;

	if (!wait_has_gated() || !is_valid(timeout) ||
	    !wait_select_concerns(nfds, in, out, except))
		return REAL(pselect)(nfds, in, out, except, timeout, mask);
	return libc_result(wait_select(nfds, in, out, except, from_timespec(timeout), mask, &left));
}

static int __attribute__((noinline)) ctl_unconnected(int epfd, int op, int fd, struct epoll_event *event)
{
	struct conn *conn;
	int result;

	preload_ready_network();
	conn = fdtab_get_or_new(fd);
	if (conn == NULL)
		return libc_result(-ENOMEM);
	result = epreg_ctl(conn, epfd, op, fd, event);
	if (result == 0 && relay_is_unsettled())
		relay_note_registered(conn);
	if (result == 0)
		(void)listener_look(conn, fd); /* a listening socket is waited for from now on */
	conn_unref(conn);
	return libc_result(result);
}

/*
 * epoll_ctl(2): what is registered for a socket that may yet be connected is
 * noted, so that connect(2) can take its place until the handshake is over.
 */
EXPORT int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	if (__builtin_expect((fdtab_marks(fd) & (FD_TCP | FD_UDP)) == 0, 1) && !fdtab_is_gated(fd))
		return REAL(epoll_ctl)(epfd, op, fd, event);
	return ctl_unconnected(epfd, op, fd, event);
}
/*
 * The end of a call that waited before any handshake was pending.  Another
 * thread may have begun one meanwhile, so its events are looked at all the same.
 */
static int after_wait(int epfd, struct epoll_event *events, int max, int got, int64_t timeout,
		      int64_t start, const sigset_t *mask)
{
	if (got <= 0 || !epreg_ever_hidden())
		return got;
	return libc_result(wait_epoll_go_on(epfd, events, max, got, timeout, start, mask));
}

static int __attribute__((noinline)) epoll_wait_noted(int epfd, struct epoll_event *events,
						     int max, int timeout)
{
	int64_t start;

	if (wait_has_pending())
		return libc_result(wait_epoll(epfd, events, max, from_ms(timeout), NULL));
	start = timeout > 0 ? sys_now_ns() : 0;
	return after_wait(epfd, events, max, REAL(epoll_wait)(epfd, events, max, timeout),
			  from_ms(timeout), start, NULL);
}

/* epoll_wait(2) */
EXPORT int epoll_wait(int epfd, struct epoll_event *events, int max, int timeout)
{
	if (timeout == 0 && !wait_has_pending() && !epreg_ever_hidden())
		return REAL(epoll_wait)(epfd, events, max, timeout);
	return epoll_wait_noted(epfd, events, max, timeout);
}

/* epoll_pwait(2) */
EXPORT int epoll_pwait(int epfd, struct epoll_event *events, int max, int timeout,
		       const sigset_t *mask)
{
	int64_t start = timeout > 0 ? sys_now_ns() : 0;

	if (wait_has_pending())
		return libc_result(wait_epoll(epfd, events, max, from_ms(timeout), mask));
	return after_wait(epfd, events, max, REAL(epoll_pwait)(epfd, events, max, timeout, mask),
			  from_ms(timeout), start, mask);
}

/* epoll_pwait2(2) */
EXPORT int epoll_pwait2(int epfd, struct epoll_event *events, int max,
			const struct timespec *timeout, const sigset_t *mask)
{
	int64_t start = timeout != NULL ? sys_now_ns() : 0;

	if (wait_has_pending() && is_valid(timeout))
		return libc_result(wait_epoll(epfd, events, max, from_timespec(timeout), mask));
	return after_wait(epfd, events, max, REAL(epoll_pwait2)(epfd, events, max, timeout, mask),
			  from_timespec(timeout), start, mask);
}
