/* SPDX-License-Identifier: ISC */
/* wait.h - poll(2), select(2) and epoll_wait(2) that move the handshakes among what they wait for. */
#ifndef SOCKSIFY_WAIT_H
#define SOCKSIFY_WAIT_H

#include <poll.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "socksify/fdtab.h"

#define WAIT_FOREVER (-1)

/* Is a handshake pending anywhere in the process?  One relaxed load. */
static inline bool wait_has_pending(void)
{
	return atomic_load_explicit(&conn_pending, memory_order_relaxed) != 0;
}

/* Is any connection of the process pending or failed?  One relaxed load. */
static inline bool wait_has_gated(void)
{
	return atomic_load_explicit(&conn_special, memory_order_relaxed) != 0;
}

/*
 * wait_poll - ppoll(2).
 * @timeout_ns: < 0 waits for ever
 * @mask:       or NULL
 * A pending fd reports nothing until its handshake is over, and a relayed one
 * is not readable for what its program may not see.  Returns what
 * ppoll(2) does, or -errno; -ENOMEM also for a large set without memory.
 */
MUST_CHECK int wait_poll(struct pollfd *fds, nfds_t count, int64_t timeout_ns,
			 const sigset_t *mask);

/* Is a pending or relayed fd in one of the sets? */
bool wait_select_concerns(int nfds, const fd_set *in, const fd_set *out, const fd_set *except);

/*
 * wait_select - pselect(2), the same.  The sets may be longer than FD_SETSIZE,
 * as the kernel's: @nfds counts.
 * @ret_left_ns: what is left of the timeout, if that is not negative
 */
MUST_CHECK int wait_select(int nfds, fd_set *in, fd_set *out, fd_set *except,
			   int64_t timeout_ns, const sigset_t *mask, int64_t *ret_left_ns);

/*
 * wait_epoll - epoll_pwait(2), from its beginning.
 * wait_epoll_go_on - the same, after the kernel returned @got events (>= 1).
 * @start: when the call began, ns; of no concern if @timeout_ns <= 0
 */
MUST_CHECK int wait_epoll(int epfd, struct epoll_event *events, int max,
			  int64_t timeout_ns, const sigset_t *mask);
MUST_CHECK int wait_epoll_go_on(int epfd, struct epoll_event *events, int max, int got,
				int64_t timeout_ns, int64_t start, const sigset_t *mask);

#endif
