/* SPDX-License-Identifier: ISC */
/* resolver.c - res_query(3) and its kin, whose queries libc would send itself. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "names.h"
#include "preload.h"
#include "real.h"
#include "socksify/nameserver.h"

#define OPT_SIZE 11	/* RFC 6891 section 6.1.2, with an empty name and no options */
#define OPT_PAYLOAD 1200

/* res_nsend(3): the length of the answer, which may be longer than what fits, or -1 and errno. */
static int send_query(res_state state, const unsigned char *query, int len, unsigned char *reply,
		      int size)
{
	size_t n;
	int err;

	if (len < 0 || size < 0)
		return libc_result(-EINVAL);
	switch (nameserver_answer(query, (size_t)len, true, reply, (size_t)size, &n)) {
	case NAMESERVER_ANSWERED:
		return (int)n;
	case NAMESERVER_PASS:
		return REAL(res_nsend)(state, query, len, reply, size);
	case NAMESERVER_FORWARD:
		err = nameserver_forward(query, (size_t)len, true, reply, (size_t)size, &n);
		return libc_result(err < 0 ? err : (int)n);
	case NAMESERVER_DROP:
		break;
	}
	return libc_result(-ETIMEDOUT);
}

static int fail(res_state state, int h_err)
{
	state->res_h_errno = h_err;
	h_errno = h_err;
	return -1;
}

/* EDNS, if the program's options ask for it: the DO bit brings signatures (RFC 3225). */
static int add_opt(res_state state, unsigned char *query, int len, int size)
{
	unsigned char *opt = query + len;

	if ((state->options & (RES_USE_EDNS0 | RES_USE_DNSSEC)) == 0 || len + OPT_SIZE > size)
		return len;
	memset(opt, 0, OPT_SIZE);
	opt[2] = ns_t_opt;
	opt[3] = OPT_PAYLOAD >> 8;
	opt[4] = OPT_PAYLOAD & 255;
	if ((state->options & RES_USE_DNSSEC) != 0)
		opt[7] = 0x80;
	query[11]++; /* ARCOUNT */
	return len + OPT_SIZE;
}

/* What res_nquery(3) makes of an answer. */
static int take_answer(res_state state, const unsigned char *reply, int len)
{
	int rcode = len >= NS_HFIXEDSZ ? reply[3] & 15 : ns_r_formerr;
	int answers = len >= NS_HFIXEDSZ ? reply[6] << 8 | reply[7] : 0;

	if (rcode == ns_r_noerror && answers > 0)
		return len;
	switch (rcode) {
	case ns_r_nxdomain:
		return fail(state, HOST_NOT_FOUND);
	case ns_r_servfail:
		return fail(state, TRY_AGAIN);
	case ns_r_noerror:
		return fail(state, NO_DATA);
	default:
		return fail(state, NO_RECOVERY);
	}
}

static int query(res_state state, const char *name, int class, int type, unsigned char *reply,
		 int size)
{
	unsigned char message[NS_MAXDNAME + OPT_SIZE + NS_QFIXEDSZ + NS_HFIXEDSZ];
	int len = REAL(res_nmkquery)(state, ns_o_query, name, class, type, NULL, 0, NULL, message,
				     (int)sizeof(message));

	if (len <= 0)
		return fail(state, NO_RECOVERY);
	len = add_opt(state, message, len, (int)sizeof(message));
	len = send_query(state, message, len, reply, size);
	return len < 0 ? fail(state, TRY_AGAIN) : take_answer(state, reply, len < size ? len : size);
}

/* res_nquerydomain(3): @domain may be NULL. */
static int query_domain(res_state state, const char *host, const char *domain, int class, int type,
			unsigned char *reply, int size)
{
	char name[NS_MAXDNAME + 1];
	size_t len = strlen(host);
	int n;

	if (domain == NULL && len > 0 && host[len - 1] == '.')
		n = snprintf(name, sizeof(name), "%.*s", (int)len - 1, host);
	else if (domain == NULL)
		n = snprintf(name, sizeof(name), "%s", host);
	else
		n = snprintf(name, sizeof(name), "%s.%s", host, domain);
	if (n < 0 || (size_t)n >= sizeof(name))
		return fail(state, NO_RECOVERY);
	return query(state, name, class, type, reply, size);
}

