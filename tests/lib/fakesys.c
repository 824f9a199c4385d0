/* SPDX-License-Identifier: ISC */
/* fakesys.c - the fake kernel's TCP sockets, with the semantics of Linux, and the servers behind them. */
#include "fakesys.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "socksify/sys.h"

/* More calls than any test needs: somebody spins. */
#define CALLS_MAX 200000

struct fakesys fakesys;

void fake_reset(void)
{
	memset(&fakesys, 0, sizeof(fakesys));
	fake_udp_reset();
	fakesys.servers[0] = (struct fake_server){ .host = 1, .reply = FAKE_GRANTED,
						   .reply_len = sizeof(FAKE_GRANTED) - 1 };
}

void fake_count_call(void)
{
	if (++fakesys.calls > CALLS_MAX) {
		fputs("fakesys: the engine spins\n", stderr);
		abort();
	}
}

/* Is it this call that fails?  @possible: a list that ends with 0. */
bool fake_fault(int *err, const int *possible)
{
	fake_count_call();
	while (*possible != 0 && -*possible != fakesys.fail_with)
		possible++;
	if (*possible == 0 || ++fakesys.step != fakesys.fail_at)
		return false;
	*err = fakesys.fail_with;
	return true;
}

static struct fake_file *open_file(int fd, enum fake_kind kind)
{
	struct fake_file *f = fakesys.files;

	while (f->kind != FAKE_NONE)
		f++;
	*f = (struct fake_file){ .kind = kind, .refs = 1, .wakes = 1, .lowat = 1, .domain = AF_INET,
				 .connected_at = INT64_MAX,
				 .sent_at = { INT64_MAX, INT64_MAX } };
	fakesys.fds[fd] = f;
	return f;
}

void fake_socket(int fd, int flags)
{
	open_file(fd, FAKE_SOCKET)->flags = O_RDWR | flags;
}

void fake_set(int fd)
{
	(void)open_file(fd, FAKE_SET);
}

void fake_close(int fd)
{
	struct fake_file *f;

	/* That of a file (nosys.c) is none of ours. */
	if (fd < 0 || fd >= FAKE_FDS)
		return;
	f = fakesys.fds[fd];
	fakesys.fds[fd] = NULL;
	if (f != NULL && --f->refs == 0) {
		fake_forget(f);
		f->kind = FAKE_NONE;
	}
}

void fake_dup(int from, int to)
{
	fakesys.fds[from]->refs++;
	fake_close(to);
	fakesys.fds[to] = fakesys.fds[from];
}

struct fake_file *fake_file(int fd, enum fake_kind kind)
{
	struct fake_file *f = fd >= 0 && fd < FAKE_FDS ? fakesys.fds[fd] : NULL;

	if (f == NULL || f->kind != kind)
		return NULL;
	fake_look(f);
	return f;
}

/* When octet @i of the reply arrives: an answer begins when its request was sent. */
static int64_t arrival(const struct fake_file *f, size_t i)
{
	size_t answer = i < 2 ? 0 : 1;

	if (f->sent_at[answer] == INT64_MAX)
		return INT64_MAX;
	return f->sent_at[answer] + f->server->answer_ns +
	       (f->server->peer_at != 0 && i >= f->server->peer_at ? f->server->peer_ns : 0) +
	       (int64_t)(answer == 0 ? i : i - 2) * f->server->gap_ns;
}

static size_t arrived(const struct fake_file *f)
{
	size_t n = 0;

	while (n < f->server->reply_len && arrival(f, n) <= fakesys.now_ns)
		n++;
	return n;
}

static int64_t end_at(const struct fake_file *f)
{
	if (!f->server->then_eof && !f->server->then_reset)
		return INT64_MAX;
	return f->server->reply_len == 0 ? f->sent_at[0] : arrival(f, f->server->reply_len - 1);
}

