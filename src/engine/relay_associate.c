/* SPDX-License-Identifier: ISC */
/* relay_associate.c - UDP ASSOCIATE: made at the first datagram, kept, and made anew when it is lost. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>

#include "relay_state.h"
#include "socksify/control.h"
#include "socksify/drive.h"
#include "socksify/epreg.h"
#include "socksify/pool.h"
#include "socksify/sys.h"

/* How long a control connection is taken to be there after it was looked at. */
#define FRESH_NS INT64_C(1000000000)

/* How long a failure holds, so that not each datagram of a program asks again; and the proxy's own word. */
#define FAILED_NS INT64_C(1000000000)
#define REFUSED_NS INT64_C(10000000000)

#define SLICE_NS INT64_C(10000000)

POOL(associations, struct association, 16u, 1u << 17, false);

void relay_forget(struct association *a)
{
	while (a != NULL) {
		struct association *older = a->older;

		own_close(atomic_exchange(&a->control, NULL));
		pool_give(&associations, a);
		a = older;
	}
}

void relay_suspect(struct relay *r)
{
	struct association *a = atomic_load(&r->association);

	if (a != NULL)
		atomic_store_explicit(&a->looked, 0, memory_order_relaxed);
}

/* Is the control connection still there?  What the proxy says on it is no longer of interest. */
static bool is_alive(struct association *a)
{
	const struct own *control = atomic_load(&a->control);
	uint8_t octets[64];
	ssize_t n;

	if (control == NULL)
		return false;
	do
		n = sys_recv(own_fd(control), octets, sizeof(octets), MSG_DONTWAIT);
	while (n > 0);
	return n == -EAGAIN || n == -EINTR;
}

/* The proxy's own address, as it is connected to, with another port. */
static int proxy_address(int control, uint16_t port, struct target *ret)
{
	union sockaddr_any peer;
	socklen_t len = sizeof(peer);
	int err = sys_getpeername(control, &peer, &len);

	if (err == 0)
		err = target_from_sockaddr(&peer.sa, len, ret);
	ret->port = port;
	return err;
}

bool relay_is_wildcard(const struct target *t)
{
	static const uint8_t zero[16];

	return t->kind == TARGET_NONE ||
	       (t->kind != TARGET_NAME &&
		memcmp(t->ip, zero, t->kind == TARGET_IPV4 ? 4 : 16) == 0);
}

int relay_address(struct control *c, int family, union sockaddr_any *ret)
{
	struct target bound = *socks5_bound(&c->s);
	int err = 0;

	if (bound.port == 0)
		return -ENETUNREACH;
	if (relay_is_wildcard(&bound))
		err = proxy_address(c->fd, bound.port, &bound);
	else if (bound.kind == TARGET_NAME)
		err = target_from_host(bound.name, bound.name_len, bound.port, &bound);
	if (err == 0 && bound.kind == TARGET_NAME) {
		struct target found[UPSTREAM_MAX];

		err = sys_resolve(bound.name, bound.port, found, UPSTREAM_MAX);
		if (err > 0)
			bound = found[0];
	}
	if (err < 0)
		return err;
	target_unmap(&bound);
	err = target_to_sockaddr(&bound, family, ret);
	return err < 0 ? -ENETUNREACH : err;
}

static bool is_ipv4_in_ipv6(const union sockaddr_any *a)
{
	return a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr);
}

/* The address that was chosen for the way to the proxy may be no good for that to the relay. */
static int connect_to(int fd, const union sockaddr_any *relay, socklen_t len)
{
	int err = sys_connect(fd, relay, len);

	if (err < 0) {
		relay_unconnect(fd);
		err = sys_connect(fd, relay, len);
	}
	return err;
}

int relay_adopt(int fd, struct relay *r, struct control *c, struct association **ret)
{
	union sockaddr_any own;
	struct association *a;
	int family = atomic_load(&r->family), err, len;

	a = pool_take(&associations);
	if (a == NULL)
		return -ENOMEM;
	len = relay_address(c, family, &a->address);
	err = len < 0 ? len : relay_prepare(fd, family, is_ipv4_in_ipv6(&a->address), &own);
	if (err == 0 && atomic_load(&r->mode) == RELAY_CONNECTED &&
	    !relay_target(r)->route.is_query)
		err = connect_to(fd, &a->address, (socklen_t)len);
	if (err < 0)
		c->reason = "the socket cannot speak to the relay";
	if (err == 0) {
		control_keep(c);
		err = c->own == NULL ? -ENOMEM : 0;
	}
	if (err < 0) {
		pool_give(&associations, a);
		return err;
	}
	a->address_len = (socklen_t)len;
	a->proxy = c->proxy;
	a->older = NULL;
	atomic_store(&a->looked, sys_now_ns());
	atomic_store(&a->control, c->own);
	c->own = NULL;
	c->fd = -1;
	*ret = a;
	return 0;
}

