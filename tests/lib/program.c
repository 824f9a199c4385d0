/* SPDX-License-Identifier: ISC */
/* program.c - the calls of a program, as the preloaded library passes them on to the engine and the kernel. */
#include "program.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>

#include "socksify/epreg.h"
#include "socksify/gate.h"
#include "socksify/sys.h"
#include "socksify/tunnel.h"
#include "socksify/upstream.h"

struct proxy program_proxy;
struct config program_config;

void program_start(void)
{
	fake_reset();
	program_config = (struct config){ .proxies = &program_proxy, .proxy_count = 1,
					  .timeout_ms = 10000 };
	program_proxy = (struct proxy){ .has_login = false };
	ck_assert_int_eq(target_from_host("192.0.2.1", 9, 1080, &program_proxy.address), 0);
	route_setup(&program_config, NULL);
	upstream_hand_down(NULL);
	fdtab_set_owner(1);
	for (int fd = 0; fd < FAKE_FDS; fd++)
		fdtab_mark(fd, 0);
}

void program_end(void)
{
	fakesys.fail_at = 0;
	for (int fd = 0; fd < FAKE_FDS; fd++)
		if (fakesys.fds[fd] != NULL)
			p_close(fd);
	ck_assert(!fakesys.hung);
	ck_assert_int_eq(conn_pending, 0);
	ck_assert(!epreg_any());
}

void p_socket(int fd, int flags)
{
	fake_socket(fd, flags);
	fdtab_mark(fd, FD_TCP | ((flags & O_NONBLOCK) != 0 ? FD_NONBLOCK : 0u));
}

void p_set(int fd)
{
	fake_set(fd);
	fdtab_mark(fd, FD_EPOLL);
}

int p_connect(int fd)
{
	struct route route = { .verdict = ROUTE_PROXY, .proxy = &program_proxy };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(TARGET_PORT),
				  .sin_addr.s_addr = htonl(0x01020304) };
	const struct sockaddr *sa = (const struct sockaddr *)(const void *)&in;
	int err = tunnel_again(fd, sa, sizeof(in));

	if (err != TUNNEL_FRESH)
		return err;
	ck_assert_int_eq(target_from_sockaddr(sa, sizeof(in), &route.target), 0);
	return tunnel_connect(fd, &route, sa, sizeof(in));
}

int p_disconnect(int fd)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	int err = tunnel_again(fd, &none, sizeof(none));

	return err != TUNNEL_FRESH ? err : sys_connect(fd, &none, sizeof(none));
}

ssize_t p_send(int fd, int flags)
{
	int err = fdtab_is_gated(fd) ? gate_send(fd, flags) : 0;

	return err < 0 ? err : sys_send(fd, "ho", 2, flags);
}

ssize_t p_recv(int fd, int flags)
{
	char octets[8];
	int err = fdtab_is_gated(fd) ? gate_receive(fd, flags) : 0;

	return err < 0 ? err : sys_recv(fd, octets, sizeof(octets), flags);
}

int p_error(int fd)
{
	int error = 0, err = fdtab_is_gated(fd) ? gate_error(fd, &error) : -ENOENT;
	socklen_t len = sizeof(error);

	if (err < 0)
		err = sys_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return err < 0 ? err : error;
}

int p_peer_port(int fd)
{
	union sockaddr_any peer, ours;
	socklen_t len = sizeof(peer), ours_len;

	if (fdtab_is_gated(fd) && !gate_has_peer(fd))
		return -ENOTCONN;
	if (sys_getpeername(fd, &peer, &len) < 0)
		return -ENOTCONN;
	return ntohs(gate_peer(fd, &peer.sa, len, &ours, &ours_len) ? ours.in.sin_port
								    : peer.in.sin_port);
}

int p_shutdown(int fd, int how)
{
	return fdtab_is_gated(fd) && gate_shutdown(fd, how) ? 0 : sys_shutdown(fd, how);
}

void p_close(int fd)
{
	fdtab_close(fd);
	fake_close(fd);
	/* What is settled stays until the number comes back. */
	fdtab_mark(fd, 0);
}

void p_dup(int from, int to)
{
	fake_dup(from, to);
	fdtab_dup(from, to);
}

