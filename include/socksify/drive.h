/* SPDX-License-Identifier: ISC */
/* drive.h - who moves a pending handshake, when, and how it ends. */
#ifndef SOCKSIFY_DRIVE_H
#define SOCKSIFY_DRIVE_H

#include "socksify/conn.h"
#include "socksify/handshake.h"

/*
 * drive_begin - give @conn, which the caller made pending, its handshake,
 *               with the caller's reference.
 * drive_end   - the caller of drive_begin() looks at the handshake no more.
 */
void drive_begin(struct conn *conn, int fd, struct handshake *hs);
void drive_end(struct handshake *hs);

/* The handshake of @conn, if it is under way, with a reference for drive_end(); else NULL. */
struct handshake *drive_hold(struct conn *conn);

/*
 * drive_retire - it is over: nobody else gets hold of it.
 * True for the one caller who is to say how it ended, and who has a reference
 * of its own.
 */
MUST_CHECK bool drive_retire(struct conn *conn, struct handshake *hs);

/*
 * drive_advance - move a pending handshake as far as it goes without waiting.
 * @ready: revents of poll(2), or HANDSHAKE_ASK
 * Nothing is done while another thread sleeps for it: that one will.
 * Returns the state that the connection has then.
 */
enum conn_state drive_advance(struct conn *conn, int fd, int ready);

/*
 * drive_lead - become the thread that sleeps for @conn, until drive_follow().
 * @until: when it looks at the handshake again at the latest, in ns; becomes
 *         the handshake's deadline if that is earlier
 * @ret_events: what to poll @fd for
 * Returns false when the caller must not sleep longer than DRIVE_SLICE_NS:
 * another thread or another process has the lead.
 */
MUST_CHECK bool drive_lead(struct conn *conn, int64_t *until, short *ret_events);
void drive_follow(struct conn *conn);

#define DRIVE_SLICE_NS 10000000	/* how often followers look */
#define DRIVE_TICK_NS 1000000000	/* how long leaders sleep at most */

/*
 * drive_wait - let a pending connection be shown as connected, or an owed answer come.
 * @until: in ns, sys_now_ns(); INT64_MAX for ever, since the handshake has its own deadline
 * Returns 0 when its state is another; -EAGAIN when the time is over, or in a
 * signal handler on top of the thread that sleeps for it in a receive;
 * -EINTR after a signal handler without SA_RESTART.
 */
MUST_CHECK int drive_wait(struct conn *conn, int fd, int64_t until);

/* When @conn's handshake fails for want of time, in ns; INT64_MAX if it is not pending. */
int64_t drive_deadline(struct conn *conn);

/*
 * drive_look - look after a pending handshake for which nothing was reported.
 * Its time may be over; and of one that is shared with another process that
 * process may have taken what was to report.
 * Returns when to look again, in ns; INT64_MAX when it is not pending any more.
 */
int64_t drive_look(struct conn *conn, int fd);

/*
 * drive_set_option, drive_get_option - SO_RCVLOWAT, TCP_CORK and TCP_NODELAY
 * while the handshake is under way and needs them otherwise: they are kept
 * from it, and set when it is over.
 * Return false for all other options, and when it is over.
 */
bool drive_set_option(struct conn *conn, int level, int name, int value);
bool drive_get_option(struct conn *conn, int level, int name, int *ret);

/* Has the proxy accepted the TCP connection?  Then a caller that we do not see may think that it is connected. */
bool drive_is_talking(struct conn *conn);

/* Forget the handshake of @conn: connect(2) to the proxy failed, or the socket was disconnected. */
void drive_cancel(struct conn *conn, int fd);

/* Give the handshake of @conn up, as the kernel does a connect(2): the socket is fresh again. */
void drive_abort(struct conn *conn, int fd);

/* Its program receives no more: nobody reads the answers that are owed. */
void drive_waive(struct conn *conn, int fd);

/* For pthread_atfork(3). */
void drive_before_fork(void);
void drive_in_parent(void);
void drive_in_child(int pid);

/* This process, which may be the child of a fork that ran no handlers; without a system call. */
int drive_process(void);

#endif
