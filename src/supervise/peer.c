/* SPDX-License-Identifier: ISC */
/* peer.c - a socket on the loopback that stands for what a program's datagrams are for. */
#include "peer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "socksify/sys.h"

/* By their ports, of which each is one address family's; so a chain has two at most. */
#define PORTS 65536
#define PEERS_MAX 8192

static struct peer *by_port[2][PORTS];
static int count;

static int family_of(const struct target *t)
{
	return t->kind == TARGET_IPV6 ? AF_INET6 : AF_INET;
}

static struct peer **place_of(const struct target *here)
{
	return &by_port[here->kind == TARGET_IPV6][here->port];
}

static int connect_to(int fd, const struct target *t, int family)
{
	union sockaddr_any to;
	int len = target_to_sockaddr(t, family, &to);

	return len < 0 ? len : sys_connect(fd, &to, (socklen_t)len);
}

/* On a free port of the loopback. */
static int open_socket(int family, struct target *ret_here)
{
	struct target any_port = target_loopback(family, 0);
	union sockaddr_any here;
	int len = target_to_sockaddr(&any_port, family, &here), err, fd;

	if (len < 0)
		return len;
	fd = sys_socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fd;
	err = sys_bind(fd, &here, (socklen_t)len);
	if (err == 0)
		err = sys_getsockname(fd, &here, &(socklen_t){ sizeof(here) });
	if (err == 0)
		err = target_from_sockaddr(&here.sa, (socklen_t)len, ret_here);
	if (err == 0)
		return fd;
	close(fd);
	return err;
}

int peer_new(const struct target *target, const struct target *asked,
	     const struct target *program, struct peer **ret)
{
	struct peer *p;
	int err;

	if (count == PEERS_MAX)
		return -ENOBUFS;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	p->target = *target;
	p->asked = *asked;
	p->seen.kind = TARGET_NONE;
	p->watch.fd = open_socket(family_of(asked), &p->here);
	err = p->watch.fd;
	if (err >= 0)
		err = connect_to(p->watch.fd, program, family_of(asked));
	if (err < 0) {
		if (p->watch.fd >= 0)
			close(p->watch.fd);
		free(p);
		return err == -EADDRNOTAVAIL || err == -EAFNOSUPPORT ? -ENETUNREACH : err;
	}
	*place_of(&p->here) = p;
	count++;
	*ret = p;
	return 0;
}

void peer_free(struct peer *p)
{
	loop_remove(&p->watch);
	close(p->watch.fd);
	*place_of(&p->here) = NULL;
	count--;
	free(p);
}

/* One that is connected to itself has no other's datagrams. */
void peer_receive_from(struct peer *p, const struct target *program)
{
	char octet;

	(void)!connect_to(p->watch.fd, program != NULL ? program : &p->here, family_of(&p->here));
	while (program == NULL && recv(p->watch.fd, &octet, 1, MSG_DONTWAIT) >= 0)
		continue;
}

/*
 * The name behind which an address stands that the program did not send to:
 * the one that it answered for before, or the only one of this port.
 */
static struct peer *name_of(struct peer *list, const struct target *from)
{
	struct peer *open = NULL, *only = NULL;
	int open_count = 0, only_count = 0;

	for (struct peer *p = list; p != NULL; p = p->next) {
		if (p->target.kind != TARGET_NAME || p->target.port != from->port)
			continue;
		if (p->seen.kind != TARGET_NONE && target_equal(&p->seen, from))
			return p;
		only = p;
		only_count++;
		if (p->seen.kind == TARGET_NONE) {
			open = p;
			open_count++;
		}
	}
	if (open_count == 1) {
		open->seen = *from;
		return open;
	}
	return only_count == 1 ? only : NULL;
}

struct peer *peer_of_source(struct peer *list, const struct target *from)
{
	for (struct peer *p = list; p != NULL; p = p->next)
		if (target_equal(&p->target, from))
			return p;
	return from->kind == TARGET_NAME ? NULL : name_of(list, from);
}

int peer_asked(const union sockaddr_any *from, int family, union sockaddr_any *ret)
{
	struct target t;
	struct peer *p;
	int len;

	if (count == 0 || target_from_sockaddr(&from->sa, sizeof(*from), &t) < 0)
		return 0;
	p = *place_of(&t);
	if (p == NULL || !target_host_equal(&p->here, &t))
		return 0;
	len = target_to_sockaddr(&p->asked, family, ret);
	return len > 0 ? len : 0;
}
