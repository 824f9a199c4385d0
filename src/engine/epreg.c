/* SPDX-License-Identifier: ISC */
/* epreg.c - the program's epoll registrations of sockets that are not connected yet. */
#include "socksify/epreg.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>

#include "socksify/fdtab.h"
#include "socksify/lock.h"
#include "socksify/sys.h"

/*
 * Ours carries as its data a cookie: the address of the record, in which no
 * program's pointer can lie, plus a generation in the low bits, so that an
 * event that was on its way when the record was reused is nobody's.
 */
#define EPREG_MAX (1u << 17)
#define GENERATIONS 64u

struct epreg {
	_Alignas(GENERATIONS) struct epreg *next;
	struct conn *_Atomic conn;	/* NULL: unused; also read without the lock */
	epoll_data_t data;	/* the program's */
	uint32_t events;	/* the program's */
	int epfd, fd;
	_Atomic uint8_t generation;	/* 0 .. GENERATIONS - 1 */
	_Atomic bool hidden;	/* ours is in the kernel */
	_Atomic bool watched;	/* a control connection is in the set, by our cookie */
	_Atomic bool orphan;	/* fd was closed, and a duplicate keeps the registration alive */
	bool fired;		/* a one shot that was reported while answers were owed: the kernel has it off;
				 * an edge of a listening socket that was reported */
};

static struct epreg table[EPREG_MAX];
static struct epreg *unused;
static uint32_t ever_used;	/* of the table */
static _Atomic int remembered;
_Atomic bool epreg_hidden_once;

bool epreg_any(void)
{
	return atomic_load_explicit(&remembered, memory_order_relaxed) != 0;
}

bool epreg_has(const struct conn *conn)
{
	return atomic_load(&conn->epregs) != NULL;
}

/* The functions down to epreg_ctl() run under the engine's lock. */

static struct epreg *find(const struct conn *conn, int epfd, int fd)
{
	struct epreg *r = conn->epregs;

	while (r != NULL && (r->epfd != epfd || r->fd != fd || r->orphan))
		r = r->next;
	return r;
}

static struct epreg *add(struct conn *conn, int epfd, int fd)
{
	struct epreg *r = unused;

	if (r != NULL)
		unused = r->next;
	else if (ever_used < EPREG_MAX)
		r = &table[ever_used++];
	else
		return NULL;
	r->conn = conn;
	r->epfd = epfd;
	r->fd = fd;
	r->hidden = false;
	r->watched = false;
	r->fired = false;
	r->orphan = false;
	r->next = conn->epregs;
	atomic_store(&conn->epregs, r);
	atomic_fetch_add(&remembered, 1);
	return r;
}

static void drop(struct epreg *r)
{
	struct epreg *before = r->conn->epregs;

	if (before == r) {
		atomic_store(&r->conn->epregs, r->next);
	} else {
		while (before->next != r)
			before = before->next;
		before->next = r->next;
	}
	r->conn = NULL;
	r->generation = (uint8_t)((r->generation + 1u) % GENERATIONS);
	r->next = unused;
	unused = r;
	atomic_fetch_sub(&remembered, 1);
}

/* What a listening socket reports; how it is to be reported. */
#define ACCEPT_EVENTS (EPOLLIN | EPOLLRDNORM)
#define HOW_EVENTS (EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE | EPOLLWAKEUP)

static uint64_t cookie(const struct epreg *r)
{
	return (uint64_t)(uintptr_t)r | r->generation;
}

/*
 * While it is pending: edge-triggered with one mask for all phases, so it never
 * has to be changed in between.  While answers are owed: what the program asks
 * for, and to hear of the answers.  When a listening socket has a peer: that.
 */
static struct epoll_event ours(const struct epreg *r)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLET };

	if (conn_state(r->conn) == CONN_ARRIVED)
		e.events = r->fired ? 0 : r->events & (ACCEPT_EVENTS | HOW_EVENTS);
	else if (conn_state(r->conn) == CONN_OWED)
		e.events = r->events | EPOLLIN;
	else if ((r->events & EPOLLEXCLUSIVE) != 0)
		e.events |= EPOLLEXCLUSIVE; /* which excludes EPOLLRDHUP */
	else
		e.events |= EPOLLRDHUP;
	e.data.u64 = cookie(r);
	return e;
}

static int replace_by_number(const struct epreg *r, struct epoll_event *event)
{
	int err;

	/* EPOLLEXCLUSIVE cannot be modified. */
	if ((r->events & EPOLLEXCLUSIVE) == 0)
		return sys_epoll_ctl(r->epfd, EPOLL_CTL_MOD, r->fd, event);
	err = sys_epoll_ctl(r->epfd, EPOLL_CTL_DEL, r->fd, NULL);
	return err < 0 ? err : sys_epoll_ctl(r->epfd, EPOLL_CTL_ADD, r->fd, event);
}

