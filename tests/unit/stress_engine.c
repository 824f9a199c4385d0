/* SPDX-License-Identifier: ISC */
/*
 * stress_engine.c - threads that do everything to the same few sockets at once.
 * Usage: stress_engine [CALLS]   Made for ThreadSanitizer: see scripts/ci tsan.
 *
 * The kernel below is nothing but relaxed atomics, so that it orders nothing
 * that the engine itself does not order.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "socksify/epreg.h"
#include "socksify/gate.h"
#include "socksify/handshake.h"
#include "socksify/pool.h"
#include "socksify/sys.h"
#include "socksify/tunnel.h"
#include "socksify/wait.h"

#define THREADS 4
#define SET 3
#define LOW 4
#define FDS 8

#define GRANTED "\5\0" "\5\0\0\1\1\2\3\4\0\120"

struct socket {
	_Atomic bool connected;
	_Atomic unsigned reply_pos;
	_Atomic bool registered;
	_Atomic uint64_t cookie;
};

static struct socket sockets[LOW + FDS];
static _Atomic unsigned luck;

static unsigned dice(unsigned sides)
{
	unsigned x = atomic_fetch_add_explicit(&luck, 0x9e3779b9u, memory_order_relaxed);

	x = (x ^ x >> 15) * 0x85ebca6bu;
	return (x ^ x >> 13) % sides;
}

#define GET(x) atomic_load_explicit(&(x), memory_order_relaxed)
#define PUT(x, value) atomic_store_explicit(&(x), value, memory_order_relaxed)

int sys_connect(int fd, const void *addr, socklen_t len)
{
	struct socket *s = &sockets[fd];
	bool again = GET(s->connected);

	(void)len;
	if (((const struct sockaddr *)addr)->sa_family == AF_UNSPEC) {
		PUT(s->connected, false);
		return 0;
	}
	if (again)
		return -EISCONN;
	PUT(s->reply_pos, 0);
	PUT(s->connected, true);
	return dice(2) != 0 ? -EINPROGRESS : 0;
}

ssize_t sys_send(int fd, const void *bytes, size_t len, int flags)
{
	(void)bytes;
	(void)flags;
	if (!GET(sockets[fd].connected))
		return -EPIPE;
	return dice(4) == 0 ? -EAGAIN : (ssize_t)len;
}

ssize_t sys_recv(int fd, void *bytes, size_t size, int flags)
{
	struct socket *s = &sockets[fd];
	unsigned pos = GET(s->reply_pos);

	(void)flags;
	if (!GET(s->connected))
		return -ECONNRESET;
	if (dice(4) == 0 || pos >= sizeof(GRANTED) - 1)
		return dice(16) == 0 ? 0 : -EAGAIN;
	if (size > sizeof(GRANTED) - 1 - pos)
		size = sizeof(GRANTED) - 1 - pos;
	if (size > 3)
		size = 3;
	memcpy(bytes, &GRANTED[pos], size);
	if (pos == 2 && dice(4) == 0)
		((char *)bytes)[1] = 5; /* refused */
	PUT(s->reply_pos, pos + (unsigned)size);
	return (ssize_t)size;
}

int sys_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	(void)fd;
	(void)level;
	memset(value, 0, *len);
	if (level == SOL_SOCKET && name == SO_RCVLOWAT)
		memcpy(value, &(int){ 1 }, sizeof(int));
	return 0;
}

int sys_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	(void)fd;
	(void)level;
	(void)name;
	(void)value;
	(void)len;
	return 0;
}

int sys_getpeername(int fd, void *addr, socklen_t *len)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(1080),
				  .sin_addr.s_addr = htonl(0xc0000201) };

	if (!GET(sockets[fd].connected))
		return -ENOTCONN;
	memcpy(addr, &in, sizeof(in));
	*len = sizeof(in);
	return 0;
}

int sys_shutdown(int fd, int how)
{
	(void)fd;
	(void)how;
	return 0;
}

int sys_getsockname(int fd, void *addr, socklen_t *len)
{
	(void)fd;
	memset(addr, 0, *len);
	return 0;
}

