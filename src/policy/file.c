/* SPDX-License-Identifier: ISC */
/* file.c - whole files, without stdio: this runs inside other people's programs. */
#include "policy.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX ((size_t)16 << 20)

/* Not realloc(): the file may hold a password. */
static int grow(struct span *text, size_t *size)
{
	size_t bigger = *size == 0 ? 4096 : *size * 2;
	uint8_t *more;

	if (bigger > FILE_MAX)
		return -EFBIG;
	more = malloc(bigger);
	if (more == NULL)
		return -ENOMEM;
	if (text->len > 0)
		memcpy(more, text->data, text->len);
	file_release(&(struct span){ text->data, text->len });
	text->data = more;
	*size = bigger;
	return 0;
}

static int read_all(int fd, struct span *text)
{
	size_t size = 0;

	for (;;) {
		ssize_t n;

		if (text->len == size) {
			int err = grow(text, &size);

			if (err < 0)
				return err;
		}
		n = read(fd, text->data + text->len, size - text->len);
		if (n == 0)
			return 0;
		if (n > 0)
			text->len += (size_t)n;
		else if (errno != EINTR)
			return -errno;
	}
}

int file_read(const char *path, struct span *ret, bool *ret_open_to_all)
{
	struct span text = { NULL, 0 };
	struct stat st;
	int err = 0, fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return -errno;
	if (ret_open_to_all != NULL) {
		if (fstat(fd, &st) < 0)
			err = -errno;
		else
			*ret_open_to_all = S_ISREG(st.st_mode) &&
					   (st.st_mode & (S_IRGRP | S_IROTH)) != 0;
	}
	if (err == 0)
		err = read_all(fd, &text);
	close(fd);
	if (err < 0)
		file_release(&text);
	else
		*ret = text;
	return err;
}

void file_release(struct span *text)
{
	if (text->data != NULL)
		explicit_bzero(text->data, text->len);
	free(text->data);
	*text = (struct span){ NULL, 0 };
}

int path_expand(const char *text, size_t len, const char *home, char **ret,
		char error[CONFIG_ERROR_SIZE])
{
	bool in_home = len > 1 && text[0] == '~' && text[1] == '/';

	if (in_home && (home == NULL || home[0] != '/'))
		return fail(error, -EINVAL,
			    "'%s' needs HOME, which is not set: write an absolute path",
			    shown_word(text, len).text);
	if (!in_home && text[0] != '/')
		return fail(error, -EINVAL,
			    "'%s' is not an absolute path: begin it with / or ~/",
			    shown_word(text, len).text);
	if (asprintf(ret, "%s%.*s", in_home ? home : "",
		     (int)(in_home ? len - 1 : len),
		     in_home ? text + 1 : text) < 0)
		return fail(error, -ENOMEM, "out of memory");
	return 0;
}
