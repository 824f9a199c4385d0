/* SPDX-License-Identifier: ISC */
/* handshake.h - a SOCKS handshake under way on a socket, one step at a time. */
#ifndef SOCKSIFY_HANDSHAKE_H
#define SOCKSIFY_HANDSHAKE_H

#include <poll.h>
#include <stdatomic.h>

#include "socksify/route.h"

enum handshake_phase {
	HANDSHAKE_CONNECTING,	/* the TCP connection to the proxy */
	HANDSHAKE_TALKING,	/* SOCKS messages */
	HANDSHAKE_OWED,		/* optimistic: all is sent, the answers are still to come */
	HANDSHAKE_DONE,
	HANDSHAKE_REFUSED,	/* by the proxy, or the time is over: see error */
	HANDSHAKE_UNREACHED,	/* the proxy itself: the kernel has the error */
	HANDSHAKE_TAKEN,	/* BIND: done, and the peer's connection was handed out */
};

#define HANDSHAKE_ADDRESSES 8

/*
 * Lives in memory that a child of fork(2) shares, since the open file is one,
 * and so is its handshake.  Only the owner moves it; others look at phase.
 */
struct handshake {
	_Atomic uint32_t generation;	/* counts reuses of the storage */
	_Atomic int owner;		/* pid that moves it; 0: nobody, who wants may */
	_Atomic int64_t looked;		/* until when the owner is known to look after it, in ns */
	_Atomic int phase;		/* enum handshake_phase */
	_Atomic int turn;		/* see handshake_enter() */
	_Atomic bool moving;		/* who has the turn moves octets at this moment */
	_Atomic bool shared;		/* a fork happened since it began */
	int home;			/* pid from whose storage it is */
	_Atomic bool waits;		/* the socket blocks: connect(2) would wait */
	_Atomic bool started;		/* connect(2) has come back */
	bool took_error;		/* the socket's error was returned to us, and is gone */
	ssize_t came;			/* what a receive that slept for the next octets returned, not yet told; 0: none */
	int error;			/* HANDSHAKE_REFUSED: errno for the program */
	int rcvlowat;			/* SO_RCVLOWAT to restore, 0: none */
	bool cork;			/* TCP_CORK to restore */
	bool delay;			/* TCP_NODELAY is ours, and to be taken off */
	int64_t begun;			/* when connect(2) came, in ns */
	int64_t deadline;		/* ns, sys_now_ns() */
	uint32_t sent, received;	/* octets of ours */
	bool binds;			/* BIND, which has two replies; else CONNECT */
	bool listening;			/* BIND: the first reply has come */
	uint16_t wish;			/* BIND: the port it has to be; 0: any */
	struct target bound;		/* BIND: where the proxy listens, an address */
	const struct proxy *proxy;
	int address_count;
	_Atomic int address_at;
	union sockaddr_any addresses[HANDSHAKE_ADDRESSES];
	struct socks5 s;
};

/* What is ready is not known: find out without waiting. */
#define HANDSHAKE_ASK (-1)

/* Storage for a handshake that @pid begins, with one reference; or NULL without memory. */
struct handshake *handshake_new(int pid);

/*
 * handshake_begin - set up a handshake in CONNECTING.
 * @hs:        from handshake_new()
 * @route:     ROUTE_PROXY; its proxy is kept by reference
 * @family:    of the socket
 * @addresses: of the proxy, @count of them, 1 .. HANDSHAKE_ADDRESSES
 * @deadline:  when it fails with ETIMEDOUT, in ns
 * Returns 0, or -EAFNOSUPPORT when the socket can speak to none of the addresses.
 */
MUST_CHECK int handshake_begin(struct handshake *hs, const struct route *route, int family,
			       const struct target *addresses, int count, int64_t deadline);

/*
 * handshake_allow_ipv4 - let a socket of AF_INET6 speak to ::ffff:a.b.c.d, if that is the proxy's.
 * Returns 0 or -errno.
 */
MUST_CHECK int handshake_allow_ipv4(const struct handshake *hs, int fd, int family);

