/* SPDX-License-Identifier: ISC */
/* run.c - socksify-run: check the settings and the command, then become the command. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit.h"
#include "complain.h"
#include "environment.h"
#include "show.h"
#include "socksify/config.h"
#include "socksify/enter.h"
#include "socksify/event.h"
#include "socksify/log.h"
#include "socksify/report.h"
#include "supervised.h"

/* 0 if execve(2) would try the file, else -errno. */
static int check_candidate(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EACCES;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

/*
 * Find @name as execvp(3) does.  0 and the path, -ENOENT when there is none,
 * -EACCES or -EISDIR when there is one that cannot be run (@ret is set too).
 */
static int find_program(const char *name, char ret[PATH_MAX])
{
	const char *dir = getenv("PATH");
	int result = -ENOENT;

	if (name[0] == '\0')
		return -ENOENT;
	if (strchr(name, '/') != NULL) {
		if (strlen(name) >= PATH_MAX)
			return -ENAMETOOLONG;
		strcpy(ret, name);
		return check_candidate(ret);
	}
	if (dir == NULL)
		dir = "/bin:/usr/bin";	/* execvp(3) */
	for (;;) {
		char path[PATH_MAX];
		size_t len = strcspn(dir, ":");
		int n = snprintf(path, sizeof(path), "%.*s%s%s", (int)len, dir,
				 len > 0 ? "/" : "./", name);

		if (n > 0 && (size_t)n < sizeof(path)) {
			int err = check_candidate(path);

			if (err == 0 || (err == -EACCES && result == -ENOENT)) {
				strcpy(ret, path);
				result = err;
			}
			if (err == 0)
				return 0;
		}
		if (dir[len] == '\0')
			return result;
		dir += len + 1;
	}
}

static int report_not_found(const char *name, const char *path, int err)
{
	if (err == -EACCES || err == -EISDIR) {
		complain("%s %s: %s", path,
			 err == -EISDIR ? "is a directory" : "is not executable",
			 err == -EISDIR ? "name a program in it" :
			 "use chmod +x, or start it with its interpreter");
		return EXIT_REFUSED;
	}
	if (err != -ENOENT && err != -ENOTDIR) {
		complain("cannot run '%s' (%s): check the path", name,
			 strerror(-err));
		return err == -ENAMETOOLONG ? EXIT_ABSENT : EXIT_REFUSED;
	}
	if (strchr(name, '/') != NULL)
		complain("%s does not exist: check the path", name);
	else
		complain("command '%s' is not found: check the spelling and PATH "
			 "(shell functions and builtins need a shell, "
			 "as in socksify sh -c '...')", name);
	return EXIT_ABSENT;
}

/*
 * Tell that no program runs, and why: on stderr, in the log if that is a file, and
 * in the numbers of the run.
 * @why_not_else: NULL if there is no other way
 */
static int refuse(const struct config *c, const char *path, const struct inspection *seen,
		  const char *why_not_else)
{
	char reason[PATH_MAX + 512];
	int len = snprintf(reason, sizeof(reason), "%s %s", seen->path, inspection_text(seen->verdict));
	struct event e = event_of(EVENT_REFUSED, reason);

	complain("%s", reason);
	if (why_not_else != NULL) {
		complain("%s cannot be supervised either: %s", path, why_not_else);
		if (len > 0 && (size_t)len < sizeof(reason))
			snprintf(reason + len, sizeof(reason) - (size_t)len, "; %s", why_not_else);
	}
	/* On stderr a line would say it again. */
	log_setup(c->log_path, c->quiet || c->log_path == NULL || c->verbose == 0 ? -1 : c->verbose);
	report_setup(basename(path), config_log_is_json(c), true);
	report_event(&e);
	return EXIT_REFUSED;
}

/* A program that the library cannot enter; returns only after a failure. */
static int run_other(const struct config *c, const char *path, char **argv,
		     const struct inspection *seen)
{
	char error[SUPERVISED_ERROR_SIZE];

	if (!supervised_takes(seen->verdict))
		return refuse(c, path, seen, NULL);
	(void)supervised_run(c, seen->verdict, path, argv, error);
	return refuse(c, path, seen, error);
}

/* A program that the library enters.  Returns only after a failure: 0, or an exit status after a message. */
static int start(const struct config *c, const char *path, char **argv)
{
	char error[SUPERVISED_ERROR_SIZE];
	int status;

	if (!supervised_is_due()) {
		execve(path, argv, environ);
		return 0;
	}
	status = supervised_run(c, INSPECTION_ENTERABLE, path, argv, error);
	complain("--strict cannot watch %s: %s", path, error);
	return status;
}

/* What is no ELF file and has no "#!" line is a script for the shell, as in execvp(3). */
static int run_shell_text(const struct config *c, const char *path, char **argv, int argc)
{
	struct inspection seen;
	int status;
	char **args = calloc((size_t)argc + 2, sizeof(*args));

	if (args == NULL) {
		complain("out of memory: free some");
		return EXIT_OURS;
	}
	if (inspect_program("/bin/sh", &seen) < 0) {
		free(args);
		return refuse(c, path, &seen, NULL);
	}
	args[0] = argv[0];
	args[1] = (char *)(uintptr_t)path;
	memcpy(args + 2, argv + 1, (size_t)argc * sizeof(*args));
	status = start(c, "/bin/sh", args);
	free(args);
	return status;
}

/* AddressSanitizer's runtime is not the first library any more: it is told not to mind. */
static int export_asan(void)
{
	static const char setting[] = "verify_asan_link_order=0";
	const char *before = getenv("ASAN_OPTIONS");
	char *value;
	int err;

	if (before == NULL)
		return setenv("ASAN_OPTIONS", setting, 1);
	if (strstr(before, "verify_asan_link_order") != NULL)
		return 0;
	if (asprintf(&value, "%s:%s", setting, before) < 0)
		return -1;
	err = setenv("ASAN_OPTIONS", value, 1);
	free(value);
	return err;
}

/* Becomes the program at @path; returns only an exit status after a failure. */
static int run_program(const struct config *c, const char *path, char **argv, int argc)
{
	struct inspection seen;
	int status = 0;

	if (inspect_program(path, &seen) < 0)
		return run_other(c, path, argv, &seen);
	if (seen.needs_to_be_first && export_asan() < 0) {
		complain("out of memory: free some");
		return EXIT_OURS;
	}
	/* Shell text is not left to the kernel, whose binfmt_misc might know more. */
	if (seen.verdict == INSPECTION_SHELL_TEXT)
		status = run_shell_text(c, path, argv, argc);
	else
		status = start(c, path, argv);
	if (status != 0)
		return status;
	complain("cannot run %s (%s): check the file, its interpreter and its arguments",
		 path, strerror(errno));
	return EXIT_REFUSED;
}

/* The same for a command, which is searched for. */
static int run_command(const struct config *c, char **argv, int argc)
{
	char path[PATH_MAX];
	int err = find_program(argv[0], path);

	if (err < 0)
		return report_not_found(argv[0], path, err);
	return run_program(c, path, argv, argc);
}

/* Each line a message of its own. */
static void show_warnings(const struct config *c)
{
	const char *line = c->warning;

	while (line != NULL && *line != '\0') {
		size_t len = strcspn(line, "\n");

		complain("%.*s", (int)len, line);
		line += len + (line[len] == '\n');
	}
}

int main(int argc, char **argv)
{
	enum { RUN, EXEC, EXPLAIN, PRINT_CONFIG, ENVIRONMENT } mode = RUN;
	char error[CONFIG_ERROR_SIZE] = "";
	const char *wish = getenv("SOCKSIFY_QUIET");
	const char *target = NULL;
	struct config *c;
	int status;
	int i = 1;

	unsetenv("SOCKSIFY_DISABLE"); /* it was for this program only */
	if (wish != NULL && wish[0] != '\0' && strcmp(wish, "0") != 0)
		complain_no_more();
	if (argc == 3 && strcmp(argv[1], "--explain") == 0) {
		mode = EXPLAIN;
		target = argv[2];
	} else if (argc == 2 && strcmp(argv[1], "--print-config") == 0) {
		mode = PRINT_CONFIG;
	} else if (argc == 2 && strcmp(argv[1], "--env") == 0) {
		mode = ENVIRONMENT;
	} else if (argc >= 3 && strcmp(argv[1], "--") == 0) {
		i = 2;
	} else if (argc >= 4 && strcmp(argv[1], "--exec") == 0) {
		/* From the library: a file that it cannot enter, and its whole argv. */
		mode = EXEC;
		target = argv[2];
		i = 3;
	} else {
		complain("socksify-run is a part of socksify: run socksify, see socksify(1)");
		return EXIT_OURS;
	}

	if (config_load(getenv, &c, error) < 0) {
		complain("%s", error);
		return EXIT_OURS;
	}
	if (c->quiet)
		complain_no_more();
	show_warnings(c);

	switch (mode) {
	case EXPLAIN:
		status = show_decision(c, target);
		break;
	case PRINT_CONFIG:
		status = show_config(c);
		break;
	case ENVIRONMENT:
	case EXEC:
	case RUN:
	default:
		status = mode == ENVIRONMENT ? 0 : supervised_prepare(c);
		if (status == 0)
			status = environment_export(c, mode == EXEC);
		if (status != 0)
			break;
		if (mode != ENVIRONMENT && audit_run(c) < 0) {
			complain("no place to count: make XDG_RUNTIME_DIR or /tmp writable, "
				 "or leave --audit out");
			status = EXIT_OURS;
			break;
		}
		if (mode == EXEC)
			status = run_program(c, target, argv + i, argc - i);
		else
			status = mode == RUN ? run_command(c, argv + i, argc - i) :
					       environment_print();
		break;
	}
	config_free(c);		/* wipes logins */
	return status;
}
