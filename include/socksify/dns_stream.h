/* SPDX-License-Identifier: ISC */
/*
 * dns_stream.h - a program's TCP connection to a name server, whose part we take.
 *
 * The program's socket is connected to another one of this process on loopback.
 * What the program sends is looked at when it has been sent, and answered then,
 * so that answers arrive as octets do, and whoever waits for them is woken.
 */
#ifndef SOCKSIFY_DNS_STREAM_H
#define SOCKSIFY_DNS_STREAM_H

#include "socksify/fdtab.h"

/*
 * dns_stream_connect - connect(2) to a name server.
 * @addr, @len: as the program passed them, what getpeername(2) says from then on
 * Returns 0, -EINPROGRESS on a socket that does not block, -EALREADY while
 * another thread does the same; -ECONNREFUSED when loopback cannot be used; other
 * errors of connect(2) and of socket(2).
 */
MUST_CHECK int dns_stream_connect(int fd, const struct sockaddr *addr, socklen_t len);

/*
 * dns_stream_sent - something was sent on @fd, or its sending ended: answer.
 * @fd: fdtab_is_answered().  Waits only for what nameserver_forward() waits for.
 */
void dns_stream_sent(int fd);

#endif
