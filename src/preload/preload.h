/* SPDX-License-Identifier: ISC */
/* preload.h - the library's start. */
#ifndef SOCKSIFY_PRELOAD_H
#define SOCKSIFY_PRELOAD_H

/*
 * preload_ready - read the settings, unless that was done.
 * Called by each interposer that needs them, since constructors of other
 * libraries run before ours.
 */
void preload_ready(void);

/* The same and the name pool, which programs without network never open. */
void preload_ready_names(void);

#endif