/*
 * Give the kernel another registration.  One whose number was closed can only
 * be changed by that number: it is borrowed for a moment, if it is free.
 */
static int replace(const struct epreg *r, struct epoll_event *event)
{
	int number, err = -EBADF;

	if (!r->orphan)
		return replace_by_number(r, event);
	number = sys_dup(atomic_load(&r->conn->fd), r->fd);
	if (number == r->fd)
		err = replace_by_number(r, event);
	if (number >= 0)
		sys_close(number);
	return err;
}

/* Is the record still the one whose cookie this is? */
static bool is_current(const struct epreg *r, uint64_t offset)
{
	return r->conn != NULL && r->generation == offset % GENERATIONS && (r->hidden || r->watched);
}

static int hide(struct epreg *r)
{
	struct epoll_event event = ours(r);

	atomic_store_explicit(&epreg_hidden_once, true, memory_order_relaxed);
	r->hidden = true;
	return replace(r, &event);
}

/* What the kernel would refuse, were the program's own registration given to it. */
static int check_events(int op, uint32_t events, const struct epreg *r)
{
	const uint32_t exclusive_may = EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP |
				       EPOLLET | EPOLLEXCLUSIVE;

	if ((events & EPOLLEXCLUSIVE) != 0 &&
	    (op == EPOLL_CTL_MOD || (events & ~exclusive_may) != 0))
		return -EINVAL;
	if (op == EPOLL_CTL_MOD && r != NULL && (r->events & EPOLLEXCLUSIVE) != 0)
		return -EINVAL;
	return 0;
}

#define REUSED 1	/* it is registered, and the fd is none of ours any more */

/* ADD or MOD while the handshake is under way. */
static int set_hidden(struct conn *conn, int epfd, int op, int fd, struct epoll_event *event)
{
	struct epreg *r = find(conn, epfd, fd);
	struct epoll_event e;
	int err = check_events(op, event->events, r);

	if (err < 0)
		return err;
	if (r != NULL && op == EPOLL_CTL_ADD) {
		err = sys_epoll_ctl(epfd, op, fd, event);
		return err < 0 ? err : REUSED;
	}
	atomic_store_explicit(&conn->seen, true, memory_order_relaxed);
	if (r == NULL) {
		r = add(conn, epfd, fd);
		if (r == NULL)
			return -ENOMEM;
		r->events = event->events;
		r->data = event->data;
		r->hidden = true;
		atomic_store_explicit(&epreg_hidden_once, true, memory_order_relaxed);
		e = ours(r);
		err = sys_epoll_ctl(epfd, op, fd, &e);
		if (err < 0)
			drop(r);
		return err;
	}
	r->events = event->events;
	r->data = event->data;
	r->fired = false;
	if (conn_state(conn) != CONN_OWED && conn_state(conn) != CONN_ARRIVED)
		return 0;
	e = ours(r);
	return replace(r, &e);
}

static int set_shown(struct conn *conn, int epfd, int op, int fd, struct epoll_event *event)
{
	struct epreg *r = find(conn, epfd, fd);
	int err = sys_epoll_ctl(epfd, op, fd, event);

	if (err < 0)
		return err;
	if (r == NULL)
		r = add(conn, epfd, fd);
	if (r == NULL) {
		(void)!sys_epoll_ctl(epfd, EPOLL_CTL_DEL, fd, NULL);
		return -ENOMEM;
	}
	r->events = event->events;
	r->data = event->data;
	r->hidden = false;
	return 0;
}

static int set(struct conn *conn, int epfd, int op, int fd, struct epoll_event *event)
{
	const struct epreg *r = find(conn, epfd, fd);

	/* Between the end of the handshake and epreg_show() ours is still in the kernel. */
	if (conn_is_hidden(conn_state(conn)) || (r != NULL && r->hidden))
		return set_hidden(conn, epfd, op, fd, event);
	if (conn_state(conn) == CONN_CONNECTED)
		return sys_epoll_ctl(epfd, op, fd, event);
	return set_shown(conn, epfd, op, fd, event);
}

/*
 * The state is changed without the lock, and who changes it looks for
 * registrations after that: one that was not there yet is ours to bring along.
 */
static void catch_up(struct conn *conn, enum conn_state before)
{
	enum conn_state now = conn_state(conn);

	if (now == before)
		return;
	if (conn_is_hidden(now))
		epreg_hide(conn);
	else
		epreg_show(conn, now == CONN_CONNECTED);
}

