/* SPDX-License-Identifier: ISC */
/* conn.c - the pool of proxied connections, and their references. */
#include "socksify/conn.h"

#include <string.h>

#include "socksify/epreg.h"
#include "socksify/handshake.h"
#include "socksify/listener.h"
#include "socksify/own.h"
#include "socksify/pool.h"
#include "socksify/relay.h"
#include "socksify/report.h"

/* first the conn: both have one address */
struct counted {
	struct conn conn;
	_Atomic uint32_t refs;
	_Atomic uint32_t generation;
};

POOL(conns, struct counted, 64u, CONN_MAX, false);

_Atomic int conn_pending, conn_special;

static struct counted *counted(const struct conn *conn)
{
	return (struct counted *)(uintptr_t)conn;
}

struct conn *conn_at(uint32_t index)
{
	return pool_at(&conns, index);
}

uint32_t conn_index(const struct conn *conn)
{
	return pool_index(conn);
}

uint32_t conn_generation(const struct conn *conn)
{
	return atomic_load(&counted(conn)->generation);
}

/* Nobody has it yet: no order is needed before the reference that makes it somebody's. */
#define PUT(field, value) atomic_store_explicit(&(field), value, memory_order_relaxed)

struct conn *conn_new(void)
{
	struct conn *c = pool_take(&conns);

	if (c == NULL)
		return NULL;
	PUT(c->state, CONN_FRESH);
	PUT(c->error, 0);
	PUT(c->fd, -1);
	PUT(c->answers_once, false);
	PUT(c->shut, false);
	PUT(c->replaced, false);
	PUT(c->disconnected, false);
	PUT(c->seen, false);
	PUT(c->missed, false);
	PUT(c->leader, NULL);
	PUT(c->asleep, NULL);
	PUT(c->handshake, NULL);
	PUT(c->epregs, NULL);
	PUT(c->relay, NULL);
	PUT(c->own, NULL);
	PUT(c->answering, 0);
	c->note.teller = 0;
	PUT(c->listener, NULL);
	PUT(c->bound_port, -1);
	PUT(c->bound_afar, false);
	c->peer_len = 0;
	c->local_len = 0;
	atomic_store(&counted(c)->refs, 1);
	return c;
}

bool conn_ref(struct conn *conn)
{
	uint32_t refs = atomic_load(&counted(conn)->refs);

	do {
		if (refs == 0)
			return false;
	} while (!atomic_compare_exchange_weak(&counted(conn)->refs, &refs, refs + 1));
	return true;
}

void conn_unref(struct conn *conn)
{
	struct handshake *hs;

	if (atomic_fetch_sub(&counted(conn)->refs, 1) != 1)
		return;
	if (report_is_on())
		report_gone(conn);
	atomic_fetch_add(&counted(conn)->generation, 1);
	conn_set_state(conn, CONN_FRESH);
	epreg_forget(conn);
	relay_end(atomic_exchange(&conn->relay, NULL));
	own_close(atomic_exchange(&conn->own, NULL));
	hs = atomic_exchange(&conn->handshake, NULL);
	if (hs != NULL)
		handshake_unref(hs);
	listener_release(conn);
	pool_give(&conns, conn);
}

static bool is_special(enum conn_state state)
{
	return conn_is_gated(state) || state == CONN_RELAYED || state == CONN_ANSWERED;
}

static void count_change(enum conn_state from, enum conn_state to)
{
	int hidden = conn_is_hidden(to) - conn_is_hidden(from);
	int special = is_special(to) - is_special(from);

	if (hidden != 0)
		atomic_fetch_add(&conn_pending, hidden);
	if (special != 0)
		atomic_fetch_add(&conn_special, special);
}

void conn_set_state(struct conn *conn, enum conn_state state)
{
	enum conn_state before = (enum conn_state)atomic_exchange(&conn->state, (int)state);

	count_change(before, state);
}

bool conn_change_state(struct conn *conn, enum conn_state from, enum conn_state to)
{
	int now = (int)from;

	if (!atomic_compare_exchange_strong(&conn->state, &now, (int)to))
		return false;
	count_change(from, to);
	return true;
}

#define PROXY_WORDS (sizeof(union sockaddr_any) / sizeof(uint32_t))

void conn_set_proxy(struct conn *conn, const union sockaddr_any *proxy)
{
	uint32_t words[PROXY_WORDS];

	memcpy(words, proxy, sizeof(words));
	for (size_t i = 0; i < PROXY_WORDS; i++)
		atomic_store_explicit(&conn->proxy[i], words[i], memory_order_relaxed);
}

union sockaddr_any conn_proxy(const struct conn *conn)
{
	uint32_t words[PROXY_WORDS];
	union sockaddr_any proxy;

	for (size_t i = 0; i < PROXY_WORDS; i++)
		words[i] = atomic_load_explicit(&conn->proxy[i], memory_order_relaxed);
	/* cppcheck does not see that PROXY_WORDS is more than none: */
	/* cppcheck-suppress uninitvar */
	memcpy(&proxy, words, sizeof(proxy));
	return proxy;
}

void conn_each_pending(void (*fn)(struct conn *conn, void *arg), void *arg)
{
	uint32_t count = pool_used(&conns);

	if (atomic_load_explicit(&conn_pending, memory_order_relaxed) == 0)
		return;
	for (uint32_t i = 0; i < count; i++) {
		struct conn *conn = conn_at(i);

		if (!conn_is_hidden(conn_state(conn)) || !conn_ref(conn))
			continue;
		fn(conn, arg);
		conn_unref(conn);
	}
}
