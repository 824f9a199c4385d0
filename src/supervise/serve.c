/* SPDX-License-Identifier: ISC */
/* serve.c - what becomes of each reported call. */
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "socksify/fdtab.h"
#include "socksify/report.h"
#include "socksify/sys.h"
#include "strict.h"
#include "tracee.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71	/* Linux 5.14 */
#endif

static int option(int fd, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);
	int err = sys_getsockopt(fd, SOL_SOCKET, name, &value, &len);

	return err < 0 ? err : value;
}

int serve_look(const struct call *c, struct subject *ret)
{
	socklen_t len = sizeof(ret->cookie);
	int flags, err;

	ret->fd = tracee_descriptor(c, (int)c->arg[0]);
	if (ret->fd == -EBADF)
		return 0;
	if (ret->fd < 0)
		return ret->fd;
	/* What was noted of an earlier copy with this number is not true of this one. */
	fdtab_mark(ret->fd, 0);
	ret->domain = option(ret->fd, SO_DOMAIN);
	if (ret->domain != AF_INET && ret->domain != AF_INET6) {
		close(ret->fd);
		return 0;
	}
	ret->type = option(ret->fd, SO_TYPE);
	ret->tid = c->tid;
	flags = sys_get_flags(ret->fd);
	ret->nonblocking = flags >= 0 && (flags & O_NONBLOCK) != 0;
	err = sys_getsockopt(ret->fd, SOL_SOCKET, SO_COOKIE, &ret->cookie, &len);
	if (err < 0)
		close(ret->fd);
	return err < 0 ? err : 1;
}

static int namespace_of(int fd, uint64_t *ret)
{
	socklen_t len = sizeof(*ret);

	return fd < 0 ? -errno : sys_getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, ret, &len);
}

int serve_is_foreign(int fd)
{
	static uint64_t ours; /* 0: not asked for yet; no namespace has that number */
	uint64_t its;
	int own, err;

	if (ours == 0) {
		own = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		err = namespace_of(own, &ours);
		if (own >= 0)
			close(own);
		if (err < 0)
			return err;
	}
	err = namespace_of(fd, &its);
	return err < 0 ? err : its != ours;
}

/* The arguments of socketcall(2) are 32-bit words in memory; read once, here. */
static bool unpack(struct call *c)
{
	static const uint8_t count[] = {
		[CALL_SOCKET] = 3, [CALL_CONNECT] = 3, [CALL_SENDTO] = 6, [CALL_SENDMSG] = 3,
		[CALL_SENDMMSG] = 4, [CALL_RECVFROM] = 6, [CALL_RECVMSG] = 3,
		[CALL_RECVMMSG] = 5, [CALL_GETPEERNAME] = 3, [CALL_GETSOCKOPT] = 5,
	};
	uint32_t words[6] = { 0 };

	c->kind = filter_socketcall(c->arg[0]);
	if (c->kind == CALL_UNKNOWN ||
	    tracee_read(c, c->arg[1], words, count[c->kind] * sizeof(words[0])) < 0)
		return false;
	for (int i = 0; i < 6; i++)
		c->arg[i] = words[i];
	return true;
}

void serve_call(struct call *c)
{
	if (c->kind == CALL_SOCKETCALL && !unpack(c)) {
		(void)listener_reply(c->id, -EFAULT);
		return;
	}
	if (report_is_on())
		tracee_speak_for(c->tid);
	strict_look_at(c);
	switch (c->kind) {
	case CALL_SOCKET:
		serve_socket(c);
		return;
	case CALL_CONNECT:
		serve_connect(c);
		return;
	case CALL_GETPEERNAME:
		serve_getpeername(c);
		return;
	case CALL_GETSOCKOPT:
		serve_getsockopt(c);
		return;
	case CALL_SENDTO:
	case CALL_SENDMSG:
	case CALL_SENDMMSG:
		serve_send(c);
		return;
	case CALL_RECVFROM:
	case CALL_RECVMSG:
	case CALL_RECVMMSG:
		serve_receive(c);
		return;
	case CALL_IO_URING:
		strict_note("an io_uring, whose connects nobody would see");
		break;
	case CALL_SOCKETCALL:
	case CALL_UNKNOWN:
		break;
	}
	(void)listener_reply(c->id, -ENOSYS);
}

/* As the filter judges socket(2). */
static int judge_socket(int domain, int type, int protocol)
{
	switch (domain) {
	case AF_UNIX:
	case AF_NETLINK:
	case AF_ALG:
		return 0;
	case AF_INET:
	case AF_INET6:
		break;
	case AF_PACKET:
		return -EPERM;
	default:
		return -EAFNOSUPPORT;
	}
	switch (type & 0xf) {
	case SOCK_STREAM:
		return protocol == 0 || protocol == IPPROTO_TCP ? 0 : -EPROTONOSUPPORT;
	case SOCK_DGRAM:
		switch (protocol) {
		case 0:
		case IPPROTO_UDP:
		case IPPROTO_UDPLITE:
		case IPPROTO_ICMP:
		case IPPROTO_ICMPV6:
			return 0;
		default:
			return -EPROTONOSUPPORT;
		}
	case SOCK_RAW:
	case SOCK_PACKET:
		return -EPERM;
	default:
		return -ESOCKTNOSUPPORT;
	}
}

/* By socketcall(2) any; of a strict run also a raw one by socket(2). */
void serve_socket(const struct call *c)
{
	int domain = (int)c->arg[0], type = (int)c->arg[1], protocol = (int)c->arg[2];
	int err = judge_socket(domain, type, protocol), fd;

	if (err == -EPERM && strict_is_on()) {
		strict_note(domain == AF_PACKET ? "a packet socket" : "a raw socket");
		err = -EACCES;
	}
	if (err < 0) {
		(void)listener_reply(c->id, err);
		return;
	}
	fd = socket(domain, type, protocol);
	if (fd < 0) {
		(void)listener_reply(c->id, -errno);
		return;
	}
	if (!listener_reply_fd(c->id, fd, (type & SOCK_CLOEXEC) != 0 ? O_CLOEXEC : 0))
		(void)listener_reply(c->id, -EMFILE);
	close(fd);
}
