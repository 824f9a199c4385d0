/* SPDX-License-Identifier: ISC */
/* conf_rule.c - the statements direct, block and via. */
#include "conf.h"

#include <stdio.h>
#include <stdlib.h>

static bool is_proto(const struct word *word, enum rule_proto *proto)
{
	if (word_is(word->text, word->len, "tcp"))
		*proto = PROTO_TCP;
	else if (word_is(word->text, word->len, "udp"))
		*proto = PROTO_UDP;
	else
		return false;
	return true;
}

char *conf_source(struct conf *conf)
{
	char *text, *kept;
	int len = asprintf(&text, "%s:%d", conf->name, conf->line);

	if (len < 0)
		return NULL;
	kept = config_keep(conf->config, text, (size_t)len);
	free(text);
	return kept;
}

/* A word tcp or udp counts for all patterns up to the next such word. */
static int add_patterns(struct conf *conf, enum rule_action action)
{
	struct rule rule = { .action = action, .line = conf->line,
			     .source = conf_source(conf) };
	enum rule_proto proto = PROTO_ANY;
	bool want_pattern = true;
	char phrase[CONFIG_ERROR_SIZE];
	struct word word;
	int err;

	while (rule.source != NULL && conf_word(conf, &word)) {
		if (is_proto(&word, &proto)) {
			want_pattern = true;
			continue;
		}
		want_pattern = false;
		err = pattern_parse(word.text, word.len, &rule.pattern, phrase);
		if (err < 0)
			return conf_fail(conf, word.column, err, "%s", phrase);
		rule.pattern.proto = proto;
		err = config_add_rule(conf->config, &rule);
		if (err < 0)
			return conf_fail(conf, word.column, err, "out of memory");
	}
	if (rule.source == NULL)
		return conf_fail(conf, 1, -ENOMEM, "out of memory");
	if (want_pattern)
		return conf_fail(conf, conf_end_column(conf), -EINVAL,
				 "a pattern is missing: write a host, .domain, network or *");
	return 0;
}

int conf_direct(struct conf *conf, const struct word *keyword)
{
	(void)keyword;
	return add_patterns(conf, RULE_DIRECT);
}

int conf_block(struct conf *conf, const struct word *keyword)
{
	(void)keyword;
	return add_patterns(conf, RULE_BLOCK);
}

int conf_remember_via(struct conf *conf, const struct word *name,
		      const struct via_name *via)
{
	struct via_name *more = reallocarray(conf->vias,
					     (size_t)conf->via_count + 1,
					     sizeof(*more));
	struct via_name *kept;

	if (more == NULL)
		return conf_fail(conf, name->column, -ENOMEM, "out of memory");
	conf->vias = more;
	kept = &more[conf->via_count++];
	*kept = *via;
	kept->line = conf->line;
	kept->column = name->column;
	memcpy(kept->name, name->text, name->len);
	return 0;
}

int conf_via_name(struct conf *conf, const char *usage, struct word *ret)
{
	if (!conf_word(conf, ret))
		return conf_fail(conf, conf_end_column(conf), -EINVAL,
				 "the name of a proxy is missing: write %s", usage);
	if (memchr(ret->text, ',', ret->len) != NULL)
		return conf_fail(conf, ret->column, -ENOTSUP,
				 "several proxies after 'via': this is not built yet: name one");
	return conf_check_name(conf, ret);
}

int conf_via(struct conf *conf, const struct word *keyword)
{
	struct via_name via = { .first_rule = conf->config->rule_count };
	struct word name;
	int err = conf_via_name(conf, "via NAME PATTERN...", &name);

	(void)keyword;
	if (err == 0)
		err = add_patterns(conf, RULE_VIA);
	if (err < 0)
		return err;
	via.rule_count = conf->config->rule_count - via.first_rule;
	return conf_remember_via(conf, &name, &via);
}

static const char *proxy_name_at(const void *list, int i)
{
	const struct proxy *proxies = list;

	return proxies[i].name;
}

static int resolve_via(struct conf *conf, const struct via_name *via)
{
	struct config *c = conf->config;
	struct rule *rules = via->binds ? c->binds : c->rules;
	const char *near;

	for (int i = 0; i < c->proxy_count; i++) {
		if (strcmp(c->proxies[i].name, via->name) != 0)
			continue;
		for (int r = 0; r < via->rule_count; r++)
			rules[via->first_rule + r].proxy = i;
		return 0;
	}
	conf->line = via->line;
	near = nearest_word(via->name, strlen(via->name), proxy_name_at,
			    c->proxies, c->proxy_count);
	if (near != NULL)
		return conf_fail(conf, via->column, -EINVAL,
				 "no proxy is called '%s': did you mean '%s'?",
				 via->name, near);
	return conf_fail(conf, via->column, -EINVAL,
			 "no proxy is called '%s': add 'proxy %s socks5://HOST:PORT'",
			 via->name, via->name);
}

int conf_resolve_vias(struct conf *conf)
{
	int err = 0;

	for (int i = 0; i < conf->via_count && err == 0; i++)
		err = resolve_via(conf, &conf->vias[i]);
	return err;
}
