/* SPDX-License-Identifier: ISC */
/* fdtab.c - what is known of each fd: a TCP socket, an epoll set, a proxied connection. */
#include "socksify/fdtab.h"

#include <string.h>

#include "socksify/epreg.h"
#include "socksify/report.h"
#include "socksify/sys.h"

#define INDEX_MASK 0xffffffu
#define MARKS_SHIFT FDTAB_MARKS_SHIFT
#define MARKS_MASK 0xffu

_Atomic uint64_t fdtab_slots[FDTAB_MAX];

/*
 * In a page that the kernel wipes in the child of any fork, also of one that
 * runs no fork handlers (_Fork(3), clone(2)), but not in that of vfork(2).
 */
static _Atomic int owner_without_page;
static _Atomic int *owner = &owner_without_page;
static _Atomic int highest = -1; /* nothing above it was ever stored */

static bool in_range(int fd)
{
	return fd >= 0 && fd < FDTAB_MAX;
}

static uint64_t slot_of(const struct conn *conn, unsigned marks)
{
	return (uint64_t)conn_generation(conn) << 32 | (uint64_t)marks << MARKS_SHIFT |
	       (conn_index(conn) + 1);
}

static unsigned marks_of(uint64_t slot)
{
	return (unsigned)(slot >> MARKS_SHIFT) & MARKS_MASK;
}

static bool has_conn(uint64_t slot)
{
	return ((uint32_t)slot & INDEX_MASK) != 0;
}

static struct conn *conn_of(uint64_t slot)
{
	return conn_at(((uint32_t)slot & INDEX_MASK) - 1);
}

/* Is @fd one of the numbers of @conn? */
static bool is_number_of(int fd, const struct conn *conn)
{
	uint64_t slot = atomic_load_explicit(&fdtab_slots[fd], memory_order_relaxed);

	return has_conn(slot) && conn_of(slot) == conn;
}

static void note_highest(int fd)
{
	int now = atomic_load_explicit(&highest, memory_order_relaxed);

	while (now < fd && !atomic_compare_exchange_weak(&highest, &now, fd))
		;
}

/* @fd is not @conn's any more: whoever drives its handshake needs another of its numbers. */
static void leave_number(struct conn *conn, int fd)
{
	int top = atomic_load_explicit(&highest, memory_order_relaxed);

	epreg_orphan(conn, fd);
	if (!conn_is_hidden(conn_state(conn)) || atomic_load(&conn->fd) != fd)
		return;
	for (int other = 0; other <= top; other++) {
		if (is_number_of(other, conn)) {
			atomic_store(&conn->fd, other);
			return;
		}
	}
}

/* Store, and drop the reference that the old slot held. */
static void replace(int fd, uint64_t slot)
{
	uint64_t old = atomic_exchange(&fdtab_slots[fd], slot);

	if (slot != 0)
		note_highest(fd);
	if ((marks_of(old) & FD_EPOLL) != 0)
		epreg_forget_set(fd);
	if (has_conn(old)) {
		leave_number(conn_of(old), fd);
		conn_unref(conn_of(old));
	}
}

/*
 * May the slot be changed?  A vfork(2) child has its parent's table but fds of
 * its own, and closes them in storms.  Telling it apart costs a system call,
 * which only what is still under way is worth: a settled connection whose slot
 * is lost merely shows the proxy as its peer.
 */
static bool may_change(uint64_t slot)
{
	const struct conn *conn = has_conn(slot) ? conn_of(slot) : NULL;
	bool delicate = (marks_of(slot) & FD_EPOLL) != 0 && epreg_any();

	if (conn != NULL)
		delicate = delicate || epreg_has(conn) || conn_is_gated(conn_state(conn)) ||
			   conn_state(conn) == CONN_RELAYED;
	return !(delicate || report_has_lines()) || fdtab_is_ours();
}

void fdtab_mark(int fd, unsigned marks)
{
	uint64_t old, want = (uint64_t)marks << MARKS_SHIFT;

	if (!in_range(fd))
		return;
	old = atomic_load_explicit(&fdtab_slots[fd], memory_order_relaxed);
	if (old == 0 && atomic_compare_exchange_strong(&fdtab_slots[fd], &old, want))
		note_highest(fd);
	else if (old != want && may_change(old))
		replace(fd, want);
}