int epreg_ctl(struct conn *conn, int epfd, int op, int fd, struct epoll_event *event)
{
	enum conn_state before;
	struct epoll_event copy;
	struct epreg *r;
	sigset_t mask;
	int err;

	if (op == EPOLL_CTL_ADD || op == EPOLL_CTL_MOD) {
		if (event == NULL)
			return -EFAULT;
		copy = *event;
	}
	lock_engine(&mask);
	switch (op) {
	case EPOLL_CTL_ADD:
	case EPOLL_CTL_MOD:
		before = conn_state(conn);
		err = set(conn, epfd, op, fd, &copy);
		if (err == 0)
			catch_up(conn, before);
		break;
	default:
		err = sys_epoll_ctl(epfd, op, fd, event);
		r = find(conn, epfd, fd);
		if (op == EPOLL_CTL_DEL && r != NULL)
			drop(r);
	}
	unlock_engine(&mask);
	if (err == REUSED) {
		fdtab_forget(fd);
		err = 0;
	}
	return err;
}

void epreg_hide(struct conn *conn)
{
	sigset_t mask;

	if (!epreg_has(conn))
		return;
	lock_engine(&mask);
	for (struct epreg *r = conn->epregs; r != NULL; r = r->next)
		if (hide(r) < 0)
			r->hidden = false; /* the set or the fd went behind our back */
	unlock_engine(&mask);
}

void epreg_lift(struct conn *conn)
{
	struct epreg *next;
	sigset_t mask;
	int number;

	if (!epreg_has(conn))
		return;
	lock_engine(&mask);
	for (struct epreg *r = conn->epregs; r != NULL; r = next) {
		next = r->next;
		number = r->orphan ? sys_dup(atomic_load(&conn->fd), r->fd) : r->fd;
		if (number == r->fd)
			(void)!sys_epoll_ctl(r->epfd, EPOLL_CTL_DEL, r->fd, NULL);
		if (r->orphan && number >= 0)
			sys_close(number);
		if (r->orphan)
			drop(r); /* the file that it kept is the socket's no longer */
	}
	unlock_engine(&mask);
}

void epreg_lay(struct conn *conn)
{
	sigset_t mask;

	if (!epreg_has(conn))
		return;
	lock_engine(&mask);
	atomic_store_explicit(&epreg_hidden_once, true, memory_order_relaxed);
	for (struct epreg *r = conn->epregs; r != NULL; r = r->next) {
		struct epoll_event event = ours(r);

		r->fired = r->fired && (r->events & EPOLLONESHOT) != 0;
		r->hidden = sys_epoll_ctl(r->epfd, EPOLL_CTL_ADD, r->fd, &event) == 0;
	}
	unlock_engine(&mask);
}

bool epreg_watch(struct conn *conn, int control)
{
	bool any = false;
	sigset_t mask;

	if (!epreg_has(conn))
		return false;
	lock_engine(&mask);
	atomic_store_explicit(&epreg_hidden_once, true, memory_order_relaxed);
	for (struct epreg *r = conn->epregs; r != NULL; r = r->next) {
		struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
					     .data.u64 = cookie(r) };
		int err;

		r->watched = true;
		err = sys_epoll_ctl(r->epfd, EPOLL_CTL_ADD, control, &event);
		/* By a second number in the same set: the first one has it. */
		r->watched = err == 0 || err == -EEXIST;
		any = any || r->watched;
	}
	unlock_engine(&mask);
	return any;
}

void epreg_unwatch(struct conn *conn, int control)
{
	sigset_t mask;

	lock_engine(&mask);
	for (struct epreg *r = conn->epregs; r != NULL; r = r->next)
		if (atomic_exchange(&r->watched, false) && control >= 0)
			(void)!sys_epoll_ctl(r->epfd, EPOLL_CTL_DEL, control, NULL);
	unlock_engine(&mask);
}

bool epreg_fail(struct epoll_event *event)
{
	uint64_t offset = event->data.u64 - (uint64_t)(uintptr_t)table;
	struct epreg *r = &table[offset / sizeof(table[0])];
	sigset_t mask;
	bool current;

	lock_engine(&mask);
	current = is_current(r, offset);
	event->events = (r->events & (EPOLLIN | EPOLLOUT)) | EPOLLERR;
	event->data = r->data;
	unlock_engine(&mask);
	return current;
}

#define ANSWER_EVENTS (EPOLLIN | EPOLLRDNORM | EPOLLRDHUP)