/*
 * handshake_hide_options - switch off what would hold the messages back (SO_RCVLOWAT, TCP_CORK).
 */
void handshake_hide_options(struct handshake *hs, int fd);

/* Give back what was switched, the cork alone or all of it. */
void handshake_restore_options(struct handshake *hs, int fd);
void handshake_restore_cork(struct handshake *hs, int fd);

/*
 * handshake_send_at_once - what the program sends behind a request must not
 * wait until the proxy has acknowledged that (RFC 896), a whole round trip.
 */
void handshake_send_at_once(struct handshake *hs, int fd);

/*
 * handshake_bind - right after handshake_begin(): ask for BIND, not CONNECT
 * (RFC 1928 section 4).
 * @dst:  the peer that is expected, or the address and port to listen on
 * @wish: the port to listen on; 0: any
 * It is DONE with the second reply, but for its last octet, which stays to be
 * received: so the socket remains readable until the peer's connection is
 * handed out.  The deadline is that of the first reply; the second has none until
 * its first octet came, and is to be whole within route_deadline() from then on.
 */
void handshake_bind(struct handshake *hs, const struct target *dst, uint16_t wish);

/*
 * handshake_take - hand the peer's connection out: whoever of the processes that
 * share it comes first, receives the last octet.
 * Returns 1; 0 when another one was faster; or what the receive says, and it is
 * still to be taken.
 */
MUST_CHECK int handshake_take(struct handshake *hs, int fd);

/*
 * handshake_connect - connect to the proxy: the first of its addresses that does not fail at once.
 * Returns what connect(2) says: 0 and TALKING; -EINPROGRESS, -EINTR and still CONNECTING; or its error.
 */
MUST_CHECK int handshake_connect(struct handshake *hs, int fd);

/*
 * handshake_enter - may this thread move the handshake?
 * False when another thread, or this thread below a signal handler, does so:
 * then that one will look again before it leaves.
 */
bool handshake_enter(struct handshake *hs);

/* True when somebody came meanwhile: then step again, with HANDSHAKE_ASK. */
bool handshake_leave(struct handshake *hs);

/*
 * handshake_step - move what can be moved without waiting.  Between enter and leave.
 * @ready: revents of poll(2), or HANDSHAKE_ASK
 */
enum handshake_phase handshake_step(struct handshake *hs, int fd, int ready);

/* End it as HANDSHAKE_REFUSED with @error (positive). */
void handshake_fail(struct handshake *hs, int error, const char *reason);

/*
 * handshake_errno - @err (negative) as connect(2) may return it: what a broken
 * conversation gives is a refusal, since scanners take ECONNRESET or EPROTO for
 * an open port.
 */
int handshake_errno(int err);

/*
 * handshake_awaits - are octets of an answer what it wants next?  With the turn.
 * @ret: where they belong; who receives them there notes the result in came,
 *       and the next step goes on with it
 */
MUST_CHECK bool handshake_awaits(struct handshake *hs, struct span *ret);

/* The events of poll(2) to wait for. */
short handshake_events(struct handshake *hs);

static inline enum handshake_phase handshake_phase(const struct handshake *hs)
{
	return (enum handshake_phase)atomic_load(&hs->phase);
}

/* Take over the turn of a process that died, or of a thread that left it by siglongjmp(3). */
void handshake_take_over(struct handshake *hs);

/* A fork is about to happen, or happened: in the child. */
void handshake_share(struct handshake *hs);
void handshake_in_child(void);

/*
 * handshake_ref, handshake_unref - references of this process, which do not
 * count those of others.  With the last one a handshake that is under way and
 * shared is left to the processes that go on with it.
 * Any pointer that handshake_new() returned may be passed to handshake_ref();
 * false: it is released already.
 */
MUST_CHECK bool handshake_ref(struct handshake *hs);
void handshake_unref(struct handshake *hs);

/* In the child of fork(2): the references of the parent's threads are none of ours. */
void handshake_forget_threads(struct handshake *hs);

/* Is the storage still that of the handshake of which this process has a reference? */
bool handshake_is_current(const struct handshake *hs);

#endif
