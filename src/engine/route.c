/* SPDX-License-Identifier: ISC */
/* route.c - what becomes of traffic from a socket to an address. */
#include "socksify/route.h"

#include <errno.h>
#include <string.h>

#include "socksify/fdtab.h"
#include "socksify/log.h"
#include "socksify/namepool.h"
#include "socksify/resolver_socket.h"
#include "socksify/report.h"
#include "socksify/sys.h"

#define NS_PER_MS 1000000

static const struct config *config;
static const char *config_error;

void route_setup(const struct config *c, const char *error)
{
	config = c;
	config_error = error;
}

const struct config *route_config(void)
{
	return config;
}

int64_t route_deadline(int64_t now)
{
	unsigned ms = config->timeout_ms;

	return ms != 0 ? now + (int64_t)ms * NS_PER_MS : ROUTE_NEVER;
}

/* A socket option that is an int, or -errno. */
static int socket_int(int fd, int name)
{
	int value = 0, err;
	socklen_t len = sizeof(value);

	err = sys_getsockopt(fd, SOL_SOCKET, name, &value, &len);
	return err < 0 ? err : value;
}

/* What a socket speaks, as far as the rules care; 0 for no Internet socket. */
enum speech { SPEAKS_NOTHING, SPEAKS_TCP, SPEAKS_UDP, SPEAKS_OTHER };

static const char *speech_word(enum speech speech)
{
	switch (speech) {
	case SPEAKS_TCP:
		return "tcp";
	case SPEAKS_UDP:
		return "udp";
	case SPEAKS_OTHER:
	case SPEAKS_NOTHING:
		break;
	}
	return "raw";
}

static void tell(enum event_verdict verdict, enum speech speech, const struct target *t,
		 const char *why)
{
	if (report_is_on())
		report_verdict(verdict, speech_word(speech), t, why);
}

static int refuse(enum speech speech, const struct target *t, int err, const char *why)
{
	tell(EVENT_REFUSED, speech, t, why);
	return err;
}

static void tell_direct(int fd, enum speech speech, const struct target *t, const char *why)
{
	if (speech == SPEAKS_TCP && report_is_on())
		report_direct_tcp(fd, t, why);
	else
		tell(EVENT_DIRECT, speech, t, why);
}

/*
 * An enum speech, or -errno: then nobody knows, and to take it for no Internet
 * socket would let it go past the proxy.
 *
 * A raw socket may have IPPROTO_TCP too, so the type comes first; a stream of
 * another family is told by its protocol (0 for AF_UNIX and AF_VSOCK).
 */
static int speech_of(int fd)
{
	int type, protocol, domain;

	unsigned marks = fdtab_marks(fd);

	if ((marks & FD_TCP) != 0)
		return SPEAKS_TCP;
	if ((marks & FD_UDP) != 0)
		return SPEAKS_UDP;
	type = socket_int(fd, SO_TYPE);
	if (type < 0)
		return type == -EBADF || type == -ENOTSOCK ? SPEAKS_NOTHING : type;
	protocol = socket_int(fd, SO_PROTOCOL);
	if (protocol < 0)
		return protocol;
	if (type == SOCK_STREAM && (protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP))
		return SPEAKS_TCP;
	domain = socket_int(fd, SO_DOMAIN);
	if (domain < 0)
		return domain;
	if (type == SOCK_DGRAM && protocol == IPPROTO_UDP && (domain == AF_INET || domain == AF_INET6)) {
		fdtab_note_udp(fd);
		return SPEAKS_UDP;
	}
	/* Some families of sockets take Internet addresses, too (SMC, RDS). */
	if (domain != AF_INET && domain != AF_INET6)
		return domain == AF_UNIX ? SPEAKS_NOTHING : SPEAKS_OTHER;
	return SPEAKS_OTHER;
}

int route_is_tcp(int fd)
{
	int speech = speech_of(fd);

	return speech < 0 ? speech : speech == SPEAKS_TCP;
}

int route_check(void)
{
	if (config != NULL)
		return 0;
	log_line(LOG_LEVEL_ERROR, config_error, NULL);
	return -ENETDOWN;
}

/*
 * Queries to a resolver on this machine leave it all the same, so but in local
 * mode loopback is no excuse for port 53: only a rule is.
 */
static bool is_hidden_query(const struct target *t, const struct decision *d)
{
	return config->dns != DNS_LOCAL && t->port == 53 &&
	       d->action == RULE_DIRECT && d->rule == NULL && target_is_loopback(t);
}

/* Multicast (RFC 5771, RFC 4291 section 2.7) and broadcast. */
static bool is_many(const struct target *t)
{
	static const uint8_t broadcast[4] = { 255, 255, 255, 255 };

	return (t->kind == TARGET_IPV4 &&
		((t->ip[0] & 0xf0) == 0xe0 || memcmp(t->ip, broadcast, sizeof(broadcast)) == 0)) ||
	       (t->kind == TARGET_IPV6 && t->ip[0] == 0xff);
}

