/* SPDX-License-Identifier: ISC */
/* conn.h - one proxied connection: its state, who shows it to the program, what the program asked for. */
#ifndef SOCKSIFY_CONN_H
#define SOCKSIFY_CONN_H

#include <stdatomic.h>

#include "socksify/target.h"

struct handshake;
struct epreg;
struct listener;
struct relay;
struct proxy;
struct own;

enum conn_state {
	CONN_FRESH,	/* not connected by us: the kernel alone answers */
	CONN_PENDING,	/* the handshake is under way */
	CONN_FAILED,	/* refused by the proxy, shown as a connect that the kernel refused */
	CONN_OWED,	/* optimistic: shown as connected, but the proxy's answers are still to be read */
	CONN_CONNECTED,
	CONN_ANSWERED,	/* to a name server, whose part we take: dns_stream.h */
	CONN_RELAYED,	/* datagrams, some of which go through a proxy: relay.h */
	CONN_IDLE,	/* listens by way of a proxy, which was not asked for a peer yet */
	CONN_ARRIVED,	/* listens: accept(2) has something to return */
};

/* Is there a handshake that goes on? */
static inline bool conn_is_under_way(enum conn_state state)
{
	return state == CONN_PENDING || state == CONN_OWED;
}

/* Is what poll(2) reports of it ours to say? */
static inline bool conn_is_hidden(enum conn_state state)
{
	return conn_is_under_way(state) || state == CONN_IDLE || state == CONN_ARRIVED;
}

/* Must calls that send or receive come to the engine's gate first? */
static inline bool conn_is_gated(enum conn_state state)
{
	return conn_is_hidden(state) || state == CONN_FAILED;
}

/* What is to be told of it at its end; report.c's. */
struct conn_note {
	const struct proxy *proxy;
	int teller;		/* pid of the process that tells */
	_Atomic bool told;
	int64_t ms;		/* how long the handshake took */
	uint32_t sent, received; /* octets of the handshake */
};

/* Belongs to an open file, shared by its duplicates within the process. */
struct conn {
	_Atomic int state;		/* enum conn_state; changed by conn_set_state() only */
	_Atomic int error;		/* CONN_FAILED: the errno to tell once, 0 when it was told */
	_Atomic int fd;			/* one of its numbers, the latest that was used */
	_Atomic bool shut;		/* CONN_FAILED: shutdown(2) came: no connect(2) before AF_UNSPEC */
	_Atomic bool disconnected;	/* CONN_FAILED: connect(AF_UNSPEC) came; the error is still to be told */
	_Atomic bool answers_once;	/* the next connect(2) returns 0, the one after EISCONN */
	_Atomic bool replaced;		/* an AF_INET6 socket stands in for the program's: replace.h */
	_Atomic bool spoke;		/* CONN_OWED: the program has sent something */
	_Atomic bool seen;		/* some call of ours waited for it: the program's waiting is visible */
	_Atomic bool missed;		/* somebody had something to report, and left it to the leader */
	_Atomic(void *) leader;		/* the thread that sleeps for it */
	_Atomic(void *) asleep;		/* the thread that has the turn, and sleeps in a receive; see await.h */
	_Atomic int64_t leader_until;	/* and until when it sleeps at most, in ns */
	struct handshake *_Atomic handshake;	/* while it is under way; with a reference */
	struct epreg *_Atomic epregs;	/* changed under the engine's lock */
	struct relay *_Atomic relay;	/* CONN_RELAYED */
	struct own *_Atomic own;	/* CONN_ANSWERED: the other end */
	_Atomic int answering;		/* CONN_ANSWERED: how many asked for it since it began */
	struct listener *_Atomic listener;	/* of one that listened once; see listener_of() */
	_Atomic int bound_port;		/* that bind(2) asked for, if that matters: listener.h; else -1 */
	_Atomic bool bound_afar;	/* bind(2) asked for the proxy's address, which is in local */
	socklen_t peer_len;
	union sockaddr_any peer;	/* as the program passed it to connect(2) */
	_Atomic uint32_t proxy[sizeof(union sockaddr_any) / sizeof(uint32_t)];	/* conn_proxy() */
	socklen_t local_len;		/* 0 if not known */
	struct conn_note note;
	union sockaddr_any local;	/* CONN_FAILED: what getsockname(2) said before; else see listener_name() */
};

/*
 * How many connections of this process are hidden; and how many are gated or
 * relayed, so that calls on them must come to the engine first.
 */
extern _Atomic int conn_pending, conn_special;

/* A new connection in CONN_FRESH with one reference, or NULL without memory. */
struct conn *conn_new(void);

/*
 * conn_ref - one more reference, unless the connection is being released.
 * Any pointer that conn_new() ever returned may be passed: its storage is
 * reused, never unmapped.
 */
bool conn_ref(struct conn *conn);

/* One reference less; the last one drops the handshake and the epoll registrations. */
void conn_unref(struct conn *conn);

/*
 * conn_set_state    - for whoever ended the handshake, and so owns the state.
 * conn_change_state - for all others; false: it is not @from, or another thread was faster.
 */
void conn_set_state(struct conn *conn, enum conn_state state);
bool conn_change_state(struct conn *conn, enum conn_state from, enum conn_state to);

static inline enum conn_state conn_state(const struct conn *conn)
{
	return (enum conn_state)atomic_load(&conn->state);
}

/* The peer that the kernel knows.  Written when a handshake ends, also while others read it. */
void conn_set_proxy(struct conn *conn, const union sockaddr_any *proxy);
union sockaddr_any conn_proxy(const struct conn *conn);

/* index <-> pointer, as fdtab keeps it; index 0 .. CONN_MAX - 1, of a connection that existed */
#define CONN_MAX (1u << 20)
struct conn *conn_at(uint32_t index);
uint32_t conn_index(const struct conn *conn);

/* Counts how often the storage was reused. */
uint32_t conn_generation(const struct conn *conn);

/* Call @fn for each connection that is hidden, with a reference held. */
void conn_each_pending(void (*fn)(struct conn *conn, void *arg), void *arg);

#endif
