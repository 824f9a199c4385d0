/* SPDX-License-Identifier: ISC */
/* resolver_socket.c - daemons of this machine that resolve names for whoever asks. */
#include "socksify/resolver_socket.h"

#include <string.h>
#include <sys/un.h>

#include "socksify/sys.h"

#define PATH_ROOM (sizeof(((struct sockaddr_un *)0)->sun_path) + 1)

static const char *const sockets[] = {
	"/run/nscd/socket",			/* glibc's and unscd's name service cache */
	"/var/run/nscd/socket",
	"/run/.nscd_socket",			/* the same, before glibc 2.3 */
	"/var/run/.nscd_socket",
	"/run/systemd/resolve/io.systemd.Resolve", /* varlink: nss-resolve(8) */
	"/run/avahi-daemon/socket",		/* nss-mdns */
	"/var/run/avahi-daemon/socket",
	"/run/mdnsd",				/* Apple's mDNSResponder */
	"/var/run/mdnsd",
};

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* false for unnamed and abstract sockets, of which no such daemon has one. */
static bool get_path(const struct sockaddr *addr, socklen_t len, char ret[PATH_ROOM])
{
	size_t offset = offsetof(struct sockaddr_un, sun_path);
	size_t room = len > offset ? len - offset : 0;

	if (room >= PATH_ROOM)
		room = PATH_ROOM - 1;
	memcpy(ret, (const char *)addr + offset, room);
	ret[room] = '\0';
	room = strlen(ret);
	while (room > 1 && ret[room - 1] == '/')
		ret[--room] = '\0';
	return room > 0;
}

/* Do both lead to the same socket? */
static bool is_same(const char *a, const char *b)
{
	struct stat s, t;

	return strcmp(last_part(a), last_part(b)) == 0 && sys_stat(a, &s) == 0 &&
	       sys_stat(b, &t) == 0 && s.st_dev == t.st_dev && s.st_ino == t.st_ino;
}

bool resolver_socket_is(const struct sockaddr *addr, socklen_t len)
{
	char path[PATH_ROOM];

	if (!get_path(addr, len, path))
		return false;
	for (size_t i = 0; i < sizeof(sockets) / sizeof(sockets[0]); i++) {
		if (strcmp(path, sockets[i]) == 0)
			return true;
	}
	for (size_t i = 0; i < sizeof(sockets) / sizeof(sockets[0]); i++) {
		if (is_same(path, sockets[i]))
			return true;
	}
	return false;
}
