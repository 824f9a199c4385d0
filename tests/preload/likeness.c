/* SPDX-License-Identifier: ISC */
/*
 * likeness.c - records what a program sees of a TCP connect.
 *
 *     likeness [-j JOBS] -o IP:PORT -c IP:PORT -v IP:PORT [SCENARIO...]
 *     likeness -l
 *
 * The targets: open accepts and echoes, closed refuses, void never answers.
 * A SCENARIO is the beginning of a name up to a slash; without any, all run.
 * -l lists them.  Run over a plain link and through a proxy, the output must be
 * the same.
 */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "likeness.h"

#define RUNS_MAX     1024
#define ATTEMPTS     4
#define TIME_LIMIT_S 12

static const struct scenario *const files[] = {
	wait_scenarios,	 epoll_scenarios, state_scenarios,  end_scenarios,  spin_scenarios,
	block_scenarios, many_scenarios,  option_scenarios, signal_scenarios,
};

static const char *const outcome_names[] = { "open", "closed", "void" };

struct job {
	struct run run;
	char name[96];
	int attempts_left;
	pid_t pid; /* 0: not started, -1: ended */
	int output;
};

static struct job jobs[RUNS_MAX];
static int job_count;

static int is_wanted(const char *name, char **wanted)
{
	if (*wanted == NULL)
		return 1;
	for (; *wanted != NULL; wanted++) {
		size_t n = strlen(*wanted);

		if (strncmp(name, *wanted, n) == 0 && (name[n] == '/' || name[n] == '\0'))
			return 1;
	}
	return 0;
}

static void add_job(const struct run *r, char **wanted)
{
	const struct scenario *s = r->scenario;
	struct job *job = &jobs[job_count];

	if (job_count == RUNS_MAX)
		abort();
	snprintf(job->name, sizeof(job->name), "%s%s%s%s%s/%s", s->name, s->kinds ? "/" : "",
		 s->kinds ? s->kinds[r->kind] : "", s->orders ? "/" : "",
		 s->orders ? s->orders[r->order] : "", outcome_names[r->outcome]);
	if (!is_wanted(job->name, wanted))
		return;
	job->run = *r;
	job->attempts_left = ATTEMPTS - 1;
	job_count++;
}

static void add_outcomes(struct run r, char **wanted)
{
	for (r.outcome = OPEN; r.outcome <= VOID; r.outcome++)
		if (r.scenario->outcomes & GOES(r.outcome))
			add_job(&r, wanted);
}

static void add_scenario(const struct scenario *s, char **wanted)
{
	struct run r = { .scenario = s };

	do {
		r.order = 0;
		do {
			add_outcomes(r, wanted);
		} while (s->orders != NULL && s->orders[++r.order] != NULL);
	} while (s->kinds != NULL && s->kinds[++r.kind] != NULL);
}

/* SIGKILL, because a scenario may block or handle any other signal. */
static void limit_time(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
	struct itimerspec limit = { .it_value.tv_sec = TIME_LIMIT_S };
	timer_t timer;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0 ||
	    timer_settime(timer, 0, &limit, NULL) < 0)
		abort();
}

static void start(struct job *job)
{
	job->output = memfd_create("output", MFD_CLOEXEC);
	job->pid = fork();
	if (job->output < 0 || job->pid < 0) {
		perror("likeness");
		exit(2);
	}
	if (job->pid > 0)
		return;
	limit_time();
	dup2(job->output, STDOUT_FILENO);
	scenario_begin(job->name, job->attempts_left);
	job->run.scenario->run(&job->run);
	line("end");
	exit(0);
}

static struct job *find_pid(pid_t pid)
{
	for (int i = 0; i < job_count; i++)
		if (jobs[i].pid == pid)
			return &jobs[i];
	abort();
}

/* Waits for one of them; gives how many are now running less. */
static int reap(void)
{
	int status;
	pid_t pid = waitpid(-1, &status, 0);
	struct job *job = find_pid(pid);

	if (WIFEXITED(status) && WEXITSTATUS(status) == ERETRY && job->attempts_left > 0) {
		close(job->output);
		job->attempts_left--;
		start(job);
		return 0;
	}
	job->pid = -1;
	if (WIFSIGNALED(status))
		dprintf(job->output, "\n%s: ended by SIG%s\n", job->name,
			sigabbrev_np(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0)
		dprintf(job->output, "\n%s: exit status %d\n", job->name, WEXITSTATUS(status));
	return 1;
}

static void print(struct job *job)
{
	char text[4096];
	ssize_t n;
	off_t at = 0;

	for (; (n = pread(job->output, text, sizeof(text), at)) > 0; at += n)
		fwrite(text, 1, (size_t)n, stdout);
	close(job->output);
}

/* In the order of the table, whichever ends first. */
static void run_all(int parallel)
{
	int running = 0, started = 0, printed = 0;

	while (printed < job_count) {
		while (running < parallel && started < job_count) {
			start(&jobs[started++]);
			running++;
		}
		running -= reap();
		while (printed < job_count && jobs[printed].pid == -1)
			print(&jobs[printed++]);
		fflush(stdout);
	}
}

static void list(void)
{
	for (int i = 0; i < job_count; i++)
		puts(jobs[i].name);
}

static int usage(void)
{
	fputs("usage: likeness [-j JOBS] -o IP:PORT -c IP:PORT -v IP:PORT [SCENARIO...]\n"
	      "       likeness -l [SCENARIO...]\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	int option, parallel = 1, only_list = 0;

	while ((option = getopt(argc, argv, "j:o:c:v:l")) != -1) {
		switch (option) {
		case 'j': parallel = atoi(optarg); break;
		case 'o': place_set(OPEN, optarg); break;
		case 'c': place_set(CLOSED, optarg); break;
		case 'v': place_set(VOID, optarg); break;
		case 'l': only_list = 1; break;
		default: return usage();
		}
	}
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		for (const struct scenario *s = files[i]; s->name != NULL; s++)
			add_scenario(s, argv + optind);
	if (only_list) {
		list();
		return 0;
	}
	if (parallel < 1 || job_count == 0 || place(VOID)->sa_family == 0)
		return usage();
	run_all(parallel);
	return 0;
}
