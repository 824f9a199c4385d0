/* SPDX-License-Identifier: ISC */
/* relay_receive.h - a received datagram before and after its header is taken off; for the relay's own parts. */
#ifndef SOCKSIFY_RELAY_RECEIVE_H
#define SOCKSIFY_RELAY_RECEIVE_H

#include "relay_state.h"

/* The relay as it was before a receive. */
struct relay_view {
	int mode;
	bool has_relay;
	union sockaddr_any relay;
	size_t expected;
};

/* Room for what the kernel gives beside the payload, which goes where the program wants it. */
struct relay_unwrapping {
	size_t expected, room, control_room;
	socklen_t name_room;
	union sockaddr_any from;	/* by the kernel */
	union sockaddr_any source;	/* by the header */
	socklen_t source_len;
	uint8_t head[SOCKS5_UDP_HEADER_MAX];
	uint8_t spare[SOCKS5_UDP_HEADER_MAX];
};

/* 0 and the view, or -EBADF: it is not relayed any more. */
MUST_CHECK int relay_take_view(int fd, struct relay_view *ret);

/* @msg as it is given to the kernel, in @ret; @parts has room for two more than @msg has. */
void relay_unwrap_begin(struct relay_unwrapping *u, const struct relay_view *v,
			const struct msghdr *msg, struct iovec *parts, struct msghdr *ret);

/*
 * relay_unwrap - take the header off, and fill @msg as recvmsg(2) does.
 * @whole: as the kernel returned it, @full octets long even if it did not fit
 * @flags: MSG_TRUNC counts
 * Returns what recvmsg(2) does; -errno: the datagram is to be dropped.
 */
MUST_CHECK int relay_unwrap(const struct relay_view *v, struct relay *r, struct relay_unwrapping *u,
			    const struct msghdr *whole, size_t full, struct msghdr *msg, int flags);

#endif
