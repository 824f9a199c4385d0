/* SPDX-License-Identifier: ISC */
/* supervised.h - commands that no library can enter, and strict runs: under the supervisor, or refused. */
#ifndef SOCKSIFY_CMD_SUPERVISED_H
#define SOCKSIFY_CMD_SUPERVISED_H

#include "socksify/config.h"
#include "socksify/enter.h"

#define SUPERVISED_ERROR_SIZE 512

/* Does the supervisor help with such a program? */
bool supervised_takes(enum inspection_verdict verdict);

/*
 * supervised_prepare - is the run to be strict, and can it be?
 * Returns 0, or EXIT_OURS after a message.  Without the kernel's second lock a
 * strict run goes on after one.
 */
int supervised_prepare(const struct config *c);

/* Is every program of this run supervised (--strict), and this one not yet? */
bool supervised_is_due(void);

/*
 * supervised_run - run the command, with all of its children, under the supervisor.
 * @verdict: what inspect_program() found
 * @path:    of the command
 * @error:   on failure "what is wrong: what to do", to follow a name
 * Returns only after a failure: EXIT_REFUSED when the kernel does not take the
 * file, else EXIT_OURS.
 */
int supervised_run(const struct config *c, enum inspection_verdict verdict, const char *path,
		    char **argv, char error[SUPERVISED_ERROR_SIZE]);

#endif
