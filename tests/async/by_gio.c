/* SPDX-License-Identifier: ISC */
/* Many connects at once with GLib's GSocketClient. */

#include <errno.h>
#include <gio/gio.h>
#include <string.h>

#include "many.h"

struct stream {
	GSocketConnection *connection;
	struct talk *talk;
	char bytes[512];
};

static struct many *many;
static GMainLoop *loop;

static int errno_of(const GError *error)
{
	if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED))
		return ECONNREFUSED;
	g_printerr("%s\n", error->message);
	return EIO;
}

static void finish(struct stream *stream, GError *error)
{
	many_ended(many, stream->talk, error != NULL ? errno_of(error) : 0);
	g_clear_error(&error);
	g_clear_object(&stream->connection);
	if (many->left == 0)
		g_main_loop_quit(loop);
}

static void on_read(GObject *input, GAsyncResult *result, gpointer arg)
{
	struct stream *stream = arg;
	GError *error = NULL;
	gssize size = g_input_stream_read_finish(G_INPUT_STREAM(input), result,
						 &error);

	if (size <= 0) {
		finish(stream, error);
		return;
	}
	many_received(stream->talk, stream->bytes, (size_t)size);
	g_input_stream_read_async(G_INPUT_STREAM(input), stream->bytes,
				  sizeof stream->bytes, G_PRIORITY_DEFAULT,
				  NULL, on_read, stream);
}

static void on_written(GObject *output, GAsyncResult *result, gpointer arg)
{
	struct stream *stream = arg;
	GError *error = NULL;

	if (g_output_stream_write_finish(G_OUTPUT_STREAM(output), result,
					 &error) < 0) {
		finish(stream, error);
		return;
	}
	g_input_stream_read_async(
		g_io_stream_get_input_stream(G_IO_STREAM(stream->connection)),
		stream->bytes, sizeof stream->bytes, G_PRIORITY_DEFAULT, NULL,
		on_read, stream);
}

static void on_connect(GObject *client, GAsyncResult *result, gpointer arg)
{
	struct stream *stream = arg;
	GError *error = NULL;

	stream->connection = g_socket_client_connect_to_host_finish(
		G_SOCKET_CLIENT(client), result, &error);
	if (stream->connection == NULL) {
		finish(stream, error);
		return;
	}
	many_connected(many, stream->talk,
		       g_socket_get_fd(g_socket_connection_get_socket(
			       stream->connection)));
	g_output_stream_write_async(
		g_io_stream_get_output_stream(G_IO_STREAM(stream->connection)),
		MANY_REQUEST, strlen(MANY_REQUEST), G_PRIORITY_DEFAULT, NULL,
		on_written, stream);
}

static gboolean on_timeout(gpointer arg)
{
	(void)arg;
	g_main_loop_quit(loop);
	return G_SOURCE_REMOVE;
}

int main(int argc, char **argv)
{
	GSocketClient *client = g_socket_client_new();
	struct stream *streams;

	many = many_start(argc, argv);
	streams = g_new0(struct stream, many->count);
	loop = g_main_loop_new(NULL, FALSE);
	g_socket_client_set_enable_proxy(client, FALSE);
	for (size_t i = 0; i < many->count; i++) {
		streams[i].talk = &many->talks[i];
		g_socket_client_connect_to_host_async(
			client, many->host, ntohs(many->target.sin_port), NULL,
			on_connect, &streams[i]);
	}
	g_timeout_add((guint)(many->seconds * 1000), on_timeout, NULL);
	g_main_loop_run(loop);
	many_report(many);
	return 0;
}
