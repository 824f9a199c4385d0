/* SPDX-License-Identifier: ISC */
/* complain.c - how socksify-run tells what is wrong. */
#include "complain.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool quiet;

void complain_no_more(void)
{
	quiet = true;
}

void complain(const char *format, ...)
{
	va_list args;

	if (quiet)
		return;
	va_start(args, format);
	fputs("socksify: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}

int finish_output(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	complain("cannot write the output: %s: check where it goes",
		 strerror(errno));
	return EXIT_OURS;
}
