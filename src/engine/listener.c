/* SPDX-License-Identifier: ISC */
/* listener.c - listen(2) by way of a proxy: BIND (RFC 1928 section 4). */
#include "socksify/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "listener_socket.h"
#include "socksify/drive.h"
#include "socksify/epreg.h"
#include "socksify/fdtab.h"
#include "socksify/lock.h"
#include "socksify/log.h"
#include "socksify/namepool.h"
#include "socksify/pool.h"
#include "socksify/replace.h"
#include "socksify/sys.h"

#define LISTENERS_MAX (1u << 14)

/* A proxy that has just refused is not asked again so soon, unless by accept(2). */
#define PAUSE_NS INT64_C(1000000000)

/* The port of the peer before may be taken for a while: the proxy is asked again, so often at most. */
#define BUSY_PAUSE_NS INT64_C(100000000)
#define BUSY_MAX 100

POOL(listeners, struct listener, 8u, LISTENERS_MAX, false);

struct listener *listener_of(const struct conn *conn)
{
	struct listener *l = atomic_load(&conn->listener);

	return l != NULL && !atomic_load(&l->stopped) ? l : NULL;
}

bool listener_has(int fd)
{
	struct conn *conn = fdtab_get(fd);
	bool has = conn != NULL && listener_of(conn) != NULL;

	if (conn != NULL)
		conn_unref(conn);
	return has;
}

bool listener_accepts(int fd)
{
	struct conn *conn = fdtab_get(fd);
	struct listener *l = conn != NULL ? listener_of(conn) : NULL;
	bool accepts = l != NULL && atomic_load(&l->listens);

	if (conn != NULL)
		conn_unref(conn);
	return accepts;
}

struct handshake *listener_handshake(const struct conn *conn)
{
	struct listener *l = atomic_load(&conn->listener);

	return l != NULL ? atomic_load(&l->arrived) : NULL;
}

static void drop_arrived(struct listener *l)
{
	struct handshake *hs = atomic_exchange(&l->arrived, NULL);

	if (hs != NULL)
		handshake_unref(hs);
}

void listener_release(struct conn *conn)
{
	struct listener *l = atomic_exchange(&conn->listener, NULL);

	if (l == NULL)
		return;
	drop_arrived(l);
	pool_give(&listeners, l);
}

struct listener *listener_take(void)
{
	struct listener *l = pool_take(&listeners);

	if (l == NULL)
		return NULL;
	atomic_store(&l->stopped, true);
	atomic_store(&l->listens, false);
	atomic_store(&l->arrived, NULL);
	atomic_store(&l->not_before, 0);
	l->error = 0;
	return l;
}

void listener_give(struct listener *l)
{
	pool_give(&listeners, l);
}

static void log_listener(const struct listener *l, const char *what, const char *why)
{
	char proxy[TARGET_TEXT_SIZE];

	log_line(LOG_LEVEL_CONNECTION, what, " via ", target_text(&l->proxy->address, proxy),
		 why != NULL ? ": " : NULL, why, NULL);
}

/* The functions down to listener_look() that say so run under the engine's lock. */

/* Locked.  Another socket takes the place of the one that is no longer the listener's. */
static void renew(struct conn *conn, struct listener *l, int fd, int fresh)
{
	(void)replace_copy_options(fd, fresh);
	drop_arrived(l);
	l->error = 0;
	conn_set_state(conn, CONN_IDLE);
	listener_put_socket(conn, fd, fresh);
}

/* Locked.  The same, with a socket made for it. */
static int renew_now(struct conn *conn, struct listener *l, int fd)
{
	int fresh = listener_socket(l);

	if (fresh < 0)
		return fresh;
	renew(conn, l, fd, fresh);
	return 0;
}

