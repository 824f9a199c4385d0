/* SPDX-License-Identifier: ISC */
/* inherit.h - the settings of this process in the environment of the programs that it starts. */
#ifndef SOCKSIFY_INHERIT_H
#define SOCKSIFY_INHERIT_H

#include <stddef.h>

#include "socksify/config.h"

/*
 * inherit_setup - note what a new program needs to have the settings of this process.
 * @env:     the environment at start; copied, since programs overwrite theirs
 * @library: the path under which the loader has this library
 * @config:  the settings in effect, or NULL: they are broken, and stay so
 * Called once, while nobody else calls any of these functions.  Without it
 * inherit_look() finds nothing to do: the way out for SOCKSIFY_DISABLE.
 * Returns 0 or -ENOMEM; then there is no inherit_runner(), and nothing may be started.
 */
MUST_CHECK int inherit_setup(char *const env[], const char *library,
			     const struct config *config);

/* Is SOCKSIFY_DISABLE set in @env (NULL: an empty one), to anything but "" and "0"? */
bool inherit_is_disabled(char *const env[]);

/* What the program is started as. */
enum inherit_way {
	INHERIT_PRELOAD,	/* the loader preloads the library */
	INHERIT_PRELOAD_LATE,	/* the same, but AddressSanitizer wants to be first: it is told not to mind */
	INHERIT_RUN,		/* by socksify-run, which itself runs without the library */
};

/* What is missing in an environment; the fields are inherit.c's. */
struct inherit_look {
	char *const *env;
	size_t count;		/* entries of @env */
	enum inherit_way way;
	uint64_t missing;	/* bits of what was noted at start */
	const char *preload;	/* the value of LD_PRELOAD there, or NULL */
	const char *asan;	/* of ASAN_OPTIONS */
	bool has_library;	/* @preload names it */
	bool has_asan;		/* ASAN_OPTIONS says enough */
};

/*
 * inherit_look - compare an environment with what was noted at start.
 * @env: of execve(2), may be NULL; must stay until inherit_build()
 * A program that changed the proxy or the configuration on purpose keeps its
 * change; what it does not mention is given back.
 * Returns how many octets inherit_build() needs; 0: @env can be passed as it is.
 * Async-signal-safe, and writes only to @ret: fit for the child of vfork(2).
 */
MUST_CHECK size_t inherit_look(char *const env[], enum inherit_way way,
			       struct inherit_look *ret);

/* inherit_build - the whole environment, in @room: aligned for pointers, of that many octets. */
char **inherit_build(const struct inherit_look *look, void *room);

/* The path of socksify-run, and of the library; NULL before inherit_setup() is done. */
const char *inherit_runner(void);
const char *inherit_library(void);

/* Was anything noted, or is the library off? */
bool inherit_is_on(void);

/*
 * inherit_script - for system(3) and popen(3), whose environment is libc's to
 * choose: shell words that set what is missing in @look and go on with @command.
 * @room: NULL to measure
 * Returns the octets needed, with the final NUL.
 */
size_t inherit_script(const struct inherit_look *look, const char *command, char *room);

#endif
