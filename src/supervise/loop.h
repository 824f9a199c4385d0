/* SPDX-License-Identifier: ISC */
/* loop.h - one thread that waits for many descriptors and times. */
#ifndef SOCKSIFY_SUPERVISE_LOOP_H
#define SOCKSIFY_SUPERVISE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "socksify/target.h"

/* A descriptor that is waited for; the owner's storage. */
struct watch {
	int fd;
	uint32_t events;
	void (*ready)(struct watch *w, uint32_t events);
};

/* A time that is waited for; the owner's storage, all zero at first. */
struct timer {
	int64_t at;		/* ns, sys_now_ns() */
	void (*late)(struct timer *t);
	struct timer **back, *next;	/* NULL: it does not run */
};

MUST_CHECK int loop_open(void);

/* Begin to wait for w->fd, for other events, no more.  0 or -errno. */
MUST_CHECK int loop_add(struct watch *w);
MUST_CHECK int loop_change(struct watch *w, uint32_t events);
void loop_remove(struct watch *w);

/* Edges (EPOLLET): report once more what is ready.  0 or -errno. */
MUST_CHECK int loop_again(struct watch *w);

/* Call t->late() once, at the time or soon after. */
void loop_start_timer(struct timer *t, int64_t at);
void loop_stop_timer(struct timer *t);

/* Wait once, and call who is ready. */
void loop_turn(void);

#endif
