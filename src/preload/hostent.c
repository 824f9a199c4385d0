/* SPDX-License-Identifier: ISC */
/* hostent.c - gethostbyname(3), gethostbyaddr(3) and their variants. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "names.h"
#include "preload.h"
#include "real.h"

/* The rows of a hostent in the caller's buffer. */
struct layout {
	char *aliases[1];	/* never NULL: callers iterate */
	char *addresses[2];
	uint8_t address[16];
	char name[];
};

/* 0, or ERANGE when @size is too small; @buf needs no alignment. */
static int fill(struct hostent *ret, char *buf, size_t size, const char *name,
		const struct target *address)
{
	size_t skip = (size_t)(-(uintptr_t)buf & (_Alignof(struct layout) - 1));
	size_t len = strlen(name) + 1;
	struct layout *l = (struct layout *)(void *)(buf + skip);

	if (size < skip + sizeof(*l) + len)
		return ERANGE;
	memcpy(l->name, name, len);
	memcpy(l->address, address->ip, sizeof(l->address));
	l->aliases[0] = NULL;
	l->addresses[0] = (char *)l->address;
	l->addresses[1] = NULL;
	ret->h_name = l->name;
	ret->h_aliases = l->aliases;
	ret->h_addr_list = l->addresses;
	ret->h_addrtype = address->kind == TARGET_IPV6 ? AF_INET6 : AF_INET;
	ret->h_length = address->kind == TARGET_IPV6 ? 16 : 4;
	return 0;
}

static int h_errno_of(enum resolve_how how)
{
	switch (how) {
	case RESOLVE_AGAIN:
		return TRY_AGAIN;
	case RESOLVE_DOWN:
		return NO_RECOVERY;
	case RESOLVE_NOTHING:
	case RESOLVE_NO_ADDRESS:
	case RESOLVE_LIBC:
	case RESOLVE_FILE:
	case RESOLVE_ADDRESS:
		break;
	}
	return HOST_NOT_FOUND;
}

/* What gethostbyname_r(3) returns when there is no answer: 0 for an unknown name. */
static int error_of(enum resolve_how how)
{
	return how == RESOLVE_AGAIN ? EAGAIN : how == RESOLVE_DOWN ? ENETDOWN : 0;
}

/* The protocol of gethostbyname_r(3). */
static int answer(enum resolve_how how, const char *name, const struct target *address,
		  struct hostent *ret, char *buf, size_t size,
		  struct hostent **result, int *h_err)
{
	int err = how == RESOLVE_ADDRESS ? fill(ret, buf, size, name, address) : error_of(how);

	*result = NULL;
	if (how != RESOLVE_ADDRESS) {
		*h_err = h_errno_of(how);
	} else if (err != 0) {
		*h_err = NETDB_INTERNAL;
	} else {
		*h_err = NETDB_SUCCESS;
		*result = ret;
	}
	if (err != 0)
		errno = err;
	return err;
}

/*
 * What libc takes for an address, or for a mistake in one, and asks nobody
 * for: made of digits and dots, or with a colon of what IPv6 addresses are made of.
 */
static bool is_address(const char *name)
{
	bool colon = strchr(name, ':') != NULL;
	size_t len = strspn(name, colon ? "0123456789abcdefABCDEF:." : "0123456789.");

	return len > 0 && name[len] == '\0' && name[0] != '.' && name[len - 1] != '.';
}

/* The name as DNS has it, without the dot that only stops searches. */
static void to_dns(const char *name, char ret[NAMES_ROOM])
{
	size_t len = strnlen(name, NAMES_ROOM + 1);

	if (len > 1 && len <= NAMES_ROOM && name[len - 1] == '.')
		len--;
	if (len >= NAMES_ROOM)
		len = 0; /* too long: no name */
	memcpy(ret, name, len);
	ret[len] = '\0';
}

/*
 * @name: what libc is to be asked for, if it is RESOLVE_LIBC
 * @dns:  the name that an answer has
 */
static enum resolve_how resolve_hostent(const char *restrict *name, int family, char dns[NAMES_ROOM],
					struct target *ret)
{
	enum resolve_how how;

	if (is_address(*name))
		return RESOLVE_LIBC;
	if (family != AF_INET && family != AF_INET6)
		return RESOLVE_NOTHING;
	preload_ready_network();
	to_dns(*name, dns);
	/* "0x7f.1": libc would ask for it, and a proxy would take it for an address. */
	how = names_is_numeric(dns) ? RESOLVE_NOTHING : resolve_name(dns, family, ret);
	if (how != RESOLVE_LIBC && how != RESOLVE_FILE)
		return how;
	nss_keep_local();
	if (how == RESOLVE_FILE)
		*name = dns;
	return RESOLVE_LIBC;
}

