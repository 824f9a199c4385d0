/* SPDX-License-Identifier: ISC */
/* fuzz_nsswitch.c - "files" stands in front, all the rest in its order, and once arranged it stays so. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "socksify/nsswitch.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* In storage of just this size, so that a write past the end is seen. */
static char *arrange(const char *text, size_t len, size_t size)
{
	char *line = malloc(size);

	require(line != NULL);
	nsswitch_files_first(text, len, line, size);
	require(memchr(line, '\0', size) != NULL);
	require(strcmp(line, "files") == 0 || strncmp(line, "files ", 6) == 0);
	require(strchr(line, '\n') == NULL && strchr(line, '#') == NULL);
	return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	static const size_t rooms[] = { sizeof("files dns"), 16, 64, 256 };
	const char *text = (const char *)octets;

	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		char *line = arrange(text, size, rooms[i]), *again, again_text[300];
		int n = snprintf(again_text, sizeof(again_text), "hosts: %s", line);

		require(n > 0 && (size_t)n < sizeof(again_text));
		again = arrange(again_text, (size_t)n, rooms[i]);
		require(strcmp(line, again) == 0);
		free(again);
		free(line);
	}
	return 0;
}