void fake_look(struct fake_file *f)
{
	if (f->state == FAKE_CONNECTING && f->connected_at <= fakesys.now_ns) {
		f->error = f->server->connect_error;
		f->state = f->error == 0 ? FAKE_CONNECTED : FAKE_CLOSED;
		f->shut = f->error == 0 ? 0 : 3;
		f->wakes++;
	}
	if (f->state != FAKE_CONNECTED)
		return;
	if (arrived(f) != f->seen) {
		f->seen = arrived(f);
		f->wakes++;
	}
	if (!f->seen_end && end_at(f) <= fakesys.now_ns) {
		f->seen_end = true;
		f->wakes++;
		if (f->server->then_reset) {
			f->state = FAKE_CLOSED;
			f->error = ECONNRESET;
			f->shut = 3;
		}
	}
}

int64_t fake_next(struct fake_file *f)
{
	if (f->kind != FAKE_SOCKET)
		return INT64_MAX;
	if (f->state == FAKE_CONNECTING)
		return f->connected_at;
	if (f->state != FAKE_CONNECTED)
		return INT64_MAX;
	if (f->seen < f->server->reply_len)
		return arrival(f, f->seen);
	return f->seen_end ? INT64_MAX : end_at(f);
}

/* tcp_poll() */
unsigned fake_events(struct fake_file *f)
{
	unsigned events = 0;

	if (f->kind == FAKE_UDP)
		return f->udp->in_at < f->udp->in_count ? POLLIN | POLLOUT : POLLOUT;
	if (f->kind != FAKE_SOCKET)
		return 0;
	fake_look(f);
	if (f->state == FAKE_CLOSED || f->shut == 3)
		events |= POLLHUP;
	if ((f->shut & 1) != 0 || (f->state == FAKE_CONNECTED && f->seen_end))
		events |= POLLIN | POLLRDHUP;
	if (f->state == FAKE_CONNECTED && f->seen - f->reply_pos >= (size_t)f->lowat)
		events |= POLLIN;
	if (f->state != FAKE_CONNECTING)
		events |= POLLOUT;
	if (f->error != 0)
		events |= POLLERR;
	return events;
}

/* tcp_disconnect() */
static int disconnect(struct fake_file *f)
{
	if (f->state != FAKE_CLOSED)
		f->error = ECONNRESET;
	f->state = FAKE_CLOSED;
	f->told = false;
	f->shut = 0;
	f->wakes++;
	return 0;
}

static const struct fake_server *find_server(const union sockaddr_any *addr)
{
	int host = addr->sa.sa_family == AF_INET6 ? addr->in6.sin6_addr.s6_addr[15]
						  : (int)(ntohl(addr->in.sin_addr.s_addr) & 0xff);

	for (int i = 0; i < FAKE_SERVERS; i++)
		if (fakesys.servers[i].host == host)
			return &fakesys.servers[i];
	return NULL;
}

static int take_error(struct fake_file *f)
{
	int error = f->error;

	f->error = 0;
	return error;
}

/* What __inet_stream_connect() says when it waits no more. */
static int connect_result(struct fake_file *f, int unfinished)
{
	int error;

	fake_look(f);
	if (f->state == FAKE_CONNECTING)
		return unfinished;
	if (f->state == FAKE_CONNECTED) {
		f->told = true;
		return 0;
	}
	error = take_error(f);
	disconnect(f);
	return error != 0 ? -error : -ECONNABORTED;
}

static int wait_connected(struct fake_file *f, int unfinished)
{
	int64_t end = f->send_timeout_us > 0 ? fakesys.now_ns + f->send_timeout_us * 1000
					     : INT64_MAX;

	fake_look(f);
	if (f->state == FAKE_CONNECTING && (f->flags & O_NONBLOCK) == 0) {
		int64_t until = f->connected_at < end ? f->connected_at : end;

		fakesys.hung = fakesys.hung || until == INT64_MAX;
		if (until != INT64_MAX && until > fakesys.now_ns)
			fakesys.now_ns = until;
	}
	return connect_result(f, unfinished);
}

