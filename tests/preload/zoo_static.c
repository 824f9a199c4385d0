/* SPDX-License-Identifier: ISC */
/* zoo_static.c - connects; zoo.test links it statically: zoo_static [TRICK|PATH]... V4 V6 PORT NAME MS ... */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static const char request[] = "GET /hello HTTP/1.0\r\n\r\n";
	struct sockaddr_in to = { .sin_family = AF_INET };
	struct timeval limit;
	char answer[4096];
	size_t len = 0;
	ssize_t n;
	int at = 1, fd;

	while (at < argc && inet_pton(AF_INET, argv[at], &to.sin_addr) != 1)
		at++;
	if (at + 4 >= argc)
		return 99;
	to.sin_port = htons((unsigned short)atoi(argv[at + 2]));
	limit = (struct timeval){ atoi(argv[at + 4]) / 1000, atoi(argv[at + 4]) % 1000 * 1000 };
	fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
	    send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
		return 1;
	while (len < sizeof(answer) - 1 &&
	       (n = recv(fd, answer + len, sizeof(answer) - 1 - len, 0)) > 0)
		len += (size_t)n;
	answer[len] = '\0';
	return strstr(answer, "hello through the proxy") == NULL;
}
