/* SPDX-License-Identifier: ISC */
/* words.c - words and numbers of a configuration, and messages about them. */
#include "policy.h"

#include <stdarg.h>
#include <stdio.h>

#define WORD_MAX 63

int fail(char error[CONFIG_ERROR_SIZE], int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, CONFIG_ERROR_SIZE, format, args);
	va_end(args);
	return err;
}

struct shown shown_word(const char *text, size_t len)
{
	struct shown shown;
	size_t room = sizeof(shown.text) - 4;
	size_t n = len < room ? len : room;

	for (size_t i = 0; i < n; i++)
		shown.text[i] = text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
	if (n < len) {
		memcpy(shown.text + n, "...", 3);
		n += 3;
	}
	shown.text[n] = '\0';
	return shown;
}

char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool octets_equal_fold(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (lower(a[i]) != lower(b[i]))
			return false;
	return true;
}

bool word_is(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && octets_equal_fold(text, word, len);
}

int number_parse(const char *text, size_t len, unsigned min, unsigned max,
		 unsigned *ret)
{
	unsigned long long n = 0;

	if (len == 0)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		n = n * 10 + (unsigned)(text[i] - '0');
		if (n > max)
			return -EINVAL;
	}
	if (n < min)
		return -EINVAL;
	*ret = (unsigned)n;
	return 0;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
static unsigned edit_distance(const char *a, size_t a_len, const char *b,
			      size_t b_len)
{
	unsigned rows[3][WORD_MAX + 1];
	unsigned *before = rows[0], *last = rows[1], *now = rows[2], *spare;

	for (unsigned j = 0; j <= b_len; j++)
		last[j] = before[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			bool same = lower(a[i - 1]) == lower(b[j - 1]);

			now[j] = least(least(last[j], now[j - 1]) + 1,
				       last[j - 1] + !same);
			if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
			    lower(a[i - 2]) == lower(b[j - 1]))
				now[j] = least(now[j], before[j - 2] + 1);
		}
		spare = before;
		before = last;
		last = now;
		now = spare;
	}
	return last[b_len];
}

const char *nearest_word(const char *text, size_t len,
			 const char *(*word_at)(const void *list, int i),
			 const void *list, int count)
{
	const char *best = NULL;
	unsigned best_distance = len < 3 ? 2 : 3; /* one more than allowed */

	if (len == 0 || len > WORD_MAX)
		return NULL;
	for (int i = 0; i < count; i++) {
		const char *word = word_at(list, i);
		size_t word_len = strlen(word);
		unsigned distance;

		if (word_len == 0 || word_len > WORD_MAX)
			continue;
		distance = edit_distance(text, len, word, word_len);
		if (distance < best_distance && distance < word_len) {
			best_distance = distance;
			best = word;
		}
	}
	return best;
}

const char *string_at(const void *list, int i)
{
	const char *const *strings = list;

	return strings[i];
}

static int unknown_mode(const char *text, size_t len, const char *what,
			const char *const *modes, int count, char *error)
{
	const char *near = nearest_word(text, len, string_at, modes, count);
	struct shown shown = shown_word(text, len);

	if (near != NULL)
		return fail(error, -EINVAL, "unknown %s mode '%s': did you mean '%s'?",
			    what, shown.text, near);
	return fail(error, -EINVAL, "unknown %s mode '%s': use %s, %s%s%s or %s", what,
		    shown.text, modes[0], modes[1], count > 3 ? ", " : "",
		    count > 3 ? modes[2] : "", modes[count - 1]);
}

/* "9.9.9.9", "[2620:fe::fe]:5353": what a pattern may say, as far as it is one address. */
static int resolver_parse(const char *text, size_t len, struct target *ret,
			  char error[CONFIG_ERROR_SIZE])
{
	struct pattern p;

	if (len == 0 || memchr(text, '/', len) != NULL ||
	    pattern_parse(text, len, &p, error) < 0 || p.kind != PATTERN_NET ||
	    (p.has_ports && (p.port_low != p.port_high || p.port_low == 0)))
		return fail(error, -EINVAL,
			    "bad resolver '%s': use tcp:ADDRESS or tcp:ADDRESS:PORT, with an IPv6 address in brackets",
			    shown_word(text, len).text);
	*ret = p.host;
	ret->port = p.has_ports ? p.port_low : 53;
	return 0;
}

