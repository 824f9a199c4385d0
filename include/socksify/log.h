/* SPDX-License-Identifier: ISC */
/* log.h - lines for people, to a file or to the stderr that the program started with. */
#ifndef SOCKSIFY_LOG_H
#define SOCKSIFY_LOG_H

#include <stdarg.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_CONNECTION, LOG_LEVEL_STEP };

/*
 * log_setup - where lines go.
 * @path:  file to append to, kept by reference; NULL: the stderr of this moment,
 *         as long as fd 2 is still the same file
 * @level: lines above it are dropped; -1 drops all
 */
void log_setup(const char *path, int level);

/*
 * log_line - "socksify: " and the parts, as one write(2).
 * @part: strings, ended by NULL; what does not fit into 1000 octets is cut
 * Async-signal-safe; opens and closes the file each time, so that no fd of
 * ours lives in the program.
 */
void log_line(enum log_level level, const char *part, ...)
	__attribute__((sentinel));

#endif
