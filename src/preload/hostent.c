/* SPDX-License-Identifier: ISC */
/* hostent.c - gethostbyname(3), gethostbyaddr(3) and their variants. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "preload.h"
#include "real.h"
#include "socksify/resolve.h"

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
	case RESOLVE_NO_ADDRESS:
		return NO_DATA;
	case RESOLVE_AGAIN:
		return TRY_AGAIN;
	case RESOLVE_DOWN:
		return NO_RECOVERY;
	case RESOLVE_NOTHING:
	case RESOLVE_LIBC:
	case RESOLVE_ADDRESS:
		break;
	}
	return HOST_NOT_FOUND;
}

/* The protocol of gethostbyname_r(3): 0 and no result for an unknown name, ERANGE for a small buffer. */
static int answer(enum resolve_how how, const char *name, const struct target *address,
		  struct hostent *ret, char *buf, size_t size,
		  struct hostent **result, int *h_err)
{
	int err;

	*result = NULL;
	if (how != RESOLVE_ADDRESS) {
		*h_err = h_errno_of(how);
		return how == RESOLVE_AGAIN ? EAGAIN : 0;
	}
	err = fill(ret, buf, size, name, address);
	if (err != 0) {
		*h_err = NETDB_INTERNAL;
		errno = err;
		return err;
	}
	*h_err = NETDB_SUCCESS;
	*result = ret;
	return 0;
}

static enum resolve_how resolve_hostent(const char *name, int family, struct target *ret)
{
	struct in6_addr any;

	preload_ready_network();
	if (inet_aton(name, (struct in_addr *)(void *)&any) != 0 ||
	    inet_pton(AF_INET6, name, &any) == 1)
		return RESOLVE_LIBC; /* numeric */
	return resolve_name(name, family, ret);
}

/* gethostbyname2_r(3) */
EXPORT int gethostbyname2_r(const char *restrict name, int family, struct hostent *restrict ret,
			    char *restrict buf, size_t size, struct hostent **restrict result,
			    int *restrict h_err)
{
	struct target address;
	enum resolve_how how = resolve_hostent(name, family, &address);

	if (how == RESOLVE_LIBC)
		return REAL(gethostbyname2_r)(name, family, ret, buf, size, result, h_err);
	return answer(how, name, &address, ret, buf, size, result, h_err);
}

/* gethostbyname_r(3) */
EXPORT int gethostbyname_r(const char *restrict name, struct hostent *restrict ret,
			   char *restrict buf, size_t size, struct hostent **restrict result,
			   int *restrict h_err)
{
	struct target address;
	enum resolve_how how = resolve_hostent(name, AF_INET, &address);

	if (how == RESOLVE_LIBC)
		return REAL(gethostbyname_r)(name, ret, buf, size, result, h_err);
	return answer(how, name, &address, ret, buf, size, result, h_err);
}

/* The variants without _r return static storage, as libc's do. */
static struct hostent static_hostent;
static char static_buf[sizeof(struct layout) + TARGET_NAME_MAX + 2 + _Alignof(struct layout)];

static struct hostent *static_answer(enum resolve_how how, const char *name,
				     const struct target *address)
{
	struct hostent *result;
	int h_err;

	(void)answer(how, name, address, &static_hostent, static_buf, sizeof(static_buf),
		     &result, &h_err);
	if (result == NULL)
		h_errno = h_err;
	return result;
}

/* gethostbyname2(3) */
EXPORT struct hostent *gethostbyname2(const char *name, int family)
{
	struct target address;
	enum resolve_how how = resolve_hostent(name, family, &address);

	if (how == RESOLVE_LIBC)
		return REAL(gethostbyname2)(name, family);
	return static_answer(how, name, &address);
}

/* gethostbyname(3) */
EXPORT struct hostent *gethostbyname(const char *name)
{
	struct target address;
	enum resolve_how how = resolve_hostent(name, AF_INET, &address);

	if (how == RESOLVE_LIBC)
		return REAL(gethostbyname)(name);
	return static_answer(how, name, &address);
}

/* RESOLVE_LIBC also for what libc should refuse itself. */
static enum resolve_how resolve_bytes(const void *addr, socklen_t len, int family,
				      struct target *address, struct target *name)
{
	union sockaddr_any any = { 0 };
	void *to = family == AF_INET6 ? (void *)&any.in6.sin6_addr : (void *)&any.in.sin_addr;
	size_t want = family == AF_INET6 ? 16 : 4;

	preload_ready_network();
	if ((family != AF_INET && family != AF_INET6) || len != want)
		return RESOLVE_LIBC;
	any.sa.sa_family = (sa_family_t)family;
	memcpy(to, addr, want);
	if (target_from_sockaddr(&any.sa, sizeof(any), address) < 0)
		return RESOLVE_NOTHING;
	return resolve_address(address, name);
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
