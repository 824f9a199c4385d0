/* SPDX-License-Identifier: ISC */
/* rules.c - which rule decides about a target.  Async-signal-safe: reads only. */
#include "policy.h"

static size_t without_final_dot(const char *name, size_t len)
{
	return len > 1 && name[len - 1] == '.' ? len - 1 : len;
}

bool name_is_below(const char *name, size_t len, const char *domain,
		   size_t domain_len, bool or_below)
{
	len = without_final_dot(name, len);
	domain_len = without_final_dot(domain, domain_len);
	if (len == domain_len)
		return octets_equal_fold(name, domain, len);
	return or_below && len > domain_len &&
	       name[len - domain_len - 1] == '.' &&
	       octets_equal_fold(name + len - domain_len, domain, domain_len);
}

static bool name_matches(const struct pattern *p, const char *name, size_t len)
{
	if (p->kind == PATTERN_ALL)
		return true;
	if (p->kind == PATTERN_NET)
		return false;
	return name_is_below(name, len, p->host.name, p->host.name_len,
			     p->kind == PATTERN_DOMAIN);
}

static bool network_has(const struct pattern *p, const struct target *t)
{
	unsigned whole = p->prefix / 8u, rest = p->prefix % 8u;

	if (p->host.kind != t->kind || memcmp(p->host.ip, t->ip, whole) != 0)
		return false;
	return rest == 0 || ((p->host.ip[whole] ^ t->ip[whole]) >> (8 - rest)) == 0;
}

static bool host_matches(const struct pattern *p, const struct target *t)
{
	if (t->kind == TARGET_NAME)
		return name_matches(p, t->name, t->name_len);
	if (p->kind == PATTERN_ALL)
		return true;
	return p->kind == PATTERN_NET && network_has(p, t);
}

static bool pattern_matches(const struct pattern *p, const struct target *t,
			    enum rule_proto proto)
{
	return (p->proto == PROTO_ANY || p->proto == proto) &&
	       t->port >= p->port_low && t->port <= p->port_high &&
	       host_matches(p, t);
}

static bool is_localhost_name(const char *name, size_t len)
{
	return name_is_below(name, len, "localhost", 9, true);
}

static bool is_loopback(const struct target *t)
{
	if (t->kind == TARGET_NAME)
		return is_localhost_name(t->name, t->name_len);
	return target_is_loopback(t);
}

static bool is_onion(const struct target *t)
{
	return t->kind == TARGET_NAME &&
	       name_is_below(t->name, t->name_len, "onion", 5, true);
}

static bool is_some_proxy(const struct config *c, const struct target *t)
{
	for (int i = 0; i < c->proxy_count; i++) {
		const struct target *address = &c->proxies[i].address;

		if (address->port != t->port || address->kind != t->kind)
			continue;
		if (t->kind == TARGET_NAME ?
		    name_is_below(t->name, t->name_len, address->name,
				  address->name_len, false) :
		    target_host_equal(address, t))
			return true;
	}
	return false;
}

static struct decision direct(const char *why)
{
	return (struct decision){ .action = RULE_DIRECT, .why = why };
}

/* UDP that would go through a proxy, unless a rule says `udp` or names the target. */
static struct decision apply_udp_mode(const struct config *c,
				      const struct target *t, struct decision d)
{
	const struct rule *rule = d.rule;

	if (d.action != RULE_VIA || c->udp == UDP_PROXY ||
	    (rule != NULL && rule->pattern.proto == PROTO_UDP))
		return d;
	if (c->udp == UDP_BLOCK)
		return (struct decision){ .action = RULE_BLOCK, .why = "udp block" };
	if (rule != NULL && rule->pattern.kind != PATTERN_ALL)
		return d; /* a rule that names the target is a promise */
	if (is_onion(t))
		return (struct decision){ .action = RULE_BLOCK,
					  .why = ".onion is never direct" };
	return direct("udp direct");
}

static struct decision by_rule(const struct config *c, const struct rule *rule)
{
	struct decision d = { .action = rule->action, .rule = rule };

	switch (rule->action) {
	case RULE_DIRECT:
		d.why = "a direct rule";
		break;
	case RULE_BLOCK:
		d.why = "a block rule";
		break;
	case RULE_VIA:
		d.why = "a via rule";
		d.proxy = &c->proxies[rule->proxy];
		break;
	}
	return d;
}

static struct decision by_default(const struct config *c)
{
	if (c->proxy_count == 0)
		return (struct decision){ .action = RULE_BLOCK,
					  .why = "no proxy is configured" };
	return (struct decision){ .action = RULE_VIA, .proxy = &c->proxies[0],
				  .why = "no rule matched: the first proxy" };
}

/* `*` does not name loopback: "via office *" leaves local services alone. */
static const struct rule *first_match(const struct config *c,
				      const struct target *t,
				      enum rule_proto proto)
{
	bool loopback = is_loopback(t);

	for (int i = 0; i < c->rule_count; i++) {
		const struct rule *rule = &c->rules[i];

		if (loopback && rule->pattern.kind == PATTERN_ALL)
			continue;
		if (pattern_matches(&rule->pattern, t, proto))
			return rule;
	}
	return NULL;
}

struct decision config_decide(const struct config *c, const struct target *t,
			      enum rule_proto proto)
{
	const struct rule *rule = first_match(c, t, proto);
	struct decision d;

	if ((rule == NULL || rule->action == RULE_VIA) && proto != PROTO_UDP &&
	    is_some_proxy(c, t))
		return direct("the proxy itself");
	if (rule != NULL)
		d = by_rule(c, rule);
	else if (is_loopback(t))
		return direct("loopback");
	else
		d = by_default(c);
	return proto == PROTO_UDP ? apply_udp_mode(c, t, d) : d;
}

const struct proxy *config_bind(const struct config *c, const struct target *local)
{
	for (int i = 0; i < c->bind_count; i++)
		if (pattern_matches(&c->binds[i].pattern, local, PROTO_TCP))
			return &c->proxies[c->binds[i].proxy];
	return NULL;
}

bool config_name_is_direct(const struct config *c, const char *name)
{
	size_t len = strlen(name);
	bool localhost = is_localhost_name(name, len);

	for (int i = 0; i < c->rule_count; i++) {
		const struct rule *rule = &c->rules[i];
		const struct pattern *p = &rule->pattern;
		bool limited = p->has_ports || p->proto != PROTO_ANY;

		/* "direct *:22" names nobody: resolving all names would leak them. */
		if (p->kind == PATTERN_ALL && (limited || localhost))
			continue;
		if (!name_matches(p, name, len))
			continue;
		if (rule->action == RULE_DIRECT)
			return true;
		if (!limited)
			return false; /* rules below never see this host */
	}
	return localhost;
}

bool config_has_direct_names(const struct config *c)
{
	for (int i = 0; i < c->rule_count; i++) {
		const struct pattern *p = &c->rules[i].pattern;
		bool limited = p->has_ports || p->proto != PROTO_ANY;

		if (c->rules[i].action == RULE_DIRECT && p->kind != PATTERN_NET &&
		    !(p->kind == PATTERN_ALL && limited))
			return true;
	}
	return false;
}