void fdtab_change_marks(int fd, unsigned add, unsigned take)
{
	uint64_t old, want;

	if (!in_range(fd))
		return;
	old = atomic_load_explicit(&fdtab_slots[fd], memory_order_relaxed);
	do {
		if ((marks_of(old) & FD_TCP) == 0)
			return;
		want = (old & ~((uint64_t)take << MARKS_SHIFT)) | (uint64_t)add << MARKS_SHIFT;
	} while (want != old && !atomic_compare_exchange_weak(&fdtab_slots[fd], &old, want));
}

void fdtab_note_udp(int fd)
{
	uint64_t none = 0;

	if (in_range(fd) &&
	    atomic_compare_exchange_strong(&fdtab_slots[fd], &none, (uint64_t)FD_UDP << MARKS_SHIFT))
		note_highest(fd);
}

void fdtab_reopen(int fd)
{
	if (in_range(fd))
		atomic_fetch_or(&fdtab_slots[fd], (uint64_t)(FD_TCP | FD_OPTIONS) << MARKS_SHIFT);
}

struct conn *fdtab_get(int fd)
{
	struct conn *conn;
	uint64_t slot;

	if (!fdtab_has(fd))
		return NULL;
	slot = atomic_load(&fdtab_slots[fd]);
	if (!has_conn(slot))
		return NULL;
	conn = conn_of(slot);
	if (!conn_ref(conn))
		return NULL;
	if (conn_generation(conn) != (uint32_t)(slot >> 32)) {
		conn_unref(conn); /* closed by another thread, and the storage is somebody else's */
		return NULL;
	}
	return conn;
}

struct conn *fdtab_get_or_new(int fd)
{
	struct conn *conn = fdtab_get(fd);
	uint64_t old;

	if (conn != NULL || !in_range(fd))
		return conn;
	conn = conn_new();
	if (conn == NULL)
		return NULL;
	atomic_store(&conn->fd, fd);
	(void)conn_ref(conn); /* one for the slot, one for the caller */
	old = atomic_load(&fdtab_slots[fd]);
	if (!has_conn(old) &&
	    atomic_compare_exchange_strong(&fdtab_slots[fd], &old, slot_of(conn, marks_of(old)))) {
		note_highest(fd);
		return conn;
	}
	/* Another thread was faster. */
	conn_unref(conn);
	conn_unref(conn);
	return fdtab_get(fd);
}

void fdtab_put(int fd, struct conn *conn)
{
	if (in_range(fd))
		replace(fd, slot_of(conn, 0));
	else
		conn_unref(conn);
}

void fdtab_each_number(const struct conn *conn, void (*fn)(int fd, void *arg), void *arg)
{
	int top = atomic_load_explicit(&highest, memory_order_relaxed);

	for (int fd = 0; fd <= top; fd++)
		if (is_number_of(fd, conn))
			fn(fd, arg);
}

enum conn_state fdtab_state(int fd)
{
	uint64_t slot;

	if (!fdtab_has(fd))
		return CONN_FRESH;
	slot = atomic_load_explicit(&fdtab_slots[fd], memory_order_acquire);
	if (!has_conn(slot))
		return CONN_FRESH;
	return (enum conn_state)atomic_load_explicit(&conn_of(slot)->state, memory_order_acquire);
}

bool __attribute__((cold)) fdtab_is_gated_slow(int fd)
{
	return conn_is_gated(fdtab_state(fd));
}

bool __attribute__((cold)) fdtab_is_relayed_slow(int fd)
{
	return fdtab_state(fd) == CONN_RELAYED;
}

/* A settled connection stays until the number comes back: see may_change(). */
static bool stays(const struct conn *conn)
{
	return conn_state(conn) == CONN_CONNECTED && !epreg_has(conn) && !report_has_lines();
}

/* Lock-free without a reference: what was read counts if the storage was not released meanwhile. */
bool fdtab_swap_peer(int fd, struct sockaddr_in *peer)
{
	uint64_t slot = atomic_load_explicit(&fdtab_slots[fd], memory_order_acquire);
	const struct conn *conn;
	struct sockaddr_in asked;
	uint32_t known[2];

	if (!has_conn(slot))
		return false;
	conn = conn_of(slot);
	memcpy(known, peer, sizeof(known)); /* family, port and address */
	if (conn_state(conn) != CONN_CONNECTED || conn->peer_len != sizeof(asked) ||
	    known[0] != atomic_load_explicit(&conn->proxy[0], memory_order_relaxed) ||
	    known[1] != atomic_load_explicit(&conn->proxy[1], memory_order_relaxed))
		return false;
	asked = conn->peer.in;
	atomic_thread_fence(memory_order_acquire);
	if (conn_generation(conn) != (uint32_t)(slot >> 32))
		return false;
	*peer = asked;
	return true;
}

