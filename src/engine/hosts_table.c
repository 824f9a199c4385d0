/* SPDX-License-Identifier: ISC */
/* hosts_table.c - the names that the machine knows by itself, kept in memory. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>

#include "socksify/hosts.h"
#include "socksify/sys.h"

/*
 * A table is read-only once it is published in `current`.  Who looks a name up
 * is counted in it, and a table that is counted is not touched.  A thread that
 * never comes back (siglongjmp, cancellation) spoils the table that it was in;
 * when all are spoilt, the file is read at each look.
 */
#define TABLES 4
#define LOOK_NS INT64_C(1000000000)

struct stamp {
	dev_t dev;
	ino_t inode;
	off_t size;
	struct timespec modified, changed;
};

struct entry {
	uint8_t bits;
	uint8_t len;
	char name[];
};

struct table {
	_Atomic int users;
	struct stamp stamp;
	bool settled;		/* was read when the file had been this old for a while */
	size_t own_len;
	char own[sizeof(((struct utsname *)0)->nodename)];
	uint32_t *slots;	/* by hash: offset of an entry + 1, or 0; NULL when there are no names */
	uint32_t slot_count;	/* a power of 2 */
	uint32_t names;
	uint8_t *entries;
	size_t used, room;	/* octets of entries */
	bool overflows;
	size_t map_size;
};

static struct table tables[TABLES];
static struct table *_Atomic current;
static _Atomic int64_t look_at;
static atomic_flag looking = ATOMIC_FLAG_INIT;

/* FNV-1a, upper and lower case alike. */
static uint32_t hash(const char *name, size_t len)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)name[i];

		h = (h ^ (c >= 'A' && c <= 'Z' ? c + 32u : c)) * 16777619u;
	}
	return h;
}

static unsigned bits_of(const struct target *address)
{
	if (address->kind == TARGET_IPV4)
		return HOSTS_V4;
	/* libc makes 127.0.0.1 of ::1 for who wants IPv4. */
	return target_is_loopback(address) ? HOSTS_V4 | HOSTS_V6 : HOSTS_V6;
}

static struct entry *entry_at(const struct table *t, uint32_t slot)
{
	return (struct entry *)(void *)(t->entries + slot - 1);
}

/* The slot of @name, or the empty one where it belongs: half of them are empty. */
static uint32_t *slot_of(const struct table *t, const char *name, size_t len)
{
	for (uint32_t at = hash(name, len);; at++) {
		uint32_t *slot = &t->slots[at & (t->slot_count - 1)];

		if (*slot == 0 || (entry_at(t, *slot)->len == len &&
				   strncasecmp(entry_at(t, *slot)->name, name, len) == 0))
			return slot;
	}
}

struct amount {
	size_t names, octets;
};

static bool count_name(const struct target *address, const char *name, size_t len, void *arg)
{
	struct amount *a = arg;

	(void)address;
	(void)name;
	a->names++;
	a->octets += sizeof(struct entry) + len;
	return true;
}

/* There is no room when the file has changed since it was counted. */
static bool insert_name(const struct target *address, const char *name, size_t len, void *arg)
{
	struct table *t = arg;
	uint32_t *slot = slot_of(t, name, len);
	struct entry *e;

	if (*slot == 0) {
		t->overflows = t->room - t->used < sizeof(*e) + len || t->names >= t->slot_count / 2;
		if (t->overflows)
			return false;
		*slot = (uint32_t)t->used + 1;
		e = entry_at(t, *slot);
		e->bits = 0;
		e->len = (uint8_t)len;
		memcpy(e->name, name, len);
		t->used += sizeof(*e) + len;
		t->names++;
	}
	e = entry_at(t, *slot);
	e->bits = (uint8_t)(e->bits | bits_of(address));
	return true;
}

static void empty(struct table *t)
{
	if (t->slots != NULL)
		sys_unmap(t->slots, t->map_size);
	t->slots = NULL;
	t->used = 0;
	t->names = 0;
	t->overflows = false;
}

