/* SPDX-License-Identifier: ISC */
/* association_make.c - the handshake with the proxy, and what becomes of calls and peers by it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "association_state.h"
#include "socksify/relay.h"
#include "socksify/report.h"
#include "socksify/route.h"
#include "socksify/sys.h"
#include "tracee.h"

/* How long a failure holds, so that not each datagram asks again; and the proxy's own word. */
#define FAILED_NS INT64_C(1000000000)
#define REFUSED_NS INT64_C(10000000000)

static const struct proxy *refuser;
static int64_t refused_until;

bool association_is_refused_by(const struct proxy *proxy)
{
	return refuser == proxy && sys_now_ns() < refused_until;
}

void association_open_peers(struct association *a)
{
	for (struct peer *p = a->peers; p != NULL; p = p->next) {
		struct target program = association_program(a, &p->asked);

		peer_receive_from(p, &program);
	}
}

/* While it is not known where they go, datagrams wait in the sockets. */
static void watch_peers(struct association *a, bool on)
{
	for (struct peer *p = a->peers; p != NULL; p = p->next)
		(void)!loop_change(&p->watch, on ? EPOLLIN : 0);
}

void association_answer(struct association *a, int err)
{
	while (a->held != NULL) {
		struct held *h = a->held;

		a->held = h->next;
		(void)listener_reply(h->call.id, err < 0 ? err : h->result);
		free(h);
	}
}

void association_drop_relay(struct association *a)
{
	if (a->relay.fd < 0)
		return;
	loop_remove(&a->relay);
	close(a->relay.fd);
	a->relay.fd = -1;
}

void association_drop_control(struct association *a)
{
	if (a->control.fd >= 0)
		loop_remove(&a->control);
	a->control.fd = -1;
	control_drop(&a->c);
}

static void tell(const struct association *a, const char *reason)
{
	const struct peer *first = a->peers;

	if (!report_is_on() || first == NULL)
		return;
	while (first->next != NULL)
		first = first->next;
	tracee_speak_for(a->tid);
	report_association(&first->target, a->proxy, reason);
}

static void fail(struct association *a, int err, bool by_proxy)
{
	int64_t now = sys_now_ns(), until = now + FAILED_NS;
	const char *reason = a->c.reason;

	association_drop_relay(a);
	association_drop_control(a);
	a->state = ASSOCIATION_IDLE;
	a->error = a->was_ready ? -ENETDOWN : err;
	if (by_proxy) {
		until = now + REFUSED_NS;
		refuser = a->proxy;
		refused_until = until;
	}
	loop_start_timer(&a->timer, until);
	for (struct peer *p = a->peers; p != NULL; p = p->next)
		peer_receive_from(p, NULL);
	watch_peers(a, true);
	association_answer(a, a->error);
	tell(a, reason != NULL ? reason : strerrordesc_np(-err));
}

static int connect_relay(struct association *a)
{
	int family = sys_get_int(a->relay.fd, SOL_SOCKET, SO_DOMAIN), len;
	union sockaddr_any relay;

	len = family < 0 ? family : relay_address(&a->c, family, &relay);
	return len < 0 ? len : sys_connect(a->relay.fd, &relay, (socklen_t)len);
}

static void complete(struct association *a)
{
	int err = connect_relay(a);

	if (err == 0)
		err = loop_add(&a->relay);
	if (err == 0) {
		a->control.fd = a->c.fd;
		a->control.events = EPOLLIN;
		err = loop_add(&a->control);
	}
	if (err < 0) {
		a->c.reason = "the relay cannot be reached";
		fail(a, err, false);
		return;
	}
	loop_stop_timer(&a->timer);
	a->state = ASSOCIATION_READY;
	a->was_ready = true;
	association_answer(a, 0);
	watch_peers(a, true);
	tell(a, NULL);
}

/* The control connection may be another one by now, to the proxy's next address. */
static void follow(struct association *a)
{
	a->control.fd = -1;
	switch (a->c.phase) {
	case CONTROL_DONE:
		complete(a);
		return;
	case CONTROL_FAILED:
		if (a->c.answered && a->c.error != -EACCES)
			fail(a, -ENETUNREACH, true);
		else
			fail(a, a->c.error, false);
		return;
	case CONTROL_CONNECTING:
	case CONTROL_TALKING:
		break;
	}
	a->control.fd = a->c.fd;
	a->control.events = (uint32_t)control_events(&a->c);
	if (loop_add(&a->control) < 0)
		fail(a, -ENOMEM, false);
}

/* The proxy has ended it; what it says meanwhile is of no interest. */
static void look_after(struct association *a)
{
	uint8_t octets[64];
	ssize_t n;

	do
		n = sys_recv(a->c.fd, octets, sizeof(octets), MSG_DONTWAIT);
	while (n > 0);
	if (n == -EAGAIN || n == -EINTR)
		return;
	association_drop_relay(a);
	association_drop_control(a);
	a->state = ASSOCIATION_IDLE;
}

static void control_ready(struct watch *w, uint32_t events)
{
	struct association *a = (struct association *)(void *)w;

	(void)events;
	if (a->state == ASSOCIATION_READY) {
		look_after(a);
		return;
	}
	loop_remove(w);
	control_step(&a->c);
	follow(a);
}

static void late(struct timer *t)
{
	struct association *a = (struct association *)(void *)
		((char *)t - offsetof(struct association, timer));

	if (a->state == ASSOCIATION_UNDER_WAY) {
		control_ready(&a->control, 0);
	} else if (a->state == ASSOCIATION_IDLE) {
		a->error = 0;
		association_open_peers(a);
	}
}

void association_prepare(struct association *a)
{
	a->control = (struct watch){ .fd = -1, .ready = control_ready };
	a->timer.late = late;
	a->relay.fd = -1;
	a->c.fd = -1;
}

/* A socket that can speak with a relay of either family, and has a port. */
static int open_relay(struct association *a, uint16_t *ret_port)
{
	int type = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, err;
	union sockaddr_any own = { .sa.sa_family = AF_INET6 };
	int fd = sys_socket(AF_INET6, type, 0);
	struct target t;

	if (fd < 0) {
		own.sa.sa_family = AF_INET;
		fd = sys_socket(AF_INET, type, 0);
	}
	if (fd < 0)
		return fd;
	a->relay = (struct watch){ .fd = fd, .events = EPOLLIN, .ready = association_relay_ready };
	err = sys_bind(fd, &own, sizeof(own));
	if (err == 0)
		err = sys_getsockname(fd, &own, &(socklen_t){ sizeof(own) });
	if (err == 0)
		err = target_from_sockaddr(&own.sa, sizeof(own), &t);
	if (err == 0)
		*ret_port = t.port;
	return err;
}

void association_begin(struct association *a)
{
	struct target own = { .kind = TARGET_NONE };
	int err = open_relay(a, &own.port);

	a->c.fd = -1;
	a->c.own = NULL;
	a->c.reason = NULL;
	if (err < 0) {
		fail(a, err, false);
		return;
	}
	a->state = ASSOCIATION_UNDER_WAY;
	watch_peers(a, false);
	control_begin(&a->c, a->proxy, SOCKS5_UDP_ASSOCIATE, &own, route_deadline(sys_now_ns()));
	loop_start_timer(&a->timer, a->c.deadline);
	follow(a);
}