void p_set_flags(int fd, int flags)
{
	fakesys.fds[fd]->flags = O_RDWR | flags;
	if ((flags & O_NONBLOCK) != 0)
		fdtab_change_marks(fd, FD_NONBLOCK, 0);
	else
		fdtab_change_marks(fd, 0, FD_NONBLOCK);
}

int p_ctl(int epfd, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = { .events = events, .data.u64 = data };
	struct conn *conn;
	int result;

	if (!fdtab_has(fd) || (fdtab_state(fd) == CONN_CONNECTED && !epreg_any()))
		return sys_epoll_ctl(epfd, op, fd, &event);
	conn = fdtab_get_or_new(fd);
	if (conn == NULL)
		return -ENOMEM;
	result = epreg_ctl(conn, epfd, op, fd, &event);
	conn_unref(conn);
	return result;
}

int p_epoll(int epfd, struct epoll_event *events, int max, int64_t ms)
{
	int64_t start = sys_now_ns(), ns = ms < 0 ? WAIT_FOREVER : ms * MS;
	int n;

	if (wait_has_pending())
		return wait_epoll(epfd, events, max, ns, NULL);
	n = sys_epoll_wait(epfd, events, max, ns, NULL);
	if (n <= 0 || !epreg_ever_hidden())
		return n;
	return wait_epoll_go_on(epfd, events, max, n, ns, start, NULL);
}

int p_epoll1(int epfd, int64_t ms, uint64_t data)
{
	struct epoll_event e[4];
	int n = p_epoll(epfd, e, 4, ms);

	ck_assert_int_ge(n, 0);
	ck_assert_int_le(n, 1);
	if (n == 1)
		ck_assert_uint_eq(e[0].data.u64, data);
	return n == 1 ? (int)e[0].events : 0;
}

int p_poll(struct pollfd *fds, nfds_t count, int64_t ms)
{
	int64_t ns = ms < 0 ? WAIT_FOREVER : ms * MS;

	return wait_has_pending() ? wait_poll(fds, count, ns, NULL)
				  : sys_poll(fds, count, ns, NULL);
}

int p_poll1(int fd, short events, int64_t ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n = p_poll(&p, 1, ms);

	return n < 0 ? n : p.revents;
}

void p_check_connected(int fd)
{
	size_t talk = FAKE_GREETING + FAKE_REQUEST;

	ck_assert_int_eq(fdtab_state(fd), CONN_CONNECTED);
	ck_assert_uint_eq(fakesys.fds[fd]->reply_pos, fakesys.servers[0].reply_len);
	ck_assert_uint_eq(fakesys.fds[fd]->sent_len, talk);
	fakesys.slice = 0;
	ck_assert_int_eq(p_send(fd, 0), 2);
	ck_assert_mem_eq(fakesys.fds[fd]->sent + talk, "ho", 2);
	ck_assert_int_eq(p_peer_port(fd), TARGET_PORT);
	ck_assert_int_eq(p_connect(fd), -EISCONN);
}

void p_check_reusable(int fd)
{
	ck_assert_int_eq(fdtab_state(fd), CONN_FRESH);
	ck_assert_int_eq(fakesys.fds[fd]->state, FAKE_CLOSED);
	ck_assert_int_eq(p_error(fd), 0);
	fakesys.servers[0] = (struct fake_server){ .host = 1, .reply = FAKE_GRANTED,
						   .reply_len = sizeof(FAKE_GRANTED) - 1 };
	ck_assert_int_eq(p_connect(fd), 0);
	p_check_connected(fd);
}

void p_check_send_timeout(int fd, bool connects_slowly)
{
	struct fake_server *server = &fakesys.servers[0];

	fdtab_change_marks(fd, FD_OPTIONS, 0);
	fakesys.fds[fd]->send_timeout_us = 250000;
	if (connects_slowly)
		server->connect_ns = 600 * MS;
	else
		server->answer_ns = 300 * MS;
	ck_assert_int_eq(p_connect(fd), -EINPROGRESS);
	ck_assert_int_eq(fakesys.now_ns, 250 * MS);
	ck_assert_int_eq(fakesys.fds[fd]->send_timeout_us, 250000);
	ck_assert_int_eq(p_send(fd, 0), -EAGAIN);
	ck_assert_int_eq(fakesys.now_ns, 500 * MS);
	ck_assert_int_eq(p_connect(fd), 0);
	ck_assert_int_eq(fakesys.now_ns, 600 * MS);
	p_check_connected(fd);
}
