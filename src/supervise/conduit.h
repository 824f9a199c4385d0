/* SPDX-License-Identifier: ISC */
/* conduit.h - octets between a socket that was parked and the proxy. */
#ifndef SOCKSIFY_SUPERVISE_CONDUIT_H
#define SOCKSIFY_SUPERVISE_CONDUIT_H

#include "socksify/target.h"

/*
 * conduit_start - move octets both ways until both sides have ended.
 * @inner: connected to the program's socket
 * @outer: connected to the target by the proxy
 * Both do not block, and are taken over, also when it fails.
 * Returns 0, or -ENOMEM and other errnos of epoll_ctl(2).
 */
MUST_CHECK int conduit_start(int inner, int outer);

/*
 * conduit_is_needed - is there something to move for programs that have all
 * ended?  What the proxy may still send has nobody to read it, and is dropped.
 */
bool conduit_is_needed(void);

#endif
