/* SPDX-License-Identifier: ISC */
/* fuzz_dns.c - hostile queries and answers: what is understood says the same when it is written again. */
#include <stdlib.h>

#include "socksify/dns_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static bool same_query(const struct dns_query *a, const struct dns_query *b)
{
	return a->id == b->id && a->recursion_desired == b->recursion_desired &&
	       a->checking_disabled == b->checking_disabled && a->type == b->type &&
	       a->class == b->class && dns_name_equal(&a->name, &b->name) &&
	       a->has_opt == b->has_opt && a->payload == b->payload &&
	       a->dnssec_ok == b->dnssec_ok;
}

static void text_round_trip(const struct dns_name *name)
{
	char text[TARGET_NAME_MAX + 1];
	struct dns_name again;
	struct target address;
	int len = dns_name_text(name, text);

	if (len >= 0) {
		require(dns_name_from_text(text, (size_t)len, &again) == 0);
		require(again.len == name->len && memcmp(again.wire, name->wire, name->len) == 0);
	}
	if (dns_name_address(name, &address) == 0) {
		struct target back;

		dns_name_of_address(&address, &again);
		require(dns_name_address(&again, &back) == 0 && target_host_equal(&back, &address));
	}
}

/* Whatever room there is: an answer is never longer, and answers the query. */
static void answer_round_trip(const struct dns_query *q, int rcode)
{
	struct dns_record record = { 7, { .kind = q->type == DNS_TYPE_AAAA ? TARGET_IPV6
								       : TARGET_IPV4 } };
	size_t count = rcode == DNS_NOERROR &&
		       (q->type == DNS_TYPE_A || q->type == DNS_TYPE_AAAA);
	uint8_t answer[600];
	struct dns_reply reply;
	size_t n;

	for (size_t room = 0; room <= sizeof(answer); room += 37) {
		if (dns_answer_build(q, (enum dns_rcode)rcode, &record, count, answer, room, &n) < 0)
			continue;
		require(n <= room);
		require(dns_answer_cut(q, answer, n, room / 2) <= n);
	}
	require(dns_answer_build(q, (enum dns_rcode)rcode, &record, count, answer, sizeof(answer),
				 &n) == 0);
	if (rcode != DNS_NOERROR && rcode != DNS_BADVERS)
		return;
	require(dns_reply_parse(answer, n, q, &reply) == 0);
	require((int)reply.rcode == rcode && reply.count == count);
	require(count == 0 || target_host_equal(&reply.addresses[0], &record.value));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const uint16_t types[] = { DNS_TYPE_A, DNS_TYPE_AAAA, DNS_TYPE_PTR };
	struct dns_query q, again;
	struct dns_reply reply;
	struct dns_name name;
	uint8_t built[600];
	size_t n;
	int rcode = dns_query_parse(bytes, len, &q);

	if (rcode >= 0)
		answer_round_trip(&q, rcode);
	if (rcode == DNS_NOERROR) {
		require(dns_query_build(&q, built, sizeof(built), &n) == 0);
		require(dns_query_parse(built, n, &again) == DNS_NOERROR);
		require(same_query(&q, &again));
		text_round_trip(&q.name);
	}
	/* The same octets as an answer, to a query for the name that they begin with. */
	if (len < DNS_HEADER_SIZE)
		return 0;
	again = (struct dns_query){ .id = (uint16_t)(bytes[0] << 8 | bytes[1]),
				    .has_question = true, .class = DNS_CLASS_IN };
	{
		struct reader r = reader_of(bytes, len);

		r.at += DNS_HEADER_SIZE;
		if (dns_name_read(&r, bytes, &name) < 0)
			return 0;
	}
	again.name = name;
	for (size_t i = 0; i < 3; i++) {
		again.type = types[i];
		if (dns_reply_parse(bytes, len, &again, &reply) < 0)
			continue;
		require(reply.count <= DNS_ADDRESSES);
		require(dns_reply_matches(bytes, len, &again));
		if (types[i] == DNS_TYPE_PTR && reply.count > 0)
			text_round_trip(&reply.name);
	}
	return 0;
}
