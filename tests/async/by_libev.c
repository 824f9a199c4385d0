/* SPDX-License-Identifier: ISC */
/* Many connects at once with libev and plain sockets. */

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "many.h"

static struct many *many;

static void finish(struct ev_loop *loop, ev_io *io, int error)
{
	ev_io_stop(loop, io);
	close(io->fd);
	many_ended(many, io->data, error);
	if (many->left == 0)
		ev_break(loop, EVBREAK_ALL);
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
	char bytes[512];
	ssize_t size = recv(io->fd, bytes, sizeof bytes, 0);

	(void)events;
	if (size > 0)
		many_received(io->data, bytes, (size_t)size);
	else if (size == 0 || errno != EAGAIN)
		finish(loop, io, size == 0 ? 0 : errno);
}

static void on_writable(struct ev_loop *loop, ev_io *io, int events)
{
	int error = 0;
	socklen_t length = sizeof error;

	(void)events;
	getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &error, &length);
	if (error != 0) {
		finish(loop, io, error);
		return;
	}
	many_connected(many, io->data, io->fd);
	if (send(io->fd, MANY_REQUEST, strlen(MANY_REQUEST), MSG_NOSIGNAL) <
	    0) {
		finish(loop, io, errno);
		return;
	}
	ev_io_stop(loop, io);
	ev_set_cb(io, on_readable);
	ev_io_set(io, io->fd, EV_READ);
	ev_io_start(loop, io);
}

static void start(struct ev_loop *loop, ev_io *io, struct talk *talk)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	ev_io_init(io, on_writable, fd, EV_WRITE);
	io->data = talk;
	if (connect(fd, (struct sockaddr *)&many->target,
		    sizeof many->target) == 0)
		finish(loop, io,
		       EISCONN); /* not in progress: that is an error here */
	else if (errno != EINPROGRESS)
		finish(loop, io, errno);
	else
		ev_io_start(loop, io);
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)timer;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

int main(int argc, char **argv)
{
	struct ev_loop *loop =
		ev_default_loop(EVFLAG_AUTO); /* LIBEV_FLAGS chooses */
	ev_timer limit;
	ev_io *ios;

	many = many_start(argc, argv);
	ios = calloc(many->count, sizeof *ios);
	if (loop == NULL || ios == NULL)
		return 2;
	for (size_t i = 0; i < many->count; i++)
		start(loop, &ios[i], &many->talks[i]);
	ev_timer_init(&limit, on_timeout, many->seconds, 0.);
	ev_timer_start(loop, &limit);
	if (many->left > 0)
		ev_run(loop, 0);
	many_report(many);
	return 0;
}
