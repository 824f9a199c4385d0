/* SPDX-License-Identifier: ISC */
/* audit.c - the process that waits for the command, and says at the end what went where. */
#include "audit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "socksify/event.h"
#include "socksify/stand_in.h"
#include "socksify/tally.h"

static const struct {
	enum tally_kind kind;
	const char *word;
} rows[] = {
	{ TALLY_PROXIED, "proxied" },	{ TALLY_DIRECT, "direct" },
	{ TALLY_BLOCKED, "blocked" },	{ TALLY_REFUSED, "refused" },
	{ TALLY_FAILED, "failed" },	{ TALLY_SUPERVISED, "supervised" },
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void print_text(FILE *to)
{
	fputs("socksify:", to);
	for (size_t i = 0; i < ROWS; i++)
		fprintf(to, "%s %llu %s", i > 0 ? "," : "",
			(unsigned long long)tally_get(rows[i].kind), rows[i].word);
	fputc('\n', to);
}

static void print_json(FILE *to, pid_t command)
{
	struct timespec now;
	struct tm tm;
	char date[32] = "";

	clock_gettime(CLOCK_REALTIME, &now);
	if (gmtime_r(&now.tv_sec, &tm) != NULL)
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(to, "{\"time\":\"%s.%03ldZ\",\"pid\":%ld,\"audit\":{", date,
		now.tv_nsec / 1000000, (long)command);
	for (size_t i = 0; i < ROWS; i++)
		fprintf(to, "%s\"%s\":%llu", i > 0 ? "," : "", rows[i].word,
			(unsigned long long)tally_get(rows[i].kind));
	fputs("}}\n", to);
}

/* In the log, where there is one, as all that is logged. */
static void print_to_log(const char *path, bool json, pid_t command)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	FILE *to = fd >= 0 ? fdopen(fd, "a") : NULL;

	if (to == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	if (json)
		print_json(to, command);
	else
		print_text(to);
	fclose(to);
}

/* --- the place of the command --- */

/* Until the command has ended; returns how. */
static int outlast(pid_t command, const sigset_t *all)
{
	siginfo_t si;
	int status;
	pid_t pid;

	for (;;) {
		while ((pid = waitpid(command, &status, WNOHANG | WUNTRACED)) == command) {
			if (!WIFSTOPPED(status))
				return status;
			stand_in_stop(command);
		}
		if (pid < 0 && errno != EINTR)
			return 0;
		if (sigwaitinfo(all, &si) > 0)
			stand_in_hand_on(command, si.si_signo, si.si_code);
	}
}

_Noreturn static void wait_and_tell(const struct config *c, pid_t command, const char *path,
				    const sigset_t *all)
{
	int status;

	stand_in_drop_streams(false);
	stand_in_drop_descriptors(NULL, 0);
	status = outlast(command, all);
	if (!c->quiet)
		print_text(stderr);
	if (c->log_path != NULL)
		print_to_log(c->log_path, config_log_is_json(c), command);
	(void)unlink(path);
	stand_in_end(status);
}

static int create(char path[TALLY_PATH_SIZE])
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int err = -ENOENT;

	if (runtime != NULL && runtime[0] == '/')
		err = tally_create(runtime, path);
	return err < 0 ? tally_create("/tmp", path) : err;
}

int audit_run(const struct config *c)
{
	const char *wish = getenv("SOCKSIFY_AUDIT");
	char path[TALLY_PATH_SIZE];
	sigset_t all, before;
	pid_t parent = getpid(), command;
	int err;

	if (wish == NULL || wish[0] == '\0')
		return 0;
	if (strcmp(wish, "1") != 0) {
		(void)!tally_open(wish); /* of a run that has ended: nobody counts */
		return 0;
	}
	err = create(path);
	if (err == 0 && setenv("SOCKSIFY_AUDIT", path, 1) < 0)
		err = -errno;
	if (err < 0)
		return err;
	sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, &before);
	command = fork();
	if (command > 0)
		wait_and_tell(c, command, path, &all);
	err = command < 0 ? -errno : 0;
	if (err < 0) {
		(void)unlink(path);
	} else {
		/* Whoever kills the one that waits means the command. */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return err;
}
