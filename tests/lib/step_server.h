/* SPDX-License-Identifier: ISC */
/* step_server.h - what the two halves of the step server share. */
#ifndef STEP_SERVER_H
#define STEP_SERVER_H

#include "step_script.h"

#include <stdbool.h>
#include <stdint.h>

enum source_kind { SOURCE_CONTROL, SOURCE_SOCKS, SOURCE_ECHO, SOURCE_GATE, SOURCE_CONN };

/* What an epoll event points to; the first member of all that has a socket. */
struct source {
	enum source_kind kind;
	int fd;
	enum step_script script; /* of a listener, or of this conversation */
	unsigned arg;
};

enum phase { GREETING, REQUEST, BUSY, SILENT, ECHO };

struct conn {
	struct source source;
	enum phase phase, next_phase; /* BUSY: what follows when out is sent */
	bool counted;		      /* as an open handshake */
	bool blocked;		      /* out waits for the client to read */
	unsigned char in[320];
	size_t in_len;
	unsigned char *out;
	size_t out_len, out_pos;
	size_t replied;		      /* bytes of the replies sent so far */
	struct conn *next, **link;    /* in a timer slot, a gate, or the graveyard */
};

struct counters {
	unsigned accepted;   /* SOCKS connections */
	unsigned direct;     /* connections to the echo target itself */
	unsigned open, max;  /* handshakes under way, and their greatest number */
	unsigned finished;   /* granted */
	unsigned gone;	     /* handshakes whose client went away */
	unsigned live;	     /* connections of any kind and state */
	unsigned violations; /* bytes that SOCKS does not allow there */
};

extern struct counters counters;

/* A conversation begins; @fd is non-blocking and owned from here on. */
void conn_begin(int fd, const struct source *listener);
void conn_event(struct conn *c, uint32_t events);
/* The time that @c waited for has come. */
void conn_go_on(struct conn *c);
/* The reply to the request; @rep as in RFC 1928 section 6. */
void conn_reply(struct conn *c, unsigned char rep);
void conn_unlink(struct conn *c);
void conn_bury(void); /* frees what ended since the last call */

/* In step_server.c: call conn_go_on(@c) after @ms milliseconds. */
void timer_set(struct conn *c, unsigned ms);
/* Puts @c before gate @n; false if that is open (@ret_rep says how). */
bool gate_hold(struct conn *c, unsigned n, unsigned char *ret_rep);
void watch(struct source *s, uint32_t events, bool add);

#endif