int dns_parse(const char *text, size_t len, struct config *c, char error[CONFIG_ERROR_SIZE])
{
	static const char *const modes[] = { "remote", "local", "tor", "tcp:" };
	static const enum dns_mode values[] = { DNS_REMOTE, DNS_LOCAL, DNS_TOR };
	int err;

	if (len >= 4 && word_is(text, 4, "tcp:")) {
		err = resolver_parse(text + 4, len - 4, &c->dns_server, error);
		if (err == 0)
			c->dns = DNS_TCP;
		return err;
	}
	for (int i = 0; i < 3; i++)
		if (word_is(text, len, modes[i])) {
			c->dns = values[i];
			return 0;
		}
	return unknown_mode(text, len, "dns", modes, 4, error);
}

int udp_parse(const char *text, size_t len, enum udp_mode *ret,
	      char error[CONFIG_ERROR_SIZE])
{
	static const char *const modes[] = { "proxy", "block", "direct" };
	static const enum udp_mode values[] = { UDP_PROXY, UDP_BLOCK, UDP_DIRECT };

	for (int i = 0; i < 3; i++)
		if (word_is(text, len, modes[i])) {
			*ret = values[i];
			return 0;
		}
	return unknown_mode(text, len, "udp", modes, 3, error);
}

int timeout_parse(const char *text, size_t len, unsigned *ret_ms,
		  char error[CONFIG_ERROR_SIZE])
{
	unsigned seconds;

	if (number_parse(text, len, 0, 86400, &seconds) < 0)
		return fail(error, -EINVAL,
			    "bad timeout '%s': use 1 to 86400 whole seconds, or 0 for none",
			    shown_word(text, len).text);
	*ret_ms = seconds * 1000;
	return 0;
}

int log_format_parse(const char *text, size_t len, enum log_format *ret,
		     char error[CONFIG_ERROR_SIZE])
{
	if (len == 4 && memcmp(text, "text", 4) == 0)
		*ret = LOG_FORMAT_TEXT;
	else if (len == 4 && memcmp(text, "json", 4) == 0)
		*ret = LOG_FORMAT_JSON;
	else
		return fail(error, -EINVAL, "bad log format '%s': use text or json",
			    shown_word(text, len).text);
	return 0;
}

int verbose_parse(const char *text, size_t len, int *ret,
		  char error[CONFIG_ERROR_SIZE])
{
	unsigned level;

	if (number_parse(text, len, 0, 2, &level) < 0)
		return fail(error, -EINVAL, "bad verbosity '%s': use 0, 1 or 2",
			    shown_word(text, len).text);
	*ret = (int)level;
	return 0;
}

int handshake_parse(const char *text, size_t len, enum handshake_mode *ret,
		    char error[CONFIG_ERROR_SIZE])
{
	static const char *const modes[] = { "standard", "pipelined", "optimistic" };
	static const enum handshake_mode values[] = {
		HANDSHAKE_STANDARD, HANDSHAKE_PIPELINED, HANDSHAKE_OPTIMISTIC,
	};

	for (int i = 0; i < 3; i++)
		if (word_is(text, len, modes[i])) {
			*ret = values[i];
			return 0;
		}
	return unknown_mode(text, len, "handshake", modes, 3, error);
}

/* No "did you mean": 'on' is nearer to 'no' than to 'yes'. */
int yes_no_parse(const char *what, const char *text, size_t len, bool *ret,
		 char error[CONFIG_ERROR_SIZE])
{
	if (!word_is(text, len, "yes") && !word_is(text, len, "no"))
		return fail(error, -EINVAL, "bad %s '%s': use yes or no", what,
			    shown_word(text, len).text);
	*ret = word_is(text, len, "yes");
	return 0;
}
