/* SPDX-License-Identifier: ISC */
/* environment.h - what the command finds in its environment. */
#ifndef SOCKSIFY_ENVIRONMENT_H
#define SOCKSIFY_ENVIRONMENT_H

#include "socksify/config.h"

/*
 * environment_export - the settings' file, the proxy's addresses, and the
 * library in front of LD_PRELOAD.  Resolves the proxy's name.
 * @is_child: of a program of this run, with its settings: within a strict run
 *            its addresses stay, since nobody can resolve them there
 * Returns 0, or EXIT_OURS after a message.
 */
MUST_CHECK int environment_export(const struct config *c, bool is_child);

/* environment_print - --env: the same for eval in a shell.  Returns the exit status. */
int environment_print(void);

#endif
