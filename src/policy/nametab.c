/* SPDX-License-Identifier: ISC */
/* nametab.c - names by index, and the index of a name, without a lock. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "nametab_word.h"

#define MAGIC UINT64_C(0x33304c4f4f504b53) /* "SKPOOL03" */
#define TRIES_MAX 1000 /* in a sound table somebody else adds a name in each that fails */

/*
 * What a bucket has of a name: generation (32 bits), tag of its hash (13),
 * DONE (1), index + 1 (18).  It stands for a name as long as the index is LIVE
 * in that generation, and when it no longer is it never will be again: so such
 * a slot may be overwritten whatever became of the index since.
 */
#define INDEX_MASK 0x3ffffu
#define DONE UINT64_C(0x40000) /* only in the head: it is in a slot, too */
#define TAG_MASK 0xfff80000u

static uint32_t slot_index(uint64_t slot)
{
	return ((uint32_t)slot & INDEX_MASK) - 1; /* 0 is no index: out of range */
}

static _Atomic uint64_t *head_at(struct nametab *tab, uint32_t bucket)
{
	return &tab->line[0][bucket].slot[0];
}

static _Atomic uint64_t *slot_at(struct nametab *tab, uint32_t bucket, uint32_t i)
{
	return &tab->line[(i + 1) / NAMETAB_PER_LINE][bucket].slot[(i + 1) % NAMETAB_PER_LINE];
}

static uint64_t spread(uint64_t h)
{
	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return h ^ h >> 33;
}

static size_t words_of(const union nametab_key *key)
{
	return key->octet[0] / sizeof(uint64_t) + 1;
}

static uint64_t hash(const struct nametab *tab, const union nametab_key *key)
{
	size_t count = words_of(key);
	uint64_t h = tab->numbers.fixed.seed;

	for (size_t i = 0; i < count; i++) {
		h = (h ^ key->word[i]) * UINT64_C(0x9e3779b97f4a7c15);
		h = h << 29 | h >> 35;
	}
	return spread(h);
}

/*
 * A process that was stopped in the middle of a text, for so long that its
 * index was taken from it, may go on writing.  Its generation is not the one
 * of the index any more, and so its text does not count.
 */
static uint64_t check_of(uint64_t h, uint32_t gen)
{
	return spread(h + gen);
}

static struct nametab_text *text_at(struct nametab *tab, uint32_t index)
{
	return &tab->page[index / NAMETAB_PER_PAGE].text[index % NAMETAB_PER_PAGE];
}

/* Has the index been taken ever?  What is beyond has no storage yet. */
static bool is_used(struct nametab *tab, uint32_t index)
{
	return index < NAMETAB_SIZE &&
	       index < atomic_load_explicit(&tab->numbers.used, memory_order_relaxed);
}

static bool is_live(struct nametab *tab, uint32_t index, uint32_t gen)
{
	return is_used(tab, index) && word_is(atomic_load(&tab->word[index]), gen);
}

/*
 * Note that an index is used now, if it still stands for the same name.  After
 * that it does for NAMEPOOL_FRESH_S, so this is the last step of every answer.
 */
static bool touch(struct nametab *tab, struct nametab_ref ref)
{
	uint64_t word = atomic_load(&tab->word[ref.index]);

	while (word_is(word, ref.gen)) {
		uint32_t now = second_now();

		if (seconds_since(word_second(word), now) < NAMETAB_TOUCH_S)
			return true;
		if (atomic_compare_exchange_strong(&tab->word[ref.index], &word,
						   word_of(ref.gen, now, NAMETAB_LIVE)))
			return true;
	}
	return false;
}

static bool is_text(struct nametab *tab, struct nametab_ref ref,
		    const union nametab_key *key, uint64_t h)
{
	struct nametab_text *text = text_at(tab, ref.index);
	size_t count = words_of(key);

	for (size_t i = 0; i < count; i++) {
		if (atomic_load_explicit(&text->word[i], memory_order_acquire) != key->word[i])
			return false;
	}
	return atomic_load_explicit(&text->check, memory_order_acquire) == check_of(h, ref.gen);
}

static void write_text(struct nametab *tab, struct nametab_ref ref,
		       const union nametab_key *key, uint64_t h)
{
	struct nametab_text *text = text_at(tab, ref.index);
	size_t count = words_of(key);

	for (size_t i = 0; i < count; i++)
		atomic_store_explicit(&text->word[i], key->word[i], memory_order_relaxed);
	atomic_store_explicit(&text->check, check_of(h, ref.gen), memory_order_relaxed);
}

/* CLAIMED or LIVE to what comes next, if it is still ours. */
static bool change_state(struct nametab *tab, struct nametab_ref ref,
			 enum nametab_state from, enum nametab_state to)
{
	uint64_t word = atomic_load(&tab->word[ref.index]);

	while (word_gen(word) == ref.gen && word_state(word) == from) {
		if (atomic_compare_exchange_strong(&tab->word[ref.index], &word,
						   word_of(ref.gen, word_second(word), to)))
			return true;
	}
	return false;
}

