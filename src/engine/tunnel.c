/* SPDX-License-Identifier: ISC */
/* tunnel.c - connect(2) through a proxy: a handshake on the program's own socket. */
#include "socksify/tunnel.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>

#include "socksify/dns_stream.h"
#include "socksify/drive.h"
#include "socksify/epreg.h"
#include "socksify/fdtab.h"
#include "socksify/listener.h"
#include "socksify/own.h"
#include "socksify/replace.h"
#include "socksify/report.h"
#include "socksify/sys.h"
#include "socksify/upstream.h"

#define NS_PER_US 1000

/* An attempt to connect: what is known of the socket, and until when. */
struct attempt {
	int fd;
	bool known;		/* the marks of fd say how it was made */
	bool nonblocking;
	int64_t own_timeout;	/* SO_SNDTIMEO in ns, 0: none */
	int64_t start;
	int fresh;		/* the socket that is to stand in, replace.h; -1: none */
	bool interrupted;	/* the kernel's connect(2) came back before its end */
	struct handshake *hs;
};

static int set_send_timeout(int fd, int64_t ns)
{
	int64_t us = (ns + NS_PER_US - 1) / NS_PER_US;
	struct timeval tv = { us / 1000000, us % 1000000 };

	return sys_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

/* What the marks do not say, or not for sure; @err is passed through. */
static int check_flags(struct attempt *a, int err)
{
	int flags = sys_get_flags(a->fd);

	a->nonblocking = flags >= 0 && (flags & O_NONBLOCK) != 0;
	return err;
}

/*
 * The TCP leg.  The kernel's connect on a blocking socket ends early only for
 * SO_SNDTIMEO, and O_NONBLOCK is shared with every duplicate, so the former is
 * borrowed, unless there is no deadline of ours.
 */
static int connect_leg(struct conn *conn, struct attempt *a)
{
	int64_t left = a->hs->deadline - a->start;
	bool borrows = a->hs->deadline < ROUTE_NEVER;
	int err, restored = 0;

	if (a->nonblocking) {
		err = handshake_connect(a->hs, a->fd);
		return err == 0 ? check_flags(a, 0) : err;
	}
	if (a->own_timeout > 0 && a->own_timeout < left)
		left = a->own_timeout;
	err = borrows ? set_send_timeout(a->fd, left) : 0;
	if (err < 0)
		return err;
	err = handshake_connect(a->hs, a->fd);
	if (borrows)
		restored = set_send_timeout(a->fd, a->own_timeout);
	if (err == -EINPROGRESS || (err == 0 && !a->known))
		err = check_flags(a, err);
	a->hs->waits = !a->nonblocking;
	if (restored < 0)
		drive_abort(conn, a->fd);
	return err < 0 ? err : restored;
}

/* connect(2) tells the errno itself, so the socket is fresh again. */
static int take_failure(struct conn *conn, int fd)
{
	int error = atomic_exchange(&conn->error, 0);

	sys_disconnect(fd);
	(void)sys_get_int(fd, SOL_SOCKET, SO_ERROR); /* the kernel's substitute for it */
	conn_change_state(conn, CONN_FAILED, CONN_FRESH);
	return error != 0 ? -error : -ECONNABORTED;
}

/* Why the kernel's connect(2) to the proxy failed; told, as by connect(2) itself, the socket is fresh again. */
static int why_unreached(int fd)
{
	int error = sys_get_int(fd, SOL_SOCKET, SO_ERROR);

	sys_disconnect(fd);
	return error != 0 ? handshake_errno(-error) : -ECONNREFUSED;
}

/* The kernel's own connect(2) of a connected @fd again: 0 once, then -EISCONN. */
static int ask_again(const struct conn *conn, int fd)
{
	union sockaddr_any proxy = conn_proxy(conn);

	return sys_connect(fd, &proxy, sizeof(proxy));
}

/* What connect(2) returns for a handshake that has just ended. */
static int result_of(struct conn *conn, const struct attempt *a)
{
	switch (conn_state(conn)) {
	case CONN_CONNECTED:
	case CONN_OWED:
		/* The kernel's own result is still to be asked for; then it calls the next connect(2) EISCONN. */
		if (a->interrupted)
			(void)!ask_again(conn, a->fd);
		return 0;
	case CONN_FAILED:
		return take_failure(conn, a->fd);
	case CONN_FRESH:
	case CONN_PENDING:
	case CONN_ANSWERED:
	case CONN_RELAYED:
	case CONN_IDLE:
	case CONN_ARRIVED:
		break;
	}
	return why_unreached(a->fd);
}

/* Let a blocking socket's handshake come to its end, or to that of SO_SNDTIMEO. */
static int wait_blocking(struct conn *conn, const struct attempt *a)
{
	int64_t until = a->own_timeout > 0 ? a->start + a->own_timeout : INT64_MAX;
	int err = drive_wait(conn, a->fd, until);

	if (err == 0)
		return result_of(conn, a);
	if (err != -EAGAIN && err != -EINTR) {
		drive_abort(conn, a->fd);
		return handshake_errno(err);
	}
	/* The kernel answers the next connect(2) after an interrupted one with 0, once. */
	atomic_store(&conn->answers_once, true);
	return err == -EAGAIN ? -EINPROGRESS : err;
}

/* What connect(2) to the proxy failed with, in words. */
static const char *why_not(int err)
{
	switch (err) {
	case -ECONNREFUSED:
		return "the proxy refuses connections";
	case -EISCONN:
		return "the socket is connected already";
	default:
		return "the proxy cannot be reached";
	}
}

/*
 * A connect(2) that waits for nothing has no connection at once.  Where there is one, it is of an earlier
 * connect that we did not see, to whomever: not for a handshake.
 */
static bool was_connected_before(int fd)
{
	struct tcp_info tcp = { .tcpi_state = TCP_ESTABLISHED };
	socklen_t len = sizeof(tcp);

	(void)!sys_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &tcp, &len);
	/* A fast open has sent nothing yet, or a SYN. */
	return tcp.tcpi_state != TCP_CLOSE && tcp.tcpi_state != TCP_SYN_SENT;
}