int sys_readable(int fd)
{
	(void)fd;
	return 1;
}

int sys_get_flags(int fd)
{
	return fd % 4 == 0 ? 0 : O_NONBLOCK;
}

bool sys_is_cloexec(int fd)
{
	return fd % 2 != 0;
}

int sys_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	struct socket *s = &sockets[fd];
	bool was = GET(s->registered);

	(void)epfd;
	if (was == (op == EPOLL_CTL_ADD))
		return was ? -EEXIST : -ENOENT;
	if (op != EPOLL_CTL_DEL)
		PUT(s->cookie, event->data.u64);
	PUT(s->registered, op != EPOLL_CTL_DEL);
	return 0;
}

int sys_poll(struct pollfd *fds, nfds_t count, int64_t timeout_ns, const sigset_t *mask)
{
	int ready = 0;

	(void)mask;
	for (nfds_t i = 0; i < count; i++) {
		fds[i].revents = 0;
		if (fds[i].fd < LOW || fds[i].fd >= LOW + FDS)
			continue;
		fds[i].revents = GET(sockets[fds[i].fd].connected)
			? (short)(fds[i].events & (POLLIN | POLLOUT)) : POLLHUP;
		ready += fds[i].revents != 0;
	}
	if (ready == 0 && timeout_ns != 0)
		sched_yield();
	return ready;
}

int sys_epoll_wait(int epfd, struct epoll_event *events, int max, int64_t timeout_ns,
		   const sigset_t *mask)
{
	int n = 0;

	(void)epfd;
	(void)mask;
	for (int fd = LOW; fd < LOW + FDS && n < max; fd++)
		if (GET(sockets[fd].registered) && dice(2) != 0)
			events[n++] = (struct epoll_event){ .events = EPOLLIN | EPOLLOUT,
							    .data.u64 = GET(sockets[fd].cookie) };
	if (n == 0 && timeout_ns != 0)
		sched_yield();
	return n;
}

int64_t sys_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

void *sys_map(size_t size, bool shared)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

void sys_unmap(void *map, size_t size)
{
	(void)munmap(map, size);
}

bool sys_is_running(int pid)
{
	return pid == 1;
}

int sys_getpid(void)
{
	return 1;
}

bool sys_has_interrupting_handler(void)
{
	return false;
}

int sys_resolve(const char *name, uint16_t port, struct target *ret, int max)
{
	(void)name;
	(void)port;
	(void)ret;
	(void)max;
	return -EHOSTUNREACH;
}

static struct proxy proxy;
static struct config config = { .proxies = &proxy, .proxy_count = 1, .timeout_ms = 1000 };
static long calls = 20000;
static _Atomic long connected, failed;

static unsigned marks_of(int fd)
{
	return FD_TCP | (sys_get_flags(fd) != 0 ? FD_NONBLOCK : 0u);
}

static void close_and_open(int fd)
{
	fdtab_close(fd);
	PUT(sockets[fd].registered, false);
	PUT(sockets[fd].connected, false);
	fdtab_mark(fd, marks_of(fd));
}

static void connect_one(int fd)
{
	struct route route = { .verdict = ROUTE_PROXY, .proxy = &proxy,
			       .target = { .kind = TARGET_IPV4, .port = 80 } };
	struct sockaddr_in in = { .sin_family = AF_INET };
	const struct sockaddr *sa = (const struct sockaddr *)(const void *)&in;
	int err;

	if (dice(8) == 0)
		in.sin_family = AF_UNSPEC;
	err = tunnel_again(fd, sa, sizeof(in));
	if (err == TUNNEL_FRESH && in.sin_family == AF_INET)
		err = tunnel_connect(fd, &route, sa, sizeof(in));
	if (err == 0 || err == -EISCONN)
		atomic_fetch_add(&connected, 1);
	else if (err != -EINPROGRESS && err != -EALREADY)
		atomic_fetch_add(&failed, 1);
}

