/* SPDX-License-Identifier: ISC */
/* handshake.c - a SOCKS handshake under way on a socket, one step at a time. */
#include "socksify/handshake.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include "socksify/fdtab.h"
#include "socksify/pool.h"
#include "socksify/sys.h"

POOL(handshakes, struct handshake, 32u, CONN_MAX, true);

/* What this process alone knows of each: who uses it, and which one it was. */
static struct {
	_Atomic uint32_t refs;
	uint32_t generation;
} mine[CONN_MAX];

/* Those that were left to other processes, until they have ended. */
#define LENT_MAX 64
static _Atomic(struct handshake *) lent[LENT_MAX];
static _Atomic bool ever_lent;

enum turn { TURN_FREE, TURN_TAKEN, TURN_WANTED };

/* One that was left to others, and has ended. */
static struct handshake *take_back(void)
{
	if (!atomic_load_explicit(&ever_lent, memory_order_relaxed))
		return NULL;
	for (int i = 0; i < LENT_MAX; i++) {
		struct handshake *hs = atomic_load_explicit(&lent[i], memory_order_relaxed);

		/* One that never ends is lost: whoever finds other use of it takes it for connected. */
		if (hs != NULL && handshake_phase(hs) >= HANDSHAKE_DONE &&
		    atomic_compare_exchange_strong(&lent[i], &hs, NULL)) {
			atomic_fetch_add(&hs->generation, 1);
			return hs;
		}
	}
	return NULL;
}

struct handshake *handshake_new(int pid)
{
	struct handshake *hs = take_back();

	if (hs == NULL)
		hs = pool_take(&handshakes);
	if (hs == NULL)
		return NULL;
	mine[pool_index(hs)].generation = atomic_load(&hs->generation);
	atomic_store(&mine[pool_index(hs)].refs, 1);
	hs->home = pid;
	atomic_store(&hs->owner, pid);
	atomic_store(&hs->shared, false);
	atomic_store(&hs->turn, TURN_FREE);
	atomic_store(&hs->moving, false);
	return hs;
}

static void start(struct handshake *hs, enum socks5_command command, const struct target *dst)
{
	const struct proxy *proxy = hs->proxy;

	socks5_start(&hs->s, command, dst, proxy->has_login ? &proxy->login : NULL);
	if (proxy->handshake != HANDSHAKE_STANDARD)
		socks5_pipeline(&hs->s);
}

int handshake_begin(struct handshake *hs, const struct route *route, int family,
		    const struct target *addresses, int count, int64_t deadline)
{
	hs->proxy = route->proxy;
	hs->deadline = deadline;
	hs->begun = 0;
	hs->sent = 0;
	hs->received = 0;
	hs->error = 0;
	hs->came = 0;
	atomic_store(&hs->looked, 0);
	hs->rcvlowat = 0;
	hs->cork = false;
	hs->delay = false;
	hs->binds = false;
	hs->listening = false;
	atomic_store(&hs->waits, false);
	hs->took_error = false;
	atomic_store(&hs->started, false);
	hs->address_at = 0;
	hs->address_count = 0;
	for (int i = 0; i < count && i < HANDSHAKE_ADDRESSES; i++)
		if (target_to_sockaddr(&addresses[i], family,
				       &hs->addresses[hs->address_count]) >= 0)
			hs->address_count++;
	start(hs, SOCKS5_CONNECT, &route->target);
	atomic_store(&hs->phase, HANDSHAKE_CONNECTING);
	return hs->address_count > 0 ? 0 : -EAFNOSUPPORT;
}

void handshake_bind(struct handshake *hs, const struct target *dst, uint16_t wish)
{
	hs->binds = true;
	hs->wish = wish;
	start(hs, SOCKS5_BIND, dst);
}

static socklen_t length_of(const union sockaddr_any *addr)
{
	return addr->sa.sa_family == AF_INET ? sizeof(addr->in) : sizeof(addr->in6);
}

/* Meanwhile a signal handler or another thread may have gone further. */
static void connected(struct handshake *hs)
{
	int phase = HANDSHAKE_CONNECTING;

	atomic_compare_exchange_strong(&hs->phase, &phase, HANDSHAKE_TALKING);
}

/* RFC 7413: the SYN leaves with the first message.  Where it is not to be had, it is not. */
static void allow_fastopen(const struct handshake *hs, int fd)
{
	int on = 1;

	if (hs->proxy->fastopen)
		(void)!sys_setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on));
}

