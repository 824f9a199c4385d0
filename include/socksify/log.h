/* SPDX-License-Identifier: ISC */
/* log.h - lines for people, to a file or to the stderr that the program started with. */
#ifndef SOCKSIFY_LOG_H
#define SOCKSIFY_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_CONNECTION, LOG_LEVEL_STEP };

/*
 * log_setup - where lines go.
 * @path:  file to append to, kept by reference; NULL: the stderr of this moment,
 *         as long as fd 2 is still the same file
 * @level: lines above it are dropped; -1 drops all
 */
void log_setup(const char *path, int level);

/* log_use_json - from here on each line of log_line() is a JSON object. */
void log_use_json(bool on);

/* log_is_wanted - would a line of @level be written?  No system call. */
bool log_is_wanted(enum log_level level);

/*
 * log_line - "socksify: " and the parts, as one write(2).
 * @part: strings, ended by NULL; what does not fit into 1000 octets is cut
 * Async-signal-safe; opens and closes the file each time, so that no fd of
 * ours lives in the program.
 */
void log_line(enum log_level level, const char *part, ...)
	__attribute__((sentinel));

/* log_write - a whole line with its newline, as one write(2), if its level is wanted. */
void log_write(enum log_level level, const char *line, size_t len);

#endif
