/* SPDX-License-Identifier: ISC */
/* dns_cache.h - answers of a resolver, for as long as they last, in this process. */
#ifndef SOCKSIFY_DNS_CACHE_H
#define SOCKSIFY_DNS_CACHE_H

#include "socksify/dns_msg.h"

#define DNS_CACHE_ADDRESSES 16	/* of one answer; those after them are not kept */

struct dns_cached {
	enum dns_rcode rcode;
	uint8_t count;
	uint8_t ip[DNS_CACHE_ADDRESSES][16];	/* A: the first four octets */
};

/*
 * dns_cache_get - what was answered about @name, if it still counts.
 * @name: in upper or lower case;  @type: DNS_TYPE_A or DNS_TYPE_AAAA
 * dns_cache_put - keep an answer for @ttl seconds, an hour at most; it may push
 * another one out.
 * Lock-free and async-signal-safe: an entry that is in use by another thread
 * at the same moment is not found, and not written.
 */
MUST_CHECK bool dns_cache_get(const struct dns_name *name, uint16_t type, struct dns_cached *ret);
void dns_cache_put(const struct dns_name *name, uint16_t type, uint32_t ttl,
		   const struct dns_cached *answer);

#endif
