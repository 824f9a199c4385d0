/* SPDX-License-Identifier: ISC */
/* names.c - getaddrinfo(3) and getnameinfo(3). */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "preload.h"
#include "real.h"

static int eai_of(enum resolve_how how)
{
	switch (how) {
	case RESOLVE_AGAIN:
		return EAI_AGAIN;
	case RESOLVE_DOWN:
		errno = ENETDOWN;
		return EAI_SYSTEM;
	case RESOLVE_NOTHING:
	case RESOLVE_NO_ADDRESS:
	case RESOLVE_LIBC:
	case RESOLVE_FILE:
	case RESOLVE_ADDRESS:
		break;
	}
	return EAI_NONAME;
}

/* libc frees the canonical name with the list, so it must be malloc's. */
static int set_canonical_name(struct addrinfo *list, char *name)
{
	if (name == NULL)
		return EAI_MEMORY;
	free(list->ai_canonname);
	list->ai_canonname = name;
	return 0;
}

#define MAPPED "::ffff:"	/* RFC 4291 section 2.5.5.2 */

/* An address as text, in the form that the program asked for.  Returns its family. */
static int address_text(const struct target *address, int asked_family,
			char ret[sizeof(MAPPED) + INET6_ADDRSTRLEN])
{
	bool mapped = asked_family == AF_INET6 && address->kind == TARGET_IPV4;
	int family = address->kind == TARGET_IPV6 ? AF_INET6 : AF_INET;

	strcpy(ret, mapped ? MAPPED : "");
	(void)!inet_ntop(family, address->ip, ret + strlen(ret), INET6_ADDRSTRLEN);
	return mapped ? AF_INET6 : family;
}