static int go(struct conn *conn, struct attempt *a)
{
	int err = connect_leg(conn, a);

	a->interrupted = err == -EINTR || err == -EINPROGRESS;
	if (err == 0 && a->nonblocking && was_connected_before(a->fd))
		err = -EISCONN;
	switch (err) {
	case 0:
		if (!a->nonblocking)
			return wait_blocking(conn, a);
		/* A fast open: its SYN leaves with the greeting. */
		(void)drive_advance(conn, a->fd, 0);
		return -EINPROGRESS;
	case -EINPROGRESS:
		if (a->nonblocking)
			return -EINPROGRESS;
		if (a->own_timeout > 0 && sys_now_ns() >= a->start + a->own_timeout)
			return -EINPROGRESS;
		return wait_blocking(conn, a);
	case -EINTR:
		/* A timeout makes the kernel give SA_RESTART up (signal(7)). */
		if (a->own_timeout > 0 || sys_has_interrupting_handler())
			return -EINTR;
		return wait_blocking(conn, a);
	default:
		if (report_is_on())
			report_settled(conn, a->hs, why_not(err));
		drive_cancel(conn, a->fd);
		return handshake_errno(err);
	}
}

static const char *why_unprepared(int err)
{
	switch (err) {
	case -EHOSTUNREACH:
		return "the proxy's name is not known";
	case -EAFNOSUPPORT:
		return "the socket can speak to none of the proxy's addresses";
	case -EADDRNOTAVAIL:
		return "the socket is bound to an IPv4 address, and the proxy has only IPv6";
	default:
		return "the socket cannot be prepared";
	}
}

