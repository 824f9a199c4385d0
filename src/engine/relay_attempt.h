/* SPDX-License-Identifier: ISC */
/* relay_attempt.h - an association that is being made; for the relay's own parts. */
#ifndef SOCKSIFY_RELAY_ATTEMPT_H
#define SOCKSIFY_RELAY_ATTEMPT_H

#include "relay_state.h"

/* Datagrams, each with its header and behind its length; changed under the engine's lock. */
struct relay_queue {
	size_t size;			/* of all this */
	size_t used;
	uint8_t octets[];
};

/* Moved by whoever has the relay's turn; what is atomic is looked at by others, too. */
struct relay_attempt {
	struct relay *_Atomic relay;	/* NULL: it is over */
	struct control control;
	struct target target;		/* of the first datagram */
	bool lost;			/* there was an association */
	_Atomic bool goes_on;		/* while the program does other things */
	_Atomic bool watched;		/* by epoll sets of the program's */
	_Atomic short events;		/* goes_on: what to wait for, */
	_Atomic int fd;			/* of this */
	_Atomic size_t limit;		/* SO_SNDBUF; 0 until something is sent. */
	_Atomic size_t charged;		/* How much of that is taken */
	struct relay_queue *_Atomic queue;	/* NULL: nothing was sent yet */
};

/* By their numbers from 0 on; NULL: there are no more. */
struct relay_attempt *relay_attempt_at(uint32_t index);

#endif