static void control(int fd)
{
	static const int ops[] = { EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL };
	struct epoll_event event = { .events = EPOLLOUT, .data.u64 = (uint64_t)fd };
	struct conn *conn = fdtab_get_or_new(fd);

	if (conn == NULL)
		return;
	(void)epreg_ctl(conn, SET, ops[dice(3)], fd, &event);
	conn_unref(conn);
}

static void wait_somehow(int fd)
{
	struct pollfd fds[2] = { { .fd = fd, .events = POLLIN | POLLOUT },
				 { .fd = LOW, .events = POLLOUT } };
	struct epoll_event events[4];
	int64_t left, ns = (int64_t)dice(3) * 100000;
	fd_set in;

	switch (dice(3)) {
	case 0:
		(void)!wait_poll(fds, 2, ns, NULL);
		break;
	case 1:
		FD_ZERO(&in);
		FD_SET(fd, &in);
		(void)!wait_select(fd + 1, &in, NULL, NULL, ns, NULL, &left);
		break;
	default:
		(void)!wait_epoll(SET, events, 4, ns, NULL);
	}
}

static void ask(int fd)
{
	union sockaddr_any peer;
	socklen_t len;
	int error;

	switch (dice(5)) {
	case 0:
		if (fdtab_is_gated(fd))
			(void)!gate_send(fd, 0);
		break;
	case 1:
		if (fdtab_is_gated(fd))
			(void)!gate_receive(fd, 0);
		break;
	case 2:
		(void)!gate_error(fd, &error);
		break;
	case 3:
		(void)!gate_asked_peer(fd, &peer, &len);
		break;
	default:
		if (dice(4) == 0)
			(void)gate_shutdown(fd, SHUT_RDWR);
	}
}

static void *churn(void *unused)
{
	(void)unused;
	for (long i = 0; i < calls; i++) {
		int fd = LOW + (int)dice(FDS);

		switch (dice(12)) {
		case 0:
		case 1:
		case 2:
			connect_one(fd);
			break;
		case 3:
		case 4:
			control(fd);
			break;
		case 5:
		case 6:
		case 7:
			wait_somehow(fd);
			break;
		case 8:
			fdtab_dup(fd, LOW + (int)dice(FDS));
			break;
		case 9:
			if (dice(2) == 0)
				close_and_open(fd);
			break;
		case 10:
			if (dice(200) == 0)
				epreg_forget_set(SET);
			break;
		default:
			ask(fd);
		}
	}
	return NULL;
}

/*
 * Take more than there ever were at once.  Numbers are given again before new
 * ones, so if none is missing, the highest is the count.
 */
#define MANY 500
static bool is_balanced(void)
{
	uint32_t conns = 0, handshakes = 0;

	for (int i = 0; i < MANY; i++) {
		struct conn *conn = conn_new();
		struct handshake *hs = handshake_new(1);

		if (conn == NULL || hs == NULL)
			return false;
		if (conn_index(conn) > conns)
			conns = conn_index(conn);
		if (pool_index(hs) > handshakes)
			handshakes = pool_index(hs);
	}
	printf("%ld connected, %ld failed; lost: %u connections, %u handshakes; left: %d pending, %d registrations\n",
	       atomic_load(&connected), atomic_load(&failed), conns + 1 - MANY,
	       handshakes + 1 - MANY, conn_pending, epreg_any());
	return conns == MANY - 1 && handshakes == MANY - 1 && conn_pending == 0 && !epreg_any();
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];

	if (argc > 1)
		calls = strtol(argv[1], NULL, 10);
	if (target_from_host("192.0.2.1", 9, 1080, &proxy.address) < 0)
		return 2;
	route_setup(&config, NULL);
	fdtab_set_owner(1);
	for (int fd = LOW; fd < LOW + FDS; fd++)
		close_and_open(fd);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, churn, NULL) != 0)
			return 2;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int fd = LOW; fd < LOW + FDS; fd++)
		fdtab_mark(fd, 0);
	return is_balanced() && connected > 10 && failed > 10 ? 0 : 1;
}
