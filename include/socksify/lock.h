/* SPDX-License-Identifier: ISC */
/* lock.h - the engine's one lock, for what cannot be changed by a single atomic store. */
#ifndef SOCKSIFY_LOCK_H
#define SOCKSIFY_LOCK_H

#include <signal.h>

/*
 * lock_engine, unlock_engine - exclude the process's other threads and, by
 * blocking all signals, this thread's own signal handlers.
 * @mask: where the signal mask is kept in between; the caller's
 * Nothing that waits, takes another lock or calls libc's allocator may be
 * called in between.
 */
void lock_engine(sigset_t *mask);
void unlock_engine(const sigset_t *mask);

/* In the child of fork(2), whose other threads are gone. */
void lock_reset(void);

#endif
