/* SPDX-License-Identifier: ISC */
/* fuzz_pattern.c - a pattern matches the host and port that it was made from. */
#include "socksify/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static void check_match(const struct pattern *p)
{
	struct rule rule = { .action = RULE_BLOCK, .pattern = *p };
	struct config c = { .rules = &rule, .rule_count = 1 };
	enum rule_proto proto = p->proto == PROTO_UDP ? PROTO_UDP : PROTO_TCP;
	struct target t = p->host;

	if (p->kind == PATTERN_ALL &&
	    target_from_host("example.org", 11, 0, &t) < 0)
		abort();
	if (p->port_low > p->port_high || (p->has_ports && p->port_low == 0))
		abort();
	t.port = p->port_low;
	if (config_decide(&c, &t, proto).rule != &rule)
		abort();
	t.port = p->port_high;
	if (config_decide(&c, &t, proto).rule != &rule)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	char error[CONFIG_ERROR_SIZE] = "";
	char *text = malloc(size + 1);
	struct pattern p;

	if (text == NULL)
		return 0;
	if (size > 0)
		memcpy(text, octets, size);
	text[size] = '\0';
	if (pattern_parse(text, size, &p, error) == 0)
		check_match(&p);
	else if (error[0] == '\0')
		abort();
	free(text);
	return 0;
}
