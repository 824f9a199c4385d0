/* SPDX-License-Identifier: ISC */
/* fdtab.c - which fds are proxied connections, and what the program asked for. */
#include "socksify/fdtab.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "socksify/sys.h"

/*
 * A slot is 0 or (generation << 32 | index + 1) of an entry.  Entries come
 * from a pool with a lock-free free list, whose head has the same form; the
 * generation counts reuses, so that a reader notices when the entry that it
 * copies was recycled under it.
 */
#define POOL_CHUNK 1024u
#define POOL_CHUNKS 1024u

struct entry {
	_Atomic uint32_t refs;
	_Atomic uint32_t next_free;	/* index + 1 */
	_Atomic uint32_t generation;
	struct conn conn;
};

static _Atomic uint64_t slots[FDTAB_MAX];
static _Atomic(struct entry *) chunks[POOL_CHUNKS];
static _Atomic uint64_t free_head;
static _Atomic uint32_t pool_used;
static _Atomic int owner;

static struct entry *entry_at(uint32_t index)
{
	return atomic_load(&chunks[index / POOL_CHUNK]) + index % POOL_CHUNK;
}

/* Make sure that the chunk of @index is mapped; a loser of the race unmaps its own. */
static bool map_chunk(uint32_t index)
{
	_Atomic(struct entry *) *chunk = &chunks[index / POOL_CHUNK];
	struct entry *none = NULL;
	void *map;

	if (atomic_load(chunk) != NULL)
		return true;
	map = mmap(NULL, POOL_CHUNK * sizeof(struct entry), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return false;
	if (!atomic_compare_exchange_strong(chunk, &none, map))
		munmap(map, POOL_CHUNK * sizeof(struct entry));
	return true;
}

static uint64_t pack(uint32_t generation, uint32_t index_plus_one)
{
	return (uint64_t)generation << 32 | index_plus_one;
}

/* Index + 1 of an unused entry, or 0. */
static uint32_t entry_alloc(void)
{
	uint64_t head = atomic_load(&free_head);
	uint32_t index;

	while ((uint32_t)head != 0) {
		uint32_t next = atomic_load(&entry_at((uint32_t)head - 1)->next_free);
		uint64_t want = pack((uint32_t)(head >> 32) + 1, next);

		if (atomic_compare_exchange_weak(&free_head, &head, want))
			return (uint32_t)head;
	}
	index = atomic_load(&pool_used);
	do {
		if (index >= POOL_CHUNK * POOL_CHUNKS || !map_chunk(index))
			return 0;
	} while (!atomic_compare_exchange_weak(&pool_used, &index, index + 1));
	return index + 1;
}

static void entry_unref(uint64_t slot)
{
	struct entry *e;
	uint64_t head, want;

	if (slot == 0)
		return;
	e = entry_at((uint32_t)slot - 1);
	if (atomic_fetch_sub(&e->refs, 1) != 1)
		return;
	atomic_fetch_add(&e->generation, 1);
	head = atomic_load(&free_head);
	do {
		atomic_store(&e->next_free, (uint32_t)head);
		want = pack((uint32_t)(head >> 32) + 1, (uint32_t)slot);
	} while (!atomic_compare_exchange_weak(&free_head, &head, want));
}

static bool in_range(int fd)
{
	return fd >= 0 && fd < FDTAB_MAX;
}

bool fdtab_has(int fd)
{
	return in_range(fd) &&
	       atomic_load_explicit(&slots[fd], memory_order_relaxed) != 0;
}

int fdtab_put(int fd, const struct conn *conn)
{
	struct entry *e;
	uint32_t at;

	if (!in_range(fd))
		return -EMFILE;
	at = entry_alloc();
	if (at == 0)
		return -ENOMEM;
	e = entry_at(at - 1);
	e->conn = *conn;
	atomic_store(&e->refs, 1);
	entry_unref(atomic_exchange(&slots[fd], pack(atomic_load(&e->generation), at)));
	return 0;
}

static bool owned_by_us(void)
{
	return atomic_load_explicit(&owner, memory_order_relaxed) == sys_getpid();
}

int fdtab_find(int fd, struct conn *ret)
{
	struct entry *e;
	struct conn copy;
	uint64_t slot, cookie = 0;
	socklen_t len = sizeof(cookie);

	if (!fdtab_has(fd))
		return -ENOENT;
	slot = atomic_load(&slots[fd]);
	if (slot == 0)
		return -ENOENT;
	e = entry_at((uint32_t)slot - 1);
	copy = e->conn;
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load(&e->generation) != (uint32_t)(slot >> 32))
		return -ENOENT; /* closed by another thread meanwhile */
	if (sys_getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) < 0 ||
	    cookie != copy.cookie) {
		if (owned_by_us() && atomic_compare_exchange_strong(&slots[fd], &slot, 0))
			entry_unref(slot);
		return -ENOENT;
	}
	*ret = copy;
	return 0;
}

int fdtab_adopt(int fd, struct conn *ret)
{
	uint32_t used = atomic_load(&pool_used);
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	if (used == 0 || sys_getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) < 0)
		return -ENOENT;
	for (uint32_t i = 0; i < used; i++) {
		struct entry *e = entry_at(i);
		uint32_t generation = atomic_load(&e->generation);
		struct conn copy = e->conn;

		atomic_thread_fence(memory_order_acquire);
		if (copy.cookie != cookie || atomic_load(&e->refs) == 0 ||
		    atomic_load(&e->generation) != generation)
			continue;
		*ret = copy;
		return owned_by_us() ? fdtab_put(fd, &copy) : 0;
	}
	return -ENOENT;
}

void fdtab_drop(int fd)
{
	if (fdtab_has(fd) && owned_by_us())
		entry_unref(atomic_exchange(&slots[fd], 0));
}

void fdtab_drop_range(unsigned low, unsigned high)
{
	if (high >= FDTAB_MAX)
		high = FDTAB_MAX - 1;
	if (atomic_load_explicit(&pool_used, memory_order_relaxed) == 0)
		return; /* no fd was ever ours: leave the table's pages untouched */
	for (unsigned fd = low; fd <= high; fd++)
		fdtab_drop((int)fd);
}

void fdtab_dup(int from, int to)
{
	struct conn conn;

	if (from == to || (!fdtab_has(from) && !fdtab_has(to)) || !owned_by_us())
		return;
	fdtab_drop(to);
	/* Without memory the duplicate merely shows the proxy as its peer. */
	if (fdtab_find(from, &conn) == 0 && fdtab_put(to, &conn) < 0)
		return;
}

void fdtab_set_owner(int pid)
{
	atomic_store(&owner, pid);
}