static void start_connect(struct fake_file *f, const void *addr)
{
	memcpy(&f->peer, addr, f->domain == AF_INET6 ? sizeof(f->peer.in6) : sizeof(f->peer.in));
	f->server = find_server(&f->peer);
	f->state = FAKE_CONNECTING;
	f->told = false;
	f->connected_at = f->server->connect_ns < 0 ? INT64_MAX
						    : fakesys.now_ns + f->server->connect_ns;
	f->sent_at[0] = f->sent_at[1] = INT64_MAX;
	f->seen = f->reply_pos = f->sent_len = 0;
	f->seen_end = false;
	f->shut = 0;
}

int sys_connect(int fd, const void *addr, socklen_t len)
{
	static const int possible[] = { EINTR, ENOMEM, ENETUNREACH, ECONNREFUSED, ECONNRESET,
					ETIMEDOUT, EAGAIN, 0 };
	struct fake_file *f = fake_file(fd, FAKE_SOCKET);
	const struct sockaddr *sa = addr;
	int err;

	(void)len;
	if (fake_udp(fd) != NULL)
		return fake_udp_connect(fake_udp(fd), sa);
	if (f == NULL)
		return -EBADF;
	if (sa->sa_family == AF_UNSPEC)
		return disconnect(f);
	if (sa->sa_family != f->domain)
		return -EAFNOSUPPORT;
	fake_hook(&fakesys.before_connect);
	fakesys.connects++;
	if (f->state == FAKE_CONNECTED && f->told)
		return -EISCONN;
	if (f->state == FAKE_CONNECTING || f->state == FAKE_CONNECTED ||
	    (f->state == FAKE_CLOSED && f->error != 0 && f->shut == 3))
		return wait_connected(f, -EALREADY);
	if (fake_fault(&err, possible)) {
		if (err == -EINTR)
			start_connect(f, addr);
		return err;
	}
	if (find_server(addr) == NULL)
		return -ENETUNREACH;
	start_connect(f, addr);
	/* Even on loopback: the answer waits until the system call has let the socket go. */
	return (f->flags & O_NONBLOCK) != 0 ? -EINPROGRESS : wait_connected(f, -EINPROGRESS);
}

static size_t limited(size_t n)
{
	return fakesys.slice != 0 && n > fakesys.slice ? fakesys.slice : n;
}

/* A fault that says "not now": what was missing comes at once. */
static ssize_t failed(struct fake_file *f, int err)
{
	if (err == -EAGAIN) {
		f->wakes++;
		return err;
	}
	f->state = FAKE_CLOSED;
	f->shut = 3;
	return err;
}

ssize_t sys_send(int fd, const void *bytes, size_t len, int flags)
{
	static const int possible[] = { EAGAIN, ECONNRESET, EPIPE, ETIMEDOUT, EHOSTUNREACH, 0 };
	struct fake_file *f = fake_file(fd, FAKE_SOCKET);
	size_t n = limited(len);
	int err;

	(void)flags;
	if (f == NULL)
		return -EBADF;
	if (f->state == FAKE_CONNECTING)
		return -EAGAIN;
	if (f->error != 0)
		return -take_error(f);
	if (f->state != FAKE_CONNECTED || (f->shut & 2) != 0)
		return -EPIPE;
	if (fake_fault(&err, possible))
		return failed(f, err);
	if (n > sizeof(f->sent) - f->sent_len)
		n = sizeof(f->sent) - f->sent_len;
	memcpy(f->sent + f->sent_len, bytes, n);
	f->sent_len += n;
	if (f->sent_len >= FAKE_GREETING && f->sent_at[0] == INT64_MAX)
		f->sent_at[0] = fakesys.now_ns;
	if (f->sent_len >= FAKE_GREETING + FAKE_REQUEST && f->sent_at[1] == INT64_MAX)
		f->sent_at[1] = fakesys.now_ns;
	return (ssize_t)n;
}

