/* SPDX-License-Identifier: ISC */
/* nametab_claim.c - an index for a new name: one that was never used, or the longest unused. */
#include <errno.h>

#include "nametab_word.h"

static bool grow(struct nametab *tab)
{
	uint32_t from = atomic_load(&tab->numbers.backed), to = from + NAMETAB_CHUNK;
	uint32_t page = from / NAMETAB_PER_PAGE;

	if (from >= NAMETAB_SIZE)
		return false;
	if (to > NAMETAB_SIZE)
		to = NAMETAB_SIZE;
	if (!nametab_back((const void *)&tab->word[from], (to - from) * sizeof(tab->word[0])) ||
	    !nametab_back(&tab->page[page], (to - 1) / NAMETAB_PER_PAGE * sizeof(tab->page[0]) -
					    page * sizeof(tab->page[0]) + sizeof(tab->page[0])))
		return false;
	/* Another process may have been faster. */
	atomic_compare_exchange_strong(&tab->numbers.backed, &from, to);
	return true;
}

void nametab_reserve(struct nametab *tab)
{
	uint32_t used = atomic_load(&tab->numbers.used), backed = atomic_load(&tab->numbers.backed);

	if (backed < NAMETAB_SIZE && backed - used < NAMETAB_CHUNK)
		(void)grow(tab);
}

static bool take(struct nametab *tab, uint32_t index, uint64_t seen, struct nametab_ref *ret)
{
	uint32_t gen = word_gen(seen) + 1;

	if (gen == 0)
		gen = 1;
	if (!atomic_compare_exchange_strong(&tab->word[index], &seen,
					    word_of(gen, second_now(), NAMETAB_CLAIMED)))
		return false;
	*ret = (struct nametab_ref){ index, gen };
	return true;
}

/* The next index that was never used.  One is lost if its taker is killed, until all are used. */
static bool take_new(struct nametab *tab, struct nametab_ref *ret)
{
	uint32_t used = atomic_load(&tab->numbers.used);

	while (used < NAMETAB_SIZE) {
		if (used >= atomic_load(&tab->numbers.backed)) {
			if (!grow(tab))
				return false;
			continue;
		}
		if (!atomic_compare_exchange_strong(&tab->numbers.used, &used, used + 1))
			continue;
		if (take(tab, used, word_of(0, 0, NAMETAB_FREE), ret))
			return true;
		used = atomic_load(&tab->numbers.used);
	}
	return false;
}

/* Take the next index from the hand on whose last use was before the bound. */
static bool take_old(struct nametab *tab, uint32_t count, uint32_t now, struct nametab_ref *ret)
{
	uint32_t hand = atomic_load(&tab->numbers.hand);
	uint32_t bound = seconds_since(atomic_load(&tab->numbers.bound), now);

	for (uint32_t i = 0; i < count; i++) {
		uint32_t index = (uint32_t)(((uint64_t)hand + i) % count);
		uint64_t word = atomic_load_explicit(&tab->word[index], memory_order_relaxed);

		if (word_state(word) != NAMETAB_FREE &&
		    seconds_since(word_second(word), now) < bound)
			continue;
		if (word_is_old(word, now) && take(tab, index, word, ret)) {
			atomic_store(&tab->numbers.hand, index + 1);
			return true;
		}
	}
	return false;
}

/*
 * Look at all names, and set the bound so that the sixteenth of the time in
 * which they grew old is beyond it: there the next ones are taken without
 * another look.  Returns false when none is old.
 */
static bool set_bound(struct nametab *tab, uint32_t count, uint32_t now)
{
	uint32_t oldest = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t word = atomic_load_explicit(&tab->word[i], memory_order_relaxed);
		uint32_t age = word_state(word) == NAMETAB_FREE ? NAMETAB_OLD_S
								: seconds_since(word_second(word), now);

		if (age > oldest)
			oldest = age;
	}
	if (oldest < NAMETAB_OLD_S) {
		atomic_store(&tab->numbers.wait_until, now + NAMETAB_OLD_S - oldest);
		return false;
	}
	atomic_store(&tab->numbers.bound, now - (oldest - (oldest - NAMETAB_OLD_S) / 16));
	return true;
}

int nametab_claim(struct nametab *tab, struct nametab_ref *ret)
{
	uint32_t now, wait, count;

	if (take_new(tab, ret))
		return 0;
	count = atomic_load(&tab->numbers.used);
	now = second_now();
	wait = (atomic_load(&tab->numbers.wait_until) - now) & NAMETAB_TIME_MAX;
	if (count > NAMETAB_SIZE || (wait > 0 && wait <= NAMETAB_OLD_S))
		return -EAGAIN;
	for (int tries = 0; tries < 3; tries++) {
		if (take_old(tab, count, now, ret))
			return 0;
		if (!set_bound(tab, count, now))
			break;
	}
	return -EAGAIN;
}