static bool is_name(struct nametab *tab, uint64_t slot, const union nametab_key *key,
		    uint64_t h, struct nametab_ref *ret)
{
	struct nametab_ref ref = { slot_index(slot), word_gen(slot) };

	if ((((uint32_t)slot ^ (uint32_t)h) & TAG_MASK) != 0 ||
	    !is_live(tab, ref.index, ref.gen) || !is_text(tab, ref, key, h) ||
	    !touch(tab, ref))
		return false;
	*ret = ref;
	return true;
}

/* Slots are filled from the first on, and never emptied. */
static bool find(struct nametab *tab, uint32_t bucket, uint64_t head,
		 const union nametab_key *key, uint64_t h, struct nametab_ref *ret)
{
	if (is_name(tab, head, key, h, ret))
		return true;
	for (uint32_t i = 0; i < NAMETAB_SLOTS; i++) {
		uint64_t slot = atomic_load_explicit(slot_at(tab, bucket, i), memory_order_acquire);

		if (slot == 0)
			break;
		if (is_name(tab, slot, key, h, ret))
			return true;
	}
	return false;
}

/* A slot that is empty or stands for no name any more, and what is in it; NULL when there is none. */
static _Atomic uint64_t *free_slot(struct nametab *tab, uint32_t bucket,
				   uint32_t start, uint64_t *ret)
{
	for (uint32_t i = 0; i < NAMETAB_SLOTS; i++) {
		if (atomic_load(slot_at(tab, bucket, i)) == 0) {
			*ret = 0;
			return slot_at(tab, bucket, i);
		}
	}
	for (uint32_t i = 0; i < NAMETAB_SLOTS; i++) {
		_Atomic uint64_t *at = slot_at(tab, bucket, (start + i) % NAMETAB_SLOTS);
		uint64_t slot = atomic_load(at);

		if (!is_live(tab, slot_index(slot), word_gen(slot))) {
			*ret = slot;
			return at;
		}
	}
	return NULL;
}

static bool has_slot(struct nametab *tab, uint32_t bucket, uint64_t head)
{
	for (uint32_t i = 0; i < NAMETAB_SLOTS; i++) {
		uint64_t slot = atomic_load(slot_at(tab, bucket, i));

		if (slot == head || slot == 0)
			return slot == head;
	}
	return false;
}

/*
 * See to it that the name in the head is in a slot, as the one who put it
 * there may not live to do it.  Several may do so at the same time: then it is
 * in two slots at worst.  Returns false when there is no room for it.
 */
static bool settle(struct nametab *tab, uint32_t bucket, uint64_t head)
{
	if (head == 0 || (head & DONE) != 0)
		return true;
	while (!has_slot(tab, bucket, head) && atomic_load(head_at(tab, bucket)) == head &&
	       is_live(tab, slot_index(head), word_gen(head))) {
		uint64_t seen;
		_Atomic uint64_t *slot = free_slot(tab, bucket, word_gen(head), &seen);

		if (slot == NULL)
			return false;
		atomic_compare_exchange_strong(slot, &seen, head);
	}
	atomic_compare_exchange_strong(head_at(tab, bucket), &head, head | DONE);
	return true;
}

/* Room in a full bucket: the name in it that was longest out of use, if it was for long enough. */
static bool evict(struct nametab *tab, uint32_t bucket)
{
	uint32_t now = second_now(), oldest = NAMETAB_OLD_S;
	struct nametab_ref victim = { NAMETAB_SIZE, 0 };
	uint64_t seen = 0;

	for (uint32_t i = 0; i < NAMETAB_SLOTS; i++) {
		uint64_t slot = atomic_load(slot_at(tab, bucket, i)), word;
		uint32_t index = slot_index(slot);

		if (!is_live(tab, index, word_gen(slot)))
			return true; /* meanwhile */
		word = atomic_load(&tab->word[index]);
		if (word_is(word, word_gen(slot)) &&
		    seconds_since(word_second(word), now) >= oldest) {
			oldest = seconds_since(word_second(word), now);
			victim = (struct nametab_ref){ index, word_gen(slot) };
			seen = word;
		}
	}
	return victim.index < NAMETAB_SIZE &&
	       atomic_compare_exchange_strong(&tab->word[victim.index], &seen,
					      word_of(victim.gen, word_second(seen), NAMETAB_FREE));
}

/* Take an index and write the name; it is LIVE, but not in its bucket yet. */
static int prepare(struct nametab *tab, const union nametab_key *key, uint64_t h,
		   struct nametab_ref *ret)
{
	int err;

	do {
		err = nametab_claim(tab, ret);
		if (err < 0)
			return err;
		write_text(tab, *ret, key, h);
	} while (!change_state(tab, *ret, NAMETAB_CLAIMED, NAMETAB_LIVE));
	return 0;
}

/*
 * A name is added by exchanging the head of its bucket for it.  The exchange
 * fails if another name came after the head was read, which was before the
 * bucket was searched: so no name is ever added twice.
 */
