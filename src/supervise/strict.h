/* SPDX-License-Identifier: ISC */
/*
 * strict.h - --strict: the whole run is supervised, and what tries to go past
 * the library is refused, told and counted.
 *
 * A program that the library can enter asks the rules itself.  So of its calls
 * only those to direct targets and to the proxies come here by right; any
 * other was made past the library.  All other programs are served as ever.
 */
#ifndef SOCKSIFY_SUPERVISE_STRICT_H
#define SOCKSIFY_SUPERVISE_STRICT_H

#include "listener.h"
#include "socksify/route.h"

/* From here on. */
void strict_begin(void);

bool strict_is_on(void);

/* The call that is served now; kept by reference. */
void strict_look_at(const struct call *c);

/* Is the run strict, and the caller a program that the library can enter? */
bool strict_concerns_caller(void);

/*
 * strict_route - route_for_socket(), for the call that is served now.  For a
 * program that strict_concerns_caller() the answer is ROUTE_DIRECT or -EACCES;
 * the latter is an attempt, told and counted.
 */
MUST_CHECK int strict_route(int fd, const struct sockaddr *to, socklen_t len,
			    struct route *ret);

/*
 * An attempt that has no target, by whatever program.
 * @what: a static phrase
 */
void strict_note(const char *what);

/*
 * strict_status - how the run ends when the program ended with @status of
 * waitpid(2).  After an attempt an exit becomes one with STRICT_EXIT; says
 * then how many there were.
 */
#define STRICT_EXIT 97
int strict_status(int status);

#endif
