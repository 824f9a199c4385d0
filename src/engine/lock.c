/* SPDX-License-Identifier: ISC */
/* lock.c - the engine's one lock, for what cannot be changed by a single atomic store. */
#include "socksify/lock.h"

#include <pthread.h>

/* Recursive: it is held over fork(2), where the program's own handlers may run. */
static pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

void lock_engine(sigset_t *mask)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, mask);
	pthread_mutex_lock(&mutex);
}

void unlock_engine(const sigset_t *mask)
{
	pthread_mutex_unlock(&mutex);
	pthread_sigmask(SIG_SETMASK, mask, NULL);
}

void lock_reset(void)
{
	mutex = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
}
