/* SPDX-License-Identifier: ISC */
/* resolve.c - who answers for a name: this machine, the name pool, or nobody. */
#include "socksify/resolve.h"

#include <string.h>
#include <strings.h>

#include "socksify/hosts.h"
#include "socksify/namepool.h"
#include "socksify/resolver.h"
#include "socksify/route.h"

#define LABEL_MAX 63 /* RFC 1035 section 2.3.4 */

static bool is_valid(const char *name, size_t len)
{
	size_t label = 0;

	if (len == 0 || len > TARGET_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		label = name[i] == '.' ? 0 : label + 1;
		if (label > LABEL_MAX || (name[i] == '.' && i + 1 < len && name[i + 1] == '.'))
			return false;
	}
	return name[0] != '.';
}

static bool ends_with(const char *name, size_t len, const char *end)
{
	size_t n = strlen(end);

	return len > n && strncasecmp(name + len - n, end, n) == 0;
}

static bool is_localhost(const char *name, size_t len)
{
	return (len == 9 && strncasecmp(name, "localhost", 9) == 0) ||
	       ends_with(name, len, ".localhost");
}

/* RFC 7686: no resolver is to be asked. */
static bool is_onion(const char *name, size_t len)
{
	return (len == 5 && strncasecmp(name, "onion", 5) == 0) || ends_with(name, len, ".onion");
}

/*
 * What DNS could tell of, as libc sees it (res_hnok(3)): no answer for another
 * name is ever taken.  Octets above 127 are the proxy's business.  A number
 * with a final dot is none either, but a proxy might take it for an address.
 */
static bool is_host_name(const char *name, size_t len)
{
	bool digits = true;

	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)name[i];
		bool digit = c >= '0' && c <= '9';
		bool letter = (c | 32) >= 'a' && (c | 32) <= 'z';

		if (!digit && !letter && c != '-' && c != '_' && c != '.' && c < 128)
			return false;
		digits = digits && (digit || c == '.');
	}
	return name[0] != '-' && !digits;
}

static enum resolve_how from_pool(const char *name, size_t len, int family, bool both,
				  struct resolve_list *ret)
{
	if (!is_host_name(name, len))
		return RESOLVE_NOTHING;
	/* The proxy is asked for the name as typed, without the dot that only stops searches. */
	if (namepool_address(name, len, family, &ret->addresses[0]) < 0)
		return RESOLVE_AGAIN;
	if (family == AF_UNSPEC && both &&
	    namepool_address(name, len, AF_INET6, &ret->addresses[1]) == 0)
		ret->count = 2;
	return RESOLVE_ADDRESS;
}

struct wanted {
	const char *name;
	size_t len;
	unsigned known;		/* HOSTS_ bits */
};

static enum resolve_owner owner_of(struct wanted *w)
{
	const struct config *config = route_config();

	if (w->len > 1 && w->name[w->len - 1] == '.')
		w->len--;
	if (!is_valid(w->name, w->len))
		return RESOLVE_OF_NOBODY;
	if (is_onion(w->name, w->len))
		return config != NULL ? RESOLVE_OF_ONION : RESOLVE_OF_UNKNOWN;
	if (config != NULL && config->dns == DNS_LOCAL)
		return RESOLVE_OF_SYSTEM;
	w->known = hosts_find(w->name, w->len);
	if ((w->known & (HOSTS_V4 | HOSTS_V6)) != 0)
		return RESOLVE_OF_HOSTS;
	if (is_localhost(w->name, w->len) || w->known == HOSTS_OWN)
		return RESOLVE_OF_MACHINE;
	if (config == NULL)
		return RESOLVE_OF_UNKNOWN;
	return config_name_is_direct(config, w->name) ? RESOLVE_OF_DIRECT : RESOLVE_OF_PROXY;
}

enum resolve_owner resolve_owner(const char *name)
{
	struct wanted w = { .name = name, .len = strlen(name) };

	return owner_of(&w);
}

/* libc would go on to DNS for a family that the file lacks, if it may. */
static enum resolve_how from_hosts(unsigned known, int family)
{
	unsigned wanted = family == AF_INET ? HOSTS_V4 :
			  family == AF_INET6 ? HOSTS_V6 : HOSTS_V4 | HOSTS_V6;

	return (known & wanted) != 0 || !resolve_has_direct_names() ? RESOLVE_FILE
								   : RESOLVE_NO_ADDRESS;
}

enum resolve_how resolve_all(const char *name, int family, bool both, struct resolve_list *ret)
{
	struct wanted w = { .name = name, .len = strlen(name) };

	ret->count = 1;
	switch (owner_of(&w)) {
	case RESOLVE_OF_SYSTEM:
	case RESOLVE_OF_DIRECT:
		return RESOLVE_LIBC;
	case RESOLVE_OF_HOSTS:
		return from_hosts(w.known, family);
	case RESOLVE_OF_MACHINE:
		ret->addresses[0] = target_loopback(family, 0);
		return RESOLVE_ADDRESS;
	case RESOLVE_OF_PROXY:
		if (resolve_has_resolver())
			return resolver_addresses(name, w.len, family, ret);
		return from_pool(name, w.len, family, both, ret);
	case RESOLVE_OF_ONION:
		return from_pool(name, w.len, family, both, ret);
	case RESOLVE_OF_UNKNOWN:
		return RESOLVE_DOWN;
	case RESOLVE_OF_NOBODY:
		break;
	}
	return RESOLVE_NOTHING;
}

enum resolve_how resolve_name(const char *name, int family, struct target *ret)
{
	struct resolve_list list;
	enum resolve_how how = resolve_all(name, family, false, &list);

	if (how == RESOLVE_ADDRESS)
		*ret = list.addresses[0];
	return how;
}

struct sought {
	const struct target *address;
	bool found;
};

static bool note_address(const struct target *address, const char *name,
			 size_t len, void *arg)
{
	struct sought *s = arg;

	(void)name;
	(void)len;
	s->found = target_host_equal(address, s->address);
	return !s->found;
}

enum resolve_how resolve_address(const struct target *address, struct target *ret)
{
	struct sought s = { address, false };

	if (namepool_name(address, ret) == 0)
		return RESOLVE_ADDRESS;
	if (namepool_contains(address))
		return RESOLVE_NOTHING;
	if (resolve_is_local())
		return RESOLVE_LIBC;
	hosts_each(note_address, &s);
	if (s.found)
		return RESOLVE_FILE;
	if (!resolve_has_resolver() || target_is_private(address))
		return RESOLVE_NOTHING;
	return resolver_name(address, ret);
}

bool resolve_has_resolver(void)
{
	const struct config *config = route_config();

	return config != NULL && (config->dns == DNS_TCP || config->dns == DNS_TOR);
}

bool resolve_is_local(void)
{
	return route_config() != NULL && route_config()->dns == DNS_LOCAL;
}

bool resolve_has_direct_names(void)
{
	return route_config() != NULL && config_has_direct_names(route_config());
}
