/* SPDX-License-Identifier: ISC */
/* step_conn.c - one conversation of the step server: SOCKS5, then echo. */
#include "step_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct counters counters;
static struct conn *graveyard;

static void uncount(struct conn *c)
{
	if (c->counted)
		counters.open--;
	c->counted = false;
}

void conn_unlink(struct conn *c)
{
	if (c->link == NULL)
		return;
	*c->link = c->next;
	if (c->next != NULL)
		c->next->link = c->link;
	c->next = NULL;
	c->link = NULL;
}

/* An event of this round may still point to it, so it is freed later. */
static void conn_end(struct conn *c)
{
	uncount(c);
	conn_unlink(c);
	close(c->source.fd);
	c->source.fd = -1;
	counters.live--;
	c->next = graveyard;
	graveyard = c;
}

/* The client went away. */
static void conn_left(struct conn *c)
{
	if (c->counted)
		counters.gone++;
	conn_end(c);
}

void conn_bury(void)
{
	while (graveyard != NULL) {
		struct conn *c = graveyard;

		graveyard = c->next;
		free(c->out);
		free(c);
	}
}

static void violation(struct conn *c, const char *why)
{
	fprintf(stderr, "step_server: violation: %s\n", why);
	counters.violations++;
	conn_end(c);
}

static void reset(struct conn *c)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(c->source.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	conn_end(c);
}

static void append(struct conn *c, const void *bytes, size_t len)
{
	c->out = realloc(c->out, c->out_len + len);
	if (c->out == NULL)
		abort();
	memcpy(c->out + c->out_len, bytes, len);
	c->out_len += len;
}

/* All is sent: the conversation goes on with its next phase. */
static void sent_all(struct conn *c)
{
	free(c->out);
	c->out = NULL;
	c->out_len = c->out_pos = 0;
	if (c->blocked)
		watch(&c->source, EPOLLIN, false);
	c->blocked = false;
	if (c->phase != BUSY)
		return;
	c->phase = c->next_phase;
	if (c->phase == ECHO)
		counters.finished++;
	if (c->phase == ECHO || (c->phase == SILENT && c->source.script != STEP_MUTE))
		uncount(c);
}

/* Sends up to @limit bytes of what waits.  Returns false if @c has ended. */
static bool flush(struct conn *c, size_t limit)
{
	size_t len = c->out_len - c->out_pos;
	ssize_t n;

	if (len > limit)
		len = limit;
	n = send(c->source.fd, c->out + c->out_pos, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN) {
		conn_left(c);
		return false;
	}
	if (n > 0) {
		c->out_pos += (size_t)n;
		c->replied += (size_t)n;
	}
	if (c->out_pos == c->out_len) {
		sent_all(c);
	} else if (limit > len && !c->blocked) {
		c->blocked = true;
		watch(&c->source, EPOLLOUT, false);
	}
	return true;
}

static bool ends_early(const struct conn *c)
{
	enum step_script s = c->source.script;

	return (s == STEP_CLOSE || s == STEP_RESET || s == STEP_MUTE) &&
	       c->phase == BUSY && c->replied + c->out_len - c->out_pos >= c->source.arg;
}

/* The script ends the replies within the message that waits. */
static void end_early(struct conn *c)
{
	size_t left = c->source.arg > c->replied ? c->source.arg - c->replied : 0;

	c->next_phase = SILENT;
	c->out_len = c->out_pos + left;
	if (left > 0 && !flush(c, left))
		return;
	c->phase = SILENT;
	if (c->source.script == STEP_CLOSE)
		conn_end(c);
	else if (c->source.script == STEP_RESET)
		reset(c);
}

void conn_go_on(struct conn *c)
{
	if (ends_early(c)) {
		end_early(c);
		return;
	}
	if (c->source.script != STEP_DRIBBLE) {
		flush(c, SIZE_MAX);
		return;
	}
	if (flush(c, 1) && c->phase == BUSY)
		timer_set(c, c->source.arg > 0 ? c->source.arg : 1);
}

/* Says @len bytes in the way of the script, then is in phase @next. */
static void say(struct conn *c, unsigned char *bytes, size_t len, enum phase next)
{
	size_t wrong = c->source.arg - c->replied;

	if (c->source.script == STEP_GARBAGE && wrong < len)
		bytes[wrong] ^= 0x55;
	c->phase = BUSY;
	c->next_phase = next;
	c->in_len = 0;
	append(c, bytes, len);
	if (c->source.script == STEP_DELAY)
		timer_set(c, c->source.arg);
	else
		conn_go_on(c);
}

void conn_reply(struct conn *c, unsigned char rep)
{
	unsigned char bytes[10] = { 5, rep, 0, 1, 127, 0, 0, 1, 0, 1 };
	size_t data = c->source.script == STEP_DATA ? c->source.arg : 0;
	unsigned char *all = malloc(sizeof(bytes) + data);

	if (all == NULL)
		abort();
	memcpy(all, bytes, sizeof(bytes));
	for (size_t i = 0; i < data; i++)
		all[sizeof(bytes) + i] = step_data(i);
	say(c, all, sizeof(bytes) + data, rep == 0 ? ECHO : SILENT);
	free(all);
}

