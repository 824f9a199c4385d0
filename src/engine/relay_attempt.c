/* SPDX-License-Identifier: ISC */
/* relay_attempt.c - an association that is being made, and the datagrams that wait for it. */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>

#include "relay_attempt.h"
#include "socksify/drive.h"
#include "socksify/epreg.h"
#include "socksify/lock.h"
#include "socksify/pool.h"
#include "socksify/report.h"
#include "socksify/sys.h"

/* What UDP takes in one datagram, by family. */
#define LONGEST_IPV4 65507u
#define LONGEST_IPV6 65527u

/* What the kernel counts for a datagram in a socket's buffer, about, beside twice its octets. */
#define OVERHEAD 768u
#define SNDBUF_DEFAULT 212992

POOL(attempts, struct relay_attempt, 16u, 1u << 16, false);

_Atomic int relay_unsettled;

/* Calls that wait ask the engine while there is any. */
static void count(int more)
{
	atomic_fetch_add(&relay_unsettled, more);
	atomic_fetch_add(&conn_pending, more);
}

struct relay_attempt *relay_attempt_at(uint32_t index)
{
	return index < pool_used(&attempts) ? pool_at(&attempts, index) : NULL;
}

/* The queue: lengths, each with a header and a payload behind it. */

static bool open_queue(int fd, struct relay_attempt *a)
{
	int limit = sys_get_int(fd, SOL_SOCKET, SO_SNDBUF);
	size_t size;
	struct relay_queue *q;

	if (limit <= 0)
		limit = SNDBUF_DEFAULT;
	/* Counted as the kernel does, they take half as much; the last one may reach beyond. */
	size = sizeof(*q) + (size_t)limit / 2 + LONGEST_IPV6 + sizeof(uint32_t);
	q = sys_map(size, false);
	if (q == NULL)
		return false;
	*q = (struct relay_queue){ .size = size };
	atomic_store(&a->charged, 0);
	atomic_store(&a->limit, (size_t)limit);
	atomic_store(&a->queue, q);
	return true;
}

static void put(struct relay_queue *q, const void *octets, size_t len)
{
	memcpy(q->octets + q->used, octets, len);
	q->used += len;
}

static ssize_t enqueue(int fd, struct relay_attempt *a, const struct relay_wrapping *w,
		       const struct msghdr *msg, size_t payload)
{
	uint32_t len = (uint32_t)(w->header_len + payload);

	if (a == NULL)
		return -ENOENT;
	if (a->queue == NULL && !open_queue(fd, a))
		return -ENOMEM;
	if (atomic_load(&a->charged) >= atomic_load(&a->limit))
		return -EAGAIN;
	put(a->queue, &len, sizeof(len));
	put(a->queue, w->header, w->header_len);
	for (size_t i = 0; i < msg->msg_iovlen; i++)
		if (msg->msg_iov[i].iov_len > 0)
			put(a->queue, msg->msg_iov[i].iov_base, msg->msg_iov[i].iov_len);
	atomic_fetch_add(&a->charged, 2 * len + OVERHEAD);
	return (ssize_t)payload;
}

ssize_t relay_enqueue(int fd, struct relay *r, const struct relay_wrapping *w,
		      const struct msghdr *msg)
{
	size_t payload = relay_room(msg);
	sigset_t mask;
	ssize_t n;

	if (payload + w->header_len > (atomic_load(&r->family) == AF_INET ? LONGEST_IPV4 : LONGEST_IPV6))
		return -EMSGSIZE;
	lock_engine(&mask);
	n = enqueue(fd, atomic_load(&r->attempt), w, msg, payload);
	unlock_engine(&mask);
	return n;
}

