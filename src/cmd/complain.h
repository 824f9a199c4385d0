/* SPDX-License-Identifier: ISC */
/* complain.h - how socksify-run tells what is wrong, and with which status it ends. */
#ifndef SOCKSIFY_COMPLAIN_H
#define SOCKSIFY_COMPLAIN_H

#include <stdbool.h>

#define EXIT_OURS 125	/* socksify itself failed */
#define EXIT_REFUSED 126 /* the command cannot be run, or must not be */
#define EXIT_ABSENT 127	/* there is no such command */

/* From here on complain() says nothing. */
void complain_no_more(void);

/* "socksify: what is wrong: what to do", a line on stderr; @format as printf(3). */
__attribute__((format(printf, 1, 2)))
void complain(const char *format, ...);

/* What was printed has arrived: 0, or EXIT_OURS after a message. */
int finish_output(void);

#endif