/* The attempt, with its handshake set up.  0 or -errno. */
static int prepare(struct attempt *a, const struct route *route, int family)
{
	struct target addresses[UPSTREAM_MAX];
	int count = upstream_addresses(route->proxy, addresses);
	unsigned marks = fdtab_marks(a->fd);
	int err;

	if (count < 0)
		return count;
	a->known = (marks & FD_TCP) != 0;
	a->nonblocking = a->known && (marks & FD_NONBLOCK) != 0;
	a->start = sys_now_ns();
	err = handshake_begin(a->hs, route, family, addresses, count,
			      route_deadline(a->start));
	if (err == -EAFNOSUPPORT && family == AF_INET) {
		a->fresh = replace_prepare(a->fd);
		err = a->fresh < 0 ? a->fresh
		      : handshake_begin(a->hs, route, AF_INET6, addresses, count,
					route_deadline(a->start));
	}
	a->hs->begun = a->start;
	return err < 0 || a->fresh >= 0 ? err : handshake_allow_ipv4(a->hs, a->fd, family);
}

static void look_at_options(struct attempt *a)
{
	if (a->known && (fdtab_marks(a->fd) & FD_OPTIONS) == 0)
		return;
	a->own_timeout = sys_timeout(a->fd, SO_SNDTIMEO);
	handshake_hide_options(a->hs, a->fd);
}

int tunnel_connect(int fd, const struct route *route,
		   const struct sockaddr *addr, socklen_t len)
{
	struct attempt a = { .fd = fd, .fresh = -1 };
	struct conn *conn;
	int err;

	if (route->is_query)
		return dns_stream_connect(fd, addr, len);
	conn = fdtab_get_or_new(fd);
	if (conn == NULL)
		return -ENOMEM;
	a.hs = handshake_new(drive_process());
	if (a.hs == NULL) {
		err = -ENOMEM;
		goto out;
	}
	err = prepare(&a, route, addr->sa_family);
	if (err < 0 && report_is_on())
		report_verdict(EVENT_FAILED, "tcp", &route->target, why_unprepared(err));
	if (err == 0 && !conn_change_state(conn, CONN_FRESH, CONN_PENDING))
		err = -EALREADY; /* another thread was faster */
	if (err < 0) {
		handshake_unref(a.hs);
		if (a.fresh >= 0)
			sys_close(a.fresh);
		goto out;
	}
	if (a.fresh >= 0)
		replace_stand_in(conn, fd, a.fresh);
	conn->peer_len = sockaddr_keep(addr, len, &conn->peer);
	look_at_options(&a);
	drive_begin(conn, fd, a.hs);
	epreg_hide(conn);
	err = go(conn, &a);
	drive_end(a.hs);
	if (conn_state(conn) == CONN_FRESH)
		replace_undo(conn, fd);
out:
	conn_unref(conn);
	return err;
}

bool tunnel_is_peer(const struct conn *conn, const struct sockaddr *addr, socklen_t len)
{
	const union sockaddr_any *peer = (const union sockaddr_any *)(const void *)addr;
	union sockaddr_any proxy = conn_proxy(conn);

	if (peer->sa.sa_family != proxy.sa.sa_family)
		return false;
	if (peer->sa.sa_family == AF_INET)
		return len >= sizeof(peer->in) && peer->in.sin_port == proxy.in.sin_port &&
		       peer->in.sin_addr.s_addr == proxy.in.sin_addr.s_addr;
	return len >= sizeof(peer->in6) && peer->in6.sin6_port == proxy.in6.sin6_port &&
	       memcmp(&peer->in6.sin6_addr, &proxy.in6.sin6_addr,
		      sizeof(peer->in6.sin6_addr)) == 0;
}

/* Is the proxy the peer of @fd?  -errno: nobody knows. */
static int ask_peer(const struct conn *conn, int fd)
{
	union sockaddr_any peer = conn_proxy(conn);
	socklen_t len = peer.sa.sa_family == AF_INET ? sizeof(peer.in) : sizeof(peer.in6);
	/* Unlike getpeername(2), it also tells the peer of a connection that has ended. */
	int err = sys_getsockopt(fd, SOL_SOCKET, SO_PEERNAME, &peer, &len);

	switch (err) {
	case 0:
		return tunnel_is_peer(conn, &peer.sa, len);
	case -ENOTCONN:
	case -EINVAL: /* its address is shorter */
	case -ENOTSOCK:
	case -EBADF:
		return 0;
	default:
		return err;
	}
}

