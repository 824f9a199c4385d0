/* SPDX-License-Identifier: ISC */
/* nsswitch.c - whom libc asks for names (nsswitch.conf(5)). */
#include "socksify/nsswitch.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* As isspace(3) in the C locale, which libc divides the line by. */
static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Where a comment begins, or a NUL, behind which libc reads nothing. */
static const char *end_of_statement(const char *line, const char *end)
{
	while (line < end && *line != '#' && *line != '\0')
		line++;
	return line;
}

static const char *skip_blanks(const char *at, const char *end)
{
	while (at < end && is_blank(*at))
		at++;
	return at;
}

/* One service, or what to do about its answer: "[!UNAVAIL=return]". */
static const char *skip_word(const char *at, const char *end)
{
	if (*at == '[') {
		at = memchr(at, ']', (size_t)(end - at));
		return at != NULL ? at + 1 : end;
	}
	while (at < end && !is_blank(*at) && *at != '[')
		at++;
	return at;
}

/* What is behind "hosts:" in the line, or NULL. */
static const char *services(const char *line, const char *end)
{
	line = skip_blanks(line, end);
	if (end - line < 6 || strncasecmp(line, "hosts", 5) != 0)
		return NULL;
	line = skip_blanks(line + 5, end);
	return line < end && *line == ':' ? line + 1 : NULL;
}

static bool append(char *ret, size_t size, const char *word, size_t len)
{
	size_t used = strlen(ret);

	if (size - used < len + 2)
		return false;
	ret[used] = ' ';
	memcpy(ret + used + 1, word, len);
	ret[used + 1 + len] = '\0';
	return true;
}

/* All but "files" and the actions on its answer, and those on nobody's. */
static bool append_others(const char *at, const char *end, char *ret, size_t size)
{
	bool files = true;

	for (at = skip_blanks(at, end); at < end; at = skip_blanks(at, end)) {
		const char *next = skip_word(at, end);
		size_t len = (size_t)(next - at);

		if (*at != '[')
			files = len == 5 && memcmp(at, "files", 5) == 0;
		if (!files && !append(ret, size, at, len))
			return false;
		at = next;
	}
	return true;
}

void nsswitch_files_first(const char *text, size_t len, char *ret, size_t size)
{
	const char *all = text + len;

	while (text < all) {
		const char *end = memchr(text, '\n', (size_t)(all - text)), *last, *found;

		if (end == NULL)
			end = all;
		last = end_of_statement(text, end);
		found = services(text, last);
		if (found != NULL) {
			strcpy(ret, "files");
			if (append_others(found, last, ret, size))
				return;
			break;
		}
		text = end < all ? end + 1 : all;
	}
	strcpy(ret, "files dns");
}
