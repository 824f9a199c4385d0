/* SPDX-License-Identifier: ISC */
/* tally.c - how many connections went where, over all processes of a run. */
#include "socksify/tally.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TALLY_MAGIC UINT64_C(0x31594c4c41544b53) /* "SKTALLY1" */

struct tally {
	uint64_t magic;
	_Atomic uint64_t counts[TALLY_COUNT];
};

static struct tally *tally;

static int map(int fd)
{
	void *at = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return -errno;
	tally = at;
	return 0;
}

int tally_create(const char *dir, char ret[TALLY_PATH_SIZE])
{
	int fd, err, n = snprintf(ret, TALLY_PATH_SIZE, "%s/socksify-run.XXXXXX", dir);

	if (n < 0 || n >= TALLY_PATH_SIZE)
		return -ENAMETOOLONG;
	fd = mkostemp(ret, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = ftruncate(fd, sizeof(*tally)) < 0 ? -errno : map(fd);
	close(fd);
	if (err < 0)
		unlink(ret);
	else
		tally->magic = TALLY_MAGIC;
	return err;
}

/* The name comes from the environment, so anybody may have put anything there. */
static bool is_trusted(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	       (st.st_mode & 077) == 0 && st.st_nlink == 1 && st.st_size == sizeof(*tally);
}

int tally_open(const char *path)
{
	int fd, err = 0;

	if (path[0] != '/')
		return -EPERM;
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (!is_trusted(fd))
		err = -EPERM;
	if (err == 0)
		err = map(fd);
	close(fd);
	if (err == 0 && tally->magic != TALLY_MAGIC) {
		munmap(tally, sizeof(*tally));
		tally = NULL;
		err = -EPERM;
	}
	return err;
}

void tally_add(enum tally_kind kind)
{
	if (tally != NULL)
		atomic_fetch_add_explicit(&tally->counts[kind], 1, memory_order_relaxed);
}

uint64_t tally_get(enum tally_kind kind)
{
	return tally != NULL ? atomic_load(&tally->counts[kind]) : 0;
}
