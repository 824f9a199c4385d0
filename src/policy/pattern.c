/* SPDX-License-Identifier: ISC */
/* pattern.c - hosts, domains, networks and ports as rules write them. */
#include "policy.h"

#include <arpa/inet.h>
#include <stdio.h>

#define LABEL_MAX 63 /* RFC 1035 section 2.3.4 */

static bool is_name_octet(char c)
{
	return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
	       c == '-' || c == '_' || (unsigned char)c >= 0x80;
}

static bool all_digits(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < '0' || text[i] > '9')
			return false;
	return true;
}

/* A last part of digits only: a mistyped address (10.0.0.256), never a name. */
static const char *name_fault(const char *text, size_t len)
{
	size_t label = 0;

	if (len == 0)
		return "the host is empty";
	if (len > TARGET_NAME_MAX)
		return "the host name is longer than 255 octets";
	for (size_t i = 0; i < len; i++) {
		if (text[i] != '.') {
			if (!is_name_octet(text[i]))
				return "a host name has letters, digits, '-', '_' and '.' only";
			continue;
		}
		if (i == label)
			return "two dots side by side, or a dot alone";
		if (i - label > LABEL_MAX)
			return "a part of the host name is longer than 63 octets";
		label = i + 1;
	}
	if (len - label > LABEL_MAX)
		return "a part of the host name is longer than 63 octets";
	if (all_digits(text + label, len - label))
		return "neither an IP address nor a host name";
	return NULL;
}

int host_parse(const char *text, size_t len, uint16_t port, struct target *ret,
	       const char **phrase)
{
	struct target host;

	*phrase = "the host is empty";
	if (len == 0)
		return -EINVAL;
	*phrase = "the host is not valid";
	if (len <= TARGET_NAME_MAX && target_from_host(text, len, port, &host) < 0)
		return -EINVAL;
	if (len > TARGET_NAME_MAX || host.kind == TARGET_NAME) {
		size_t bare = text[len - 1] == '.' && len > 1 ? len - 1 : len;
		const char *fault = name_fault(text, bare);

		if (fault != NULL || len > TARGET_NAME_MAX) {
			*phrase = fault != NULL ? fault :
				"the host name is longer than 255 octets";
			return -EINVAL;
		}
	}
	*ret = host;
	return 0;
}

static int bad_pattern(const char *text, size_t len, char *error,
		       const char *why)
{
	return fail(error, -EINVAL, "bad pattern '%s': %s",
		    shown_word(text, len).text, why);
}

/* "443" or "8000-8099" */
static int parse_ports(const char *text, size_t len, struct pattern *p,
		       char *error)
{
	const char *dash = memchr(text, '-', len);
	size_t low_len = dash != NULL ? (size_t)(dash - text) : len;
	unsigned low, high;

	if (number_parse(text, low_len, 1, UINT16_MAX, &low) < 0)
		return fail(error, -EINVAL, "bad port '%s': use 1 to 65535",
			    shown_word(text, low_len).text);
	high = low;
	if (dash != NULL) {
		size_t high_len = len - low_len - 1;

		if (number_parse(dash + 1, high_len, 1, UINT16_MAX, &high) < 0)
			return fail(error, -EINVAL, "bad port '%s': use 1 to 65535",
				    shown_word(dash + 1, high_len).text);
		if (high < low)
			return fail(error, -EINVAL,
				    "bad port range '%s': the lower port comes first",
				    shown_word(text, len).text);
	}
	p->port_low = (uint16_t)low;
	p->port_high = (uint16_t)high;
	p->has_ports = true;
	return 0;
}

/* Clear the bits after the prefix.  Returns whether one was set. */
static bool mask_address(uint8_t ip[16], unsigned prefix, unsigned width)
{
	bool changed = false;

	for (unsigned bit = prefix; bit < width; bit++) {
		uint8_t mask = (uint8_t)(0x80 >> (bit % 8));

		if ((ip[bit / 8] & mask) != 0) {
			changed = true;
			ip[bit / 8] = (uint8_t)(ip[bit / 8] & ~mask);
		}
	}
	return changed;
}

static bool is_v4_mapped(const struct target *t)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return t->kind == TARGET_IPV6 && memcmp(t->ip, mapped, 12) == 0;
}

static int set_network(const char *text, size_t len, unsigned prefix,
		       struct pattern *p, char *error)
{
	unsigned width = p->host.kind == TARGET_IPV4 ? 32 : 128;
	char network[INET6_ADDRSTRLEN];

	if (mask_address(p->host.ip, prefix, width)) {
		if (inet_ntop(width == 32 ? AF_INET : AF_INET6, p->host.ip,
			      network, sizeof(network)) == NULL)
			return bad_pattern(text, len, error, "no network address");
		return fail(error, -EINVAL,
			    "bad network '%s': the network address is %s/%u",
			    shown_word(text, len).text, network, prefix);
	}
	/* Targets are never v4-mapped (target_from_sockaddr), so neither are networks. */
	if (is_v4_mapped(&p->host) && prefix >= 96) {
		memmove(p->host.ip, p->host.ip + 12, 4);
		memset(p->host.ip + 4, 0, 12);
		p->host.kind = TARGET_IPV4;
		prefix -= 96;
	}
	p->kind = PATTERN_NET;
	p->prefix = (uint8_t)prefix;
	return 0;
}

