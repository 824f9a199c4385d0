/* SPDX-License-Identifier: ISC */
/* log.c - lines for people, to a file or to the stderr that the program started with. */
#include "socksify/log.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include "socksify/sys.h"

static const char *log_path;
static int log_level = -1;
static struct stat stderr_then;
static bool has_stderr;

void log_setup(const char *path, int level)
{
	log_path = path;
	log_level = level;
	has_stderr = path == NULL && level >= 0 && sys_fstat(2, &stderr_then) == 0;
}

/* Fd 2 may meanwhile be a socket or a file of the program's: then it is not ours to write to. */
static bool is_same_stderr(void)
{
	struct stat now;

	return has_stderr && sys_fstat(2, &now) == 0 &&
	       now.st_dev == stderr_then.st_dev && now.st_ino == stderr_then.st_ino;
}

static void write_out(const char *text, size_t len)
{
	int fd = 2;

	if (log_path != NULL)
		fd = sys_open(log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	else if (!is_same_stderr())
		return;
	if (fd < 0)
		return;
	/* A log that cannot be written must not disturb the program. */
	(void)!sys_write(fd, text, len);
	if (log_path != NULL)
		sys_close(fd);
}

void log_line(enum log_level level, const char *part, ...)
{
	char line[1024] = "socksify: ";
	size_t len = strlen(line);
	va_list parts;

	if ((int)level > log_level)
		return;
	va_start(parts, part);
	for (; part != NULL; part = va_arg(parts, const char *)) {
		size_t n = strlen(part);

		if (n > sizeof(line) - 1 - len)
			n = sizeof(line) - 1 - len;
		memcpy(line + len, part, n);
		len += n;
	}
	va_end(parts);
	line[len++] = '\n';
	write_out(line, len);
}
