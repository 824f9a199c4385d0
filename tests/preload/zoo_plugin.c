/* SPDX-License-Identifier: ISC */
/* zoo_plugin.c - a library that connects; zoo.test builds and zoo_load.c loads it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>

int plugin_connect(const struct sockaddr *addr, socklen_t len, int limit_ms);
void *plugin_load(const char *name);

int plugin_connect(const struct sockaddr *addr, socklen_t len, int limit_ms)
{
	struct timeval limit = { limit_ms / 1000, limit_ms % 1000 * 1000 };
	int fd = socket(addr->sa_family, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return connect(fd, addr, len) < 0 ? -errno : fd;
}

void *plugin_load(const char *name)
{
	return dlopen(name, RTLD_NOW);
}
