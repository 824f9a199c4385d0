/* SPDX-License-Identifier: ISC */
/* preload.h - the library's start. */
#ifndef SOCKSIFY_PRELOAD_H
#define SOCKSIFY_PRELOAD_H

#include <stdbool.h>

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

#endif