/* Addresses are the proxy's business, which has a search list of its own, as for getaddrinfo(3). */
static bool is_searched(res_state state, const char *name, int type, unsigned dots)
{
	size_t len = strlen(name);

	if (len > 0 && name[len - 1] == '.')
		return false;
	if ((type == ns_t_a || type == ns_t_aaaa) && resolve_owner(name) == RESOLVE_OF_PROXY)
		return false;
	return dots == 0 ? (state->options & RES_DEFNAMES) != 0 : (state->options & RES_DNSRCH) != 0;
}

/* resolver(3): what is worse than "no such name" ends a search. */
static int search_list(res_state state, const char *name, int class, int type,
		       unsigned char *reply, int size, int *no_data, int *again)
{
	for (int i = 0; i < MAXDNSRCH && state->dnsrch[i] != NULL; i++) {
		const char *domain = state->dnsrch[i][0] == '.' ? state->dnsrch[i] + 1 : state->dnsrch[i];
		int n = query_domain(state, name, *domain != '\0' ? domain : NULL, class, type, reply,
				     size);

		if (n > 0)
			return n;
		if (errno == ECONNREFUSED && state->res_h_errno == TRY_AGAIN)
			return -2;
		*no_data |= state->res_h_errno == NO_DATA;
		*again |= state->res_h_errno == TRY_AGAIN;
		if (state->res_h_errno == NO_RECOVERY || (state->options & RES_DNSRCH) == 0)
			break;
	}
	return -1;
}

static int search(res_state state, const char *name, int class, int type, unsigned char *reply,
		  int size)
{
	int no_data = 0, again = 0, first = HOST_NOT_FOUND, n = -1;
	unsigned dots = 0;
	bool as_is;

	for (const char *at = name; *at != '\0'; at++)
		dots += *at == '.';
	as_is = dots >= state->ndots || !is_searched(state, name, type, dots);
	if (as_is) {
		n = query_domain(state, name, NULL, class, type, reply, size);
		first = state->res_h_errno;
		no_data = first == NO_DATA;
	}
	if (n > 0 || !is_searched(state, name, type, dots))
		return n;
	n = search_list(state, name, class, type, reply, size, &no_data, &again);
	if (n > 0)
		return n;
	if (n == -2)
		return fail(state, TRY_AGAIN);
	if (!as_is) {
		n = query_domain(state, name, NULL, class, type, reply, size);
		if (n > 0)
			return n;
		first = state->res_h_errno;
	}
	return fail(state, as_is && first != HOST_NOT_FOUND ? first : no_data ? NO_DATA :
			   again ? TRY_AGAIN : first);
}

/* The state of this thread, as the variants without an n have it; NULL without resolv.conf's settings. */
static res_state own_state(void)
{
	res_state state = &_res;

	if ((state->options & RES_INIT) == 0 && res_init() < 0) {
		h_errno = NETDB_INTERNAL;
		return NULL;
	}
	return state;
}

/* A function, the one for this thread's state, and their old names, which programs built before glibc 2.34 use. */
#define RESOLVER(with, without, fn, declared, passed)                          \
	EXPORT int with(res_state state, declared)                             \
	{                                                                      \
		preload_ready_network();                                       \
		return fn(state, passed);                                      \
	}                                                                      \
	EXPORT int without(declared)                                           \
	{                                                                      \
		res_state state;                                               \
                                                                               \
		preload_ready_network();                                       \
		state = own_state();                                           \
		return state != NULL ? fn(state, passed) : -1;                 \
	}                                                                      \
	EXPORT int __##with(res_state state, declared);                        \
	EXPORT int __##with(res_state state, declared)                         \
	{                                                                      \
		return with(state, passed);                                    \
	}                                                                      \
	EXPORT int __##without(declared);                                      \
	EXPORT int __##without(declared)                                       \
	{                                                                      \
		return without(passed);                                        \
	}

#define LIST(...) __VA_ARGS__

RESOLVER(res_nquery, res_query, query,
	 LIST(const char *name, int class, int type, unsigned char *reply, int size),
	 LIST(name, class, type, reply, size))
RESOLVER(res_nsearch, res_search, search,
	 LIST(const char *name, int class, int type, unsigned char *reply, int size),
	 LIST(name, class, type, reply, size))
RESOLVER(res_nquerydomain, res_querydomain, query_domain,
	 LIST(const char *host, const char *domain, int class, int type, unsigned char *reply, int size),
	 LIST(host, domain, class, type, reply, size))
RESOLVER(res_nsend, res_send, send_query,
	 LIST(const unsigned char *message, int len, unsigned char *reply, int size),
	 LIST(message, len, reply, size))