/* A full buffer, or a network that is down, loses a datagram here as on any other way. */
static void flush(int fd, const struct relay_queue *q, const struct association *to)
{
	size_t at = 0;

	while (q != NULL && at < q->used) {
		struct iovec part;
		struct msghdr msg = { .msg_name = (void *)(uintptr_t)&to->address,
				      .msg_namelen = to->address_len, .msg_iov = &part,
				      .msg_iovlen = 1 };
		uint32_t len;

		memcpy(&len, q->octets + at, sizeof(len));
		part = (struct iovec){ (void *)(uintptr_t)(q->octets + at + sizeof(len)), len };
		/* An error that the socket had from before is told first, and nothing sent. */
		if (sys_sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == -ECONNREFUSED)
			(void)!sys_sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		at += sizeof(len) + len;
	}
}

/* DST of the request: where the socket sends from; of a wildcard the port alone is known. */
static struct target request_address(const union sockaddr_any *own)
{
	struct target dst = { .kind = TARGET_NONE };

	if (target_from_sockaddr(&own->sa, relay_address_len(own), &dst) < 0)
		return dst;
	if (relay_is_wildcard(&dst))
		dst.kind = TARGET_NONE;
	return dst;
}

int relay_attempt_begin(int fd, struct relay *r, const struct route *route, bool lost)
{
	int64_t deadline = route_deadline(sys_now_ns());
	struct relay_attempt *a;
	union sockaddr_any own;
	struct target dst;
	int family, err;

	family = relay_family_of(fd);
	atomic_store(&r->family, family);
	/* A socket of IPv6 is kept from IPv4 only once it is bound, so that comes after the choice. */
	err = relay_prepare(fd, family, family == AF_INET6, &own);
	if (err < 0)
		err = relay_prepare(fd, family, false, &own);
	if (err < 0)
		return err;
	a = pool_take(&attempts);
	if (a == NULL)
		return -ENOMEM;
	dst = request_address(&own);
	a->target = route->target;
	a->lost = lost;
	a->queue = NULL;
	atomic_store(&a->limit, 0);
	atomic_store(&a->goes_on, false);
	atomic_store(&a->watched, false);
	control_begin(&a->control, route->proxy, SOCKS5_UDP_ASSOCIATE, &dst, deadline);
	atomic_store(&r->conn->fd, fd);
	atomic_store(&a->relay, r);
	atomic_store(&r->attempt, a);
	return 0;
}

bool relay_attempt_is_other(const struct relay *r, const struct proxy *proxy)
{
	return atomic_load(&r->attempt)->control.proxy != proxy;
}

/* A line as soon as it is decided: nobody sees the end of an association. */
static void report(const struct relay_attempt *a, int err)
{
	const char *reason = a->control.reason != NULL ? a->control.reason : strerrordesc_np(-err);

	if (report_is_on())
		report_association(&a->target, a->control.proxy, err == 0 ? NULL :
				   reason != NULL ? reason : "unknown error");
}

/* What a refusal means to a program that sends: a proxy that does not relay is no way at all. */
static int errno_of(const struct control *c)
{
	return c->answered && c->error != -EACCES ? -ENETUNREACH : c->error;
}

static void release(struct relay_attempt *a)
{
	if (atomic_load(&a->watched))
		epreg_unwatch(atomic_load(&a->relay)->conn, a->control.fd);
	if (atomic_load(&a->goes_on))
		count(-1);
	control_drop(&a->control);
	if (a->queue != NULL)
		sys_unmap(a->queue, a->queue->size);
	a->queue = NULL;
	atomic_store(&a->relay, NULL);
	pool_give(&attempts, a);
}

/* Whoever sends from here on does so through the association, behind what is in the queue. */
static int end(int fd, struct relay *r, struct relay_attempt *a)
{
	struct association *made = NULL;
	int err, control = a->control.fd;
	sigset_t mask;

	if (a->control.phase == CONTROL_DONE)
		err = relay_adopt(fd, r, &a->control, &made);
	else
		err = errno_of(&a->control);
	report(a, err);
	if (err < 0 && a->lost)
		err = -ENETDOWN;
	lock_engine(&mask);
	if (err == 0)
		flush(fd, a->queue, made);
	atomic_store(&r->attempt, NULL);
	relay_show(r, made, err);
	if (atomic_exchange(&a->watched, false))
		epreg_unwatch(r->conn, control);
	unlock_engine(&mask);
	release(a);
	return err;
}

