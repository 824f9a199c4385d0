/* SPDX-License-Identifier: ISC */
/* real.c - the functions behind ours: libc's, or those of the next preloaded library. */
#include "real.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define REAL_NAME(name) #name,
static const char *const names[REAL_COUNT] = { REAL_SYMBOLS(REAL_NAME) };

_Atomic(void *) real_symbols[REAL_COUNT];

void *real_look_up(enum real_id id)
{
	void *fn = dlsym(RTLD_NEXT, names[id]);

	atomic_store_explicit(&real_symbols[id], fn, memory_order_relaxed);
	return fn;
}

/*
 * At start all are looked up at once: in the objects behind ours, in the order
 * of dlsym(RTLD_NEXT), by the hash table that it uses.  That is a fifth of the
 * work of so many dlsym(3).  Whatever is unusual is left to dlsym(3).
 */
struct object {
	ElfW(Addr) base;
	const uint32_t *hash;		/* DT_GNU_HASH */
	const ElfW(Sym) *symbols;
	const ElfW(Half) *versions;	/* or NULL */
	const char *strings;
};

static const char *own_path;

extern const ElfW(Dyn) own_dynamic[] __asm__("_DYNAMIC") __attribute__((visibility("hidden")));

static const ElfW(Dyn) *dynamic_of(const struct dl_phdr_info *found)
{
	for (int i = 0; i < found->dlpi_phnum; i++)
		if (found->dlpi_phdr[i].p_type == PT_DYNAMIC)
			return (const ElfW(Dyn) *)(found->dlpi_addr + found->dlpi_phdr[i].p_vaddr);
	return NULL;
}

/* Returns false for an object without such a table. */
static bool open_object(ElfW(Addr) base, const ElfW(Dyn) *dynamic, struct object *ret)
{
	*ret = (struct object){ .base = base };
	for (; dynamic != NULL && dynamic->d_tag != DT_NULL; dynamic++) {
		/* The loader has added the base where it may write. */
		ElfW(Addr) at = dynamic->d_un.d_ptr + (dynamic->d_un.d_ptr < base ? base : 0);

		if (dynamic->d_tag == DT_GNU_HASH)
			ret->hash = (const uint32_t *)at;
		else if (dynamic->d_tag == DT_SYMTAB)
			ret->symbols = (const ElfW(Sym) *)at;
		else if (dynamic->d_tag == DT_STRTAB)
			ret->strings = (const char *)at;
		else if (dynamic->d_tag == DT_VERSYM)
			ret->versions = (const ElfW(Half) *)at;
	}
	return ret->hash != NULL && ret->symbols != NULL && ret->strings != NULL;
}

static uint32_t hash_of(const char *name)
{
	uint32_t hash = 5381;

	while (*name != '\0')
		hash = hash * 33 + (unsigned char)*name++;
	return hash;
}

/* Is it defined, under the version that is the default? */
static bool is_offered(const struct object *in, uint32_t index)
{
	const uint16_t hidden = 0x8000;

	return in->symbols[index].st_shndx != SHN_UNDEF &&
	       (in->versions == NULL || (in->versions[index] & hidden) == 0);
}

/* The table: four words, the Bloom filter, the buckets, and a hash for each symbol from @first on. */
static const ElfW(Sym) *find(const struct object *in, const char *name)
{
	const uint32_t buckets = in->hash[0], first = in->hash[1], words = in->hash[2];
	const uint32_t bits = 8 * sizeof(ElfW(Addr)), hash = hash_of(name);
	const ElfW(Addr) *filter = (const ElfW(Addr) *)(const void *)(in->hash + 4);
	const uint32_t *bucket = (const uint32_t *)(const void *)(filter + words);
	const uint32_t *chain = bucket + buckets;
	ElfW(Addr) word = filter[hash / bits & (words - 1)];
	uint32_t index;

	if ((word >> hash % bits & word >> (hash >> in->hash[3]) % bits & 1) == 0)
		return NULL;
	index = bucket[hash % buckets];
	if (index == 0)
		return NULL;
	for (;; index++) {
		uint32_t there = chain[index - first];

		if ((there | 1) == (hash | 1) && is_offered(in, index) &&
		    strcmp(in->strings + in->symbols[index].st_name, name) == 0)
			return &in->symbols[index];
		if ((there & 1) != 0)
			return NULL;
	}
}

/* Look for all that are still missing.  Returns how many are. */
static int find_all(const struct object *in)
{
	int missing = 0;

	for (int id = 0; id < REAL_COUNT; id++) {
		const ElfW(Sym) *symbol;

		if (atomic_load_explicit(&real_symbols[id], memory_order_relaxed) != NULL)
			continue;
		symbol = find(in, names[id]);
		if (symbol == NULL)
			missing++;
		else if ((symbol->st_info & 0xf) != STT_FUNC)
			(void)real_look_up((enum real_id)id);
		else
			atomic_store_explicit(&real_symbols[id],
					      (void *)(in->base + symbol->st_value),
					      memory_order_relaxed);
	}
	return missing;
}

/* For dl_iterate_phdr(3), which comes by in the order of the search.  Returns 1 to end it. */
static int visit(struct dl_phdr_info *found, size_t size, void *arg)
{
	const ElfW(Dyn) *dynamic = dynamic_of(found);
	bool *is_behind = arg;
	struct object object;

	(void)size;
	if (!*is_behind) {
		*is_behind = dynamic == own_dynamic;
		if (*is_behind)
			own_path = found->dlpi_name;
		return 0;
	}
	return !open_object(found->dlpi_addr, dynamic, &object) || find_all(&object) == 0;
}

void real_resolve_all(void)
{
	bool is_behind = false;

	(void)dl_iterate_phdr(visit, &is_behind);
	for (int id = 0; id < REAL_COUNT; id++)
		(void)real_symbol((enum real_id)id);
}

const char *real_own_path(void)
{
	Dl_info about;

	if (own_path == NULL && dladdr(own_dynamic, &about) != 0)
		own_path = about.dli_fname;
	return own_path;
}

ssize_t libc_size_result(ssize_t result)
{
	if (result >= 0)
		return result;
	errno = (int)-result;
	return -1;
}

int libc_result(int result)
{
	return (int)libc_size_result(result);
}
