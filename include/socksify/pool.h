/* SPDX-License-Identifier: ISC */
/* pool.h - objects of one size whose storage is reused but never unmapped. */
#ifndef SOCKSIFY_POOL_H
#define SOCKSIFY_POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A pool is lock-free and async-signal-safe.  An object may be looked at after
 * it was given back, so a reader that races with a release sees an old or a
 * new object, and never a fault.
 */
struct pool {
	size_t stride;		/* of an object with its head */
	uint32_t chunk;		/* objects that are mapped together, a power of two */
	uint32_t chunk_bits;	/* its logarithm */
	uint32_t max;		/* objects in all, a multiple of chunk */
	bool shared;		/* a child of fork(2) shares what it inherits */
	_Atomic(char *) *chunks;	/* max / chunk of them */
	_Atomic uint64_t free_head;	/* reuses << 32 | index + 1 */
	_Atomic uint32_t used;
};

/* Stands before each object. */
struct pool_head {
	_Atomic uint32_t next_free;	/* index + 1 */
	uint32_t index;
	_Alignas(16) char object[];
};

/* Define the pool @name for @how_many objects of @type. */
#define POOL(name, type, per_chunk, how_many, is_shared)                             \
	static _Atomic(char *) name##_chunks[(how_many) / (per_chunk)];              \
	static struct pool name = {                                                  \
		.stride = (sizeof(struct pool_head) + sizeof(type) + 15) / 16 * 16,  \
		.chunk = per_chunk, .chunk_bits = __builtin_ctz(per_chunk),          \
		.max = how_many, .shared = is_shared, .chunks = name##_chunks }

/* An object, all zero if it is new, else as it was given back; NULL without memory. */
void *pool_take(struct pool *pool);
void pool_give(struct pool *pool, void *object);

/* index: 0 .. max - 1, of an object that was taken before */
static inline void *pool_at(const struct pool *pool, uint32_t index)
{
	char *chunk = atomic_load_explicit(&pool->chunks[index >> pool->chunk_bits],
					   memory_order_acquire);

	return chunk + (index & (pool->chunk - 1)) * pool->stride + offsetof(struct pool_head, object);
}

static inline struct pool_head *pool_head_of(const void *object)
{
	return (struct pool_head *)((uintptr_t)object - offsetof(struct pool_head, object));
}

static inline uint32_t pool_index(const void *object)
{
	return pool_head_of(object)->index;
}

/* So many objects were ever taken: the indexes below it are valid. */
uint32_t pool_used(struct pool *pool);

/* In the child of fork(2): take no more from what is shared with the parent. */
void pool_abandon(struct pool *pool);

#endif
