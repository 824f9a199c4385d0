/* SPDX-License-Identifier: ISC */
/* relay_state.h - what is known of a relayed socket; for the relay's own parts. */
#ifndef SOCKSIFY_RELAY_STATE_H
#define SOCKSIFY_RELAY_STATE_H

#include "socksify/control.h"
#include "socksify/own.h"
#include "socksify/relay.h"
#include "socksify/socks5_udp.h"

/* A UDP ASSOCIATE.  Written before it is shown, but for looked and own. */
struct association {
	const struct proxy *proxy;
	struct own *_Atomic control;	/* the connection that it lives as long as; NULL: it is lost */
	_Atomic int64_t looked;		/* when the control connection was known to be there, in ns */
	socklen_t address_len;
	union sockaddr_any address;	/* the relay's, as the socket speaks to it */
	struct association *older;	/* one that was lost: others may still look at it */
};

/* What the program connected its socket to. */
struct relay_target {
	struct route route;
	size_t header_len;
	uint8_t header[SOCKS5_UDP_HEADER_MAX];
	socklen_t peer_len;
	union sockaddr_any peer;	/* as the program passed it */
};

enum relay_mode { RELAY_UNCONNECTED, RELAY_CONNECTED, RELAY_DIRECT };

/*
 * Names that the program sent to, by addresses of the pool.  A relay may answer
 * with the address that stands behind such a name.
 */
struct relay_name {
	_Atomic bool set;		/* the rest is written, and stays */
	bool is_address;		/* it is what it seems, and no name */
	socklen_t sent_len;
	union sockaddr_any sent;	/* as the program passed it */
	_Atomic uint64_t seen;		/* a digest of the address that answered; 0: none yet */
};

#define RELAY_NAMES 32
#define RELAY_EARLIER 8

struct relay_attempt;

struct relay {
	struct conn *conn;		/* whose it is, without a reference */
	_Atomic(void *) maker;		/* the thread that makes the association */
	_Atomic int maker_pid;
	_Atomic bool missed;		/* somebody had something to report, and left it to the maker */
	struct relay_attempt *_Atomic attempt;	/* to make one; moved by the maker */
	_Atomic int untold;		/* the errno of one that failed while the program did other things */
	struct own *_Atomic alarm;	/* untold: what wakes epoll sets */
	struct association *_Atomic association;
	_Atomic int error;		/* -errno: there is none to be had, until */
	_Atomic int64_t error_until;	/* then, in ns */
	_Atomic int family;		/* of the socket */
	_Atomic int mode;		/* enum relay_mode */
	_Atomic bool unbound;		/* RELAY_CONNECTED: but the kernel's socket has no peer */
	_Atomic int target_at;
	struct relay_target targets[2];	/* RELAY_CONNECTED: the one at target_at; the other is being written */
	_Atomic bool corked;		/* the datagram that was begun has its header (MSG_MORE) */
	_Atomic int expected;		/* the length of the last received header */
	struct relay_name names[RELAY_NAMES];
	_Atomic uint64_t earlier[RELAY_EARLIER]; /* addresses before the first name: digests, or 0 */
	_Atomic unsigned next_earlier;
};

/* Close the association @a, which may be NULL, and those before it. */
void relay_forget(struct association *a);

/* The relay of a relayed @fd, whose @ret_conn has a reference then; else NULL. */
struct relay *relay_look_up(int fd, struct conn **ret_conn);

/*
 * relay_get - the relayed state of @fd, made if it has none.
 * @ret_conn: with a reference for the caller
 * Returns NULL without memory, or when @fd is something else.
 */
struct relay *relay_get(int fd, struct conn **ret_conn);

static inline const struct relay_target *relay_target(const struct relay *r)
{
	return &r->targets[atomic_load_explicit(&r->target_at, memory_order_acquire)];
}

/* The address family of a socket. */
int relay_family_of(int fd);

/*
 * relay_associate - the association that carries datagrams for @route.
 * @flags: of send(2)
 * It is made if there is none, or if it was lost; for a call that blocks it is waited for.
 * Returns 0; -EINPROGRESS: it is under way, see relay_enqueue(); or -errno, see relay_send().
 */
MUST_CHECK int relay_associate(int fd, struct relay *r, const struct route *route, int flags,
			       const struct association **ret);

/*
 * The maker's turn.  What relay_try_turn() returns true for ends with
 * relay_give_turn(), which looks at what was missed meanwhile.
 */
MUST_CHECK bool relay_try_turn(struct relay *r);
void relay_give_turn(int fd, struct relay *r);

/* Put the association @a, or that there is none (@err), in the place of what there was. */
void relay_show(struct relay *r, struct association *a, int err);

/* An association from a control connection that is DONE, which is taken over.  0 or -errno. */
MUST_CHECK int relay_adopt(int fd, struct relay *r, struct control *c, struct association **ret);

/*
 * relay_attempt_begin - ask the proxy of @route for an association.  With the turn.
 * @lost: there was one
 */
MUST_CHECK int relay_attempt_begin(int fd, struct relay *r, const struct route *route, bool lost);

