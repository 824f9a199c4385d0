/* SPDX-License-Identifier: ISC */
/* listener.h - the calls that the kernel reports to us (seccomp_unotify(2)), and our answers. */
#ifndef SOCKSIFY_SUPERVISE_LISTENER_H
#define SOCKSIFY_SUPERVISE_LISTENER_H

#include <sys/types.h>

#include "filter.h"

/* A call that waits for its answer. */
struct call {
	uint64_t id;
	pid_t tid;		/* of the thread */
	enum call_kind kind;
	bool compat;		/* its structures have 32-bit pointers and lengths */
	uint64_t arg[6];
	uint64_t at;		/* where the instruction behind it is, in the caller's memory */
};

/*
 * listener_install - put the filter over the calling process and what it
 * becomes, and get the fd that reports its calls.
 * Returns the fd, or -errno: -EBUSY there is another listener already,
 * -EACCES without PR_SET_NO_NEW_PRIVS and privileges, -EINVAL an old kernel.
 */
MUST_CHECK int listener_install(const struct sock_filter *code, size_t count);

/* Prepare to use the fd in this process. */
MUST_CHECK int listener_open(int fd);

/* Take the next call.  0; -EAGAIN: the one that was announced is gone. */
MUST_CHECK int listener_receive(struct call *ret);

/* Does the caller still wait?  What was read of it before is its own only then. */
bool listener_is_waiting(uint64_t id);

/*
 * Answer with a result, an error (negative errno), or let the kernel go on.
 * False: nobody waits any more, be it that a signal came or that it is dead.
 */
bool listener_reply(uint64_t id, int64_t result);
bool listener_continue(uint64_t id);

/* Answer with a new descriptor of the caller's, a copy of @fd with O_CLOEXEC or 0 in @flags. */
bool listener_reply_fd(uint64_t id, int fd, unsigned flags);

#endif
