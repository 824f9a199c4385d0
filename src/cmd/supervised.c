/* SPDX-License-Identifier: ISC */
/* supervised.c - commands that no library can enter: under the supervisor, or refused. */
#include "supervised.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "socksify/supervise.h"

extern char **environ;

bool supervised_takes(enum inspection_verdict verdict)
{
	switch (verdict) {
	case INSPECTION_STATIC:
	case INSPECTION_LOADER:
	case INSPECTION_FOREIGN:
	case INSPECTION_GO:
		return true;
	case INSPECTION_SETID:
	case INSPECTION_CAPABILITIES:
		/* Others must give the right to gain privileges up before they may be filtered. */
		return supervise_is_privileged();
	case INSPECTION_ENTERABLE:
	case INSPECTION_SHELL_TEXT:
	case INSPECTION_LIBRARY:
	case INSPECTION_UNREADABLE:
	case INSPECTION_MISSING:
	case INSPECTION_TOO_DEEP:
	case INSPECTION_MALFORMED:
	case INSPECTION_UNKNOWN:
		break;
	}
	return false;
}

/* A loader that cannot load our library would say so, or give up. */
static bool chokes_on_preload(enum inspection_verdict verdict)
{
	return verdict == INSPECTION_LOADER || verdict == INSPECTION_FOREIGN;
}

static const char *why(const struct supervise_failure *f)
{
	switch (f->step) {
	case SUPERVISE_FILTER:
		return f->error == EINVAL || f->error == ENOSYS ?
			       "the kernel cannot report system calls: use Linux 5.9 or later, built with seccomp" :
			       "filters for system calls are forbidden here: allow seccomp(2) in the container's profile";
	case SUPERVISE_LISTEN:
		return "somebody else supervises its system calls already: "
		       "run socksify outside of that sandbox or container";
	case SUPERVISE_WATCH:
		return f->error == ENOSYS ?
			       "the kernel cannot share descriptors: use Linux 5.9 or later" :
			       "the kernel does not let socksify look into it: "
			       "set kernel.yama.ptrace_scope to 1 or 0; "
			       "in a container add the capability SYS_PTRACE";
	case SUPERVISE_START:
	case SUPERVISE_EXEC:
		break;
	}
	return NULL;
}

void supervised_run(const struct config *c, enum inspection_verdict verdict, const char *path,
		    char **argv, char error[SUPERVISED_ERROR_SIZE])
{
	const char *wish = getenv("SOCKSIFY_SUPERVISE");
	struct supervise_failure f = { SUPERVISE_EXEC, 0 };
	const char *reason = NULL;

	if (chokes_on_preload(verdict))
		unsetenv("LD_PRELOAD");
	if (supervise_is_active()) {
		execve(path, argv, environ);
		f.error = errno;
	} else if (wish != NULL && strcmp(wish, "no") == 0) {
		reason = "--no-supervise forbids to supervise it: leave that out";
	} else {
		supervise_run(c, getenv("SOCKSIFY_PROXY_ADDRESS"), path, argv, environ, &f);
	}
	if (reason == NULL)
		reason = why(&f);
	if (reason != NULL)
		snprintf(error, SUPERVISED_ERROR_SIZE, "%s", reason);
	else
		snprintf(error, SUPERVISED_ERROR_SIZE, "cannot be run (%s): check the file, "
			 "its interpreter and its arguments", strerror(f.error));
}
