/* SPDX-License-Identifier: ISC */
/* nameserver.c - what a program's own resolver is answered, whichever server it asked. */
#include "socksify/nameserver.h"

#include <errno.h>
#include <strings.h>

#include "socksify/dns_msg.h"
#include "socksify/hosts.h"
#include "socksify/namepool.h"
#include "socksify/resolve.h"
#include "socksify/route.h"

/*
 * Seconds.  An address of the pool stands for its name only as long as the pool
 * does not recycle it, and what a resolver caches it does not ask us for again,
 * which would tell the pool that the name is in use.  Asking again costs the
 * program a few microseconds, so nothing speaks for more.
 */
#define TTL 5

#define RECORDS 16	/* of one name in /etc/hosts */

/* One query on its way to its answer. */
struct asked {
	struct dns_query q;
	char name[TARGET_NAME_MAX + 1];
	enum dns_rcode rcode;
	size_t count;
	struct dns_record records[RECORDS];
};

static void add(struct asked *a, const struct target *value)
{
	if (a->count == RECORDS)
		return;
	a->records[a->count++] = (struct dns_record){ TTL, *value };
	a->records[a->count - 1].value.port = 0;
}

static enum nameserver_how answer(struct asked *a, enum dns_rcode rcode)
{
	a->rcode = rcode;
	return NAMESERVER_ANSWERED;
}

static bool note_address(const struct target *address, const char *name, size_t len, void *arg)
{
	struct asked *a = arg;
	enum target_kind kind = a->q.type == DNS_TYPE_A ? TARGET_IPV4 : TARGET_IPV6;

	if (address->kind == kind && strlen(a->name) == len && strncasecmp(name, a->name, len) == 0)
		add(a, address);
	return true;
}

static enum nameserver_how answer_from_pool(struct asked *a)
{
	int family = a->q.type == DNS_TYPE_A ? AF_INET : AF_INET6;
	struct target address;

	switch (resolve_name(a->name, family, &address)) {
	case RESOLVE_ADDRESS:
		add(a, &address);
		return answer(a, DNS_NOERROR);
	case RESOLVE_NOTHING:
		return answer(a, DNS_NXDOMAIN);
	case RESOLVE_NO_ADDRESS:
		return answer(a, DNS_NOERROR);
	case RESOLVE_FILE:
	case RESOLVE_LIBC: /* the settings or the file changed between two looks */
	case RESOLVE_AGAIN:
	case RESOLVE_DOWN:
		break;
	}
	return answer(a, DNS_SERVFAIL);
}

/* Another type than an address, of a name that only the proxy may hear of. */
static enum nameserver_how answer_other(struct asked *a)
{
	if (a->q.type == DNS_TYPE_HTTPS || a->q.type == DNS_TYPE_SVCB)
		return answer(a, DNS_NOERROR);
	/* Tor's RESOLVE knows addresses only. */
	return route_config()->dns == DNS_TCP ? NAMESERVER_FORWARD : answer(a, DNS_NOTIMP);
}

static enum nameserver_how answer_name(struct asked *a)
{
	bool wants_address = a->q.type == DNS_TYPE_A || a->q.type == DNS_TYPE_AAAA;

	switch (resolve_owner(a->name)) {
	case RESOLVE_OF_SYSTEM:
	case RESOLVE_OF_DIRECT:
		return NAMESERVER_PASS;
	case RESOLVE_OF_HOSTS:
		hosts_each(note_address, a);
		return answer(a, DNS_NOERROR);
	case RESOLVE_OF_MACHINE:
	case RESOLVE_OF_ONION:
		return wants_address ? answer_from_pool(a) : answer(a, DNS_NOERROR);
	case RESOLVE_OF_PROXY:
		if (!wants_address)
			return answer_other(a);
		return resolve_has_resolver() ? NAMESERVER_FORWARD : answer_from_pool(a);
	case RESOLVE_OF_UNKNOWN:
		return answer(a, DNS_SERVFAIL);
	case RESOLVE_OF_NOBODY:
		break;
	}
	return answer(a, DNS_NXDOMAIN);
}

