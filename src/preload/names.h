/* SPDX-License-Identifier: ISC */
/* names.h - what the interposed calls about names share. */
#ifndef SOCKSIFY_NAMES_H
#define SOCKSIFY_NAMES_H

#include <netdb.h>
#include <stdbool.h>

#include "socksify/resolve.h"

#define NAMES_ROOM (TARGET_NAME_MAX + 1)
#define NAMES_IDN_FLAGS (AI_IDN | AI_CANONIDN)

/* An address as getaddrinfo(3) takes it: "1.2", "0x7f.1", "fe80::1%eth0". */
bool names_is_numeric(const char *text);

/*
 * names_waits - may getaddrinfo(3) wait for an answer to this?
 * libc's own, to names of `direct` rules, or that of a resolver behind the proxy.
 */
bool names_waits(const char *node, const struct addrinfo *hints);

/*
 * names_of_address - resolve_address() for a libc call about an address of @family.
 * RESOLVE_LIBC: ask libc; never RESOLVE_FILE.
 */
enum resolve_how names_of_address(int family, const struct target *address, struct target *ret);

/*
 * idn_to_dns - a name with octets above 127 in the form that DNS has it in
 * (RFC 5891), as libc makes it: by libidn2, if there is one.
 * @name: in the encoding of the locale
 * Returns 0, EAI_IDN_ENCODE or EAI_MEMORY.
 */
int idn_to_dns(const char *name, char ret[NAMES_ROOM]);

/* The reverse, for people; a copy of @name if there is no such form.  malloc(3)'s, or NULL. */
char *idn_to_unicode(const char *name);

/*
 * nss_keep_local - from now on libc's own lookups look into /etc/hosts first,
 * and ask nobody else unless a `direct` rule names a host; they never ask nscd.
 * Called before a lookup is left to libc.  Does nothing when names are this
 * machine's business anyway, and nothing the second time.
 */
void nss_keep_local(void);

#endif
