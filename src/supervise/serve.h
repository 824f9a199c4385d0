/* SPDX-License-Identifier: ISC */
/* serve.h - what becomes of each reported call. */
#ifndef SOCKSIFY_SUPERVISE_SERVE_H
#define SOCKSIFY_SUPERVISE_SERVE_H

#include "listener.h"

/* A socket that a call is about. */
struct subject {
	int fd;			/* our copy of the descriptor */
	int domain, type;
	bool nonblocking;
	uint64_t cookie;
	pid_t tid;		/* of the caller */
};

/*
 * serve_look - what a call is about.
 * @ret: a socket of AF_INET or AF_INET6; its fd is the caller's to close
 * Returns 1; 0 for anything else, which is the kernel's business; or -errno.
 */
MUST_CHECK int serve_look(const struct call *c, struct subject *ret);

/*
 * serve_is_foreign - is the socket in another network namespace, where our loopback is not?
 * Returns 0, 1, or -errno: an old kernel does not tell.
 */
MUST_CHECK int serve_is_foreign(int fd);

/* Answer the call, now or later. */
void serve_call(struct call *c);

/* Streams: stream.c */
void serve_connect(const struct call *c);
void serve_getpeername(const struct call *c);
void serve_getsockopt(const struct call *c);

/* Datagrams: datagram.c.  sendto(2), sendmsg(2), sendmmsg(2); recvfrom(2), recvmsg(2), recvmmsg(2). */
void serve_send(const struct call *c);
void serve_receive(const struct call *c);

/*
 * connect(2) of a datagram socket.
 * Returns what the call is to be answered with.
 */
MUST_CHECK int serve_datagram_connect(const struct subject *s,
				      const struct sockaddr_storage *to, socklen_t len);

/*
 * serve_asked_peer - the nameserver that a datagram socket was connected to.
 * Returns the length of the address in @ret, or 0: it is connected to nothing of ours.
 */
int serve_asked_peer(const struct subject *s, union sockaddr_any *ret);

/* Was any nameserver asked at all? */
bool serve_has_askers(void);

/* i386: socket(2) by socketcall(2), whose arguments no filter could see; strict: a raw or packet socket. */
void serve_socket(const struct call *c);

#endif
