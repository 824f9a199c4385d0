/* SPDX-License-Identifier: ISC */
/* dns_tcp.c - ask the resolver of `dns tcp:`, through the proxy (RFC 7766). */
#include "socksify/dns_tcp.h"

#include <errno.h>

#include "socksify/control.h"
#include "socksify/dns_msg.h"
#include "socksify/namepool.h"
#include "socksify/route.h"
#include "socksify/sys.h"

#define NS_PER_MS 1000000

/* What libc would wait at most: two attempts of 5 s (resolv.conf(5)). */
#define PATIENCE_MS 10000

enum { PREFIX = 2 };	/* RFC 1035 section 4.2.2: the length of the message that follows */

int64_t dns_tcp_deadline(void)
{
	int64_t now = sys_now_ns();

	return sys_earlier(route_deadline(now), now + (int64_t)PATIENCE_MS * NS_PER_MS);
}

/* An open connection to the resolver. */
struct link {
	int fd;
	int64_t deadline;
};

/* 0 when @events may have come, or -ETIMEDOUT. */
static int wait_for(const struct link *link, short events)
{
	struct pollfd p = { .fd = link->fd, .events = events };
	int64_t left = link->deadline - sys_now_ns();
	int n = left <= 0 ? -ETIMEDOUT : sys_poll(&p, 1, left, NULL);

	return n < 0 && n != -EINTR ? n : 0;
}

/* @n octets were moved, or -errno: 0 instead, after waiting, where that helps. */
static ssize_t moved(const struct link *link, ssize_t n, short events)
{
	return n == -EAGAIN || n == -EINTR ? wait_for(link, events) : n;
}

