/* SPDX-License-Identifier: ISC */
/* names_async.c - getaddrinfo_a(3). */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "names.h"

#define COUNT 6
static const char *const asked[COUNT] = { "www.known.test", "127.0.0.1", "alias", "localhost",
					  "other.known.test", NULL };

static struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM };
static struct gaicb requests[COUNT];
static struct gaicb *list[COUNT + 1];

static void fill(void)
{
	memset(requests, 0, sizeof(requests));
	for (int i = 0; i < COUNT; i++) {
		requests[i].ar_name = asked[i];
		requests[i].ar_service = "80";
		requests[i].ar_request = &hints;
		list[i < 3 ? i : i + 1] = &requests[i];
	}
	list[3] = NULL; /* is passed over */
}

/* Until all are done: gai_suspend(3) returns for one. */
static void wait_all(void)
{
	struct timespec limit = { 10, 0 };

	for (int i = 0; i < COUNT; i++) {
		const struct gaicb *one = &requests[i];

		while (gai_error(&requests[i]) == EAI_INPROGRESS)
			gai_suspend(&one, 1, &limit);
	}
}

static void show(const char *what, int result)
{
	printf("%s: %d\n", what, result);
	for (int i = 0; i < COUNT; i++) {
		names_list(asked[i] != NULL ? asked[i] : "(null)", gai_error(&requests[i]),
			   requests[i].ar_result);
		if (gai_error(&requests[i]) == 0)
			freeaddrinfo(requests[i].ar_result);
	}
	/* EAI_ALLDONE, or EAI_NOTCANCELED while libc's thread has not put it away yet. */
	printf("cancelled when done: %d\n", gai_cancel(&requests[0]) == EAI_CANCELED);
	printf("suspend when done: %d\n", gai_suspend((const struct gaicb *const *)list, COUNT + 1, NULL));
}

static sem_t called;
static int value, on_other_thread;
static pthread_t main_thread;

static void notified(union sigval v)
{
	value = v.sival_int;
	on_other_thread = !pthread_equal(main_thread, pthread_self());
	sem_post(&called);
}

static int wait_call(void)
{
	struct timespec limit;

	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += 10;
	return sem_timedwait(&called, &limit);
}

static void by_signal(struct gaicb **of, int count)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct timespec limit = { 10, 0 };
	siginfo_t told = { 0 };
	sigset_t set;
	int result;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	event.sigev_value.sival_int = 42;
	result = getaddrinfo_a(GAI_NOWAIT, of, count, &event);
	printf("signal %d: %d\n", result, sigtimedwait(&set, &told, &limit));
	printf("  value %d code %d from us %d\n", told.si_value.sival_int, told.si_code,
	       told.si_pid == getpid());
}

static void by_thread(struct gaicb **of, int count)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = notified };
	int result;

	event.sigev_value.sival_int = 43;
	result = getaddrinfo_a(GAI_NOWAIT, of, count, &event);
	printf("thread %d: %d\n", result, wait_call());
	printf("  value %d on another thread %d\n", value, on_other_thread);
}

static void interrupted(int signal)
{
	(void)signal;
}

/* A wait that ends by a signal, again and again until one comes while it waits. */
static int suspend_until_signal(const struct gaicb *one)
{
	struct sigaction action = { .sa_handler = interrupted };
	struct itimerval often = { { 0, 5000 }, { 0, 5000 } }, never = { { 0, 0 }, { 0, 0 } };
	int result;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	result = gai_suspend(&one, 1, NULL);
	setitimer(ITIMER_REAL, &never, NULL);
	return result;
}

/* One request has no answer, and meanwhile all else goes on. */
void names_waiting(void)
{
	struct gaicb slow = { .ar_name = "hang.test", .ar_request = &hints };
	struct gaicb quick = { .ar_name = "www.test", .ar_request = &hints };
	struct gaicb *both[] = { &slow, &quick };
	const struct gaicb *one = &quick;
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct timespec little = { 0, 20000000 }, long_enough = { 20, 0 }, none = { 0, 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	printf("nowait: %d\n", getaddrinfo_a(GAI_NOWAIT, both, 2, &event));
	while (gai_error(&quick) == EAI_INPROGRESS)
		gai_suspend(&one, 1, &long_enough);
	names_list("quick", gai_error(&quick), quick.ar_result);
	one = &slow;
	printf("slow is under way: %d\n", gai_error(&slow) == EAI_INPROGRESS);
	printf("it is not cancelled: %d\n", gai_cancel(&slow) == EAI_NOTCANCELED);
	printf("suspend: %s\n", gai_strerror(gai_suspend(&one, 1, &little)));
	printf("and by a signal: %s\n", gai_strerror(suspend_until_signal(&slow)));
	printf("told early: %d\n", sigtimedwait(&set, NULL, &none) >= 0);
	printf("told: %d\n", sigtimedwait(&set, NULL, &long_enough) == SIGUSR1);
	printf("slow: %s\n", gai_strerror(gai_error(&slow)));
	printf("suspend when done: %d\n", gai_suspend(&one, 1, NULL) == EAI_ALLDONE);
}

void names_async(void)
{
	struct sigevent none = { .sigev_notify = SIGEV_NONE };
	struct gaicb *many[100];
	int result, bad = 0;

	main_thread = pthread_self();
	sem_init(&called, 0, 0);
	fill();
	show("wait", getaddrinfo_a(GAI_WAIT, list, COUNT + 1, NULL));
	fill();
	result = getaddrinfo_a(GAI_NOWAIT, list, COUNT + 1, &none);
	wait_all();
	show("none", result);
	fill();
	result = getaddrinfo_a(GAI_NOWAIT, list, COUNT + 1, NULL);
	wait_all();
	show("null", result);
	fill();
	by_signal(list, COUNT + 1);
	wait_all();
	fill();
	by_signal(list, 1); /* the pool's answer alone */
	fill();
	by_thread(list, COUNT + 1);
	wait_all();
	fill();
	by_thread(list, 1);
	errno = 0;
	result = getaddrinfo_a(77, list, 1, NULL);
	printf("bad mode: %d errno %d\n", result, errno);
	printf("nothing: %d\n", getaddrinfo_a(GAI_WAIT, list, 0, NULL));
	for (int i = 0; i < 100; i++) {
		many[i] = calloc(1, sizeof(struct gaicb));
		many[i]->ar_name = i % 2 == 0 ? "even.known.test" : "odd.known.test";
		many[i]->ar_request = &hints;
	}
	result = getaddrinfo_a(GAI_WAIT, many, 100, NULL);
	for (int i = 0; i < 100; i++)
		bad += gai_error(many[i]) != 0 || many[i]->ar_result == NULL;
	printf("many: %d, %d wrong\n", result, bad);
}
