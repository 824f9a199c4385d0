/* SPDX-License-Identifier: ISC */
/* preload.h - the library's start. */
#ifndef SOCKSIFY_PRELOAD_H
#define SOCKSIFY_PRELOAD_H

#include <stdbool.h>
#include <sys/types.h>

#include "socksify/dns_stream.h"

/*
 * preload_ready - read the settings, unless that was done.
 * Called by each interposer that needs them, since constructors of other
 * libraries run before ours.
 */
void preload_ready(void);

/* The same and what only programs with network pay for: the name pool, fork(2) handlers. */
void preload_ready_network(void);

/* Did the environment say SOCKSIFY_DISABLE?  Then everything is direct, and nothing is refused. */
bool preload_is_off(void);

/* What a send returned: when it was one to a name server, whose part we take, the answer comes now. */
static inline ssize_t preload_sent(int fd, ssize_t result)
{
	if (result > 0 && fdtab_is_answered(fd))
		dns_stream_sent(fd);
	return result;
}

#endif
