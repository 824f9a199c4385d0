/* SPDX-License-Identifier: ISC */
/* exit.c - _exit(2) and _Exit(3), which run no destructors: what is still to be told is told here. */
#include <stdlib.h>

#include "real.h"
#include "socksify/report.h"

EXPORT void _exit(int status)
{
	if (report_has_lines())
		report_close_all();
	REAL(_exit)(status);
	__builtin_unreachable();
}

EXPORT void _Exit(int status)
{
	_exit(status);
}
