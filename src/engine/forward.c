/* SPDX-License-Identifier: ISC */
/* forward.c - queries that the resolver behind the proxy answers (nameserver_forward). */
#include <errno.h>

#include "socksify/dns_msg.h"
#include "socksify/dns_tcp.h"
#include "socksify/nameserver.h"
#include "socksify/resolver.h"
#include "socksify/route.h"
#include "socksify/scratch.h"

/* Seconds, of what Tor says; resolver.c keeps it itself. */
#define TTL 5

static int forward_tcp(const struct dns_query *q, const uint8_t *query, size_t len,
		       uint8_t *answer, size_t room, size_t *ret_len)
{
	uint8_t *whole = scratch_take(DNS_MESSAGE_MAX);
	size_t n = 0;
	int err;

	if (whole == NULL)
		return -ENOMEM;
	err = dns_tcp_ask(query, len, whole, DNS_MESSAGE_MAX, &n);
	if (err == 0) {
		n = dns_answer_cut(q, whole, n, room);
		err = n == 0 ? -EMSGSIZE : 0;
	}
	if (err == 0) {
		memcpy(answer, whole, n);
		*ret_len = n;
	}
	scratch_give(whole);
	return err;
}

/* What Tor knows, as records; the code of the answer. */
static enum dns_rcode ask_tor(const struct dns_query *q, struct dns_record *record, size_t *count)
{
	char name[TARGET_NAME_MAX + 1];
	struct resolve_list list;
	struct target address;
	enum resolve_how how = RESOLVE_NOTHING;
	int len = dns_name_text(&q->name, name);

	record->ttl = TTL;
	*count = 0;
	if (q->type == DNS_TYPE_PTR && dns_name_address(&q->name, &address) == 0) {
		how = resolver_name(&address, &record->value);
	} else if (q->type != DNS_TYPE_PTR && len > 0) {
		how = resolver_addresses(name, (size_t)len,
					 q->type == DNS_TYPE_AAAA ? AF_INET6 : AF_INET, &list);
		if (how == RESOLVE_ADDRESS)
			record->value = list.addresses[0];
	}
	switch (how) {
	case RESOLVE_ADDRESS:
		*count = 1;
		return DNS_NOERROR;
	case RESOLVE_NO_ADDRESS:
		return DNS_NOERROR;
	case RESOLVE_NOTHING:
		return DNS_NXDOMAIN;
	case RESOLVE_LIBC:
	case RESOLVE_FILE:
	case RESOLVE_AGAIN:
	case RESOLVE_DOWN:
		break;
	}
	return DNS_SERVFAIL;
}

int nameserver_forward(const uint8_t *query, size_t len, bool stream,
		       uint8_t *answer, size_t room, size_t *ret_len)
{
	struct dns_record record = { 0, { .kind = TARGET_NONE } };
	enum dns_rcode rcode = DNS_SERVFAIL;
	struct dns_query q;
	size_t limit, count = 0;

	if (dns_query_parse(query, len, &q) < 0 || route_config() == NULL)
		return -EMSGSIZE;
	limit = dns_limit(&q, stream) < room ? dns_limit(&q, stream) : room;
	if (route_config()->dns == DNS_TOR)
		rcode = ask_tor(&q, &record, &count);
	else if (forward_tcp(&q, query, len, answer, limit, ret_len) == 0)
		return 0;
	if (dns_answer_build(&q, rcode, &record, count, answer, limit, ret_len) == 0)
		return 0;
	return dns_answer_build(&q, DNS_SERVFAIL, NULL, 0, answer, limit, ret_len);
}

int nameserver_pass(const struct target *server, const uint8_t *query, size_t len,
		    uint8_t *answer, size_t room, size_t *ret_len)
{
	struct dns_query q;

	if (dns_query_parse(query, len, &q) < 0)
		return -EMSGSIZE;
	if (dns_tcp_ask_server(server, query, len, answer, room, ret_len) == 0)
		return 0;
	return dns_answer_build(&q, DNS_SERVFAIL, NULL, 0, answer, room, ret_len);
}
