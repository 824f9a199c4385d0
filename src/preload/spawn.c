/* SPDX-License-Identifier: ISC */
/* spawn.c - posix_spawn(3), system(3), popen(3): programs that libc starts past exec(3). */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <wordexp.h>

#include "launch.h"
#include "real.h"
#include "socksify/gate.h"

/* Since glibc 2.39; so declared here. */
int pidfd_spawn(int *pidfd, const char *path, const posix_spawn_file_actions_t *actions,
		const posix_spawnattr_t *attributes, char *const argv[], char *const env[]);
int pidfd_spawnp(int *pidfd, const char *file, const posix_spawn_file_actions_t *actions,
		 const posix_spawnattr_t *attributes, char *const argv[], char *const env[]);
/* Since glibc 2.41, by POSIX.1-2024. */
int posix_spawn_file_actions_addchdir(posix_spawn_file_actions_t *actions, const char *path);
int posix_spawn_file_actions_addfchdir(posix_spawn_file_actions_t *actions, int fd);

/* posix_spawn(3) itself goes past us, and so would what its child does with the fd. */
EXPORT int posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *actions, int from, int to)
{
	gate_finish(from);
	return REAL(posix_spawn_file_actions_adddup2)(actions, from, to);
}

/*
 * A child that changes its directory first starts another file under a relative
 * name.  That is noted in octets that glibc keeps for itself, sets to zero and
 * does not read.
 */
#define MOVES 0x534b /* anything but 0 */

static inline int *mark_of(posix_spawn_file_actions_t *actions)
{
	return &actions->__pad[sizeof(actions->__pad) / sizeof(actions->__pad[0]) - 1];
}

static bool moves(const posix_spawn_file_actions_t *actions)
{
	return actions != NULL && *mark_of((posix_spawn_file_actions_t *)(uintptr_t)actions) == MOVES;
}

EXPORT int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *actions,
						const char *path)
{
	*mark_of(actions) = MOVES;
	return REAL(posix_spawn_file_actions_addchdir_np)(actions, path);
}

EXPORT int posix_spawn_file_actions_addfchdir_np(posix_spawn_file_actions_t *actions, int fd)
{
	*mark_of(actions) = MOVES;
	return REAL(posix_spawn_file_actions_addfchdir_np)(actions, fd);
}

EXPORT int posix_spawn_file_actions_addchdir(posix_spawn_file_actions_t *actions, const char *path)
{
	return posix_spawn_file_actions_addchdir_np(actions, path);
}

EXPORT int posix_spawn_file_actions_addfchdir(posix_spawn_file_actions_t *actions, int fd)
{
	return posix_spawn_file_actions_addfchdir_np(actions, fd);
}

typedef int spawn_function(int *id, const char *path, const posix_spawn_file_actions_t *actions,
			   const posix_spawnattr_t *attributes, char *const argv[],
			   char *const env[]);

/* How to start a program: by its path, or by its name. */
struct spawner {
	spawn_function *by_path;
	spawn_function *by_name;	/* or the same as by_path */
};

/* @path is the file that @file stands for.  Returns an error number, as all of these do. */
static int __attribute__((noinline)) spawn(const struct spawner *s, const char *file,
					   const char *path, int *id,
					   const posix_spawn_file_actions_t *actions,
					   const posix_spawnattr_t *attributes,
					   char *const argv[], char *const env[])
{
	struct launch l = { .dir = AT_FDCWD, .path = path, .argv = argv, .env = env,
			    .moves = moves(actions) };
	ssize_t room = launch_judge(&l);
	int err = room < 0 ? (int)room : 0;

	if (room > 0)
		err = LAUNCH_ARRANGE(&l, (size_t)room);
	if (err < 0)
		return -err;
	if (l.by_runner)
		err = s->by_path(id, l.path, actions, attributes, l.argv, l.env);
	else
		err = s->by_name(id, file, actions, attributes, l.argv, l.env);
	launch_end(&l);
	return err;
}

/* The file that posix_spawnp(3) will find; NULL: none. */
static const char *find(struct launch_search *search, const char *file)
{
	if (strchr(file, '/') != NULL)
		return file;
	if (launch_search_begin(search, file) < 0)
		return NULL;
	while (launch_search_next(search) == 0) {
		struct stat st;

		if (stat(search->path, &st) == 0 && S_ISREG(st.st_mode) &&
		    access(search->path, X_OK) == 0)
			return search->path;
	}
	return NULL;
}

