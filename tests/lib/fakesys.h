/* SPDX-License-Identifier: ISC */
/* fakesys.h - a kernel and a SOCKS server that do what a test wrote down. */
#ifndef FAKESYS_H
#define FAKESYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fakesys {
	/* what the server sends, and what comes after that */
	const char *reply;
	size_t reply_len;
	bool then_eof;		/* else silence */
	size_t slice;		/* at most so many octets a call */
	int fail_at;		/* 1 ..: the call that fails; 0: none */
	int fail_with;		/* -errno */
	bool interrupts;	/* there is a handler without SA_RESTART */

	/* what happened */
	int step;		/* calls so far that can fail */
	int64_t now_ms;
	size_t reply_pos;
	bool connected;
	int connects;		/* calls with a peer */
	int64_t send_timeout_us;
	uint8_t sent[2048];
	size_t sent_len;
};

extern struct fakesys fakesys;

#endif