/* inet_pton() itself: target_from_host() would make a mapped address IPv4 and lose its width. */
static int parse_address(const char *text, size_t len, struct target *ret)
{
	char copy[INET6_ADDRSTRLEN];

	if (len >= sizeof(copy) || memchr(text, '\0', len) != NULL)
		return -EINVAL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, copy, ret->ip) == 1)
		ret->kind = TARGET_IPV4;
	else if (inet_pton(AF_INET6, copy, ret->ip) == 1)
		ret->kind = TARGET_IPV6;
	return ret->kind != TARGET_NONE ? 0 : -EINVAL;
}

/* "10.0.0.1", "10.0.0.0/8", "fd00::/8" */
static int parse_network(const char *text, size_t len, struct pattern *p,
			 char *error)
{
	const char *slash = memchr(text, '/', len);
	size_t host_len = slash != NULL ? (size_t)(slash - text) : len;
	unsigned width, prefix;

	if (parse_address(text, host_len, &p->host) < 0)
		return bad_pattern(text, len, error,
				   "no valid IP address before the '/' or ':'");
	width = p->host.kind == TARGET_IPV4 ? 32 : 128;
	prefix = width;
	if (slash != NULL &&
	    number_parse(slash + 1, len - host_len - 1, 0, width, &prefix) < 0)
		return fail(error, -EINVAL, "bad prefix '%s': use 0 to %u%s",
			    shown_word(slash, len - host_len).text, width,
			    memchr(slash, ':', len - host_len) != NULL ?
			    ", and brackets as in [fd00::/8]:22 for a port" : "");
	return set_network(text, len, prefix, p, error);
}

static int parse_name(const char *text, size_t len, struct pattern *p,
		      char *error)
{
	bool domain = false;
	const char *phrase, *name = text;
	size_t name_len = len;
	int err;

	if (len > 1 && text[0] == '*' && text[1] == '.') {
		name++;
		name_len--;
	}
	if (name_len > 0 && name[0] == '.') {
		domain = true;
		name++;
		name_len--;
	}
	if (memchr(name, '*', name_len) != NULL)
		return bad_pattern(text, len, error,
				   "'*' stands alone: write .example.com for a domain");
	if (name_len > 1 && name[name_len - 1] == '.')
		name_len--;
	err = host_parse(name, name_len, 0, &p->host, &phrase);
	if (err < 0)
		return bad_pattern(text, len, error, phrase);
	if (p->host.kind != TARGET_NAME) {
		if (domain)
			return bad_pattern(text, len, error,
					   "a dot in front is for names, not addresses");
		return parse_network(text, len, p, error);
	}
	p->kind = domain ? PATTERN_DOMAIN : PATTERN_NAME;
	return 0;
}

static int parse_host(const char *text, size_t len, struct pattern *p,
		      char *error)
{
	if (len == 1 && text[0] == '*') {
		p->kind = PATTERN_ALL;
		return 0;
	}
	if (memchr(text, '/', len) != NULL || memchr(text, ':', len) != NULL)
		return parse_network(text, len, p, error);
	return parse_name(text, len, p, error);
}

static int parse_bracketed(const char *text, size_t len, struct pattern *p,
			   char *error)
{
	const char *close = memchr(text, ']', len);
	size_t inner, after;
	int err;

	if (close == NULL)
		return bad_pattern(text, len, error, "the ']' is missing");
	inner = (size_t)(close - text) - 1;
	after = len - inner - 2;
	if (memchr(text + 1, ':', inner) == NULL)
		return bad_pattern(text, len, error,
				   "brackets are for IPv6 addresses only");
	err = parse_network(text + 1, inner, p, error);
	if (err < 0 || after == 0)
		return err;
	if (close[1] == '/')
		return bad_pattern(text, len, error,
				   "the prefix goes into the brackets, as [fd00::/8]:22");
	if (close[1] != ':')
		return bad_pattern(text, len, error, "only :port may follow the ']'");
	return parse_ports(close + 2, after - 1, p, error);
}

static int parse_bare(const char *text, size_t len, struct pattern *p,
		      char *error)
{
	const char *colon = memchr(text, ':', len);
	size_t host_len;
	int err;

	if (colon == NULL)
		return parse_host(text, len, p, error);
	host_len = (size_t)(colon - text);
	if (memchr(colon + 1, ':', len - host_len - 1) != NULL)
		return parse_network(text, len, p, error); /* IPv6 */
	if (host_len == 0)
		return bad_pattern(text, len, error,
				   "the host is empty: write *:port for every host");
	err = parse_host(text, host_len, p, error);
	if (err < 0)
		return err;
	return parse_ports(colon + 1, len - host_len - 1, p, error);
}

/* "udp *:443": the word and the blanks after it */
static size_t proto_prefix(const char *text, size_t len, enum rule_proto *ret)
{
	size_t n = 3;

	if (len < 5 || (text[3] != ' ' && text[3] != '\t'))
		return 0;
	if (word_is(text, 3, "tcp"))
		*ret = PROTO_TCP;
	else if (word_is(text, 3, "udp"))
		*ret = PROTO_UDP;
	else
		return 0;
	while (n < len && (text[n] == ' ' || text[n] == '\t'))
		n++;
	return n;
}

int pattern_parse(const char *text, size_t len, struct pattern *ret,
		  char error[CONFIG_ERROR_SIZE])
{
	struct pattern p = { .proto = PROTO_ANY, .port_high = UINT16_MAX };
	size_t skip = proto_prefix(text, len, &p.proto);
	int err;

	text += skip;
	len -= skip;
	if (len == 0)
		return fail(error, -EINVAL, "the pattern is empty");
	if (text[0] == '[')
		err = parse_bracketed(text, len, &p, error);
	else
		err = parse_bare(text, len, &p, error);
	if (err < 0)
		return err;
	*ret = p;
	return 0;
}
