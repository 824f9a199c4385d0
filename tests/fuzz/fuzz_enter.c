/* SPDX-License-Identifier: ISC */
/*
 * fuzz_enter.c - a program file of any octets: it is entered or refused, with
 * words for it, the same each time; and no library that is no ELF file passes.
 */
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "socksify/enter.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static bool has_magic(const uint8_t *octets, size_t size)
{
	return size >= SELFMAG && memcmp(octets, ELFMAG, SELFMAG) == 0;
}

/* What it says must not depend on the files of this machine, nor open its devices. */
static bool names_another_file(const uint8_t *octets, size_t size)
{
	size_t line = size < INSPECTION_LINE_SIZE ? size : INSPECTION_LINE_SIZE;

	return size >= 2 && memcmp(octets, "#!", 2) == 0 && memchr(octets, '/', line) != NULL;
}

static void check_verdict(const struct inspection *i, int err)
{
	bool enters = i->verdict == INSPECTION_ENTERABLE || i->verdict == INSPECTION_SHELL_TEXT;
	const char *text = inspection_text(i->verdict);

	require(enters == (err == 0));
	require(text != NULL && strstr(text, ": ") != NULL);
	require(memchr(i->path, '\0', INSPECTION_LINE_SIZE) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	struct inspection first, second, library;
	char path[INSPECTION_FD_PATH_SIZE];
	int fd, err;

	if (names_another_file(octets, size))
		return 0;
	fd = memfd_create("program", MFD_CLOEXEC);
	require(fd >= 0 && (size == 0 || write(fd, octets, size) == (ssize_t)size));
	inspection_fd_path(fd, path);
	err = inspect_program(path, &first);
	check_verdict(&first, err);
	require(inspect_program_at(fd, "", &second) == err && second.verdict == first.verdict);
	/* Empty, it is neither; with a magic number it is never taken for text. */
	require(!(has_magic(octets, size) && first.verdict == INSPECTION_SHELL_TEXT));
	if (inspect_library(path, &library) == 0)
		require(has_magic(octets, size) && size >= sizeof(ElfW(Ehdr)));
	close(fd);
	return 0;
}