/*
 * relay_attempt_go - move the attempt.  With the turn.
 * @wait: to its end
 * Returns 0: there is an association, and the queue was sent; -EINPROGRESS; or -errno of its failure.
 */
MUST_CHECK int relay_attempt_go(int fd, struct relay *r, bool wait);

/* Is the attempt under way by another proxy than @proxy? */
bool relay_attempt_is_other(const struct relay *r, const struct proxy *proxy);

/* Move the attempt, if nobody does.  What it fails with is to be told then. */
void relay_pump(int fd, struct relay *r);

/* Let it come to its end, the same. */
void relay_wait_for_attempt(int fd, struct relay *r);

/*
 * relay_before_receive - what a receive is told before the kernel is asked; it moves the attempt.
 * Returns 0; or -errno of an association that failed, told once.
 */
MUST_CHECK int relay_before_receive(int fd, int flags);

/* The failure that is still to be told, positive, which is told with that; 0: none. */
int relay_take_error(struct relay *r);

/* The socket is gone: so is the attempt. */
void relay_attempt_drop(struct relay *r);

/* Look at the control connection before the next datagram is sent. */
void relay_suspect(struct relay *r);

/*
 * relay_prepare - bind @fd, unless it is bound, and let it speak to @peers of IPv4.
 * @ret: its own address
 */
MUST_CHECK int relay_prepare(int fd, int family, bool to_ipv4, union sockaddr_any *ret);

/* Leave the kernel's peer, and the address that was chosen for the way to it, but not the port. */
void relay_unconnect(int fd);

/* The length of an address. */
static inline socklen_t relay_address_len(const union sockaddr_any *a)
{
	return a->sa.sa_family == AF_INET ? sizeof(a->in) : sizeof(a->in6);
}

bool relay_address_equal(const union sockaddr_any *a, const union sockaddr_any *b);

/* The program sends to @target by @addr: remember it, if it is a name, or if there are any. */
void relay_note_name(struct relay *r, const struct target *target, const struct sockaddr *addr,
		     socklen_t len);

/*
 * relay_source - the address of who sent a datagram, as the program knows it.
 * @from: by the header
 * Returns its length, or -errno: it has none that this socket could be told.
 */
MUST_CHECK int relay_source(struct relay *r, const struct target *from, union sockaddr_any *ret);

/* Is @from, by the header, the peer that the socket is connected to? */
bool relay_is_from_peer(const struct relay_target *t, const struct target *from);

/* The header of a datagram, and where it goes with that. */
struct relay_wrapping {
	const uint8_t *header;
	size_t header_len;
	bool connected;		/* the kernel's peer is the relay */
	const union sockaddr_any *to;	/* the relay, if it is not */
	socklen_t to_len;
};

/*
 * relay_begin - what is needed to send @msg to the target of @route.
 * @header: room for SOCKS5_UDP_HEADER_MAX octets, which @ret may refer to
 * Returns as relay_associate(); with -EINPROGRESS @ret lacks the relay's address.
 */
MUST_CHECK int relay_begin(int fd, struct relay *r, const struct route *route, int flags,
			   const struct msghdr *msg, uint8_t *header, struct relay_wrapping *ret);

/*
 * relay_enqueue - keep a copy of @msg until there is an association.
 * Returns the payload's octets; -EAGAIN: no room; -ENOMEM; -EMSGSIZE; or
 * -ENOENT: the attempt is over.
 */
MUST_CHECK ssize_t relay_enqueue(int fd, struct relay *r, const struct relay_wrapping *w,
				 const struct msghdr *msg);

/* @msg with the header in front, in @ret; @parts has room for one more than @msg has. */
void relay_wrap(const struct relay_wrapping *w, const struct msghdr *msg, struct iovec *parts,
		struct msghdr *ret);

/*
 * Offloads cut the payload, or keep hold of the header after the call, which is
 * for one datagram.  0 without any, or -errno.
 */
MUST_CHECK int relay_refuse_offload(const struct msghdr *msg, int flags);

/* The octets that there is room for, or that there are. */
size_t relay_room(const struct msghdr *msg);

/* @len octets from octet @skip of one list of parts to the start of another; they may overlap. */
MUST_CHECK int relay_copy_parts(const struct iovec *from, size_t from_count, size_t skip,
				const struct iovec *to, size_t to_count, size_t len);

/*
 * relay_answerer - the socket of ours from which answers come to sockets of @family.
 * @ret: its address
 * Returns 0 or -errno; -EAGAIN when another thread makes it at this moment.
 */
MUST_CHECK int relay_answerer(int family, union sockaddr_any *ret);
bool relay_is_answerer(const union sockaddr_any *from);

/*
 * relay_answer - a query that the program sends on @fd: let its answer arrive there.
 * @w: the header of who was asked
 * Returns 0; RELAY_PASS: it may go where the program sends it; or -errno.
 */
#define RELAY_PASS 1
MUST_CHECK int relay_answer(int fd, struct relay *r, const struct relay_wrapping *w,
			    const struct msghdr *msg);

#endif
