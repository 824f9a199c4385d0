/* SPDX-License-Identifier: ISC */
/* launch.c - what exec(3), posix_spawn(3) and their kin do before libc's functions do the rest. */
#include "launch.h"

#include <errno.h>
#include <limits.h>
#include <paths.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "preload.h"
#include "real.h"
#include "socksify/enter.h"
#include "socksify/log.h"
#include "socksify/sys.h"

/* Would execve(2) get as far as the format of the file? */
static bool is_executable(const struct launch *l)
{
	int flags = l->path[0] == '\0' ? AT_EMPTY_PATH : 0;
	struct stat st;

	return fstatat(l->dir, l->path, &st, flags) == 0 && S_ISREG(st.st_mode) &&
	       faccessat(l->dir, l->path, X_OK, AT_EACCESS | flags) == 0;
}

/* @ret_first: AddressSanitizer wants to be the first library. */
static bool is_enterable(const struct launch *l, bool *ret_first)
{
	struct inspection seen;

	(void)!inspect_program_at(l->dir, l->path, &seen);
	*ret_first = seen.needs_to_be_first;
	switch (seen.verdict) {
	case INSPECTION_ENTERABLE:
	case INSPECTION_SHELL_TEXT:
	/* What follows the kernel itself will not start, and its errno is the right one. */
	case INSPECTION_MISSING:
	case INSPECTION_TOO_DEEP:
	case INSPECTION_UNKNOWN:
		return true;
	case INSPECTION_STATIC:
	case INSPECTION_LIBRARY:
	case INSPECTION_LOADER:
	case INSPECTION_FOREIGN:
	case INSPECTION_GO:
	case INSPECTION_SETID:
	case INSPECTION_CAPABILITIES:
	case INSPECTION_UNREADABLE:
	case INSPECTION_MALFORMED:
		break;
	}
	return !is_executable(l);
}

/* The loader only warns about a library that it cannot read: after chroot(2), or as another user. */
static bool is_library_there(void)
{
	return faccessat(AT_FDCWD, inherit_library(), R_OK, AT_EACCESS) == 0;
}

static size_t count(char *const list[])
{
	size_t n = 0;

	while (list != NULL && list[n] != NULL)
		n++;
	return n;
}

/* Octets for the name of a file that is relative to an fd. */
static size_t path_room(const struct launch *l)
{
	if (l->path[0] == '/' || l->dir == AT_FDCWD)
		return 0;
	return INSPECTION_FD_PATH_SIZE + 1 + strlen(l->path);
}

#define RUNNER_ARGUMENTS 2 /* "--exec" and the path, in front of the program's own */

static ssize_t judge(struct launch *l)
{
	bool first = false;
	size_t room;

	l->by_runner = (l->moves && l->path[0] != '/') || !is_enterable(l, &first) ||
		       (!is_library_there() && is_executable(l));
	l->env_room = inherit_look(l->env, l->by_runner ? INHERIT_RUN :
				   first ? INHERIT_PRELOAD_LATE : INHERIT_PRELOAD, &l->look);
	if (!l->by_runner)
		return (ssize_t)l->env_room;
	if (faccessat(AT_FDCWD, inherit_runner(), X_OK, AT_EACCESS) < 0) {
		log_line(LOG_LEVEL_CONNECTION, l->path, " is not started: "
			 "the library cannot enter it, and there is no ",
			 inherit_runner(), NULL);
		return -EACCES;
	}
	log_line(LOG_LEVEL_CONNECTION, l->path,
		 " cannot be entered by the library: socksify-run takes it", NULL);
	l->argc = count(l->argv);
	l->path_room = path_room(l);
	room = (l->argc + RUNNER_ARGUMENTS + 3) * sizeof(char *);
	return (ssize_t)(l->env_room + room + l->path_room);
}

ssize_t launch_judge(struct launch *l)
{
	int saved = errno, state;
	ssize_t room;

	l->by_runner = false;
	l->env_room = 0;
	l->map = NULL;
	l->kept_fd = -1;
	preload_ready();
	if (!inherit_is_on() || inherit_is_disabled(l->env) || l->path == NULL)
		return 0;
	if (inherit_runner() == NULL)
		return -ENOMEM;
	/* Not even the opening of a file may end the thread here. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	room = judge(l);
	pthread_setcancelstate(state, NULL);
	errno = saved;
	return room;
}

/* The name of the program for another process: one that does not depend on an fd that exec(2) closes. */
static char *put_path(struct launch *l, char *to)
{
	int fd = l->dir, saved = errno;

	if (l->path_room == 0)
		return (char *)(uintptr_t)l->path;
	if (sys_is_cloexec(fd)) {
		l->kept_fd = REAL(fcntl)(fd, F_DUPFD, 0);
		fd = l->kept_fd >= 0 ? l->kept_fd : fd;
		errno = saved;
	}
	inspection_fd_path(fd, to);
	if (l->path[0] != '\0')
		stpcpy(stpcpy(to + strlen(to), "/"), l->path);
	return to;
}

int launch_arrange(struct launch *l, void *stack, size_t room)
{
	char **argv = stack, **to;

	if (stack == NULL) {
		l->map = sys_map(room, false);
		l->map_size = room;
		if (l->map == NULL)
			return -ENOMEM;
		argv = l->map;
	}
	if (!l->by_runner) {
		l->env = inherit_build(&l->look, argv);
		return 0;
	}
	to = argv + l->argc + RUNNER_ARGUMENTS + 3; /* one for an argv[0] that is missing */
	l->env = inherit_build(&l->look, to);
	argv[0] = (char *)(uintptr_t)inherit_runner();
	argv[1] = (char *)(uintptr_t)"--exec";
	argv[2] = put_path(l, (char *)to + l->env_room);
	argv[3] = (char *)(uintptr_t)"";
	if (l->argc > 0)
		memcpy(argv + 3, l->argv, l->argc * sizeof(*argv));
	argv[3 + (l->argc > 0 ? l->argc : 1)] = NULL;
	l->argv = argv;
	l->path = argv[0];
	l->dir = AT_FDCWD;
	return 0;
}

void launch_end(struct launch *l)
{
	if (l->map != NULL)
		sys_unmap(l->map, l->map_size);
	if (l->kept_fd >= 0)
		sys_close(l->kept_fd);
}

int launch_search_begin(struct launch_search *s, const char *file)
{
	s->file = file;
	s->dirs = getenv("PATH");
	if (s->dirs == NULL)
		s->dirs = "/bin:/usr/bin"; /* confstr(3), _CS_PATH */
	if (file[0] == '\0')
		return -ENOENT;
	return strnlen(file, NAME_MAX + 1) > NAME_MAX ? -ENAMETOOLONG : 0;
}

int launch_search_next(struct launch_search *s)
{
	while (s->dirs != NULL) {
		size_t n = strcspn(s->dirs, ":");
		const char *dir = s->dirs;

		s->dirs = dir[n] == ':' ? dir + n + 1 : NULL;
		if (n + 1 + strlen(s->file) + 1 > sizeof(s->path))
			continue;
		memcpy(s->path, dir, n);
		if (n > 0)
			s->path[n++] = '/';
		strcpy(s->path + n, s->file);
		return 0;
	}
	return -ENOENT;
}
