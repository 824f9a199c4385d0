/* SPDX-License-Identifier: ISC */
/* socks5_addr.c - the address of SOCKS5 messages (RFC 1928 section 5). */
#include "socksify/socks5_addr.h"

#include <errno.h>

/*
 *	+------+----------+----------+
 *	| ATYP |   ADDR   |   PORT   |	ATYP 1: 4 octets, 4: 16 octets,
 *	+------+----------+----------+	3: a length octet and so many
 *	|  1   | Variable |    2     |
 *	+------+----------+----------+
 */
int socks5_addr_len(uint8_t atyp, uint8_t first)
{
	switch (atyp) {
	case SOCKS5_IPV4:
		return 1 + 4 + 2;
	case SOCKS5_IPV6:
		return 1 + 16 + 2;
	case SOCKS5_DOMAIN:
		return 1 + 1 + first + 2;
	default:
		return -EPROTO;
	}
}

void socks5_addr_put(struct writer *w, const struct target *t)
{
	static const uint8_t any[4];

	switch (t->kind) {
	case TARGET_IPV4:
	case TARGET_NONE:
		writer_u8(w, SOCKS5_IPV4);
		writer_put(w, t->kind == TARGET_NONE ? any : t->ip, 4);
		break;
	case TARGET_IPV6:
		writer_u8(w, SOCKS5_IPV6);
		writer_put(w, t->ip, 16);
		break;
	case TARGET_NAME:
		writer_u8(w, SOCKS5_DOMAIN);
		writer_u8(w, t->name_len);
		writer_put(w, t->name, t->name_len);
		break;
	}
	writer_u16(w, t->port);
}

int socks5_addr_take(struct reader *r, struct target *ret)
{
	enum target_kind kind;
	const uint8_t *at;
	uint8_t atyp = reader_u8(r), len;
	uint16_t port;

	if (r->bad)
		return -EMSGSIZE;
	switch (atyp) {
	case SOCKS5_IPV4:
		kind = TARGET_IPV4;
		len = 4;
		break;
	case SOCKS5_IPV6:
		kind = TARGET_IPV6;
		len = 16;
		break;
	case SOCKS5_DOMAIN:
		len = reader_u8(r);
		kind = len > 0 ? TARGET_NAME : TARGET_NONE;
		break;
	default:
		return -EPROTO;
	}
	at = reader_take(r, len);
	port = reader_u16(r);
	if (r->bad)
		return -EMSGSIZE;
	ret->kind = kind;
	ret->port = port;
	ret->name_len = kind == TARGET_NAME ? len : 0;
	memset(ret->ip, 0, sizeof(ret->ip));
	memcpy(kind == TARGET_NAME ? (uint8_t *)ret->name : ret->ip, at, len);
	ret->name[ret->name_len] = '\0';
	return 0;
}