/* The request is complete: the target says how it is answered. */
static void answer(struct conn *c)
{
	static const char *const names[] = STEP_NAMES;
	unsigned char *in = c->in, rep = 0;

	if (c->source.script != STEP_OK) {
		conn_reply(c, rep); /* by the listener */
		return;
	}
	if (in[3] == 1 && in[5] >= STEP_NETWORK && in[5] < STEP_NETWORK + STEP_SCRIPTS) {
		c->source.script = (enum step_script)(in[5] - STEP_NETWORK);
		c->source.arg = (unsigned)in[6] << 8 | in[7];
	}
	for (unsigned s = 0; in[3] == 3 && s < STEP_SCRIPTS; s++) {
		size_t len = strlen(names[s]);

		if (memcmp(in + 5, names[s], len) == 0 && in[5 + len] == '-') {
			c->source.script = (enum step_script)s;
			c->source.arg = (unsigned)atoi((char *)in + 6 + len);
		}
	}
	c->phase = BUSY;
	c->next_phase = ECHO;
	c->in_len = 0;
	if (c->source.script == STEP_GATE && gate_hold(c, c->source.arg, &rep))
		return;
	if (c->source.script == STEP_REP)
		rep = (unsigned char)c->source.arg;
	conn_reply(c, rep);
}

/* Length of the message that begins in @c->in, 0 while it cannot be told. */
static size_t wanted(const struct conn *c)
{
	if (c->in_len < 2)
		return 0;
	if (c->phase == GREETING)
		return 2 + (size_t)c->in[1];
	if (c->in_len < 5)
		return 0;
	switch (c->in[3]) {
	case 1: return 10;
	case 3: return 7 + (size_t)c->in[4];
	case 4: return 22;
	default: return 1; /* too long already: no type of address */
	}
}

static void greeting_or_request(struct conn *c)
{
	ssize_t n = recv(c->source.fd, c->in + c->in_len, sizeof(c->in) - c->in_len, 0);
	size_t want;

	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			conn_left(c);
		return;
	}
	c->in_len += (size_t)n;
	want = wanted(c);
	if (c->in[0] != 5) {
		violation(c, "a message that does not begin with 5");
	} else if (c->phase == GREETING && want > 0 && c->in_len >= want) {
		unsigned char bytes[2] = { 5, 0 };

		if (c->in_len > want || memchr(c->in + 2, 0, want - 2) == NULL)
			violation(c, "a greeting that is too long or has no method 0");
		else
			say(c, bytes, sizeof(bytes), REQUEST);
	} else if (c->phase == REQUEST && want > 0 && c->in_len >= want) {
		if (c->in_len > want || c->in[1] != 1 || c->in[2] != 0)
			violation(c, "no CONNECT request, or more than one");
		else
			answer(c);
	}
}

/* Nothing may come while it is the server's turn. */
static void too_early(struct conn *c)
{
	char bytes[64];
	ssize_t n = recv(c->source.fd, bytes, sizeof(bytes), 0);

	if (n > 0) {
		violation(c, "bytes before the answer");
	} else if (n == 0 || errno != EAGAIN) {
		conn_left(c);
	}
}

/* No test begins its data with 5: that is a message sent twice. */
static void echo(struct conn *c)
{
	unsigned char bytes[65536];
	ssize_t n = recv(c->source.fd, bytes, sizeof(bytes), 0);

	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			conn_left(c);
		return;
	}
	if (bytes[0] == 5 && c->in_len == 0) {
		violation(c, "SOCKS after the handshake");
		return;
	}
	c->in_len = 1; /* from here on 5 is data */
	append(c, bytes, (size_t)n);
	flush(c, SIZE_MAX);
}

void conn_event(struct conn *c, uint32_t events)
{
	if (c->source.fd < 0)
		return;
	if (c->out != NULL && (events & EPOLLOUT) != 0) {
		flush(c, SIZE_MAX);
		return;
	}
	switch (c->phase) {
	case GREETING:
	case REQUEST:
		greeting_or_request(c);
		break;
	case BUSY:
	case SILENT:
		too_early(c);
		break;
	case ECHO:
		echo(c);
		break;
	}
}

void conn_begin(int fd, const struct source *listener)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (c == NULL)
		abort();
	c->source = (struct source){ SOURCE_CONN, fd, listener->script, listener->arg };
	counters.live++;
	if (listener->kind == SOURCE_SOCKS) {
		counters.accepted++;
		counters.open++;
		c->counted = true;
		if (counters.open > counters.max)
			counters.max = counters.open;
	} else {
		counters.direct++;
		c->phase = ECHO;
	}
	watch(&c->source, EPOLLIN, true);
}
