/* SPDX-License-Identifier: ISC */
/* resolver.c - res_query(3) and its kin: refused, since libc would send the query itself. */
#include <errno.h>
#include <stdbool.h>

#include "preload.h"
#include "real.h"
#include "socksify/resolve.h"

/* Is the call refused?  Then h_errno says what a resolver that does not answer would. */
static bool is_refused(void)
{
	preload_ready();
	if (resolve_is_local())
		return false;
	h_errno = TRY_AGAIN;
	errno = ECONNREFUSED;
	return true;
}

/* A function of libresolv and its old name, which programs built before glibc 2.34 use. */
#define RESOLVER(name, declared, passed)                           \
	EXPORT int name declared                                   \
	{                                                          \
		return is_refused() ? -1 : REAL(name) passed;      \
	}                                                          \
	EXPORT int __##name declared;                              \
	EXPORT int __##name declared                               \
	{                                                          \
		return name passed;                                \
	}

#define QUESTION const char *domain, int class, int type, unsigned char *reply, int size
#define QUERYDOMAIN \
	const char *host, const char *domain, int class, int type, unsigned char *reply, int size
#define MESSAGE const unsigned char *message, int len, unsigned char *reply, int size

RESOLVER(res_query, (QUESTION), (domain, class, type, reply, size))
RESOLVER(res_search, (QUESTION), (domain, class, type, reply, size))
RESOLVER(res_querydomain, (QUERYDOMAIN), (host, domain, class, type, reply, size))
RESOLVER(res_send, (MESSAGE), (message, len, reply, size))
RESOLVER(res_nquery, (res_state state, QUESTION), (state, domain, class, type, reply, size))
RESOLVER(res_nsearch, (res_state state, QUESTION), (state, domain, class, type, reply, size))
RESOLVER(res_nquerydomain, (res_state state, QUERYDOMAIN),
	 (state, host, domain, class, type, reply, size))
RESOLVER(res_nsend, (res_state state, MESSAGE), (state, message, len, reply, size))
