/* SPDX-License-Identifier: ISC */
/* tunnel.c - a SOCKS handshake on the program's own socket. */
#include "socksify/tunnel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "socksify/fdtab.h"
#include "socksify/log.h"
#include "socksify/sys.h"

#define PROXY_ADDRESS_MAX 8

static struct target handed_down[PROXY_ADDRESS_MAX];
static int handed_down_count;

void tunnel_set_proxy_address(const char *list)
{
	handed_down_count = 0;
	while (list != NULL && *list != '\0' && handed_down_count < PROXY_ADDRESS_MAX) {
		size_t n = strcspn(list, ",");
		struct target *t = &handed_down[handed_down_count];

		if (target_from_host(list, n, 0, t) == 0 && t->kind != TARGET_NAME)
			handed_down_count++;
		list += n + (list[n] == ',');
	}
}

/* The addresses of @proxy; their number or -errno. */
static int proxy_addresses(const struct proxy *proxy, struct target ret[PROXY_ADDRESS_MAX])
{
	if (proxy->address.kind != TARGET_NAME) {
		ret[0] = proxy->address;
		return 1;
	}
	if (proxy == route_config()->proxies && handed_down_count > 0) {
		for (int i = 0; i < handed_down_count; i++) {
			ret[i] = handed_down[i];
			ret[i].port = proxy->address.port;
		}
		return handed_down_count;
	}
	return sys_resolve(proxy->address.name, proxy->address.port, ret, PROXY_ADDRESS_MAX);
}

/* Wait for @events until @deadline. */
static int wait_for(int fd, short events, int64_t deadline)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = events };
		int64_t left = deadline - sys_now_ms();
		int n;

		if (left <= 0)
			return -ETIMEDOUT;
		n = sys_poll(&p, 1, left);
		if (n > 0)
			return 0;
		if (n < 0 && (n != -EINTR || sys_has_interrupting_handler()))
			return n;
	}
}

/* SO_SNDTIMEO in milliseconds, 0 for none. */
static int64_t send_timeout(int fd)
{
	struct timeval tv = { 0, 0 };
	socklen_t len = sizeof(tv);

	if (sys_getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, &len) < 0)
		return 0;
	return (int64_t)tv.tv_sec * 1000 + tv.tv_usec / 1000;
}

static int set_send_timeout(int fd, int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	return sys_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

/*
 * The kernel's connect on a blocking socket ends early only for SO_SNDTIMEO,
 * and O_NONBLOCK is shared with every duplicate, so the former is borrowed.
 */
static int connect_leg(int fd, const union sockaddr_any *to, socklen_t len,
		       int64_t deadline, int64_t own_timeout)
{
	int64_t left = deadline - sys_now_ms();
	int err, restored;

	if (left <= 0)
		return -ETIMEDOUT;
	err = set_send_timeout(fd, left);
	if (err < 0)
		return err;
	err = sys_connect(fd, to, len);
	restored = set_send_timeout(fd, own_timeout);
	if (err == -EINPROGRESS || err == -EINTR) {
		if (err == -EINTR && sys_has_interrupting_handler())
			return err;
		err = wait_for(fd, POLLOUT, deadline);
		/* Asked again the kernel tells the result, and calls the next one EISCONN. */
		if (err == 0)
			err = sys_connect(fd, to, len);
	}
	return err < 0 ? err : restored;
}

static bool is_hidden_v6only(int fd, int family)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return family == AF_INET6 &&
	       sys_getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value, &len) == 0 && value != 0;
}

/* Connect to the proxy's addresses in turn. */
static int connect_proxy(int fd, int family, const struct proxy *proxy,
			 int64_t deadline, int64_t own_timeout)
{
	struct target addresses[PROXY_ADDRESS_MAX];
	int count = proxy_addresses(proxy, addresses), err = -EHOSTUNREACH;

	if (count < 0)
		return count;
	for (int i = 0; i < count; i++) {
		union sockaddr_any to;
		int n = target_to_sockaddr(&addresses[i], family, &to), off = 0;

		err = n;
		if (n < 0)
			continue;
		/* ::ffff:a.b.c.d needs a socket that may speak IPv4. */
		if (addresses[i].kind == TARGET_IPV4 && is_hidden_v6only(fd, family)) {
			err = sys_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
			if (err < 0)
				continue;
		}
		err = connect_leg(fd, &to, (socklen_t)n, deadline, own_timeout);
		if (err == 0 || err == -EINTR || err == -EISCONN || err == -EALREADY ||
		    err == -ETIMEDOUT)
			return err;
	}
	return err;
}

