/* SPDX-License-Identifier: ISC */
/* loop.c - one thread that waits for many descriptors and times. */
#include "loop.h"

#include <errno.h>
#include <unistd.h>

#include "socksify/sys.h"

#define BATCH 64
#define NS_PER_MS 1000000

static int epoll = -1;
static struct epoll_event batch[BATCH];
static int batch_count;

/* Most of them never come: so they are in no order, and looked through when the first one is due. */
static struct timer *timers;
static int64_t first_due = INT64_MAX;

int loop_open(void)
{
	epoll = epoll_create1(EPOLL_CLOEXEC);
	return epoll < 0 ? -errno : 0;
}

static int control(int op, struct watch *w)
{
	struct epoll_event event = { .events = w->events, .data.ptr = w };

	return epoll_ctl(epoll, op, w->fd, &event) < 0 ? -errno : 0;
}

int loop_add(struct watch *w)
{
	return control(EPOLL_CTL_ADD, w);
}

int loop_change(struct watch *w, uint32_t events)
{
	if (w->events == events)
		return 0;
	w->events = events;
	return control(EPOLL_CTL_MOD, w);
}

int loop_again(struct watch *w)
{
	return control(EPOLL_CTL_MOD, w);
}

/* The program has the same open file, so closing ours would not end it. */
void loop_remove(struct watch *w)
{
	(void)control(EPOLL_CTL_DEL, w);
	for (int i = 0; i < batch_count; i++)
		if (batch[i].data.ptr == w)
			batch[i].data.ptr = NULL;
}

void loop_start_timer(struct timer *t, int64_t at)
{
	loop_stop_timer(t);
	t->at = at;
	t->next = timers;
	t->back = &timers;
	if (timers != NULL)
		timers->back = &t->next;
	timers = t;
	first_due = sys_earlier(first_due, at);
}

void loop_stop_timer(struct timer *t)
{
	if (t->back == NULL)
		return;
	*t->back = t->next;
	if (t->next != NULL)
		t->next->back = t->back;
	t->back = NULL;
	t->next = NULL;
}

/* One that is due, taken out; NULL: there is none, and first_due is right again. */
static struct timer *take_due(int64_t now)
{
	first_due = INT64_MAX;
	for (struct timer *t = timers; t != NULL; t = t->next) {
		if (t->at <= now) {
			loop_stop_timer(t);
			first_due = now; /* there may be more */
			return t;
		}
		first_due = sys_earlier(first_due, t->at);
	}
	return NULL;
}

static void run_timers(void)
{
	int64_t now = sys_now_ns();
	struct timer *t;

	while (first_due <= now && (t = take_due(now)) != NULL)
		t->late(t);
}

static int time_left(void)
{
	int64_t ms;

	if (first_due == INT64_MAX)
		return -1;
	ms = (first_due - sys_now_ns() + NS_PER_MS - 1) / NS_PER_MS;
	return ms < 0 ? 0 : ms > 60000 ? 60000 : (int)ms;
}

void loop_turn(void)
{
	int count = epoll_wait(epoll, batch, BATCH, time_left());

	batch_count = count > 0 ? count : 0;
	for (int i = 0; i < batch_count; i++) {
		struct watch *w = batch[i].data.ptr;

		if (w != NULL)
			w->ready(w, batch[i].events);
	}
	batch_count = 0;
	run_timers();
}
