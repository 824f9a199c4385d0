/* SPDX-License-Identifier: ISC */
/* association_state.h - one association: private to association*.c. */
#ifndef SOCKSIFY_SUPERVISE_ASSOCIATION_STATE_H
#define SOCKSIFY_SUPERVISE_ASSOCIATION_STATE_H

#include "loop.h"
#include "listener.h"
#include "peer.h"
#include "socksify/control.h"

enum association_state {
	ASSOCIATION_IDLE,		/* none yet, or it was lost, or error says how it failed */
	ASSOCIATION_UNDER_WAY,
	ASSOCIATION_READY,
};

/* A call whose datagram waits for the association. */
struct held {
	struct held *next;
	struct call call;
	int64_t result;
};

struct association {
	struct watch control;	/* first: the connection to the proxy; else fd -1 */
	struct timer timer;	/* second: while under way the deadline; then the end of the error, or of the last datagram's time */
	struct watch relay;	/* our socket that speaks with the relay; else fd -1 */
	struct association *next;
	uint64_t cookie;	/* of the program's socket */
	struct target program;	/* where that is; all zero: on any address, so also on the loopback */
	enum association_state state;
	bool was_ready, seen;
	int64_t sent;		/* when the last datagram went to the relay, in ns */
	int error;		/* ASSOCIATION_IDLE: 0 or -errno */
	const struct proxy *proxy;
	struct peer *peers;
	int strangers;
	struct held *held;
	struct control c;
	pid_t tid;		/* who made it */
};

/* Fill in a new one, which is all zero. */
void association_prepare(struct association *a);

/* Make it, for a datagram that has come.  ASSOCIATION_IDLE and a->error, when it fails at once. */
void association_begin(struct association *a);

/* Did the proxy say a while ago that it relays no datagrams?  Not each socket asks it again. */
bool association_is_refused_by(const struct proxy *proxy);

void association_drop_relay(struct association *a);
void association_drop_control(struct association *a);

/* Answer the calls that are held, with what they are to return, or with @err. */
void association_answer(struct association *a, int err);

/* Let all peers receive from the program's socket. */
void association_open_peers(struct association *a);

/* Where the peer @asked, an address of one kind, reaches the program's socket. */
struct target association_program(const struct association *a, const struct target *asked);

/* A peer for @target, which the program knows as the address @asked.  0 or -errno of peer_new(). */
MUST_CHECK int association_add_peer(struct association *a, const struct target *target,
				    const struct target *asked, struct peer **ret);

/* The program may have sent to @p: begin the association, or relay what there is. */
void association_carry(struct peer *p);

/* The relay has sent something: struct association's watch. */
void association_relay_ready(struct watch *w, uint32_t events);

#endif
