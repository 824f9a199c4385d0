/* SPDX-License-Identifier: ISC */
/*
 * fuzz_namepool.c - a table with any octets in it: no read beyond it, no walk
 * without end, and an answer is the name that was asked for, or none.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../../src/policy/nametab.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static void check_name(struct nametab *tab, int i)
{
	char name[2] = { 'a', (char)('a' + i) };
	union nametab_key key, found;
	struct nametab_ref ref;
	uint32_t gen;

	if (nametab_key(name, 2, &key) < 0)
		abort();
	if (nametab_add(tab, &key, &ref) < 0)
		return;
	if (ref.index >= NAMETAB_SIZE || nametab_name(tab, ref.index, &found, &gen) < 0 ||
	    gen != ref.gen || memcmp(found.octet, key.octet, 3) != 0)
		abort();
}

static void check_any(struct nametab *tab, uint32_t index)
{
	union nametab_key found;
	uint32_t gen;

	if (nametab_name(tab, index, &found, &gen) == 0 && found.octet[0] == 0)
		abort();
}

/* Each piece: where (four octets), how many (one), and the octets, again and again to fill @span. */
static void damage(struct nametab *tab, const uint8_t *octets, size_t size, size_t span)
{
	while (size > 5) {
		uint32_t at = (uint32_t)octets[0] | (uint32_t)octets[1] << 8 |
			      (uint32_t)octets[2] << 16 | (uint32_t)octets[3] << 24;
		size_t len = octets[4];

		octets += 5;
		size -= 5;
		if (len > size)
			len = size;
		at %= sizeof(*tab);
		for (size_t i = 0; len > 0 && i < span && at + i < sizeof(*tab); i++)
			((uint8_t *)tab)[at + i] = octets[i % len];
		octets += len;
		size -= len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	struct nametab *tab;

	if (size == 0)
		return 0;
	tab = nametab_map_private();
	if (tab == NULL)
		return 0;
	for (int i = 0; i < 4; i++)
		check_name(tab, i);
	damage(tab, octets + 1, size - 1, (size_t)1 << octets[0] % 18);
	if (nametab_is_sound(tab)) {
		for (int i = 0; i < 8; i++)
			check_name(tab, i);
		for (uint32_t i = 0; i < 8; i++)
			check_any(tab, i);
		check_any(tab, NAMETAB_SIZE - 1);
		check_any(tab, UINT32_MAX);
	}
	munmap(tab, sizeof(*tab));
	return 0;
}