/* @delicate: marks with which a number is not just forgotten.  Returns false: nothing was done. */
static inline bool close_usual(int fd, unsigned delicate)
{
	uint64_t slot = atomic_load_explicit(&fdtab_slots[fd], memory_order_acquire);

	if (has_conn(slot))
		return stays(conn_of(slot));
	return (slot & (uint64_t)delicate << MARKS_SHIFT) == 0 &&
	       atomic_compare_exchange_strong(&fdtab_slots[fd], &slot, 0);
}

bool fdtab_close_plain(int fd)
{
	return close_usual(fd, FD_EPOLL | FD_OWN);
}

void fdtab_close(int fd)
{
	if (fdtab_has(fd) && !close_usual(fd, FD_EPOLL) &&
	    may_change(atomic_load(&fdtab_slots[fd])))
		replace(fd, 0);
}

void fdtab_close_range(unsigned low, unsigned high)
{
	int top = atomic_load_explicit(&highest, memory_order_relaxed);

	for (unsigned fd = low; top >= 0 && fd <= high && fd <= (unsigned)top; fd++)
		fdtab_close((int)fd);
}

/* Are both slots those of one settled connection? */
static bool is_settled(uint64_t one, uint64_t other)
{
	return one == other && has_conn(one) && conn_state(conn_of(one)) == CONN_CONNECTED;
}

bool fdtab_has_same(int from, int to)
{
	return in_range(from) && in_range(to) &&
	       is_settled(atomic_load_explicit(&fdtab_slots[from], memory_order_relaxed),
			  atomic_load_explicit(&fdtab_slots[to], memory_order_relaxed));
}

void fdtab_dup(int from, int to)
{
	struct conn *conn;

	if (from == to || !in_range(from) || !in_range(to) || (!fdtab_has(from) && !fdtab_has(to)))
		return;
	/* The last duplicate had the same number: fdtab_close() left it. */
	if (is_settled(atomic_load_explicit(&fdtab_slots[from], memory_order_relaxed),
		       atomic_load_explicit(&fdtab_slots[to], memory_order_relaxed)))
		return;
	if (!may_change(atomic_load(&fdtab_slots[to])))
		return;
	/* A vfork(2) child's duplicate is none of its parent's. */
	if (has_conn(atomic_load(&fdtab_slots[from])) && fdtab_state(from) != CONN_CONNECTED &&
	    !fdtab_is_ours())
		return;
	if ((fdtab_marks(from) & FD_TCP) != 0) {
		/* From here on either number can change what both are. */
		fdtab_change_marks(from, FD_OPTIONS, FD_NONBLOCK);
		conn = fdtab_get_or_new(from);
	} else if ((fdtab_marks(from) & FD_UDP) != 0) {
		conn = fdtab_get_or_new(from);
	} else {
		conn = fdtab_get(from);
	}
	if (conn != NULL)
		replace(to, slot_of(conn, fdtab_marks(from))); /* takes our reference over */
	else
		replace(to, (uint64_t)fdtab_marks(from) << MARKS_SHIFT);
}

bool fdtab_is_last(int fd, const struct conn *conn)
{
	int top = fdtab_highest();

	for (int other = 0; other <= top; other++)
		if (other != fd && is_number_of(other, conn))
			return false;
	return true;
}

int fdtab_highest(void)
{
	return atomic_load_explicit(&highest, memory_order_relaxed);
}

bool fdtab_is_inherited(const struct conn *conn)
{
	int top = atomic_load_explicit(&highest, memory_order_relaxed);

	for (int fd = 0; fd <= top; fd++)
		if (is_number_of(fd, conn) && !sys_is_cloexec(fd))
			return true;
	return false;
}

void fdtab_set_owner(int pid)
{
	if (owner == &owner_without_page) {
		_Atomic int *page = sys_map_wiped(sizeof(*page));

		if (page != NULL)
			owner = page;
	}
	atomic_store(owner, pid);
}

int fdtab_owner(void)
{
	return atomic_load_explicit(owner, memory_order_relaxed);
}

bool fdtab_is_ours(void)
{
	return fdtab_owner() == sys_getpid();
}
