/* SPDX-License-Identifier: ISC */
/*
 * names.c - every libc call that turns a name into an address or back.
 * Prints one line a fact, the same with a resolver that knows the names of
 * the test as with the library.  Run by tests/integration/names.test.
 */
#include "names.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

const char *names_address(int family, const void *bytes, char text[INET6_ADDRSTRLEN])
{
	static const unsigned char v6[] = { 0xfd, 0x73, 0x6f, 0x63, 0x6b, 0x73, 0, 0 };
	const unsigned char *ip = bytes;

	if (family == AF_INET6 && IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)bytes) &&
	    ip[12] == 198 && (ip[13] & 254) == 18)
		return "mapped pool";
	if (family == AF_INET6 ? memcmp(ip, v6, sizeof(v6)) == 0 : ip[0] == 198 && (ip[1] & 254) == 18)
		return "pool";
	return inet_ntop(family, bytes, text, INET6_ADDRSTRLEN);
}

void names_list(const char *what, int error, const struct addrinfo *list)
{
	char text[INET6_ADDRSTRLEN];

	printf("%s: %s\n", what, error == 0 ? "found" : gai_strerror(error));
	for (; error == 0 && list != NULL; list = list->ai_next) {
		const struct sockaddr_in *in = (const void *)list->ai_addr;
		const struct sockaddr_in6 *in6 = (const void *)list->ai_addr;
		const void *bytes = list->ai_family == AF_INET6 ? (const void *)&in6->sin6_addr :
								   (const void *)&in->sin_addr;

		printf("  family %d type %d protocol %d length %u %s port %d scope %u name %s\n",
		       list->ai_family, list->ai_socktype, list->ai_protocol, list->ai_addrlen,
		       names_address(list->ai_family, bytes, text), ntohs(in->sin_port),
		       list->ai_family == AF_INET6 ? in6->sin6_scope_id : 0,
		       list->ai_canonname != NULL ? list->ai_canonname : "-");
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} parts[] = {
		{ "getaddrinfo", names_getaddrinfo }, { "getnameinfo", names_getnameinfo },
		{ "hostent", names_hostent },	      { "async", names_async },
		{ "res", names_res },		      { "waiting", names_waiting },
	};

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (argc == 2 && strcmp(argv[1], parts[i].name) == 0) {
			parts[i].run();
			return 0;
		}
	}
	fprintf(stderr, "usage: names getaddrinfo|getnameinfo|hostent|async|res|waiting\n");
	return 2;
}
