/* SPDX-License-Identifier: ISC */
/* namepool.c - names and the addresses that stand for them, in a file shared by a user's processes. */
#include "socksify/namepool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Append-only and lock-free: an index is taken with one atomic addition, its
 * entry written, and then published at the head of its hash chain.  A process
 * that is killed half-way loses an index and nothing else; no lock can be
 * left behind.  Every index and link that is read is checked, since the file
 * may be damaged.
 */
#define POOL_MAGIC UINT64_C(0x31304c4f4f504b53) /* "SKPOOL01" */
#define POOL_SIZE 131072u /* 198.18.0.0/15 */
#define POOL_BUCKETS 65536u
#define POOL_FILE "names-1"

struct entry {
	_Atomic uint32_t next;		/* index + 1 of the chain's next entry */
	_Atomic uint32_t ready;
	uint8_t len;
	char name[TARGET_NAME_MAX];	/* lower case */
};

struct pool {
	_Atomic uint64_t magic;		/* written last */
	_Atomic uint32_t used;
	uint32_t base;			/* random: two pools disagree about nearly every address */
	_Atomic uint32_t buckets[POOL_BUCKETS];
	struct entry entries[POOL_SIZE];
};

static struct pool *pool;

static const uint8_t v6_prefix[8] = { 0xfd, 0x73, 0x6f, 0x63, 0x6b, 0x73, 0, 0 };

static void pool_init(struct pool *p)
{
	uint32_t base = 0;

	if (getrandom(&base, sizeof(base), GRND_NONBLOCK) < 0)
		base = (uint32_t)getpid() * 2654435761u;
	p->base = base % POOL_SIZE;
	atomic_store(&p->magic, POOL_MAGIC);
}

static struct pool *map_file(int fd)
{
	void *map = mmap(NULL, sizeof(struct pool), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_NORESERVE, fd, 0);

	return map == MAP_FAILED ? NULL : map;
}

/* Ours alone, of the right size, and complete? */
static bool is_sound(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       st.st_uid == geteuid() && (st.st_mode & 077) == 0 &&
	       st.st_size == (off_t)sizeof(struct pool);
}

static struct pool *open_existing(int dirfd)
{
	int fd = openat(dirfd, POOL_FILE, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct pool *p = NULL;

	if (fd < 0)
		return NULL;
	if (is_sound(fd))
		p = map_file(fd);
	close(fd);
	if (p != NULL && (atomic_load(&p->magic) != POOL_MAGIC || p->base >= POOL_SIZE)) {
		munmap(p, sizeof(*p));
		p = NULL;
	}
	if (p == NULL)
		unlinkat(dirfd, POOL_FILE, 0);
	return p;
}

/* Make a file of another name and link it to its own: it is never seen half made. */
static struct pool *create(int dirfd)
{
	struct pool *p = NULL;
	char made[32];
	int fd;

	snprintf(made, sizeof(made), POOL_FILE ".%d", (int)getpid());
	unlinkat(dirfd, made, 0);
	fd = openat(dirfd, made, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return NULL;
	if (ftruncate(fd, (off_t)sizeof(struct pool)) == 0)
		p = map_file(fd);
	close(fd);
	if (p != NULL) {
		pool_init(p);
		if (linkat(dirfd, made, dirfd, POOL_FILE, 0) < 0) {
			munmap(p, sizeof(*p)); /* another process was first */
			p = NULL;
		}
	}
	unlinkat(dirfd, made, 0);
	return p;
}

static struct pool *open_in(const char *dir)
{
	struct pool *p = NULL;
	struct stat st;
	int dirfd;

	if (dir == NULL)
		return NULL;
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dirfd < 0 && errno == ENOENT && mkdir(dir, 0700) == 0)
		dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dirfd < 0)
		return NULL;
	if (fstat(dirfd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 077) == 0) {
		for (int tries = 0; p == NULL && tries < 3; tries++) {
			p = open_existing(dirfd);
			if (p == NULL)
				p = create(dirfd);
		}
	}
	close(dirfd);
	return p;
}

int namepool_open(const char *dir)
{
	struct pool *p = open_in(dir);

	if (p == NULL) {
		void *map = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (map == MAP_FAILED)
			return -ENOMEM;
		p = map;
		pool_init(p);
	}
	pool = p;
	return 0;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* FNV-1a */
static uint32_t hash(const char *name, size_t len)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * 16777619u;
	return h % POOL_BUCKETS;
}

/* Index + 1 of @name in the chain from @at up to @end, or 0. */
static uint32_t chain_find(uint32_t at, uint32_t end, const char *name, size_t len)
{
	for (uint32_t steps = 0; at != end && at != 0 && at <= POOL_SIZE; steps++) {
		const struct entry *e = &pool->entries[at - 1];

		if (e->len == len && memcmp(e->name, name, len) == 0)
			return at;
		if (steps > POOL_SIZE)
			break; /* a damaged file: a loop */
		at = atomic_load(&e->next);
	}
	return 0;
}

/* Append @name; returns its index + 1, or 0 when the pool is full. */
static uint32_t append(_Atomic uint32_t *bucket, uint32_t seen, const char *name, size_t len)
{
	uint32_t index = atomic_load(&pool->used), found;
	struct entry *e;

	do {
		if (index >= POOL_SIZE)
			return 0;
	} while (!atomic_compare_exchange_weak(&pool->used, &index, index + 1));
	e = &pool->entries[index];
	e->len = (uint8_t)len;
	memcpy(e->name, name, len);
	atomic_store(&e->ready, 1);
	for (;;) {
		uint32_t head = seen;

		atomic_store(&e->next, head);
		if (atomic_compare_exchange_strong(bucket, &head, index + 1))
			return index + 1;
		/* Others were faster: perhaps with this very name. */
		found = chain_find(head, seen, name, len);
		if (found != 0) {
			atomic_store(&e->ready, 0);
			return found;
		}
		seen = head;
	}
}

int namepool_address(const char *name, size_t len, int family, struct target *ret)
{
	struct target t = { .kind = TARGET_IPV4 };
	char key[TARGET_NAME_MAX];
	_Atomic uint32_t *bucket;
	uint32_t head, at;

	if (pool == NULL)
		return -ENODEV;
	if (len == 0 || len > sizeof(key))
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		key[i] = lower(name[i]);
	bucket = &pool->buckets[hash(key, len)];
	head = atomic_load(bucket);
	at = chain_find(head, 0, key, len);
	if (at == 0)
		at = append(bucket, head, key, len);
	if (at == 0)
		return -EAGAIN;
	at = (at - 1 + pool->base) % POOL_SIZE;
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
	static const uint8_t zero[5];
	const uint8_t *low = t->kind == TARGET_IPV6 ? t->ip + 13 : t->ip + 1;
	struct target found = { .kind = TARGET_NAME, .port = t->port };
	const struct entry *e;
	uint32_t at;

	if (pool == NULL || !namepool_contains(t))
		return -ENOENT;
	if (t->kind == TARGET_IPV6 && memcmp(t->ip + 8, zero, sizeof(zero)) != 0)
		return -ENOENT;
	at = (uint32_t)low[0] << 16 | (uint32_t)low[1] << 8 | low[2];
	if (t->kind == TARGET_IPV4)
		at -= 18u << 16;
	if (at >= POOL_SIZE)
		return -ENOENT;
	e = &pool->entries[(at + POOL_SIZE - pool->base) % POOL_SIZE];
	if (atomic_load(&e->ready) == 0 || e->len == 0)
		return -ENOENT;
	found.name_len = e->len;
	memcpy(found.name, e->name, e->len);
	*ret = found;
	return 0;
}
