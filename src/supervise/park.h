/* SPDX-License-Identifier: ISC */
/* park.h - a program's socket that is connecting until we say that it is connected. */
#ifndef SOCKSIFY_SUPERVISE_PARK_H
#define SOCKSIFY_SUPERVISE_PARK_H

#include "socksify/target.h"

/*
 * A parked socket is connecting (SYN_SENT) to a listener on loopback whose
 * queue is full, so that the kernel drops its SYN without an answer.  It
 * reports nothing to poll(2), and keeps options, registrations and duplicates.
 * Another socket under the listener's port opens it from the other side:
 * simultaneous open, RFC 9293 section 3.5.
 */

/*
 * park_socket - park the socket of @domain that the program connects.
 * @fd: a TCP socket that is not connected, in our network namespace
 * Returns 0; or -errno, and it is as before: -EOPNOTSUPP it has an option with
 * which it would not wait on loopback, or what connect(2) says of the latter.
 */
MUST_CHECK int park_socket(int fd, int domain);

/*
 * park_open - begin to open a parked socket.
 * Returns the other end, the caller's, which is writable when it is over; or -errno.
 */
MUST_CHECK int park_open(int fd);

/* Are these two ends of one connection? */
bool park_is_open(int fd, int other);

/* Let a parked socket report what a refused connect does. */
void park_refuse(int fd);

#endif
