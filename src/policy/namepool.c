/* SPDX-License-Identifier: ISC */
/* namepool.c - the addresses of the name pool: which stands for which index of the table. */
#include "socksify/namepool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "nametab.h"

#define FOLDER_SIZE 256

static struct nametab *table;

/*
 * By index: the generation in which this process learnt the name, or 0.  A
 * program may keep an address for longer than the pool keeps its name.  What
 * it then gets is an error, and not the name that has the address now.
 */
static _Atomic uint16_t learnt[NAMETAB_SIZE];

static const uint8_t v6_prefix[8] = { 0xfd, 0x73, 0x6f, 0x63, 0x6b, 0x73, 0, 0 };

int namepool_open(const char *first, const char *second)
{
	struct nametab *tab = NULL;

	if (first != NULL)
		tab = nametab_map(first);
	if (tab == NULL && second != NULL)
		tab = nametab_map(second);
	if (tab == NULL)
		tab = nametab_map_private();
	if (tab == NULL)
		return -ENOMEM;
	table = tab;
	return 0;
}

const char *namepool_runtime(char *(*getenv_fn)(const char *))
{
	const char *runtime = getenv_fn("SOCKSIFY_RUNTIME_DIR");

	if (runtime == NULL)
		runtime = getenv_fn("XDG_RUNTIME_DIR");
	return runtime != NULL && runtime[0] == '/' ? runtime : NULL;
}

int namepool_open_for_user(const char *runtime)
{
	char first[FOLDER_SIZE], second[32];

	if (runtime != NULL)
		snprintf(first, sizeof(first), "%s/socksify", runtime);
	snprintf(second, sizeof(second), "/tmp/socksify-%u", (unsigned)geteuid());
	return namepool_open(runtime != NULL ? first : NULL, second);
}

static uint16_t mark_of(uint32_t gen)
{
	return (uint16_t)(gen % UINT16_MAX + 1);
}

static void address_from_index(uint32_t index, int family, struct target *ret)
{
	struct target t = { .kind = TARGET_IPV4 };
	uint32_t at = (index + table->numbers.fixed.base) % NAMETAB_SIZE;

	if (family == AF_INET6) {
		t.kind = TARGET_IPV6;
		memcpy(t.ip, v6_prefix, sizeof(v6_prefix));
		t.ip[13] = (uint8_t)(at >> 16);
		t.ip[14] = (uint8_t)(at >> 8);
		t.ip[15] = (uint8_t)at;
	} else {
		t.ip[0] = 198;
		t.ip[1] = (uint8_t)(18 + (at >> 16));
		t.ip[2] = (uint8_t)(at >> 8);
		t.ip[3] = (uint8_t)at;
	}
	*ret = t;
}

/* The index of an address in the pool's ranges; NAMETAB_SIZE or more if it can have none. */
static uint32_t index_from_address(const struct target *t)
{
	static const uint8_t zero[5];
	const uint8_t *low = t->kind == TARGET_IPV6 ? t->ip + 13 : t->ip + 1;
	uint32_t at = (uint32_t)low[0] << 16 | (uint32_t)low[1] << 8 | low[2];

	if (t->kind == TARGET_IPV4)
		at -= 18u << 16;
	else if (memcmp(t->ip + 8, zero, sizeof(zero)) != 0)
		return NAMETAB_SIZE;
	if (at >= NAMETAB_SIZE)
		return NAMETAB_SIZE;
	return (at + NAMETAB_SIZE - table->numbers.fixed.base) % NAMETAB_SIZE;
}

int namepool_address(const char *name, size_t len, int family, struct target *ret)
{
	union nametab_key key;
	struct nametab_ref ref;
	int err;

	if (table == NULL)
		return -ENODEV;
	err = nametab_key(name, len, &key);
	if (err < 0)
		return err;
	err = nametab_add(table, &key, &ref);
	if (err < 0)
		return err;
	atomic_store_explicit(&learnt[ref.index], mark_of(ref.gen), memory_order_relaxed);
	address_from_index(ref.index, family, ret);
	return 0;
}

bool namepool_contains(const struct target *t)
{
	switch (t->kind) {
	case TARGET_IPV4:
		return t->ip[0] == 198 && (t->ip[1] & 0xfe) == 18;
	case TARGET_IPV6:
		return memcmp(t->ip, v6_prefix, sizeof(v6_prefix)) == 0;
	case TARGET_NAME:
	case TARGET_NONE:
		break;
	}
	return false;
}

int namepool_name(const struct target *t, struct target *ret)
{
	struct target found = { .kind = TARGET_NAME, .port = t->port };
	union nametab_key key;
	uint32_t index, gen;
	uint16_t mark;
	int err;

	if (table == NULL || !namepool_contains(t))
		return -ENOENT;
	index = index_from_address(t);
	err = nametab_name(table, index, &key, &gen);
	if (err < 0)
		return err;
	mark = atomic_load_explicit(&learnt[index], memory_order_relaxed);
	if (mark != 0 && mark != mark_of(gen))
		return -ENOENT;
	atomic_store_explicit(&learnt[index], mark_of(gen), memory_order_relaxed);
	found.name_len = key.octet[0];
	memcpy(found.name, key.octet + 1, key.octet[0]);
	*ret = found;
	return 0;
}
