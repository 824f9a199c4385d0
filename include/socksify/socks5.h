/* SPDX-License-Identifier: ISC */
/* socks5.h - the client side of a SOCKS5 handshake (RFC 1928, RFC 1929), bytes in and bytes out. */
#ifndef SOCKSIFY_SOCKS5_H
#define SOCKSIFY_SOCKS5_H

#include "socksify/cursor.h"
#include "socksify/target.h"

/* RFC 1929 section 2: 1 .. 255 octets each, any value. */
struct socks5_login {
	uint8_t user_len, pass_len;
	uint8_t user[255], pass[255];
};

enum socks5_command {
	SOCKS5_CONNECT = 1,
	SOCKS5_BIND = 2,
	SOCKS5_UDP_ASSOCIATE = 3,
	/* Tor's socks-extensions.txt: BND.ADDR of the reply is the answer */
	SOCKS5_TOR_RESOLVE = 0xf0,	/* the address of a name */
	SOCKS5_TOR_RESOLVE_PTR = 0xf1,	/* the name of an address */
};
enum socks5_io { SOCKS5_DONE, SOCKS5_SEND, SOCKS5_RECV };

/* The longest send: a greeting, the login of RFC 1929 and a request for a name, pipelined. */
#define SOCKS5_MESSAGE_MAX (3 + (3 + 255 + 255) + (3 + 1 + 1 + 255 + 2))

struct socks5 {
	uint8_t state;
	uint8_t command;
	uint8_t reply;			/* REP of the last reply, 0xff before one came */
	bool pipelined;			/* all that the client says goes in one message */
	uint16_t pos, len;		/* of buf: moved so far, length wanted */
	const char *reason;		/* after a failure: what happened, for the log */
	const struct socks5_login *login;
	struct target dst;
	struct target bnd;
	uint8_t buf[SOCKS5_MESSAGE_MAX];
};

/*
 * socks5_start - begin a handshake.
 * @s:       any storage; the caller's
 * @command: what to ask the server for (RFC 1928 section 4)
 * @dst:     copied; a name of 1 .. 255 octets or an address
 * @login:   NULL: offer "no authentication" only; else that and user/password;
 *           must outlive the handshake
 */
void socks5_start(struct socks5 *s, enum socks5_command command,
		  const struct target *dst, const struct socks5_login *login);

/*
 * socks5_pipeline - send greeting, login and request at once, before any answer.
 * Called right after socks5_start().  Offers one method only, the login if
 * there is one, as the server's choice comes too late.  Servers that take one
 * receive for one message lose what follows, and then never answer.
 */
void socks5_pipeline(struct socks5 *s);

/*
 * socks5_want - what I/O does the handshake need next?
 * @s:   begun with socks5_start() and not failed
 * @ret: SOCKS5_SEND: the bytes to send; SOCKS5_RECV: where to put bytes.
 *       Never reaches past the current message, so a driver that obeys it
 *       cannot swallow application data.  Valid until the next call on @s.
 * Returns SOCKS5_DONE (@ret untouched), SOCKS5_SEND or SOCKS5_RECV.
 */
enum socks5_io socks5_want(struct socks5 *s, struct span *ret);

/*
 * socks5_advance - report that @n octets of the last span were moved.
 * @n: 1 .. span.len; after a short transfer just ask socks5_want() again
 * Returns 0, or a negative errno after which @s must only be discarded
 * (socks5_reason() still works):
 *   -EPROTO        malformed message (RFC 1928 sections 3 and 6)
 *   -EACCES        no acceptable method, or login refused (RFC 1929 section 2)
 *   others         the REP field, see socks5_rep_errno()
 */
MUST_CHECK int socks5_advance(struct socks5 *s, size_t n);

/*
 * socks5_await_peer - after DONE of a BIND: expect the second reply, which
 * names the peer (RFC 1928 section 4).
 */
void socks5_await_peer(struct socks5 *s);

/* socks5_sees_end - does the span of socks5_want() end a reply that will have succeeded? */
bool socks5_sees_end(const struct socks5 *s);

/* BND.ADDR and BND.PORT of the last reply; valid after SOCKS5_DONE. */
const struct target *socks5_bound(const struct socks5 *s);

/* What went wrong, a static phrase; "no failure" before one. */
const char *socks5_reason(const struct socks5 *s);

/*
 * socks5_rep_errno - errno for a REP octet (RFC 1928 section 6).
 * Returns 0 for REP 0, else a negative errno that connect(2) can return;
 * unassigned codes are -ECONNREFUSED.
 */
int socks5_rep_errno(uint8_t rep);

#endif
