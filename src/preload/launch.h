/* SPDX-License-Identifier: ISC */
/* launch.h - what exec(3), posix_spawn(3) and their kin do before libc's functions do the rest. */
#ifndef SOCKSIFY_LAUNCH_H
#define SOCKSIFY_LAUNCH_H

#include <alloca.h>
#include <sys/types.h>

#include "socksify/inherit.h"

/*
 * A program about to be started.  The first fields are the caller's; by
 * launch_arrange() they become what is to be started in its place.
 */
struct launch {
	int dir;		/* AT_FDCWD, or what @path is relative to; the file itself if @path is "" */
	const char *path;
	char *const *argv;
	char *const *env;
	bool moves;		/* the child changes its directory before it looks @path up */
	bool by_runner;		/* socksify-run is started, and takes the program in */
	struct inherit_look look;
	size_t argc;
	size_t env_room;
	size_t path_room;
	void *map;		/* room that is too much for a stack */
	size_t map_size;
	int kept_fd;		/* a duplicate of @dir that exec(2) leaves open, or -1 */
};

/*
 * launch_judge - can the library enter the program, and does the environment let it in?
 * Returns the octets of room that launch_arrange() needs; 0: start it as it is;
 * or -errno with which the call must fail:
 *   -EACCES  the library cannot enter, and socksify-run is out of reach as well
 *   -ENOMEM  the settings could not be noted at start
 * Async-signal-safe, no cancellation point, and writes only to @l: fit for the
 * child of vfork(2).  errno stays.
 */
MUST_CHECK ssize_t launch_judge(struct launch *l);

/* As much as an environment of a thousand variables needs goes to the stack. */
#define LAUNCH_ON_STACK 16384

/* launch_arrange - change the first fields; @stack: @room octets, or NULL.  Returns 0 or -ENOMEM. */
MUST_CHECK int launch_arrange(struct launch *l, void *stack, size_t room);

/* To be used in the function that goes on to start the program. */
#define LAUNCH_ARRANGE(l, room) \
	launch_arrange(l, (room) <= LAUNCH_ON_STACK ? alloca(room) : NULL, room)

/* launch_end - when it was not started, or by posix_spawn(3): releases the room; errno stays. */
void launch_end(struct launch *l);

/* The next path that execvp(3) tries: 0, or -ENOENT at the end of PATH. */
struct launch_search {
	const char *file;
	const char *dirs;	/* what is left of PATH; NULL at its end */
	char path[4096];
};

/* launch_search_begin - Returns 0, or -ENOENT or -ENAMETOOLONG for a bad name. */
MUST_CHECK int launch_search_begin(struct launch_search *s, const char *file);
MUST_CHECK int launch_search_next(struct launch_search *s);

#endif
