/* SPDX-License-Identifier: ISC */
/* relay_wait.c - associations that are made while the program waits, for whatever. */
#include <fcntl.h>

#include "relay_attempt.h"
#include "socksify/drive.h"
#include "socksify/epreg.h"
#include "socksify/sys.h"

int relay_controls(struct pollfd *ret, int max)
{
	struct relay_attempt *a;
	int n = 0;

	for (uint32_t i = 0; n < max && (a = relay_attempt_at(i)) != NULL; i++)
		if (atomic_load(&a->relay) != NULL && atomic_load(&a->goes_on))
			ret[n++] = (struct pollfd){ .fd = atomic_load(&a->fd),
						    .events = atomic_load(&a->events) };
	return n;
}

/* Move one, if it is still there.  Returns when to look again, in ns. */
static int64_t advance(struct relay_attempt *a, struct relay *r, bool by_epoll)
{
	struct conn *conn = r->conn, *there;
	int64_t next = INT64_MAX;
	int fd;

	if (!conn_ref(conn))
		return next;
	fd = atomic_load(&conn->fd);
	there = fdtab_get(fd);
	if (there == conn && atomic_load(&conn->relay) == r) {
		relay_pump(fd, r);
		if (atomic_load(&r->attempt) == a)
			next = by_epoll && !atomic_load(&a->watched)
			       ? sys_now_ns() + DRIVE_SLICE_NS : a->control.deadline;
	}
	if (there != NULL)
		conn_unref(there);
	conn_unref(conn);
	return next;
}

int64_t relay_advance_all(bool by_epoll)
{
	int64_t next = INT64_MAX;
	struct relay_attempt *a;

	for (uint32_t i = 0; (a = relay_attempt_at(i)) != NULL; i++) {
		struct relay *r = atomic_load(&a->relay);

		if (r != NULL && atomic_load(&a->goes_on))
			next = sys_earlier(next, advance(a, r, by_epoll));
	}
	return next;
}

short relay_held_events(int fd)
{
	struct conn *conn;
	struct relay *r = relay_look_up(fd, &conn);
	const struct relay_attempt *a;
	size_t limit;
	short held = 0;

	if (r == NULL)
		return 0;
	a = atomic_load(&r->attempt);
	/* Not by the queue, which goes as soon as another thread is through with the attempt. */
	limit = a != NULL ? atomic_load(&a->limit) : 0;
	if (limit > 0 && atomic_load(&a->charged) >= limit)
		held = POLLOUT | POLLWRNORM;
	conn_unref(conn);
	return held;
}

bool relay_has_failed(int fd)
{
	struct conn *conn;
	struct relay *r = relay_look_up(fd, &conn);
	bool failed = r != NULL && atomic_load(&r->untold) != 0;

	if (r != NULL)
		conn_unref(conn);
	return failed;
}

bool relay_woken(struct conn *conn, int fd)
{
	struct relay *r = atomic_load(&conn->relay);

	if (r == NULL)
		return false;
	relay_pump(fd, r);
	return atomic_load(&r->untold) != 0;
}

void relay_note_registered(struct conn *conn)
{
	struct relay *r = atomic_load(&conn->relay);
	struct relay_attempt *a = r != NULL ? atomic_load(&r->attempt) : NULL;

	if (a != NULL && atomic_load(&a->goes_on))
		atomic_store(&a->watched, epreg_watch(conn, atomic_load(&a->fd)));
}

int relay_before_receive(int fd, int flags)
{
	struct conn *conn;
	struct relay *r = relay_look_up(fd, &conn);
	int error;

	if (r == NULL)
		return 0;
	relay_pump(fd, r);
	/* The answer that a blocking call waits for cannot come before that. */
	if (atomic_load(&r->attempt) != NULL && (flags & MSG_DONTWAIT) == 0 &&
	    (sys_get_flags(fd) & O_NONBLOCK) == 0)
		relay_wait_for_attempt(fd, r);
	error = relay_take_error(r);
	conn_unref(conn);
	return -error;
}

int relay_error(int fd)
{
	return -relay_before_receive(fd, MSG_DONTWAIT);
}

void relay_finish(int fd)
{
	struct conn *conn;
	struct relay *r = relay_look_up(fd, &conn);

	if (r == NULL)
		return;
	relay_wait_for_attempt(fd, r);
	conn_unref(conn);
}

void relay_close(int fd)
{
	struct conn *conn;
	struct relay *r = fdtab_is_ours() ? relay_look_up(fd, &conn) : NULL;
	const struct relay_attempt *a;

	if (r == NULL)
		return;
	a = atomic_load(&r->attempt);
	if (a != NULL && atomic_load(&a->queue) != NULL && fdtab_is_last(fd, conn))
		relay_wait_for_attempt(fd, r);
	conn_unref(conn);
}

void relay_finish_all(bool inherited)
{
	struct relay_attempt *a;

	for (uint32_t i = 0; (a = relay_attempt_at(i)) != NULL; i++) {
		struct relay *r = atomic_load(&a->relay);
		struct conn *conn = r != NULL ? r->conn : NULL;

		if (conn == NULL || !conn_ref(conn))
			continue;
		if (!inherited || fdtab_is_inherited(conn))
			relay_finish(atomic_load(&conn->fd));
		conn_unref(conn);
	}
}
