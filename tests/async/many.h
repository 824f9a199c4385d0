/* SPDX-License-Identifier: ISC */
/* Programs that make many connects at once with one library: what they share.
 */

#ifndef SOCKSIFY_TESTS_MANY_H
#define SOCKSIFY_TESTS_MANY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#define MANY_REQUEST "GET /hello HTTP/1.0\r\n\r\n"

/* One connection, from its connect to the end of the answer. */
struct talk {
	bool connected;
	bool ended;
	size_t length;
	char answer[1024];
};

/* What the command line asks for: PROGRAM ADDRESS PORT COUNT SECONDS */
struct many {
	const char *host;
	struct sockaddr_in target;
	double seconds;
	size_t count;
	size_t left; /* connections that have not ended */
	struct talk *talks;
};

/* Reads the command line; ends the program when it is not right. */
struct many *many_start(int argc, char **argv);

/* The library says that @fd is connected; when it is not, that ends it. */
void many_connected(struct many *many, struct talk *talk, int fd);

/* @size bytes came. */
void many_received(struct talk *talk, const void *bytes, size_t size);

/* The connection is over: @error is its errno, or 0 at the end of the stream.
 */
void many_ended(struct many *many, struct talk *talk, int error);

/* Prints how many ended how, in the words of waiters.py. */
void many_report(const struct many *many);

#endif
