/* SPDX-License-Identifier: ISC */
/* pool_dir.c - for tests of the name pool: a folder, and a clock that the test moves. */
#include "pool_dir.h"

#include <check.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

char pool_dir[64];
char pool_file[80];
static char parent[48];
static int (*libc_clock_gettime)(clockid_t, struct timespec *);
static time_t *second; /* shared with children; NULL: as libc says */

/* In the place of libc's. */
int clock_gettime(clockid_t id, struct timespec *ret)
{
	if (libc_clock_gettime == NULL)
		libc_clock_gettime = (int (*)(clockid_t, struct timespec *))
			dlsym(RTLD_NEXT, "clock_gettime");
	if (id != CLOCK_MONOTONIC_COARSE || second == NULL)
		return libc_clock_gettime(id, ret);
	*ret = (struct timespec){ .tv_sec = *second };
	return 0;
}

void pool_clock_advance(int seconds)
{
	if (second == NULL) {
		void *map = mmap(NULL, sizeof(*second), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

		ck_assert(map != MAP_FAILED);
		second = map;
		*second = 100000;
	}
	*second += seconds;
}

void make_pool_dir(void)
{
	strcpy(parent, "/tmp/namepool.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(parent));
	snprintf(pool_dir, sizeof(pool_dir), "%s/pool", parent);
	snprintf(pool_file, sizeof(pool_file), "%s/names-3", pool_dir);
}

void remove_pool_dir(void)
{
	char command[80];

	snprintf(command, sizeof(command), "rm -rf '%s'", parent);
	ck_assert_int_eq(system(command), 0);
}

struct target address_of(const char *name, int family)
{
	struct target t;

	ck_assert_int_eq(namepool_address(name, strlen(name), family, &t), 0);
	ck_assert(namepool_contains(&t));
	return t;
}

bool stands_for(const struct target *address, const char *name)
{
	struct target t;

	return namepool_name(address, &t) == 0 && t.kind == TARGET_NAME &&
	       t.name_len == strlen(name) && strcmp(t.name, name) == 0;
}
