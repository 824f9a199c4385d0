/* SPDX-License-Identifier: ISC */
/* relay.c - relayed sockets: their state, and what they are connected to. */
#include "socksify/relay.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "relay_state.h"
#include "socksify/pool.h"
#include "socksify/sys.h"
#include "socksify/upstream.h"

POOL(relays, struct relay, 4u, 1u << 16, false);

static struct relay *new_relay(struct conn *conn)
{
	struct relay *r = pool_take(&relays);

	if (r == NULL)
		return NULL;
	r->conn = conn;
	atomic_store(&r->maker, NULL);
	atomic_store(&r->missed, false);
	atomic_store(&r->attempt, NULL);
	atomic_store(&r->untold, 0);
	atomic_store(&r->alarm, NULL);
	atomic_store(&r->association, NULL);
	atomic_store(&r->error, 0);
	atomic_store(&r->family, 0);
	atomic_store(&r->mode, RELAY_UNCONNECTED);
	atomic_store(&r->unbound, false);
	atomic_store(&r->target_at, 0);
	atomic_store(&r->corked, false);
	atomic_store(&r->expected, 10);
	for (int i = 0; i < RELAY_EARLIER; i++)
		atomic_store(&r->earlier[i], 0);
	for (int i = 0; i < RELAY_NAMES; i++)
		atomic_store(&r->names[i].set, false);
	return r;
}

struct relay *relay_get(int fd, struct conn **ret_conn)
{
	struct conn *conn = fdtab_get_or_new(fd);
	struct relay *r, *none = NULL;

	if (conn == NULL)
		return NULL;
	*ret_conn = conn;
	r = atomic_load(&conn->relay);
	if (r != NULL)
		return r;
	r = conn_state(conn) == CONN_FRESH ? new_relay(conn) : NULL;
	if (r == NULL) {
		conn_unref(conn);
		*ret_conn = NULL;
		return NULL;
	}
	if (!atomic_compare_exchange_strong(&conn->relay, &none, r)) {
		pool_give(&relays, r); /* another thread was faster */
		r = none;
	}
	(void)conn_change_state(conn, CONN_FRESH, CONN_RELAYED);
	return r;
}

struct relay *relay_look_up(int fd, struct conn **ret_conn)
{
	struct relay *r;

	*ret_conn = fdtab_get(fd);
	if (*ret_conn == NULL)
		return NULL;
	r = atomic_load(&(*ret_conn)->relay);
	if (r == NULL) {
		conn_unref(*ret_conn);
		*ret_conn = NULL;
	}
	return r;
}

void relay_end(struct relay *r)
{
	struct association *a;

	if (r == NULL)
		return;
	relay_attempt_drop(r);
	a = atomic_exchange(&r->association, NULL);
	relay_forget(a);
	pool_give(&relays, r);
}

int relay_family_of(int fd)
{
	int family = AF_INET;
	socklen_t len = sizeof(family);

	if (sys_getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) < 0)
		return AF_INET;
	return family;
}

bool relay_address_equal(const union sockaddr_any *a, const union sockaddr_any *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->in.sin_port == b->in.sin_port &&
		       a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
	return a->in6.sin6_port == b->in6.sin6_port &&
	       memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(a->in6.sin6_addr)) == 0;
}

static bool is_bound(const union sockaddr_any *a)
{
	return (a->sa.sa_family == AF_INET ? a->in.sin_port : a->in6.sin6_port) != 0;
}

/* ::ffff:a.b.c.d needs a socket that may speak IPv4, which is decided before it is bound. */
static int allow_ipv4(int fd)
{
	int only = 0, off = 0, err;
	socklen_t len = sizeof(only);

	err = sys_getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &len);
	if (err < 0 || only == 0)
		return err;
	return sys_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
}

int relay_prepare(int fd, int family, bool to_ipv4, union sockaddr_any *ret)
{
	union sockaddr_any any = { .sa.sa_family = (sa_family_t)family };
	socklen_t len = sizeof(*ret);
	int err = 0;

	if (family == AF_INET6 && to_ipv4)
		err = allow_ipv4(fd);
	if (err == 0)
		err = sys_getsockname(fd, ret, &len);
	if (err < 0 || is_bound(ret))
		return err;
	/* Another thread may bind it meanwhile, which is as good. */
	err = sys_bind(fd, &any, relay_address_len(&any));
	if (err < 0 && err != -EINVAL)
		return err;
	len = sizeof(*ret);
	return sys_getsockname(fd, ret, &len);
}

