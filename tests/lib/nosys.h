/* SPDX-License-Identifier: ISC */
/* nosys.h - the one file of the fake kernels. */
#ifndef NOSYS_H
#define NOSYS_H

/* What /etc/hosts says, or NULL: there is none. */
extern const char *nosys_hosts;

#endif
