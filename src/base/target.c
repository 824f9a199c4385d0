/* SPDX-License-Identifier: ISC */
/* target.c - where a connection is to go: an address or a name, and a port. */
#include "socksify/target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static const uint8_t v4_mapped[12] = { [10] = 0xff, [11] = 0xff };

/* An address that is still to be filled in. */
static void set_address(struct target *t, enum target_kind kind, uint16_t port)
{
	t->kind = kind;
	t->port = port;
	t->name_len = 0;
	memset(t->ip, 0, sizeof(t->ip));
}

/* Fill in an IPv6 address; a v4-mapped one is the IPv4 address that it carries. */
static void set_ipv6(struct target *t, const uint8_t ip[16])
{
	bool mapped = memcmp(ip, v4_mapped, sizeof(v4_mapped)) == 0;

	t->kind = mapped ? TARGET_IPV4 : TARGET_IPV6;
	if (mapped)
		memcpy(t->ip, ip + 12, 4);
	else
		memcpy(t->ip, ip, 16);
}

void target_unmap(struct target *t)
{
	uint8_t ip[16];

	if (t->kind != TARGET_IPV6)
		return;
	memcpy(ip, t->ip, sizeof(ip));
	set_ipv6(t, ip);
}

socklen_t sockaddr_keep(const struct sockaddr *addr, socklen_t len, union sockaddr_any *ret)
{
	socklen_t full;
	sa_family_t family;

	memcpy(&family, addr, sizeof(family));
	full = family == AF_INET ? sizeof(ret->in) : sizeof(ret->in6);
	if (full > len)
		full = len;
	memcpy(ret, addr, full);
	return full;
}

int target_from_sockaddr(const struct sockaddr *addr, socklen_t len,
			 struct target *ret)
{
	union sockaddr_any any;

	if (len < sizeof(sa_family_t))
		return -EINVAL;
	memcpy(&any, addr, len < sizeof(any) ? len : sizeof(any));
	switch (any.sa.sa_family) {
	case AF_INET:
		if (len < sizeof(any.in))
			return -EINVAL;
		set_address(ret, TARGET_IPV4, ntohs(any.in.sin_port));
		memcpy(ret->ip, &any.in.sin_addr, 4);
		return 0;
	case AF_INET6:
		/* connect(2) takes the RFC 2133 length without a scope id, too. */
		if (len < offsetof(struct sockaddr_in6, sin6_scope_id))
			return -EINVAL;
		set_address(ret, TARGET_IPV6, ntohs(any.in6.sin6_port));
		set_ipv6(ret, any.in6.sin6_addr.s6_addr);
		return 0;
	default:
		return -EAFNOSUPPORT;
	}
}

int target_to_sockaddr(const struct target *t, int family,
		       union sockaddr_any *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (t->kind == TARGET_IPV4 && family == AF_INET) {
		ret->in.sin_family = AF_INET;
		ret->in.sin_port = htons(t->port);
		memcpy(&ret->in.sin_addr, t->ip, 4);
		return sizeof(ret->in);
	}
	if (family != AF_INET6 || (t->kind != TARGET_IPV4 && t->kind != TARGET_IPV6))
		return -EAFNOSUPPORT;
	ret->in6.sin6_family = AF_INET6;
	ret->in6.sin6_port = htons(t->port);
	if (t->kind == TARGET_IPV6) {
		memcpy(&ret->in6.sin6_addr, t->ip, 16);
	} else {
		memcpy(&ret->in6.sin6_addr, v4_mapped, sizeof(v4_mapped));
		memcpy(&ret->in6.sin6_addr.s6_addr[12], t->ip, 4);
	}
	return sizeof(ret->in6);
}

int target_from_host(const char *host, size_t len, uint16_t port,
		     struct target *ret)
{
	struct target t = { .port = port };
	uint8_t ip[16];

