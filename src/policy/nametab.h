/* SPDX-License-Identifier: ISC */
/*
 * nametab.h - the table behind the name pool, in memory that processes share:
 * names by index, and the index of a name.
 *
 * Nothing in it is locked, so nothing can be left locked by a process that is
 * killed, stopped or interrupted by its own signal handler.  Nothing in it is
 * believed either: an index is checked before it is used, a text is compared
 * with its checksum, and no walk follows links.
 */
#ifndef SOCKSIFY_NAMETAB_H
#define SOCKSIFY_NAMETAB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "socksify/target.h"

#define NAMETAB_SIZE 131072u	/* 198.18.0.0/15 */
#define NAMETAB_BUCKETS 2048u
#define NAMETAB_PER_LINE 8u
#define NAMETAB_LINES 16u
/* A full table has 64 names in a bucket; in none so many. */
#define NAMETAB_SLOTS (NAMETAB_LINES * NAMETAB_PER_LINE - 1)
#define NAMETAB_PER_PAGE 15u
#define NAMETAB_CHUNK (68u * NAMETAB_PER_PAGE)	/* names whose storage is reserved at once */
#define NAMETAB_TOUCH_S 60	/* the time of the last use is exact to so many seconds */
#define NAMETAB_KEY_WORDS 32u

/* A name as it is stored and compared: a length octet, the name in lower case, zeros. */
union nametab_key {
	uint8_t octet[TARGET_NAME_MAX + 1];
	uint64_t word[NAMETAB_KEY_WORDS];
};

struct nametab_text {
	_Atomic uint64_t check;	/* of the name and the generation of its index */
	_Atomic uint64_t word[NAMETAB_KEY_WORDS];
};

struct nametab_page {
	struct nametab_text text[NAMETAB_PER_PAGE];
	uint8_t unused[136];
};

/*
 * The names with one hash, a bucket: a head and slots.  The head is the one
 * that came last; its change is what adds a name.  Then it is copied into a
 * slot, by whoever comes by.  The first lines of all buckets lie side by side,
 * and so on, so that few names need few pages.
 */
struct nametab_line {
	_Alignas(64) _Atomic uint64_t slot[NAMETAB_PER_LINE]; /* of the first line: [0] is the head */
};

struct nametab_fixed {
	uint64_t magic;		/* changes with the layout */
	uint64_t seed;		/* of the hash */
	uint32_t base;		/* random: the address of index 0, so that two tables hardly ever agree */
	uint32_t size;
};

struct nametab_numbers {
	struct nametab_fixed fixed;
	uint64_t fixed_check;
	_Alignas(64) _Atomic uint32_t used;	/* indexes that were ever taken */
	_Atomic uint32_t backed;	/* indexes whose storage is reserved */
	_Alignas(64) _Atomic uint32_t hand;	/* where the search for an old name goes on */
	_Atomic uint32_t bound;		/* names used last before it are old */
	_Atomic uint32_t wait_until;	/* nothing is old before */
};

struct nametab {
	union {
		struct nametab_numbers numbers;
		uint8_t whole_page[65536]; /* the largest of any machine */
	};
	_Atomic uint64_t word[NAMETAB_SIZE]; /* generation, time, state */
	struct nametab_line line[NAMETAB_LINES][NAMETAB_BUCKETS];
	struct nametab_page page[(NAMETAB_SIZE + NAMETAB_PER_PAGE - 1) / NAMETAB_PER_PAGE];
};

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "processes share it: a lock in each would not do");
_Static_assert(sizeof(struct nametab_page) == 4096, "a text lies in one page");
_Static_assert(sizeof(struct nametab_numbers) == 192, "32-bit and 64-bit programs share it");

/*
 * An index in use: @gen tells its present name from its earlier and later ones.
 */
struct nametab_ref {
	uint32_t index;
	uint32_t gen;
};

/*
 * nametab_format - make an empty table.
 * @tab: zeroed memory that no other process uses yet
 * @shares_storage: it lies in a file system that may be full
 * Returns 0, or -ENOSPC.
 */
MUST_CHECK int nametab_format(struct nametab *tab, bool shares_storage);

/* Was it made by nametab_format() of this version, and are its numbers in range? */
bool nametab_is_sound(const struct nametab *tab);

/* nametab_reserve - have storage for the next names, so that they need no system call. */
void nametab_reserve(struct nametab *tab);

/*
 * nametab_key - bring a name into the form that is stored.
 * Returns 0, or -EINVAL when @len is not 1 .. 255.
 */
MUST_CHECK int nametab_key(const char *name, size_t len, union nametab_key *ret);

/*
 * nametab_add - the index of a name, a new one if it has none.  It is used now.
 * Returns 0, or -EAGAIN: no index is free, nor unused for long enough.
 */
MUST_CHECK int nametab_add(struct nametab *tab, const union nametab_key *key,
			   struct nametab_ref *ret);

/*
 * nametab_name - the name of an index: any number.  It is used now.
 * Returns 0, or -ENOENT.
 */
MUST_CHECK int nametab_name(struct nametab *tab, uint32_t index,
			    union nametab_key *ret, uint32_t *ret_gen);

/* nametab_map - the table in a folder, made or replaced if need be; NULL when that cannot be. */
struct nametab *nametab_map(const char *folder);

/* nametab_map_private - a new table for this process and its children; NULL without memory. */
struct nametab *nametab_map_private(void);

/* The storage of the table, in nametab_space.c: see nametab_reserve(). */
MUST_CHECK bool nametab_back(const void *at, size_t len);

#endif