/* gethostbyname2_r(3) */
EXPORT int gethostbyname2_r(const char *restrict name, int family, struct hostent *restrict ret,
			    char *restrict buf, size_t size, struct hostent **restrict result,
			    int *restrict h_err)
{
	struct target address;
	char dns[NAMES_ROOM];
	enum resolve_how how = resolve_hostent(&name, family, dns, &address);

	if (how == RESOLVE_LIBC)
		return REAL(gethostbyname2_r)(name, family, ret, buf, size, result, h_err);
	return answer(how, dns, &address, ret, buf, size, result, h_err);
}

/* gethostbyname_r(3) */
EXPORT int gethostbyname_r(const char *restrict name, struct hostent *restrict ret,
			   char *restrict buf, size_t size, struct hostent **restrict result,
			   int *restrict h_err)
{
	struct target address;
	char dns[NAMES_ROOM];
	enum resolve_how how = resolve_hostent(&name, AF_INET, dns, &address);

	if (how == RESOLVE_LIBC)
		return REAL(gethostbyname_r)(name, ret, buf, size, result, h_err);
	return answer(how, dns, &address, ret, buf, size, result, h_err);
}

/*
 * The variants without _r return static storage, as libc's do.  Threads that
 * call them at the same time, which POSIX forbids, do not get the same one.
 */
#define STATIC_COUNT 8
static struct answer {
	struct hostent entry;
	char buf[sizeof(struct layout) + TARGET_NAME_MAX + 1 + _Alignof(struct layout)];
} answers[STATIC_COUNT];

static struct hostent *static_answer(enum resolve_how how, const char *name,
				     const struct target *address)
{
	static _Atomic unsigned next;
	struct answer *a = &answers[atomic_fetch_add(&next, 1) % STATIC_COUNT];
	struct hostent *result;
	int h_err;

	(void)answer(how, name, address, &a->entry, a->buf, sizeof(a->buf), &result, &h_err);
	if (result == NULL)
		h_errno = h_err;
	return result;
}

/* gethostbyname2(3) */
EXPORT struct hostent *gethostbyname2(const char *name, int family)
{
	struct target address;
	char dns[NAMES_ROOM];
	enum resolve_how how = resolve_hostent(&name, family, dns, &address);

	if (how == RESOLVE_LIBC)
		return REAL(gethostbyname2)(name, family);
	return static_answer(how, dns, &address);
}

/* gethostbyname(3) */
EXPORT struct hostent *gethostbyname(const char *name)
{
	struct target address;
	char dns[NAMES_ROOM];
	enum resolve_how how = resolve_hostent(&name, AF_INET, dns, &address);

	if (how == RESOLVE_LIBC)
		return REAL(gethostbyname)(name);
	return static_answer(how, dns, &address);
}

/* RESOLVE_LIBC also for what libc should refuse itself. */
static enum resolve_how resolve_bytes(const void *addr, socklen_t len, int family,
				      struct target *address, struct target *name)
{
	union sockaddr_any any = { 0 };
	void *to = family == AF_INET6 ? (void *)&any.in6.sin6_addr : (void *)&any.in.sin_addr;
	size_t want = family == AF_INET6 ? 16 : 4;
	enum resolve_how how;

	preload_ready_network();
	if ((family != AF_INET && family != AF_INET6) || len != want)
		return RESOLVE_LIBC;
	any.sa.sa_family = (sa_family_t)family;
	memcpy(to, addr, want);
	if (target_from_sockaddr(&any.sa, sizeof(any), address) < 0)
		return RESOLVE_NOTHING;
	how = names_of_address(family, address, name);
	/* An answer has the address that was asked for, mapped or not. */
	address->kind = family == AF_INET6 ? TARGET_IPV6 : TARGET_IPV4;
	memcpy(address->ip, addr, want);
	return how;
}

/* gethostbyaddr_r(3) */
EXPORT int gethostbyaddr_r(const void *restrict addr, socklen_t len, int family,
			   struct hostent *restrict ret, char *restrict buf, size_t size,
			   struct hostent **restrict result, int *restrict h_err)
{
	struct target address, name;
	enum resolve_how how = resolve_bytes(addr, len, family, &address, &name);

	if (how == RESOLVE_LIBC)
		return REAL(gethostbyaddr_r)(addr, len, family, ret, buf, size, result, h_err);
	return answer(how, name.name, &address, ret, buf, size, result, h_err);
}

/* gethostbyaddr(3) */
EXPORT struct hostent *gethostbyaddr(const void *addr, socklen_t len, int family)
{
	struct target address, name;
	enum resolve_how how = resolve_bytes(addr, len, family, &address, &name);

	if (how == RESOLVE_LIBC)
		return REAL(gethostbyaddr)(addr, len, family);
	return static_answer(how, name.name, &address);
}
