/* SPDX-License-Identifier: ISC */
/* fuzz_conf.c - comments and CRLF change nothing; an error names its line; indices are in range. */
#include "socksify/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static void check_rules(const struct config *c)
{
	for (int i = 0; i < c->rule_count; i++) {
		const struct rule *rule = &c->rules[i];

		if (rule->source == NULL || rule->line == 0)
			abort();
		if (rule->action == RULE_VIA &&
		    (rule->proxy < 0 || rule->proxy >= c->proxy_count))
			abort();
	}
	if (c->timeout_ms % 1000 != 0 || c->timeout_ms > 86400000)
		abort();
}

/* Returns how many rules there are, or -1 when the text is refused. */
static int parse(const char *text, size_t len)
{
	char error[CONFIG_ERROR_SIZE] = "";
	struct config *c = config_new();
	int rules = -1;

	if (c == NULL)
		return -2;
	if (config_parse(c, "f", text, len, NULL, error) == 0) {
		check_rules(c);
		rules = c->rule_count;
	} else if (strncmp(error, "f:", 2) != 0) {
		abort();
	}
	config_free(c);
	return rules;
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	static const char tail[] = "\r\n# comment\r\n\r\n";
	char *text = malloc(size + sizeof(tail));
	int alone, with_tail;

	if (text == NULL)
		return 0;
	if (size > 0)
		memcpy(text, octets, size);
	memcpy(text + size, tail, sizeof(tail));
	/* A file to read a password from would make this test depend on the machine. */
	if (strcasestr(text, "password-") != NULL) {
		free(text);
		return 0;
	}
	alone = parse(text, size);
	with_tail = parse(text, size + sizeof(tail) - 1);
	/* A CR at the very end is part of a line end there, but not in front of another CR. */
	if (alone != with_tail && (size == 0 || octets[size - 1] != '\r'))
		abort();
	free(text);
	return 0;
}
