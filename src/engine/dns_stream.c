/* SPDX-License-Identifier: ISC */
/* dns_stream.c - a program's TCP connection to a name server, whose part we take. */
#include "socksify/dns_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>

#include "socksify/dns_msg.h"
#include "socksify/nameserver.h"
#include "socksify/own.h"
#include "socksify/scratch.h"
#include "socksify/sys.h"

enum { PREFIX = 2 };	/* RFC 1035 section 4.2.2 */

/* What the kernel has done by itself, on loopback, when connect(2) returns. */
#define ACCEPT_NS INT64_C(1000000000)

/* Loopback, as a socket of @family can reach it: ::ffff:127.0.0.1 unless it speaks IPv6 only. */
static void loopback_for(int fd, int family, struct target *ret)
{
	bool only_v6 = family == AF_INET6 && sys_get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY) != 0;

	*ret = (struct target){ .kind = only_v6 ? TARGET_IPV6 : TARGET_IPV4 };
	if (only_v6) {
		ret->ip[15] = 1;
	} else {
		ret->ip[0] = 127;
		ret->ip[3] = 1;
	}
}

/* The address of one end of @fd. */
static int end_of(int fd, int (*get)(int, void *, socklen_t *), struct target *ret)
{
	union sockaddr_any any;
	socklen_t len = sizeof(any);
	int err = get(fd, &any, &len);

	return err < 0 ? err : target_from_sockaddr(&any.sa, len, ret);
}

/* Listen at @at, whose port is set.  Returns the fd or -errno. */
static int listen_at(struct target *at)
{
	int family = at->kind == TARGET_IPV6 ? AF_INET6 : AF_INET;
	union sockaddr_any any;
	int len = target_to_sockaddr(at, family, &any);
	int fd = sys_socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

	if (fd < 0)
		return fd;
	err = len < 0 ? len : sys_bind(fd, &any, (socklen_t)len);
	if (err == 0)
		err = sys_listen(fd, 4);
	if (err == 0)
		err = end_of(fd, sys_getsockname, at);
	if (err < 0)
		sys_close(fd);
	return err < 0 ? err : fd;
}

/* The other end of @fd, among what came to @listener: anybody on this machine can connect to it. */
static int accept_peer(int listener, int fd)
{
	int64_t deadline = sys_now_ns() + ACCEPT_NS;
	struct target ours, theirs;
	int err = end_of(fd, sys_getsockname, &ours);

	while (err == 0) {
		struct pollfd p = { .fd = listener, .events = POLLIN };
		int end = sys_accept(listener, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (end >= 0 && end_of(end, sys_getpeername, &theirs) == 0 &&
		    target_equal(&ours, &theirs))
			return end;
		if (end >= 0)
			sys_close(end);
		else if (end != -EAGAIN && end != -EINTR && end != -ECONNABORTED)
			err = end;
		else if (sys_now_ns() >= deadline || sys_poll(&p, 1, ACCEPT_NS, NULL) == 0)
			err = -ETIMEDOUT;
	}
	return err;
}

#define ARRIVAL_TRIES 200	/* of a millisecond: loopback delivers later when the machine is busy */

/*
 * See to it that all that was sent on @fd is at @end, for later nobody looks any
 * more.  What Nagle's algorithm holds back leaves when that is switched off
 * (tcp(7)); the program's setting is kept.  What has arrived is acknowledged at once.
 */
static void push(int fd, int end)
{
	int on = 1, off = 0;

	if (sys_get_int(fd, IPPROTO_TCP, TCP_NODELAY) == 0 &&
	    sys_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0)
		(void)!sys_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &off, sizeof(off));
	for (int i = 0; i < ARRIVAL_TRIES; i++) {
		struct tcp_info tcp = { .tcpi_unacked = 0 };
		socklen_t len = sizeof(tcp);

		(void)!sys_setsockopt(end, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
		if (sys_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &tcp, &len) < 0 ||
		    tcp.tcpi_unacked == 0)
			return;
		(void)!sys_poll(NULL, 0, 1000000, NULL);
	}
}

/* The program's socket and one of ours, connected; what connect(2) said, or -errno. */
static int make_pair(int fd, int family, union sockaddr_any *ret_peer, struct own **ret)
{
	struct target at;
	int listener, len, err, end, on = 1, off = 0;

	loopback_for(fd, family, &at);
	listener = listen_at(&at);
	if (listener < 0)
		return listener;
	len = target_to_sockaddr(&at, family, ret_peer);
	/* A SYN that waits for the first octets would not come. */
	if (sys_get_int(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT) != 0)
		(void)!sys_setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &off, sizeof(off));
	err = len < 0 ? len : sys_connect(fd, ret_peer, (socklen_t)len);
	if (err == 0 || err == -EINPROGRESS || err == -EINTR) {
		end = accept_peer(listener, fd);
		if (end < 0)
			sys_disconnect(fd);
		else
			(void)!sys_setsockopt(end, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		*ret = end < 0 ? NULL : own_keep(end);
		if (*ret == NULL)
			err = -ECONNREFUSED;
	}
	sys_close(listener);
	return err;
}

