/* SPDX-License-Identifier: ISC */
/* await.c - with no deadline of ours, the kernel's own receive waits for the proxy's answers. */
#include "await.h"

#include <errno.h>
#include <pthread.h>

#include "socksify/drive.h"
#include "socksify/sys.h"

static bool is_patient(const struct handshake *hs)
{
	return hs->deadline >= ROUTE_NEVER && !hs->binds && atomic_load(&hs->waits) &&
	       !atomic_load(&hs->shared);
}

bool await_can(struct conn *conn)
{
	struct handshake *hs = drive_hold(conn);
	bool can = hs != NULL && is_patient(hs);

	drive_end(hs);
	return can;
}

bool await_is_below(const struct conn *conn)
{
	return atomic_load(&conn->asleep) == (void *)pthread_self();
}

/* One that sleeps, until it wakes or is cancelled. */
struct sleeper {
	struct conn *conn;
	struct handshake *hs;
	bool called;	/* somebody came meanwhile, and left it to us */
};

static void wake(void *arg)
{
	struct sleeper *s = arg;

	atomic_store(&s->hs->looked, sys_now_ns());
	atomic_store(&s->conn->asleep, NULL);
	while (handshake_leave(s->hs))
		s->called = true;
}

/*
 * With the turn.  The octets arrive where the next step looks for them.  A child
 * of fork(2) shall not take the owner for one that does not look after it.
 */
static ssize_t sleep_for(struct sleeper *s, int fd, const struct span *span)
{
	struct iovec part = { span->data, span->len };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };
	ssize_t n;

	atomic_store(&s->hs->looked, ROUTE_NEVER);
	pthread_cleanup_push(wake, s);
	n = sys_recvmsg(fd, &msg, 0);
	/* The end of file is there to be received again. */
	if (n != 0 && n != -EAGAIN && n != -EINTR)
		s->hs->came = n;
	pthread_cleanup_pop(1);
	return n;
}

static int await(struct conn *conn, struct handshake *hs, int fd)
{
	struct sleeper sleeper = { conn, hs, false };
	struct span span;
	ssize_t n;

	/* Before the turn: a signal handler that comes between the two finds it taken, or moves it. */
	atomic_store(&conn->asleep, (void *)pthread_self());
	atomic_store_explicit(&conn->seen, true, memory_order_relaxed);
	if (!handshake_enter(hs)) {
		atomic_store(&conn->asleep, NULL);
		return 0;
	}
	if (atomic_load(&conn->handshake) != hs || !is_patient(hs) ||
	    !handshake_awaits(hs, &span)) {
		wake(&sleeper);
		return sleeper.called ? 1 : 0;
	}
	n = sleep_for(&sleeper, fd, &span);
	if (n == -EINTR)
		return -EINTR;
	return n == -EAGAIN && !sleeper.called ? 0 : 1;
}

int await_answer(struct conn *conn, int fd)
{
	struct handshake *hs = drive_hold(conn);
	int result = hs != NULL ? await(conn, hs, fd) : 1;

	drive_end(hs);
	return result;
}
