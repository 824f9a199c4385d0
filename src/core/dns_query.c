/* SPDX-License-Identifier: ISC */
/* dns_query.c - a client's query, and the answer to it (RFC 1035 section 4.1, RFC 6891). */
#include <errno.h>

#include "dns_wire.h"

/* An OPT record, after its name and type (RFC 6891 section 6.1.2). */
static int parse_opt(struct reader *r, const struct dns_name *owner, struct dns_query *q)
{
	uint16_t payload = reader_u16(r);
	uint8_t version, flags;

	reader_u8(r); /* the upper bits of an RCODE, none in a query */
	version = reader_u8(r);
	flags = reader_u8(r);
	reader_u8(r);
	reader_take(r, reader_u16(r));
	if (r->bad || owner->len != 1 || q->has_opt)
		return DNS_FORMERR;
	q->has_opt = true;
	q->payload = payload;
	q->version = version;
	q->dnssec_ok = (flags & DNS_OPT_DO) != 0;
	return DNS_NOERROR;
}

/* Look for the OPT record among @count others. */
static int parse_records(struct reader *r, const uint8_t *message, unsigned count,
			 struct dns_query *q)
{
	while (count-- > 0) {
		struct dns_name owner;

		if (dns_name_read(r, message, &owner) < 0)
			return DNS_FORMERR;
		if (reader_u16(r) == DNS_TYPE_OPT) {
			if (parse_opt(r, &owner, q) != DNS_NOERROR)
				return DNS_FORMERR;
			continue;
		}
		reader_take(r, 6);
		reader_take(r, reader_u16(r));
		if (r->bad)
			return DNS_FORMERR;
	}
	return r->at == r->end ? DNS_NOERROR : DNS_FORMERR;
}

static int parse_question(struct reader *r, const uint8_t *message, struct dns_query *q)
{
	if (dns_name_read(r, message, &q->name) < 0)
		return DNS_FORMERR;
	q->type = reader_u16(r);
	q->class = reader_u16(r);
	if (r->bad)
		return DNS_FORMERR;
	q->has_question = true;
	return DNS_NOERROR;
}

static int judge(const struct dns_query *q)
{
	if (q->has_opt && q->version > 0)
		return DNS_BADVERS;
	if (q->type == DNS_TYPE_OPT)
		return DNS_FORMERR;
	return q->class == DNS_CLASS_IN ? DNS_NOERROR : DNS_REFUSED;
}

int dns_query_parse(const void *bytes, size_t len, struct dns_query *ret)
{
	struct reader r = reader_of(bytes, len);
	struct dns_query q = { .id = reader_u16(&r) };
	uint16_t flags = reader_u16(&r), questions = reader_u16(&r);
	unsigned others = reader_u16(&r);
	int rcode = DNS_NOERROR;

	others += reader_u16(&r);
	others += reader_u16(&r);
	if (r.bad || (flags & DNS_QR) != 0)
		return -EBADMSG;
	q.opcode = (uint8_t)((flags & DNS_OPCODE) >> DNS_OPCODE_SHIFT);
	q.recursion_desired = (flags & DNS_RD) != 0;
	q.checking_disabled = (flags & DNS_CD) != 0;
	if (q.opcode != 0)
		rcode = DNS_NOTIMP; /* the format of what follows is another's */
	else if (questions != 1)
		rcode = DNS_FORMERR;
	if (rcode == DNS_NOERROR)
		rcode = parse_question(&r, bytes, &q);
	if (rcode == DNS_NOERROR)
		rcode = parse_records(&r, bytes, others, &q);
	if (rcode == DNS_NOERROR)
		rcode = judge(&q);
	*ret = q;
	return rcode;
}

static void put_header(struct writer *w, uint16_t id, unsigned flags, unsigned questions,
		       unsigned answers, unsigned additional)
{
	writer_u16(w, id);
	writer_u16(w, (uint16_t)flags);
	writer_u16(w, (uint16_t)questions);
	writer_u16(w, (uint16_t)answers);
	writer_u16(w, 0);
	writer_u16(w, (uint16_t)additional);
}

static void put_question(struct writer *w, const struct dns_query *q)
{
	if (!q->has_question)
		return;
	writer_put(w, q->name.wire, q->name.len);
	writer_u16(w, q->type);
	writer_u16(w, q->class);
}