ssize_t sys_recv(int fd, void *bytes, size_t size, int flags)
{
	static const int possible[] = { EAGAIN, ECONNRESET, ENOMEM, ETIMEDOUT, EHOSTUNREACH, 0 };
	struct fake_file *f = fake_file(fd, FAKE_SOCKET);
	size_t n = limited(size);
	int err;

	if (f == NULL)
		return -EBADF;
	if (f->state == FAKE_CONNECTING)
		return -EAGAIN;
	if (f->error != 0)
		return -take_error(f);
	if (f->state == FAKE_CLOSED)
		return (f->shut & 1) != 0 ? 0 : -ENOTCONN;
	if (fake_fault(&err, possible))
		return failed(f, err);
	if (n > f->seen - f->reply_pos)
		n = f->seen - f->reply_pos;
	if (n == 0)
		return f->seen_end || (f->shut & 1) != 0 ? 0 : -EAGAIN;
	memcpy(bytes, f->server->reply + f->reply_pos, n);
	if ((flags & MSG_PEEK) == 0)
		f->reply_pos += n;
	return (ssize_t)n;
}

ssize_t fake_receive(struct fake_file *f, int fd, struct msghdr *msg, int flags)
{
	static const int possible[] = { EINTR, 0 };
	bool waits = (f->flags & O_NONBLOCK) == 0 && (flags & MSG_DONTWAIT) == 0;
	int64_t end = f->receive_timeout_us > 0 ? fakesys.now_ns + f->receive_timeout_us * 1000
						: INT64_MAX;
	ssize_t n;
	int err;

	if (waits && fake_fault(&err, possible))
		return err;
	if (waits)
		fake_hook(&fakesys.in_receive);
	do {
		n = sys_recv(fd, msg->msg_iov[0].iov_base, msg->msg_iov[0].iov_len, flags);
	} while (n == -EAGAIN && waits && fake_pass_time(fake_next(f), end));
	return n;
}

/* The variable of an option that is kept; NULL for others. */
static int64_t *timeout_of(struct fake_file *f, int level, int name)
{
	if (level != SOL_SOCKET)
		return NULL;
	return name == SO_SNDTIMEO ? &f->send_timeout_us
	       : name == SO_RCVTIMEO ? &f->receive_timeout_us : NULL;
}

static int *number_of(struct fake_file *f, int level, int name)
{
	if (level == SOL_SOCKET && name == SO_RCVLOWAT)
		return &f->lowat;
	if (level != IPPROTO_TCP)
		return NULL;
	return name == TCP_CORK ? &f->cork : name == TCP_NODELAY ? &f->nodelay : NULL;
}

/* A connection that was made has a round trip. */
static int tell_info(const struct fake_file *f, void *value, socklen_t len)
{
	static const uint8_t states[] = { [FAKE_CLOSED] = TCP_CLOSE, [FAKE_CONNECTING] = TCP_SYN_SENT,
					  [FAKE_CONNECTED] = TCP_ESTABLISHED };
	struct tcp_info tcp = { .tcpi_state = states[f->state] };

	if (f->tcp_state != 0)
		tcp.tcpi_state = (uint8_t)f->tcp_state;
	memcpy(value, &tcp, len < sizeof(tcp) ? len : sizeof(tcp));
	return 0;
}

int sys_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	static const int possible[] = { ENOMEM, EINVAL, 0 }, no_memory[] = { ENOMEM, 0 };
	struct fake_file *f = fake_file(fd, FAKE_SOCKET);
	int number = 0, err;
	int64_t *us;

	if (f == NULL && fake_udp(fd) != NULL)
		f = fakesys.fds[fd];
	if (f == NULL)
		return -EBADF;
	/* EINVAL would say that the peer has another family's address. */
	if (fake_fault(&err, level == SOL_SOCKET && name == SO_PEERNAME ? no_memory : possible))
		return err;
	if (level == SOL_SOCKET && name == SO_PEERNAME) {
		if (f->state != FAKE_CONNECTED)
			return -ENOTCONN;
		*len = f->domain == AF_INET6 ? sizeof(f->peer.in6) : sizeof(f->peer.in);
		memcpy(value, &f->peer, *len);
		return 0;
	}
	if (level == IPPROTO_TCP && name == TCP_INFO && f->kind == FAKE_SOCKET)
		return tell_info(f, value, *len);
	us = timeout_of(f, level, name);
	if (us != NULL) {
		struct timeval tv = { *us / 1000000, *us % 1000000 };

		memcpy(value, &tv, sizeof(tv));
		*len = sizeof(tv);
		return 0;
	}
	if (number_of(f, level, name) != NULL)
		number = *number_of(f, level, name);
	else if (level == SOL_SOCKET && name == SO_ERROR)
		number = take_error(f);
	else if (level == SOL_SOCKET && name == SO_TYPE)
		number = f->kind == FAKE_UDP ? SOCK_DGRAM : SOCK_STREAM;
	else if (level == SOL_SOCKET && name == SO_PROTOCOL)
		number = f->kind == FAKE_UDP ? IPPROTO_UDP : IPPROTO_TCP;
	else if (level == SOL_SOCKET && name == SO_DOMAIN)
		number = f->domain;
	memcpy(value, &number, sizeof(number));
	*len = sizeof(number);
	return 0;
}

