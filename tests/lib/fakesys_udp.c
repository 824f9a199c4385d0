/* SPDX-License-Identifier: ISC */
/* fakesys_udp.c - the fake kernel's UDP sockets: what was sent is kept, what arrives is what the test says. */
#include "fakesys.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "socksify/sys.h"

#define OWN_ADDRESS 0x0a000002 /* 10.0.0.2 */
#define DATAGRAM_MAX 65507

struct fake_udp fake_udps[FAKE_UDPS];

void fake_udp_reset(void)
{
	memset(fake_udps, 0, sizeof(fake_udps));
}

void fake_udp_socket(int fd, int flags)
{
	struct fake_udp *u = fake_udps;

	fake_socket(fd, flags);
	while (u->used)
		u++;
	u->used = true;
	fakesys.fds[fd]->kind = FAKE_UDP;
	fakesys.fds[fd]->udp = u;
}

struct fake_udp *fake_udp(int fd)
{
	struct fake_file *f = fd >= 0 && fd < FAKE_FDS ? fakesys.fds[fd] : NULL;

	return f != NULL && f->kind == FAKE_UDP ? f->udp : NULL;
}

static struct sockaddr_in address(uint32_t host, uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(host) };
}

void fake_arrives(int fd, uint32_t host, uint16_t port, const void *octets, size_t len)
{
	struct fake_udp *u = fake_udp(fd);
	struct fake_datagram *d = &u->in[u->in_count++];

	d->peer = address(host, port);
	d->len = len;
	memcpy(d->octets, octets, len);
}

int fake_udp_connect(struct fake_udp *u, const struct sockaddr *sa)
{
	static const int possible[] = { ENETUNREACH, EAGAIN, 0 };
	int err;

	if (sa->sa_family == AF_UNSPEC) {
		u->peer.sin_port = 0;
		return 0;
	}
	if (fake_fault(&err, possible))
		return err;
	memcpy(&u->peer, sa, sizeof(u->peer));
	if (u->port == 0)
		u->port = FAKE_PORT;
	return 0;
}

int sys_socket(int domain, int type, int protocol)
{
	static const int possible[] = { EMFILE, ENOMEM, 0 };
	int fd = FAKE_FDS - 1, err;

	(void)protocol;
	if (fake_fault(&err, possible))
		return err;
	while (fakesys.fds[fd] != NULL)
		fd--;
	fake_socket(fd, (type & SOCK_NONBLOCK) != 0 ? O_NONBLOCK : 0);
	fakesys.fds[fd]->domain = domain;
	return fd;
}

int sys_close(int fd)
{
	fake_close(fd);
	return 0;
}

static int bind_tcp(struct fake_file *f, const union sockaddr_any *addr)
{
	static const int possible[] = { EADDRINUSE, ENOMEM, 0 };
	int err;

	if (f == NULL)
		return -EBADF;
	if (fake_fault(&err, possible))
		return err;
	f->bound = ntohs(addr->sa.sa_family == AF_INET6 ? addr->in6.sin6_port : addr->in.sin_port);
	return 0;
}

int sys_bind(int fd, const void *addr, socklen_t len)
{
	static const int possible[] = { EADDRINUSE, ENOMEM, 0 };
	struct fake_udp *u = fake_udp(fd);
	int err;

	(void)len;
	if (u == NULL)
		return bind_tcp(fake_file(fd, FAKE_SOCKET), addr);
	if (u->port != 0)
		return -EINVAL;
	if (fake_fault(&err, possible))
		return err;
	u->port = FAKE_PORT;
	return 0;
}

static int name6(const struct fake_file *f, void *addr, socklen_t *len)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)f->bound) };

	if (f->state != FAKE_CLOSED) {
		in6.sin6_port = htons(40000);
		in6.sin6_addr = in6addr_loopback;
	}
	memcpy(addr, &in6, *len < sizeof(in6) ? *len : sizeof(in6));
	*len = sizeof(in6);
	return 0;
}

int sys_getsockname(int fd, void *addr, socklen_t *len)
{
	struct fake_udp *u = fake_udp(fd);
	struct sockaddr_in in = address(0, u != NULL ? u->port : 0);

	if (fd < 0 || fd >= FAKE_FDS || fakesys.fds[fd] == NULL)
		return -EBADF;
	if (u == NULL && fakesys.fds[fd]->domain == AF_INET6)
		return name6(fakesys.fds[fd], addr, len);
	if (u == NULL && fakesys.fds[fd]->state != FAKE_CLOSED)
		in = address(OWN_ADDRESS, 40000);
	else if (u == NULL)
		in = address(fakesys.fds[fd]->bound_to_address ? OWN_ADDRESS : 0,
			     (uint16_t)fakesys.fds[fd]->bound);
	memcpy(addr, &in, *len < sizeof(in) ? *len : sizeof(in));
	*len = sizeof(in);
	return 0;
}

