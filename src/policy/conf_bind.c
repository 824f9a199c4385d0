/* SPDX-License-Identifier: ISC */
/* conf_bind.c - the statement bind: which listening sockets ask a proxy for peers. */
#include "conf.h"

#define USAGE "bind via NAME [PATTERN...]"

static int want_via(struct conf *conf)
{
	static const char *const words[] = { "via" };
	struct word word;

	if (!conf_word(conf, &word))
		return conf_fail(conf, conf_end_column(conf), -EINVAL,
				 "something is missing: write " USAGE);
	if (word_is(word.text, word.len, "via"))
		return 0;
	return conf_fail(conf, word.column, -EINVAL,
			 nearest_word(word.text, word.len, string_at, words, 1) != NULL
			 ? "unknown word '%s' after 'bind': did you mean 'via'?"
			 : "unknown word '%s' after 'bind': write " USAGE,
			 shown_word(word.text, word.len).text);
}

/* What a socket is bound to: an address of this machine, or none in particular. */
static int check_pattern(const struct conf *conf, const struct word *word,
			 const struct pattern *p)
{
	if (word_is(word->text, word->len, "tcp") || word_is(word->text, word->len, "udp"))
		return conf_fail(conf, word->column, -EINVAL,
				 "'bind' is for TCP alone: remove '%s'",
				 shown_word(word->text, word->len).text);
	if (p->kind == PATTERN_NAME || p->kind == PATTERN_DOMAIN)
		return conf_fail(conf, word->column, -EINVAL,
				 "'%s' is a name, but sockets listen on addresses: "
				 "write *, *:PORT or an address",
				 shown_word(word->text, word->len).text);
	return 0;
}

static int add_bind(struct conf *conf, const struct word *word, struct rule *rule)
{
	if (config_add_bind(conf->config, rule) < 0)
		return conf_fail(conf, word->column, -ENOMEM, "out of memory");
	return 0;
}

static int add_patterns(struct conf *conf, const struct word *name, struct rule *rule)
{
	char phrase[CONFIG_ERROR_SIZE];
	struct word word;
	bool any = false;
	int err = 0;

	while (err == 0 && conf_word(conf, &word)) {
		any = true;
		err = pattern_parse(word.text, word.len, &rule->pattern, phrase);
		if (err < 0)
			return conf_fail(conf, word.column, err, "%s", phrase);
		err = check_pattern(conf, &word, &rule->pattern);
		if (err == 0)
			err = add_bind(conf, &word, rule);
	}
	if (err < 0 || any)
		return err;
	rule->pattern = (struct pattern){ .kind = PATTERN_ALL, .port_high = UINT16_MAX };
	return add_bind(conf, name, rule);
}

int conf_bind(struct conf *conf, const struct word *keyword)
{
	struct via_name via = { .binds = true, .first_rule = conf->config->bind_count };
	struct rule rule = { .action = RULE_VIA, .line = conf->line,
			     .source = conf_source(conf) };
	struct word name;
	int err = want_via(conf);

	if (rule.source == NULL)
		return conf_fail(conf, keyword->column, -ENOMEM, "out of memory");
	if (err == 0)
		err = conf_via_name(conf, USAGE, &name);
	if (err == 0)
		err = add_patterns(conf, &name, &rule);
	if (err < 0)
		return err;
	via.rule_count = conf->config->bind_count - via.first_rule;
	return conf_remember_via(conf, &name, &via);
}