/* Locked.  Ask for the next peer, without waiting. */
static int arm(struct conn *conn, struct listener *l, int fd)
{
	struct handshake *hs = handshake_new(drive_process());
	int err, flags;

	if (hs == NULL)
		return -ENOMEM;
	err = listener_begin(l, hs);
	if (err < 0) {
		handshake_unref(hs);
		return err;
	}
	conn_set_state(conn, CONN_PENDING);
	drive_begin(conn, fd, hs);
	atomic_store(&conn->seen, true);
	epreg_hide(conn);
	flags = sys_get_flags(fd);
	if (flags >= 0 && (flags & O_NONBLOCK) == 0)
		(void)!sys_set_flags(fd, flags | O_NONBLOCK);
	err = handshake_connect(hs, fd);
	if (flags >= 0 && (flags & O_NONBLOCK) == 0)
		(void)!sys_set_flags(fd, flags);
	if (err < 0 && err != -EINPROGRESS && err != -EINTR && handshake_phase(hs) < HANDSHAKE_DONE)
		handshake_fail(hs, -handshake_errno(err), "the proxy cannot be reached");
	drive_end(hs);
	(void)drive_advance(conn, fd, HANDSHAKE_ASK);
	return 0;
}

int listener_arm(struct conn *conn, int fd)
{
	struct listener *l;
	sigset_t mask;
	int err = 0;

	lock_engine(&mask);
	l = listener_of(conn);
	if (l != NULL && conn_state(conn) == CONN_IDLE)
		err = arm(conn, l, fd);
	unlock_engine(&mask);
	return err;
}

/* Did another process that shares the listening socket take the peer's connection? */
static bool is_gone(const struct listener *l)
{
	const struct handshake *hs = atomic_load(&l->arrived);

	return hs != NULL && (!handshake_is_current(hs) || handshake_phase(hs) == HANDSHAKE_TAKEN);
}

int64_t listener_look(struct conn *conn, int fd)
{
	struct listener *l = listener_of(conn);
	int64_t not_before;
	sigset_t mask;

	if (l == NULL)
		return INT64_MAX;
	if (conn_state(conn) == CONN_ARRIVED && is_gone(l)) {
		lock_engine(&mask);
		if (conn_state(conn) == CONN_ARRIVED && is_gone(l))
			(void)!renew_now(conn, l, fd);
		unlock_engine(&mask);
	}
	if (conn_state(conn) != CONN_IDLE || !atomic_load(&l->listens))
		return INT64_MAX;
	not_before = atomic_load(&l->not_before);
	if (sys_now_ns() < not_before)
		return not_before;
	if (listener_arm(conn, fd) == 0)
		return INT64_MAX;
	atomic_store(&l->not_before, sys_now_ns() + PAUSE_NS);
	return sys_now_ns() + PAUSE_NS;
}

/* Locked.  @error is for accept(2) to tell; the end of file makes the socket readable for whoever waits. */
static void show_failure(struct conn *conn, struct listener *l, int fd, int error)
{
	l->error = error;
	atomic_store(&l->not_before, sys_now_ns() + PAUSE_NS);
	(void)!sys_shutdown(fd, SHUT_RD);
	conn_set_state(conn, CONN_ARRIVED);
}

static int error_of(const struct handshake *hs, int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (handshake_phase(hs) == HANDSHAKE_REFUSED)
		return hs->error;
	(void)!sys_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return error != 0 ? -handshake_errno(-error) : ECONNREFUSED;
}

static bool is_busy(const struct listener *l, const struct handshake *hs)
{
	return !hs->listening && l->wish != 0 && handshake_phase(hs) == HANDSHAKE_REFUSED &&
	       hs->error == EADDRINUSE && l->busy < BUSY_MAX;
}