bool tunnel_is_of(const struct conn *conn, int fd)
{
	return ask_peer(conn, fd) > 0;
}

/* connect(2) while the handshake is under way; 0 when it is over now. */
static int again_pending(struct conn *conn, int fd)
{
	int flags, err;
	int64_t timeout;

	if (drive_advance(conn, fd, HANDSHAKE_ASK) != CONN_PENDING)
		return 0;
	flags = sys_get_flags(fd);
	if (flags < 0 || (flags & O_NONBLOCK) != 0)
		return -EALREADY;
	timeout = sys_timeout(fd, SO_SNDTIMEO);
	err = drive_wait(conn, fd, timeout > 0 ? sys_now_ns() + timeout : INT64_MAX);
	return err == -EAGAIN ? -EALREADY : err;
}

/* connect(2) on a connected socket: the kernel's word, unless we owe a 0. */
static int again_connected(struct conn *conn, int fd)
{
	int err = ask_peer(conn, fd);

	if (err < 0)
		return err;
	if (err == 0) {
		fdtab_forget(fd); /* the number was reused behind our back */
		return TUNNEL_FRESH;
	}
	err = ask_again(conn, fd);
	return atomic_exchange(&conn->answers_once, false) && err == -EISCONN ? 0 : err;
}

static int again(struct conn *conn, int fd)
{
	if (conn_state(conn) == CONN_PENDING) {
		int err = again_pending(conn, fd);

		if (err < 0)
			return err;
		if (conn_state(conn) == CONN_FRESH)
			return why_unreached(fd);
	}
	switch (conn_state(conn)) {
	case CONN_CONNECTED:
	case CONN_OWED:
	case CONN_ANSWERED:
		return again_connected(conn, fd);
	case CONN_FAILED:
		if (atomic_load(&conn->shut))
			return -EINVAL;
		if (!atomic_exchange(&conn->disconnected, false))
			return take_failure(conn, fd);
		(void)take_failure(conn, fd);
		break;
	case CONN_FRESH:
	case CONN_PENDING:
	case CONN_RELAYED:
	case CONN_IDLE:
	case CONN_ARRIVED:
		break;
	}
	return TUNNEL_FRESH;
}

/* The program's own socket comes back; what the other one still had to tell, connect(2) tells. */
static int give_back(struct conn *conn, int fd, int result)
{
	int error = result == TUNNEL_FRESH ? sys_get_int(fd, SOL_SOCKET, SO_ERROR) : 0;

	sys_disconnect(fd);
	replace_undo(conn, fd);
	return error != 0 ? handshake_errno(-error) : result;
}

int tunnel_again(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct conn *conn = fdtab_get(fd);
	int result;

	if (conn == NULL)
		return TUNNEL_FRESH;
	if (listener_of(conn) != NULL && addr != NULL && len >= sizeof(addr->sa_family)) {
		result = listener_connect(conn, fd, addr->sa_family);
		if (result == 0 && addr->sa_family != AF_UNSPEC)
			result = TUNNEL_FRESH;
	} else if (addr == NULL || len < sizeof(addr->sa_family)) {
		result = TUNNEL_FRESH; /* the kernel says EFAULT or EINVAL */
	} else if (addr->sa_family == AF_UNSPEC) {
		result = sys_connect(fd, addr, len);
		drive_cancel(conn, fd);
		fdtab_reopen(fd);
		atomic_store(&conn->shut, false);
		/* An error that was not told yet stays. */
		if (conn_change_state(conn, CONN_ANSWERED, CONN_FRESH))
			own_close(atomic_exchange(&conn->own, NULL));
		else if (conn_state(conn) == CONN_FAILED && atomic_load(&conn->error) != 0)
			atomic_store(&conn->disconnected, true);
		else if (!conn_change_state(conn, CONN_CONNECTED, CONN_FRESH))
			conn_change_state(conn, CONN_FAILED, CONN_FRESH);
	} else {
		result = again(conn, fd);
	}
	if (conn_state(conn) == CONN_FRESH && atomic_load(&conn->replaced))
		result = give_back(conn, fd, result);
	conn_unref(conn);
	return result;
}
