/* SPDX-License-Identifier: ISC */
/* control.h - a connection of our own to a proxy, and the handshake on it: what an association hangs on. */
#ifndef SOCKSIFY_CONTROL_H
#define SOCKSIFY_CONTROL_H

#include "socksify/config.h"
#include "socksify/own.h"
#include "socksify/upstream.h"

enum control_phase { CONTROL_CONNECTING, CONTROL_TALKING, CONTROL_DONE, CONTROL_FAILED };

struct control {
	enum control_phase phase;
	int fd;			/* -1: none */
	struct own *own;	/* of it, once control_keep() was called; else NULL */
	bool kept;		/* control_keep() was called */
	int error;		/* CONTROL_FAILED: -errno */
	bool answered;		/* CONTROL_FAILED: by the proxy, not on the way to it */
	const char *reason;	/* CONTROL_FAILED: a static phrase, or NULL */
	const struct proxy *proxy;
	enum socks5_command command;
	int64_t deadline;	/* in ns, sys_now_ns() */
	int count, at;		/* of addresses */
	struct target addresses[UPSTREAM_MAX];
	struct target dst;	/* TARGET_NONE: our address as the proxy sees it, with the port of this */
	struct socks5 s;	/* CONTROL_DONE: with the proxy's reply */
};

/*
 * control_begin - begin a connection to @proxy that does not block.
 * @dst: of the request; the kind TARGET_NONE stands for this end's address
 * @deadline: when it fails with -ETIMEDOUT, in ns
 * Waits only to look the proxy's name up.  The phase says what came of it;
 * whoever takes the fd, or gives up, calls control_drop() or takes c->fd.
 */
void control_begin(struct control *c, const struct proxy *proxy, enum socks5_command command,
		   const struct target *dst, int64_t deadline);

/*
 * control_keep - the handshake goes on while the program runs: its fd becomes
 * an own one, and so does that of any address which is tried next.
 */
void control_keep(struct control *c);

/* Move what can be moved without waiting. */
void control_step(struct control *c);

/* The events of poll(2) to wait for. */
short control_events(struct control *c);

/* Step and wait until it is DONE or FAILED. */
void control_finish(struct control *c);

/* Close its fd, if there is one. */
void control_drop(struct control *c);

#endif
