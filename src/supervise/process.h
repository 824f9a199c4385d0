/* SPDX-License-Identifier: ISC */
/* process.h - the three processes: the front that people see, the supervisor, the program. */
#ifndef SOCKSIFY_SUPERVISE_PROCESS_H
#define SOCKSIFY_SUPERVISE_PROCESS_H

#include <sys/types.h>

#include "socksify/supervise.h"

/* What the supervisor tells the front. */
enum report_kind {
	REPORT_FAILED,	/* value: a step, error: errno */
	REPORT_STARTED,	/* value: the program's pid */
	REPORT_STOPPED,
	REPORT_ENDED,	/* value: as from waitpid(2); error: 0 when the supervisor ends, too */
};

struct report {
	enum report_kind kind;
	int value;
	int error;
};

struct program {
	const char *path;
	char *const *argv;
	char *const *env;
	bool strict;
};

/*
 * front_run - be what the caller of socksify sees: hand on signals, stop when
 * the program stops, end as it ends.
 * @supervisor: its pid;  @reports: where it reports
 * Returns only after REPORT_FAILED, with @ret set.
 */
void front_run(pid_t supervisor, int reports, struct supervise_failure *ret);

/*
 * watch_run - start the program under the filter and serve its calls.
 * @reports: to the front.  Does not return.
 */
_Noreturn void watch_run(const struct program *p, int reports);

#endif
