/* SPDX-License-Identifier: ISC */
/* gate.h - what calls on a socket get while its handshake is under way, or after it failed. */
#ifndef SOCKSIFY_GATE_H
#define SOCKSIFY_GATE_H

#include "socksify/fdtab.h"

/*
 * gate_send, gate_receive - may the program's call go to the kernel?
 * @fd:    fdtab_is_gated()
 * @flags: of send(2) or recv(2); MSG_DONTWAIT counts
 * A blocking socket waits for the handshake, within SO_SNDTIMEO or SO_RCVTIMEO.
 * Returns 0: go on; or the negative errno with which the call fails:
 *   -EAGAIN    the handshake is under way and the socket does not block, or
 *              its timeout is over
 *   -EINTR     a signal handler without SA_RESTART ran
 *   -ECONNREFUSED, ...  the handshake failed; told once
 */
MUST_CHECK int gate_send(int fd, int flags);
MUST_CHECK int gate_receive(int fd, int flags);

/* SO_SNDTIMEO or SO_RCVTIMEO, from now on, as a time in ns; INT64_MAX: none. */
int64_t gate_timeout(int fd, int name);

/*
 * gate_error - SO_ERROR of a gated @fd.  Never waits.
 * Returns 0 and the error (positive, 0 while the handshake is under way), or
 * -ENOENT: the kernel answers.
 */
MUST_CHECK int gate_error(int fd, int *ret);

/* gate_has_peer - does a gated @fd have a peer, as far as the program may know? */
MUST_CHECK bool gate_has_peer(int fd);

/*
 * gate_peer - the peer that the program asked for.
 * @known, @len: the one that the kernel told; @len may be too short for it
 * Returns false when the kernel's is the right one: @fd goes through no proxy.
 */
MUST_CHECK bool gate_peer(int fd, const struct sockaddr *known, socklen_t len,
			  union sockaddr_any *ret, socklen_t *ret_len);

/* SO_PEERNAME of a gated @fd: the kernel's tells the peer of a pending or refused connect, too. */
MUST_CHECK bool gate_asked_peer(int fd, union sockaddr_any *ret, socklen_t *ret_len);

/* getsockname(2) of a gated @fd: a refused connect keeps its address.  False: the kernel answers. */
MUST_CHECK bool gate_local(int fd, union sockaddr_any *ret, socklen_t *ret_len);

/* SO_RCVLOWAT and TCP_CORK of a gated @fd, see drive_set_option().  False: the kernel's business. */
MUST_CHECK bool gate_set_option(int fd, int level, int name, int value);
MUST_CHECK bool gate_get_option(int fd, int level, int name, int *ret);

/* gate_shutdown - shutdown(2): gives a pending handshake up and returns true; false: the kernel's business. */
bool gate_shutdown(int fd, int how);

/* Before close(2), or the end of the program: an optimist that has sent something waits for the answers. */
void gate_close(int fd);
void gate_close_all(void);

/*
 * gate_finish - let a pending handshake of @fd come to its end, whatever that
 * is: the fd is about to go where we do not see it (exec, stdio, SCM_RIGHTS).
 */
void gate_finish(int fd);

/* The same for all that a new program would inherit: before exec(3). */
void gate_finish_inherited(void);

/* Octets that a receive would find: -ENOENT: the kernel answers. */
MUST_CHECK int gate_readable_octets(int fd);

#endif
