/* SPDX-License-Identifier: ISC */
/* scratch.c - memory for the time of a call, where the stack is too small and malloc(3) not allowed. */
#include "socksify/scratch.h"

#include <stdatomic.h>
#include <stdint.h>

#include "socksify/sys.h"

#define SLOTS 2		/* select(2) needs two at a time */
#define KEPT_MAX (1u << 16)	/* larger ones are rare, and not kept */
#define PAGE 4096u

/* Stands before the memory. */
struct block {
	size_t size;	/* of the map */
	_Alignas(16) char memory[];
};

static _Atomic(struct block *) kept[SLOTS];

void *scratch_take(size_t size)
{
	size_t whole = (sizeof(struct block) + size + PAGE - 1) / PAGE * PAGE;
	struct block *b;

	for (int i = 0; i < SLOTS; i++) {
		b = atomic_exchange(&kept[i], NULL);
		if (b != NULL && b->size >= whole)
			return b->memory;
		if (b != NULL)
			sys_unmap(b, b->size);
	}
	b = sys_map(whole, false);
	if (b == NULL)
		return NULL;
	b->size = whole;
	return b->memory;
}

void scratch_give(void *memory)
{
	struct block *b = (struct block *)((uintptr_t)memory - offsetof(struct block, memory));

	for (int i = 0; b->size <= KEPT_MAX && i < SLOTS; i++) {
		struct block *none = NULL;

		if (atomic_compare_exchange_strong(&kept[i], &none, b))
			return;
	}
	sys_unmap(b, b->size);
}
