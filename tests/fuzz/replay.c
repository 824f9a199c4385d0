/* SPDX-License-Identifier: ISC */
/* replay.c - run a fuzz target over its committed corpus, and over every prefix of each file. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static int replay(const char *path)
{
	static uint8_t bytes[1 << 16];
	FILE *f = fopen(path, "rb");
	size_t len;

	if (f == NULL)
		return 0;
	len = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	for (size_t n = 0; n <= len; n++) {
		/* A copy of the exact size, so that reading past its end is seen. */
		uint8_t *copy = malloc(n + (n == 0));

		if (copy == NULL)
			return 0;
		memcpy(copy, bytes, n);
		LLVMFuzzerTestOneInput(copy, n);
		free(copy);
	}
	return 1;
}

int main(void)
{
	const char *top = getenv("top_srcdir");
	char folder[4096], path[4400];
	struct dirent *entry;
	int count = 0;
	DIR *d;

	snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus/%s", top != NULL ? top : ".", CORPUS);
	d = opendir(folder);
	while (d != NULL && (entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		count += replay(path);
	}
	if (d != NULL)
		closedir(d);
	printf("%s: %d files\n", folder, count);
	return count == 0;
}
