/* SPDX-License-Identifier: ISC */
/* conf.h - a configuration file while it is parsed. */
#ifndef SOCKSIFY_CONF_H
#define SOCKSIFY_CONF_H

#include "policy.h"

#define CONF_SETTINGS 6 /* statements that may come once */

struct word {
	const char *text;
	size_t len;
	int column;		/* in octets, from 1 */
};

/* A `via` whose proxy may be defined further down. */
struct via_name {
	bool binds;		/* of config.binds, not of config.rules */
	int first_rule, rule_count;
	int line, column;
	char name[64];
};

struct conf {
	struct config *config;
	const char *name, *home;
	char *error;
	const char *line_start, *at, *line_end;
	int line;
	int set_on_line[CONF_SETTINGS];
	struct via_name *vias;
	int via_count;
};

/* The next word of the line; false at its end or before a comment. */
bool conf_word(struct conf *conf, struct word *ret);

/* Fail with "FILE:LINE:COLUMN: " in front. */
int conf_fail(const struct conf *conf, int column, int err,
	      const char *format, ...) PRINTF_LIKE(4, 5);

/* The column just after the last word: where something is missing. */
int conf_end_column(const struct conf *conf);

/* Letters, digits, '-', '_' and '.', at most 63: fails otherwise. */
MUST_CHECK int conf_check_name(const struct conf *conf, const struct word *word);

/* proxy NAME URL [user U] [password P] [password-file PATH] [handshake MODE] [fastopen yes|no] */
MUST_CHECK int conf_proxy(struct conf *conf, const struct word *keyword);

/* direct P..., block [tcp|udp] P..., via NAME P... */
MUST_CHECK int conf_direct(struct conf *conf, const struct word *keyword);
MUST_CHECK int conf_block(struct conf *conf, const struct word *keyword);
MUST_CHECK int conf_via(struct conf *conf, const struct word *keyword);

/* bind via NAME [P...] */
MUST_CHECK int conf_bind(struct conf *conf, const struct word *keyword);

/* The name of a proxy after the word via.  @usage: how such a line is written */
MUST_CHECK int conf_via_name(struct conf *conf, const char *usage, struct word *ret);

/* The rules from @via->first_rule on go through the proxy of that name. */
MUST_CHECK int conf_remember_via(struct conf *conf, const struct word *name,
				 const struct via_name *via);

/* Where the rules of this line come from, for people; NULL without memory. */
char *conf_source(struct conf *conf);

/* After the last line: find the proxies that `via` named. */
MUST_CHECK int conf_resolve_vias(struct conf *conf);

#endif