/* The event may have been an answer's, which was read since. */
static uint32_t ready_now(const struct epreg *r)
{
	const uint32_t all = EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP;

	return (uint32_t)sys_poll_now(atomic_load(&r->conn->fd), (short)(r->events & all));
}

/* What of @events is the program's to know.  One shot that hit nothing is loaded again. */
static uint32_t translate(struct epreg *r, uint32_t events)
{
	struct epoll_event again;

	if (conn_state(r->conn) == CONN_ARRIVED) {
		/* What came before ours was changed says that it can send, too; the peer's octets are no news. */
		events = r->fired || (events & EPOLLOUT) != 0 ? 0 : events & r->events & ACCEPT_EVENTS;
		r->fired = r->fired ||
			   (events != 0 && (r->events & (EPOLLONESHOT | EPOLLET)) != 0);
		return events;
	}
	events &= r->events | EPOLLERR | EPOLLHUP;
	if (r->orphan && conn_state(r->conn) != CONN_OWED)
		return conn_state(r->conn) == CONN_PENDING ? 0 : events & ready_now(r);
	events &= ~(uint32_t)ANSWER_EVENTS;
	if ((r->events & EPOLLONESHOT) == 0 || r->orphan)
		return events;
	if (events != 0) {
		r->fired = true;
	} else {
		again = ours(r);
		(void)!replace(r, &again);
	}
	return events;
}

/* Is there anything in our event for the program?  After the handshake the kernel tells it all itself. */
static bool is_translated(const struct epreg *r, uint64_t offset)
{
	const struct conn *conn = r->conn;

	return conn != NULL && is_current(r, offset) &&
	       (r->orphan || conn_state(conn) == CONN_OWED || conn_state(conn) == CONN_ARRIVED);
}

bool epreg_translate(struct epoll_event *event)
{
	uint64_t offset = event->data.u64 - (uint64_t)(uintptr_t)table;
	struct epreg *r = &table[offset / sizeof(table[0])];
	sigset_t mask;

	if (!is_translated(r, offset)) /* the most events: without the lock */
		return false;
	lock_engine(&mask);
	event->events = is_translated(r, offset) ? translate(r, event->events) : 0;
	event->data = r->data;
	unlock_engine(&mask);
	return event->events != 0;
}

void epreg_show(struct conn *conn, bool forget)
{
	struct epreg *next;
	sigset_t mask;

	if (!epreg_has(conn))
		return;
	lock_engine(&mask);
	/* Unless the next connect(2) has begun already. */
	for (struct epreg *r = conn_is_hidden(conn_state(conn)) ? NULL : conn->epregs;
	     r != NULL; r = next) {
		struct epoll_event event = { .events = r->events, .data = r->data };

		next = r->next;
		if (r->hidden && !r->fired && replace(r, &event) < 0 && r->orphan)
			continue; /* then its events are translated */
		r->hidden = false;
		if (forget)
			drop(r);
	}
	unlock_engine(&mask);
}

/* Without the lock, since it is asked for each event: whatever was read is read again. */
struct conn *epreg_conn(const struct epoll_event *event, bool *ret_ours, int *ret_fd)
{
	uint64_t offset = event->data.u64 - (uint64_t)(uintptr_t)table;
	struct conn *conn;
	struct epreg *r;

	*ret_ours = offset < sizeof(table);
	if (!*ret_ours)
		return NULL;
	r = &table[offset / sizeof(table[0])];
	conn = r->conn;
	if (conn == NULL || !is_current(r, offset) || !conn_ref(conn))
		return NULL;
	*ret_fd = r->orphan ? atomic_load(&conn->fd) : r->fd;
	if (r->conn == conn && is_current(r, offset))
		return conn;
	conn_unref(conn); /* it was another's meanwhile */
	return NULL;
}

void epreg_forget(struct conn *conn)
{
	sigset_t mask;

	if (!epreg_has(conn))
		return;
	lock_engine(&mask);
	while (conn->epregs != NULL)
		drop(conn->epregs);
	unlock_engine(&mask);
}

void epreg_orphan(struct conn *conn, int fd)
{
	sigset_t mask;

	if (!epreg_has(conn))
		return;
	lock_engine(&mask);
	for (struct epreg *r = conn->epregs; r != NULL; r = r->next)
		r->orphan = r->orphan || r->fd == fd;
	unlock_engine(&mask);
}

void epreg_forget_set(int epfd)
{
	sigset_t mask;

	if (!epreg_any())
		return;
	lock_engine(&mask);
	for (uint32_t i = 0; i < ever_used; i++)
		if (table[i].conn != NULL && table[i].epfd == epfd)
			drop(&table[i]);
	unlock_engine(&mask);
}
