/* SPDX-License-Identifier: ISC */
/* relay.h - datagrams through a proxy: UDP ASSOCIATE (RFC 1928 section 7) for the program's own socket. */
#ifndef SOCKSIFY_RELAY_H
#define SOCKSIFY_RELAY_H

#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include "socksify/control.h"
#include "socksify/fdtab.h"
#include "socksify/route.h"

/*
 * A socket gets its association at its first datagram to a proxied target; it
 * is CONN_RELAYED from then on, or from its connect(2) to such a target on.
 * Its other peers are reached as without us.  Nothing but sends and receives
 * waits, and they only for an association.
 */

/*
 * relay_connect - connect(2) of a UDP socket to a proxied target.
 * @route: ROUTE_PROXY and is_datagram
 * The kernel's peer becomes the relay, or what stands for it until the first
 * send.  Returns 0, or -errno of connect(2); -ENETUNREACH when the socket can
 * speak to none of the proxy's addresses; -ENOMEM.
 */
MUST_CHECK int relay_connect(int fd, const struct route *route, const struct sockaddr *addr,
			     socklen_t len);

/* connect(2) to AF_UNSPEC on a relayed @fd; also before it is connected to a direct peer. */
void relay_disconnect(int fd);

/* The kernel has connected a relayed @fd to a direct peer. */
void relay_note_direct(int fd);

/* The peer that the program connected a relayed @fd to; false: the kernel's is the right one. */
MUST_CHECK bool relay_peer(int fd, union sockaddr_any *ret, socklen_t *ret_len);

/*
 * relay_send - sendmsg(2) of one datagram on a UDP socket to a proxied target.
 * @route: ROUTE_PROXY, made of msg->msg_name; NULL: to the peer of a relayed @fd
 * Returns the payload's octets, or -errno: of sendmsg(2), and
 *   -ENETUNREACH  the proxy relays no datagrams, or this socket's go through another one
 *   -ENETDOWN     the association was lost, and there is no other
 *   -EACCES, -ECONNREFUSED, -ETIMEDOUT, ...  the proxy refused the login, cannot
 *                 be reached, took too long
 *   -EMSGSIZE     with its header the datagram is too long
 *   -EIO          segmentation offload (UDP_SEGMENT): each segment needs a header
 */
MUST_CHECK ssize_t relay_send(int fd, const struct route *route, const struct msghdr *msg,
			      int flags);

/*
 * relay_send_many - sendmmsg(2) of a UDP socket, each datagram by its own rule.
 * Returns how many were sent, or -errno of the first.
 */
MUST_CHECK int relay_send_many(int fd, struct mmsghdr *msgs, unsigned count, int flags);

/*
 * relay_receive - recvmsg(2) on a relayed @fd: what did not come through the
 * relay, nor from a peer that is direct, is dropped, and not seen by the program.
 */
MUST_CHECK ssize_t relay_receive(int fd, struct msghdr *msg, int flags);

/* recvmmsg(2), the same. */
MUST_CHECK int relay_receive_many(int fd, struct mmsghdr *msgs, unsigned count, int flags,
				  struct timespec *timeout);

/*
 * relay_has_datagram - is there anything for the program to receive on a relayed
 * @fd that the kernel calls readable?  What is not to be seen is dropped.
 */
MUST_CHECK bool relay_has_datagram(int fd);

/* FIONREAD: the payload's octets of the next datagram, 0 without one; or -errno. */
MUST_CHECK int relay_readable(int fd);

/*
 * An association that is made for a socket which does not block: its first
 * datagrams are kept, and it is moved while the program waits, for whatever,
 * and by each call on the socket.
 */

/* How many are under way, or failed and were not told. */
extern _Atomic int relay_unsettled;

/* Is there any?  One relaxed load. */
static inline bool relay_is_unsettled(void)
{
	return atomic_load_explicit(&relay_unsettled, memory_order_relaxed) != 0;
}

/*
 * relay_controls - what poll(2) is to wait for beside the program's fds.
 * @ret: room for @max of them
 * Returns their number.
 */
MUST_CHECK int relay_controls(struct pollfd *ret, int max);

/*
 * relay_advance_all - move all that are under way.
 * @by_epoll: the caller is woken for those only that are in a set of the program's
 * Returns when to look again, in ns; INT64_MAX: when something is ready.
 */
int64_t relay_advance_all(bool by_epoll);

/* What of @events a relayed @fd must not be asked for by poll(2): its queue is full. */
short relay_held_events(int fd);

/* Is there a failure that is still to be told of @fd?  Then poll(2) reports it. */
bool relay_has_failed(int fd);

/* An event of epreg_watch() came.  True: the attempt has failed, and the program is to hear of it. */
bool relay_woken(struct conn *conn, int fd);

/* @fd was registered in an epoll set. */
void relay_note_registered(struct conn *conn);

/* SO_ERROR: the failure of the association, positive, which is told with that; 0: the kernel answers. */
MUST_CHECK int relay_error(int fd);

/*
 * relay_finish - let the association that is under way come to its end: @fd is
 *                about to go where we do not see it.
 * relay_close  - the same before the last copy is closed, if datagrams wait: the kernel's would be sent.
 * relay_finish_all - for all, or all that a new program inherits.
 */
void relay_finish(int fd);
void relay_close(int fd);
void relay_finish_all(bool inherited);

/* The child of fork(2): what was under way is the parent's. */
void relay_in_child(void);

/*
 * relay_address - where the relay is that an association was made with: BND.ADDR,
 * which may be all zero or a name (RFC 1928 section 6).
 * @c:      CONTROL_DONE, of a UDP ASSOCIATE
 * @family: of the socket that is to speak with it
 * Waits to look a name up.  Returns the length of the address in @ret, or -errno:
 * -ENETUNREACH there is none for this family, -EHOSTUNREACH the name is not known.
 */
MUST_CHECK int relay_address(struct control *c, int family, union sockaddr_any *ret);

/* Is it no address in particular: TARGET_NONE, 0.0.0.0 or ::? */
bool relay_is_wildcard(const struct target *t);

/* The socket is closed for good: end its association.  @relay may be NULL. */
void relay_end(struct relay *relay);

#endif
