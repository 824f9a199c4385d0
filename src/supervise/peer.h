/* SPDX-License-Identifier: ISC */
/* peer.h - a socket on the loopback that stands for what a program's datagrams are for. */
#ifndef SOCKSIFY_SUPERVISE_PEER_H
#define SOCKSIFY_SUPERVISE_PEER_H

#include "loop.h"

struct association;

struct peer {
	struct watch watch;	/* first */
	struct association *of;
	struct peer *next;	/* of the same association */
	struct target target;	/* for the proxy: a name or an address */
	struct target asked;	/* the address that the program knows */
	struct target seen;	/* the address that answered for a name; TARGET_NONE: none yet */
	struct target here;	/* where it is */
};

/*
 * peer_new - open one, which receives from @program alone.
 * @asked: the target as the program knows it, an address
 * Returns 0, or -errno: -ENOBUFS there are too many, -ENETUNREACH no loopback
 * of that kind, -ENOMEM.
 */
MUST_CHECK int peer_new(const struct target *target, const struct target *asked,
			const struct target *program, struct peer **ret);

void peer_free(struct peer *p);

/*
 * peer_receive_from - let it receive from @program, where the socket may have
 * moved; NULL: from nobody, who is told by an ICMP error (RFC 1122 section 4.1.3.1).
 */
void peer_receive_from(struct peer *p, const struct target *program);

/*
 * peer_of_source - for whom of @list does a relayed datagram from @from speak?
 * Relays answer for a name with that, or with an address.  NULL: for none.
 */
struct peer *peer_of_source(struct peer *list, const struct target *from);

/*
 * peer_asked - in whose place does @from stand, as an address for a socket of @family?
 * Returns its length, or 0: @from is none of these.
 */
int peer_asked(const union sockaddr_any *from, int family, union sockaddr_any *ret);

#endif