int handshake_connect(struct handshake *hs, int fd)
{
	int err = -EHOSTUNREACH;

	for (; hs->address_at < hs->address_count; hs->address_at++) {
		const union sockaddr_any *to = &hs->addresses[hs->address_at];

		allow_fastopen(hs, fd);
		err = sys_connect(fd, to, length_of(to));
		if (err == 0)
			connected(hs);
		if (err == 0 || err == -EINPROGRESS || err == -EINTR || err == -EISCONN ||
		    err == -EALREADY)
			break;
	}
	atomic_store(&hs->started, true);
	return err;
}

/* If octets were being moved, nobody knows how many were. */
void handshake_take_over(struct handshake *hs)
{
	if (atomic_load(&hs->moving))
		handshake_fail(hs, ECONNREFUSED, "it was interrupted for good while it spoke to the proxy");
	atomic_store(&hs->moving, false);
	atomic_store(&hs->turn, TURN_TAKEN);
}

bool handshake_enter(struct handshake *hs)
{
	int turn = TURN_FREE;

	for (;;) {
		if (atomic_compare_exchange_weak(&hs->turn, &turn, TURN_TAKEN))
			return true;
		if (turn == TURN_WANTED ||
		    (turn == TURN_TAKEN &&
		     atomic_compare_exchange_weak(&hs->turn, &turn, TURN_WANTED)))
			return false;
		turn = TURN_FREE;
	}
}

bool handshake_leave(struct handshake *hs)
{
	int turn = TURN_TAKEN;

	if (atomic_compare_exchange_strong(&hs->turn, &turn, TURN_FREE))
		return false;
	atomic_store(&hs->turn, TURN_TAKEN);
	return true;
}

void handshake_fail(struct handshake *hs, int error, const char *reason)
{
	hs->error = error;
	if (reason != NULL)
		hs->s.reason = reason;
	atomic_store(&hs->phase, HANDSHAKE_REFUSED);
}

int handshake_errno(int err)
{
	switch (err) {
	case -EPROTO:
	case -EMSGSIZE:
	case -ECONNRESET:
	case -EPIPE:
		return -ECONNREFUSED;
	default:
		return err;
	}
}

/* The proxy's address did not answer: the next one, if the socket does not block. */
static void try_next_address(struct handshake *hs, int fd)
{
	int err;

	if (hs->waits || hs->address_at + 1 >= hs->address_count) {
		atomic_store(&hs->phase, HANDSHAKE_UNREACHED);
		return;
	}
	hs->address_at++;
	sys_disconnect(fd);
	err = handshake_connect(hs, fd);
	if (err < 0 && err != -EINPROGRESS && err != -EINTR)
		handshake_fail(hs, -handshake_errno(err), NULL);
}

/* Was it connected, before it ended?  A round trip was measured then. */
static bool was_connected(int fd)
{
	struct tcp_info tcp = { .tcpi_rtt = 0 };
	socklen_t len = sizeof(tcp);

	return sys_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &tcp, &len) == 0 && tcp.tcpi_rtt != 0;
}

static void step_connecting(struct handshake *hs, int fd, int ready)
{
	bool started = atomic_load(&hs->started); /* before the look: connect(2) may come back after it */

	/* It may have been reported before connect(2), or of the address before: what is true now? */
	if ((ready & (POLLERR | POLLHUP)) != 0)
		ready = sys_poll_now(fd, POLLOUT);
	if ((ready & (POLLERR | POLLHUP)) == 0) {
		if ((ready & POLLOUT) != 0)
			connected(hs);
	} else if ((ready & POLLERR) != 0 && was_connected(fd)) {
		handshake_fail(hs, ECONNREFUSED, "the proxy broke the connection off");
	} else if (started) {
		try_next_address(hs, fd);
	}
}

static bool is_any_address(const struct target *t)
{
	static const uint8_t zeros[sizeof(t->ip)];

	if (t->kind == TARGET_IPV4 || t->kind == TARGET_IPV6)
		return memcmp(t->ip, zeros, t->kind == TARGET_IPV4 ? 4 : 16) == 0;
	return true; /* a name is no address either */
}

/* The first reply to BIND has come. */
static void begin_listening(struct handshake *hs)
{
	const union sockaddr_any *proxy = &hs->addresses[hs->address_at];
	uint16_t port;

	hs->bound = *socks5_bound(&hs->s);
	port = hs->bound.port;
	if (hs->wish != 0 && port != hs->wish) {
		handshake_fail(hs, EADDRINUSE, "the proxy listens on another port than the one asked for");
		return;
	}
	if (is_any_address(&hs->bound) &&
	    target_from_sockaddr(&proxy->sa, length_of(proxy), &hs->bound) == 0)
		hs->bound.port = port;
	hs->listening = true;
	hs->deadline = ROUTE_NEVER; /* a listener waits for its peer */
	socks5_await_peer(&hs->s);
}

