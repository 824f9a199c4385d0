/* SPDX-License-Identifier: ISC */
/* dns_reply.c - what a resolver answered: addresses or a name, along a chain of aliases. */
#include <errno.h>

#include "dns_wire.h"

#define CHAIN_MAX 16	/* CNAME records one after the other; resolvers give up at about as many */

struct record {
	struct dns_name owner;
	uint16_t type, class;
	uint32_t ttl;
	struct reader data;	/* of the message too: names in it may be compressed */
};

static uint32_t read_u32(struct reader *r)
{
	uint32_t high = reader_u16(r);

	return high << 16 | reader_u16(r);
}

static int read_record(struct reader *r, const uint8_t *message, struct record *ret)
{
	const uint8_t *data;
	uint16_t len;

	if (dns_name_read(r, message, &ret->owner) < 0)
		return -EBADMSG;
	ret->type = reader_u16(r);
	ret->class = reader_u16(r);
	ret->ttl = read_u32(r);
	/* RFC 2181 section 8: with the top bit it is zero. */
	if (ret->type != DNS_TYPE_OPT && ret->ttl > INT32_MAX)
		ret->ttl = 0;
	len = reader_u16(r);
	data = reader_take(r, len);
	if (data == NULL)
		return -EBADMSG;
	ret->data = reader_of(data, len);
	return 0;
}

struct head {
	uint16_t id, flags, counts[4];
};

enum { QUESTION, ANSWER, AUTHORITY, ADDITIONAL };

static struct head read_head(struct reader *r)
{
	struct head head = { .id = reader_u16(r), .flags = reader_u16(r) };

	for (int i = 0; i < 4; i++)
		head.counts[i] = reader_u16(r);
	return head;
}

/* 0 when there is none. */
static int read_question(struct reader *r, const uint8_t *message, const struct head *head,
			 const struct dns_query *q)
{
	struct dns_name name;
	uint16_t type, class;

	if (head->counts[QUESTION] == 0)
		return (head->flags & DNS_RCODE) != 0 ? 0 : -ESRCH;
	if (head->counts[QUESTION] != 1 || dns_name_read(r, message, &name) < 0)
		return -EBADMSG;
	type = reader_u16(r);
	class = reader_u16(r);
	if (r->bad)
		return -EBADMSG;
	return type == q->type && class == q->class && dns_name_equal(&name, &q->name) ? 0 : -ESRCH;
}

/* Leaves @r before the first answer. */
static int read_start(struct reader *r, const uint8_t *message, const struct dns_query *q,
		      struct head *ret)
{
	struct head head = read_head(r);

	if (r->bad || (head.flags & DNS_QR) == 0)
		return -EBADMSG;
	if (head.id != q->id || (head.flags & DNS_OPCODE) != 0)
		return -ESRCH;
	*ret = head;
	return read_question(r, message, &head, q);
}

bool dns_reply_matches(const void *bytes, size_t len, const struct dns_query *q)
{
	struct reader r = reader_of(bytes, len);
	struct head head;

	return read_start(&r, bytes, q, &head) == 0;
}

static void note_ttl(struct dns_reply *reply, uint32_t ttl)
{
	if (ttl < reply->ttl)
		reply->ttl = ttl;
}

/* One record of the wanted type. */
static int take(struct record *record, const uint8_t *message, struct dns_reply *reply)
{
	size_t want = record->type == DNS_TYPE_A ? 4 : 16;
	struct target *to = &reply->addresses[reply->count];
	const uint8_t *octets;

	note_ttl(reply, record->ttl);
	if (record->type == DNS_TYPE_PTR) {
		if (reply->count++ == 0)
			return dns_name_read(&record->data, message, &reply->name);
		reply->count = 1;
		return 0;
	}
	octets = reader_take(&record->data, want);
	if (octets == NULL || record->data.at != record->data.end)
		return -EBADMSG;
	if (reply->count == DNS_ADDRESSES)
		return 0;
	*to = (struct target){ .kind = want == 4 ? TARGET_IPV4 : TARGET_IPV6 };
	memcpy(to->ip, octets, want);
	reply->count++;
	return 0;
}

/*
 * The records of one owner: those that are wanted, or the alias.
 * @r: before the answers, a copy
 * Returns 1 when there was an alias, now in @name; 0; or -EBADMSG.
 */
static int take_owned(struct reader r, const uint8_t *message, unsigned count, uint16_t type,
		      struct dns_name *name, struct dns_reply *reply)
{
	struct dns_name alias = { 0 };
	struct record record;
	uint32_t alias_ttl = 0;

	while (count-- > 0) {
		if (read_record(&r, message, &record) < 0)
			return -EBADMSG;
		if (record.class != DNS_CLASS_IN || !dns_name_equal(&record.owner, name))
			continue;
		if (record.type == type && take(&record, message, reply) < 0)
			return -EBADMSG;
		if (record.type == DNS_TYPE_CNAME) {
			if (dns_name_read(&record.data, message, &alias) < 0)
				return -EBADMSG;
			alias_ttl = record.ttl;
		}
	}
	if (reply->count > 0 || alias.len == 0)
		return 0;
	note_ttl(reply, alias_ttl);
	*name = alias;
	return 1;
}

/* The last four octets of SOA are how long a negative answer lasts (RFC 2308 section 4). */
static void note_soa(const struct record *record, struct dns_reply *reply)
{
	size_t len = (size_t)(record->data.end - record->data.at);
	struct reader r;

	if (len < 22) /* two names and five numbers */
		return;
	r = reader_of(record->data.end - 4, 4);
	note_ttl(reply, record->ttl);
	note_ttl(reply, read_u32(&r));
}

/* What is after the answers: an SOA record, the upper bits of the RCODE. */
static int read_rest(struct reader *r, const uint8_t *message, const struct head *head,
		     struct dns_reply *reply)
{
	unsigned first = head->counts[ANSWER];
	unsigned second = first + head->counts[AUTHORITY];
	unsigned all = second + head->counts[ADDITIONAL];
	struct record record;
	bool has_soa = false;

	for (unsigned i = 0; i < all; i++) {
		if (read_record(r, message, &record) < 0)
			return -EBADMSG;
		if (i >= first && i < second && record.type == DNS_TYPE_SOA && reply->count == 0) {
			note_soa(&record, reply);
			has_soa = true;
		}
		if (i >= second && record.type == DNS_TYPE_OPT)
			reply->rcode |= (unsigned)(record.ttl >> 24) << 4;
	}
	if (reply->count == 0 && !has_soa)
		reply->ttl = 0;
	return 0;
}

int dns_reply_parse(const void *bytes, size_t len, const struct dns_query *q,
		    struct dns_reply *ret)
{
	struct reader r = reader_of(bytes, len), rest;
	struct dns_reply reply = { .ttl = UINT32_MAX };
	struct dns_name name = q->name;
	struct head head;
	int err = read_start(&r, bytes, q, &head);

	if (err < 0)
		return err;
	reply.rcode = (enum dns_rcode)(head.flags & DNS_RCODE);
	reply.truncated = (head.flags & DNS_TC) != 0;
	err = 1;
	for (int i = 0; i <= CHAIN_MAX && err > 0; i++)
		err = take_owned(r, bytes, head.counts[ANSWER], q->type, &name, &reply);
	if (err != 0)
		return -EBADMSG; /* or a chain without end */
	rest = r;
	err = read_rest(&rest, bytes, &head, &reply);
	if (err < 0)
		return err;
	if (reply.rcode != DNS_NOERROR)
		reply.count = 0;
	*ret = reply;
	return 0;
}
