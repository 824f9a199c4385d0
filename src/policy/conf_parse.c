/* SPDX-License-Identifier: ISC */
/* conf_parse.c - the text of a configuration file: lines, words, statements. */
#include "conf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int conf_fail(const struct conf *conf, int column, int err,
	      const char *format, ...)
{
	va_list args;
	int n = snprintf(conf->error, CONFIG_ERROR_SIZE, "%.200s:%d:%d: ",
			 conf->name, conf->line, column);

	if (n < 0 || n >= CONFIG_ERROR_SIZE)
		return err;
	va_start(args, format);
	vsnprintf(conf->error + n, (size_t)(CONFIG_ERROR_SIZE - n), format, args);
	va_end(args);
	return err;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int column_of(const struct conf *conf, const char *at)
{
	return (int)(at - conf->line_start) + 1;
}

int conf_end_column(const struct conf *conf)
{
	const char *end = conf->at;

	while (end > conf->line_start && is_blank(end[-1]))
		end--;
	return column_of(conf, end);
}

bool conf_word(struct conf *conf, struct word *ret)
{
	const char *start;

	while (conf->at < conf->line_end && is_blank(*conf->at))
		conf->at++;
	if (conf->at == conf->line_end || *conf->at == '#')
		return false;
	start = conf->at;
	while (conf->at < conf->line_end && !is_blank(*conf->at))
		conf->at++;
	*ret = (struct word){ start, (size_t)(conf->at - start),
			      column_of(conf, start) };
	return true;
}

int conf_check_name(const struct conf *conf, const struct word *word)
{
	bool ok = word->len < 64;

	for (size_t i = 0; i < word->len && ok; i++) {
		char c = lower(word->text[i]);

		ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		     c == '-' || c == '_' || c == '.';
	}
	if (ok)
		return 0;
	return conf_fail(conf, word->column, -EINVAL,
			 "bad proxy name: use at most 63 letters, digits, '-', '_' and '.'");
}

/* The one word after a setting. */
static int setting_word(struct conf *conf, int setting,
			const struct word *keyword, const char *what,
			struct word *ret)
{
	int *line = &conf->set_on_line[setting];

	if (*line != 0)
		return conf_fail(conf, keyword->column, -EINVAL,
				 "'%s' is set on line %d already: keep one",
				 shown_word(keyword->text, keyword->len).text, *line);
	*line = conf->line;
	if (!conf_word(conf, ret))
		return conf_fail(conf, conf_end_column(conf), -EINVAL,
				 "something is missing: write %s", what);
	return 0;
}

static int finish_setting(const struct conf *conf, const struct word *word,
			  int err, const char *phrase)
{
	return err < 0 ? conf_fail(conf, word->column, err, "%s", phrase) : 0;
}

static int parse_dns(struct conf *conf, const struct word *keyword)
{
	char phrase[CONFIG_ERROR_SIZE];
	struct word word;
	int err = setting_word(conf, 0, keyword, "dns remote, dns tcp:ADDRESS, dns tor or dns local", &word);

	if (err < 0)
		return err;
	err = dns_parse(word.text, word.len, conf->config, phrase);
	return finish_setting(conf, &word, err, phrase);
}

static int parse_udp(struct conf *conf, const struct word *keyword)
{
	char phrase[CONFIG_ERROR_SIZE];
	struct word word;
	int err = setting_word(conf, 1, keyword, "udp proxy, udp block or udp direct",
			       &word);

	if (err < 0)
		return err;
	err = udp_parse(word.text, word.len, &conf->config->udp, phrase);
	return finish_setting(conf, &word, err, phrase);
}

static int parse_timeout(struct conf *conf, const struct word *keyword)
{
	char phrase[CONFIG_ERROR_SIZE];
	struct word word;
	int err = setting_word(conf, 2, keyword, "timeout SECONDS", &word);

	if (err < 0)
		return err;
	err = timeout_parse(word.text, word.len, &conf->config->timeout_ms, phrase);
	return finish_setting(conf, &word, err, phrase);
}

static int parse_log(struct conf *conf, const struct word *keyword)
{
	char phrase[CONFIG_ERROR_SIZE], *path;
	struct word word;
	int err = setting_word(conf, 3, keyword, "log FILE", &word);

	if (err < 0)
		return err;
	err = path_expand(word.text, word.len, conf->home, &path, phrase);
	if (err < 0)
		return finish_setting(conf, &word, err, phrase);
	conf->config->log_path = config_keep(conf->config, path, strlen(path));
	free(path);
	return finish_setting(conf, &word,
			      conf->config->log_path == NULL ? -ENOMEM : 0,
			      "out of memory");
}

static int parse_log_format(struct conf *conf, const struct word *keyword)
{
	char phrase[CONFIG_ERROR_SIZE];
	struct word word;
	int err = setting_word(conf, 5, keyword, "log-format text or json", &word);

	if (err < 0)
		return err;
	err = log_format_parse(word.text, word.len, &conf->config->log_format, phrase);
	return finish_setting(conf, &word, err, phrase);
}

static int parse_verbose(struct conf *conf, const struct word *keyword)
{
	char phrase[CONFIG_ERROR_SIZE];
	struct word word;
	int err = setting_word(conf, 4, keyword, "verbose 0, 1 or 2", &word);

	if (err < 0)
		return err;
	err = verbose_parse(word.text, word.len, &conf->config->verbose, phrase);
	return finish_setting(conf, &word, err, phrase);
}

static int parse_unbuilt(struct conf *conf, const struct word *keyword)
{
	return conf_fail(conf, keyword->column, -ENOTSUP,
			 "'%s' is not built yet: remove this line",
			 shown_word(keyword->text, keyword->len).text);
}

/* A word of a proxy that was taken for a statement. */
static int parse_proxy_word(struct conf *conf, const struct word *keyword)
{
	return conf_fail(conf, keyword->column, -EINVAL,
			 "'%s' does not begin a line: write it after the URL of a proxy",
			 shown_word(keyword->text, keyword->len).text);
}

static const struct statement {
	const char *keyword;
	int (*parse)(struct conf *conf, const struct word *keyword);
} statements[] = {
	{ "proxy", conf_proxy },
	{ "direct", conf_direct },
	{ "block", conf_block },
	{ "via", conf_via },
	{ "dns", parse_dns },
	{ "udp", parse_udp },
	{ "timeout", parse_timeout },
	{ "log", parse_log },
	{ "log-format", parse_log_format },
	{ "verbose", parse_verbose },
	{ "chain", parse_unbuilt },
	{ "bind", conf_bind },
	{ "handshake", parse_proxy_word },
	{ "fastopen", parse_proxy_word },
};

#define STATEMENTS ((int)(sizeof(statements) / sizeof(statements[0])))

static const char *keyword_at(const void *list, int i)
{
	const struct statement *rows = list;

	return rows[i].keyword;
}

static int unknown_keyword(const struct conf *conf, const struct word *word)
{
	const char *near = nearest_word(word->text, word->len, keyword_at,
					statements, STATEMENTS);
	struct shown shown = shown_word(word->text, word->len);

	if (near != NULL)
		return conf_fail(conf, word->column, -EINVAL,
				 "unknown word '%s': did you mean '%s'?",
				 shown.text, near);
	return conf_fail(conf, word->column, -EINVAL,
			 "unknown word '%s': a line begins with proxy, direct, block, "
			 "via, bind, dns, udp, timeout, log, log-format or verbose", shown.text);
}

static int check_octets(const struct conf *conf)
{
	for (const char *at = conf->at; at < conf->line_end; at++) {
		unsigned char c = (unsigned char)*at;

		if (c == 0)
			return conf_fail(conf, column_of(conf, at), -EINVAL,
					 "a NUL byte: this is no text file");
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return conf_fail(conf, column_of(conf, at), -EINVAL,
					 "control character 0x%02x: remove it", c);
	}
	return 0;
}

static int parse_line(struct conf *conf)
{
	struct word keyword, extra;
	int err = check_octets(conf);

	if (err < 0 || !conf_word(conf, &keyword))
		return err;
	for (int i = 0; i < STATEMENTS; i++) {
		if (!word_is(keyword.text, keyword.len, statements[i].keyword))
			continue;
		err = statements[i].parse(conf, &keyword);
		if (err == 0 && conf_word(conf, &extra))
			err = conf_fail(conf, extra.column, -EINVAL,
					"one word too many: remove '%s'",
					shown_word(extra.text, extra.len).text);
		return err;
	}
	return unknown_keyword(conf, &keyword);
}

static int parse_lines(struct conf *conf, const char *text, const char *end)
{
	int err = 0;

	if (end - text >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3; /* a byte order mark */
	while (text < end && err == 0) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *next = newline != NULL ? newline + 1 : end;

		conf->line++;
		conf->line_start = conf->at = text;
		conf->line_end = newline != NULL ? newline : end;
		if (conf->line_end > text && conf->line_end[-1] == '\r')
			conf->line_end--;
		err = parse_line(conf);
		text = next;
	}
	return err;
}

int config_parse(struct config *c, const char *name, const char *text,
		 size_t len, const char *home, char error[CONFIG_ERROR_SIZE])
{
	struct conf conf = { .config = c, .name = name, .home = home,
			     .error = error };
	int err = len > 0 ? parse_lines(&conf, text, text + len) : 0;

	if (err == 0)
		err = conf_resolve_vias(&conf);
	free(conf.vias);
	return err;
}
