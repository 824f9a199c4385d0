/* SPDX-License-Identifier: ISC */
/* listener_ask.c - which sockets listen by way of a proxy, and the first request for them. */
#include <errno.h>
#include <string.h>

#include "listener_socket.h"
#include "socksify/drive.h"
#include "socksify/epreg.h"
#include "socksify/fdtab.h"
#include "socksify/gate.h"
#include "socksify/lock.h"
#include "socksify/log.h"
#include "socksify/outside.h"
#include "socksify/replace.h"
#include "socksify/sys.h"
#include "socksify/tunnel.h"

_Atomic bool listener_enabled;

void listener_setup(void)
{
	const struct config *c = route_config();

	/* Without one nobody knows who should listen. */
	atomic_store(&listener_enabled, c == NULL || c->bind_count > 0);
}

static bool is_wildcard(const struct target *t)
{
	static const uint8_t zeros[sizeof(t->ip)];

	return (t->kind == TARGET_IPV4 && memcmp(t->ip, zeros, 4) == 0) ||
	       (t->kind == TARGET_IPV6 && memcmp(t->ip, zeros, 16) == 0);
}

/*
 * The proxy that is to listen instead of a socket with this address; NULL: none.
 * Not one for this machine alone, nor one for a certain network of it.
 */
static const struct proxy *proxy_of(const struct target *local)
{
	if (route_config() == NULL ||
	    (!is_wildcard(local) && (target_is_loopback(local) || !outside_has(local))))
		return NULL;
	return config_bind(route_config(), local);
}

void listener_note_connected(struct conn *conn, const struct handshake *hs, int fd)
{
	const union sockaddr_any *proxy = &hs->addresses[hs->address_at];
	struct outside o = { .proxy = hs->proxy, .peer = hs->s.dst, .bound = *socks5_bound(&hs->s) };
	union sockaddr_any local;
	socklen_t len = sizeof(local);
	struct target t;
	int told;

	conn->local_len = 0;
	if (o.bound.kind == TARGET_NONE || o.bound.kind == TARGET_NAME || is_wildcard(&o.bound)) {
		if (target_from_sockaddr(&proxy->sa, sizeof(*proxy), &t) < 0)
			return;
		t.port = o.bound.port;
		o.bound = t;
	}
	if (sys_getsockname(fd, &local, &len) < 0 || target_from_sockaddr(&local.sa, len, &o.local) < 0)
		return;
	outside_note(&o);
	told = target_is_loopback(&o.bound) ? -1
	       : target_to_sockaddr(&o.bound, atomic_load(&conn->replaced) ? AF_INET
						: local.sa.sa_family, &conn->local);
	conn->local_len = told < 0 ? 0 : (socklen_t)told;
}

static void note_bind(struct conn *conn, const struct target *t, const struct sockaddr *addr,
		      socklen_t len, bool afar)
{
	atomic_store(&conn->bound_afar, afar);
	atomic_store(&conn->bound_port, t->port);
	if (!afar)
		return;
	conn->local_len = addr->sa_family == AF_INET ? sizeof(conn->local.in)
						     : sizeof(conn->local.in6);
	if (conn->local_len > len)
		conn->local_len = len;
	memcpy(&conn->local, addr, conn->local_len);
}

/* The socket's connection, if it is not connected and @addr is of its kind; else NULL. */
static struct conn *conn_to_bind(int fd, const struct sockaddr *addr, socklen_t len,
				 struct target *ret)
{
	struct conn *conn;

	if (addr == NULL || target_from_sockaddr(addr, len, ret) < 0 || route_is_tcp(fd) <= 0)
		return NULL;
	conn = fdtab_get_or_new(fd);
	if (conn == NULL || conn_state(conn) == CONN_FRESH)
		return conn;
	conn_unref(conn);
	return NULL;
}

int listener_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct conn *conn;
	struct target t;
	int result = LISTENER_KERNEL;

	if (addr == NULL || target_from_sockaddr(addr, len, &t) < 0 || target_is_loopback(&t) ||
	    !outside_is_bound(&t))
		return LISTENER_KERNEL;
	conn = conn_to_bind(fd, addr, len, &t);
	if (conn == NULL)
		return LISTENER_KERNEL;
	if (proxy_of(&t) != NULL) {
		result = atomic_load(&conn->bound_port) >= 0 ? -EINVAL : LISTENER_DONE;
		if (result == LISTENER_DONE)
			note_bind(conn, &t, addr, len, true);
	}
	conn_unref(conn);
	return result;
}

void listener_note_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct target t;
	struct conn *conn = conn_to_bind(fd, addr, len, &t);

	if (conn == NULL)
		return;
	note_bind(conn, &t, addr, len, false);
	conn_unref(conn);
}

