/* SPDX-License-Identifier: ISC */
/* names_async.c - getaddrinfo_a(3), gai_suspend(3) and gai_cancel(3). */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "names.h"
#include "preload.h"
#include "real.h"
#include "socksify/sys.h"

#define FEW 16
#define THREADS 20		/* libc's own limit */
#define NS_PER_S INT64_C(1000000000)
#define LOOK_NS INT64_C(10000000)
#define MARK 0x736f636b		/* in a field that libc leaves alone: this request is ours */

/* The requests of one call that wait for a resolver behind the proxy. */
struct job {
	_Atomic int next;	/* index of the first that nobody has taken */
	_Atomic int workers;
	bool notifies;
	struct sigevent event;
	int count;
	struct gaicb *list[];
};

static _Atomic uint32_t finished;	/* a futex: changes when a request is done */

static bool is_under_way(const struct gaicb *r)
{
	return r != NULL && __atomic_load_n(&r->__return, __ATOMIC_ACQUIRE) == EAI_INPROGRESS;
}

static int count_under_way(const struct gaicb *const list[], int count)
{
	int n = 0;

	for (int i = 0; i < count; i++)
		n += is_under_way(list[i]);
	return n;
}

static bool is_ours(const struct gaicb *r)
{
	return is_under_way(r) && r->__glibc_reserved[0] == MARK;
}

static int futex(int operation, uint32_t value, const void *timeout)
{
	int saved = errno;
	int err = REAL(syscall)(SYS_futex, &finished, operation, value, timeout) < 0 ? -errno : 0;

	errno = saved;
	return err;
}

/* From here on the program may do with the request what it likes. */
static void finish(struct gaicb *r, int result)
{
	__atomic_store_n(&r->__return, result, __ATOMIC_RELEASE);
	atomic_fetch_add(&finished, 1);
	(void)futex(FUTEX_WAKE_PRIVATE, INT_MAX, NULL);
}

/* The last one to go notifies: libc does nothing for a call about nothing but that. */
static void leave(struct job *job)
{
	if (atomic_fetch_sub(&job->workers, 1) > 1)
		return;
	if (job->notifies)
		(void)!REAL(getaddrinfo_a)(GAI_NOWAIT, job->list, 0, &job->event);
	free(job);
}

static void *work(void *arg)
{
	struct job *job = arg;
	int i;

	while ((i = atomic_fetch_add(&job->next, 1)) < job->count) {
		struct gaicb *r = job->list[i];

		finish(r, getaddrinfo(r->ar_name, r->ar_service, r->ar_request, &r->ar_result));
	}
	leave(job);
	return NULL;
}

/*
 * Before glibc 2.34 these are not in every program, but in each that has
 * getaddrinfo_a(3); nor is it worth a binding at each start of a program.
 */
static int start_thread(struct job *job)
{
	__typeof__(&pthread_create) create =
		(__typeof__(&pthread_create))(uintptr_t)dlsym(RTLD_DEFAULT, "pthread_create");
	__typeof__(&pthread_detach) detach =
		(__typeof__(&pthread_detach))(uintptr_t)dlsym(RTLD_DEFAULT, "pthread_detach");
	pthread_t thread;
	int err;

	if (create == NULL || detach == NULL)
		return -ENOSYS;
	atomic_fetch_add(&job->workers, 1);
	err = create(&thread, NULL, work, job);
	if (err == 0)
		detach(thread);
	else
		atomic_fetch_sub(&job->workers, 1);
	return -err;
}

/* As many as make sense, without a part in the program's signals, as libc's.  How many there are. */
static int start_threads(struct job *job, int most)
{
	sigset_t all, before;
	int n = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (n < most && n < THREADS && start_thread(job) == 0)
		n++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return n;
}

/* The caller is one of the workers, so that one name needs no thread. */
static void work_and_wait(struct job *job, const struct gaicb *const list[], int count)
{
	uint32_t seen;

	(void)start_threads(job, count - 1);
	(void)work(job);
	for (;;) {
		seen = atomic_load(&finished);
		if (count_under_way(list, count) == 0)
			return;
		(void)futex(FUTEX_WAIT_PRIVATE, seen, NULL);
	}
}

static int fail_all(struct job *job)
{
	for (int i = 0; i < job->count; i++)
		finish(job->list[i], EAI_AGAIN);
	job->notifies = false;
	leave(job);
	return EAI_AGAIN;
}