	if (len == 0 || len > TARGET_NAME_MAX || memchr(host, '\0', len) != NULL)
		return -EINVAL;
	memcpy(t.name, host, len);
	t.name[len] = '\0';
	if (inet_pton(AF_INET, t.name, ip) == 1) {
		t.kind = TARGET_IPV4;
		memcpy(t.ip, ip, 4);
	} else if (inet_pton(AF_INET6, t.name, ip) == 1) {
		set_ipv6(&t, ip);
	} else {
		t.kind = TARGET_NAME;
		t.name_len = (uint8_t)len;
	}
	if (t.kind != TARGET_NAME)
		memset(t.name, 0, sizeof(t.name));
	*ret = t;
	return 0;
}

struct target target_loopback(int family, uint16_t port)
{
	struct target t = { .kind = TARGET_IPV4, .port = port, .ip = { 127, 0, 0, 1 } };

	if (family == AF_INET6)
		t = (struct target){ .kind = TARGET_IPV6, .port = port, .ip = { [15] = 1 } };
	return t;
}

bool target_is_loopback(const struct target *t)
{
	static const uint8_t zero[16];

	switch (t->kind) {
	case TARGET_IPV4:
		return t->ip[0] == 127 || memcmp(t->ip, zero, 4) == 0;
	case TARGET_IPV6:
		return memcmp(t->ip, zero, 15) == 0 && t->ip[15] <= 1;
	case TARGET_NAME:
	case TARGET_NONE:
		break;
	}
	return false;
}

bool target_is_private(const struct target *t)
{
	const uint8_t *ip = t->ip;

	switch (t->kind) {
	case TARGET_IPV4:
		return ip[0] == 10 || ip[0] == 127 || ip[0] == 0 ||
		       (ip[0] == 172 && (ip[1] & 0xf0) == 16) ||
		       (ip[0] == 192 && ip[1] == 168) || (ip[0] == 169 && ip[1] == 254);
	case TARGET_IPV6:
		return (ip[0] & 0xfe) == 0xfc || (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80) ||
		       target_is_loopback(t);
	case TARGET_NAME:
	case TARGET_NONE:
		break;
	}
	return false;
}

/* ASCII only: the program's locale must not change what a name means. */
static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool target_host_equal(const struct target *a, const struct target *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case TARGET_IPV4:
		return memcmp(a->ip, b->ip, 4) == 0;
	case TARGET_IPV6:
		return memcmp(a->ip, b->ip, 16) == 0;
	case TARGET_NAME:
		if (a->name_len != b->name_len)
			return false;
		for (size_t i = 0; i < a->name_len; i++)
			if (lower(a->name[i]) != lower(b->name[i]))
				return false;
		return true;
	case TARGET_NONE:
		break;
	}
	return false;
}

bool target_equal(const struct target *a, const struct target *b)
{
	return a->port == b->port && target_host_equal(a, b);
}

/* Decimal digits of @n at @at; returns the end. */
static char *put_number(char *at, unsigned n)
{
	char digits[10];
	size_t count = 0;

	do {
		digits[count++] = (char)('0' + n % 10);
		n /= 10;
	} while (n != 0);
	while (count > 0)
		*at++ = digits[--count];
	return at;
}

/* The host's text at @at; returns the end. */
static char *put_host(char *at, const struct target *t)
{
	switch (t->kind) {
	case TARGET_IPV4:
		for (size_t i = 0; i < 4; i++) {
			at = put_number(at, t->ip[i]);
			if (i < 3)
				*at++ = '.';
		}
		return at;
	case TARGET_IPV6:
		*at++ = '[';
		if (inet_ntop(AF_INET6, t->ip, at, INET6_ADDRSTRLEN) != NULL)
			at += strlen(at);
		*at++ = ']';
		return at;
	case TARGET_NAME:
		for (size_t i = 0; i < t->name_len; i++) {
			uint8_t c = (uint8_t)t->name[i];

			*at++ = c < 0x21 || c == 0x7f ? '?' : (char)c;
		}
		return at;
	case TARGET_NONE:
		break;
	}
	*at++ = '-';
	return at;
}

const char *target_text(const struct target *t, char buf[TARGET_TEXT_SIZE])
{
	char *at = put_host(buf, t);

	*at++ = ':';
	*put_number(at, t->port) = '\0';
	return buf;
}