/* Where the kernel's peer is to be until there is a relay: on the way to it, and nobody else. */
static int stand_in(const struct proxy *proxy, int family, union sockaddr_any *ret)
{
	struct target addresses[UPSTREAM_MAX];
	int count = upstream_addresses(proxy, addresses), len = -EAFNOSUPPORT;

	for (int i = 0; i < count && len < 0; i++)
		len = target_to_sockaddr(&addresses[i], family, ret);
	return len < 0 ? -ENETUNREACH : len;
}

void relay_unconnect(int fd)
{
	union sockaddr_any before, after;
	socklen_t len = sizeof(before);
	int err = sys_getsockname(fd, &before, &len);

	sys_disconnect(fd);
	len = sizeof(after);
	if (err < 0 || sys_getsockname(fd, &after, &len) < 0 || is_bound(&after))
		return;
	/* The kernel chose the port, and has taken it back; the relay knows us by it. */
	if (after.sa.sa_family == AF_INET)
		after.in.sin_port = before.in.sin_port;
	else
		after.in6.sin6_port = before.in6.sin6_port;
	(void)!sys_bind(fd, &after, relay_address_len(&after));
}

static int connect_kernel(int fd, struct relay *r, const struct route *route)
{
	const struct association *a = atomic_load(&r->association);
	int family = atomic_load(&r->family), len, err;
	union sockaddr_any to, own;

	/* Or the kernel would keep the address that it chose for the way to the last peer. */
	if (atomic_load(&r->mode) != RELAY_UNCONNECTED)
		relay_unconnect(fd);
	if (route->is_query) {
		err = relay_answerer(family, &to);
		if (err == 0)
			err = relay_prepare(fd, family, false, &own);
		return err < 0 ? err : sys_connect(fd, &to, relay_address_len(&to));
	}
	if (a != NULL && a->proxy == route->proxy && atomic_load(&a->control) != NULL)
		return sys_connect(fd, &a->address, a->address_len);
	len = stand_in(route->proxy, family, &to);
	if (len < 0)
		return len;
	err = relay_prepare(fd, family, to.sa.sa_family == AF_INET6 &&
			    IN6_IS_ADDR_V4MAPPED(&to.in6.sin6_addr), &own);
	return err < 0 ? err : sys_connect(fd, &to, (socklen_t)len);
}

static void set_target(struct relay *r, const struct route *route, const struct sockaddr *addr,
		       socklen_t len)
{
	int at = !atomic_load(&r->target_at);
	struct relay_target *t = &r->targets[at];

	t->route = *route;
	t->header_len = socks5_udp_header_put(t->header, &route->target);
	t->peer_len = sockaddr_keep(addr, len, &t->peer);
	atomic_store_explicit(&r->target_at, at, memory_order_release);
}

int relay_connect(int fd, const struct route *route, const struct sockaddr *addr, socklen_t len)
{
	struct conn *conn;
	struct relay *r = relay_get(fd, &conn);
	int err;

	if (r == NULL)
		return -ENOMEM;
	if (atomic_load(&r->family) == 0)
		atomic_store(&r->family, relay_family_of(fd));
	if (addr->sa_family == AF_INET6 && atomic_load(&r->family) == AF_INET)
		err = -EAFNOSUPPORT; /* as the kernel */
	else
		err = connect_kernel(fd, r, route);
	if (err == 0) {
		set_target(r, route, addr, len);
		atomic_store(&r->unbound, false);
		atomic_store(&r->mode, RELAY_CONNECTED);
		relay_note_name(r, &route->target, addr, len);
	}
	conn_unref(conn);
	return err;
}

void relay_disconnect(int fd)
{
	struct conn *conn;
	struct relay *r = relay_look_up(fd, &conn);

	if (r == NULL)
		return;
	relay_unconnect(fd);
	atomic_store(&r->mode, RELAY_UNCONNECTED);
	conn_unref(conn);
}

void relay_note_direct(int fd)
{
	struct conn *conn;
	struct relay *r = relay_look_up(fd, &conn);

	if (r == NULL)
		return;
	atomic_store(&r->mode, RELAY_DIRECT);
	conn_unref(conn);
}

bool relay_peer(int fd, union sockaddr_any *ret, socklen_t *ret_len)
{
	struct conn *conn;
	struct relay *r = relay_look_up(fd, &conn);
	bool connected;

	if (r == NULL)
		return false;
	connected = atomic_load(&r->mode) == RELAY_CONNECTED;
	*ret = relay_target(r)->peer;
	*ret_len = relay_target(r)->peer_len;
	conn_unref(conn);
	return connected;
}
