/* SPDX-License-Identifier: ISC */
/* scratch.h - memory for the time of a call, where the stack is too small and malloc(3) not allowed. */
#ifndef SOCKSIFY_SCRATCH_H
#define SOCKSIFY_SCRATCH_H

#include <stddef.h>

/*
 * scratch_take - @size octets, not zeroed, or NULL without memory.
 * scratch_give - give them back.  A few are kept for the next call, since
 * mapping pages costs more than what they are for.
 * Both are lock-free and async-signal-safe.
 */
void *scratch_take(size_t size);
void scratch_give(void *memory);

#endif