/* Where the program thinks that @fd is bound; the port is 0 if any will do. */
static int asked_name(const struct conn *conn, int fd, struct target *ret, int *ret_family)
{
	union sockaddr_any local = { .sa.sa_family = AF_UNSPEC };
	socklen_t len = sizeof(local);
	int err = sys_getsockname(fd, &local, &len);
	int port = conn != NULL ? atomic_load(&conn->bound_port) : -1;

	if (err < 0)
		return err;
	*ret_family = local.sa.sa_family;
	if (conn != NULL && atomic_load(&conn->bound_afar)) {
		local = conn->local;
		len = conn->local_len;
	}
	err = target_from_sockaddr(&local.sa, len, ret);
	if (err == 0 && port >= 0)
		ret->port = (uint16_t)port;
	return err;
}

/*
 * DST of the request.  RFC 1928 wants the peer that is expected: that of the
 * connection made before.  A port of one's own choice can be had of those
 * servers only that take DST for where to listen, when its address is zero.
 */
static struct target request_for(const struct listener *l, int fd)
{
	struct target peer, dst = { .kind = TARGET_IPV4, .port = l->wish };
	bool known = outside_last_peer(l->proxy, &peer);

	if (l->wish == 0 && known) {
		peer.port = 0;
		return peer;
	}
	if ((known && peer.kind == TARGET_IPV6 && l->family == AF_INET6) ||
	    (l->family == AF_INET6 && sys_get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY) != 0))
		dst.kind = TARGET_IPV6;
	return dst;
}

/* Until the first reply.  0 or -errno. */
static int converse(struct handshake *hs, int fd)
{
	int err = handshake_connect(hs, fd), n = 0;
	struct pollfd p = { .fd = fd };

	if (err < 0 && err != -EINPROGRESS && err != -EINTR)
		return handshake_errno(err);
	for (;;) {
		enum handshake_phase phase = handshake_step(hs, fd, n > 0 ? p.revents : 0);
		int64_t now = sys_now_ns();

		if (hs->listening)
			return 0;
		if (phase == HANDSHAKE_REFUSED)
			return -hs->error;
		if (phase >= HANDSHAKE_DONE) {
			err = sys_get_int(fd, SOL_SOCKET, SO_ERROR);
			return err != 0 ? handshake_errno(-err) : -ECONNREFUSED;
		}
		p.events = handshake_events(hs);
		n = sys_poll(&p, 1, hs->deadline > now ? hs->deadline - now : 0, NULL);
		if (n < 0 && n != -EINTR)
			return n;
	}
}

static int start(const struct listener *l, struct handshake *hs, int fd)
{
	union sockaddr_any name;
	int err = listener_begin(l, hs);

	if (err == 0)
		err = converse(hs, fd);
	if (err == 0 && target_to_sockaddr(&hs->bound, l->family, &name) < 0)
		err = -EADDRNOTAVAIL;
	return err;
}

static void log_start(const struct listener *l, const struct handshake *hs, int err)
{
	char name[TARGET_TEXT_SIZE], proxy[TARGET_TEXT_SIZE];

	target_text(&l->proxy->address, proxy);
	if (err == 0)
		log_line(LOG_LEVEL_CONNECTION, "listening on ", target_text(&hs->bound, name),
			 " via ", proxy, NULL);
	else
		log_line(LOG_LEVEL_CONNECTION, "listening via ", proxy, " failed: ",
			 hs->s.reason != NULL ? hs->s.reason : strerrordesc_np(-err), NULL);
}

/* Locked.  The proxy listens: @fresh becomes the program's socket. */
static int become(struct conn *conn, struct listener *l, int fd, int fresh, struct handshake *hs)
{
	if (!conn_change_state(conn, CONN_FRESH, CONN_PENDING))
		return -EINVAL; /* another thread connects it */
	(void)replace_copy_options(fd, fresh);
	listener_refresh_name(conn, l, hs);
	atomic_store(&conn->listener, l);
	atomic_store(&l->stopped, false);
	listener_put_socket(conn, fd, fresh);
	(void)!handshake_ref(hs);
	drive_begin(conn, fd, hs);
	drive_end(hs);
	atomic_store(&conn->seen, true);
	return 0;
}

