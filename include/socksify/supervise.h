/* SPDX-License-Identifier: ISC */
/* supervise.h - run a program that no library can enter, with all of its children. */
#ifndef SOCKSIFY_SUPERVISE_H
#define SOCKSIFY_SUPERVISE_H

#include "socksify/config.h"

/* What could not be done. */
enum supervise_step {
	SUPERVISE_FILTER,	/* the kernel takes no filter */
	SUPERVISE_LISTEN,	/* somebody else listens to this program's calls already (-EBUSY) */
	SUPERVISE_LANDLOCK,	/* the kernel has Landlock for TCP, but it is forbidden here */
	SUPERVISE_WATCH,	/* memory and descriptors of the program are out of reach */
	SUPERVISE_START,	/* out of memory, processes, descriptors */
	SUPERVISE_EXEC,		/* the program itself cannot be run */
};

struct supervise_failure {
	enum supervise_step step;
	int error;		/* positive errno */
};

/* Is this process, and all that it will run, supervised already? */
bool supervise_is_active(void);

/* Is it, by a supervisor that was started with @strict? */
bool supervise_is_strict(void);

/* Has the kernel the second lock of a strict run: Landlock for TCP? */
bool supervise_has_second_lock(void);

/* May this process be filtered without giving up that set-user-ID programs gain privileges? */
bool supervise_is_privileged(void);

/*
 * supervise_run - run a program, and answer its network calls until the last
 * process of it and its children is gone.
 * @c:         the settings, which stay valid
 * @addresses: of the first proxy if it has a name, with commas between; or NULL
 * @path, @argv, @env: for execve(2)
 * @strict:    programs that the library enters are watched as well: what goes
 *             past it is refused and told, and the run ends with status 97 then
 * @ret:       set after a failure
 * Called by a process with one thread.  Returns -1 when the program did not
 * start; else it does not return: the process ends as the program did, by the same status or signal.
 */
int supervise_run(const struct config *c, const char *addresses, const char *path,
		  char *const argv[], char *const env[], bool strict,
		  struct supervise_failure *ret);

#endif
