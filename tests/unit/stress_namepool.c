/* SPDX-License-Identifier: ISC */
/*
 * stress_namepool.c - 32 processes ask for names; they are killed and stopped at
 * random, and others take their places.  Every answer is compared with all
 * answers before it.  Usage: stress_namepool [SECONDS]
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "socksify/namepool.h"

#define PROCESSES 32
#define AT_ONCE 16 /* killed together: each must have its turn to die */
#define NAMES 20000
#define PLACES 131072

/* What was ever answered, for all processes to see; 0: nothing yet. */
struct answers {
	_Atomic uint32_t place_of[NAMES];	/* + 1 */
	_Atomic uint32_t name_at[PLACES];	/* + 1 */
	_Atomic uint64_t count;
};

static struct answers *answers;
static char folder[] = "/tmp/stress_namepool.XXXXXX";
static char pool[64];

static void fail(const char *what, uint32_t name)
{
	fprintf(stderr, "stress_namepool: name %u: %s\n", name, what);
	_exit(1);
}

/* Is it what was said before, or has nothing been said? */
static bool agrees(_Atomic uint32_t *said, uint32_t now)
{
	uint32_t before = 0;

	return atomic_compare_exchange_strong(said, &before, now) || before == now;
}

static void ask(uint32_t name)
{
	struct target t, back;
	char text[32];
	int len = snprintf(text, sizeof(text), "host%u.example.org", name);
	uint32_t place;

	if (namepool_address(text, (size_t)len, AF_INET, &t) != 0)
		fail("no address", name);
	place = ((uint32_t)t.ip[1] << 16 | (uint32_t)t.ip[2] << 8 | t.ip[3]) - (18u << 16);
	if (!agrees(&answers->place_of[name], place + 1))
		fail("another address than before", name);
	if (!agrees(&answers->name_at[place], name + 1))
		fail("the address of another name", name);
	if (namepool_name(&t, &back) != 0 || strcmp(back.name, text) != 0)
		fail("its address leads elsewhere", name);
	atomic_fetch_add(&answers->count, 1);
}

static pid_t start(uint32_t seed)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (namepool_open(pool, NULL) != 0)
		fail("no pool", 0);
	for (uint32_t i = 0;; i++) {
		seed = seed * 1664525 + 1013904223;
		/* few names, for which many contend, and then any */
		ask((seed >> 8) % (i % 4 == 0 ? NAMES : 1 + i % NAMES));
	}
}

/* Returns false when one ended other than by our hand. */
static bool end(const pid_t *pids, int count)
{
	bool good = true;
	int status;

	for (int i = 0; i < count; i++)
		kill(pids[i], SIGKILL);
	for (int i = 0; i < count; i++)
		good = waitpid(pids[i], &status, 0) == pids[i] && WIFSIGNALED(status) &&
		       WTERMSIG(status) == SIGKILL && good;
	return good;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool run(double until)
{
	pid_t pids[PROCESSES];
	bool good = true;
	uint32_t kills = 0;

	for (uint32_t i = 0; i < PROCESSES; i++)
		pids[i] = start(i);
	while (good && seconds() < until) {
		struct timespec pause = { 0, (random() % 1000) * 1000 };
		int first = (int)(random() % (PROCESSES / AT_ONCE)) * AT_ONCE;

		for (int i = 0; i < 4; i++)
			kill(pids[random() % PROCESSES], i % 2 == 0 ? SIGSTOP : SIGCONT);
		nanosleep(&pause, NULL);
		good = end(&pids[first], AT_ONCE);
		for (int i = 0; i < AT_ONCE; i++)
			pids[first + i] = start(1000 + kills++);
	}
	good = end(pids, PROCESSES) && good;
	printf("%llu answers, %u processes killed\n",
	       (unsigned long long)atomic_load(&answers->count), kills);
	return good && atomic_load(&answers->count) > 0;
}

int main(int argc, char **argv)
{
	double until = seconds() + (argc > 1 ? atof(argv[1]) : 3);
	char command[96];
	bool good;

	answers = mmap(NULL, sizeof(*answers), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (answers == MAP_FAILED || mkdtemp(folder) == NULL)
		return 1;
	snprintf(pool, sizeof(pool), "%s/pool", folder);
	good = run(until);
	/* Whoever comes after them finds all names as they were answered. */
	if (good && namepool_open(pool, NULL) == 0) {
		for (uint32_t i = 0; i < NAMES; i++)
			ask(i);
	}
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command) != 0 || !good;
}
