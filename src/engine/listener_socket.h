/* SPDX-License-Identifier: ISC */
/* listener_socket.h - what the parts of the listener share. */
#ifndef SOCKSIFY_LISTENER_SOCKET_H
#define SOCKSIFY_LISTENER_SOCKET_H

#include "socksify/listener.h"
#include "socksify/upstream.h"

/* What a socket listens by.  Changed under the engine's lock, but for the atomic members. */
struct listener {
	_Atomic bool stopped;		/* it listens no more, and is kept for the next listen(2) */
	_Atomic bool listens;		/* listen(2) came: before that the proxy may be asked already */
	_Atomic int64_t not_before;	/* when the proxy is asked for the next peer at the earliest, in ns */
	struct handshake *_Atomic arrived;	/* CONN_ARRIVED without error: with a reference */
	int busy;			/* how often the port was not free again yet */
	int error;			/* CONN_ARRIVED: what accept(2) fails with, 0: it does not */
	int family;			/* of the program's socket */
	uint16_t wish;			/* the port that bind(2) asked for; 0: any */
	const struct proxy *proxy;
	struct target dst;		/* of the request */
	int address_count;
	struct target addresses[UPSTREAM_MAX];	/* of the proxy */
};

/* A listener that is stopped, or NULL without memory; the caller makes it a connection's. */
struct listener *listener_take(void);

/* One that never became a connection's. */
void listener_give(struct listener *l);

/* A socket that can speak to the proxy: non-blocking, close-on-exec.  Or -errno. */
MUST_CHECK int listener_socket(const struct listener *l);

/* replace_put(), and what was known of the socket is not known of @fresh. */
void listener_put_socket(struct conn *conn, int fd, int fresh);

/* A request for a peer, not sent yet.  0 or -errno as handshake_begin(). */
MUST_CHECK int listener_begin(const struct listener *l, struct handshake *hs);

/* Ask for the next peer if nobody was, without waiting.  0 or -errno. */
MUST_CHECK int listener_arm(struct conn *conn, int fd);

/*
 * listener_take_peer - the connection of the peer that has come, if one has.
 * -EAGAIN: none has, or another thread or process was faster.  Else as listener_accept().
 */
MUST_CHECK int listener_take_peer(struct conn *conn, int fd, int flags, union sockaddr_any *ret,
				  socklen_t *ret_len);

/* Where the proxy listens becomes what getsockname(2) says. */
void listener_refresh_name(struct conn *conn, const struct listener *l,
			   const struct handshake *hs);

#endif
