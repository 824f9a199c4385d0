/* SPDX-License-Identifier: ISC */
/* show.c - the settings, and what they decide, as text on stdout. */
#include "show.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "complain.h"

/* RFC 3986 section 2.3: the octets that need no escape. */
static void print_escaped(const uint8_t *octets, size_t len)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (size_t i = 0; i < len; i++)
		if (octets[i] != '\0' && strchr(plain, octets[i]) != NULL)
			putchar(octets[i]);
		else
			printf("%%%02X", octets[i]);
}

static void print_url(const struct proxy *p)
{
	char text[TARGET_TEXT_SIZE];

	fputs("socks5://", stdout);
	if (p->has_login) {
		print_escaped(p->login.user, p->login.user_len);
		fputs(":***@", stdout);
	}
	fputs(target_text(&p->address, text), stdout);
}

/* A proxy that came as a URL has no name; rules cannot mention it either. */
static const char *proxy_name(const struct proxy *p)
{
	return p->name[0] != '\0' ? p->name : "default";
}

/* The host of a pattern: target_text() without its port. */
static void print_host(const struct target *host)
{
	struct target t = *host;
	char text[TARGET_TEXT_SIZE];
	char *colon;

	t.port = 1;
	target_text(&t, text);
	colon = strrchr(text, ':');
	if (colon != NULL)
		*colon = '\0';
	fputs(text, stdout);
}

static void print_net(const struct pattern *p)
{
	char text[INET6_ADDRSTRLEN];
	bool v6 = p->host.kind == TARGET_IPV6;

	if (inet_ntop(v6 ? AF_INET6 : AF_INET, p->host.ip, text,
		      sizeof(text)) == NULL)
		return;
	printf(v6 ? "[%s" : "%s", text);
	if (p->prefix != (v6 ? 128 : 32))
		printf("/%u", p->prefix);
	if (v6)
		putchar(']');
}

static void print_pattern(const struct pattern *p)
{
	switch (p->proto) {
	case PROTO_ANY:
		break;
	case PROTO_TCP:
		fputs("tcp ", stdout);
		break;
	case PROTO_UDP:
		fputs("udp ", stdout);
		break;
	}
	switch (p->kind) {
	case PATTERN_ALL:
		putchar('*');
		break;
	case PATTERN_NET:
		print_net(p);
		break;
	case PATTERN_DOMAIN:
		putchar('.');
		print_host(&p->host);
		break;
	case PATTERN_NAME:
		print_host(&p->host);
		break;
	}
	if (p->has_ports && p->port_low == p->port_high)
		printf(":%u", p->port_low);
	else if (p->has_ports)
		printf(":%u-%u", p->port_low, p->port_high);
}

static void print_rule(const struct config *c, const struct rule *r)
{
	switch (r->action) {
	case RULE_DIRECT:
		fputs("direct ", stdout);
		break;
	case RULE_BLOCK:
		fputs("block ", stdout);
		break;
	case RULE_VIA:
		printf("via %s ", proxy_name(&c->proxies[r->proxy]));
		break;
	}
	print_pattern(&r->pattern);
}

static void print_bind(const struct config *c, const struct rule *r)
{
	printf("bind via %s ", proxy_name(&c->proxies[r->proxy]));
	print_pattern(&r->pattern);
	printf("  # %s\n", r->source);
}

static const char *dns_word(const struct config *c, char buf[TARGET_TEXT_SIZE + 4])
{
	switch (c->dns) {
	case DNS_REMOTE:
		return "remote";
	case DNS_LOCAL:
		return "local";
	case DNS_TCP:
		strcpy(buf, "tcp:");
		target_text(&c->dns_server, buf + 4);
		return buf;
	case DNS_TOR:
		return "tor";
	}
	return "";
}

static const char *udp_word(enum udp_mode mode)
{
	switch (mode) {
	case UDP_PROXY:
		return "proxy";
	case UDP_BLOCK:
		return "block";
	case UDP_DIRECT:
		return "direct";
	}
	return "";
}