/* Locked. */
static void settle(struct conn *conn, struct listener *l, struct handshake *hs, int fd)
{
	int err;

	if (!handshake_is_current(hs) || handshake_phase(hs) == HANDSHAKE_TAKEN) {
		err = renew_now(conn, l, fd);
		if (err < 0)
			show_failure(conn, l, fd, -err);
	} else if (handshake_phase(hs) == HANDSHAKE_DONE) {
		(void)!handshake_ref(hs);
		atomic_store(&l->arrived, hs);
		l->busy = 0;
		conn_set_state(conn, CONN_ARRIVED);
	} else if (is_busy(l, hs) && renew_now(conn, l, fd) == 0) {
		l->busy++;
		atomic_store(&l->not_before, sys_now_ns() + BUSY_PAUSE_NS);
	} else {
		show_failure(conn, l, fd, error_of(hs, fd));
		log_listener(l, "the peer did not come", hs->s.reason);
	}
	epreg_hide(conn);
}

void listener_settle(struct conn *conn, struct handshake *hs, int fd)
{
	struct listener *l;
	sigset_t mask;

	lock_engine(&mask);
	l = listener_of(conn);
	if (l != NULL && handshake_ref(hs)) {
		if (drive_retire(conn, hs))
			settle(conn, l, hs, fd);
		handshake_unref(hs);
	}
	unlock_engine(&mask);
}

static void log_peer(const struct listener *l, const struct target *peer)
{
	char text[TARGET_TEXT_SIZE], proxy[TARGET_TEXT_SIZE];

	log_line(LOG_LEVEL_CONNECTION, target_text(peer, text), " came via ",
		 target_text(&l->proxy->address, proxy), NULL);
}

/* The peer that the second reply names, for a socket of the program's family. */
static socklen_t peer_of(const struct listener *l, const struct handshake *hs,
			 union sockaddr_any *ret)
{
	const struct target *bnd = socks5_bound(&hs->s);
	struct target peer = *bnd;
	int len = -EAFNOSUPPORT;

	if (peer.kind == TARGET_NAME &&
	    namepool_address(bnd->name, bnd->name_len, l->family, &peer) == 0)
		peer.port = bnd->port;
	if (peer.kind == TARGET_IPV4 || peer.kind == TARGET_IPV6)
		len = target_to_sockaddr(&peer, l->family, ret);
	if (len < 0) { /* there is one, and its address cannot be told */
		struct target any = { .kind = l->family == AF_INET ? TARGET_IPV4 : TARGET_IPV6,
				      .port = bnd->port };

		len = target_to_sockaddr(&any, l->family, ret);
	}
	return (socklen_t)len;
}

/* What take_connection() needs, made before the peer's connection is touched. */
struct parts {
	int connection;		/* the program's new number for it */
	int fresh;		/* the socket that takes its place */
	struct conn *conn;	/* what is known of the connection */
};

static int make_parts(const struct listener *l, int fd, struct parts *ret)
{
	struct parts p = { .connection = sys_dup(fd, 0), .fresh = -1, .conn = NULL };

	if (p.connection < 0)
		return p.connection;
	p.fresh = listener_socket(l);
	if (p.fresh < 0) {
		sys_close(p.connection);
		return p.fresh;
	}
	p.conn = conn_new();
	if (p.conn == NULL) {
		sys_close(p.connection);
		sys_close(p.fresh);
		return -ENOMEM;
	}
	*ret = p;
	return 0;
}

static void describe(struct conn *conn, const struct conn *listening, const struct handshake *hs,
		     const struct parts *p)
{
	conn_set_proxy(conn, &hs->addresses[hs->address_at]);
	conn->local = listening->local;
	conn->local_len = listening->local_len;
	conn_set_state(conn, CONN_CONNECTED);
	fdtab_put(p->connection, conn);
}

/* Locked.  There was nothing to take: 0, or why it could not be. */
static int drop_parts(struct conn *conn, struct listener *l, int fd, const struct parts *p, int err)
{
	bool may_come_right = err == -EAGAIN || err == -EINTR || err == -ENOMEM || err == -ENOBUFS;

	sys_close(p->connection);
	conn_unref(p->conn);
	if (may_come_right) {
		sys_close(p->fresh);
		return err;
	}
	renew(conn, l, fd, p->fresh);
	return err == 0 ? -EAGAIN : -ECONNABORTED; /* the peer has gone again */
}

