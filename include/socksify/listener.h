/* SPDX-License-Identifier: ISC */
/*
 * listener.h - listen(2) by way of a proxy: BIND (RFC 1928 section 4).
 *
 * The program's socket is replaced by a connection to the proxy, whose first
 * reply says where the proxy listens.  With the second one the peer is there,
 * and the same connection is the one to it: accept(2) hands that out, and
 * another socket takes its place, on which the next peer is asked for.
 */
#ifndef SOCKSIFY_LISTENER_H
#define SOCKSIFY_LISTENER_H

#include <stdatomic.h>

#include "socksify/conn.h"
#include "socksify/handshake.h"

/* Is there a `bind` rule at all?  One relaxed load. */
extern _Atomic bool listener_enabled;
static inline bool listener_is_on(void)
{
	return __builtin_expect(atomic_load_explicit(&listener_enabled, memory_order_relaxed), 0);
}

/* After route_setup(). */
void listener_setup(void);

/* What @conn listens by, or NULL: it does not. */
struct listener *listener_of(const struct conn *conn);

/* The same for a number. */
bool listener_has(int fd);

/* May accept(2) be called on @fd, which listener_has()? */
bool listener_accepts(int fd);

enum { LISTENER_KERNEL, LISTENER_DONE };

/*
 * listener_bind - bind(2) of @fd, before the kernel's.
 * Returns LISTENER_DONE for an address that this machine does not have, but
 * getsockname(2) told of a proxied connection; LISTENER_KERNEL; or
 *   -EINVAL  it is bound already
 * listener_note_bind - the kernel's succeeded.
 */
MUST_CHECK int listener_bind(int fd, const struct sockaddr *addr, socklen_t len);
void listener_note_bind(int fd, const struct sockaddr *addr, socklen_t len);

/*
 * listener_listen - listen(2) of @fd.
 * Returns LISTENER_KERNEL when no rule names the socket; LISTENER_DONE; or
 *   -EADDRINUSE  the proxy could not give the port that was asked for, or refused
 *   -EACCES      its rules, or the login
 *   -EOPNOTSUPP  it does not know BIND
 *   -EADDRNOTAVAIL  it listens on IPv6, which the socket cannot tell
 *   -ENETDOWN    no usable configuration
 *   what getsockopt(2) or getsockname(2) failed with: then nobody knows what to do
 *   and what tunnel_connect() returns
 * Waits for the proxy's first reply, at most for the configured time; signals do
 * not interrupt it.
 */
MUST_CHECK int listener_listen(int fd);

/*
 * listener_accept - accept4(2) of @fd, which listener_has().
 * @flags:   SOCK_CLOEXEC, SOCK_NONBLOCK
 * @ret_len: of the peer's address
 * Returns a new fd, or -errno:
 *   -EAGAIN   the socket does not block, or SO_RCVTIMEO is over
 *   -EINTR    a signal handler without SA_RESTART ran
 *   -EINVAL   it does not listen
 *   -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM  as accept(2); the peer waits
 *   -ECONNABORTED  the peer has gone again
 *   -ETIMEDOUT  the proxy's second reply began, and did not end within the time of route_deadline()
 *   -ECONNREFUSED, ...  the proxy's second reply, see socks5_rep_errno();
 *             the next call makes the next request
 */
MUST_CHECK int listener_accept(int fd, int flags, union sockaddr_any *ret, socklen_t *ret_len);

/*
 * listener_name - getsockname(2) of @fd, when listener_is_on(): the proxy's
 * address for a socket that listens, and for a proxied connection.
 * For one that is only bound to any port the proxy is asked now, since programs
 * tell their peers before they listen; and its answer is waited for.
 * Returns false when the kernel's answer is the right one.
 */
MUST_CHECK bool listener_name(int fd, union sockaddr_any *ret, socklen_t *ret_len);

/*
 * listener_connect - connect(2) of @fd to a peer of @family.
 * Returns 0 when it is a plain socket from here on; -EISCONN when it listens;
 * -EMFILE and the like.
 */
MUST_CHECK int listener_connect(struct conn *conn, int fd, int family);

/* shutdown(2) of the receiving end: it listens no more. */
void listener_stop(struct conn *conn, int fd);

/* The next peer is asked for if nobody was; without waiting.  Returns when to look again, in ns. */
int64_t listener_look(struct conn *conn, int fd);

/* For drive.c: @hs is over, or not this process's any more; a CONNECT succeeded; the one that has a peer. */
void listener_settle(struct conn *conn, struct handshake *hs, int fd);
void listener_note_connected(struct conn *conn, const struct handshake *hs, int fd);
struct handshake *listener_handshake(const struct conn *conn);

/* For conn.c: the last reference is gone. */
void listener_release(struct conn *conn);

#endif
