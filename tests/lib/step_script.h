/* SPDX-License-Identifier: ISC */
/*
 * step_script.h - what the step server does, and how a target address asks for
 * it.
 *
 * The target 127.(64 + script).hi.lo is answered by that script with the
 * argument hi.lo; a name asks the same as "SCRIPT-ARGUMENT.test".  What has to
 * happen before the server knows the target is the script of a listener.
 */
#ifndef STEP_SCRIPT_H
#define STEP_SCRIPT_H

#include <stddef.h>

enum step_script {
	STEP_OK,	/* granted at once */
	STEP_REP,	/* reply code N */
	STEP_DELAY,	/* N milliseconds before each message of the server */
	STEP_GATE,	/* the reply waits until gate N is opened or refused */
	STEP_CLOSE,	/* N bytes of the replies, then the end */
	STEP_RESET,	/* N bytes of the replies, then a reset */
	STEP_MUTE,	/* N bytes of the replies, then silence */
	STEP_DRIBBLE,	/* byte by byte, N milliseconds (at least 1) apart */
	STEP_DATA,	/* N bytes of target data in one segment with the reply */
	STEP_GARBAGE,	/* byte N of the replies is wrong */
	STEP_SCRIPTS
};

#define STEP_NAMES                                                             \
	{ "ok", "rep", "delay", "gate", "close", "reset", "mute", "dribble",   \
	  "data", "garbage" }

enum {
	STEP_NETWORK = 64,	   /* second byte of the address of script 0 */
	STEP_EARLY_NETWORK = 80,   /* and of what goes to the first listener */
	STEP_GATES = 4096,
	STEP_REPLIES = 12,	   /* 2 bytes of METHOD, 10 of REPLY */
	STEP_DATA_MAX = 60000,
};

/* Byte @at of the target data that comes with the reply. */
static inline unsigned char step_data(size_t at)
{
	return (unsigned char)(at * 7 + at / 256 + 3);
}

#endif