/*
 * Does a rule say that queries to the name server go there by themselves?  One
 * that says so of a whole network (a LAN, with the router that resolves names
 * in it) means its hosts, not all the names that anybody asks there for.
 */
static bool is_excused(const struct decision *d)
{
	return d->action == RULE_DIRECT && d->rule != NULL &&
	       (d->rule->pattern.has_ports || d->rule->pattern.kind == PATTERN_ALL);
}

/*
 * A query is for us, whoever it is sent to.  In local mode too, for .onion's
 * sake (RFC 7686), whoever it is asked by.
 */
static bool is_query(enum speech speech, const struct target *t, const struct decision *d)
{
	return (speech == SPEAKS_UDP || speech == SPEAKS_TCP) && t->port == 53 &&
	       d->action != RULE_BLOCK && !is_excused(d) && !is_many(t);
}

static int take_query(struct route *route, const struct decision *d)
{
	route->verdict = ROUTE_PROXY;
	route->is_query = true;
	route->otherwise = d->action == RULE_VIA ? ROUTE_PROXY : ROUTE_DIRECT;
	return 0;
}

static int decide(int fd, enum speech speech, struct route *route)
{
	const struct target *t = &route->target;
	struct decision d = config_decide(config, t,
					  speech == SPEAKS_TCP ? PROTO_TCP : PROTO_UDP);

	route->why = d.why;
	route->proxy = d.proxy;
	if (is_query(speech, t, &d))
		return take_query(route, &d);
	if (is_hidden_query(t, &d))
		return refuse(speech, t, -ECONNREFUSED, "a local resolver would ask for us");
	switch (d.action) {
	case RULE_DIRECT:
		/*
		 * A rule of ports alone makes a name direct that has an address of the pool.
		 * To find the real one may take a wait, which connect(2) of a socket that
		 * does not block must not; and before that nobody knew the port.
		 */
		if (t->kind == TARGET_NAME)
			return refuse(speech, t, -EHOSTUNREACH,
				      "a direct rule for the port alone resolves no name: write direct HOST:PORT");
		tell_direct(fd, speech, t, d.why);
		route->verdict = ROUTE_DIRECT;
		return 0;
	case RULE_BLOCK:
		route->verdict = ROUTE_BLOCK;
		tell(EVENT_BLOCKED, speech, t, d.why);
		return 0;
	case RULE_VIA:
		break;
	}
	if (speech == SPEAKS_OTHER)
		return refuse(speech, t, -EPERM, "only TCP and UDP can be proxied");
	if (speech == SPEAKS_UDP && is_many(t))
		return refuse(speech, t, -ENETUNREACH, "no proxy relays to many at once: make it direct");
	route->verdict = ROUTE_PROXY;
	return 0;
}

int route_for_socket(int fd, const struct sockaddr *addr, socklen_t len,
		     struct route *ret)
{
	sa_family_t family;
	int speech, err;

	ret->verdict = ret->otherwise = ROUTE_DIRECT;
	ret->is_datagram = ret->is_query = false;
	ret->proxy = NULL;
	ret->why = NULL;
	ret->target.kind = TARGET_NONE;
	if (addr == NULL || len < sizeof(family))
		return 0; /* the kernel says EFAULT or EINVAL */
	memcpy(&family, addr, sizeof(family));
	if (family == AF_UNIX)
		/* They would ask on our behalf: for the program there is no such daemon. */
		return (config == NULL || config->dns != DNS_LOCAL) &&
		       resolver_socket_is(addr, len) ? -ENOENT : 0;
	if (family != AF_INET && family != AF_INET6)
		return 0;
	speech = speech_of(fd);
	if (speech <= SPEAKS_NOTHING)
		return speech;
	ret->is_datagram = speech == SPEAKS_UDP;
	if (target_from_sockaddr(addr, len, &ret->target) < 0)
		return 0;
	err = route_check();
	if (err < 0)
		return err;
	if (namepool_contains(&ret->target)) {
		err = namepool_name(&ret->target, &ret->target);
		if (err < 0)
			return refuse((enum speech)speech, &ret->target, -EHOSTUNREACH,
				      "no name was given this address");
	}
	return decide(fd, (enum speech)speech, ret);
}

int route_for_send(int fd, const struct sockaddr *addr, socklen_t len, struct route *ret)
{
	union sockaddr_any inet;

	if (addr == NULL || len < sizeof(inet.in) || addr->sa_family != AF_UNSPEC)
		return route_for_socket(fd, addr, len, ret);
	memcpy(&inet, addr, sizeof(inet.in));
	inet.in.sin_family = AF_INET;
	return route_for_socket(fd, &inet.sa, sizeof(inet.in), ret);
}

bool route_is_direct(const struct target *from)
{
	return config != NULL && config_decide(config, from, PROTO_UDP).action == RULE_DIRECT;
}
