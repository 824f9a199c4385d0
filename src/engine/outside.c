/* SPDX-License-Identifier: ISC */
/* outside.c - the addresses that connections through proxies have. */
#include "socksify/outside.h"

#include "socksify/lock.h"

#define KEPT 16

static struct outside kept[KEPT];	/* under the engine's lock */
static unsigned noted;			/* kept[noted % KEPT] is the oldest */

void outside_note(const struct outside *connection)
{
	sigset_t mask;

	lock_engine(&mask);
	kept[noted++ % KEPT] = *connection;
	unlock_engine(&mask);
}

/* From the newest on. */
static const struct outside *recent(unsigned i)
{
	return &kept[(noted - 1 - i) % KEPT];
}

static unsigned count(void)
{
	return noted < KEPT ? noted : KEPT;
}

static bool has(const struct target *address, bool or_local)
{
	bool found = false;
	sigset_t mask;

	lock_engine(&mask);
	for (unsigned i = 0; i < count() && !found; i++)
		found = target_host_equal(&recent(i)->bound, address) ||
			(or_local && target_host_equal(&recent(i)->local, address));
	unlock_engine(&mask);
	return found;
}

bool outside_has(const struct target *address)
{
	return has(address, true);
}

bool outside_is_bound(const struct target *address)
{
	return has(address, false);
}

bool outside_last_peer(const struct proxy *proxy, struct target *ret)
{
	bool found = false;
	sigset_t mask;

	lock_engine(&mask);
	for (unsigned i = 0; i < count() && !found; i++) {
		found = recent(i)->proxy == proxy;
		if (found)
			*ret = recent(i)->peer;
	}
	unlock_engine(&mask);
	return found;
}
