/* SPDX-License-Identifier: ISC */
/* resolver.c - real addresses and names, from behind the proxy: `dns tcp:` and `dns tor`. */
#include "socksify/resolver.h"

#include <errno.h>
#include <string.h>

#include "socksify/dns_cache.h"
#include "socksify/dns_tcp.h"
#include "socksify/dns_tor.h"
#include "socksify/namepool.h"
#include "socksify/route.h"
#include "socksify/scratch.h"
#include "socksify/sys.h"

/* Seconds; Tor does not say how long an answer lasts, and keeps it itself for as long. */
#define TOR_TTL 60

/* One family's question about a name, and what came of it. */
struct lookup {
	struct dns_query q;
	bool known;
	struct dns_cached answer;
};

static void keep(struct lookup *l, uint32_t ttl)
{
	l->known = true;
	dns_cache_put(&l->q.name, l->q.type, ttl, &l->answer);
}

/*
 * Addresses of the pool stand for other names, whatever a resolver says: then
 * the program would reach somebody else.
 */
static void note_address(struct dns_cached *answer, const struct target *t)
{
	if (answer->count < DNS_CACHE_ADDRESSES && !namepool_contains(t))
		memcpy(answer->ip[answer->count++], t->ip, sizeof(t->ip));
}

static void take_reply(struct lookup *l, const struct dns_ask *ask)
{
	struct dns_reply reply;

	if (dns_reply_parse(ask->answer, ask->answer_len, &l->q, &reply) < 0 ||
	    (reply.rcode != DNS_NOERROR && reply.rcode != DNS_NXDOMAIN))
		return;
	l->answer = (struct dns_cached){ .rcode = reply.rcode };
	for (size_t i = 0; i < reply.count; i++)
		note_address(&l->answer, &reply.addresses[i]);
	keep(l, reply.ttl);
}

#define QUERY_ROOM (DNS_HEADER_SIZE + DNS_NAME_SIZE + 4)

/* Both families' questions in one exchange. */
static int ask_tcp(struct lookup **lookups, size_t count)
{
	uint8_t queries[2][QUERY_ROOM];
	struct dns_ask asks[2] = { { .query = NULL } };
	uint8_t *room = scratch_take(2 * DNS_MESSAGE_MAX);
	int err = room == NULL ? -ENOMEM : 0;

	for (size_t i = 0; i < count && err == 0; i++) {
		asks[i] = (struct dns_ask){ .query = queries[i], .room = DNS_MESSAGE_MAX,
					    .answer = room + i * DNS_MESSAGE_MAX };
		err = dns_query_build(&lookups[i]->q, queries[i], QUERY_ROOM, &asks[i].len);
	}
	if (err == 0)
		err = dns_tcp_exchange(asks, count);
	/* The first may have come before the second was waited for in vain. */
	for (size_t i = 0; i < count && room != NULL; i++)
		if (asks[i].answer_len > 0)
			take_reply(lookups[i], &asks[i]);
	if (room != NULL)
		scratch_give(room);
	return err;
}

/* Tor has one address for a name, of the family that it likes. */
static void ask_tor(const char *name, size_t len, struct lookup **lookups, size_t count)
{
	struct target address;
	int err = dns_tor_address(name, len, &address);

	if (err < 0 && err != -ENOENT)
		return;
	for (size_t i = 0; i < count; i++) {
		enum target_kind kind = lookups[i]->q.type == DNS_TYPE_A ? TARGET_IPV4 : TARGET_IPV6;

		lookups[i]->answer = (struct dns_cached){
			.rcode = err == 0 ? DNS_NOERROR : DNS_NXDOMAIN };
		if (err == 0 && address.kind == kind)
			note_address(&lookups[i]->answer, &address);
		/* Tor says the same when it has no circuit yet, so that no is for now. */
		keep(lookups[i], err == 0 ? TOR_TTL : 0);
	}
}

static void append(struct resolve_list *list, const struct lookup *l)
{
	for (size_t i = 0; l->known && i < l->answer.count && list->count < RESOLVE_ADDRESSES; i++) {
		struct target *t = &list->addresses[list->count++];

		*t = (struct target){ .kind = l->q.type == DNS_TYPE_A ? TARGET_IPV4 : TARGET_IPV6 };
		memcpy(t->ip, l->answer.ip[i], sizeof(t->ip));
	}
}