/* Locked.  -EAGAIN: there is nothing to take any more. */
static int take_connection(struct conn *conn, struct listener *l, int fd, int flags,
			   union sockaddr_any *ret, socklen_t *ret_len)
{
	struct handshake *hs = atomic_load(&l->arrived);
	struct parts p;
	int err = make_parts(l, fd, &p);

	if (err < 0)
		return err;
	err = handshake_take(hs, p.connection);
	if (err <= 0)
		return drop_parts(conn, l, fd, &p, err);
	listener_refresh_name(conn, l, hs);
	*ret_len = peer_of(l, hs, ret);
	p.conn->peer = *ret;
	p.conn->peer_len = *ret_len;
	log_peer(l, socks5_bound(&hs->s));
	describe(p.conn, conn, hs, &p);
	renew(conn, l, fd, p.fresh);
	(void)!sys_set_flags(p.connection, (flags & SOCK_NONBLOCK) != 0 ? O_NONBLOCK : 0);
	if ((flags & SOCK_CLOEXEC) == 0)
		(void)!sys_set_cloexec(p.connection, false);
	/* Whoever waits by epoll_wait(2) does not say that it waits for the next one. */
	if (epreg_has(conn))
		(void)!arm(conn, l, fd);
	return p.connection;
}

int listener_take_peer(struct conn *conn, int fd, int flags, union sockaddr_any *ret,
		socklen_t *ret_len)
{
	struct listener *l;
	sigset_t mask;
	int result = -EAGAIN, error;

	lock_engine(&mask);
	l = listener_of(conn);
	if (l != NULL && conn_state(conn) == CONN_ARRIVED) {
		error = l->error;
		if (error == 0 && atomic_load(&l->arrived) != NULL && !is_gone(l))
			result = take_connection(conn, l, fd, flags, ret, ret_len);
		else
			result = renew_now(conn, l, fd);
		if (error != 0)
			result = -error;
		else if (result == 0)
			result = -EAGAIN;
	}
	unlock_engine(&mask);
	return result;
}

/* Locked.  No peer is asked for any more. */
static void give_up(struct conn *conn, struct listener *l)
{
	struct handshake *hs = drive_hold(conn);

	if (hs != NULL)
		(void)!drive_retire(conn, hs);
	drive_end(hs);
	drop_arrived(l);
	atomic_store(&l->stopped, true);
	atomic_store(&l->listens, false);
}

void listener_stop(struct conn *conn, int fd)
{
	struct listener *l;
	sigset_t mask;

	lock_engine(&mask);
	l = listener_of(conn);
	if (l != NULL) {
		give_up(conn, l);
		conn_set_state(conn, CONN_FRESH);
		(void)!sys_shutdown(fd, SHUT_RDWR);
		epreg_show(conn, false);
	}
	unlock_engine(&mask);
}

static void reopen(int fd, void *arg)
{
	(void)arg;
	fdtab_reopen(fd);
}

int listener_connect(struct conn *conn, int fd, int family)
{
	struct listener *l;
	sigset_t mask;
	int fresh = 0;

	lock_engine(&mask);
	l = listener_of(conn);
	if (l != NULL && atomic_load(&l->listens) && family != AF_UNSPEC)
		fresh = -EISCONN;
	else if (l != NULL)
		fresh = listener_socket(l);
	if (l != NULL && fresh >= 0) {
		give_up(conn, l);
		renew(conn, l, fd, fresh);
		conn_set_state(conn, CONN_FRESH);
		epreg_show(conn, false);
		fdtab_each_number(conn, reopen, NULL);
		atomic_store(&conn->bound_port, -1);
		atomic_store(&conn->bound_afar, false);
	}
	unlock_engine(&mask);
	return fresh < 0 ? fresh : 0;
}
