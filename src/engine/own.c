/* SPDX-License-Identifier: ISC */
/* own.c - the library's own fds within the program: few, high, close-on-exec, and out of its reach. */
#include "socksify/own.h"

#include <errno.h>

#include "socksify/pool.h"
#include "socksify/sys.h"

struct own {
	_Atomic int fd;		/* -1: closed */
};

POOL(owns, struct own, 64u, 1u << 16, false);

static _Atomic int kept;

/* The highest of a few numbers that the limit on open files allows: a higher one costs a larger table. */
static int move_up(int fd)
{
	static const int lowest[] = { 4096, 900, 200, 64 };
	int moved = -EINVAL;

	for (size_t i = 0; moved == -EINVAL && i < sizeof(lowest) / sizeof(lowest[0]); i++)
		moved = sys_dup(fd, lowest[i]);
	return moved;
}

struct own *own_keep(int fd)
{
	struct own *own = pool_take(&owns);
	int moved;

	if (own == NULL) {
		sys_close(fd);
		return NULL;
	}
	moved = move_up(fd);
	if (moved >= 0)
		sys_close(fd);
	else
		moved = fd;
	atomic_fetch_add(&kept, 1);
	fdtab_mark(moved, FD_OWN);
	atomic_store(&own->fd, moved);
	return own;
}

int own_fd(const struct own *own)
{
	return atomic_load(&own->fd);
}

void own_close(struct own *own)
{
	int fd;

	if (own == NULL)
		return;
	fd = atomic_exchange(&own->fd, -1);
	if (fd >= 0) {
		/* Unless its number was taken from us behind our back. */
		if (own_is(fd)) {
			fdtab_mark(fd, 0);
			sys_close(fd);
		}
		atomic_fetch_sub(&kept, 1);
	}
	pool_give(&owns, own);
}

static struct own *find(int fd)
{
	uint32_t used = pool_used(&owns);

	for (uint32_t i = 0; i < used; i++) {
		struct own *own = pool_at(&owns, i);

		if (atomic_load(&own->fd) == fd)
			return own;
	}
	return NULL;
}

int own_leave(int fd)
{
	struct own *own;
	int moved;

	if (!own_is(fd) || !fdtab_is_ours())
		return 0;
	own = find(fd);
	if (own == NULL)
		return 0;
	moved = move_up(fd);
	if (moved < 0)
		return moved;
	fdtab_mark(moved, FD_OWN);
	atomic_store(&own->fd, moved);
	fdtab_mark(fd, 0);
	return 0;
}

bool own_gap(unsigned *low, unsigned high, unsigned *ret_high)
{
	unsigned end;

	*ret_high = high;
	if (atomic_load_explicit(&kept, memory_order_relaxed) == 0)
		return *low <= high;
	while (*low <= high && *low < FDTAB_MAX && own_is((int)*low))
		(*low)++;
	for (end = *low; end < high && end < FDTAB_MAX; end++) {
		if (own_is((int)end + 1)) {
			*ret_high = end;
			break;
		}
	}
	return *low <= high;
}
