/* SPDX-License-Identifier: ISC */
/* dns_cache.c - answers of a resolver, for as long as they last, in this process. */
#include "socksify/dns_cache.h"

#include <stdatomic.h>

#include "socksify/sys.h"

#define SETS 64
#define WAYS 4		/* entries that a name may be in */
#define TTL_MAX 3600u
#define NS_PER_S INT64_C(1000000000)

struct entry {
	atomic_flag busy;
	int64_t until;		/* ns; 0: never used */
	uint16_t type;
	struct dns_name name;
	struct dns_cached answer;
};

static struct entry entries[SETS][WAYS];

/* FNV-1a, upper case as lower */
static struct entry *set_of(const struct dns_name *name, uint16_t type)
{
	uint32_t h = 2166136261u ^ type;

	for (size_t i = 0; i < name->len; i++) {
		uint8_t c = name->wire[i];

		h = (h ^ (c >= 'A' && c <= 'Z' ? c + 32u : c)) * 16777619u;
	}
	return entries[(h ^ h >> 16) % SETS];
}

static bool take(struct entry *e)
{
	return !atomic_flag_test_and_set_explicit(&e->busy, memory_order_acquire);
}

static void give(struct entry *e)
{
	atomic_flag_clear_explicit(&e->busy, memory_order_release);
}

static bool is_of(const struct entry *e, const struct dns_name *name, uint16_t type)
{
	return e->until != 0 && e->type == type && dns_name_equal(&e->name, name);
}

bool dns_cache_get(const struct dns_name *name, uint16_t type, struct dns_cached *ret)
{
	struct entry *set = set_of(name, type);
	int64_t now = sys_now_ns();
	bool found = false;

	for (int i = 0; i < WAYS && !found; i++) {
		if (!take(&set[i]))
			continue;
		found = is_of(&set[i], name, type) && now < set[i].until;
		if (found)
			*ret = set[i].answer;
		give(&set[i]);
	}
	return found;
}

/* The entry that has the name already, else the one that lasts the shortest; taken, or NULL. */
static struct entry *choose(struct entry *set, const struct dns_name *name, uint16_t type)
{
	struct entry *best = NULL;

	for (int i = 0; i < WAYS; i++) {
		if (!take(&set[i]))
			continue;
		if (best == NULL || is_of(&set[i], name, type) ||
		    (set[i].until < best->until && !is_of(best, name, type))) {
			if (best != NULL)
				give(best);
			best = &set[i];
		} else {
			give(&set[i]);
		}
	}
	return best;
}

void dns_cache_put(const struct dns_name *name, uint16_t type, uint32_t ttl,
		   const struct dns_cached *answer)
{
	struct entry *e;

	if (ttl == 0)
		return;
	e = choose(set_of(name, type), name, type);
	if (e == NULL)
		return;
	e->until = sys_now_ns() + (ttl < TTL_MAX ? ttl : TTL_MAX) * NS_PER_S;
	e->type = type;
	e->name = *name;
	e->answer = *answer;
	give(e);
}
