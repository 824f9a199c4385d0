/* SPDX-License-Identifier: ISC */
/*
 * relay_answer.c - queries to any name server, answered in this process.  The
 * answer arrives on the program's own socket, where it waits for it: a socket
 * of ours on the loopback sends it, with the header that a relay would give it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "relay_state.h"
#include "socksify/nameserver.h"
#include "socksify/scratch.h"
#include "socksify/sys.h"

#define QUERY_MAX 65507
#define FORWARD_ROOM 4096

/* One for each family, made when it is needed, and then kept. */
static struct answerer {
	struct own *_Atomic own;
	union sockaddr_any address;	/* written before own is */
} answerers[2];
static _Atomic int making;

static void set_loopback(union sockaddr_any *a, int family)
{
	memset(a, 0, sizeof(*a));
	a->sa.sa_family = (sa_family_t)family;
	if (family == AF_INET)
		a->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		a->in6.sin6_addr = in6addr_loopback;
}

/* A socket on a port of the loopback, and its address; or -errno. */
static int open_socket(int family, union sockaddr_any *ret)
{
	socklen_t len = sizeof(*ret);
	int fd = sys_socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

	if (fd < 0)
		return fd;
	set_loopback(ret, family);
	err = sys_bind(fd, ret, relay_address_len(ret));
	if (err == 0)
		err = sys_getsockname(fd, ret, &len);
	if (err == 0)
		return fd;
	sys_close(fd);
	return err;
}

static int make(struct answerer *a, int family)
{
	struct own *own;
	int fd, none = 0;

	if (!atomic_compare_exchange_strong(&making, &none, 1))
		return -EAGAIN; /* another thread does; a query may be lost */
	fd = open_socket(family, &a->address);
	own = fd >= 0 ? own_keep(fd) : NULL;
	atomic_store(&a->own, own);
	atomic_store(&making, 0);
	return fd < 0 ? fd : own == NULL ? -ENOMEM : 0;
}

int relay_answerer(int family, union sockaddr_any *ret)
{
	struct answerer *a = &answerers[family == AF_INET6];
	struct own *own = atomic_load_explicit(&a->own, memory_order_acquire);
	int err = own != NULL ? 0 : make(a, family);

	if (err == 0)
		*ret = a->address;
	return err;
}

bool relay_is_answerer(const union sockaddr_any *from)
{
	const struct answerer *a = &answerers[from->sa.sa_family == AF_INET6];

	return atomic_load_explicit(&a->own, memory_order_acquire) != NULL &&
	       relay_address_equal(from, &a->address);
}

/* Where an answer reaches the socket: its own address, or the loopback. */
static int own_address(int fd, int family, union sockaddr_any *ret)
{
	union sockaddr_any loopback;
	int err = relay_prepare(fd, family, false, ret);

	if (err < 0)
		return err;
	set_loopback(&loopback, family);
	if (family == AF_INET && ret->in.sin_addr.s_addr == htonl(INADDR_ANY))
		ret->in.sin_addr = loopback.in.sin_addr;
	else if (family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&ret->in6.sin6_addr))
		ret->in6.sin6_addr = loopback.in6.sin6_addr;
	return 0;
}

/* Let @octets arrive at @fd, as from the target of @w's header. */
static int deliver(int fd, int family, const struct relay_wrapping *w, uint8_t *octets, size_t len)
{
	struct iovec parts[2] = { { (void *)(uintptr_t)w->header, w->header_len }, { octets, len } };
	union sockaddr_any to;
	struct msghdr msg = { .msg_name = &to, .msg_iov = parts, .msg_iovlen = 2 };
	const struct own *own = atomic_load(&answerers[family == AF_INET6].own);
	int err = own_address(fd, family, &to);
	ssize_t n;

	if (err < 0)
		return err;
	msg.msg_namelen = relay_address_len(&to);
	n = own != NULL ? sys_sendmsg(own_fd(own), &msg, MSG_DONTWAIT | MSG_NOSIGNAL) : -EAGAIN;
	/* A full buffer is a lost datagram. */
	return n < 0 && n != -EAGAIN && n != -ENOBUFS ? (int)n : 0;
}

/* What the resolver behind the proxy answers, which is waited for. */
static int forward(int fd, int family, const struct relay_wrapping *w, const uint8_t *query,
		   size_t len)
{
	uint8_t *octets = scratch_take(FORWARD_ROOM);
	size_t n = 0;
	int err;

	if (octets == NULL)
		return -ENOMEM;
	err = nameserver_forward(query, len, false, octets, FORWARD_ROOM, &n);
	if (err == 0)
		err = deliver(fd, family, w, octets, n);
	scratch_give(octets);
	return err;
}

static int answer(int fd, int family, const struct relay_wrapping *w, const uint8_t *query,
		  size_t len)
{
	uint8_t octets[NAMESERVER_ROOM];
	size_t n = 0;

	switch (nameserver_answer(query, len, false, octets, sizeof(octets), &n)) {
	case NAMESERVER_ANSWERED:
		return deliver(fd, family, w, octets, n);
	case NAMESERVER_DROP:
		return 0;
	case NAMESERVER_PASS:
		return RELAY_PASS;
	case NAMESERVER_FORWARD:
		break;
	}
	return forward(fd, family, w, query, len);
}

int relay_answer(int fd, struct relay *r, const struct relay_wrapping *w, const struct msghdr *msg)
{
	struct iovec whole = { NULL, relay_room(msg) };
	union sockaddr_any address;
	int family = atomic_load(&r->family), err;

	if (whole.iov_len > QUERY_MAX)
		return -EMSGSIZE;
	err = relay_answerer(family, &address);
	if (err < 0)
		return err;
	if (msg->msg_iovlen == 1)
		return answer(fd, family, w, msg->msg_iov[0].iov_base, whole.iov_len);
	whole.iov_base = scratch_take(whole.iov_len + 1);
	if (whole.iov_base == NULL)
		return -ENOMEM;
	err = relay_copy_parts(msg->msg_iov, msg->msg_iovlen, 0, &whole, 1, whole.iov_len);
	if (err == 0)
		err = answer(fd, family, w, whole.iov_base, whole.iov_len);
	scratch_give(whole.iov_base);
	return err;
}
