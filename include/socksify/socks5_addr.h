/* SPDX-License-Identifier: ISC */
/* socks5_addr.h - the address of SOCKS5 messages (RFC 1928 section 5). */
#ifndef SOCKSIFY_SOCKS5_ADDR_H
#define SOCKSIFY_SOCKS5_ADDR_H

#include "socksify/cursor.h"
#include "socksify/target.h"

enum socks5_atyp { SOCKS5_IPV4 = 1, SOCKS5_DOMAIN = 3, SOCKS5_IPV6 = 4 };

#define SOCKS5_ADDR_MAX (1 + 1 + 255 + 2)

/*
 * socks5_addr_put - append ATYP, address and port.
 * @w: becomes bad when there is no room
 * @t: TARGET_NONE is written as 0.0.0.0
 */
void socks5_addr_put(struct writer *w, const struct target *t);

/*
 * socks5_addr_take - read ATYP, address and port.
 * Returns 0; -EPROTO for an unknown ATYP; -EMSGSIZE when @r ends before the
 * address does.  An empty domain gives TARGET_NONE with its port.
 */
MUST_CHECK int socks5_addr_take(struct reader *r, struct target *ret);

/*
 * socks5_addr_len - octets of ATYP, address and port together.
 * @atyp, @first: the first two octets
 * Returns the length, or -EPROTO for an unknown ATYP.
 */
MUST_CHECK int socks5_addr_len(uint8_t atyp, uint8_t first);

#endif
