/* SPDX-License-Identifier: ISC */
/* config.c - the configuration as a value: who owns what. */
#include "policy.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_TIMEOUT_MS 30000

struct config_text {
	struct config_text *next;
	char text[];
};

struct config *config_new(void)
{
	struct config *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->dns = DNS_REMOTE;
	c->udp = UDP_PROXY;
	c->timeout_ms = DEFAULT_TIMEOUT_MS;
	return c;
}

static void free_proxies(struct proxy *proxies, int count)
{
	if (proxies != NULL)
		explicit_bzero(proxies, (size_t)count * sizeof(*proxies));
	free(proxies);
}

void config_free(struct config *c)
{
	struct config_text *next;

	if (c == NULL)
		return;
	free_proxies(c->proxies, c->proxy_count);
	for (struct config_text *text = c->texts; text != NULL; text = next) {
		next = text->next;
		free(text);
	}
	free(c->rules);
	free(c->binds);
	free(c->warning);
	free(c);
}

/* Full when the count is zero or a power of two. */
static bool is_full(int count)
{
	return (count & (count - 1)) == 0;
}

static size_t grown(int count)
{
	return count == 0 ? 1 : (size_t)count * 2;
}

bool config_log_is_json(const struct config *c)
{
	const char *end;

	if (c->log_format != LOG_FORMAT_BY_NAME)
		return c->log_format == LOG_FORMAT_JSON;
	end = c->log_path != NULL ? strrchr(c->log_path, '.') : NULL;
	return end != NULL && (strcmp(end, ".json") == 0 || strcmp(end, ".jsonl") == 0);
}

/* Not realloc(): it would leave logins behind in freed memory. */
int config_add_proxy(struct config *c, const struct proxy *proxy)
{
	if (is_full(c->proxy_count)) {
		struct proxy *more = calloc(grown(c->proxy_count), sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		if (c->proxy_count > 0)
			memcpy(more, c->proxies,
			       (size_t)c->proxy_count * sizeof(*more));
		free_proxies(c->proxies, c->proxy_count);
		c->proxies = more;
	}
	c->proxies[c->proxy_count] = *proxy;
	return c->proxy_count++;
}

static int append_rule(struct rule **rules, int *count, const struct rule *rule)
{
	if (is_full(*count)) {
		struct rule *more = reallocarray(*rules, grown(*count),
						 sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		*rules = more;
	}
	(*rules)[*count] = *rule;
	return (*count)++;
}

int config_add_rule(struct config *c, const struct rule *rule)
{
	return append_rule(&c->rules, &c->rule_count, rule);
}

int config_add_bind(struct config *c, const struct rule *rule)
{
	return append_rule(&c->binds, &c->bind_count, rule);
}

char *config_keep(struct config *c, const char *text, size_t len)
{
	struct config_text *kept = malloc(sizeof(*kept) + len + 1);

	if (kept == NULL)
		return NULL;
	memcpy(kept->text, text, len);
	kept->text[len] = '\0';
	kept->next = c->texts;
	c->texts = kept;
	return kept->text;
}

void config_warn(struct config *c, const char *format, ...)
{
	char line[CONFIG_ERROR_SIZE], *joined;
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (asprintf(&joined, "%s%s%s", c->warning != NULL ? c->warning : "",
		     c->warning != NULL ? "\n" : "", line) < 0)
		return;
	free(c->warning);
	c->warning = joined;
}