static int fill(struct table *t)
{
	struct amount amount = { 0, 0 };
	size_t slots = 2;
	int err;

	empty(t);
	err = hosts_each(count_name, &amount);
	if (err < 0 || amount.names == 0)
		return err;
	while (slots < amount.names * 2)
		slots *= 2;
	if (slots > UINT32_MAX / 2 || amount.octets > UINT32_MAX / 2)
		return -EFBIG;
	t->room = amount.octets;
	t->map_size = slots * sizeof(*t->slots) + t->room;
	t->slots = sys_map(t->map_size, false);
	if (t->slots == NULL)
		return -ENOMEM;
	t->slot_count = (uint32_t)slots;
	t->entries = (uint8_t *)(t->slots + slots);
	err = hosts_each(insert_name, t);
	return t->overflows ? -EAGAIN : err;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
	return a->dev == b->dev && a->inode == b->inode && a->size == b->size &&
	       same_time(&a->modified, &b->modified) && same_time(&a->changed, &b->changed);
}

/* All zero when there is no file. */
static struct stamp look_at_file(void)
{
	struct stat st;

	if (sys_stat("/etc/hosts", &st) < 0)
		return (struct stamp){ .size = 0 };
	return (struct stamp){ st.st_dev, st.st_ino, st.st_size, st.st_mtim, st.st_ctim };
}

static struct table *unused_table(const struct table *but)
{
	for (int i = 0; i < TABLES; i++) {
		if (&tables[i] != but && atomic_load(&tables[i].users) <= 0)
			return &tables[i];
	}
	return NULL;
}

/*
 * A file may change twice within one tick of its clock, so that the second
 * change has the stamp of the first: what is new is read once more at the
 * next look.
 */
static void refresh(void)
{
	struct table *now = atomic_load(&current), *next;
	struct stamp stamp = look_at_file();
	struct utsname own;
	bool same = now != NULL && same_stamp(&now->stamp, &stamp);

	if (sys_uname(&own) < 0)
		own.nodename[0] = '\0';
	if (same && now->settled && strcmp(own.nodename, now->own) == 0)
		return;
	next = unused_table(now);
	if (next == NULL || fill(next) < 0) {
		atomic_store(&current, NULL);
		return;
	}
	next->stamp = stamp;
	next->settled = same;
	next->own_len = strlen(own.nodename);
	memcpy(next->own, own.nodename, next->own_len + 1);
	atomic_store(&current, next);
}

/* The table, which stays as it is until leave(); NULL when there is none. */
static struct table *enter(void)
{
	int64_t now = sys_now_ns();
	struct table *t;

	if (now >= atomic_load_explicit(&look_at, memory_order_relaxed) &&
	    !atomic_flag_test_and_set(&looking)) {
		refresh();
		atomic_store(&look_at, now + LOOK_NS);
		atomic_flag_clear(&looking);
	}
	while ((t = atomic_load(&current)) != NULL) {
		atomic_fetch_add(&t->users, 1);
		if (t == atomic_load(&current))
			break;
		atomic_fetch_sub(&t->users, 1);
	}
	return t;
}

struct wanted {
	const char *name;
	size_t len;
	unsigned bits;
};

static bool note_bits(const struct target *address, const char *name, size_t len, void *arg)
{
	struct wanted *w = arg;

	if (len == w->len && strncasecmp(name, w->name, len) == 0)
		w->bits |= bits_of(address);
	return true;
}

/* Another thread reads the file just now, or this is a signal handler on top of it; or there is no memory. */
static unsigned find_without_table(const char *name, size_t len)
{
	struct wanted w = { name, len, 0 };
	struct utsname own;

	hosts_each(note_bits, &w);
	if (sys_uname(&own) == 0 && strlen(own.nodename) == len &&
	    strncasecmp(own.nodename, name, len) == 0)
		w.bits |= HOSTS_OWN;
	return w.bits;
}

unsigned hosts_find(const char *name, size_t len)
{
	struct table *t = enter();
	unsigned bits = 0;

	if (t == NULL)
		return find_without_table(name, len);
	if (t->own_len == len && strncasecmp(t->own, name, len) == 0)
		bits = HOSTS_OWN;
	if (t->slots != NULL) {
		uint32_t slot = *slot_of(t, name, len);

		if (slot != 0)
			bits |= entry_at(t, slot)->bits;
	}
	atomic_fetch_sub(&t->users, 1);
	return bits;
}

void hosts_in_child(void)
{
	for (int i = 0; i < TABLES; i++)
		atomic_store(&tables[i].users, 0);
	/* Read anew: another thread may have been about to fill one of them. */
	atomic_store(&current, NULL);
	atomic_store(&look_at, 0);
	atomic_flag_clear(&looking);
}
