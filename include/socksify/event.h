/* SPDX-License-Identifier: ISC */
/* event.h - what became of one connection, as a line for people or for programs. */
#ifndef SOCKSIFY_EVENT_H
#define SOCKSIFY_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVENT_LINE_SIZE 2048
#define EVENT_UNKNOWN INT64_C(-1)

enum event_verdict {
	EVENT_PROXIED,
	EVENT_DIRECT,
	EVENT_BLOCKED,
	EVENT_REFUSED,
	EVENT_FAILED,
	EVENT_CONNECTED,	/* of a connection that goes on: told at its end as EVENT_PROXIED */
};

/* All strings may have any octets, and be NULL when there is nothing to say. */
struct event {
	int64_t time_ms;	/* since 1970, UTC */
	int pid;
	const char *program;
	const char *protocol;	/* NULL: TCP */
	const char *target;
	const char *proxy;
	enum event_verdict verdict;
	int64_t ms;		/* from here on EVENT_UNKNOWN is allowed */
	int64_t sent;		/* octets of the program, without the handshake's */
	int64_t received;
	const char *reason;
	bool urgent;		/* told as an error is, also where connections are not */
};

/* One of which no more is known.  @reason: a phrase that lives as long as it, or NULL */
static inline struct event event_of(enum event_verdict verdict, const char *reason)
{
	return (struct event){
		.verdict = verdict,
		.ms = EVENT_UNKNOWN,
		.sent = EVENT_UNKNOWN,
		.received = EVENT_UNKNOWN,
		.reason = reason,
	};
}

/*
 * event_text - "TIME PID PROGRAM TARGET -> PROXY VERDICT MSms SENT/RECEIVED[ REASON]".
 * One line with its newline; "-" for what is unknown.  In all but the reason blanks,
 * quotes, backslashes and what is not printable ASCII are shown as \xNN.
 * event_json - the same as one JSON object (RFC 8259), null for what is
 * unknown.  Octets above 127 are taken for those of ISO 8859-1.
 * Returns the line's length; a too long string is cut, never the line.
 * Async-signal-safe.
 */
size_t event_text(const struct event *e, char ret[EVENT_LINE_SIZE]);
size_t event_json(const struct event *e, char ret[EVENT_LINE_SIZE]);

/* event_message - {"time":...,"pid":...,"message":TEXT}, for lines that are no event. */
size_t event_message(int64_t time_ms, int pid, const char *text, char ret[EVENT_LINE_SIZE]);

#endif
