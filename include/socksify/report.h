/* SPDX-License-Identifier: ISC */
/*
 * report.h - what became of each connection is told once: in a line when it
 * is over, and in the counters of the run.
 *
 * Whoever asks report_is_on() or report_has_lines() first pays one load
 * where nothing is to be told.  All functions are async-signal-safe.
 */
#ifndef SOCKSIFY_REPORT_H
#define SOCKSIFY_REPORT_H

#include "socksify/conn.h"
#include "socksify/event.h"
#include "socksify/handshake.h"
#include "socksify/tally.h"

/* Written by report_setup() and report_mute() only. */
extern bool report_on, report_lines;

/* Is anything to be told, be it in lines or in numbers? */
static inline bool report_is_on(void)
{
	return __builtin_expect(report_on, 0);
}

/* In lines, so that ends of connections matter? */
static inline bool report_has_lines(void)
{
	return __builtin_expect(report_lines, 0);
}

/*
 * report_setup - after log_setup().
 * @program: what lines call this process; copied
 * @json:    lines are JSON objects
 * @counts:  tally_open() has succeeded
 */
void report_setup(const char *program, bool json, bool counts);

/* Events are from now on those of another process: the supervisor speaks for it. */
void report_for(int pid, const char *program);

/* Of what is only asked, nothing is told until this is off again.  For processes with one thread. */
void report_mute(bool on);

/*
 * report_event - tell what happened, and count it.
 * @e: time, pid and program are filled in here
 */
void report_event(struct event *e);

/*
 * report_verdict - a target that did not come to a connection of ours.
 * @protocol: "tcp", "udp" or "raw"; an association of datagrams has no
 *            beginning, so for "udp" one of many that are alike is told
 */
void report_verdict(enum event_verdict verdict, const char *protocol,
		    const struct target *t, const char *why);

/* An association for datagrams, the first of which is for @t.  @reason: NULL: it is there; else why not. */
void report_association(const struct target *t, const struct proxy *proxy, const char *reason);

/* A handshake that is no connection of this process: told as soon as it is over, without octets. */
void report_attempt(const union sockaddr_any *peer, socklen_t len, const struct handshake *hs,
		    const char *reason);

/* A TCP socket on its way to a target past the proxy; told when the kernel has not begun with it yet. */
void report_direct_tcp(int fd, const struct target *t, const char *why);

/* @conn has a handshake, begun by this process. */
void report_begun(struct conn *conn);

/*
 * report_settled - the handshake of @conn is over, before its state says so.
 * @reason: NULL: it is connected; else why not
 */
void report_settled(struct conn *conn, const struct handshake *hs, const char *reason);

/* Another process ended the handshake, and tells it. */
void report_elsewhere(struct conn *conn);

/* @fd is about to be closed: if it is the last number of a connection, that is over. */
void report_close(int fd);
void report_close_range(unsigned low, unsigned high);

/* So is each connection, for this process: exec(3), exit(3). */
void report_close_all(void);

/* The last reference to @conn goes. */
void report_gone(struct conn *conn);

#endif
