/* SPDX-License-Identifier: ISC */
/* resolver_cares.c - what c-ares finds: resolver_cares NAME FAMILY, FAMILY being 4, 6 or 0. */
#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>

static void found(void *arg, int status, int timeouts, struct ares_addrinfo *list)
{
	char text[INET6_ADDRSTRLEN];

	(void)timeouts;
	*(int *)arg = status;
	if (status != ARES_SUCCESS) {
		printf("%s\n", ares_strerror(status));
		return;
	}
	for (struct ares_addrinfo_node *n = list->nodes; n != NULL; n = n->ai_next) {
		const void *ip = n->ai_family == AF_INET6 ?
			(const void *)&((struct sockaddr_in6 *)(void *)n->ai_addr)->sin6_addr :
			(const void *)&((struct sockaddr_in *)(void *)n->ai_addr)->sin_addr;

		printf("%s\n", inet_ntop(n->ai_family, ip, text, sizeof(text)));
	}
	ares_freeaddrinfo(list);
}

int main(int argc, char **argv)
{
	struct ares_addrinfo_hints hints = { .ai_socktype = SOCK_STREAM };
	ares_channel channel;
	int status = -1;

	if (argc != 3 || ares_library_init(ARES_LIB_INIT_ALL) != 0 || ares_init(&channel) != 0)
		return 2;
	hints.ai_family = atoi(argv[2]) == 4 ? AF_INET : atoi(argv[2]) == 6 ? AF_INET6 : AF_UNSPEC;
	ares_getaddrinfo(channel, argv[1], NULL, &hints, found, &status);
	for (;;) {
		struct timeval wait, *limit = ares_timeout(channel, NULL, &wait);
		fd_set in, out;
		int count;

		FD_ZERO(&in);
		FD_ZERO(&out);
		count = ares_fds(channel, &in, &out);
		if (count == 0)
			break;
		select(count, &in, &out, NULL, limit);
		ares_process(channel, &in, &out);
	}
	ares_destroy(channel);
	return status != ARES_SUCCESS;
}