static int ask_proxy(struct conn *conn, struct listener *l, int fd)
{
	struct handshake *hs = handshake_new(drive_process());
	int fresh, err;
	sigset_t mask;

	if (hs == NULL)
		return -ENOMEM;
	fresh = listener_socket(l);
	err = fresh < 0 ? fresh : start(l, hs, fresh);
	if (fresh >= 0)
		log_start(l, hs, err);
	if (err == 0) {
		lock_engine(&mask);
		err = become(conn, l, fd, fresh, hs);
		unlock_engine(&mask);
	}
	if (err < 0 && fresh >= 0)
		sys_close(fresh);
	handshake_unref(hs);
	return err;
}

/* The listener that @conn had before, or a new one. */
static int ask(struct conn *conn, int fd, const struct proxy *proxy, uint16_t wish, int family)
{
	struct listener *old = atomic_load(&conn->listener);
	struct listener *l = old != NULL ? old : listener_take();
	int err;

	if (l == NULL)
		return -ENOMEM;
	l->proxy = proxy;
	l->family = family;
	l->wish = wish;
	l->dst = request_for(l, fd);
	l->error = 0;
	l->busy = 0;
	atomic_store(&l->not_before, 0);
	l->address_count = upstream_addresses(proxy, l->addresses);
	err = l->address_count < 0 ? l->address_count : ask_proxy(conn, l, fd);
	if (err < 0 && old == NULL)
		listener_give(l);
	return err;
}

/* Ask the proxy for a socket that a rule names.  LISTENER_KERNEL: none does. */
static int ask_if_named(struct conn *conn, int fd)
{
	const struct proxy *proxy;
	struct target local;
	int family, err = asked_name(conn, fd, &local, &family);

	if (err < 0)
		return err;
	proxy = proxy_of(&local);
	if (proxy == NULL)
		return LISTENER_KERNEL;
	err = ask(conn, fd, proxy, local.port, family);
	return err < 0 ? err : LISTENER_DONE;
}

int listener_listen(int fd)
{
	int result = route_is_tcp(fd);
	struct listener *l;
	struct conn *conn;

	if (result > 0 && route_check() < 0)
		return -ENETDOWN;
	if (result < 0)
		return result;
	/* One that listens already, on this machine, goes on to do so. */
	if (result == 0 || sys_get_int(fd, SOL_SOCKET, SO_ACCEPTCONN) != 0)
		return LISTENER_KERNEL;
	conn = fdtab_get_or_new(fd);
	if (conn == NULL)
		return -ENOMEM;
	l = listener_of(conn);
	result = LISTENER_KERNEL;
	if (l == NULL && conn_state(conn) == CONN_FRESH)
		result = ask_if_named(conn, fd);
	if (l != NULL || result == LISTENER_DONE) {
		l = listener_of(conn);
		if (l != NULL)
			atomic_store(&l->listens, true);
		result = LISTENER_DONE;
	}
	conn_unref(conn);
	return result;
}

/* bind(2) left the port open, and the program wants to know it: so it must be the proxy's. */
static bool name_bound(struct conn *conn, int fd)
{
	int port = atomic_load(&conn->bound_port);

	if (port == 0)
		(void)!ask_if_named(conn, fd);
	return (port == 0 && listener_of(conn) != NULL) || atomic_load(&conn->bound_afar);
}

/* The next peer was asked for, and the proxy may listen on another port from now on. */
static void refresh_name(struct conn *conn, int fd)
{
	struct handshake *hs;
	struct listener *l;
	sigset_t mask;

	(void)!listener_arm(conn, fd);
	hs = drive_hold(conn);
	while (hs != NULL && !hs->listening && conn_state(conn) == CONN_PENDING)
		(void)!drive_wait(conn, fd, sys_now_ns() + DRIVE_SLICE_NS);

	lock_engine(&mask);
	l = listener_of(conn);
	if (l != NULL && hs != NULL)
		listener_refresh_name(conn, l, hs);
	unlock_engine(&mask);
	drive_end(hs);
}

static bool has_name(struct conn *conn, int fd)
{
	if (listener_of(conn) != NULL) {
		refresh_name(conn, fd);
		return true;
	}
	if (conn_state(conn) == CONN_OWED)
		(void)!drive_wait(conn, fd, INT64_MAX); /* the answer has the address */
	if (conn_state(conn) == CONN_CONNECTED)
		return conn->local_len != 0 && tunnel_is_of(conn, fd);
	return conn_state(conn) == CONN_FRESH && atomic_load(&conn->bound_port) >= 0 &&
	       name_bound(conn, fd);
}

bool listener_name(int fd, union sockaddr_any *ret, socklen_t *ret_len)
{
	struct conn *conn = fdtab_get(fd);
	bool ours;

	if (conn == NULL)
		return false;
	ours = has_name(conn, fd);
	if (ours) {
		*ret = conn->local;
		*ret_len = conn->local_len;
	}
	conn_unref(conn);
	return ours;
}
