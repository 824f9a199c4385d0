/* SPDX-License-Identifier: ISC */
/*
 * dns_msg.h - DNS messages (RFC 1035 section 4), bytes in and bytes out: queries
 * and the answers to them, with EDNS (RFC 6891).
 */
#ifndef SOCKSIFY_DNS_MSG_H
#define SOCKSIFY_DNS_MSG_H

#include "socksify/cursor.h"
#include "socksify/target.h"

#define DNS_PORT 53
#define DNS_HEADER_SIZE 12
#define DNS_NAME_SIZE 255	/* on the wire, with all length octets (RFC 1035 section 2.3.4) */
#define DNS_LABEL_MAX 63
#define DNS_DATAGRAM_SIZE 512	/* of a client without EDNS (RFC 1035 section 2.3.4) */
#define DNS_MESSAGE_MAX 65535	/* over TCP (RFC 1035 section 4.2.2) */
#define DNS_PAYLOAD 1232	/* what we say that we take (RFC 6891 section 6.2.3; avoids fragments) */
#define DNS_OPT_SIZE 11		/* an OPT record without options */

enum dns_type {
	DNS_TYPE_A = 1,
	DNS_TYPE_CNAME = 5,
	DNS_TYPE_SOA = 6,
	DNS_TYPE_PTR = 12,
	DNS_TYPE_AAAA = 28,
	DNS_TYPE_OPT = 41,
	DNS_TYPE_SVCB = 64,	/* RFC 9460 */
	DNS_TYPE_HTTPS = 65,
	DNS_TYPE_IXFR = 251,	/* RFC 1995: an answer of many messages, as AXFR's */
	DNS_TYPE_AXFR = 252,
};

enum dns_class { DNS_CLASS_IN = 1 };

enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
	DNS_BADVERS = 16,	/* RFC 6891 section 9: its upper bits travel in the OPT record */
};

/* A domain name as on the wire, uncompressed, case kept, any octet in a label. */
struct dns_name {
	uint8_t len;		/* 1 .. 255, with the root's zero octet */
	uint8_t wire[DNS_NAME_SIZE];
};

struct dns_query {
	uint16_t id;
	uint8_t opcode;
	bool recursion_desired, checking_disabled;
	bool has_question;
	struct dns_name name;	/* this and the next two: if has_question */
	uint16_t type, class;
	bool has_opt;
	uint16_t payload;	/* this and the next two: if has_opt */
	uint8_t version;
	bool dnssec_ok;
};

/*
 * dns_query_parse - understand a query.
 * @bytes: one message of @len octets
 * @ret:   set unless the result is negative; after an error what is known of the query
 * Returns the RCODE to answer with: DNS_NOERROR; DNS_FORMERR, malformed, not
 * exactly one question (RFC 9619), or more than one OPT record; DNS_NOTIMP, an
 * opcode other than QUERY; DNS_REFUSED, a class other than IN; DNS_BADVERS
 * (RFC 6891 section 6.1.3).  Or -EBADMSG: to be dropped, it is too short for
 * an answer, or an answer itself.
 */
MUST_CHECK int dns_query_parse(const void *bytes, size_t len, struct dns_query *ret);

/*
 * dns_query_build - the message of a query, with an OPT record if has_opt.
 * Returns 0, or -EMSGSIZE when it does not fit into @room octets.
 */
MUST_CHECK int dns_query_build(const struct dns_query *q, uint8_t *bytes, size_t room,
			       size_t *ret_len);

/* An answer: TARGET_IPV4 gives an A record, TARGET_IPV6 AAAA, TARGET_NAME PTR. */
struct dns_record {
	uint32_t ttl;		/* seconds */
	struct target value;
};

/*
 * dns_answer_build - the answer of a recursive resolver to a query.
 * @q:       from dns_query_parse()
 * @records: @count of them, all for the name that was asked for; they are left
 *           out, and TC set, when they do not all fit (RFC 2181 section 9)
 * @room:    octets of @bytes and of what the client takes, see dns_limit()
 * Returns 0; -EMSGSIZE when not even the question fits; -EINVAL when a name
 * among the records is none of DNS.
 */
