/* SPDX-License-Identifier: ISC */
/* Many connects at once with libevent's bufferevents. */

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <string.h>

#include "many.h"

static struct many *many;
static struct event_base *base;

static void stop_when_done(void)
{
	if (many->left == 0)
		event_base_loopbreak(base);
}

static void on_read(struct bufferevent *stream, void *arg)
{
	char bytes[512];
	size_t size;

	while ((size = bufferevent_read(stream, bytes, sizeof bytes)) > 0)
		many_received(arg, bytes, size);
}

static void on_event(struct bufferevent *stream, short what, void *arg)
{
	if (what & BEV_EVENT_CONNECTED) {
		many_connected(many, arg, bufferevent_getfd(stream));
		bufferevent_write(stream, MANY_REQUEST, strlen(MANY_REQUEST));
		return;
	}
	on_read(stream, arg);
	many_ended(many, arg,
		   what & BEV_EVENT_ERROR ? EVUTIL_SOCKET_ERROR() : 0);
	bufferevent_free(stream);
	stop_when_done();
}

static void start(struct talk *talk)
{
	struct bufferevent *stream =
		bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);

	bufferevent_setcb(stream, on_read, NULL, on_event, talk);
	bufferevent_enable(stream, EV_READ | EV_WRITE);
	bufferevent_socket_connect(stream, (struct sockaddr *)&many->target,
				   sizeof many->target);
}

int main(int argc, char **argv)
{
	struct timeval limit;

	many = many_start(argc, argv);
	base = event_base_new(); /* EVENT_NOEPOLL, EVENT_NOPOLL choose the way
				  */
	limit = (struct timeval){.tv_sec = (time_t)many->seconds};
	for (size_t i = 0; i < many->count; i++)
		start(&many->talks[i]);
	event_base_loopexit(base, &limit);
	event_base_dispatch(base);
	many_report(many);
	return 0;
}
