/* SPDX-License-Identifier: ISC */
/* audit.h - the process that waits for the command, and says at the end what went where. */
#ifndef SOCKSIFY_AUDIT_H
#define SOCKSIFY_AUDIT_H

#include "socksify/config.h"

/*
 * audit_run - become two processes.
 * @c: may be NULL when it is not audited
 * Where SOCKSIFY_AUDIT is "1" this returns 0 in a new process, which is to
 * become the command, and SOCKSIFY_AUDIT is the file with the counters.  The old
 * one stays for whoever called socksify: hands signals on, stops when the
 * command stops, tells what went where, and ends as the command does.
 * Where it is such a file already, this process counts as well.
 * Returns 0, or a negative errno: nothing was begun.
 */
MUST_CHECK int audit_run(const struct config *c);

#endif
