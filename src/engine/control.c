/* SPDX-License-Identifier: ISC */
/* control.c - a connection of our own to a proxy, and the handshake on it. */
#include "socksify/control.h"

#include <errno.h>
#include <unistd.h>

#include "socksify/handshake.h"
#include "socksify/sys.h"

static void fail(struct control *c, int err, const char *reason)
{
	control_drop(c);
	c->phase = CONTROL_FAILED;
	c->error = handshake_errno(err);
	c->reason = reason;
}

/* An own fd may have been moved out of the program's way. */
static void look_up_fd(struct control *c)
{
	if (c->own != NULL)
		c->fd = own_fd(c->own);
}

void control_keep(struct control *c)
{
	c->kept = true;
	if (c->own != NULL || c->fd < 0)
		return;
	c->own = own_keep(c->fd);
	if (c->own == NULL) {
		c->fd = -1;
		fail(c, -ENOMEM, NULL);
	}
	look_up_fd(c);
}

/* Connect to the next address, until one does not fail at once. */
static void connect_next(struct control *c, int err)
{
	for (; c->at < c->count; c->at++) {
		const struct target *t = &c->addresses[c->at];
		int family = t->kind == TARGET_IPV4 ? AF_INET : AF_INET6;
		union sockaddr_any to;
		int len = target_to_sockaddr(t, family, &to);

		if (len < 0)
			continue;
		c->fd = sys_socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (c->kept)
			control_keep(c);
		if (c->phase == CONTROL_FAILED)
			return;
		err = c->fd < 0 ? c->fd : sys_connect(c->fd, &to, (socklen_t)len);
		if (err == 0 || err == -EINPROGRESS || err == -EINTR) {
			c->at++;
			return;
		}
		control_drop(c);
	}
	fail(c, err, "the proxy cannot be reached");
}

void control_begin(struct control *c, const struct proxy *proxy, enum socks5_command command,
		   const struct target *dst, int64_t deadline)
{
	c->phase = CONTROL_CONNECTING;
	c->fd = -1;
	c->own = NULL;
	c->kept = false;
	c->answered = false;
	c->proxy = proxy;
	c->command = command;
	c->dst = *dst;
	c->deadline = deadline;
	c->at = 0;
	c->count = upstream_addresses(proxy, c->addresses);
	if (c->count < 0)
		fail(c, c->count, "the proxy's name is not known");
	else
		connect_next(c, -EHOSTUNREACH);
}

/* Connected: say who asks, and what for. */
static int start_talking(struct control *c)
{
	union sockaddr_any own;
	socklen_t len = sizeof(own);
	struct target dst = c->dst;
	int err;

	if (dst.kind == TARGET_NONE) {
		err = sys_getsockname(c->fd, &own, &len);
		if (err == 0)
			err = target_from_sockaddr(&own.sa, len, &dst);
		if (err < 0)
			return err;
		dst.port = c->dst.port;
	}
	socks5_start(&c->s, c->command, &dst, c->proxy->has_login ? &c->proxy->login : NULL);
	if (c->proxy->handshake != HANDSHAKE_STANDARD)
		socks5_pipeline(&c->s);
	c->phase = CONTROL_TALKING;
	return 0;
}

static void step_connecting(struct control *c)
{
	int error = 0, err;
	socklen_t len = sizeof(error);

	if (sys_poll_now(c->fd, POLLOUT) == 0)
		return;
	err = sys_getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (err == 0)
		err = error != 0 ? -error : start_talking(c);
	if (err < 0) {
		control_drop(c);
		connect_next(c, err);
	}
}

static void step_talking(struct control *c)
{
	for (;;) {
		struct span span;
		enum socks5_io io = socks5_want(&c->s, &span);
		ssize_t n;
		int err;

		if (io == SOCKS5_DONE) {
			c->phase = CONTROL_DONE;
			return;
		}
		n = io == SOCKS5_SEND ? sys_send(c->fd, span.data, span.len, MSG_DONTWAIT | MSG_NOSIGNAL)
				      : sys_recv(c->fd, span.data, span.len, MSG_DONTWAIT);
		if (n == -EAGAIN || n == -EINTR)
			return;
		if (n <= 0) {
			c->answered = true; /* sshd says no by going */
			fail(c, n == 0 ? -ECONNREFUSED : (int)n, "the proxy broke the connection off");
			return;
		}
		err = socks5_advance(&c->s, (size_t)n);
		if (err < 0) {
			c->answered = true;
			fail(c, err, socks5_reason(&c->s));
			return;
		}
	}
}

void control_step(struct control *c)
{
	look_up_fd(c);
	if (c->phase == CONTROL_CONNECTING)
		step_connecting(c);
	if (c->phase == CONTROL_TALKING)
		step_talking(c);
	if (c->phase < CONTROL_DONE && sys_now_ns() >= c->deadline)
		fail(c, -ETIMEDOUT, "the proxy took too long");
}

short control_events(struct control *c)
{
	struct span span;

	return c->phase == CONTROL_TALKING && socks5_want(&c->s, &span) == SOCKS5_RECV ? POLLIN
										      : POLLOUT;
}

void control_finish(struct control *c)
{
	while (c->phase < CONTROL_DONE) {
		look_up_fd(c);
		struct pollfd p = { .fd = c->fd, .events = control_events(c) };
		int64_t now = sys_now_ns();
		/* An error is found out by the step; EINTR: signals do not end it */
		int ready = sys_poll(&p, 1, c->deadline > now ? c->deadline - now : 0, NULL);

		if (ready < 0 && ready != -EINTR)
			fail(c, ready, NULL);
		else
			control_step(c);
	}
}

void control_drop(struct control *c)
{
	if (c->own != NULL)
		own_close(c->own);
	else if (c->fd >= 0)
		sys_close(c->fd);
	c->own = NULL;
	c->fd = -1;
}