int nametab_add(struct nametab *tab, const union nametab_key *key, struct nametab_ref *ret)
{
	uint64_t h = hash(tab, key), head, seen;
	uint32_t bucket = (uint32_t)(h >> 32) % NAMETAB_BUCKETS;
	struct nametab_ref mine = { 0, 0 }, found = { 0, 0 };
	int err = -EAGAIN;

	for (int tries = 0; tries < TRIES_MAX; tries++) {
		head = atomic_load(head_at(tab, bucket));
		if (find(tab, bucket, head, key, h, &found)) {
			err = 0;
			break;
		}
		if (!settle(tab, bucket, head) || free_slot(tab, bucket, 0, &seen) == NULL) {
			if (!evict(tab, bucket))
				break;
			continue;
		}
		if (mine.gen == 0) {
			err = prepare(tab, key, h, &mine);
			if (err < 0)
				break;
			err = -EAGAIN;
		}
		if (head != 0)
			head |= DONE;
		seen = (uint64_t)mine.gen << 32 | ((uint32_t)h & TAG_MASK) | (mine.index + 1);
		if (!atomic_compare_exchange_strong(head_at(tab, bucket), &head, seen))
			continue;
		(void)settle(tab, bucket, seen);
		found = mine;
		mine.gen = 0;
		if (touch(tab, found)) {
			err = 0;
			break;
		}
	}
	if (mine.gen != 0)
		(void)change_state(tab, mine, NAMETAB_LIVE, NAMETAB_FREE);
	if (err == 0)
		*ret = found;
	return err;
}

int nametab_name(struct nametab *tab, uint32_t index, union nametab_key *ret, uint32_t *ret_gen)
{
	struct nametab_ref ref = { index, 0 };
	union nametab_key key;
	struct nametab_text *text;
	uint64_t word;
	size_t count;

	if (!is_used(tab, index))
		return -ENOENT;
	word = atomic_load(&tab->word[index]);
	ref.gen = word_gen(word);
	if (!word_is(word, ref.gen))
		return -ENOENT;
	text = text_at(tab, index);
	memset(&key, 0, sizeof(key));
	key.word[0] = atomic_load_explicit(&text->word[0], memory_order_acquire);
	count = words_of(&key);
	for (size_t i = 1; i < count; i++)
		key.word[i] = atomic_load_explicit(&text->word[i], memory_order_acquire);
	if (key.octet[0] == 0 ||
	    atomic_load_explicit(&text->check, memory_order_acquire) !=
		    check_of(hash(tab, &key), ref.gen) ||
	    !touch(tab, ref))
		return -ENOENT;
	*ret = key;
	*ret_gen = ref.gen;
	return 0;
}

static uint8_t lower(uint8_t octet)
{
	return octet >= 'A' && octet <= 'Z' ? octet + 32 : octet;
}

int nametab_key(const char *name, size_t len, union nametab_key *ret)
{
	if (len == 0 || len > TARGET_NAME_MAX)
		return -EINVAL;
	ret->word[len / sizeof(ret->word[0])] = 0; /* what is beyond is not looked at */
	ret->octet[0] = (uint8_t)len;
	for (size_t i = 0; i < len; i++)
		ret->octet[i + 1] = lower((uint8_t)name[i]);
	return 0;
}

static uint64_t check_fixed(const struct nametab_fixed *fixed)
{
	return spread(spread(fixed->magic ^ fixed->seed) +
		      ((uint64_t)fixed->size << 32 | fixed->base));
}

int nametab_format(struct nametab *tab, bool shares_storage)
{
	struct nametab_fixed fixed = { .magic = MAGIC, .size = sizeof(*tab) };

	if (getrandom(&fixed.seed, sizeof(fixed.seed), GRND_NONBLOCK) < 0)
		fixed.seed = spread((uint64_t)getpid() << 32 | second_now());
	fixed.base = (uint32_t)(spread(fixed.seed) % NAMETAB_SIZE);
	if (!shares_storage) {
		atomic_store(&tab->numbers.backed, NAMETAB_SIZE);
	} else {
		if (!nametab_back(tab, offsetof(struct nametab, word)) ||
		    !nametab_back(tab->line, sizeof(tab->line)))
			return -ENOSPC;
		nametab_reserve(tab);
		if (atomic_load(&tab->numbers.backed) == 0)
			return -ENOSPC;
	}
	tab->numbers.fixed = fixed;
	tab->numbers.fixed_check = check_fixed(&fixed);
	return 0;
}

bool nametab_is_sound(const struct nametab *tab)
{
	const struct nametab_numbers *n = &tab->numbers;
	uint32_t used = atomic_load(&n->used), backed = atomic_load(&n->backed);

	return n->fixed.magic == MAGIC && n->fixed.size == sizeof(*tab) &&
	       n->fixed.base < NAMETAB_SIZE && n->fixed_check == check_fixed(&n->fixed) &&
	       used <= backed && backed <= NAMETAB_SIZE;
}