int dns_stream_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct conn *conn = fdtab_get_or_new(fd);
	union sockaddr_any peer;
	struct own *own = NULL;
	int err;

	if (conn == NULL)
		return -ENOMEM;
	if (!conn_change_state(conn, CONN_FRESH, CONN_ANSWERED)) {
		conn_unref(conn); /* another thread was faster */
		return -EALREADY;
	}
	conn->peer_len = sockaddr_keep(addr, len, &conn->peer);
	err = make_pair(fd, addr->sa_family, &peer, &own);
	if (own == NULL) {
		conn_change_state(conn, CONN_ANSWERED, CONN_FRESH);
	} else {
		conn_set_proxy(conn, &peer);
		atomic_store(&conn->own, own);
	}
	conn_unref(conn);
	return err;
}

/* The answer to one query, after room for its prefix.  Its length, or 0: there is none. */
static size_t answer(const struct conn *conn, const uint8_t *query, size_t len, uint8_t *bytes)
{
	size_t n = 0;
	struct target server;
	int err = 0;

	switch (nameserver_answer(query, len, true, bytes + PREFIX, DNS_MESSAGE_MAX, &n)) {
	case NAMESERVER_ANSWERED:
		break;
	case NAMESERVER_FORWARD:
		err = nameserver_forward(query, len, true, bytes + PREFIX, DNS_MESSAGE_MAX, &n);
		break;
	case NAMESERVER_PASS:
		err = target_from_sockaddr(&conn->peer.sa, conn->peer_len, &server);
		if (err == 0)
			err = nameserver_pass(&server, query, len, bytes + PREFIX,
					      DNS_MESSAGE_MAX, &n);
		break;
	case NAMESERVER_DROP:
		return 0;
	}
	if (err < 0)
		return 0;
	bytes[0] = (uint8_t)(n >> 8);
	bytes[1] = (uint8_t)n;
	return PREFIX + n;
}

/* Take a whole query out of the socket, where it stays until it is whole.  Its length, 0 or -errno. */
static ssize_t take_query(int end, uint8_t *query)
{
	uint8_t prefix[PREFIX];
	ssize_t n = sys_recv(end, prefix, PREFIX, MSG_PEEK | MSG_DONTWAIT);
	int readable = sys_readable(end);
	size_t len = (size_t)prefix[0] << 8 | prefix[1];

	if (n == 0)
		return -EPIPE;
	if (n < PREFIX)
		return n == -EAGAIN || n == -EINTR || n > 0 ? 0 : n;
	if (readable < (int)(PREFIX + len))
		return 0;
	n = sys_recv(end, query, PREFIX + len, MSG_DONTWAIT);
	/* Octets that another process took, a child of fork(2), are lost to both. */
	return n == (ssize_t)(PREFIX + len) ? n : -EPROTO;
}

static void answer_all(struct conn *conn, int end)
{
	const size_t room = PREFIX + DNS_MESSAGE_MAX;
	uint8_t *query = scratch_take(2 * room), *bytes = query + room;
	ssize_t n = query == NULL ? -ENOMEM : 1;

	while (n > 0) {
		n = take_query(end, query);
		if (n > 0) {
			size_t len = answer(conn, query + PREFIX, (size_t)n - PREFIX, bytes);

			/* Who sends no queries, or does not take the answers, is hung up on. */
			if (len == 0 || sys_send(end, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL) !=
						(ssize_t)len)
				n = -EPROTO;
		}
	}
	if (n < 0)
		(void)!sys_shutdown(end, n == -EPIPE ? SHUT_WR : SHUT_RDWR);
	if (query != NULL)
		scratch_give(query);
}

void dns_stream_sent(int fd)
{
	struct conn *conn = fdtab_get(fd);
	struct own *own;
	int seen;

	if (conn == NULL)
		return;
	own = atomic_load(&conn->own);
	if (own != NULL)
		push(fd, own_fd(own));
	/* One thread answers; who comes meanwhile leaves word. */
	if (own != NULL && atomic_fetch_add(&conn->answering, 1) == 0) {
		do {
			seen = atomic_load(&conn->answering);
			answer_all(conn, own_fd(own));
		} while (!atomic_compare_exchange_strong(&conn->answering, &seen, 0));
	}
	conn_unref(conn);
}
