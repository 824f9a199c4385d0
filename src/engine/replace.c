/* SPDX-License-Identifier: ISC */
/* replace.c - another socket in the place of the program's, with all that belongs to it. */
#include "socksify/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>

#include "socksify/epreg.h"
#include "socksify/fdtab.h"
#include "socksify/lock.h"
#include "socksify/sys.h"
#include "socksify/tunnel.h"

_Atomic bool replace_happened;

static int copy_option(int from, int to, int level, int name)
{
	uint8_t old[32], now[32];
	socklen_t old_len = sizeof(old), now_len = sizeof(now);

	if (sys_getsockopt(from, level, name, old, &old_len) < 0)
		return 0;
	if (sys_getsockopt(to, level, name, now, &now_len) == 0 && old_len == now_len &&
	    memcmp(old, now, old_len) == 0)
		return 0;
	return sys_setsockopt(to, level, name, old, old_len);
}

/* The kernel takes half of what it tells (socket(7)). */
static void copy_room(int from, int to, int name)
{
	int octets = sys_get_int(from, SOL_SOCKET, name);

	if (octets == 0 || octets == sys_get_int(to, SOL_SOCKET, name))
		return;
	octets /= 2;
	(void)!sys_setsockopt(to, SOL_SOCKET, name, &octets, sizeof(octets));
}

int replace_copy_options(int from, int to)
{
	static const struct { int level, name; } options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE }, { SOL_SOCKET, SO_LINGER },
		{ SOL_SOCKET, SO_OOBINLINE }, { SOL_SOCKET, SO_PRIORITY },
		{ SOL_SOCKET, SO_RCVTIMEO }, { SOL_SOCKET, SO_SNDTIMEO },
		{ SOL_SOCKET, SO_REUSEADDR }, { SOL_SOCKET, SO_REUSEPORT },
		{ SOL_SOCKET, SO_DONTROUTE },
		{ IPPROTO_TCP, TCP_NODELAY }, { IPPROTO_TCP, TCP_KEEPIDLE },
		{ IPPROTO_TCP, TCP_KEEPINTVL }, { IPPROTO_TCP, TCP_KEEPCNT },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT }, { IPPROTO_TCP, TCP_CONGESTION },
		{ IPPROTO_TCP, TCP_SYNCNT }, { IPPROTO_TCP, TCP_NOTSENT_LOWAT },
		{ IPPROTO_IP, IP_TOS }, { IPPROTO_IPV6, IPV6_TCLASS },
	};
	int marked, bound;

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		(void)!copy_option(from, to, options[i].level, options[i].name);
	copy_room(from, to, SO_RCVBUF);
	copy_room(from, to, SO_SNDBUF);
	marked = copy_option(from, to, SOL_SOCKET, SO_MARK);
	bound = copy_option(from, to, SOL_SOCKET, SO_BINDTODEVICE);
	return marked < 0 ? marked : bound;
}

static void put_onto(int fd, void *arg)
{
	(void)!sys_dup_onto(*(const int *)arg, fd, sys_is_cloexec(fd));
}

void replace_put(struct conn *conn, int fd, int fresh)
{
	int flags = sys_get_flags(fd);

	epreg_lift(conn);
	fdtab_each_number(conn, put_onto, &fresh);
	if (flags >= 0)
		(void)!sys_set_flags(fresh, flags);
	epreg_lay(conn);
	sys_close(fresh);
}

/* What connect(2) says of a socket that is not at its beginning. */
static int check_unconnected(int fd)
{
	struct tcp_info tcp = { .tcpi_state = 0 };
	socklen_t len = sizeof(tcp);
	int err = sys_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &tcp, &len);

	if (err < 0)
		return err == -EBADF ? err : -EAFNOSUPPORT;
	switch (tcp.tcpi_state) {
	case TCP_CLOSE:
		return 0;
	case TCP_SYN_SENT:
	case TCP_SYN_RECV:
		return -EALREADY;
	default:
		return -EISCONN;
	}
}

/* The port that @addr names, of any address; -EADDRNOTAVAIL when it names an address, too. */
static int port_of_any(const union sockaddr_any *addr)
{
	if (addr->sa.sa_family == AF_INET)
		return addr->in.sin_addr.s_addr == htonl(INADDR_ANY) ? ntohs(addr->in.sin_port)
								     : -EADDRNOTAVAIL;
	return IN6_IS_ADDR_UNSPECIFIED(&addr->in6.sin6_addr) ? ntohs(addr->in6.sin6_port)
							     : -EADDRNOTAVAIL;
}

