/* SPDX-License-Identifier: ISC */
/* names.h - the parts of the probe of names. */
#ifndef NAMES_PROBE_H
#define NAMES_PROBE_H

#include <netdb.h>
#include <netinet/in.h>

/*
 * names_address - an address as text, "pool" for one of 198.18.0.0/15 or of
 * fd73:6f63:6b73::/64: which one it is differs between two runs.
 */
const char *names_address(int family, const void *bytes, char text[INET6_ADDRSTRLEN]);

/* A list as getaddrinfo(3) makes it, or its error, one line an entry. */
void names_list(const char *what, int error, const struct addrinfo *list);

void names_getaddrinfo(void);
void names_getnameinfo(void);
void names_hostent(void);
void names_async(void);
void names_waiting(void);
void names_res(void);

#endif
