/* SPDX-License-Identifier: ISC */
/* event.c - what became of one connection, as a line for people or for programs. */
#include "socksify/event.h"

#include <stdbool.h>
#include <string.h>

/* Four strings of that many octets, and all else, fit into a line. */
#define STRING_ROOM 360

struct text {
	char *at;
	char *end;
};

/* All of @s; or nothing, and nothing after it. */
static void put(struct text *t, const char *s)
{
	size_t len = strlen(s);

	if ((size_t)(t->end - t->at) < len) {
		t->end = t->at;
		return;
	}
	memcpy(t->at, s, len);
	t->at += len;
}

/* In decimal, with at least @digits digits. */
static void put_number(struct text *t, int64_t n, int digits)
{
	char text[24], *at = text + sizeof(text) - 1;
	uint64_t left = n < 0 ? -(uint64_t)n : (uint64_t)n;

	*at = '\0';
	for (; left != 0 || digits > 0; left /= 10, digits--)
		*--at = (char)('0' + left % 10);
	if (n < 0)
		*--at = '-';
	put(t, at);
}

static void put_escape(struct text *t, const char *prefix, unsigned char c)
{
	static const char digits[] = "0123456789abcdef";
	char escape[8];
	size_t n = strlen(prefix);

	memcpy(escape, prefix, n);
	escape[n] = digits[c >> 4];
	escape[n + 1] = digits[c & 15];
	escape[n + 2] = '\0';
	put(t, escape);
}

static void put_plain(struct text *t, unsigned char c)
{
	char one[2] = { (char)c, '\0' };

	put(t, one);
}

static bool is_printable(unsigned char c)
{
	return c > 0x20 && c < 0x7f && c != '\\' && c != '"' && c != '\'';
}

/* A string gets a part of the line only, so that what comes after it has room. */
static struct text part_of(struct text *t)
{
	struct text part = *t;

	if (part.end - part.at > STRING_ROOM)
		part.end = part.at + STRING_ROOM;
	return part;
}

/* One word. */
static void put_word(struct text *t, const char *s)
{
	struct text part = part_of(t);

	if (s == NULL || *s == '\0')
		s = "-";
	for (; *s != '\0'; s++)
		if (is_printable((unsigned char)*s))
			put_plain(&part, (unsigned char)*s);
		else
			put_escape(&part, "\\x", (unsigned char)*s);
	t->at = part.at;
}

/* A phrase to the end of the line. */
static void put_phrase(struct text *t, const char *s)
{
	struct text part = part_of(t);

	for (; *s != '\0'; s++)
		if (*s == ' ' || *s == '\'' || *s == '"' || is_printable((unsigned char)*s))
			put_plain(&part, (unsigned char)*s);
		else
			put_escape(&part, "\\x", (unsigned char)*s);
	t->at = part.at;
}

/* RFC 8259 section 7 */
static void put_json(struct text *t, const char *s)
{
	struct text part;

	if (s == NULL) {
		put(t, "null");
		return;
	}
	put(t, "\"");
	part = part_of(t);
	for (; *s != '\0'; s++)
		if (*s == '"' || *s == '\\') {
			char escape[3] = { '\\', *s, '\0' };

			put(&part, escape);
		} else if ((unsigned char)*s >= 0x20 && (unsigned char)*s < 0x7f) {
			put_plain(&part, (unsigned char)*s);
		} else {
			put_escape(&part, "\\u00", (unsigned char)*s);
		}
	t->at = part.at;
	put(t, "\"");
}

static void put_known(struct text *t, int64_t n, const char *unknown)
{
	if (n == EVENT_UNKNOWN)
		put(t, unknown);
	else
		put_number(t, n, 1);
}

/* Days since 1970 to a date of the Gregorian calendar, without the C library's time zones. */
static void put_date(struct text *t, int64_t days)
{
	static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int year = 1970, month = 0;

	for (;; year++) {
		bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
		int length = leap ? 366 : 365;

		if (days >= length) {
			days -= length;
			continue;
		}
		for (month = 0; days >= lengths[month] + (leap && month == 1); month++)
			days -= lengths[month] + (leap && month == 1);
		break;
	}
	put_number(t, year, 4);
	put(t, "-");
	put_number(t, month + 1, 2);
	put(t, "-");
	put_number(t, days + 1, 2);
}

