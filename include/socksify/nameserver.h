/* SPDX-License-Identifier: ISC */
/* nameserver.h - what a program's own resolver is answered, whichever server it asked. */
#ifndef SOCKSIFY_NAMESERVER_H
#define SOCKSIFY_NAMESERVER_H

#include <stddef.h>
#include <stdint.h>

#include "socksify/target.h"

enum nameserver_how {
	NAMESERVER_ANSWERED,	/* here is the answer */
	NAMESERVER_DROP,	/* no query: a server would say nothing */
	NAMESERVER_FORWARD,	/* it is for the resolver behind the proxy, and for nobody else */
	NAMESERVER_PASS,	/* it may go where the program sends it */
};

/* Room that suffices for every answer of nameserver_answer(). */
#define NAMESERVER_ROOM 1024

/*
 * nameserver_answer - answer a query at once, without asking anybody.
 * @query:  one message of @len octets, without TCP's length in front
 * @stream: it came over TCP: the answer is not cut to a datagram's size
 * @answer: @room octets; with less than NAMESERVER_ROOM it may be truncated (TC)
 * @ret_len: set for NAMESERVER_ANSWERED
 * What is answered: A and AAAA with addresses of the pool, or those of
 * /etc/hosts and of this machine; PTR of those; no HTTPS or SVCB records,
 * which would have real addresses; errors as RFC 1035, 6891 and 9619 say.
 * PASS: names of direct rules, and all but .onion with dns local; no transfer
 * of a zone over TCP, which is refused.
 * FORWARD: with dns tcp and dns tor, all else that the resolver can answer;
 * otherwise it is answered NOTIMP.
 * Reads /etc/hosts; uses no memory but the stack.  Async-signal-safe.
 */
MUST_CHECK enum nameserver_how nameserver_answer(const uint8_t *query, size_t len, bool stream,
						 uint8_t *answer, size_t room, size_t *ret_len);

/*
 * nameserver_forward - what the resolver behind the proxy answers.
 * @query:  for which nameserver_answer() returned NAMESERVER_FORWARD
 * @answer: @room octets; what does not fit there, or into a datagram, is cut (TC)
 * Waits, at most 10 s.  A resolver that does not answer, or answers something
 * else, makes it SERVFAIL.  Not async-signal-safe.
 * Returns 0, or -ENOMEM; -EMSGSIZE when @room is too small for anything.
 */
MUST_CHECK int nameserver_forward(const uint8_t *query, size_t len, bool stream,
				  uint8_t *answer, size_t room, size_t *ret_len);

/*
 * nameserver_pass - what the server says that the program asked, over TCP.
 * @server: a rule may make it direct, or block it; loopback is direct, and
 *          all others are asked through the proxy
 * For NAMESERVER_PASS; all else as of nameserver_forward() with @stream.
 */
MUST_CHECK int nameserver_pass(const struct target *server, const uint8_t *query, size_t len,
			       uint8_t *answer, size_t room, size_t *ret_len);

#endif
