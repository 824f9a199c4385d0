/* SPDX-License-Identifier: ISC */
/* target.h - where a connection is to go: an address or a name, and a port. */
#ifndef SOCKSIFY_TARGET_H
#define SOCKSIFY_TARGET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#define TARGET_NAME_MAX 255 /* RFC 1928 section 5: one length octet */
#define TARGET_TEXT_SIZE (TARGET_NAME_MAX + 9) /* "[name]:65535" and NUL */

#define MUST_CHECK __attribute__((warn_unused_result))

enum target_kind { TARGET_NONE, TARGET_IPV4, TARGET_IPV6, TARGET_NAME };

struct target {
	enum target_kind kind;
	uint16_t port;		/* host byte order */
	uint8_t name_len;	/* TARGET_NAME: 1 .. 255 */
	uint8_t ip[16];		/* TARGET_IPV4: the first four, network order */
	char name[TARGET_NAME_MAX + 1];	/* TARGET_NAME, NUL-terminated */
};

/* An address is a fraction of what a name may be, and only so much of it is copied. */
static inline void target_copy(struct target *to, const struct target *from)
{
	if (from->kind == TARGET_NAME)
		*to = *from;
	else
		memcpy(to, from, offsetof(struct target, name));
}

union sockaddr_any {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/*
 * sockaddr_keep - what a program passed to the kernel, for what shows it the peer again.
 * @addr: @len octets, of AF_INET or AF_INET6; need not be aligned
 * Returns the length in @ret: that of the family, or @len if that is less.
 */
socklen_t sockaddr_keep(const struct sockaddr *addr, socklen_t len, union sockaddr_any *ret);

/*
 * target_from_sockaddr - the address that a program passed to the kernel.
 * @addr: @len bytes; need not be aligned
 * @ret:  a v4-mapped IPv6 address (RFC 4291 section 2.5.5.2) becomes IPv4
 * Returns 0, -EINVAL when @len is too short for the family, or
 * -EAFNOSUPPORT for families other than AF_INET and AF_INET6.
 */
MUST_CHECK int target_from_sockaddr(const struct sockaddr *addr, socklen_t len,
				    struct target *ret);

/* Make a v4-mapped IPv6 address the IPv4 address that it carries; leave others alone. */
void target_unmap(struct target *t);

/*
 * target_to_sockaddr - an address for a socket of @family.
 * @t:      TARGET_IPV4 or TARGET_IPV6
 * @family: AF_INET or AF_INET6; an IPv4 target becomes ::ffff:a.b.c.d for the latter
 * Returns the length of the address in @ret, or -EAFNOSUPPORT when the
 * family cannot carry the target (IPv6 on AF_INET, or a name).
 */
MUST_CHECK int target_to_sockaddr(const struct target *t, int family,
				  union sockaddr_any *ret);

/*
 * target_from_host - a numeric address as RFC 4291 and dotted quads write it
 * ("192.0.2.1", "2001:db8::1"), else a name of 1 .. 255 octets.
 * @host: @len octets, no brackets, no NUL inside
 * Returns 0, or -EINVAL for an empty or too long host or one with a NUL.
 */
MUST_CHECK int target_from_host(const char *host, size_t len, uint16_t port,
				struct target *ret);

/*
 * target_loopback - this machine's address of a family: 127.0.0.1 or ::1.
 * @family: AF_INET or AF_INET6
 */
struct target target_loopback(int family, uint16_t port);

/* Is the address 127.0.0.0/8, ::1, 0.0.0.0 or :: (both mean this host to connect(2))? */
bool target_is_loopback(const struct target *t);

/*
 * target_is_private - is it an address of this machine, or of the network that
 * it is in (RFC 1918, 3927, 4193, 4291)?  No server in the world knows its name
 * (RFC 6303), and to ask for it tells about the network.
 */
bool target_is_private(const struct target *t);

/* Same kind, same address or (case-insensitively) same name; ports are not compared. */
bool target_host_equal(const struct target *a, const struct target *b);

/* target_host_equal(), and the same port. */
bool target_equal(const struct target *a, const struct target *b);

/*
 * target_text - "host:port", an IPv6 address in brackets; control octets of
 * a name are shown as '?'.  Async-signal-safe.
 * Returns @buf, NUL-terminated.
 */
const char *target_text(const struct target *t, char buf[TARGET_TEXT_SIZE]);

#endif