#define MS_PER_DAY INT64_C(86400000)

/* RFC 3339 */
static void put_time(struct text *t, int64_t ms)
{
	int64_t of_day;

	if (ms < 0)
		ms = 0;
	of_day = ms % MS_PER_DAY;
	put_date(t, ms / MS_PER_DAY);
	put(t, "T");
	put_number(t, of_day / 3600000, 2);
	put(t, ":");
	put_number(t, of_day / 60000 % 60, 2);
	put(t, ":");
	put_number(t, of_day / 1000 % 60, 2);
	put(t, ".");
	put_number(t, of_day % 1000, 3);
	put(t, "Z");
}

static const char *verdict_word(enum event_verdict verdict)
{
	switch (verdict) {
	case EVENT_PROXIED:
		return "proxied";
	case EVENT_DIRECT:
		return "direct";
	case EVENT_BLOCKED:
		return "blocked";
	case EVENT_REFUSED:
		return "refused";
	case EVENT_FAILED:
		return "failed";
	case EVENT_CONNECTED:
		return "connected";
	}
	return "";
}

static struct text begin(char line[EVENT_LINE_SIZE])
{
	/* the newline has its place */
	return (struct text){ line, line + EVENT_LINE_SIZE - 2 };
}

static size_t end(struct text *t, const char *line)
{
	*t->at++ = '\n';
	*t->at = '\0';
	return (size_t)(t->at - line);
}

size_t event_text(const struct event *e, char ret[EVENT_LINE_SIZE])
{
	struct text t = begin(ret);

	put_time(&t, e->time_ms);
	put(&t, " ");
	put_number(&t, e->pid, 1);
	put(&t, " ");
	put_word(&t, e->program);
	put(&t, " ");
	put_word(&t, e->target);
	if (e->protocol != NULL) {
		put(&t, "/");
		put(&t, e->protocol);
	}
	put(&t, " -> ");
	put_word(&t, e->proxy);
	put(&t, " ");
	put(&t, verdict_word(e->verdict));
	put(&t, " ");
	put_known(&t, e->ms, "-");
	put(&t, e->ms == EVENT_UNKNOWN ? " " : "ms ");
	put_known(&t, e->sent, "-");
	put(&t, "/");
	put_known(&t, e->received, "-");
	if (e->reason != NULL) {
		put(&t, " ");
		put_phrase(&t, e->reason);
	}
	return end(&t, ret);
}

static void put_head(struct text *t, int64_t time_ms, int pid)
{
	put(t, "{\"time\":\"");
	put_time(t, time_ms);
	put(t, "\",\"pid\":");
	put_number(t, pid, 1);
}

size_t event_json(const struct event *e, char ret[EVENT_LINE_SIZE])
{
	struct text t = begin(ret);

	put_head(&t, e->time_ms, e->pid);
	put(&t, ",\"program\":");
	put_json(&t, e->program);
	put(&t, ",\"protocol\":");
	put_json(&t, e->protocol != NULL ? e->protocol : "tcp");
	put(&t, ",\"target\":");
	put_json(&t, e->target);
	put(&t, ",\"proxy\":");
	put_json(&t, e->proxy);
	put(&t, ",\"verdict\":");
	put_json(&t, verdict_word(e->verdict));
	put(&t, ",\"ms\":");
	put_known(&t, e->ms, "null");
	put(&t, ",\"sent\":");
	put_known(&t, e->sent, "null");
	put(&t, ",\"received\":");
	put_known(&t, e->received, "null");
	put(&t, ",\"reason\":");
	put_json(&t, e->reason);
	put(&t, "}");
	return end(&t, ret);
}

size_t event_message(int64_t time_ms, int pid, const char *text, char ret[EVENT_LINE_SIZE])
{
	struct text t = begin(ret);

	put_head(&t, time_ms, pid);
	put(&t, ",\"message\":");
	put_json(&t, text);
	put(&t, "}");
	return end(&t, ret);
}
