/* SPDX-License-Identifier: ISC */
/* message.h - struct msghdr in the memory of a program, of either word size. */
#ifndef SOCKSIFY_SUPERVISE_MESSAGE_H
#define SOCKSIFY_SUPERVISE_MESSAGE_H

#include <sys/socket.h>
#include <sys/uio.h>

#include "listener.h"

#define MESSAGE_PIECES 1024	/* UIO_MAXIOV */

struct message {
	uint64_t header;	/* where it is; 0: it was made of the arguments of sendto(2) or recvfrom(2) */
	uint64_t name;
	uint64_t name_len;	/* recvfrom(2): where the length is */
	uint64_t control;
	size_t control_len;
	size_t count;
	size_t size;		/* of all pieces */
	struct iovec piece[MESSAGE_PIECES];	/* in the program's memory */
};

/* What a call is about: the one of sendto(2), sendmsg(2), ... or number @i of sendmmsg(2). */
MUST_CHECK int message_read(const struct call *c, unsigned i, struct message *ret);

/* The flags of the call. */
int message_flags(const struct call *c);

/* How many there are: 1, or the length of the vector. */
unsigned message_count(const struct call *c);

/* sendmmsg(2), recvmmsg(2): msg_len of number @i. */
MUST_CHECK int message_write_length(const struct call *c, unsigned i, unsigned len);

/* What recvmsg(2) tells beside the octets: the source (@from_len 0: none), control length, flags. */
MUST_CHECK int message_write_source(const struct call *c, const struct message *m,
				    const void *from, socklen_t from_len);
MUST_CHECK int message_write_rest(const struct call *c, const struct message *m,
				  size_t control_len, int flags);

#endif