/* @more: something follows, and the kernel need not send this alone. */
static int send_all(const struct link *link, const uint8_t *bytes, size_t len, bool more)
{
	int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0);

	while (len > 0) {
		ssize_t n = moved(link, sys_send(link->fd, bytes, len, flags), POLLOUT);

		if (n < 0)
			return (int)n;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

static int receive_all(const struct link *link, uint8_t *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = sys_recv(link->fd, bytes, len, MSG_DONTWAIT);

		n = n == 0 ? -ECONNRESET : moved(link, n, POLLIN);
		if (n < 0)
			return (int)n;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

static int send_queries(const struct link *link, const struct dns_ask *asks, size_t count)
{
	int err = 0;

	for (size_t i = 0; i < count && err == 0; i++) {
		uint8_t prefix[PREFIX] = { (uint8_t)(asks[i].len >> 8), (uint8_t)asks[i].len };

		err = send_all(link, prefix, PREFIX, true);
		if (err == 0)
			err = send_all(link, asks[i].query, asks[i].len, i + 1 < count);
	}
	return err;
}

/* Which question has the ID @id and no answer yet? */
static struct dns_ask *find(struct dns_ask *asks, size_t count, const uint8_t id[2])
{
	for (size_t i = 0; i < count; i++)
		if (memcmp(asks[i].query, id, 2) == 0 && asks[i].answer_len == 0)
			return &asks[i];
	return NULL;
}

static bool is_answer(const struct dns_ask *ask)
{
	struct dns_query q;

	return dns_query_parse(ask->query, ask->len, &q) == DNS_NOERROR &&
	       dns_reply_matches(ask->answer, ask->answer_len, &q);
}

static int receive_answer(const struct link *link, struct dns_ask *asks, size_t count)
{
	uint8_t start[PREFIX + 2];
	struct dns_ask *ask;
	size_t len;
	int err = receive_all(link, start, sizeof(start));

	if (err < 0)
		return err;
	len = (size_t)start[0] << 8 | start[1];
	ask = find(asks, count, start + PREFIX);
	if (ask == NULL || len < DNS_HEADER_SIZE)
		return -EPROTO;
	if (len > ask->room)
		return -EMSGSIZE;
	memcpy(ask->answer, start + PREFIX, 2);
	err = receive_all(link, ask->answer + 2, len - 2);
	if (err < 0)
		return err;
	ask->answer_len = len;
	return is_answer(ask) ? 0 : -EPROTO;
}

/* A resolver on loopback is the proxy's own: only a rule that blocks it keeps us from asking. */
static int find_proxy(const struct config *config, const struct proxy **ret)
{
	struct decision d;

	if (config == NULL || config->dns != DNS_TCP || config->proxy_count == 0)
		return -ENETDOWN;
	d = config_decide(config, &config->dns_server, PROTO_TCP);
	if (d.action == RULE_BLOCK)
		return -EACCES;
	*ret = d.action == RULE_VIA ? d.proxy : &config->proxies[0];
	return 0;
}

static bool are_queries(struct dns_ask *asks, size_t count)
{
	struct dns_query q;

	for (size_t i = 0; i < count; i++) {
		if (asks[i].len > DNS_MESSAGE_MAX ||
		    dns_query_parse(asks[i].query, asks[i].len, &q) != DNS_NOERROR)
			return false;
		asks[i].answer_len = 0;
	}
	return true;
}

/* To a server that no proxy stands before. */
static int open_direct(struct link *link, const struct target *server)
{
	int family = server->kind == TARGET_IPV6 ? AF_INET6 : AF_INET, error = 0;
	socklen_t error_len = sizeof(error);
	union sockaddr_any to;
	int len = target_to_sockaddr(server, family, &to), err;

	if (len < 0)
		return len;
	link->fd = sys_socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (link->fd < 0)
		return link->fd;
	err = sys_connect(link->fd, &to, (socklen_t)len);
	if (err == -EINPROGRESS || err == -EINTR)
		err = 0;
	while (err == 0 && sys_poll_now(link->fd, POLLOUT) == 0)
		err = wait_for(link, POLLOUT);
	if (err == 0)
		err = sys_getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &error_len);
	if (err == 0 && error != 0)
		err = -error;
	if (err < 0)
		sys_close(link->fd);
	return err;
}

static int open_proxied(struct link *link, const struct proxy *proxy, const struct target *server)
{
	struct control control;

	control_begin(&control, proxy, SOCKS5_CONNECT, server, link->deadline);
	control_finish(&control);
	if (control.phase != CONTROL_DONE)
		return control.error;
	link->fd = control.fd;
	return 0;
}

/* @proxy: NULL for none */
static int exchange(const struct proxy *proxy, const struct target *server,
		    struct dns_ask *asks, size_t count)
{
	struct link link;
	int err;

	if (!are_queries(asks, count))
		return -EINVAL;
	link.deadline = dns_tcp_deadline();
	err = proxy == NULL ? open_direct(&link, server) : open_proxied(&link, proxy, server);
	if (err < 0)
		return err;
	err = send_queries(&link, asks, count);
	for (size_t i = 0; i < count && err == 0; i++)
		err = receive_answer(&link, asks, count);
	sys_close(link.fd);
	return err;
}

int dns_tcp_exchange(struct dns_ask *asks, size_t count)
{
	const struct proxy *proxy;
	int err = find_proxy(route_config(), &proxy);

	return err < 0 ? err : exchange(proxy, &route_config()->dns_server, asks, count);
}

int dns_tcp_ask_server(const struct target *server, const uint8_t *query, size_t len,
		       uint8_t *answer, size_t room, size_t *ret_len)
{
	struct dns_ask ask = { .query = query, .len = len, .answer = answer, .room = room };
	struct target to = *server;
	struct decision d;
	int err;

	if (route_config() == NULL)
		return -ENETDOWN;
	if (namepool_contains(server) && namepool_name(server, &to) < 0)
		return -EHOSTUNREACH;
	d = config_decide(route_config(), &to, PROTO_TCP);
	if (d.action == RULE_BLOCK)
		return -EACCES;
	err = exchange(d.action == RULE_VIA ? d.proxy : NULL, &to, &ask, 1);
	if (err == 0)
		*ret_len = ask.answer_len;
	return err;
}

int dns_tcp_ask(const uint8_t *query, size_t len, uint8_t *answer, size_t room, size_t *ret_len)
{
	struct dns_ask ask = { .query = query, .len = len, .answer = answer, .room = room };
	int err = dns_tcp_exchange(&ask, 1);

	if (err == 0)
		*ret_len = ask.answer_len;
	return err;
}
