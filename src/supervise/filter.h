/* SPDX-License-Identifier: ISC */
/* filter.h - the seccomp filter of a supervised program: which calls are reported, refused, let alone. */
#ifndef SOCKSIFY_SUPERVISE_FILTER_H
#define SOCKSIFY_SUPERVISE_FILTER_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "socksify/target.h"

#define FILTER_MAX 512	/* instructions; what filter_build() makes is below it */

/* What a reported call is, whatever the number it came by. */
enum call_kind {
	CALL_UNKNOWN,
	CALL_SOCKET,		/* by socketcall(2), whose arguments a filter cannot see; strict: raw ones */
	CALL_CONNECT,
	CALL_SENDTO,
	CALL_SENDMSG,
	CALL_SENDMMSG,
	CALL_RECVFROM,
	CALL_RECVMSG,
	CALL_RECVMMSG,
	CALL_GETPEERNAME,
	CALL_GETSOCKOPT,
	CALL_SOCKETCALL,	/* i386: what it is stands in the program's memory */
	CALL_IO_URING,		/* strict: io_uring_setup(2) */
};

/* The secret with which the preloaded library marks its own calls. */
struct filter_cookie {
	uint64_t word[2];
};

/*
 * filter_build - the filter as a program of classic BPF (seccomp(2)).
 * @cookie: calls that carry it in their unused argument registers are let
 *          alone; NULL: there are none
 * @ret:    room for FILTER_MAX instructions
 * Returns the number of instructions.
 */
size_t filter_build(const struct filter_cookie *cookie, struct sock_filter ret[FILTER_MAX]);

/*
 * filter_build_strict - the same for a run that is told of what is refused:
 * raw and packet sockets, fast-open sends and io_uring_setup(2) are reported,
 * and no call passes for a secret, which the program could find out.
 */
size_t filter_build_strict(struct sock_filter ret[FILTER_MAX]);

/*
 * filter_call - what a notification reports.
 * @ret_compat: is it a 32-bit program on a 64-bit kernel?
 */
enum call_kind filter_call(const struct seccomp_data *data, bool *ret_compat);

/* The same for the first argument of socketcall(2). */
enum call_kind filter_socketcall(uint64_t number);

/*
 * filter_probe - is this process under such a filter?  A connect(2) of a
 * descriptor that cannot exist has an answer there that it has nowhere else.
 */
bool filter_probe(void);

/* The same for the filter of filter_build_strict(). */
bool filter_probe_strict(void);

#endif
