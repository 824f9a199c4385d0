/* SPDX-License-Identifier: ISC */
/* show.h - the settings, and what they decide, as text on stdout. */
#ifndef SOCKSIFY_SHOW_H
#define SOCKSIFY_SHOW_H

#include "socksify/config.h"

/* show_config - --print-config: all settings, as a configuration file.  Returns the exit status. */
int show_config(const struct config *c);

/*
 * show_decision - --explain: what becomes of a connection.
 * @text: "HOST:PORT", "tcp HOST:PORT" or "udp HOST:PORT"
 * Returns the exit status; EXIT_OURS after a message when @text cannot be read.
 */
int show_decision(const struct config *c, const char *text);

#endif
