/* SPDX-License-Identifier: ISC */
/*
 * epreg.h - what the program registered with epoll for sockets that are not
 * connected yet: while a handshake is under way the kernel has a registration
 * of ours in its place.
 */
#ifndef SOCKSIFY_EPREG_H
#define SOCKSIFY_EPREG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/epoll.h>

struct conn;

/*
 * epreg_ctl - epoll_ctl(2) on an @fd of @conn.
 * While its handshake is under way the kernel gets a registration of ours.
 * Returns what epoll_ctl(2) says; -ENOMEM also when there is no room for a registration.
 */
int epreg_ctl(struct conn *conn, int epfd, int op, int fd, struct epoll_event *event);

/*
 * Put ours in the place of all registrations of @conn: before connect(2), so
 * that nothing shows early; and anew for a connection that is shown early
 * (CONN_OWED), whose ours tell what the program asked for, too.
 */
void epreg_hide(struct conn *conn);

/*
 * epreg_translate - an event of ours, for a connection that is shown early or
 * a listening socket, as the program's: without what only says that the proxy answers.
 * Returns false when nothing is left.
 */
bool epreg_translate(struct epoll_event *event);

/*
 * epreg_show - put the program's registrations back, which reports what is ready anew.
 * @forget: and remember them no longer: the socket is connected
 */
void epreg_show(struct conn *conn, bool forget);

/*
 * epreg_lift, epreg_lay - take the registrations of @conn out of the kernel, and
 * put ours in: in between another socket takes the place of the one under its numbers.
 */
void epreg_lift(struct conn *conn);
void epreg_lay(struct conn *conn);

/*
 * epreg_watch - let the sets in which the program registered @conn hear of
 *               @control, too, a control connection of ours: edge-triggered.
 * epreg_unwatch - no longer.
 * Returns whether there is any such set.
 */
bool epreg_watch(struct conn *conn, int control);
void epreg_unwatch(struct conn *conn, int control);

/* An event of epreg_watch() as the program's: its socket has an error.  False: the record is another's. */
bool epreg_fail(struct epoll_event *event);

/* Has @conn any? */
bool epreg_has(const struct conn *conn);

/*
 * epreg_conn - the connection for which an event of ours was reported.
 * @ret_ours: whether the event is ours and must be taken out
 * Returns it with a reference, and the fd; or NULL when it is nobody's any more.
 */
struct conn *epreg_conn(const struct epoll_event *event, bool *ret_ours, int *ret_fd);

/* Has the process any registration that is remembered?  One relaxed load. */
bool epreg_any(void);

/* Was there ever one that was hidden?  Else no event can be ours.  One relaxed load. */
extern _Atomic bool epreg_hidden_once;
static inline bool epreg_ever_hidden(void)
{
	return atomic_load_explicit(&epreg_hidden_once, memory_order_relaxed);
}

/* The connection goes; an epoll set was closed. */
void epreg_forget(struct conn *conn);
void epreg_forget_set(int epfd);

/*
 * epreg_orphan - @fd was closed.  If a duplicate keeps the file open, the
 * kernel keeps what was registered by this number, and it can only be changed
 * while the number is free.  If it is not, its events go on being translated,
 * edge-triggered.
 */
void epreg_orphan(struct conn *conn, int fd);

#endif
