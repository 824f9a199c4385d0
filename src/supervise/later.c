/* SPDX-License-Identifier: ISC */
/* later.c - calls that would wait are served again when there is something for them. */
#include "later.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop.h"
#include "serve.h"
#include "socksify/sys.h"

/* Nobody tells when a waiting program was killed; until then we keep its socket open. */
#define LOOK_NS 1000000000

struct later {
	struct watch watch;	/* first */
	struct timer timer;	/* second */
	int64_t until;
	struct call call;
};

static void end(struct later *l)
{
	loop_remove(&l->watch);
	loop_stop_timer(&l->timer);
	close(l->watch.fd);
	free(l);
}

static void ready(struct watch *w, uint32_t events)
{
	struct later *l = (struct later *)(void *)w;
	struct call c = l->call;

	(void)events;
	end(l);
	serve_call(&c);
}

static void look(struct timer *t)
{
	struct later *l = (struct later *)(void *)((char *)t - offsetof(struct later, timer));
	int64_t now = sys_now_ns();

	if (now >= l->until)
		(void)listener_reply(l->call.id, -EAGAIN);
	if (now >= l->until || !listener_is_waiting(l->call.id))
		end(l);
	else
		loop_start_timer(&l->timer, sys_earlier(l->until, now + LOOK_NS));
}

void later_serve(const struct call *c, int fd, uint32_t events, int64_t timeout_ns)
{
	struct later *l = calloc(1, sizeof(*l));
	int64_t now = sys_now_ns();

	if (l != NULL) {
		l->watch = (struct watch){ .fd = fd, .events = events, .ready = ready };
		l->timer.late = look;
		l->until = timeout_ns > 0 ? now + timeout_ns : INT64_MAX;
		l->call = *c;
	}
	if (l == NULL || loop_add(&l->watch) < 0) {
		(void)listener_reply(c->id, -ENOMEM);
		close(fd);
		free(l);
		return;
	}
	loop_start_timer(&l->timer, sys_earlier(l->until, now + LOOK_NS));
}