static int bind_to(int fd, int family, int port)
{
	const struct target any = { .kind = family == AF_INET ? TARGET_IPV4 : TARGET_IPV6,
				    .port = (uint16_t)port };
	union sockaddr_any addr;
	int len = target_to_sockaddr(&any, family, &addr);

	return len < 0 ? len : sys_bind(fd, &addr, (socklen_t)len);
}

/* IPv6 alone, so that a port is not taken by the socket that is replaced. */
static int dress(int from, int to, int family, int port)
{
	int on = 1, err = 0, tos = sys_get_int(from, IPPROTO_IP, IP_TOS);

	if (family == AF_INET6)
		err = sys_setsockopt(to, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (err == 0 && family == AF_INET6 && tos != 0)
		(void)!sys_setsockopt(to, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
	if (err == 0 && replace_copy_options(from, to) < 0)
		err = -EAFNOSUPPORT;
	if (err == 0 && port > 0)
		err = bind_to(to, family, port);
	return err;
}

/* A socket of @family that is what @fd is otherwise.  Its fd or -errno. */
static int make_like(int fd, int family)
{
	union sockaddr_any local;
	socklen_t len = sizeof(local);
	int fresh, port, err = check_unconnected(fd);

	if (err == 0)
		err = sys_getsockname(fd, &local, &len);
	if (err < 0)
		return err;
	if (local.sa.sa_family == family)
		return -EAFNOSUPPORT; /* connect(2) was given an address of another family */
	port = port_of_any(&local);
	if (port < 0)
		return port;
	fresh = sys_socket(family, SOCK_STREAM | SOCK_CLOEXEC,
			   sys_get_int(fd, SOL_SOCKET, SO_PROTOCOL));
	if (fresh < 0)
		return fresh;
	err = dress(fd, fresh, family, port);
	if (err == 0)
		return fresh;
	sys_close(fresh);
	return err;
}

int replace_prepare(int fd)
{
	return make_like(fd, AF_INET6);
}

void replace_stand_in(struct conn *conn, int fd, int fresh)
{
	sigset_t mask;

	atomic_store(&replace_happened, true);
	lock_engine(&mask);
	replace_put(conn, fd, fresh);
	atomic_store(&conn->replaced, true);
	unlock_engine(&mask);
}

void replace_undo(struct conn *conn, int fd)
{
	sigset_t mask;
	int fresh;

	if (!atomic_load(&conn->replaced))
		return;
	lock_engine(&mask);
	fresh = atomic_load(&conn->replaced) ? make_like(fd, AF_INET) : -EALREADY;
	if (fresh >= 0) {
		replace_put(conn, fd, fresh);
		atomic_store(&conn->replaced, false);
		epreg_show(conn, false);
	}
	unlock_engine(&mask);
}

static bool stands_in(const struct conn *conn, int fd)
{
	return atomic_load(&conn->replaced) &&
	       (conn_state(conn) != CONN_CONNECTED || tunnel_is_of(conn, fd));
}

bool replace_is(int fd)
{
	struct conn *conn = fdtab_get(fd);
	bool is = conn != NULL && stands_in(conn, fd);

	if (conn != NULL)
		conn_unref(conn);
	return is;
}

void replace_local(union sockaddr_any *addr, socklen_t *len)
{
	struct sockaddr_in in = { .sin_family = AF_INET };

	if (addr->sa.sa_family != AF_INET6)
		return;
	in.sin_port = addr->in6.sin6_port;
	if (IN6_IS_ADDR_LOOPBACK(&addr->in6.sin6_addr))
		in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*addr = (union sockaddr_any){ .in = in };
	*len = sizeof(in);
}

bool replace_name(int fd, union sockaddr_any *ret, socklen_t *ret_len)
{
	union sockaddr_any local;
	socklen_t len = sizeof(local);

	if (!replace_is(fd) || sys_getsockname(fd, &local, &len) < 0)
		return false;
	replace_local(&local, &len);
	*ret = local;
	*ret_len = len;
	return true;
}
