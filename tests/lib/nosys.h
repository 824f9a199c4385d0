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

#endif
