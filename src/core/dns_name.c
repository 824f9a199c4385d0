/* SPDX-License-Identifier: ISC */
/* dns_name.c - domain names: labels on the wire, text, and addresses as names. */
#include <errno.h>

#include "socksify/dns_msg.h"

enum { POINTER = 0xc0, POINTER_BITS = 0x3fff };

static char lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : (char)c;
}

/* Append a label of @len octets; 0 for the root's ends the name. */
static int append(struct dns_name *name, const void *label, size_t len)
{
	/* All but the last label leave room for it. */
	if (len > DNS_LABEL_MAX || name->len + 1u + len > DNS_NAME_SIZE - (len != 0))
		return -EINVAL;
	name->wire[name->len++] = (uint8_t)len;
	memcpy(name->wire + name->len, label, len);
	name->len = (uint8_t)(name->len + len);
	return 0;
}

/*
 * Follow the pointer whose first octet is @high.
 * @limit: in, where the octets read so far begin; out, where the pointer leads
 */
static int follow(struct reader *r, uint8_t high, const uint8_t *message, const uint8_t **limit)
{
	size_t offset = ((size_t)high << 8 | reader_u8(r)) & POINTER_BITS;

	if (r->bad || offset < DNS_HEADER_SIZE || offset >= (size_t)(*limit - message))
		return -EBADMSG;
	*limit = message + offset;
	return 0;
}

int dns_name_read(struct reader *r, const uint8_t *message, struct dns_name *ret)
{
	const uint8_t *limit = r->at, *label;
	struct reader at = *r;
	struct dns_name name = { 0 };
	bool jumped = false;
	uint8_t len;

	do {
		len = reader_u8(&at);
		if ((len & POINTER) == POINTER) {
			if (follow(&at, len, message, &limit) < 0)
				return -EBADMSG;
			if (!jumped)
				r->at = at.at;
			jumped = true;
			at.at = limit;
			continue;
		}
		label = reader_take(&at, len);
		if (label == NULL || len > DNS_LABEL_MAX || append(&name, label, len) < 0)
			return -EBADMSG;
	} while (len != 0 && !at.bad);
	if (at.bad)
		return -EBADMSG;
	if (!jumped)
		r->at = at.at;
	*ret = name;
	return 0;
}

int dns_name_from_text(const char *text, size_t len, struct dns_name *ret)
{
	struct dns_name name = { 0 };
	size_t start = 0;

	if (len > 0 && text[len - 1] == '.')
		len--;
	for (size_t i = 0; i <= len && len > 0; i++) {
		if (i < len && text[i] == '\0')
			return -EINVAL;
		if (i < len && text[i] != '.')
			continue;
		if (i == start || append(&name, text + start, i - start) < 0)
			return -EINVAL;
		start = i + 1;
	}
	if (append(&name, "", 0) < 0)
		return -EINVAL;
	*ret = name;
	return 0;
}

int dns_name_text(const struct dns_name *name, char text[TARGET_NAME_MAX + 1])
{
	size_t len = 0;

	for (size_t at = 0; name->wire[at] != 0; at += name->wire[at] + 1u) {
		if (len > 0)
			text[len++] = '.';
		for (size_t i = 1; i <= name->wire[at]; i++) {
			char c = (char)name->wire[at + i];

			if (c == '.' || c == '\0')
				return -EINVAL;
			text[len++] = c;
		}
	}
	text[len] = '\0';
	return (int)len;
}

/* A length is never an upper case letter: it is under 64. */
static bool equal_fold(const uint8_t *a, const uint8_t *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (lower(a[i]) != lower(b[i]))
			return false;
	return true;
}

bool dns_name_equal(const struct dns_name *a, const struct dns_name *b)
{
	return a->len == b->len && equal_fold(a->wire, b->wire, a->len);
}

