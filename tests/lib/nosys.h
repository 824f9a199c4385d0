/* SPDX-License-Identifier: ISC */
/* nosys.h - the one file of the fake kernels. */
#ifndef NOSYS_H
#define NOSYS_H

/* What /etc/hosts says, or NULL: there is none. */
extern const char *nosys_hosts;
extern int nosys_version;	/* its time of change */
extern int nosys_read_error;	/* 0, or the -errno of reading it */
extern int nosys_calls;		/* how often a file was asked for */
extern const char *nosys_own;	/* the machine's name, or NULL */
extern const char *nosys_link[2];	/* two paths of one and the same file */

/* What was written to any file, NUL-terminated; nosys_written = 0 forgets it. */
extern char nosys_output[8192];
extern size_t nosys_written;

#endif
