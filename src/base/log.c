/* SPDX-License-Identifier: ISC */
/* log.c - lines for people, to a file or to the stderr that the program started with. */
#include "socksify/log.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include "socksify/event.h"
#include "socksify/sys.h"

static const char *log_path;
static int log_level = -1;
static bool json;
static struct stat stderr_then;
static bool has_stderr;

void log_setup(const char *path, int level)
{
	log_path = path;
	log_level = level;
	has_stderr = path == NULL && level >= 0 && sys_fstat(2, &stderr_then) == 0;
}

void log_use_json(bool on)
{
	json = on;
}

bool log_is_wanted(enum log_level level)
{
	return (int)level <= log_level;
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

void log_write(enum log_level level, const char *line, size_t len)
{
	if (log_is_wanted(level))
		write_out(line, len);
}

static void write_json(const char *text)
{
	char line[EVENT_LINE_SIZE];

	write_out(line, event_message(sys_wall_ms(), sys_getpid(), text, line));
}

void log_line(enum log_level level, const char *part, ...)
{
	char line[1024] = "socksify: ";
	const size_t start = strlen(line);
	size_t len = start;
	va_list parts;

	if (!log_is_wanted(level))
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
	if (json) {
		line[len] = '\0';
		write_json(line + start);
		return;
	}
	line[len++] = '\n';
	write_out(line, len);
}