static size_t gather(const struct msghdr *msg, uint8_t *to, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < msg->msg_iovlen; i++) {
		const struct iovec *part = &msg->msg_iov[i];

		if (len < size)
			memcpy(to + len, part->iov_base,
			       part->iov_len < size - len ? part->iov_len : size - len);
		len += part->iov_len;
	}
	return len;
}

ssize_t sys_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	static const int possible[] = { EAGAIN, ENOBUFS, ECONNREFUSED, EINTR, 0 };
	struct fake_udp *u = fake_udp(fd);
	struct fake_datagram *d;
	int err;

	(void)flags;
	if (u == NULL)
		return -EBADF;
	if (fake_fault(&err, possible))
		return err;
	if (msg->msg_name == NULL && u->peer.sin_port == 0)
		return -EDESTADDRREQ;
	d = &u->out[u->out_count];
	d->len = gather(msg, d->octets, sizeof(d->octets));
	if (d->len > DATAGRAM_MAX)
		return -EMSGSIZE;
	d->peer = u->peer;
	if (msg->msg_name != NULL)
		memcpy(&d->peer, msg->msg_name, sizeof(d->peer));
	u->out_count++;
	if (u->port == 0)
		u->port = FAKE_PORT;
	return (ssize_t)d->len;
}

int sys_sendmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags)
{
	unsigned sent;

	for (sent = 0; sent < count; sent++) {
		ssize_t n = sys_sendmsg(fd, &msgs[sent].msg_hdr, flags);

		if (n < 0)
			return sent > 0 ? (int)sent : (int)n;
		msgs[sent].msg_len = (unsigned)n;
	}
	return (int)sent;
}

static void scatter(struct msghdr *msg, const struct fake_datagram *d)
{
	size_t done = 0;

	for (size_t i = 0; i < msg->msg_iovlen; i++) {
		size_t n = msg->msg_iov[i].iov_len;

		n = n < d->len - done ? n : d->len - done;
		if (n > 0)
			memcpy(msg->msg_iov[i].iov_base, d->octets + done, n);
		done += n;
	}
	msg->msg_flags = done < d->len ? MSG_TRUNC : 0;
}

ssize_t sys_recvmsg(int fd, struct msghdr *msg, int flags)
{
	static const int possible[] = { EAGAIN, ECONNREFUSED, EINTR, 0 };
	struct fake_udp *u = fake_udp(fd);
	struct fake_file *tcp = fake_file(fd, FAKE_SOCKET);
	struct fake_datagram *d;
	int err;

	if (tcp != NULL)
		return fake_receive(tcp, fd, msg, flags);
	if (u == NULL)
		return -EBADF;
	if (fake_fault(&err, possible))
		return err;
	if (u->in_at == u->in_count) {
		if ((flags & MSG_DONTWAIT) == 0 && (fakesys.fds[fd]->flags & O_NONBLOCK) == 0)
			fakesys.hung = true;
		return -EAGAIN;
	}
	d = &u->in[u->in_at];
	if ((flags & MSG_PEEK) == 0)
		u->in_at++;
	scatter(msg, d);
	if (msg->msg_name != NULL) {
		memcpy(msg->msg_name, &d->peer, sizeof(d->peer));
		msg->msg_namelen = sizeof(d->peer);
	}
	msg->msg_controllen = 0;
	if ((flags & MSG_TRUNC) != 0)
		return (ssize_t)d->len;
	return (ssize_t)(d->len < gather(msg, NULL, 0) ? d->len : gather(msg, NULL, 0));
}

int sys_recvmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags, struct timespec *timeout)
{
	unsigned got;

	(void)timeout;
	for (got = 0; got < count; got++) {
		ssize_t n = sys_recvmsg(fd, &msgs[got].msg_hdr, flags & ~MSG_WAITFORONE);

		if (n < 0)
			return got > 0 ? (int)got : (int)n;
		msgs[got].msg_len = (unsigned)n;
		if ((flags & MSG_WAITFORONE) != 0)
			flags |= MSG_DONTWAIT;
	}
	return (int)got;
}
