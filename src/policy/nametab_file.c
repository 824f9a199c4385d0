/* SPDX-License-Identifier: ISC */
/* nametab_file.c - the file of a table: found, verified, made and replaced. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "nametab.h"

#define FILE_NAME "names-3"	/* with the version of the layout: another one has its own */
#define NEW_NAME "names-3.new"
#define OLD_NAME "names-2"

/* XDG Base Directory Specification: the sticky bit keeps it from being cleaned up. */
#define FILE_MODE (S_ISVTX | S_IRUSR | S_IWUSR)

#define LOCK_TRIES 200
#define LOCK_PAUSE_NS 5000000

static struct nametab *map_fd(int fd, int flags)
{
	void *map = mmap(NULL, sizeof(struct nametab), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_NORESERVE | flags, fd, 0);

	return map == MAP_FAILED ? NULL : map;
}

/* A folder that nobody else can look into or write to; -1 if it is not, or cannot be made. */
static int open_folder(const char *path)
{
	static const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
	int fd = open(path, flags);
	struct stat st;

	if (fd < 0 && errno == ENOENT && mkdir(path, 0700) == 0) {
		/* Whatever the umask. */
		if (chmod(path, 0700) == 0)
			fd = open(path, flags);
	} else if (fd < 0 && errno == EEXIST) {
		fd = open(path, flags); /* made by another process meanwhile */
	}
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 077) == 0)
		return fd;
	close(fd);
	return -1;
}

/* A file that is ours alone, under this name alone, and whole? */
static bool is_ours(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	       (st.st_mode & 077) == 0 && st.st_nlink == 1 &&
	       st.st_size == (off_t)sizeof(struct nametab);
}

static struct nametab *open_existing(int folder)
{
	int fd = openat(folder, FILE_NAME, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct nametab *tab = NULL;

	if (fd < 0)
		return NULL;
	if (is_ours(fd))
		tab = map_fd(fd, 0);
	close(fd);
	if (tab != NULL && !nametab_is_sound(tab)) {
		munmap(tab, sizeof(*tab));
		return NULL;
	}
	return tab;
}

/*
 * The right to replace what is there.  The kernel gives it back when the
 * holder dies.  One who was stopped with it costs the others a second, and
 * then the pool they would have shared.
 */
static bool lock_folder(int folder)
{
	static const struct timespec pause = { 0, LOCK_PAUSE_NS };

	for (int tries = 0; tries < LOCK_TRIES; tries++) {
		if (flock(folder, LOCK_EX | LOCK_NB) == 0)
			return true;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return false;
		nanosleep(&pause, NULL);
	}
	return false;
}

/* A file beyond RLIMIT_FSIZE is a signal. */
static bool may_be_so_long(off_t size)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
	       (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= (rlim_t)size);
}

static bool put_in_place(int folder)
{
	if (renameat(folder, NEW_NAME, folder, FILE_NAME) == 0)
		return true;
	return errno == EISDIR && unlinkat(folder, FILE_NAME, AT_REMOVEDIR) == 0 &&
	       renameat(folder, NEW_NAME, folder, FILE_NAME) == 0;
}

/* Under the lock.  It gets its name when it is complete: a file is never seen half made. */
static struct nametab *create(int folder)
{
	struct nametab *tab = NULL;
	int fd;

	if (!may_be_so_long((off_t)sizeof(*tab)))
		return NULL;
	unlinkat(folder, NEW_NAME, 0);
	fd = openat(folder, NEW_NAME, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return NULL;
	if (fchmod(fd, FILE_MODE) == 0 && ftruncate(fd, (off_t)sizeof(*tab)) == 0)
		tab = map_fd(fd, 0);
	close(fd);
	if (tab != NULL && (nametab_format(tab, true) < 0 || !put_in_place(folder))) {
		munmap(tab, sizeof(*tab));
		tab = NULL;
	}
	unlinkat(folder, tab == NULL ? NEW_NAME : OLD_NAME, 0);
	return tab;
}

struct nametab *nametab_map(const char *path)
{
	int folder = open_folder(path);
	struct nametab *tab;

	if (folder < 0)
		return NULL;
	tab = open_existing(folder);
	if (tab == NULL && lock_folder(folder)) {
		tab = open_existing(folder);
		if (tab == NULL)
			tab = create(folder);
	}
	close(folder);
	if (tab != NULL)
		nametab_reserve(tab);
	return tab;
}

struct nametab *nametab_map_private(void)
{
	struct nametab *tab = map_fd(-1, MAP_ANONYMOUS);

	if (tab != NULL && nametab_format(tab, false) < 0) {
		munmap(tab, sizeof(*tab));
		return NULL;
	}
	return tab;
}
