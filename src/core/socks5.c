/* SPDX-License-Identifier: ISC */
/* socks5.c - the client side of a SOCKS5 handshake (RFC 1928, RFC 1929). */
#include "socksify/socks5.h"

#include <errno.h>

#include "socksify/socks5_addr.h"

enum {
	SOCKS5_VERSION = 5,
	SOCKS5_LOGIN_VERSION = 1,	/* RFC 1929 section 2 */
	SOCKS5_METHOD_NONE = 0x00,
	SOCKS5_METHOD_LOGIN = 0x02,
	SOCKS5_METHOD_REFUSED = 0xff,
};

enum state { GREETING, METHOD, LOGIN, STATUS, REQUEST, REPLY, PIPELINE, FINISHED, FAILED };

static int fail(struct socks5 *s, int err, const char *reason)
{
	s->reason = reason;
	return err;
}

/*
 *	+-----+----------+----------+
 *	| VER | NMETHODS | METHODS  |	RFC 1928 section 3
 *	+-----+----------+----------+
 */
static void build_greeting(struct socks5 *s, struct writer *w)
{
	writer_u8(w, SOCKS5_VERSION);
	writer_u8(w, s->login != NULL ? 2 : 1);
	writer_u8(w, SOCKS5_METHOD_NONE);
	if (s->login != NULL)
		writer_u8(w, SOCKS5_METHOD_LOGIN);
}

static int parse_method(struct socks5 *s)
{
	/* Tor answers a pipelined login, but not the greeting before it. */
	if (s->pipelined && s->login != NULL && s->buf[0] == SOCKS5_LOGIN_VERSION)
		return fail(s, -EPROTO,
			    "the proxy lost its answer to a pipelined greeting: use handshake standard");
	if (s->buf[0] != SOCKS5_VERSION)
		return fail(s, -EPROTO, "the proxy does not speak SOCKS5");
	switch (s->buf[1]) {
	case SOCKS5_METHOD_NONE:
		if (!s->pipelined)
			return REQUEST;
		if (s->login == NULL)
			return REPLY;
		return fail(s, -EACCES, "the proxy chose a method that was not offered");
	case SOCKS5_METHOD_LOGIN:
		if (s->login != NULL)
			return s->pipelined ? STATUS : LOGIN;
		return fail(s, -EACCES, "the proxy chose a login that was not offered");
	case SOCKS5_METHOD_REFUSED:
		return fail(s, -EACCES, s->login != NULL
			    ? "the proxy accepts no method that we have"
			    : "the proxy wants a login");
	default:
		return fail(s, -EACCES, "the proxy chose a method that was not offered");
	}
}

/*
 *	+-----+------+----------+------+----------+
 *	| VER | ULEN |  UNAME   | PLEN |  PASSWD  |	RFC 1929 section 2
 *	+-----+------+----------+------+----------+
 */
static void build_login(struct socks5 *s, struct writer *w)
{
	writer_u8(w, SOCKS5_LOGIN_VERSION);
	writer_u8(w, s->login->user_len);
	writer_put(w, s->login->user, s->login->user_len);
	writer_u8(w, s->login->pass_len);
	writer_put(w, s->login->pass, s->login->pass_len);
}

/* VER is not looked at: some servers answer 5 there, and only STATUS decides. */
static int parse_status(struct socks5 *s)
{
	if (s->buf[1] != 0)
		return fail(s, -EACCES, "the proxy refused the login");
	return s->pipelined ? REPLY : REQUEST;
}

/*
 *	+-----+-----+-------+------+----------+----------+
 *	| VER | CMD |  RSV  | ATYP | DST.ADDR | DST.PORT |	RFC 1928 section 4
 *	+-----+-----+-------+------+----------+----------+
 */
static void build_request(struct socks5 *s, struct writer *w)
{
	writer_u8(w, SOCKS5_VERSION);
	writer_u8(w, s->command);
	writer_u8(w, 0);
	socks5_addr_put(w, &s->dst);
}

static void build_pipeline(struct socks5 *s, struct writer *w)
{
	writer_u8(w, SOCKS5_VERSION);
	writer_u8(w, 1);
	writer_u8(w, s->login != NULL ? SOCKS5_METHOD_LOGIN : SOCKS5_METHOD_NONE);
	if (s->login != NULL)
		build_login(s, w);
	build_request(s, w);
}

static const char *rep_reason(uint8_t rep)
{
	static const char *const reasons[] = {
		[1] = "the proxy says: general failure",
		[2] = "the proxy says: not allowed by its rules",
		[3] = "the proxy says: network unreachable",
		[4] = "the proxy says: host unreachable",
		[5] = "the proxy says: connection refused",
		[6] = "the proxy says: TTL expired",
		[7] = "the proxy says: command not supported",
		[8] = "the proxy says: address type not supported",
	};

	if (rep < sizeof(reasons) / sizeof(reasons[0]) && reasons[rep] != NULL)
		return reasons[rep];
	return "the proxy answers with an unassigned code";
}

