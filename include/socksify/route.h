/* SPDX-License-Identifier: ISC */
/* route.h - what becomes of traffic from a socket to an address. */
#ifndef SOCKSIFY_ROUTE_H
#define SOCKSIFY_ROUTE_H

#include "socksify/config.h"

enum route_verdict { ROUTE_DIRECT, ROUTE_BLOCK, ROUTE_PROXY };

struct route {
	enum route_verdict verdict;
	bool is_datagram;		/* from a UDP socket */
	bool is_query;			/* ROUTE_PROXY: to a name server, whose part this process takes */
	enum route_verdict otherwise;	/* is_query: for what is not answered here */
	const struct proxy *proxy;	/* ROUTE_PROXY; of a query the one for what is not answered here */
	const char *why;		/* static phrase */
	struct target target;		/* a pool address is already its name */
};

/*
 * route_setup - the settings that decide.
 * @c:     NULL: there are none, and every network call fails with -ENETDOWN
 * @error: then, why; kept by reference
 */
void route_setup(const struct config *c, const char *error);

/* The settings, or NULL. */
const struct config *route_config(void);

/*
 * route_deadline - when what begins now has to be over, in ns, sys_now_ns().
 * ROUTE_NEVER with `timeout 0`: it is far away, but can be added to.
 */
#define ROUTE_NEVER (INT64_MAX / 2)
int64_t route_deadline(int64_t now);

/* Are there settings?  0, or -ENETDOWN, after saying why there are none. */
MUST_CHECK int route_check(void);

/* Is @fd a TCP socket?  1, 0, or -errno: the kernel does not say. */
MUST_CHECK int route_is_tcp(int fd);

/*
 * route_for_socket - decide for @fd and an address given to connect(2).
 * Anything but an Internet address on an Internet socket, and a NULL or too
 * short @addr, is ROUTE_DIRECT: the kernel answers bad fds and addresses better than we could.
 * Returns 0, or a negative errno with which the call must fail:
 *   -ENETDOWN      no usable configuration
 *   -EHOSTUNREACH  an address of the name pool that stands for no name
 *   -ENETUNREACH   datagrams to many, which no proxy relays and no rule makes direct
 *   -EPERM         raw and other sockets to a proxied target
 *   -ENOENT        a local resolver's socket (nscd, systemd-resolved, avahi)
 *   and what getsockopt(2) failed with, when it does not tell what the socket is
 * Async-signal-safe.
 */
MUST_CHECK int route_for_socket(int fd, const struct sockaddr *addr,
				socklen_t len, struct route *ret);

/*
 * route_for_send - the same for an address given to sendto(2), which unlike
 * connect(2) takes AF_UNSPEC for AF_INET (udp_sendmsg() in the kernel).
 */
MUST_CHECK int route_for_send(int fd, const struct sockaddr *addr, socklen_t len,
			      struct route *ret);

/* May datagrams of @from reach the program as they are: would its answer go direct? */
MUST_CHECK bool route_is_direct(const struct target *from);

#endif