void relay_show(struct relay *r, struct association *a, int err)
{
	struct association *before = atomic_load(&r->association);

	if (before != NULL)
		own_close(atomic_exchange(&before->control, NULL));
	if (a != NULL) {
		a->older = before;
		atomic_store(&r->association, a);
	}
	atomic_store(&r->error_until, sys_now_ns() + (err == -ENETUNREACH || err == -EACCES
						      ? REFUSED_NS : FAILED_NS));
	atomic_store(&r->error, err);
}

/* With the maker's turn: look at the association, and make one where there is none. */
static int renew(int fd, struct relay *r, const struct route *route, bool wait)
{
	struct association *a = atomic_load(&r->association);
	bool lost = a != NULL && a->proxy == route->proxy;
	int err = atomic_load(&r->error);

	if (atomic_load(&r->attempt) != NULL) {
		if (relay_attempt_is_other(r, route->proxy))
			return -ENETUNREACH;
		return relay_attempt_go(fd, r, wait);
	}
	if (lost && is_alive(a)) {
		atomic_store(&a->looked, sys_now_ns());
		return 0;
	}
	if (err < 0 && sys_now_ns() < atomic_load(&r->error_until))
		return err;
	if (a != NULL && !lost && atomic_load(&r->mode) != RELAY_CONNECTED)
		return -ENETUNREACH; /* one socket, one proxy */
	err = relay_attempt_begin(fd, r, route, lost);
	if (err == 0)
		return relay_attempt_go(fd, r, wait);
	if (lost)
		err = -ENETDOWN;
	relay_show(r, NULL, err);
	return err;
}

/* A maker that a fork left behind is none. */
bool relay_try_turn(struct relay *r)
{
	void *maker = NULL, *me = (void *)pthread_self();

	if (!atomic_compare_exchange_strong(&r->maker, &maker, me) &&
	    (atomic_load(&r->maker_pid) == drive_process() ||
	     !atomic_compare_exchange_strong(&r->maker, &maker, me)))
		return false;
	atomic_store(&r->maker_pid, drive_process());
	return true;
}

void relay_give_turn(int fd, struct relay *r)
{
	atomic_store(&r->maker, NULL);
	if (atomic_exchange(&r->missed, false))
		relay_pump(fd, r);
}

/* One thread makes it; the others wait for that.  A signal handler on top of the maker cannot. */
static int take_turn(struct relay *r, bool wait)
{
	int64_t end = route_deadline(route_deadline(sys_now_ns())); /* twice the time */

	while (!relay_try_turn(r)) {
		if (!wait)
			return atomic_load(&r->attempt) != NULL ? -EINPROGRESS : -EAGAIN;
		if (atomic_load(&r->maker) == (void *)pthread_self() || sys_now_ns() > end)
			return -EAGAIN;
		(void)!sys_poll(NULL, 0, SLICE_NS, NULL);
	}
	return 0;
}

static const struct association *current(struct relay *r, const struct route *route)
{
	const struct association *a = atomic_load_explicit(&r->association, memory_order_acquire);

	if (a == NULL || a->proxy != route->proxy ||
	    sys_now_ns() - atomic_load_explicit(&a->looked, memory_order_relaxed) >= FRESH_NS)
		return NULL;
	return a;
}

/*
 * A call that may not block does not wait, if the program's own waiting can be
 * seen: it has one thread, which is here, or the socket is in an epoll set.  A
 * thread that sleeps in poll(2) already would not hear of the proxy's answer.
 */
static bool must_wait(int fd, const struct relay *r, int flags)
{
	int fl = O_NONBLOCK;

	if ((flags & MSG_DONTWAIT) == 0)
		fl = sys_get_flags(fd);
	if (fl < 0 || (fl & O_NONBLOCK) == 0 || (flags & MSG_MORE) != 0 || atomic_load(&r->corked))
		return true;
	return !sys_is_single_threaded() && !epreg_has(r->conn);
}

int relay_associate(int fd, struct relay *r, const struct route *route, int flags,
		    const struct association **ret)
{
	const struct association *a = current(r, route);
	int err = 0, cancel;
	bool wait;

	if (a == NULL) {
		wait = must_wait(fd, r, flags);
		/* A thread that ended here would leave the turn taken. */
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
		err = take_turn(r, wait);
		if (err == 0) {
			err = current(r, route) != NULL ? 0 : renew(fd, r, route, wait);
			relay_give_turn(fd, r);
		}
		pthread_setcancelstate(cancel, NULL);
		a = atomic_load(&r->association);
	}
	if (err == 0)
		*ret = a;
	return err;
}
