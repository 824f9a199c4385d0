/* SPDX-License-Identifier: ISC */
/* association.c - datagrams of supervised programs by way of a proxy: UDP ASSOCIATE (RFC 1928 section 7). */
#include "association.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "association_state.h"
#include "sockets.h"
#include "socksify/sys.h"

/* A proxy that hears of the end before it has come to the last datagram drops that. */
#define LINGER_NS INT64_C(1000000000)
#define SWEEP_NS (INT64_C(5) * 1000000000)

static struct association *associations;
static struct timer sweeper;

static struct association *find(uint64_t cookie)
{
	struct association *a = associations;

	while (a != NULL && a->cookie != cookie)
		a = a->next;
	return a;
}

static void free_association(struct association *a)
{
	association_answer(a, -ENETDOWN);
	loop_stop_timer(&a->timer);
	association_drop_relay(a);
	association_drop_control(a);
	while (a->peers != NULL) {
		struct peer *p = a->peers;

		a->peers = p->next;
		peer_free(p);
	}
	free(a);
}

static void note(uint64_t cookie)
{
	struct association *a = find(cookie);

	if (a != NULL)
		a->seen = true;
}

/* Nobody tells when a program's socket is closed. */
static void sweep(struct timer *t)
{
	for (struct association *a = associations; a != NULL; a = a->next)
		a->seen = false;
	if (sockets_each(IPPROTO_UDP, note))
		for (struct association **at = &associations; *at != NULL;) {
			struct association *a = *at;

			if (a->seen || a->state == ASSOCIATION_UNDER_WAY) {
				at = &a->next;
			} else {
				*at = a->next;
				free_association(a);
			}
		}
	if (associations != NULL)
		loop_start_timer(t, sys_now_ns() + SWEEP_NS);
}

static struct association *new_association(uint64_t cookie)
{
	struct association *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	association_prepare(a);
	a->cookie = cookie;
	if (associations == NULL) {
		sweeper.late = sweep;
		loop_start_timer(&sweeper, sys_now_ns() + SWEEP_NS);
	}
	a->next = associations;
	associations = a;
	return a;
}

/* Where the program's socket is; it gets a port if it has none, as by the send itself. */
static int find_program(const struct subject *s, struct target *ret)
{
	union sockaddr_any own = { .sa.sa_family = AF_UNSPEC };
	socklen_t len = sizeof(own);
	int err = sys_getsockname(s->fd, &own, &len);

	if (err == 0)
		err = target_from_sockaddr(&own.sa, len, ret);
	if (err < 0 || ret->port != 0)
		return err;
	err = sys_bind(s->fd, &own, len);
	if (err == 0)
		err = sys_getsockname(s->fd, &own, &len);
	return err < 0 ? err : target_from_sockaddr(&own.sa, len, ret);
}

/* The association for @route, which may not be made yet. */
static int take(const struct subject *s, const struct route *route, bool sends,
		struct association **ret)
{
	struct association *a = find(s->cookie);
	struct target program;
	int err = serve_is_foreign(s->fd) > 0 ? -ENETUNREACH : find_program(s, &program);

	if (err < 0)
		return err;
	if (association_is_refused_by(route->proxy))
		return -ENETUNREACH;
	if (a == NULL) {
		a = new_association(s->cookie);
		if (a == NULL)
			return -ENOMEM;
		a->proxy = route->proxy;
	} else if (a->proxy != route->proxy) {
		if (sends || a->state == ASSOCIATION_UNDER_WAY)
			return -ENETUNREACH; /* one socket, one proxy */
		association_drop_relay(a);
		association_drop_control(a);
		a->state = ASSOCIATION_IDLE;
		a->proxy = route->proxy;
		a->was_ready = false;
	}
	*ret = a;
	if (target_equal(&program, &a->program))
		return a->error;
	a->program = program;
	if (a->error == 0)
		association_open_peers(a);
	return a->error;
}

int association_address(const struct subject *s, const struct sockaddr_storage *to, socklen_t len,
			const struct route *route, bool sends, union sockaddr_any *ret)
{
	struct association *a = NULL;
	struct target asked;
	struct peer *p;
	int err = take(s, route, sends, &a);

	if (err == 0)
		err = target_from_sockaddr((const struct sockaddr *)to, len, &asked);
	if (err < 0)
		return err;
	for (p = a->peers; p != NULL; p = p->next)
		if (target_equal(&p->asked, &asked))
			break;
	if (p == NULL)
		err = association_add_peer(a, &route->target, &asked, &p);
	if (err < 0)
		return err;
	p->target = route->target;
	a->tid = s->tid;
	if (sends && a->state == ASSOCIATION_IDLE)
		association_begin(a);
	return a->error < 0 ? a->error : target_to_sockaddr(&p->here, s->domain, ret);
}

bool association_hold(const struct subject *s, const struct call *c, int64_t result)
{
	struct association *a = associations != NULL ? find(s->cookie) : NULL;
	struct held *h;

	if (a == NULL || a->state != ASSOCIATION_UNDER_WAY)
		return false;
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return false;
	*h = (struct held){ a->held, *c, result };
	a->held = h;
	return true;
}

bool association_has(const struct subject *s)
{
	return find(s->cookie) != NULL;
}

static bool has_datagram(const struct peer *p)
{
	return sys_poll_now(p->watch.fd, POLLIN) != 0;
}

bool association_is_needed(void)
{
	bool needed = false;

	for (struct association *a = associations; a != NULL; a = a->next) {
		for (struct peer *p = a->peers; p != NULL; p = p->next)
			if (a->state != ASSOCIATION_UNDER_WAY && has_datagram(p))
				association_carry(p);
		if (a->state == ASSOCIATION_READY && sys_now_ns() < a->sent + LINGER_NS) {
			loop_start_timer(&a->timer, a->sent + LINGER_NS);
			needed = true;
		}
		needed = needed || a->state == ASSOCIATION_UNDER_WAY;
	}
	return needed;
}