int handshake_take(struct handshake *hs, int fd)
{
	int done = HANDSHAKE_DONE;
	uint8_t last;
	ssize_t n;

	if (!handshake_is_current(hs) ||
	    !atomic_compare_exchange_strong(&hs->phase, &done, HANDSHAKE_TAKEN))
		return 0;
	n = sys_recv(fd, &last, sizeof(last), MSG_DONTWAIT);
	if (n > 0)
		return 1;
	atomic_store(&hs->phase, HANDSHAKE_DONE);
	return n < 0 ? (int)n : -ECONNABORTED;
}

/* A refused BIND, as bind(2) and listen(2) may say it. */
static int bind_errno(const struct handshake *hs, int err)
{
	if (!hs->binds || hs->listening)
		return err;
	switch (hs->s.reply) {
	case 0:
	case 0xff:	/* there was none */
	case 2:
	case 3:
	case 4:
	case 6:
	case 8:
		return err;
	case 7:
		return -EOPNOTSUPP;
	default:
		return -EADDRINUSE;
	}
}

/* Receive, unless that has been done; of the second reply to BIND the last octet is only looked at. */
static ssize_t receive(struct handshake *hs, int fd, const struct span *span)
{
	ssize_t came = hs->came;

	hs->came = 0;
	if (came != 0)
		return came;
	if (!hs->listening || !socks5_sees_end(&hs->s))
		return sys_recv(fd, span->data, span->len, MSG_DONTWAIT);
	if (span->len > 1)
		return sys_recv(fd, span->data, span->len - 1, MSG_DONTWAIT);
	return sys_recv(fd, span->data, 1, MSG_DONTWAIT | MSG_PEEK);
}

