/* SPDX-License-Identifier: ISC */
/* await.h - with no deadline of ours, the kernel's own receive waits for the proxy's answers. */
#ifndef ENGINE_AWAIT_H
#define ENGINE_AWAIT_H

#include "socksify/conn.h"

/*
 * await_can - may the handshake of @conn be waited for so?
 * Its socket blocks, and neither `timeout` nor another process bounds the wait.
 */
MUST_CHECK bool await_can(struct conn *conn);

/*
 * await_answer - sleep, with the handshake's turn, until what is wanted next comes.
 * Saves the poll before each receive.  It takes the turn along, so that nobody
 * else receives what it waits for, and is a cancellation point.
 * Returns 1 to move the handshake, with POLLIN; 0 when this way leads no
 * further (something is to be sent, the program's SO_RCVTIMEO is over, the
 * socket blocks no more), so that it has to be polled for; -EINTR.
 */
MUST_CHECK int await_answer(struct conn *conn, int fd);

/* Is this thread, below the signal handler that calls, asleep in await_answer()?  Then nobody would wake it. */
bool await_is_below(const struct conn *conn);

#endif