/* Where the last labels of @name begin that are @domain, or -1. */
static int find_end(const struct dns_name *name, const struct dns_name *domain)
{
	for (size_t at = 0; at < name->len; at += name->wire[at] + 1u)
		if (name->len - at == domain->len)
			return equal_fold(name->wire + at, domain->wire, domain->len) ? (int)at
										   : -1;
	return -1;
}

bool dns_name_is_below(const struct dns_name *name, const char *domain)
{
	struct dns_name end;

	return dns_name_from_text(domain, strlen(domain), &end) == 0 && find_end(name, &end) >= 0;
}

static const struct dns_name v4_end = { 14, "\7in-addr\4arpa" };
static const struct dns_name v6_end = { 10, "\3ip6\4arpa" };

/* 0 .. 255 without leading zeros, or -1. */
static int decimal(const uint8_t *digits, size_t len)
{
	int n = 0;

	if (len == 0 || len > 3 || (len > 1 && digits[0] == '0'))
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			return -1;
		n = n * 10 + digits[i] - '0';
	}
	return n <= 255 ? n : -1;
}

static int hexadecimal(const uint8_t *digit, size_t len)
{
	char c = lower(digit[0]);

	if (len != 1)
		return -1;
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The labels before @end are @count numbers, the lowest first. */
static bool read_labels(const struct dns_name *name, const struct dns_name *end,
			int (*number)(const uint8_t *, size_t), size_t count, uint8_t *ret)
{
	int stop = find_end(name, end);
	size_t at = 0;

	for (size_t i = 0; i < count; i++) {
		int n;

		if (stop < 0 || at >= (size_t)stop)
			return false;
		n = number(name->wire + at + 1, name->wire[at]);
		if (n < 0)
			return false;
		ret[count - 1 - i] = (uint8_t)n;
		at += name->wire[at] + 1u;
	}
	return stop >= 0 && at == (size_t)stop;
}

int dns_name_address(const struct dns_name *name, struct target *ret)
{
	union sockaddr_any any = { .in6 = { .sin6_family = AF_INET6 } };
	struct target v4 = { .kind = TARGET_IPV4 };
	uint8_t nibbles[32];

	if (read_labels(name, &v4_end, decimal, 4, v4.ip)) {
		*ret = v4;
		return 0;
	}
	if (!read_labels(name, &v6_end, hexadecimal, 32, nibbles))
		return -EINVAL;
	for (size_t i = 0; i < 16; i++)
		any.in6.sin6_addr.s6_addr[i] =
			(uint8_t)(nibbles[2 * i] << 4 | nibbles[2 * i + 1]);
	return target_from_sockaddr(&any.sa, sizeof(any.in6), ret);
}

static void put_octet(struct dns_name *name, uint8_t octet)
{
	char digits[3];
	size_t len = 0;

	if (octet >= 100)
		digits[len++] = (char)('0' + octet / 100);
	if (octet >= 10)
		digits[len++] = (char)('0' + octet / 10 % 10);
	digits[len++] = (char)('0' + octet % 10);
	(void)!append(name, digits, len);
}

static void put_end(struct dns_name *name, const struct dns_name *end)
{
	memcpy(name->wire + name->len, end->wire, end->len);
	name->len = (uint8_t)(name->len + end->len);
}

void dns_name_of_address(const struct target *t, struct dns_name *ret)
{
	struct dns_name name = { 0 };

	switch (t->kind) {
	case TARGET_IPV4:
		for (size_t i = 4; i > 0; i--)
			put_octet(&name, t->ip[i - 1]);
		put_end(&name, &v4_end);
		break;
	case TARGET_IPV6:
		for (size_t i = 16; i > 0; i--) {
			(void)!append(&name, &"0123456789abcdef"[t->ip[i - 1] & 15], 1);
			(void)!append(&name, &"0123456789abcdef"[t->ip[i - 1] >> 4], 1);
		}
		put_end(&name, &v6_end);
		break;
	case TARGET_NAME:
	case TARGET_NONE:
		name.len = 1;
		break;
	}
	*ret = name;
}