/* What the waiting calls of other threads look at. */
static void show(struct relay_attempt *a, struct relay *r, int fd_before)
{
	struct control *c = &a->control;

	if (!atomic_load(&a->goes_on)) {
		control_keep(c);
		if (c->phase == CONTROL_FAILED)
			return;
		count(1);
		atomic_store(&a->goes_on, true);
	}
	atomic_store(&a->events, control_events(c));
	atomic_store(&a->fd, c->fd);
	if (c->fd != fd_before)
		atomic_store(&a->watched, epreg_watch(r->conn, c->fd));
}

int relay_attempt_go(int fd, struct relay *r, bool wait)
{
	struct relay_attempt *a = atomic_load(&r->attempt);
	int before = atomic_load(&a->goes_on) ? a->control.fd : -1;

	if (wait)
		control_finish(&a->control);
	else
		control_step(&a->control);
	if (a->control.phase < CONTROL_DONE)
		show(a, r, before);
	return a->control.phase < CONTROL_DONE ? -EINPROGRESS : end(fd, r, a);
}

void relay_attempt_drop(struct relay *r)
{
	struct relay_attempt *a = atomic_exchange(&r->attempt, NULL);

	if (a != NULL)
		release(a);
	(void)relay_take_error(r);
}

/*
 * A failure that no call of the program's has told yet.  Sets of epoll hear of
 * it by a socket that was never connected, which reports a hang-up for ever.
 */
static void keep_error(struct relay *r, int error)
{
	int fd = epreg_has(r->conn) ? sys_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;

	if (atomic_exchange(&r->untold, error) == 0)
		count(1);
	if (fd >= 0)
		own_close(atomic_exchange(&r->alarm, own_keep(fd)));
	if (atomic_load(&r->alarm) != NULL)
		(void)epreg_watch(r->conn, own_fd(atomic_load(&r->alarm)));
}

int relay_take_error(struct relay *r)
{
	int error = atomic_exchange(&r->untold, 0);
	struct own *alarm = atomic_exchange(&r->alarm, NULL);

	if (alarm != NULL) {
		epreg_unwatch(r->conn, own_fd(alarm));
		own_close(alarm);
	}
	if (error != 0)
		count(-1);
	return error;
}

/* With the turn: move the attempt, if there still is one. */
static void move(int fd, struct relay *r, bool wait)
{
	int err = 0;

	if (atomic_load(&r->attempt) != NULL)
		err = relay_attempt_go(fd, r, wait);
	if (err < 0 && err != -EINPROGRESS)
		keep_error(r, -err);
}

void relay_pump(int fd, struct relay *r)
{
	int cancel;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	do {
		/* Said first: whoever has the turn looks for it when it is over. */
		atomic_store(&r->missed, true);
		if (!relay_try_turn(r))
			break;
		atomic_store(&r->missed, false);
		move(fd, r, false);
		atomic_store(&r->maker, NULL);
	} while (atomic_exchange(&r->missed, false));
	pthread_setcancelstate(cancel, NULL);
}

void relay_wait_for_attempt(int fd, struct relay *r)
{
	int cancel;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	while (atomic_load(&r->attempt) != NULL) {
		if (relay_try_turn(r)) {
			move(fd, r, true);
			relay_give_turn(fd, r);
		} else if (atomic_load(&r->maker) == (void *)pthread_self()) {
			break; /* a signal handler on top of it */
		} else {
			(void)!sys_poll(NULL, 0, DRIVE_SLICE_NS, NULL);
		}
	}
	pthread_setcancelstate(cancel, NULL);
}

void relay_in_child(void)
{
	struct relay_attempt *a;
	struct relay *r;

	for (uint32_t i = 0; (a = relay_attempt_at(i)) != NULL; i++) {
		r = atomic_load(&a->relay);
		if (r == NULL)
			continue;
		atomic_store(&r->attempt, NULL);
		atomic_store(&r->maker, NULL);
		atomic_store(&a->watched, false); /* the parent's sets go on with it */
		release(a);
	}
}