int sys_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	static const int possible[] = { ENOMEM, EINVAL, 0 };
	struct fake_file *f = fake_file(fd, FAKE_SOCKET);
	struct timeval tv;
	int64_t *us;
	int err;

	if (f == NULL)
		return -EBADF;
	if (fake_fault(&err, possible))
		return err;
	us = timeout_of(f, level, name);
	if (us != NULL && len == sizeof(tv)) {
		memcpy(&tv, value, sizeof(tv));
		*us = tv.tv_sec * 1000000 + tv.tv_usec;
	}
	if (number_of(f, level, name) != NULL)
		memcpy(number_of(f, level, name), value, sizeof(int));
	return 0;
}

int sys_getpeername(int fd, void *addr, socklen_t *len)
{
	struct fake_file *f = fake_file(fd, FAKE_SOCKET);
	socklen_t size;

	if (f == NULL)
		return -EBADF;
	if (f->state != FAKE_CONNECTED)
		return -ENOTCONN;
	size = f->domain == AF_INET6 ? sizeof(f->peer.in6) : sizeof(f->peer.in);
	memcpy(addr, &f->peer, *len < size ? *len : size);
	*len = size;
	return 0;
}

int sys_shutdown(int fd, int how)
{
	struct fake_file *f = fake_file(fd, FAKE_SOCKET);
	bool closed;

	if (f == NULL)
		return -EBADF;
	if (f->state == FAKE_CONNECTING)
		return disconnect(f);
	closed = f->state == FAKE_CLOSED;
	f->shut |= how + 1;
	f->wakes++;
	return closed ? -ENOTCONN : 0;
}

int sys_get_flags(int fd)
{
	return fd >= 0 && fd < FAKE_FDS && fakesys.fds[fd] != NULL ? fakesys.fds[fd]->flags
								  : -EBADF;
}

static int free_number(int lowest)
{
	int fd = lowest > 0 ? lowest : 10;

	while (fd < FAKE_FDS && fakesys.fds[fd] != NULL)
		fd++;
	return fd < FAKE_FDS ? fd : -EMFILE;
}

/* Without numbers, one that was closed is never free: then its registrations are translated. */
int sys_dup(int fd, int lowest)
{
	static const int possible[] = { EMFILE, 0 };
	int err, to = free_number(lowest);

	if (to < 0 || !fakesys.has_numbers || fake_fault(&err, possible))
		return -EMFILE;
	fakesys.fds[to] = fakesys.fds[fd];
	fakesys.fds[to]->refs++;
	return to;
}

int sys_dup_onto(int from, int to, bool cloexec)
{
	(void)cloexec;
	fake_dup(from, to);
	return to;
}

int sys_set_flags(int fd, int flags)
{
	fakesys.fds[fd]->flags = O_RDWR | (flags & O_NONBLOCK);
	return 0;
}

int sys_readable(int fd)
{
	struct fake_file *f = fake_file(fd, FAKE_SOCKET);

	if (f == NULL)
		return -EBADF;
	fake_look(f);
	return (int)(f->seen - f->reply_pos);
}