MUST_CHECK int dns_answer_build(const struct dns_query *q, enum dns_rcode rcode,
				const struct dns_record *records, size_t count,
				uint8_t *bytes, size_t room, size_t *ret_len);

/*
 * dns_limit - the longest answer that may be sent to who asked @q.
 * @stream: over TCP; else in a datagram (RFC 6891 section 6.2.3)
 */
size_t dns_limit(const struct dns_query *q, bool stream);

/*
 * dns_answer_cut - fit a resolver's answer into a datagram.
 * @bytes: @len octets, an answer to @q; if longer than @room, what remains is
 *         its header with TC, the question and an OPT record
 * Returns the new length, or 0 when nothing can be said in @room.
 */
MUST_CHECK size_t dns_answer_cut(const struct dns_query *q, uint8_t *bytes, size_t len,
				 size_t room);

#define DNS_ADDRESSES 32	/* of an answer; those after them are left out */

struct dns_reply {
	enum dns_rcode rcode;	/* with the upper bits of the OPT record */
	bool truncated;
	uint32_t ttl;		/* seconds, the least of the chain's; without an answer, RFC 2308's or 0 */
	size_t count;
	struct target addresses[DNS_ADDRESSES];	/* A, AAAA: port 0 */
	struct dns_name name;	/* PTR, if count is 1 */
};

/*
 * dns_reply_parse - understand a resolver's answer to an A, AAAA or PTR query.
 * @q:   what it was asked; chains of CNAME records are followed from there
 *       (RFC 1034 section 3.6.2), and records that belong to no chain ignored
 * @ret: rcode DNS_NOERROR and count 0: the name has no record of the type
 * Returns 0; -EBADMSG: malformed, or not an answer; -ESRCH: an answer to
 * something else (its ID or its question differs).
 */
MUST_CHECK int dns_reply_parse(const void *bytes, size_t len, const struct dns_query *q,
			       struct dns_reply *ret);

/*
 * dns_reply_matches - is it an answer to the query @q, by its ID and question?
 * An answer without a question is one only if it is an error.
 */
bool dns_reply_matches(const void *bytes, size_t len, const struct dns_query *q);

/*
 * dns_name_read - a name at @r, which may be compressed (RFC 1035 section 4.1.4).
 * @message: where pointers count from; @r reads in it
 * A pointer that does not point before all octets of the name so far is
 * malformed: that ends loops.
 * Returns 0, or -EBADMSG.
 */
MUST_CHECK int dns_name_read(struct reader *r, const uint8_t *message, struct dns_name *ret);

/*
 * dns_name_from_text - "example.org" or "example.org.", @len octets; "" and "." are the root.
 * Returns 0, or -EINVAL: an empty or too long label, a name that is too long, a NUL.
 */
MUST_CHECK int dns_name_from_text(const char *text, size_t len, struct dns_name *ret);

/*
 * dns_name_text - the name without a final dot, "" for the root.
 * Returns its length, or -EINVAL: a label has a dot or a NUL in it, which text cannot say.
 */
MUST_CHECK int dns_name_text(const struct dns_name *name, char text[TARGET_NAME_MAX + 1]);

/* Equal but for the case of ASCII letters (RFC 4343)? */
bool dns_name_equal(const struct dns_name *a, const struct dns_name *b);

/* Is @name the domain (text as of dns_name_from_text) itself, or below it? */
bool dns_name_is_below(const struct dns_name *name, const char *domain);

/*
 * dns_name_address - the address that a name under in-addr.arpa (RFC 1035
 * section 3.5) or ip6.arpa (RFC 3596 section 2.5) stands for.
 * @ret: a v4-mapped address becomes IPv4
 * Returns 0, or -EINVAL for other names and for those of networks.
 */
MUST_CHECK int dns_name_address(const struct dns_name *name, struct target *ret);

/* dns_name_of_address - the other way round. @t: an address, else the root. */
void dns_name_of_address(const struct target *t, struct dns_name *ret);

#endif