static int spawn_named(const struct spawner *s, const char *file, int *id,
		       const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attributes, char *const argv[], char *const env[])
{
	struct launch_search search;
	int saved = errno;
	const char *path = find(&search, file);

	errno = saved;
	/* Where there is none libc says so: a directory is nothing to start. */
	return spawn(s, file, path != NULL ? path : "/", id, actions, attributes, argv, env);
}

/* posix_spawn(3) */
EXPORT int posix_spawn(pid_t *restrict pid, const char *restrict path,
		       const posix_spawn_file_actions_t *restrict actions,
		       const posix_spawnattr_t *restrict attributes, char *const argv[restrict],
		       char *const env[restrict])
{
	struct spawner s = { REAL(posix_spawn), REAL(posix_spawn) };

	return spawn(&s, path, path, pid, actions, attributes, argv, env);
}

EXPORT int posix_spawnp(pid_t *restrict pid, const char *restrict file,
			const posix_spawn_file_actions_t *restrict actions,
			const posix_spawnattr_t *restrict attributes, char *const argv[restrict],
			char *const env[restrict])
{
	struct spawner s = { REAL(posix_spawn), REAL(posix_spawnp) };

	return spawn_named(&s, file, pid, actions, attributes, argv, env);
}

/* pidfd_spawn(3).  Not looked up at start: an older glibc has none. */
EXPORT int pidfd_spawn(int *pidfd, const char *path, const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attributes, char *const argv[], char *const env[])
{
	spawn_function *real = (spawn_function *)dlsym(RTLD_NEXT, "pidfd_spawn");
	struct spawner s = { real, real };

	return real == NULL ? ENOSYS :
	       spawn(&s, path, path, pidfd, actions, attributes, argv, env);
}

EXPORT int pidfd_spawnp(int *pidfd, const char *file, const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attributes, char *const argv[], char *const env[])
{
	struct spawner s = { (spawn_function *)dlsym(RTLD_NEXT, "pidfd_spawn"),
			     (spawn_function *)dlsym(RTLD_NEXT, "pidfd_spawnp") };

	return s.by_path == NULL || s.by_name == NULL ? ENOSYS :
	       spawn_named(&s, file, pidfd, actions, attributes, argv, env);
}

/*
 * libc starts the shell itself, with the environment as it is.  Where something
 * is missing in it the shell's first words set that, and a second shell in its
 * place runs the command: so the process, its pipe and its end stay libc's.
 * Returns @command, or another that is to be freed, or NULL and errno.
 */
static char *command_for_shell(const char *command)
{
	struct launch l = { .dir = AT_FDCWD, .path = "/bin/sh", .env = environ };
	ssize_t room = launch_judge(&l);
	char *script;

	if (room == 0)
		return (char *)(uintptr_t)command;
	if (room < 0) {
		errno = (int)-room;
		return NULL;
	}
	script = malloc(inherit_script(&l.look, command, NULL));
	if (script != NULL)
		(void)inherit_script(&l.look, command, script);
	return script;
}

static void drop(char *script, const char *command)
{
	if (script != command)
		free(script);
}

/* system(3) */
EXPORT int system(const char *command)
{
	char *script;
	int status;

	if (command == NULL)
		return REAL(system)(NULL);
	script = command_for_shell(command);
	if (script == NULL)
		return -1;
	status = REAL(system)(script);
	drop(script, command);
	return status;
}

/* popen(3) */
EXPORT FILE *popen(const char *command, const char *mode)
{
	char *script = command_for_shell(command);
	FILE *stream = script != NULL ? REAL(popen)(script, mode) : NULL;

	drop(script, command);
	return stream;
}

EXPORT FILE *_IO_popen(const char *command, const char *mode)
{
	return popen(command, mode);
}

/* wordexp(3): commands in the words run in a shell that we cannot give anything. */
EXPORT int wordexp(const char *restrict words, wordexp_t *restrict ret, int flags)
{
	struct launch l = { .dir = AT_FDCWD, .path = "/bin/sh", .env = environ };

	if ((flags & WRDE_NOCMD) == 0 && launch_judge(&l) != 0)
		flags |= WRDE_NOCMD;
	return REAL(wordexp)(words, ret, flags);
}