static const char *handshake_word(enum handshake_mode mode)
{
	switch (mode) {
	case HANDSHAKE_STANDARD:
		return "standard";
	case HANDSHAKE_PIPELINED:
		return "pipelined";
	case HANDSHAKE_OPTIMISTIC:
		return "optimistic";
	}
	return "";
}

static void print_proxy(const struct proxy *p)
{
	printf("proxy %s ", proxy_name(p));
	print_url(p);
	printf(" handshake %s fastopen %s\n", handshake_word(p->handshake),
	       p->fastopen ? "yes" : "no");
}
int show_config(const struct config *c)
{
	char dns[TARGET_TEXT_SIZE + 4];

	if (c->origin != NULL)
		printf("# the proxy comes from %s\n", c->origin);
	for (int i = 0; i < c->proxy_count; i++)
		print_proxy(&c->proxies[i]);
	for (int i = 0; i < c->rule_count; i++) {
		print_rule(c, &c->rules[i]);
		if (c->rules[i].source != NULL)
			printf("  # %s", c->rules[i].source);
		putchar('\n');
	}
	for (int i = 0; i < c->bind_count; i++)
		print_bind(c, &c->binds[i]);
	printf("dns %s\n", dns_word(c, dns));
	printf("udp %s\n", udp_word(c->udp));
	printf("timeout %u", c->timeout_ms / 1000);
	if (c->timeout_ms % 1000 != 0)
		printf(".%03u", c->timeout_ms % 1000);
	putchar('\n');
	printf("verbose %d\n", c->verbose);
	if (c->log_path != NULL)
		printf("log %s\n", c->log_path);
	if (c->log_format != LOG_FORMAT_BY_NAME)
		printf("log-format %s\n", config_log_is_json(c) ? "json" : "text");
	return finish_output();
}

/* "host:port" or "[v6]:port", after "tcp " or "udp " if wanted. */
static int parse_target(const char *text, enum rule_proto *ret_proto,
			struct target *ret)
{
	enum rule_proto proto = PROTO_TCP;
	const char *colon;
	const char *host;
	unsigned long port;
	char *end;
	size_t len;
	int err;

	if (strncmp(text, "tcp ", 4) == 0 || strncmp(text, "udp ", 4) == 0) {
		if (text[0] == 'u')
			proto = PROTO_UDP;
		text += 4;
	}
	colon = strrchr(text, ':');
	if (colon == NULL || colon[1] < '0' || colon[1] > '9')
		return -EINVAL;
	port = strtoul(colon + 1, &end, 10);
	if (*end != '\0' || port < 1 || port > UINT16_MAX)
		return -EINVAL;
	host = text;
	len = (size_t)(colon - text);
	if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	} else if (memchr(host, ':', len) != NULL) {
		return -EINVAL;
	}
	err = target_from_host(host, len, (uint16_t)port, ret);
	if (err == 0)
		*ret_proto = proto;
	return err;
}

int show_decision(const struct config *c, const char *text)
{
	char buf[TARGET_TEXT_SIZE];
	enum rule_proto proto = PROTO_TCP;
	struct decision d;
	struct target t;

	if (parse_target(text, &proto, &t) < 0) {
		complain("cannot read the target '%s': write HOST:PORT, as in "
			 "example.org:443 or '[2001:db8::1]:443'", text);
		return EXIT_OURS;
	}
	d = config_decide(c, &t, proto);
	printf("%s%s: ", proto == PROTO_UDP ? "udp " : "", target_text(&t, buf));
	switch (d.action) {
	case RULE_DIRECT:
		fputs("direct", stdout);
		break;
	case RULE_BLOCK:
		fputs("blocked", stdout);
		break;
	case RULE_VIA:
		fputs("via ", stdout);
		if (d.proxy != NULL && d.proxy->name[0] != '\0')
			printf("%s, ", d.proxy->name);
		if (d.proxy != NULL)
			print_url(d.proxy);
		break;
	}
	putchar('\n');
	if (d.rule != NULL) {
		fputs("rule: ", stdout);
		print_rule(c, d.rule);
		if (d.rule->source != NULL)
			printf("  # %s", d.rule->source);
		putchar('\n');
	}
	if (d.why != NULL)
		printf("why: %s\n", d.why);
	return finish_output();
}
