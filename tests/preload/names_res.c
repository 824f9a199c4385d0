/* SPDX-License-Identifier: ISC */
/* names_res.c - the resolver(3) library. */
#include "names.h"

#include <arpa/nameser.h>
#include <dlfcn.h>
#include <resolv.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The name of programs that were built before glibc 2.34; new ones cannot be linked to it. */
typedef int query_fn(const char *name, int class, int type, unsigned char *reply, int size);

static int old_query(const char *name, int class, int type, unsigned char *answer, int size)
{
	/* The first finds what is preloaded, the second what libc has. */
	void *fn = dlsym(RTLD_DEFAULT, "__res_query");

	if (fn == NULL)
		fn = dlvsym(RTLD_DEFAULT, "__res_query", "GLIBC_2.2.5");
	return fn != NULL ? ((query_fn *)(uintptr_t)fn)(name, class, type, answer, size) : -1;
}

static unsigned char reply[4096];

static void show(const char *what, const char *name, int len)
{
	char text[INET6_ADDRSTRLEN];
	ns_msg message;
	ns_rr rr;

	printf("%s %.300s: %s\n", what, name, len > 0 ? "answer" : hstrerror(h_errno));
	if (len <= 0 || ns_initparse(reply, len, &message) < 0)
		return;
	printf("  rcode %u\n", ns_msg_getflag(message, ns_f_rcode));
	for (int i = 0; i < ns_msg_count(message, ns_s_an); i++) {
		if (ns_parserr(&message, ns_s_an, i, &rr) < 0)
			continue;
		printf("  %s type %u", ns_rr_name(rr), ns_rr_type(rr));
		if (ns_rr_type(rr) == ns_t_a || ns_rr_type(rr) == ns_t_aaaa)
			printf(" %s", names_address(ns_rr_type(rr) == ns_t_a ? AF_INET : AF_INET6,
						    ns_rr_rdata(rr), text));
		printf("\n");
	}
}

static void all(const char *name, int type)
{
	struct __res_state state;
	unsigned char query[512];
	int len;

	memset(&state, 0, sizeof(state));
	memset(reply, 0, sizeof(reply));
	show("res_query", name, res_query(name, ns_c_in, type, reply, sizeof(reply)));
	show("__res_query", name, old_query(name, ns_c_in, type, reply, sizeof(reply)));
	show("res_search", name, res_search(name, ns_c_in, type, reply, sizeof(reply)));
	show("res_querydomain", name,
	     res_querydomain(name, "known.test", ns_c_in, type, reply, sizeof(reply)));
	printf("init %d\n", res_ninit(&state));
	len = res_nquery(&state, name, ns_c_in, type, reply, sizeof(reply));
	show("res_nquery", name, len);
	printf("  res_h_errno %d\n", len > 0 ? 0 : state.res_h_errno);
	show("res_nsearch", name, res_nsearch(&state, name, ns_c_in, type, reply, sizeof(reply)));
	state.options |= RES_USE_EDNS0 | RES_USE_DNSSEC;
	show("with EDNS", name, res_nquery(&state, name, ns_c_in, type, reply, sizeof(reply)));
	len = res_nmkquery(&state, ns_o_query, name, ns_c_in, type, NULL, 0, NULL, query, sizeof(query));
	printf("query %d\n", len > 0);
	if (len > 0) {
		show("res_nsend", name, res_nsend(&state, query, len, reply, sizeof(reply)));
		show("res_send", name, res_send(query, len, reply, sizeof(reply)));
		printf("  the same ID %d\n", memcmp(query, reply, 2) == 0);
	}
	res_nclose(&state);
}

void names_res(void)
{
	all("www.known.test", ns_t_a);
	all("WWW.known.test", ns_t_aaaa);
	all("www.known.test.", ns_t_a);
	all("a..b.known.test", ns_t_a);
}
