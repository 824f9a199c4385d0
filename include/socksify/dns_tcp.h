/* SPDX-License-Identifier: ISC */
/* dns_tcp.h - ask the resolver of `dns tcp:`, through the proxy (RFC 7766). */
#ifndef SOCKSIFY_DNS_TCP_H
#define SOCKSIFY_DNS_TCP_H

#include <stddef.h>
#include <stdint.h>

#include "socksify/target.h"

/* One question, and room for its answer. */
struct dns_ask {
	const uint8_t *query;	/* a message of @len octets that dns_query_parse() understands */
	size_t len;
	uint8_t *answer;
	size_t room;
	size_t answer_len;	/* set by dns_tcp_exchange() */
};

/*
 * dns_tcp_exchange - ask the resolver of the settings, and wait for its answers.
 * @asks: @count of them, 1 or more, whose IDs differ; they travel over one
 *        connection, and their answers may come in any order
 * The connection goes through the proxy that the rules name for the resolver,
 * or the first one, and never past it.  Waits 10 s at most, less if `timeout`
 * is; a signal does not end it.
 * Returns 0, or -errno: -EINVAL a query that is none; -ENETDOWN no resolver or
 * no proxy in the settings; -EACCES a rule blocks the resolver; -ETIMEDOUT;
 * -EPROTO an answer to something else, or to what was answered already;
 * -EMSGSIZE an answer longer than its room; -ECONNRESET no whole answer before
 * the end; others for a proxy that refuses or cannot be reached.
 */
MUST_CHECK int dns_tcp_exchange(struct dns_ask *asks, size_t count);

/* dns_tcp_ask - the same for one query. */
MUST_CHECK int dns_tcp_ask(const uint8_t *query, size_t len, uint8_t *answer, size_t room,
			   size_t *ret_len);

/*
 * dns_tcp_ask_server - the same, of a server that a program asked: directly if
 * a rule says so or it is on loopback, else through a proxy.
 * @server: an address, which may be one of the pool
 */
MUST_CHECK int dns_tcp_ask_server(const struct target *server, const uint8_t *query, size_t len,
				  uint8_t *answer, size_t room, size_t *ret_len);

/* When an exchange that begins now has to be over, in ns. */
int64_t dns_tcp_deadline(void);

#endif
