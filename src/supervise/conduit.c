/* SPDX-License-Identifier: ISC */
/* conduit.c - octets between a socket that was parked and the proxy. */
#include "conduit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop.h"

#define CHUNK 262144
#define ROUNDS 8	/* chunks, before others have a turn */

/* Where octets come from, and those of them that the other side does not take yet. */
struct side {
	struct watch watch;	/* first */
	struct conduit *conduit;
	char *rest;		/* NULL: none */
	size_t at, len;
	bool ended;		/* nothing more comes, and the other side knows */
};

struct conduit {
	struct side inner, outer;
	struct conduit **back, *next;
};

enum moved { MOVED_ALL, MOVED_SOME, MOVED_BROKEN };

static struct conduit *conduits;
static char chunk[CHUNK];

static void end(struct conduit *c)
{
	*c->back = c->next;
	if (c->next != NULL)
		c->next->back = c->back;
	loop_remove(&c->inner.watch);
	loop_remove(&c->outer.watch);
	close(c->inner.watch.fd);
	close(c->outer.watch.fd);
	free(c->inner.rest);
	free(c->outer.rest);
	free(c);
}

/* One side is broken: so is the other (RST). */
static void break_both(struct conduit *c)
{
	struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(c->inner.watch.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	(void)setsockopt(c->outer.watch.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	end(c);
}

/* How many of the octets @to took, or -errno. */
static ssize_t give(const struct side *to, const char *bytes, size_t len)
{
	size_t given = 0;

	while (given < len) {
		ssize_t n = send(to->watch.fd, bytes + given, len - given,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return -errno;
		given += (size_t)n;
	}
	return (ssize_t)given;
}

static enum moved give_rest(struct side *from, const struct side *to)
{
	ssize_t n = give(to, from->rest + from->at, from->len - from->at);

	if (n < 0)
		return MOVED_BROKEN;
	from->at += (size_t)n;
	if (from->at < from->len)
		return MOVED_ALL; /* what there was to be moved now */
	free(from->rest);
	from->rest = NULL;
	return MOVED_SOME;
}

static enum moved move_chunk(struct side *from, const struct side *to)
{
	ssize_t len = recv(from->watch.fd, chunk, sizeof(chunk), MSG_DONTWAIT), n;

	if (len < 0)
		return errno == EAGAIN ? MOVED_ALL : MOVED_BROKEN;
	if (len == 0) {
		from->ended = true;
		return shutdown(to->watch.fd, SHUT_WR) < 0 ? MOVED_BROKEN : MOVED_ALL;
	}
	n = give(to, chunk, (size_t)len);
	if (n < 0)
		return MOVED_BROKEN;
	if (n == len)
		return MOVED_SOME;
	from->at = 0;
	from->len = (size_t)(len - n);
	from->rest = malloc(from->len);
	if (from->rest == NULL)
		return MOVED_BROKEN;
	memcpy(from->rest, chunk + n, from->len);
	return MOVED_ALL;
}

/* All that can be moved in one direction; MOVED_SOME: there may be more. */
static enum moved move(struct side *from, const struct side *to)
{
	enum moved moved = MOVED_SOME;

	for (int i = 0; i < ROUNDS && moved == MOVED_SOME && !from->ended; i++)
		moved = from->rest != NULL ? give_rest(from, to) : move_chunk(from, to);
	return from->ended && moved != MOVED_BROKEN ? MOVED_ALL : moved;
}

/* Edges are enough, since each one moves all there is, or asks for another. */
static void ready(struct watch *w, uint32_t events)
{
	struct conduit *c = ((struct side *)(void *)w)->conduit;
	enum moved out = move(&c->inner, &c->outer), in = MOVED_BROKEN;

	(void)events;
	if (out != MOVED_BROKEN)
		in = move(&c->outer, &c->inner);
	if (out == MOVED_BROKEN || in == MOVED_BROKEN)
		break_both(c);
	else if (c->inner.ended && c->outer.ended)
		end(c);
	else if ((out == MOVED_SOME || in == MOVED_SOME) && loop_again(w) < 0)
		break_both(c);
}

static void set_up(struct side *s, struct conduit *c, int fd)
{
	s->watch = (struct watch){ .fd = fd, .events = EPOLLIN | EPOLLOUT | EPOLLET, .ready = ready };
	s->conduit = c;
}

int conduit_start(int inner, int outer)
{
	struct conduit *c = calloc(1, sizeof(*c));
	int err;

	if (c == NULL) {
		close(inner);
		close(outer);
		return -ENOMEM;
	}
	set_up(&c->inner, c, inner);
	set_up(&c->outer, c, outer);
	c->next = conduits;
	c->back = &conduits;
	if (conduits != NULL)
		conduits->back = &c->next;
	conduits = c;
	err = loop_add(&c->inner.watch);
	if (err == 0)
		err = loop_add(&c->outer.watch);
	if (err < 0)
		break_both(c);
	return err;
}

bool conduit_is_needed(void)
{
	for (struct conduit *c = conduits, *next; c != NULL; c = next) {
		next = c->next;
		if (c->inner.ended)
			end(c);
	}
	return conduits != NULL;
}