/* libc builds the answer from the numeric address: services, order and memory are its own. */
static int build_list(const struct target *address, const char *name, const char *service,
		      const struct addrinfo *asked, struct addrinfo **ret)
{
	struct addrinfo hints = *asked;
	char text[sizeof(MAPPED) + INET6_ADDRSTRLEN];
	int err;

	hints.ai_family = address_text(address, asked->ai_family, text);
	hints.ai_flags = (hints.ai_flags | AI_NUMERICHOST) &
			 ~(AI_ADDRCONFIG | AI_CANONNAME | AI_V4MAPPED | AI_ALL | NAMES_IDN_FLAGS);
	err = REAL(getaddrinfo)(text, service, &hints, ret);
	if (err == 0 && (asked->ai_flags & AI_CANONNAME) != 0) {
		err = set_canonical_name(*ret, (asked->ai_flags & AI_CANONIDN) != 0 ?
						       idn_to_unicode(name) : strdup(name));
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

/* There is no such name.  Before libc says so it complains of flags, family and service. */
static int refuse(int why, const char *node, const char *service, const struct addrinfo *asked,
		  struct addrinfo **ret)
{
	struct addrinfo hints = *asked;
	int err;

	hints.ai_flags = (hints.ai_flags | AI_NUMERICHOST) & ~(AI_ADDRCONFIG | NAMES_IDN_FLAGS);
	err = REAL(getaddrinfo)(node, service, &hints, ret);
	return err == EAI_NONAME ? why : err;
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* "1.2" and "0x7f.1" are addresses, too; the rest after a space is not. */
static bool is_ipv4(const char *text)
{
	struct in_addr address;

	if (inet_aton(text, &address) == 0)
		return false;
	while (*text != '\0' && !is_space(*text))
		text++;
	return *text == '\0';
}

/* What is behind '%' is libc's business (RFC 4007 section 11). */
static bool is_ipv6(const char *text)
{
	size_t len = strcspn(text, "%");
	char host[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	return inet_pton(AF_INET6, host, &address) == 1;
}

bool names_is_numeric(const char *text)
{
	return is_ipv4(text) || is_ipv6(text);
}

/* Will libc find the answer, or the mistake, without asking anybody for a name? */
static bool is_plain(const char *node, const struct addrinfo *asked)
{
	if (node == NULL || (node[0] == '*' && node[1] == '\0'))
		return true; /* no name */
	if ((asked->ai_flags & AI_NUMERICHOST) != 0 || names_is_numeric(node))
		return true;
	return asked->ai_family != AF_UNSPEC && asked->ai_family != AF_INET &&
	       asked->ai_family != AF_INET6;
}

/* What glibc takes for no hints. */
static struct addrinfo hints_of(const struct addrinfo *hints)
{
	return hints != NULL ? *hints : (struct addrinfo){ .ai_flags = AI_V4MAPPED | AI_ADDRCONFIG };
}

/* The name as DNS has it, without the dot that only stops searches.  0 or an EAI_ error. */
static int to_dns(const char *node, int flags, char ret[NAMES_ROOM])
{
	bool ascii = true;
	size_t len;

	for (len = 0; len <= NAMES_ROOM && node[len] != '\0'; len++)
		ascii = ascii && (signed char)node[len] >= 0;
	if (!ascii && (flags & AI_IDN) != 0)
		return idn_to_dns(node, ret);
	if (len > 1 && node[len - 1] == '.')
		len--;
	if (len >= NAMES_ROOM)
		return EAI_NONAME;
	memcpy(ret, node, len);
	ret[len] = '\0';
	return 0;
}

bool names_waits(const char *node, const struct addrinfo *hints)
{
	struct addrinfo asked = hints_of(hints);
	enum resolve_owner owner;
	char name[NAMES_ROOM];

	if (is_plain(node, &asked) || to_dns(node, asked.ai_flags, name) != 0)
		return false;
	owner = resolve_owner(name);
	return owner == RESOLVE_OF_SYSTEM || owner == RESOLVE_OF_DIRECT ||
	       (owner == RESOLVE_OF_PROXY && resolve_has_resolver());
}

/*
 * AI_V4MAPPED and AI_ALL as libc has them: IPv4 addresses in the form of IPv6
 * where there are no others, or beside those.
 */
static enum resolve_how resolve_asked(const char *name, const struct addrinfo *asked,
				      struct resolve_list *ret)
{
	/* Who asks for what is of use here is told of one way: IPv4, which every program knows. */
	bool both = (asked->ai_flags & AI_ADDRCONFIG) == 0;
	bool maps = asked->ai_family == AF_INET6 && (asked->ai_flags & AI_V4MAPPED) != 0;
	enum resolve_how how;

	if (maps && (asked->ai_flags & AI_ALL) != 0)
		return resolve_all(name, AF_UNSPEC, true, ret);
	how = resolve_all(name, asked->ai_family, both, ret);
	if (maps && how == RESOLVE_NO_ADDRESS && resolve_has_resolver())
		how = resolve_all(name, AF_INET, both, ret);
	return how;
}

/* getaddrinfo(3) of a name. */
static int look_up(const char *node, const char *service, const struct addrinfo *hints,
		   struct addrinfo **ret)
{
	struct addrinfo asked = hints_of(hints);
	struct resolve_list list;
	enum resolve_how how;
	char name[NAMES_ROOM];
	int err = to_dns(node, asked.ai_flags, name);

	if (err != 0)
		return refuse(err, node, service, &asked, ret);
	how = resolve_asked(name, &asked, &list);
	switch (how) {
	case RESOLVE_LIBC:
		nss_keep_local();
		return REAL(getaddrinfo)(node, service, hints, ret);
	case RESOLVE_FILE:
		nss_keep_local();
		return REAL(getaddrinfo)(name, service, hints, ret);
	case RESOLVE_ADDRESS:
		return build_all(&list, name, service, &asked, ret);
	case RESOLVE_NOTHING:
	case RESOLVE_NO_ADDRESS:
	case RESOLVE_AGAIN:
	case RESOLVE_DOWN:
		break;
	}
	return refuse(eai_of(how), node, service, &asked, ret);
}

/* getaddrinfo(3) */
EXPORT int getaddrinfo(const char *restrict node, const char *restrict service,
		       const struct addrinfo *restrict hints, struct addrinfo **restrict ret)
{
	struct addrinfo asked = hints_of(hints);

	if (is_plain(node, &asked))
		return REAL(getaddrinfo)(node, service, hints, ret);
	preload_ready_network();
	return look_up(node, service, hints, ret);
}

enum resolve_how names_of_address(int family, const struct target *address, struct target *ret)
{
	enum resolve_how how = resolve_address(address, ret);
	bool mapped = family == AF_INET6 && address->kind == TARGET_IPV4;

	if (how != RESOLVE_LIBC && how != RESOLVE_FILE)
		return how;
	/* libc does not find a mapped address in the file, and would ask for it. */
	if (how == RESOLVE_FILE && mapped)
		return RESOLVE_NOTHING;
	nss_keep_local();
	return RESOLVE_LIBC;
}

/* The name of an address in the caller's words: 0 or an EAI_ error. */
static int give_name(const struct target *name, const struct sockaddr *addr, socklen_t len,
		     char *host, socklen_t host_size, char *serv, socklen_t serv_size, int flags)
{
	char digits[NI_MAXHOST];
	/* libc looks at the flags and finds the service. */
	int err = REAL(getnameinfo)(addr, len, digits, sizeof(digits), serv, serv_size,
				    (flags | NI_NUMERICHOST) & ~NI_NAMEREQD);

	if (err != 0)
		return err;
	if (name->name_len >= host_size)
		return EAI_OVERFLOW;
	memcpy(host, name->name, name->name_len + 1u);
	return 0;
}

/* getnameinfo(3) */
EXPORT int getnameinfo(const struct sockaddr *restrict addr, socklen_t len,
		       char *restrict host, socklen_t host_size,
		       char *restrict serv, socklen_t serv_size, int flags)
{
	struct target address, name;
	int err;

	if ((flags & NI_NUMERICHOST) != 0 || host == NULL || host_size == 0 || addr == NULL ||
	    target_from_sockaddr(addr, len, &address) < 0)
		return REAL(getnameinfo)(addr, len, host, host_size, serv, serv_size, flags);
	preload_ready_network();
	switch (names_of_address(addr->sa_family, &address, &name)) {
	case RESOLVE_LIBC:
		return REAL(getnameinfo)(addr, len, host, host_size, serv, serv_size, flags);
	case RESOLVE_ADDRESS:
		return give_name(&name, addr, len, host, host_size, serv, serv_size, flags);
	case RESOLVE_FILE:
	case RESOLVE_NOTHING:
	case RESOLVE_NO_ADDRESS:
	case RESOLVE_AGAIN:
	case RESOLVE_DOWN:
		break;
	}
	err = REAL(getnameinfo)(addr, len, host, host_size, serv, serv_size,
				(flags | NI_NUMERICHOST) & ~NI_NAMEREQD);
	return err == 0 && (flags & NI_NAMEREQD) != 0 ? EAI_NONAME : err;
}
