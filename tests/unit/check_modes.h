/* SPDX-License-Identifier: ISC */
/* check_modes.h - a connection of an optimist, at the moment when only the program takes it for one. */
#ifndef CHECK_MODES_H
#define CHECK_MODES_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>

#include "../lib/program.h"
#include "socksify/gate.h"
#include "socksify/sys.h"

#define server (&fakesys.servers[0])
#define REFUSED_EVENTS (POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP)
#define ALL_EVENTS (POLLIN | POLLOUT | POLLRDHUP)

#define SET 3
#define LEG_MS 30	/* the request is sent */
#define ANSWER_MS 80	/* the answers begin */
#define GAP_MS 10
#define HELLO_MS 180	/* with gaps: the first octet of the target's */

static const char request[] = "\5\1\0" "\5\1\0\1\1\2\3\4\0\120";
static const char granted_hello[] = FAKE_GRANTED "HELLO";

static inline void begin(enum handshake_mode mode)
{
	program_start();
	program_proxy.handshake = mode;
	server->connect_ns = LEG_MS * MS;
	server->answer_ns = (ANSWER_MS - LEG_MS) * MS;
	p_set(SET);
	p_socket(5, O_NONBLOCK);
}

static inline void check_owed(int fd)
{
	ck_assert_int_eq(fdtab_state(fd), CONN_OWED);
	ck_assert_int_eq(fakesys.now_ns, LEG_MS * MS);
	ck_assert_mem_eq(fakesys.fds[fd]->sent, request, sizeof(request) - 1);
}

/* Connected, as far as the program knows. */
static inline void connect_optimistically(void)
{
	ck_assert_int_eq(p_connect(5), -EINPROGRESS);
	ck_assert_int_eq(p_poll1(5, POLLOUT, 1000), POLLOUT);
	check_owed(5);
}

static inline void begin_owed(void)
{
	begin(HANDSHAKE_OPTIMISTIC);
	connect_optimistically();
}

/* The target speaks, and every octet is an event of its own. */
static inline void greet_slowly(void)
{
	server->reply = granted_hello;
	server->reply_len = sizeof(granted_hello) - 1;
	server->gap_ns = GAP_MS * MS;
}

static inline ssize_t take(int fd, char *to, size_t size)
{
	int err = fdtab_is_gated(fd) ? gate_receive(fd, 0) : 0;

	return err < 0 ? err : sys_recv(fd, to, size, 0);
}

static inline int epoll_now(int64_t ms, uint64_t data)
{
	return p_epoll1(SET, ms, data);
}

#endif