static enum resolve_how judge(const struct lookup *lookups, size_t count)
{
	bool all_known = true, exists = false;

	for (size_t i = 0; i < count; i++) {
		all_known = all_known && lookups[i].known;
		exists = exists || (lookups[i].known && lookups[i].answer.rcode == DNS_NOERROR);
	}
	if (!all_known)
		return RESOLVE_AGAIN;
	return exists ? RESOLVE_NO_ADDRESS : RESOLVE_NOTHING;
}

/* The ID need only differ within a connection; who is on the way reads it anyway. */
static struct dns_query query_for(const struct dns_name *name, uint16_t type)
{
	return (struct dns_query){
		.id = (uint16_t)((sys_now_ns() >> 10 & ~1) | (type == DNS_TYPE_AAAA)),
		.recursion_desired = true, .has_question = true,
		.name = *name, .type = type, .class = DNS_CLASS_IN,
	};
}

enum resolve_how resolver_addresses(const char *name, size_t len, int family,
				    struct resolve_list *ret)
{
	struct lookup lookups[2], *missing[2];
	struct resolve_list list = { .count = 0 };
	struct dns_name wire;
	size_t count = 0, missing_count = 0;

	if (dns_name_from_text(name, len, &wire) < 0)
		return RESOLVE_NOTHING;
	/* IPv4 first: whether the proxy can reach IPv6 is not known here. */
	if (family != AF_INET6)
		lookups[count++].q = query_for(&wire, DNS_TYPE_A);
	if (family != AF_INET)
		lookups[count++].q = query_for(&wire, DNS_TYPE_AAAA);
	for (size_t i = 0; i < count; i++) {
		lookups[i].known = dns_cache_get(&wire, lookups[i].q.type, &lookups[i].answer);
		if (!lookups[i].known)
			missing[missing_count++] = &lookups[i];
	}
	if (missing_count > 0 && route_config()->dns == DNS_TCP)
		(void)!ask_tcp(missing, missing_count);
	else if (missing_count > 0)
		ask_tor(name, len, missing, missing_count);
	for (size_t i = 0; i < count; i++)
		append(&list, &lookups[i]);
	if (list.count == 0)
		return judge(lookups, count);
	*ret = list;
	return RESOLVE_ADDRESS;
}

/* What libc takes for a host's name in an answer (res_hnok(3)): nothing that could hurt a terminal. */
static bool is_host_name(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = name[i];
		bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
				 (c >= '0' && c <= '9') || c == '_';

		if (!is_letter && c != '.' && (c != '-' || i == 0))
			return false;
	}
	return len > 0;
}

static int name_by_tcp(const struct target *address, struct target *ret)
{
	struct dns_query q;
	struct dns_reply reply;
	struct dns_name name;
	uint8_t query[QUERY_ROOM];
	uint8_t *answer = scratch_take(DNS_MESSAGE_MAX);
	char text[TARGET_NAME_MAX + 1];
	size_t len;
	int err = answer == NULL ? -ENOMEM : 0;

	dns_name_of_address(address, &name);
	q = query_for(&name, DNS_TYPE_PTR);
	if (err == 0)
		err = dns_query_build(&q, query, sizeof(query), &len);
	if (err == 0)
		err = dns_tcp_ask(query, len, answer, DNS_MESSAGE_MAX, &len);
	if (err == 0)
		err = dns_reply_parse(answer, len, &q, &reply);
	if (err == 0 && reply.count == 0)
		err = -ENOENT;
	if (err == 0)
		err = dns_name_text(&reply.name, text);
	if (err >= 0)
		err = target_from_host(text, (size_t)err, 0, ret);
	if (answer != NULL)
		scratch_give(answer);
	return err;
}

enum resolve_how resolver_name(const struct target *address, struct target *ret)
{
	struct target name;
	int err = route_config()->dns == DNS_TCP ? name_by_tcp(address, &name)
						 : dns_tor_name(address, &name);

	if (err < 0 || name.kind != TARGET_NAME || !is_host_name(name.name, name.name_len))
		return RESOLVE_NOTHING;
	*ret = name;
	ret->port = address->port;
	return RESOLVE_ADDRESS;
}
