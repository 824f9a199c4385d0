/* SPDX-License-Identifier: ISC */
/* resolver_libc.c - what the libc that it is built with finds, whichever that is: resolver_libc NAME. */
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list;
	char text[256];
	int err = argc == 2 ? getaddrinfo(argv[1], NULL, &hints, &list) : EAI_FAIL;

	if (err != 0) {
		printf("%s\n", gai_strerror(err));
		return 1;
	}
	for (struct addrinfo *a = list; a != NULL; a = a->ai_next) {
		if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) == 0)
			printf("%s\n", text);
	}
	freeaddrinfo(list);
	return 0;
}
