/* SPDX-License-Identifier: ISC */
/* relay_associate.c - UDP ASSOCIATE: made at the first datagram, kept, and made anew when it is lost. */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>

#include "relay_state.h"
#include "socksify/control.h"
#include "socksify/drive.h"
#include "socksify/report.h"
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

static bool is_zero(const struct target *t)
{
	static const uint8_t zero[16];

	return t->kind == TARGET_NONE ||
	       (t->kind != TARGET_NAME &&
		memcmp(t->ip, zero, t->kind == TARGET_IPV4 ? 4 : 16) == 0);
}

/* Where the relay is: BND.ADDR, which may be all zero or a name (RFC 1928 section 6). */
static int relay_address(struct control *c, int family, union sockaddr_any *ret)
{
	struct target bound = *socks5_bound(&c->s);
	int err = 0;

	if (bound.port == 0)
		return -ENETUNREACH;
	if (is_zero(&bound))
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

/* DST of the request: where the socket sends from; of a wildcard the port alone is known. */
static struct target request_address(const union sockaddr_any *own)
{
	struct target dst = { .kind = TARGET_NONE };

	if (target_from_sockaddr(&own->sa, relay_address_len(own), &dst) < 0)
		return dst;
	if (is_zero(&dst))
		dst.kind = TARGET_NONE;
	return dst;
}

/* A line as soon as it is decided: nobody sees the end of an association. */
static void report(const struct control *c, const struct route *route, int err)
{
	const char *reason = c->reason != NULL ? c->reason : strerrordesc_np(-err);

	if (report_is_on())
		report_association(&route->target, c->proxy, err == 0 ? NULL :
				   reason != NULL ? reason : "unknown error");
}

/* What a refusal means to a program that sends: a proxy that does not relay is no way at all. */
static int errno_of(const struct control *c)
{
	return c->answered && c->error != -EACCES ? -ENETUNREACH : c->error;
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

/* An association from a control connection that is DONE; its fd is ours then. */
static int adopt(int fd, struct relay *r, struct control *c, const struct route *route,
		 struct association **ret)
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
	if (err < 0) {
		pool_give(&associations, a);
		c->reason = "the socket cannot speak to the relay";
		return err;
	}
	a->address_len = (socklen_t)len;
	a->proxy = route->proxy;
	a->older = NULL;
	atomic_store(&a->looked, sys_now_ns());
	atomic_store(&a->control, own_keep(c->fd));
	c->fd = -1;
	if (atomic_load(&a->control) == NULL) {
		pool_give(&associations, a);
		return -ENOMEM;
	}
	report(c, route, 0);
	*ret = a;
	return 0;
}

static int make(int fd, struct relay *r, const struct route *route, struct association **ret)
{
	struct control c;
	union sockaddr_any own;
	struct target dst;
	int64_t deadline = route_deadline(sys_now_ns());
	int family, err;

	family = relay_family_of(fd);
	atomic_store(&r->family, family);
	/* A socket of IPv6 is kept from IPv4 only once it is bound, so that comes after the choice. */
	err = relay_prepare(fd, family, family == AF_INET6, &own);
	if (err < 0)
		err = relay_prepare(fd, family, false, &own);
	if (err < 0)
		return err;
	dst = request_address(&own);
	control_begin(&c, route->proxy, SOCKS5_UDP_ASSOCIATE, &dst, deadline);
	control_finish(&c);
	err = c.phase == CONTROL_DONE ? adopt(fd, r, &c, route, ret) : errno_of(&c);
	if (err < 0)
		report(&c, route, err);
	control_drop(&c);
	return err;
}

/* Put @a, or that there is none, in the place of what there was. */
static void show(struct relay *r, struct association *a, int err)
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
static int renew(int fd, struct relay *r, const struct route *route)
{
	struct association *a = atomic_load(&r->association), *made = NULL;
	bool lost = a != NULL && a->proxy == route->proxy;
	int err = atomic_load(&r->error);

	if (lost && is_alive(a)) {
		atomic_store(&a->looked, sys_now_ns());
		return 0;
	}
	if (err < 0 && sys_now_ns() < atomic_load(&r->error_until))
		return err;
	if (a != NULL && !lost && atomic_load(&r->mode) != RELAY_CONNECTED)
		return -ENETUNREACH; /* one socket, one proxy */
	err = make(fd, r, route, &made);
	if (err < 0 && lost)
		err = -ENETDOWN;
	show(r, made, err);
	return err;
}

/*
 * One thread makes it; the others wait for that.  A signal handler on top of
 * the maker cannot.  A maker that a fork left behind is none.
 */
static int take_turn(struct relay *r)
{
	int64_t now = sys_now_ns(), end = route_deadline(route_deadline(now)); /* twice the time */
	void *me = (void *)pthread_self();

	for (;;) {
		void *maker = NULL;

		if (atomic_compare_exchange_strong(&r->maker, &maker, me)) {
			atomic_store(&r->maker_pid, drive_process());
			return 0;
		}
		if (atomic_load(&r->maker_pid) != drive_process()) {
			if (atomic_compare_exchange_strong(&r->maker, &maker, me)) {
				atomic_store(&r->maker_pid, drive_process());
				return 0;
			}
			continue;
		}
		if (maker == me || sys_now_ns() > end)
			return -EAGAIN;
		(void)!sys_poll(NULL, 0, SLICE_NS, NULL);
	}
}

static const struct association *current(struct relay *r, const struct route *route)
{
	const struct association *a = atomic_load_explicit(&r->association, memory_order_acquire);

	if (a == NULL || a->proxy != route->proxy ||
	    sys_now_ns() - atomic_load_explicit(&a->looked, memory_order_relaxed) >= FRESH_NS)
		return NULL;
	return a;
}

int relay_associate(int fd, struct relay *r, const struct route *route,
		    const struct association **ret)
{
	const struct association *a = current(r, route);
	int err = 0, cancel;

	if (a == NULL) {
		/* A thread that ended here would leave the turn taken. */
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
		err = take_turn(r);
		if (err == 0) {
			err = current(r, route) != NULL ? 0 : renew(fd, r, route);
			atomic_store(&r->maker, NULL);
		}
		pthread_setcancelstate(cancel, NULL);
		a = atomic_load(&r->association);
	}
	if (err == 0)
		*ret = a;
	return err;
}
