/* SPDX-License-Identifier: ISC */
/* responder.h - answers the queries of programs that ask a nameserver themselves. */
#ifndef SOCKSIFY_SUPERVISE_RESPONDER_H
#define SOCKSIFY_SUPERVISE_RESPONDER_H

#include "socksify/target.h"

/*
 * responder_for - the address on this machine that answers in the place of a nameserver.
 * @asked:  the nameserver's
 * @family: of the program's socket
 * Returns the length of the address in @ret, or -errno.
 */
MUST_CHECK int responder_for(const struct target *asked, int family, union sockaddr_any *ret);

/*
 * responder_asked - in whose place does @from answer?
 * Returns the length of the nameserver's address in @ret, or 0: @from is none of ours.
 */
int responder_asked(const union sockaddr_any *from, int family, union sockaddr_any *ret);

#endif