int socks5_rep_errno(uint8_t rep)
{
	switch (rep) {
	case 0:
		return 0;
	case 2:
		return -EACCES;
	case 3:
		return -ENETUNREACH;
	case 4:
		return -EHOSTUNREACH;
	case 6:
		return -ETIMEDOUT;
	case 8:
		return -ENETUNREACH;
	default:
		return -ECONNREFUSED;
	}
}

/*
 *	+-----+-----+-------+------+----------+----------+
 *	| VER | REP |  RSV  | ATYP | BND.ADDR | BND.PORT |	RFC 1928 section 6
 *	+-----+-----+-------+------+----------+----------+
 *
 * Five octets first, of which the last tells the length, then the rest.  A
 * failure is decided on REP, since some servers send no more than that.
 */
static int parse_reply(struct socks5 *s)
{
	struct reader r = reader_of(s->buf, s->pos);
	int len;

	if (s->buf[0] != SOCKS5_VERSION)
		return fail(s, -EPROTO, "the proxy's reply is not SOCKS5");
	s->reply = s->buf[1];
	if (s->reply != 0)
		return fail(s, socks5_rep_errno(s->reply), rep_reason(s->reply));
	if (s->pos < 5)
		return REPLY;
	len = socks5_addr_len(s->buf[3], s->buf[4]);
	if (len < 0)
		return fail(s, len, "the proxy's reply has an unknown address type");
	s->len = (uint16_t)(3 + len);
	if (s->pos < s->len)
		return REPLY;
	(void)reader_take(&r, 3);
	len = socks5_addr_take(&r, &s->bnd);
	if (len < 0)
		return fail(s, len, "the proxy's reply is malformed");
	return FINISHED;
}

/* One row a message: built and sent, or received and parsed. */
static const struct step {
	void (*build)(struct socks5 *s, struct writer *w);
	int (*parse)(struct socks5 *s);	/* next state, the same one for more octets, or -errno */
	uint8_t first;			/* RECV: octets to ask for at the beginning */
	uint8_t enough;			/* RECV: so many can be parsed */
	uint8_t next;			/* SEND: state to go to */
} steps[] = {
	[GREETING] = { .build = build_greeting, .next = METHOD },
	[METHOD] = { .parse = parse_method, .first = 2, .enough = 2 },
	[LOGIN] = { .build = build_login, .next = STATUS },
	[STATUS] = { .parse = parse_status, .first = 2, .enough = 2 },
	[REQUEST] = { .build = build_request, .next = REPLY },
	[PIPELINE] = { .build = build_pipeline, .next = METHOD },
	[REPLY] = { .parse = parse_reply, .first = 5, .enough = 2 },
};

static void enter(struct socks5 *s, enum state state)
{
	struct writer w = writer_of(s->buf, sizeof(s->buf));

	s->state = (uint8_t)state;
	s->pos = 0;
	s->len = 0;
	if (state >= FINISHED)
		return;
	s->len = steps[state].first;
	if (steps[state].build != NULL) {
		steps[state].build(s, &w);
		s->len = (uint16_t)writer_len(&w);
	}
}

void socks5_start(struct socks5 *s, enum socks5_command command,
		  const struct target *dst, const struct socks5_login *login)
{
	s->command = (uint8_t)command;
	s->reply = 0xff;
	s->pipelined = false;
	s->reason = NULL;
	s->login = login;
	target_copy(&s->dst, dst);
	s->bnd.kind = TARGET_NONE;
	enter(s, GREETING);
}

void socks5_pipeline(struct socks5 *s)
{
	s->pipelined = true;
	enter(s, PIPELINE);
}

enum socks5_io socks5_want(struct socks5 *s, struct span *ret)
{
	if (s->state >= FINISHED)
		return SOCKS5_DONE;
	*ret = (struct span){ s->buf + s->pos, (size_t)(s->len - s->pos) };
	return steps[s->state].build != NULL ? SOCKS5_SEND : SOCKS5_RECV;
}

int socks5_advance(struct socks5 *s, size_t n)
{
	const struct step *step = &steps[s->state];
	int next;

	s->pos = (uint16_t)(s->pos + n);
	if (s->pos < (step->parse != NULL ? step->enough : s->len))
		return 0; /* short transfer */
	next = step->parse != NULL ? step->parse(s) : step->next;
	if (next == s->state)
		return 0; /* it wants more octets of the same message */
	enter(s, next < 0 ? FAILED : (enum state)next);
	return next < 0 ? next : 0;
}

void socks5_await_peer(struct socks5 *s)
{
	enter(s, REPLY);
}

/* The first octets of a reply tell how long it is. */
bool socks5_sees_end(const struct socks5 *s)
{
	return s->state == REPLY && s->len > steps[REPLY].first;
}

const struct target *socks5_bound(const struct socks5 *s)
{
	return &s->bnd;
}

const char *socks5_reason(const struct socks5 *s)
{
	return s->reason != NULL ? s->reason : "no failure";
}
