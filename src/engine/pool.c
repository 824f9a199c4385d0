/* SPDX-License-Identifier: ISC */
/* pool.c - objects of one size whose storage is reused but never unmapped. */
#include "socksify/pool.h"

#include "socksify/sys.h"

/* Make sure that the chunk of @index is mapped; a loser of the race unmaps its own. */
static bool map_chunk(struct pool *pool, uint32_t index)
{
	_Atomic(char *) *chunk = &pool->chunks[index >> pool->chunk_bits];
	size_t size = pool->chunk * pool->stride;
	char *none = NULL, *map;

	if (atomic_load(chunk) != NULL)
		return true;
	map = sys_map(size, pool->shared);
	if (map == NULL)
		return false;
	for (uint32_t i = 0; i < pool->chunk; i++)
		((struct pool_head *)(void *)(map + i * pool->stride))->index =
			(index & ~(pool->chunk - 1)) + i;
	if (!atomic_compare_exchange_strong(chunk, &none, map))
		sys_unmap(map, size);
	return true;
}

void *pool_take(struct pool *pool)
{
	uint64_t head = atomic_load(&pool->free_head);
	uint32_t index;

	while ((uint32_t)head != 0) {
		void *object = pool_at(pool, (uint32_t)head - 1);
		uint32_t next = atomic_load(&pool_head_of(object)->next_free);
		uint64_t want = ((head >> 32) + 1) << 32 | next;

		if (atomic_compare_exchange_weak(&pool->free_head, &head, want))
			return object;
	}
	index = atomic_load(&pool->used);
	do {
		if (index >= pool->max || !map_chunk(pool, index))
			return NULL;
	} while (!atomic_compare_exchange_weak(&pool->used, &index, index + 1));
	return pool_at(pool, index);
}

void pool_give(struct pool *pool, void *object)
{
	struct pool_head *h = pool_head_of(object);
	uint64_t head = atomic_load(&pool->free_head), want;

	do {
		atomic_store(&h->next_free, (uint32_t)head);
		want = ((head >> 32) + 1) << 32 | (h->index + 1);
	} while (!atomic_compare_exchange_weak(&pool->free_head, &head, want));
}

uint32_t pool_used(struct pool *pool)
{
	return atomic_load(&pool->used);
}

void pool_abandon(struct pool *pool)
{
	uint32_t used = atomic_load(&pool->used);

	used = (used + pool->chunk - 1) / pool->chunk * pool->chunk;
	atomic_store(&pool->free_head, 0);
	atomic_store(&pool->used, used);
	/* One that was just mapped, and from which nothing was taken yet. */
	if (used < pool->max)
		atomic_store(&pool->chunks[used >> pool->chunk_bits], NULL);
}
