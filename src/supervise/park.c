/* SPDX-License-Identifier: ISC */
/* park.c - a program's socket that is connecting until we say that it is connected. */
#include "park.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include "socksify/sys.h"

#define FULL_MS 1000	/* far more than a connection on loopback needs */
#define KEEPIDLE_S 60	/* as long as the kernel keeps half of a closed connection */

/* The listener of a family, and the connection that fills its queue for good. */
struct place {
	int listener, filler;
	socklen_t len;		/* 0: not open */
	union sockaddr_any at;
};

static struct place ipv4, ipv6;

static void set_option(int fd, int level, int name, int value)
{
	(void)!sys_setsockopt(fd, level, name, &value, sizeof(value));
}

/* A socket under the address of @p, which others of ours may have, too. */
static int open_socket(const struct place *p)
{
	int on = 1, err = 0;
	int fd = socket(p->at.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	err = sys_setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (err == 0 && bind(fd, &p->at.sa, p->len) < 0)
		err = -errno;
	if (err == 0)
		return fd;
	close(fd);
	return err;
}

static int fill(struct place *p)
{
	struct pollfd queue = { .fd = p->listener, .events = POLLIN };
	int err;

	if (listen(p->listener, 0) < 0)
		return -errno;
	p->filler = socket(p->at.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p->filler < 0)
		return -errno;
	err = sys_connect(p->filler, &p->at, p->len);
	if ((err == 0 || err == -EINPROGRESS) && poll(&queue, 1, FULL_MS) == 1)
		return 0;
	close(p->filler);
	return err < 0 && err != -EINPROGRESS ? err : -ETIMEDOUT;
}

static int open_place(struct place *p, int family)
{
	struct place made = { .listener = -1 };
	struct target t = target_loopback(family, 0);
	int err;

	if (p->len > 0)
		return 0;
	err = target_to_sockaddr(&t, family, &made.at);
	if (err < 0)
		return err;
	made.len = (socklen_t)err;
	made.listener = open_socket(&made);
	if (made.listener < 0)
		return made.listener;
	err = sys_getsockname(made.listener, &made.at, &(socklen_t){ made.len });
	if (err == 0)
		err = fill(&made);
	if (err < 0)
		close(made.listener);
	else
		*p = made;
	return err;
}

/* Park it at one of the places, in the form that its family needs. */
static int park_at(int fd, int domain, struct place *p, int family)
{
	union sockaddr_any to;
	struct target t;
	int err = open_place(p, family);

	if (err == 0)
		err = target_from_sockaddr(&p->at.sa, p->len, &t);
	if (err == 0)
		err = target_to_sockaddr(&t, domain, &to);
	if (err < 0)
		return err;
	err = sys_connect(fd, &to, (socklen_t)err);
	if (err == -EINPROGRESS)
		return 0;
	sys_disconnect(fd);
	return err < 0 ? err : -EOPNOTSUPP;
}

int park_socket(int fd, int domain)
{
	char device[IF_NAMESIZE];
	socklen_t len = sizeof(device);
	int err = -EAFNOSUPPORT;

	if (sys_get_int(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT) != 0 ||
	    sys_getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &len) < 0 || len > 0)
		return -EOPNOTSUPP;
	if (domain == AF_INET6)
		err = park_at(fd, domain, &ipv6, AF_INET6);
	/* Without IPv6 on this machine, or bound to ::ffff:a.b.c.d. */
	if (err < 0)
		err = park_at(fd, domain, &ipv4, AF_INET);
	return err;
}

/* The end of the connection that the program has. */
static int name_of(int (*get)(int, void *, socklen_t *), int fd, struct target *ret)
{
	union sockaddr_any addr;
	socklen_t len = sizeof(addr);
	int err = get(fd, &addr, &len);

	return err < 0 ? err : target_from_sockaddr(&addr.sa, len, ret);
}

int park_open(int fd)
{
	struct target t;
	union sockaddr_any to;
	const struct place *p;
	int err = name_of(sys_getsockname, fd, &t), other, len;

	if (err < 0)
		return err;
	p = t.kind == TARGET_IPV6 ? &ipv6 : &ipv4;
	len = target_to_sockaddr(&t, p->at.sa.sa_family, &to);
	if (len < 0 || p->len == 0)
		return -EAFNOSUPPORT;
	other = open_socket(p);
	if (other < 0)
		return other;
	set_option(other, IPPROTO_TCP, TCP_NODELAY, 1);
	/* Nobody else tells when the program has closed a connection whose server says nothing. */
	set_option(other, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(other, IPPROTO_TCP, TCP_KEEPIDLE, KEEPIDLE_S);
	set_option(other, SOL_SOCKET, SO_OOBINLINE, 1);
	err = sys_connect(other, &to, (socklen_t)len);
	if (err == 0 || err == -EINPROGRESS)
		return other;
	close(other);
	return err;
}

static bool is_end_of(int fd, int other)
{
	struct target peer, name;

	return name_of(sys_getpeername, fd, &peer) == 0 &&
	       name_of(sys_getsockname, other, &name) == 0 &&
	       target_equal(&peer, &name);
}

bool park_is_open(int fd, int other)
{
	return is_end_of(fd, other) && is_end_of(other, fd);
}

void park_refuse(int fd)
{
	(void)shutdown(fd, SHUT_RDWR);
}
