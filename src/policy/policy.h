/* SPDX-License-Identifier: ISC */
/* policy.h - what the files of this directory share. */
#ifndef SOCKSIFY_POLICY_H
#define SOCKSIFY_POLICY_H

#include "socksify/config.h"

#include <errno.h>

#define PRINTF_LIKE(at, first) __attribute__((format(printf, at, first)))

/* A word of a text as people may see it: short, without control octets. */
struct shown {
	char text[68];
};

/* fail - write a message to @error.  Returns @err, so that `return fail(...)` reads well. */
int fail(char error[CONFIG_ERROR_SIZE], int err, const char *format, ...)
	PRINTF_LIKE(3, 4);

struct shown shown_word(const char *text, size_t len);

/* ASCII letters only, whatever the locale says. */
char lower(char c);
bool octets_equal_fold(const char *a, const char *b, size_t len);
bool word_is(const char *text, size_t len, const char *word);

/* Decimal digits only.  Returns 0, or -EINVAL when it is not a number of @min .. @max. */
MUST_CHECK int number_parse(const char *text, size_t len, unsigned min,
			    unsigned max, unsigned *ret);

/*
 * nearest_word - the most similar of @count words, for "did you mean".
 * @word_at: the word with index i, at most 63 octets
 * Returns NULL when none is close.
 */
const char *nearest_word(const char *text, size_t len,
			 const char *(*word_at)(const void *list, int i),
			 const void *list, int count);

/* word_at for a plain array of strings */
const char *string_at(const void *list, int i);

/*
 * host_parse - an address, or a name that a program could ask for.
 * @phrase: on failure what is wrong, static, without the text itself
 * Returns 0, or -EINVAL.
 */
MUST_CHECK int host_parse(const char *text, size_t len, uint16_t port,
			  struct target *ret, const char **phrase);

/* Do both names mean the same host: case and one final dot aside? */
bool name_is_below(const char *name, size_t len, const char *domain,
		   size_t domain_len, bool or_below);

/* Append a copy.  Returns the index, or -ENOMEM. */
MUST_CHECK int config_add_proxy(struct config *c, const struct proxy *proxy);
MUST_CHECK int config_add_rule(struct config *c, const struct rule *rule);
MUST_CHECK int config_add_bind(struct config *c, const struct rule *rule);

/* A NUL-terminated copy that lives as long as @c, or NULL without memory. */
char *config_keep(struct config *c, const char *text, size_t len);

/* Add a line to config.warning; silently none without memory. */
void config_warn(struct config *c, const char *format, ...) PRINTF_LIKE(2, 3);

/* login_set - octets of any value.  Returns 0, or -EINVAL with a phrase that has no secret. */
MUST_CHECK int login_set(struct proxy *proxy, const void *user, size_t user_len,
			 const void *pass, size_t pass_len,
			 char error[CONFIG_ERROR_SIZE]);

/* "remote", "proxy", "20", ...: the same words in a file and in a variable. */
MUST_CHECK int dns_parse(const char *text, size_t len, struct config *c,
			 char error[CONFIG_ERROR_SIZE]);
MUST_CHECK int udp_parse(const char *text, size_t len, enum udp_mode *ret,
			 char error[CONFIG_ERROR_SIZE]);
MUST_CHECK int timeout_parse(const char *text, size_t len, unsigned *ret_ms,
			     char error[CONFIG_ERROR_SIZE]);
MUST_CHECK int handshake_parse(const char *text, size_t len,
			       enum handshake_mode *ret,
			       char error[CONFIG_ERROR_SIZE]);
MUST_CHECK int log_format_parse(const char *text, size_t len, enum log_format *ret,
				char error[CONFIG_ERROR_SIZE]);

/* @what: how the message calls the setting */
MUST_CHECK int yes_no_parse(const char *what, const char *text, size_t len,
			    bool *ret, char error[CONFIG_ERROR_SIZE]);
MUST_CHECK int verbose_parse(const char *text, size_t len, int *ret,
			     char error[CONFIG_ERROR_SIZE]);

/*
 * file_read - a whole file.
 * @ret: the caller's, to be released with file_release()
 * @ret_open_to_all: may others read it?  NULL: do not ask
 * Returns 0 or a negative errno; -EFBIG beyond 16 MiB.
 */
MUST_CHECK int file_read(const char *path, struct span *ret,
			 bool *ret_open_to_all);

/* Wipe and free: the file may hold a password. */
void file_release(struct span *text);

/*
 * path_expand - "/x" as it is, "~/x" below @home.
 * Returns 0 and a string for free(); -EINVAL with a phrase; -ENOMEM.
 */
MUST_CHECK int path_expand(const char *text, size_t len, const char *home,
			   char **ret, char error[CONFIG_ERROR_SIZE]);

#endif
