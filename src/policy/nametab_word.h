/* SPDX-License-Identifier: ISC */
/* nametab_word.h - what the atomic words of a table are made of. */
#ifndef SOCKSIFY_NAMETAB_WORD_H
#define SOCKSIFY_NAMETAB_WORD_H

#include <time.h>

#include "nametab.h"
#include "socksify/namepool.h"

/*
 * The word of an index: generation (32 bits), second of the last use (30),
 * state (2).  Whoever changes FREE, or a LIVE or CLAIMED that is old, to CLAIMED
 * with the next generation has the index; it writes the text, and then LIVE.
 * A generation that was left never comes back.
 */
enum nametab_state { NAMETAB_FREE, NAMETAB_CLAIMED, NAMETAB_LIVE };

#define NAMETAB_TIME_MAX 0x3fffffffu

/*
 * Older than this is old.  The time of the last use may lag, and a process
 * that never came to LIVE is given as long.
 */
#define NAMETAB_OLD_S (NAMEPOOL_FRESH_S + NAMETAB_TOUCH_S)

static inline uint64_t word_of(uint32_t gen, uint32_t second, enum nametab_state state)
{
	return (uint64_t)gen << 32 | (second & NAMETAB_TIME_MAX) << 2 | state;
}

static inline uint32_t word_gen(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

static inline uint32_t word_second(uint64_t word)
{
	return (uint32_t)word >> 2;
}

static inline unsigned word_state(uint64_t word)
{
	return word & 3;
}

static inline bool word_is(uint64_t word, uint32_t gen)
{
	return word_gen(word) == gen && word_state(word) == NAMETAB_LIVE;
}

/*
 * Seconds from @then to @now; 0 if @then is to come, as for what was written
 * in another time namespace or before a reboot: such a name is never old.
 */
static inline uint32_t seconds_since(uint32_t then, uint32_t now)
{
	uint32_t age = (now - then) & NAMETAB_TIME_MAX;

	return age > NAMETAB_TIME_MAX / 2 ? 0 : age;
}

/* Coarse, since it takes no system call; and it stands still while the machine sleeps. */
static inline uint32_t second_now(void)
{
	struct timespec t = { 0 };

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint32_t)t.tv_sec & NAMETAB_TIME_MAX;
}

/* nametab_claim - an index for a new name, CLAIMED.  Returns 0, or -EAGAIN. */
MUST_CHECK int nametab_claim(struct nametab *tab, struct nametab_ref *ret);

/* Is the word that of a name which has been out of use for long enough? */
static inline bool word_is_old(uint64_t word, uint32_t now)
{
	return word_state(word) == NAMETAB_FREE ||
	       seconds_since(word_second(word), now) >= NAMETAB_OLD_S;
}

#endif
