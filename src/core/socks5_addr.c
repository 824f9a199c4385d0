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
	struct target t = { .kind = TARGET_NONE };
	const uint8_t *at = NULL;
	uint8_t atyp = reader_u8(r);

	if (r->bad)
		return -EMSGSIZE;
	switch (atyp) {
	case SOCKS5_IPV4:
		t.kind = TARGET_IPV4;
		at = reader_take(r, 4);
		if (at != NULL)
			memcpy(t.ip, at, 4);
		break;
	case SOCKS5_IPV6:
		t.kind = TARGET_IPV6;
		at = reader_take(r, 16);
		if (at != NULL)
			memcpy(t.ip, at, 16);
		break;
	case SOCKS5_DOMAIN:
		t.name_len = reader_u8(r);
		t.kind = t.name_len > 0 ? TARGET_NAME : TARGET_NONE;
		at = reader_take(r, t.name_len);
		if (at != NULL)
			memcpy(t.name, at, t.name_len);
		break;
	default:
		return -EPROTO;
	}
	t.port = reader_u16(r);
	if (r->bad)
		return -EMSGSIZE;
	*ret = t;
	return 0;
}
