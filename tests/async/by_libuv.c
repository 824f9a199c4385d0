/* SPDX-License-Identifier: ISC */
/* Many connects at once with libuv. */

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "many.h"

struct stream {
	uv_tcp_t tcp;
	uv_connect_t connect;
	uv_write_t write;
	struct talk *talk;
	char bytes[512];
};

static struct many *many;

static void finish(struct stream *stream, int error)
{
	many_ended(many, stream->talk,
		   -error); /* uv's errors are negative errnos */
	uv_close((uv_handle_t *)&stream->tcp, NULL);
	if (many->left == 0)
		uv_stop(uv_default_loop());
}

static void on_alloc(uv_handle_t *tcp, size_t wanted, uv_buf_t *ret)
{
	struct stream *stream = tcp->data;

	(void)wanted;
	*ret = uv_buf_init(stream->bytes, sizeof stream->bytes);
}

static void on_read(uv_stream_t *tcp, ssize_t size, const uv_buf_t *buf)
{
	struct stream *stream = tcp->data;

	if (size < 0)
		finish(stream, size == UV_EOF ? 0 : (int)size);
	else
		many_received(stream->talk, buf->base, (size_t)size);
}

static void on_connect(uv_connect_t *request, int status)
{
	struct stream *stream = request->data;
	uv_buf_t buf = uv_buf_init(MANY_REQUEST, strlen(MANY_REQUEST));
	uv_os_fd_t fd = -1;

	if (status < 0) {
		finish(stream, status);
		return;
	}
	uv_fileno((uv_handle_t *)&stream->tcp, &fd);
	many_connected(many, stream->talk, fd);
	uv_write(&stream->write, (uv_stream_t *)&stream->tcp, &buf, 1, NULL);
	uv_read_start((uv_stream_t *)&stream->tcp, on_alloc, on_read);
}

static void on_timeout(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

int main(int argc, char **argv)
{
	uv_loop_t *loop = uv_default_loop();
	struct stream *streams;
	uv_timer_t limit;

	many = many_start(argc, argv);
	streams = calloc(many->count, sizeof *streams);
	if (streams == NULL)
		return 2;
	for (size_t i = 0; i < many->count; i++) {
		struct stream *stream = &streams[i];

		stream->talk = &many->talks[i];
		stream->tcp.data = stream->connect.data = stream;
		uv_tcp_init(loop, &stream->tcp);
		uv_tcp_connect(&stream->connect, &stream->tcp,
			       (const struct sockaddr *)&many->target,
			       on_connect);
	}
	uv_timer_init(loop, &limit);
	uv_timer_start(&limit, on_timeout, (uint64_t)(many->seconds * 1000), 0);
	uv_run(loop, UV_RUN_DEFAULT);
	many_report(many);
	return 0;
}
