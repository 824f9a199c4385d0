/* SPDX-License-Identifier: ISC */
/* relay_name.c - who sent a datagram: relays answer for a name with an address, or with the name. */
#include <errno.h>
#include <string.h>

#include "relay_state.h"
#include "socksify/lock.h"
#include "socksify/namepool.h"

static bool is_same(const struct relay_name *n, const struct sockaddr *addr, socklen_t len)
{
	return n->sent_len == len && memcmp(&n->sent, addr, len) == 0;
}

static uint16_t port_of(const union sockaddr_any *a)
{
	return ntohs(a->sa.sa_family == AF_INET ? a->in.sin_port : a->in6.sin6_port);
}

/* FNV-1a; never 0. */
static uint64_t digest(const struct target *t)
{
	size_t len = t->kind == TARGET_IPV4 ? 4 : 16;
	uint64_t h = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < len; i++)
		h = (h ^ t->ip[i]) * UINT64_C(1099511628211);
	return h | 1;
}

static void set(struct relay_name *n, const struct target *target, const struct sockaddr *addr,
		socklen_t len)
{
	memset(&n->sent, 0, sizeof(n->sent));
	memcpy(&n->sent, addr, len);
	if (n->sent.sa.sa_family == AF_UNSPEC) /* sendto(2) takes it for AF_INET */
		n->sent.sa.sa_family = AF_INET;
	n->sent_len = len;
	n->is_address = target->kind != TARGET_NAME;
	atomic_store(&n->seen, n->is_address ? digest(target) : 0);
	atomic_store_explicit(&n->set, true, memory_order_release);
}

/*
 * Addresses before the first name have no place in the table; the last few are
 * remembered, so that their answers are not taken for the name's.
 */
static void remember(struct relay *r, const struct target *target)
{
	uint64_t d = digest(target) ^ (uint64_t)target->port << 1;

	for (unsigned i = 0; i < RELAY_EARLIER; i++)
		if (atomic_load_explicit(&r->earlier[i], memory_order_relaxed) == d)
			return;
	atomic_store(&r->earlier[atomic_fetch_add(&r->next_earlier, 1) % RELAY_EARLIER], d);
}

static bool is_earlier(struct relay *r, const struct target *from)
{
	uint64_t d = digest(from) ^ (uint64_t)from->port << 1;

	for (unsigned i = 0; i < RELAY_EARLIER; i++)
		if (atomic_load_explicit(&r->earlier[i], memory_order_relaxed) == d)
			return true;
	return false;
}

void relay_note_name(struct relay *r, const struct target *target, const struct sockaddr *addr,
		     socklen_t len)
{
	socklen_t whole = addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						      : sizeof(struct sockaddr_in);
	sigset_t mask;
	int i;

	if (target->kind != TARGET_NAME &&
	    !atomic_load_explicit(&r->names[0].set, memory_order_relaxed)) {
		remember(r, target);
		return;
	}
	if (len > whole)
		len = whole;
	for (i = 0; i < RELAY_NAMES && atomic_load_explicit(&r->names[i].set, memory_order_acquire); i++)
		if (is_same(&r->names[i], addr, len))
			return;
	if (i == RELAY_NAMES)
		return;
	/* Rare: once for each. */
	lock_engine(&mask);
	while (i < RELAY_NAMES && atomic_load(&r->names[i].set))
		i++;
	if (i < RELAY_NAMES)
		set(&r->names[i], target, addr, len);
	unlock_engine(&mask);
}

/*
 * The name behind which an address that the program did not send to stands: the
 * one that it answered for before, or the only one with this port that nobody
 * has answered for yet.
 */
static const struct relay_name *name_of_address(struct relay *r, const struct target *from)
{
	struct relay_name *candidate = NULL, *only = NULL;
	uint64_t d = digest(from);
	int same_port = 0, open = 0;

	for (int i = 0; i < RELAY_NAMES; i++) {
		struct relay_name *n = &r->names[i];

		if (!atomic_load_explicit(&n->set, memory_order_acquire))
			break;
		if (port_of(&n->sent) != from->port)
			continue;
		if (atomic_load(&n->seen) == d)
			return n;
		if (n->is_address)
			continue;
		same_port++;
		only = n;
		if (atomic_load(&n->seen) == 0) {
			open++;
			candidate = n;
		}
	}
	if (is_earlier(r, from))
		return NULL;
	if (open == 1)
		atomic_store(&candidate->seen, d);
	else
		candidate = same_port == 1 ? only : NULL;
	return candidate;
}

/* The address of a name, as the program used it. */
static const struct relay_name *sent_to(struct relay *r, const struct target *from)
{
	for (int i = 0; i < RELAY_NAMES; i++) {
		struct relay_name *n = &r->names[i];
		struct target t;

		if (!atomic_load_explicit(&n->set, memory_order_acquire))
			break;
		if (!n->is_address && port_of(&n->sent) == from->port &&
		    target_from_sockaddr(&n->sent.sa, n->sent_len, &t) == 0 &&
		    namepool_name(&t, &t) == 0 && target_host_equal(&t, from))
			return n;
	}
	return NULL;
}

int relay_source(struct relay *r, const struct target *from, union sockaddr_any *ret)
{
	int family = atomic_load(&r->family), err;
	const struct relay_name *n = NULL;
	struct target t = *from;

	if (from->kind == TARGET_NAME)
		n = sent_to(r, from);
	else if (atomic_load_explicit(&r->names[0].set, memory_order_acquire))
		n = name_of_address(r, from);
	if (n != NULL) {
		*ret = n->sent;
		return (int)n->sent_len;
	}
	if (from->kind == TARGET_NAME) {
		err = namepool_address(from->name, from->name_len, family, &t);
		if (err < 0)
			return err;
		t.port = from->port;
	}
	memset(ret, 0, sizeof(*ret));
	return target_to_sockaddr(&t, family, ret);
}

bool relay_is_from_peer(const struct relay_target *t, const struct target *from)
{
	const struct target *to = &t->route.target;

	if (to->port != from->port)
		return false;
	/* Behind a name there may be any address. */
	return (to->kind == TARGET_NAME) != (from->kind == TARGET_NAME) ? to->kind == TARGET_NAME
								     : target_host_equal(to, from);
}
