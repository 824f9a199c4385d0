/* SPDX-License-Identifier: ISC */
/* later.h - calls that would wait are served again when there is something for them. */
#ifndef SOCKSIFY_SUPERVISE_LATER_H
#define SOCKSIFY_SUPERVISE_LATER_H

#include "listener.h"

/*
 * later_serve - serve the call again when @fd is ready for @events.
 * @fd:         our copy of the descriptor; taken over
 * @timeout_ns: then it is answered with EAGAIN; 0: it waits for ever
 */
void later_serve(const struct call *c, int fd, uint32_t events, int64_t timeout_ns);

#endif
