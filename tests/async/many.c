/* SPDX-License-Identifier: ISC */
/* Counts how the connections of a program end. */

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "many.h"

#define ANSWER	 "hello through the proxy\n"
#define OUTCOMES 16

static struct {
	const char *name;
	unsigned number;
} outcomes[OUTCOMES];

static void count(const char *name)
{
	size_t i = 0;

	while (i < OUTCOMES - 1 && outcomes[i].name != NULL &&
	       strcmp(outcomes[i].name, name) != 0)
		i++;
	outcomes[i].name = name;
	outcomes[i].number++;
}

struct many *many_start(int argc, char **argv)
{
	struct many *many = calloc(1, sizeof *many);

	if (many == NULL || argc != 5)
		exit(2);
	many->host = argv[1];
	many->target.sin_family = AF_INET;
	many->target.sin_port = htons((in_port_t)atoi(argv[2]));
	many->count = many->left = (size_t)atoi(argv[3]);
	many->seconds = atof(argv[4]);
	many->talks = calloc(many->count, sizeof *many->talks);
	if (many->talks == NULL ||
	    inet_pton(AF_INET, argv[1], &many->target.sin_addr) != 1)
		exit(2);
	return many;
}

static void end(struct many *many, struct talk *talk, const char *outcome)
{
	if (talk->ended)
		return;
	talk->ended = true;
	many->left--;
	count(outcome);
}

void many_connected(struct many *many, struct talk *talk, int fd)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof peer;

	talk->connected = true;
	if (getpeername(fd, (struct sockaddr *)&peer, &length) < 0)
		end(many, talk, "early");
}

void many_received(struct talk *talk, const void *bytes, size_t size)
{
	size_t room = sizeof talk->answer - talk->length;

	if (size > room)
		size = room;
	memcpy(talk->answer + talk->length, bytes, size);
	talk->length += size;
}

void many_ended(struct many *many, struct talk *talk, int error)
{
	size_t tail = strlen(ANSWER);
	const char *name = error == 0 ? "cut" : strerror(error);

	if (error == 0 && talk->length >= tail &&
	    memcmp(talk->answer + talk->length - tail, ANSWER, tail) == 0)
		name = "ok";
	if (error == ECONNREFUSED)
		name = "ECONNREFUSED";
	end(many, talk, name);
}

void many_report(const struct many *many)
{
	for (size_t i = 0; i < many->count; i++)
		if (!many->talks[i].ended)
			count(many->talks[i].connected ? "silent" : "timeout");
	for (size_t i = 0; i < OUTCOMES && outcomes[i].name != NULL; i++)
		printf("%u %s\n", outcomes[i].number, outcomes[i].name);
}