struct sought {
	const struct target *address;
	struct asked *asked;
};

static bool note_name(const struct target *address, const char *name, size_t len, void *arg)
{
	struct sought *s = arg;
	struct target value = { .kind = TARGET_NAME };

	if (!target_host_equal(address, s->address))
		return true;
	if (target_from_host(name, len, 0, &value) == 0 && value.kind == TARGET_NAME)
		add(s->asked, &value);
	return s->asked->count == 0; /* the first is the canonical one, hosts(5) */
}

/* A name of a network, or of a part of an address, that is below arpa tells as much as an address. */
static enum nameserver_how answer_address(struct asked *a)
{
	struct target address, name;
	struct sought sought = { &address, a };

	if (route_config() == NULL)
		return answer(a, DNS_SERVFAIL);
	if (dns_name_address(&a->q.name, &address) < 0)
		return resolve_is_local() ? NAMESERVER_PASS : answer(a, DNS_NXDOMAIN);
	if (namepool_contains(&address)) {
		if (namepool_name(&address, &name) < 0)
			return answer(a, DNS_NXDOMAIN);
		add(a, &name);
		return answer(a, DNS_NOERROR);
	}
	if (resolve_is_local())
		return NAMESERVER_PASS;
	hosts_each(note_name, &sought);
	if (a->count > 0)
		return answer(a, DNS_NOERROR);
	return resolve_has_resolver() && !target_is_private(&address) ? NAMESERVER_FORWARD
								: answer(a, DNS_NXDOMAIN);
}

static enum nameserver_how decide(struct asked *a, bool stream)
{
	const struct dns_query *q = &a->q;
	int len = dns_name_text(&q->name, a->name);

	/* A zone is many messages (RFC 5936); what is passed on from a stream is one. */
	if (q->type == DNS_TYPE_AXFR || q->type == DNS_TYPE_IXFR)
		return resolve_is_local() && !stream ? NAMESERVER_PASS : answer(a, DNS_REFUSED);
	if (q->type == DNS_TYPE_PTR && (dns_name_is_below(&q->name, "in-addr.arpa") ||
					dns_name_is_below(&q->name, "ip6.arpa")))
		return answer_address(a);
	if (len < 0) /* a dot in a label: as text it would be another name */
		return resolve_is_local() ? NAMESERVER_PASS : answer(a, DNS_NXDOMAIN);
	if (len > 0)
		return answer_name(a);
	/* The root, which is no host. */
	if (route_config() == NULL)
		return answer(a, DNS_SERVFAIL);
	if (resolve_is_local())
		return NAMESERVER_PASS;
	if (q->type == DNS_TYPE_A || q->type == DNS_TYPE_AAAA)
		return answer(a, DNS_NOERROR);
	return answer_other(a);
}

enum nameserver_how nameserver_answer(const uint8_t *query, size_t len, bool stream,
				      uint8_t *bytes, size_t room, size_t *ret_len)
{
	struct asked a;
	enum nameserver_how how = NAMESERVER_ANSWERED;
	size_t limit;
	int rcode = dns_query_parse(query, len, &a.q);

	if (rcode < 0)
		return NAMESERVER_DROP;
	a.count = 0;
	a.rcode = (enum dns_rcode)rcode;
	if (rcode == DNS_NOERROR)
		how = decide(&a, stream);
	if (how != NAMESERVER_ANSWERED)
		return how;
	limit = dns_limit(&a.q, stream);
	if (limit > room)
		limit = room;
	/* A name of a pool or a file may be longer than DNS allows. */
	if (dns_answer_build(&a.q, a.rcode, a.records, a.count, bytes, limit, ret_len) == -EINVAL &&
	    dns_answer_build(&a.q, DNS_NXDOMAIN, NULL, 0, bytes, limit, ret_len) < 0)
		return NAMESERVER_DROP;
	return NAMESERVER_ANSWERED;
}
