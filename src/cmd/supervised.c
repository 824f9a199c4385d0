/* SPDX-License-Identifier: ISC */
/* supervised.c - commands that no library can enter, and strict runs: under the supervisor, or refused. */
#include "supervised.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "complain.h"
#include "socksify/supervise.h"
#include "socksify/tally.h"

static bool strict;

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

/* The proxies' own names are resolved before the run, of which only the first one's is handed down. */
static bool has_unresolved_proxy(const struct config *c)
{
	for (int i = 1; i < c->proxy_count; i++)
		if (c->proxies[i].address.kind == TARGET_NAME) {
			complain("--strict cannot resolve proxy '%s': give its address",
				 c->proxies[i].name);
			return true;
		}
	return false;
}

int supervised_prepare(const struct config *c)
{
	const char *wish = getenv("SOCKSIFY_STRICT");

	if (wish == NULL || wish[0] == '\0' || strcmp(wish, "no") == 0)
		return 0;
	if (strcmp(wish, "yes") != 0) {
		complain("bad value '%s' of SOCKSIFY_STRICT: use yes or no", wish);
		return EXIT_OURS;
	}
	strict = true;
	if (supervise_is_strict())
		return 0;
	if (supervise_is_active()) {
		complain("--strict is too late here, where socksify supervises already: "
			 "give it to the outer one");
		return EXIT_OURS;
	}
	if (has_unresolved_proxy(c))
		return EXIT_OURS;
	if (!supervise_has_second_lock())
		complain("this kernel has no Landlock for TCP: --strict goes without the second lock, "
			 "use Linux 6.7 or later to have it");
	return 0;
}

bool supervised_is_due(void)
{
	return strict && !supervise_is_active();
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
	case SUPERVISE_LANDLOCK:
		return "Landlock is forbidden here: allow landlock_create_ruleset(2) and "
		       "landlock_restrict_self(2) in the container's profile";
	case SUPERVISE_START:
	case SUPERVISE_EXEC:
		break;
	}
	return NULL;
}

int supervised_run(const struct config *c, enum inspection_verdict verdict, const char *path,
		    char **argv, char error[SUPERVISED_ERROR_SIZE])
{
	const char *wish = getenv("SOCKSIFY_SUPERVISE");
	struct supervise_failure f = { SUPERVISE_EXEC, 0 };
	const char *reason = NULL;

	if (chokes_on_preload(verdict))
		unsetenv("LD_PRELOAD");
	if (wish != NULL && strcmp(wish, "no") == 0 && supervised_takes(verdict))
		reason = "--no-supervise forbids to supervise it: leave that out";
	else if (strict && verdict != INSPECTION_ENTERABLE)
		tally_add(TALLY_SUPERVISED);
	if (reason != NULL) {
		/* nothing is begun */
	} else if (supervise_is_active()) {
		execve(path, argv, environ);
		f.error = errno;
	} else {
		supervise_run(c, getenv("SOCKSIFY_PROXY_ADDRESS"), path, argv, environ, strict, &f);
	}
	if (reason == NULL)
		reason = why(&f);
	if (reason != NULL)
		snprintf(error, SUPERVISED_ERROR_SIZE, "%s", reason);
	else
		snprintf(error, SUPERVISED_ERROR_SIZE, "cannot be run (%s): check the file, "
			 "its interpreter and its arguments", strerror(f.error));
	return reason == NULL && f.step == SUPERVISE_EXEC ? EXIT_REFUSED : EXIT_OURS;
}
