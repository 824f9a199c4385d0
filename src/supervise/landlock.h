/* SPDX-License-Identifier: ISC */
/* landlock.h - a second lock on TCP, which no race with the supervisor opens. */
#ifndef SOCKSIFY_SUPERVISE_LANDLOCK_H
#define SOCKSIFY_SUPERVISE_LANDLOCK_H

#include <stdbool.h>

#include "socksify/target.h"

/* Does this kernel have rules for TCP (Linux 6.7, landlock(7))? */
bool landlock_has_tcp(void);

/*
 * landlock_forbid_tcp - from here on neither this process nor its children
 * connect a TCP socket.  The supervisor does that in their place, so not one
 * port need be allowed.  PR_SET_NO_NEW_PRIVS must be set.
 * Returns 0 or -errno.
 */
MUST_CHECK int landlock_forbid_tcp(void);

#endif
