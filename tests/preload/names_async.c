/* SPDX-License-Identifier: ISC */
/* names_async.c - getaddrinfo_a(3). */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
