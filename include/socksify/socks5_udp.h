/* SPDX-License-Identifier: ISC */
/* socks5_udp.h - the header of a relayed datagram (RFC 1928 section 7). */
#ifndef SOCKSIFY_SOCKS5_UDP_H
#define SOCKSIFY_SOCKS5_UDP_H

#include "socksify/socks5_addr.h"

#define SOCKS5_UDP_HEADER_MAX (2 + 1 + SOCKS5_ADDR_MAX)

/* Write the header of a datagram to @dst; returns its length, 8 .. SOCKS5_UDP_HEADER_MAX. */
size_t socks5_udp_header_put(uint8_t buf[SOCKS5_UDP_HEADER_MAX],
			     const struct target *dst);

/*
 * socks5_udp_header_take - read the header of a received datagram.
 * @ret: where it came from
 * Returns the header's length; -EMSGSIZE the datagram ends in its header;
 * -EPROTO unknown ATYP; -ENOTSUP a fragment, which must be dropped.
 */
MUST_CHECK int socks5_udp_header_take(const uint8_t *datagram, size_t len,
				      struct target *ret);

#endif
