/* SPDX-License-Identifier: ISC */
/* cursor.h - bounded reading and writing of octets. */
#ifndef SOCKSIFY_CURSOR_H
#define SOCKSIFY_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	uint8_t *data;
	size_t len;
};

/* A reader: takes from the front; once short, `bad` stays set and all that follows is zero. */
struct reader {
	const uint8_t *at, *end;
	bool bad;
};

static inline struct reader reader_of(const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	return (struct reader){ at, at + len, false };
}

/* The next @n octets, or NULL when there are fewer. */
static inline const uint8_t *reader_take(struct reader *r, size_t n)
{
	const uint8_t *at = r->at;

	if (r->bad || (size_t)(r->end - r->at) < n) {
		r->bad = true;
		return NULL;
	}
	r->at += n;
	return at;
}

static inline uint8_t reader_u8(struct reader *r)
{
	const uint8_t *at = reader_take(r, 1);

	return at != NULL ? at[0] : 0;
}

static inline uint16_t reader_u16(struct reader *r)
{
	const uint8_t *at = reader_take(r, 2);

	return at != NULL ? (uint16_t)(at[0] << 8 | at[1]) : 0;
}

/* A writer: appends; once full, `bad` stays set and nothing more is written. */
struct writer {
	uint8_t *start, *at, *end;
	bool bad;
};

static inline struct writer writer_of(void *bytes, size_t size)
{
	uint8_t *at = bytes;

	return (struct writer){ at, at, at + size, false };
}

static inline void writer_put(struct writer *w, const void *bytes, size_t n)
{
	if (w->bad || (size_t)(w->end - w->at) < n) {
		w->bad = true;
		return;
	}
	memcpy(w->at, bytes, n);
	w->at += n;
}

static inline void writer_u8(struct writer *w, uint8_t v)
{
	writer_put(w, &v, 1);
}

static inline void writer_u16(struct writer *w, uint16_t v)
{
	uint8_t be[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	writer_put(w, be, 2);
}

static inline size_t writer_len(const struct writer *w)
{
	return (size_t)(w->at - w->start);
}

#endif