/* DO is copied, RFC 3225 section 3. */
static void put_opt(struct writer *w, const struct dns_query *q, unsigned rcode, uint16_t payload,
		    uint8_t version)
{
	if (!q->has_opt)
		return;
	writer_u8(w, 0);
	writer_u16(w, DNS_TYPE_OPT);
	writer_u16(w, payload);
	writer_u8(w, (uint8_t)(rcode >> 4));
	writer_u8(w, version);
	writer_u8(w, q->dnssec_ok ? DNS_OPT_DO : 0);
	writer_u8(w, 0);
	writer_u16(w, 0);
}

static unsigned flags_of(const struct dns_query *q)
{
	return (unsigned)q->opcode << DNS_OPCODE_SHIFT | (q->recursion_desired ? DNS_RD : 0u) |
	       (q->checking_disabled ? DNS_CD : 0u);
}

int dns_query_build(const struct dns_query *q, uint8_t *bytes, size_t room, size_t *ret_len)
{
	struct writer w = writer_of(bytes, room);

	put_header(&w, q->id, flags_of(q), q->has_question, 0, q->has_opt);
	put_question(&w, q);
	put_opt(&w, q, 0, q->payload, q->version);
	if (w.bad)
		return -EMSGSIZE;
	*ret_len = writer_len(&w);
	return 0;
}

static int put_record(struct writer *w, const struct dns_record *record)
{
	const struct target *t = &record->value;
	struct dns_name name;
	const uint8_t *octets = t->ip;
	uint16_t type, len;

	switch (t->kind) {
	case TARGET_IPV4:
		type = DNS_TYPE_A;
		len = 4;
		break;
	case TARGET_IPV6:
		type = DNS_TYPE_AAAA;
		len = 16;
		break;
	case TARGET_NAME:
		if (dns_name_from_text(t->name, t->name_len, &name) < 0)
			return -EINVAL;
		type = DNS_TYPE_PTR;
		octets = name.wire;
		len = name.len;
		break;
	case TARGET_NONE:
	default: /* gcc does not see that there is no other */
		return -EINVAL;
	}
	writer_u16(w, 0xc000 | DNS_HEADER_SIZE); /* the question's name */
	writer_u16(w, type);
	writer_u16(w, DNS_CLASS_IN);
	writer_u16(w, (uint16_t)(record->ttl >> 16));
	writer_u16(w, (uint16_t)record->ttl);
	writer_u16(w, len);
	writer_put(w, octets, len);
	return 0;
}

int dns_answer_build(const struct dns_query *q, enum dns_rcode rcode,
		     const struct dns_record *records, size_t count,
		     uint8_t *bytes, size_t room, size_t *ret_len)
{
	unsigned flags = flags_of(q) | DNS_QR | DNS_RA | ((unsigned)rcode & DNS_RCODE);
	struct writer w = writer_of(bytes, room), bare;

	put_header(&w, q->id, flags, q->has_question, (unsigned)count, q->has_opt);
	put_question(&w, q);
	bare = w;
	for (size_t i = 0; i < count; i++)
		if (put_record(&w, &records[i]) < 0)
			return -EINVAL;
	put_opt(&w, q, rcode, DNS_PAYLOAD, 0);
	if (w.bad && count > 0) {
		struct writer head = writer_of(bytes, DNS_HEADER_SIZE);

		if (!bare.bad)
			put_header(&head, q->id, flags | DNS_TC, q->has_question, 0, q->has_opt);
		w = bare;
		put_opt(&w, q, rcode, DNS_PAYLOAD, 0);
	}
	if (w.bad)
		return -EMSGSIZE;
	*ret_len = writer_len(&w);
	return 0;
}

size_t dns_limit(const struct dns_query *q, bool stream)
{
	if (stream)
		return DNS_MESSAGE_MAX;
	return q->has_opt && q->payload > DNS_DATAGRAM_SIZE ? q->payload : DNS_DATAGRAM_SIZE;
}

size_t dns_answer_cut(const struct dns_query *q, uint8_t *bytes, size_t len, size_t room)
{
	struct reader r = reader_of(bytes, len);
	struct writer w = writer_of(bytes, room);
	uint16_t flags;

	if (len <= room)
		return len;
	reader_u16(&r);
	flags = reader_u16(&r);
	if (r.bad)
		return 0;
	put_header(&w, q->id, flags | DNS_TC, q->has_question, 0, q->has_opt);
	put_question(&w, q);
	put_opt(&w, q, 0, DNS_PAYLOAD, 0);
	return w.bad ? 0 : writer_len(&w);
}
