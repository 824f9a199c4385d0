/* SPDX-License-Identifier: ISC */
/* socks5_udp.c - the header of a relayed datagram (RFC 1928 section 7). */
#include "socksify/socks5_udp.h"

#include <errno.h>

/*
 *	+-----+------+------+----------+----------+----------+
 *	| RSV | FRAG | ATYP | DST.ADDR | DST.PORT |   DATA   |
 *	+-----+------+------+----------+----------+----------+
 *	|  2  |  1   |  1   | Variable |    2     | Variable |
 *	+-----+------+------+----------+----------+----------+
 */
size_t socks5_udp_header_put(uint8_t buf[SOCKS5_UDP_HEADER_MAX],
			     const struct target *dst)
{
	struct writer w = writer_of(buf, SOCKS5_UDP_HEADER_MAX);

	writer_u16(&w, 0);
	writer_u8(&w, 0);
	socks5_addr_put(&w, dst);
	return writer_len(&w);
}

int socks5_udp_header_take(const uint8_t *datagram, size_t len,
			   struct target *ret)
{
	struct reader r = reader_of(datagram, len);
	uint8_t frag;
	int err;

	(void)reader_u16(&r); /* RSV: servers differ, nothing depends on it */
	frag = reader_u8(&r);
	if (r.bad)
		return -EMSGSIZE;
	if (frag != 0)
		return -ENOTSUP;
	err = socks5_addr_take(&r, ret);
	if (err < 0)
		return err;
	return (int)(r.at - datagram);
}