/* A call about requests that wait, each of them. */
static int begin(int mode, struct gaicb *const list[], int count, const struct sigevent *event)
{
	struct job *job = malloc(sizeof(*job) + (size_t)count * sizeof(list[0]));

	if (job == NULL)
		return EAI_MEMORY;
	/* The caller counts as a worker until it has started the others. */
	*job = (struct job){ .workers = 1, .count = count,
			     .notifies = mode == GAI_NOWAIT && event != NULL };
	if (job->notifies)
		job->event = *event;
	memcpy(job->list, list, (size_t)count * sizeof(list[0]));
	for (int i = 0; i < count; i++) {
		list[i]->__glibc_reserved[0] = MARK;
		list[i]->__return = EAI_INPROGRESS;
	}
	if (mode == GAI_WAIT)
		work_and_wait(job, (const struct gaicb *const *)list, count);
	else if (start_threads(job, count) > 0)
		leave(job);
	else
		return fail_all(job);
	return 0;
}

/* What needs no waiting is answered here and now; the rest is left in @waiting.  Its length. */
static int answer(struct gaicb *const list[], int count, struct gaicb **waiting)
{
	int left = 0;

	for (int i = 0; i < count; i++) {
		struct gaicb *r = list[i];

		if (r == NULL)
			continue;
		r->__glibc_reserved[0] = 0;
		if (names_waits(r->ar_name, r->ar_request))
			waiting[left++] = r;
		else
			r->__return = getaddrinfo(r->ar_name, r->ar_service, r->ar_request,
						  &r->ar_result);
	}
	return left;
}

/*
 * getaddrinfo_a(3).  libc's threads call its own getaddrinfo(3), past ours.  So
 * they are given only what is libc's anyway, and in any case the notification.
 * What waits for a resolver behind the proxy gets threads of ours instead, which
 * are as many and live as long: the program asked for some.
 */
EXPORT int getaddrinfo_a(int mode, struct gaicb *list[restrict], int count,
			 struct sigevent *restrict event)
{
	struct gaicb *few[FEW], **waiting = few;
	int result;

	preload_ready_network();
	if ((mode != GAI_WAIT && mode != GAI_NOWAIT) || count < 0)
		return REAL(getaddrinfo_a)(mode, list, count, event);
	if (count > FEW)
		waiting = calloc((size_t)count, sizeof(struct gaicb *));
	if (waiting == NULL)
		return EAI_MEMORY;
	count = answer(list, count, waiting);
	if (count > 0 && resolve_has_resolver()) {
		result = begin(mode, waiting, count, event);
	} else {
		if (count > 0)
			nss_keep_local();
		result = REAL(getaddrinfo_a)(mode, waiting, count, event);
	}
	if (waiting != few)
		free(waiting);
	return result;
}

/* The kernel's time for futex(2). */
struct kernel_time {
	long s, ns;
};

/* Until one of ours is done; @all: they are all that is waited for.  0, -EINTR or -ETIMEDOUT. */
static int wait_for_one(uint32_t seen, bool all, int64_t deadline)
{
	int64_t left = deadline - sys_now_ns();
	struct kernel_time limit;
	int err;

	if (left <= 0)
		return -ETIMEDOUT;
	if (!all && left > LOOK_NS)
		left = LOOK_NS; /* what libc does wakes nobody here */
	limit = (struct kernel_time){ (long)(left / NS_PER_S), (long)(left % NS_PER_S) };
	err = futex(FUTEX_WAIT_PRIVATE, seen, deadline == INT64_MAX && all ? NULL : &limit);
	return err == -EINTR ? err : 0;
}

static int64_t deadline_of(const struct timespec *timeout)
{
	if (timeout == NULL || timeout->tv_sec > INT32_MAX)
		return INT64_MAX;
	return sys_now_ns() + timeout->tv_sec * NS_PER_S + timeout->tv_nsec;
}

/* gai_suspend(3) */
EXPORT int gai_suspend(const struct gaicb *const list[], int count, const struct timespec *timeout)
{
	int under_way = count_under_way(list, count), ours = 0, err = 0;
	int64_t deadline;
	uint32_t seen;

	for (int i = 0; i < count; i++)
		ours += is_ours(list[i]);
	if (ours == 0)
		return REAL(gai_suspend)(list, count, timeout);
	deadline = deadline_of(timeout);
	while (err == 0) {
		seen = atomic_load(&finished);
		if (count_under_way(list, count) < under_way)
			return 0;
		err = wait_for_one(seen, ours == under_way, deadline);
	}
	return err == -EINTR ? EAI_INTR : EAI_AGAIN;
}

/* gai_cancel(3): a lookup that has begun cannot be. */
EXPORT int gai_cancel(struct gaicb *request)
{
	return is_ours(request) ? EAI_NOTCANCELED : REAL(gai_cancel)(request);
}