/*
 * Move bytes as the handshake asks until it is done.  An answer takes a round
 * trip, so after a send it is waited for before it is read.
 */
static int run_handshake(int fd, struct socks5 *s, int64_t deadline)
{
	enum socks5_io last = SOCKS5_RECV;

	for (;;) {
		struct span span;
		enum socks5_io io = socks5_want(s, &span);
		ssize_t n;
		int err;

		if (io == SOCKS5_DONE)
			return 0;
		if (io == SOCKS5_RECV && last == SOCKS5_SEND) {
			err = wait_for(fd, POLLIN, deadline);
			if (err < 0)
				return err;
		}
		last = io;
		if (io == SOCKS5_SEND)
			n = sys_send(fd, span.data, span.len, MSG_DONTWAIT | MSG_NOSIGNAL);
		else
			n = sys_recv(fd, span.data, span.len, MSG_DONTWAIT);
		if (n == 0) {
			s->reason = "the proxy closed the connection";
			return -ECONNREFUSED;
		}
		if (n > 0)
			err = socks5_advance(s, (size_t)n);
		else if (n == -EAGAIN || n == -EINTR || n == -EINPROGRESS)
			err = wait_for(fd, io == SOCKS5_SEND ? POLLOUT : POLLIN, deadline);
		else
			err = (int)n;
		if (err < 0)
			return err;
	}
}

/* Scanners take ECONNRESET or EPROTO of connect(2) for an open port. */
static int visible_error(int err)
{
	switch (err) {
	case -EPROTO:
	case -EMSGSIZE:
	case -ECONNRESET:
	case -EPIPE:
		return -ECONNREFUSED;
	default:
		return err;
	}
}

/* As after a refused connect: no peer, and free for another connect(2). */
static void reset_socket(int fd)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	(void)!sys_connect(fd, &none, sizeof(none));
}

static int remember(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct conn conn = { .peer_len = len };
	socklen_t size = sizeof(conn.cookie);

	if (conn.peer_len > sizeof(conn.peer))
		conn.peer_len = sizeof(conn.peer);
	memcpy(&conn.peer, addr, conn.peer_len);
	if (conn.peer.sa.sa_family == AF_INET)
		conn.peer_len = sizeof(conn.peer.in);
	else if (conn.peer_len > sizeof(conn.peer.in6))
		conn.peer_len = sizeof(conn.peer.in6);
	if (sys_getsockopt(fd, SOL_SOCKET, SO_COOKIE, &conn.cookie, &size) < 0)
		return 0; /* then the peer that is shown is the proxy */
	(void)!fdtab_put(fd, &conn);
	return 0;
}

static void log_result(const struct route *route, const struct socks5 *s, int err)
{
	char target[TARGET_TEXT_SIZE], proxy[TARGET_TEXT_SIZE];
	const char *reason = s->reason;

	if (reason == NULL)
		reason = err == -ETIMEDOUT ? "the proxy took too long" : strerrordesc_np(-err);
	target_text(&route->target, target);
	target_text(&route->proxy->address, proxy);
	if (err == 0)
		log_line(LOG_LEVEL_CONNECTION, target, " via ", proxy, NULL);
	else
		log_line(LOG_LEVEL_CONNECTION, target, " via ", proxy, " failed: ", reason, NULL);
}

int tunnel_connect(int fd, const struct route *route,
		   const struct sockaddr *addr, socklen_t len)
{
	const struct proxy *proxy = route->proxy;
	int64_t own_timeout = send_timeout(fd);
	int64_t allowed = route_config()->timeout_ms;
	struct socks5 s;
	int64_t deadline;
	int err;

	if (own_timeout > 0 && own_timeout < allowed)
		allowed = own_timeout;
	deadline = sys_now_ms() + allowed;
	socks5_start(&s, SOCKS5_CONNECT, &route->target, proxy->has_login ? &proxy->login : NULL);
	/* An address of the other family than the socket's is the kernel's to refuse. */
	err = connect_proxy(fd, addr->sa_family, proxy, deadline, own_timeout);
	if (err == -EISCONN || err == -EALREADY)
		return err;
	if (err == 0)
		err = run_handshake(fd, &s, deadline);
	err = visible_error(err);
	log_result(route, &s, err);
	if (err < 0) {
		reset_socket(fd);
		return err;
	}
	return remember(fd, addr, len);
}
