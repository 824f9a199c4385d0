/* SPDX-License-Identifier: ISC */
/* nsswitch.h - whom libc asks for names (nsswitch.conf(5)). */
#ifndef SOCKSIFY_NSSWITCH_H
#define SOCKSIFY_NSSWITCH_H

#include <stddef.h>

/*
 * nsswitch_files_first - the services of the database `hosts` with "files" in front of all others.
 * @text: nsswitch.conf, @len octets
 * @ret:  @size octets, NUL-terminated: "files mdns4_minimal [NOTFOUND=return] dns";
 *        "files dns" if the file says nothing or too much
 */
void nsswitch_files_first(const char *text, size_t len, char *ret, size_t size);

#endif
