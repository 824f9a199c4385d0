/* SPDX-License-Identifier: ISC */
/* flow.h - the sockets whose connection we made, or make, by the kernel's number for each. */
#ifndef SOCKSIFY_SUPERVISE_FLOW_H
#define SOCKSIFY_SUPERVISE_FLOW_H

#include "socksify/target.h"

enum flow_state {
	FLOW_PENDING,	/* under way */
	FLOW_CONNECTED,
	FLOW_FAILED,	/* and nobody was told yet */
};

struct attempt;

/*
 * A socket is known by its SO_COOKIE, which no other socket ever has again:
 * so duplicates, threads, forks and passed descriptors are the same flow.
 */
struct flow {
	uint64_t cookie;
	struct flow *next;	/* in its bucket */
	enum flow_state state;
	bool owes_zero;		/* connected, but the interrupted connect(2) was not told */
	bool seen;		/* flow_sweep()'s */
	int error;		/* FLOW_FAILED: negative errno */
	int64_t since;		/* of the state, in ns */
	struct attempt *attempt; /* FLOW_PENDING */
	socklen_t peer_len;
	union sockaddr_any peer; /* what the program asked for */
};

/* The flow of the socket, or NULL. */
struct flow *flow_find(uint64_t cookie);

/* How many there are: with none no call needs a look. */
size_t flow_count(void);

/* A new one, PENDING, or NULL without memory. */
struct flow *flow_new(uint64_t cookie, const struct sockaddr_storage *peer, socklen_t len);

void flow_set_state(struct flow *f, enum flow_state state);

void flow_free(struct flow *f);

/*
 * flow_sweep - forget sockets that do not exist any more.  Asks the kernel
 * (sock_diag(7)), seldom: after as many new flows as were left the last time.
 */
void flow_sweep(void);

#endif
