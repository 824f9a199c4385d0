/* SPDX-License-Identifier: ISC */
/* fdtab.h - what is known of each fd: a TCP socket, an epoll set, a proxied connection. */
#ifndef SOCKSIFY_FDTAB_H
#define SOCKSIFY_FDTAB_H

#include "socksify/conn.h"

/*
 * All functions are lock-free and async-signal-safe, and leave fds outside
 * 0 .. FDTAB_MAX - 1 alone.
 */
#define FDTAB_MAX (1 << 20)

/* Marks of an fd: what was seen when it was made, which saves asking the kernel. */
enum {
	FD_TCP = 1 << 0,	/* made by socket(2) as a TCP socket, and not yet connected */
	FD_NONBLOCK = 1 << 1,	/* FD_TCP: O_NONBLOCK, as far as was seen */
	FD_OPTIONS = 1 << 2,	/* FD_TCP: an option that a handshake minds was set, or may be */
	FD_EPOLL = 1 << 3,	/* an epoll set */
	FD_UDP = 1 << 4,	/* a UDP socket of AF_INET or AF_INET6 */
	FD_OWN = 1 << 5,	/* the library's own, see own.h */
};

/*
 * The table itself, so that a miss costs one load: use the functions below.
 * A slot is generation << 32 | marks << 24 | connection's index + 1.  The
 * generation is the connection's: storage that was reused is noticed.
 */
#define FDTAB_MARKS_SHIFT 24
extern _Atomic uint64_t fdtab_slots[FDTAB_MAX];

/* Is anything known of @fd?  One load. */
static inline bool fdtab_has(int fd)
{
	return (unsigned)fd < FDTAB_MAX &&
	       atomic_load_explicit(&fdtab_slots[fd], memory_order_relaxed) != 0;
}

/* Must a call that sends or receives on @fd come to the engine first?  One load while no handshake is under way. */
bool fdtab_is_gated_slow(int fd);
static inline bool fdtab_is_gated(int fd)
{
	return __builtin_expect(atomic_load_explicit(&conn_special, memory_order_relaxed), 0) != 0 &&
	       fdtab_is_gated_slow(fd);
}

/* The state of the connection of @fd, CONN_FRESH without one. */
enum conn_state fdtab_state(int fd);

/* Do datagrams of @fd go through a relay?  One load while there are none, and no handshake. */
bool fdtab_is_relayed_slow(int fd);
static inline bool fdtab_is_relayed(int fd)
{
	return __builtin_expect(atomic_load_explicit(&conn_special, memory_order_relaxed), 0) != 0 &&
	       fdtab_is_relayed_slow(fd);
}

/* Is @fd a connection to a name server, whose part we take?  One load while there are none of this kind. */
static inline bool fdtab_is_answered(int fd)
{
	return __builtin_expect(atomic_load_explicit(&conn_special, memory_order_relaxed), 0) != 0 &&
	       fdtab_state(fd) == CONN_ANSWERED;
}

/* The marks of @fd, 0 without any. */
static inline unsigned fdtab_marks(int fd)
{
	return (unsigned)fd < FDTAB_MAX
		? (unsigned)(atomic_load_explicit(&fdtab_slots[fd], memory_order_relaxed) >>
			     FDTAB_MARKS_SHIFT) & 0xffu
		: 0;
}

/* @fd is a new open file: what was known is forgotten, @marks are what is known now. */
void fdtab_mark(int fd, unsigned marks);

/* Add marks to, and take marks from, an @fd that has FD_TCP. */
void fdtab_change_marks(int fd, unsigned add, unsigned take);

/* @fd, of which nothing was known, is a UDP socket: the kernel said so. */
void fdtab_note_udp(int fd);

/* @fd is a TCP socket that was disconnected: what else is known of it, the kernel knows. */
void fdtab_reopen(int fd);

/*
 * fdtab_get - the connection of @fd.
 * Returns it with a reference for the caller, to be given to conn_unref(), or
 * NULL.  It may be stale, when the number was reused behind our back: who is
 * not sure asks the kernel whether the socket's peer is conn->proxy.
 */
MUST_CHECK struct conn *fdtab_get(int fd);

/* The same, made when there is none.  NULL: no memory, or @fd is too high. */
MUST_CHECK struct conn *fdtab_get_or_new(int fd);

/* @fd is a new number for @conn, whose reference is taken over. */
void fdtab_put(int fd, struct conn *conn);

/* Call @fn for each number of @conn. */
void fdtab_each_number(const struct conn *conn, void (*fn)(int fd, void *arg), void *arg);

/*
 * fdtab_close_plain - fdtab_close() of the usual cases, in a few instructions: no
 * connection and no epoll set; or a settled connection, which stays.
 * Returns false: nothing was done, it is not one of these.
 */
bool fdtab_close_plain(int fd);

/*
 * fdtab_swap_peer - the peer that the program asked for, in a few instructions.
 * @fd:   in range
 * @peer: the kernel's, of AF_INET; replaced, if it is the proxy of a settled connection to an AF_INET peer
 * Returns false for all else: gate_peer() tells.
 */
MUST_CHECK bool fdtab_swap_peer(int fd, struct sockaddr_in *peer);

/* Are both numbers noted as those of one settled connection, so that a duplicate is no news? */
bool fdtab_has_same(int from, int to);

/*
 * fdtab_close - @fd is about to be closed.
 * A settled connection stays until the number comes back, so that no system
 * call is needed to tell a vfork(2) child, whose table is its parent's.
 */
void fdtab_close(int fd);

/* The same for low .. high. */
void fdtab_close_range(unsigned low, unsigned high);

/* @fd is something new that is none of ours. */
static inline void fdtab_forget(int fd)
{
	if (fdtab_has(fd))
		fdtab_mark(fd, 0);
}

/* @to became a duplicate of @from. */
void fdtab_dup(int from, int to);

/* Has @fd a connection of ours?  One load. */
static inline bool fdtab_has_conn(int fd)
{
	return (unsigned)fd < FDTAB_MAX &&
	       ((uint32_t)atomic_load_explicit(&fdtab_slots[fd], memory_order_relaxed) &
		((1u << FDTAB_MARKS_SHIFT) - 1)) != 0;
}

/* Is what poll(2) reports of @fd ours to say?  One load for most that are not ours. */
static inline bool fdtab_is_hidden(int fd)
{
	return fdtab_has_conn(fd) && conn_is_hidden(fdtab_state(fd));
}

/* Is @fd the only number of @conn? */
bool fdtab_is_last(int fd, const struct conn *conn);

/* No fd above it is known; -1: none is. */
int fdtab_highest(void);

/* Has @conn a number that exec(3) leaves open? */
bool fdtab_is_inherited(const struct conn *conn);

/* The process is a new one: called at start and in the child of fork(2). */
void fdtab_set_owner(int pid);
int fdtab_owner(void);

/* Does the table belong to this process, not to the parent of a vfork(2) child?  One system call. */
bool fdtab_is_ours(void);

#endif