/* Move one span.  0 when it has to be waited for, 1 to go on, or -errno. */
static int move_octets(struct handshake *hs, int fd, enum socks5_io io, const struct span *span)
{
	ssize_t n;
	int err;

	if (io == SOCKS5_SEND)
		n = sys_send(fd, span->data, span->len, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		n = receive(hs, fd, span);
	/* -EINPROGRESS: a fast open that has just sent its SYN */
	if (n == -EAGAIN || n == -EINTR || n == -EINPROGRESS)
		return 0;
	if (n == 0) {
		hs->s.reason = "the proxy closed the connection";
		return -ECONNREFUSED;
	}
	if (n < 0) {
		hs->took_error = true;
		return (int)n;
	}
	*(io == SOCKS5_SEND ? &hs->sent : &hs->received) += (uint32_t)n;
	if (hs->listening && hs->deadline == ROUTE_NEVER) /* a peer has come, the rest is due */
		hs->deadline = route_deadline(sys_now_ns());
	err = socks5_advance(&hs->s, (size_t)n);
	return err < 0 ? err : 1;
}

static int move(struct handshake *hs, int fd, enum socks5_io io, const struct span *span)
{
	int moved;

	atomic_store(&hs->moving, true);
	moved = move_octets(hs, fd, io, span);
	atomic_store(&hs->moving, false);
	return moved;
}

/*
 * An error that a receive returned is gone from the socket, and with it the
 * POLLERR that the program should see: so it is not asked for when there is
 * nothing else to receive.
 */
static bool is_broken(int fd, int ready)
{
	return (ready & POLLERR) != 0 && sys_readable(fd) <= 0;
}

/* An answer takes a round trip, so after a send it is waited for before it is read. */
static void step_talking(struct handshake *hs, int fd, int ready)
{
	if (ready == HANDSHAKE_ASK)
		ready = sys_poll_now(fd, POLLOUT) | POLLIN; /* try, unless there is an error */
	for (;;) {
		struct span span;
		enum socks5_io io = socks5_want(&hs->s, &span);
		bool told;
		int moved;

		if (io == SOCKS5_DONE && hs->binds && !hs->listening) {
			begin_listening(hs);
			if (handshake_phase(hs) == HANDSHAKE_REFUSED)
				return;
			continue;
		}
		if (io == SOCKS5_DONE) {
			atomic_store(&hs->phase, HANDSHAKE_DONE);
			return;
		}
		if (io == SOCKS5_RECV && hs->proxy->handshake == HANDSHAKE_OPTIMISTIC && !hs->binds)
			atomic_store(&hs->phase, HANDSHAKE_OWED);
		if (io == SOCKS5_RECV && (ready & (POLLIN | POLLERR | POLLHUP | POLLRDHUP)) == 0)
			return;
		if (io == SOCKS5_RECV && is_broken(fd, ready)) {
			handshake_fail(hs, ECONNREFUSED, "the proxy broke the connection off");
			return;
		}
		told = hs->came != 0;
		moved = move(hs, fd, io, &span);
		if (moved == 0)
			return;
		if (moved == -ENOTSOCK || moved == -EBADF) {
			/* The number was closed behind our back, and may be another file's. */
			atomic_store(&hs->phase, HANDSHAKE_UNREACHED);
			return;
		}
		if (moved < 0) {
			handshake_fail(hs, -bind_errno(hs, handshake_errno(moved)), NULL);
			return;
		}
		/* Who slept for the octets sleeps for the next ones, too. */
		if (io == SOCKS5_SEND || told)
			ready = 0;
	}
}

static const char *why_late(const struct handshake *hs)
{
	if (hs->proxy->handshake == HANDSHAKE_STANDARD || hs->listening ||
	    handshake_phase(hs) == HANDSHAKE_CONNECTING)
		return "the proxy took too long";
	return "the proxy took too long: if it loses what is pipelined, use handshake standard";
}

enum handshake_phase handshake_step(struct handshake *hs, int fd, int ready)
{
	if (ready != HANDSHAKE_ASK && (ready & POLLNVAL) != 0)
		atomic_store(&hs->phase, HANDSHAKE_UNREACHED); /* closed under our hands */
	if (handshake_phase(hs) == HANDSHAKE_CONNECTING) {
		if (ready == HANDSHAKE_ASK)
			ready = sys_poll_now(fd, POLLOUT);
		step_connecting(hs, fd, ready);
	}
	if (handshake_phase(hs) == HANDSHAKE_TALKING || handshake_phase(hs) == HANDSHAKE_OWED)
		step_talking(hs, fd, ready);
	if (handshake_phase(hs) < HANDSHAKE_DONE && sys_now_ns() >= hs->deadline)
		handshake_fail(hs, ETIMEDOUT, why_late(hs));
	return handshake_phase(hs);
}

bool handshake_awaits(struct handshake *hs, struct span *ret)
{
	enum handshake_phase phase = handshake_phase(hs);

	return (phase == HANDSHAKE_TALKING || phase == HANDSHAKE_OWED) && hs->came == 0 &&
	       socks5_want(&hs->s, ret) == SOCKS5_RECV;
}

short handshake_events(struct handshake *hs)
{
	struct span span;

	if (handshake_phase(hs) != HANDSHAKE_CONNECTING &&
	    socks5_want(&hs->s, &span) == SOCKS5_RECV)
		return POLLIN;
	return POLLOUT;
}

void handshake_share(struct handshake *hs)
{
	int64_t now = sys_now_ns();

	if (atomic_load(&hs->looked) < now)
		atomic_store(&hs->looked, now);
	atomic_store(&hs->shared, true);
}

void handshake_in_child(void)
{
	pool_abandon(&handshakes);
	for (int i = 0; i < LENT_MAX; i++)
		atomic_store(&lent[i], NULL);
}

/* Leave it to whoever wants to go on; without room for that its storage is lost. */
static void lend(struct handshake *hs)
{
	atomic_store(&hs->owner, 0);
	atomic_store(&ever_lent, true);
	for (int i = 0; i < LENT_MAX; i++) {
		struct handshake *none = NULL;

		if (atomic_compare_exchange_strong(&lent[i], &none, hs))
			return;
	}
}

bool handshake_is_current(const struct handshake *hs)
{
	return atomic_load(&hs->generation) == mine[pool_index(hs)].generation;
}

static void release(struct handshake *hs)
{
	int me = fdtab_owner();

	if (!handshake_is_current(hs))
		return; /* its home has put the storage to other use */
	if (handshake_phase(hs) < HANDSHAKE_DONE && atomic_load(&hs->shared)) {
		if (hs->home == me)
			lend(hs);
		else if (atomic_load(&hs->owner) == me)
			atomic_store(&hs->owner, 0);
		return;
	}
	if (hs->home != me)
		return;
	atomic_fetch_add(&hs->generation, 1);
	pool_give(&handshakes, hs);
}

bool handshake_ref(struct handshake *hs)
{
	_Atomic uint32_t *refs = &mine[pool_index(hs)].refs;
	uint32_t count = atomic_load(refs);

	do {
		if (count == 0)
			return false;
	} while (!atomic_compare_exchange_weak(refs, &count, count + 1));
	return true;
}

void handshake_unref(struct handshake *hs)
{
	if (atomic_fetch_sub(&mine[pool_index(hs)].refs, 1) == 1)
		release(hs);
}

void handshake_forget_threads(struct handshake *hs)
{
	atomic_store(&mine[pool_index(hs)].refs, 1);
}
