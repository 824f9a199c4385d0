/* SPDX-License-Identifier: ISC */
/* names.c - getaddrinfo(3) and getnameinfo(3). */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "preload.h"
#include "real.h"
#include "socksify/resolve.h"

#define IDN_FLAGS (AI_IDN | AI_CANONIDN)

static int eai_of(enum resolve_how how)
{
	switch (how) {
	case RESOLVE_NO_ADDRESS:
		return EAI_NODATA;
	case RESOLVE_AGAIN:
		return EAI_AGAIN;
	case RESOLVE_DOWN:
		errno = ENETDOWN;
		return EAI_SYSTEM;
	case RESOLVE_NOTHING:
	case RESOLVE_LIBC:
	case RESOLVE_ADDRESS:
		break;
	}
	return EAI_NONAME;
}

/* libc frees the canonical name with the list, so it must be malloc's. */
static int set_canonical_name(struct addrinfo *list, const char *name)
{
	char *copy = strdup(name);

	if (copy == NULL)
		return EAI_MEMORY;
	free(list->ai_canonname);
	list->ai_canonname = copy;
	return 0;
}

/* libc builds the answer from the numeric address: services, order and memory are its own. */
static int build_list(const struct target *address, const char *node, const char *service,
		      const struct addrinfo *asked, struct addrinfo **ret)
{
	struct addrinfo hints = *asked;
	char text[INET6_ADDRSTRLEN];
	int family = address->kind == TARGET_IPV6 ? AF_INET6 : AF_INET;
	int err;

	if (inet_ntop(family, address->ip, text, sizeof(text)) == NULL)
		return EAI_NONAME;
	hints.ai_family = family;
	hints.ai_flags = (hints.ai_flags | AI_NUMERICHOST) &
			 ~(AI_ADDRCONFIG | AI_CANONNAME | AI_V4MAPPED | AI_ALL | IDN_FLAGS);
	err = REAL(getaddrinfo)(text, service, &hints, ret);
	if (err == 0 && (asked->ai_flags & AI_CANONNAME) != 0) {
		err = set_canonical_name(*ret, node);
		if (err != 0)
			freeaddrinfo(*ret);
	}
	return err;
}

/* The lists of several addresses, one behind the other, as libc's own is built of malloc's parts. */
static int build_all(const struct resolve_list *list, const char *node, const char *service,
		     const struct addrinfo *asked, struct addrinfo **ret)
{
	struct addrinfo hints = *asked, *first = NULL, **end = &first;
	int err = 0;

	for (size_t i = 0; i < list->count && err == 0; i++) {
		err = build_list(&list->addresses[i], node, service, &hints, end);
		if (err != 0)
			break;
		hints.ai_flags &= ~AI_CANONNAME; /* the first alone has it */
		while (*end != NULL)
			end = &(*end)->ai_next;
	}
	if (err == 0) {
		*ret = first;
	} else {
		*end = NULL;
		if (first != NULL)
			freeaddrinfo(first);
	}
	return err;
}

/* getaddrinfo(3) */
EXPORT int getaddrinfo(const char *restrict node, const char *restrict service,
		       const struct addrinfo *restrict hints, struct addrinfo **restrict ret)
{
	/* What glibc takes for no hints. */
	struct addrinfo asked = { .ai_flags = AI_V4MAPPED | AI_ADDRCONFIG };
	struct addrinfo numeric;
	struct resolve_list list;
	enum resolve_how how;
	int err;

	if (node == NULL)
		return REAL(getaddrinfo)(node, service, hints, ret);
	preload_ready_network();
	if (hints != NULL)
		asked = *hints;
	/* libc itself knows best what is numeric: "1.2", "0x7f.1", "fe80::1%eth0". */
	numeric = asked;
	numeric.ai_flags = (numeric.ai_flags | AI_NUMERICHOST) & ~IDN_FLAGS;
	err = REAL(getaddrinfo)(node, service, &numeric, ret);
	if (err != EAI_NONAME || (asked.ai_flags & AI_NUMERICHOST) != 0)
		return err;
	how = resolve_all(node, asked.ai_family, &list);
	if (how == RESOLVE_LIBC)
		return REAL(getaddrinfo)(node, service, hints, ret);
	if (how != RESOLVE_ADDRESS)
		return eai_of(how);
	return build_all(&list, node, service, &asked, ret);
}

/* getnameinfo(3) */
EXPORT int getnameinfo(const struct sockaddr *restrict addr, socklen_t len,
		       char *restrict host, socklen_t host_size,
		       char *restrict serv, socklen_t serv_size, int flags)
{
	struct target address, name;
	enum resolve_how how;
	int err;

	if ((flags & NI_NUMERICHOST) != 0 || host == NULL || host_size == 0 ||
	    target_from_sockaddr(addr, len, &address) < 0)
		return REAL(getnameinfo)(addr, len, host, host_size, serv, serv_size, flags);
	preload_ready_network();
	how = resolve_address(&address, &name);
	if (how == RESOLVE_LIBC)
		return REAL(getnameinfo)(addr, len, host, host_size, serv, serv_size, flags);
	if (how != RESOLVE_ADDRESS && (flags & NI_NAMEREQD) != 0)
		return EAI_NONAME;
	if (how != RESOLVE_ADDRESS)
		return REAL(getnameinfo)(addr, len, host, host_size, serv, serv_size,
					 flags | NI_NUMERICHOST);
	err = 0;
	if (serv != NULL && serv_size > 0)
		err = REAL(getnameinfo)(addr, len, NULL, 0, serv, serv_size,
					(flags | NI_NUMERICHOST) & ~NI_NAMEREQD);
	if (err != 0)
		return err;
	if (name.name_len >= host_size)
		return EAI_OVERFLOW;
	memcpy(host, name.name, name.name_len + 1u);
	return 0;
}
