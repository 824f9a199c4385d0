/* SPDX-License-Identifier: ISC */
/* check_listener.c - listening by way of a proxy: its replies in any slicing, each error at each step. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>

#include "../lib/program.h"
#include "socksify/listener.h"

#define PEER_PORT 81
#define CAME "\5\0\0\1\1\2\3\5\0\121"
#define LISTENS FAKE_GRANTED

static struct fake_server *const server = &fakesys.servers[0];
static struct rule rule = { .action = RULE_VIA, .pattern = { .port_high = UINT16_MAX } };

enum way { BLOCKING, BY_POLL, BY_EPOLL, BY_EDGES, BY_SPINNING, WAYS };

static void begin(const char *reply, size_t len, int flags)
{
	program_start();
	fakesys.has_numbers = true;
	program_config.binds = &rule;
	program_config.bind_count = 1;
	listener_setup();
	server->connect_ns = 30 * MS;
	server->answer_ns = 50 * MS;
	server->reply = reply;
	server->reply_len = len;
	server->peer_at = sizeof(LISTENS) - 1;
	server->peer_ns = 20000 * MS; /* longer than the proxy may take for the first reply */
	p_set(3);
	p_socket(5, flags);
}

static void end(void)
{
	fakesys.has_numbers = false;
	program_end();
	ck_assert_int_eq(conn_special, 0);
	program_config.bind_count = 0;
	listener_setup();
}

/* accept(2), once it may be called in this way. */
static int accept_by(enum way way, uint16_t *ret_port)
{
	union sockaddr_any peer = { .sa.sa_family = AF_UNSPEC };
	struct epoll_event e;
	socklen_t len = 0;

	for (int rounds = 0; rounds < 3000; rounds++) {
		int n = 1;

		if (way == BY_POLL)
			n = p_poll1(5, POLLIN, 1000);
		else if (way == BY_EPOLL || way == BY_EDGES)
			n = p_epoll(3, &e, 1, 1000);
		if (n < 0 && n != -EINTR)
			return n;
		if (n <= 0)
			continue;
		n = listener_accept(5, 0, &peer, &len);
		*ret_port = ntohs(peer.in.sin_port);
		if ((n != -EAGAIN && n != -EINTR) || way == BY_EDGES)
			return n;
		fakesys.now_ns += 500 * MS;
	}
	ck_abort_msg("nobody comes");
	return 0;
}

static int listen_and_accept(enum way way, uint16_t *ret_port)
{
	int err = listener_listen(5);

	if (err < 0)
		return err;
	ck_assert_int_eq(err, LISTENER_DONE);
	if (way == BY_EPOLL || way == BY_EDGES)
		err = p_ctl(3, EPOLL_CTL_ADD, 5, EPOLLIN | (way == BY_EDGES ? EPOLLET : 0u), 9);
	return err < 0 ? err : accept_by(way, ret_port);
}

static int open_numbers(void)
{
	int count = 0;

	for (int fd = 0; fd < FAKE_FDS; fd++)
		count += fakesys.fds[fd] != NULL;
	return count;
}

/* The connection is the peer's, from its first octet on, and the listener another socket. */
static void check_taken(int fd, uint16_t port)
{
	const struct fake_file *f = fakesys.fds[fd];

	ck_assert_ptr_ne(f, fakesys.fds[5]);
	ck_assert_uint_eq(f->reply_pos, server->reply_len);
	ck_assert_uint_eq(f->sent_len, FAKE_GREETING + FAKE_REQUEST);
	ck_assert_uint_eq(f->sent[FAKE_GREETING + 1], 2);
	ck_assert_uint_eq(port, PEER_PORT);
	ck_assert_int_eq(fdtab_state(fd), CONN_CONNECTED);
	ck_assert_int_eq(p_peer_port(fd), PEER_PORT);
}

START_TEST(replies_are_understood_in_any_slicing)
{
	enum way way = (enum way)_i;

	for (size_t slice = 0; slice <= 12; slice++) {
		uint16_t port = 0;
		int fd;

		begin(LISTENS CAME, sizeof(LISTENS CAME) - 1, way == BLOCKING ? 0 : O_NONBLOCK);
		fakesys.slice = slice;
		server->gap_ns = slice % 2 == 0 ? 3 * MS : 0;
		fd = listen_and_accept(way, &port);
		ck_assert_msg(fd >= 10, "slice %zu: %d", slice, fd);
		check_taken(fd, port);
		end();
	}
}
END_TEST

static const struct {
	const char *reply;
	size_t len;
	bool eof;
	int result;
} refusals[] = {
#define REPLY(reply, result) { reply, sizeof(reply) - 1, true, result }
	REPLY(FAKE_REFUSED("\1"), -EADDRINUSE),
	REPLY(FAKE_REFUSED("\2"), -EACCES),
	REPLY(FAKE_REFUSED("\3"), -ENETUNREACH),
	REPLY(FAKE_REFUSED("\7"), -EOPNOTSUPP),
	REPLY(FAKE_REFUSED("\11"), -EADDRINUSE),
	REPLY("\5\377", -EACCES),
	REPLY("", -ECONNREFUSED),
	REPLY("\5\0\5\0\0\4" "0123456789abcdef\0\1", -EADDRNOTAVAIL),
	REPLY(LISTENS "\5\2", -EACCES),
	REPLY(LISTENS "\5\5\0\1\0\0\0\0\0\0", -ECONNREFUSED),
	REPLY(LISTENS "\5\6\0\1\0", -ETIMEDOUT),
	REPLY(LISTENS "\5\0\0\1\1\2\3\5\0", -ECONNREFUSED),
	REPLY(LISTENS, -ECONNREFUSED),
	REPLY(LISTENS "\4\0\0\1\0\0\0\0\0\0", -ECONNREFUSED),
};

/* Who should listen is for the settings to say: without them nobody may. */
START_TEST(without_settings_nothing_listens)
{
	begin(LISTENS CAME, sizeof(LISTENS CAME) - 1, 0);
	route_setup(NULL, "there is no configuration");
	listener_setup();
	ck_assert(listener_is_on());
	ck_assert_int_eq(listener_listen(5), -ENETDOWN);
	ck_assert_int_eq(fakesys.connects, 0);
	route_setup(&program_config, NULL);
	end();
}
END_TEST

START_TEST(refusals_are_told)
{
	for (enum way way = BLOCKING; way < WAYS; way++) {
		uint16_t port = 0;

		begin(refusals[_i].reply, refusals[_i].len, way == BLOCKING ? 0 : O_NONBLOCK);
		server->then_eof = true;
		server->peer_at = 0;
		ck_assert_int_eq(listen_and_accept(way, &port), refusals[_i].result);
		ck_assert_int_eq(open_numbers(), 2);
		end();
	}
}
END_TEST

/* A peer may come at any time, but the reply that tells of it has to come as a whole. */
START_TEST(second_reply_that_stops_is_over_in_time)
{
	for (size_t came = 1; came < sizeof(CAME) - 1; came++) {
		int64_t until;
		uint16_t port = 0;

		begin(LISTENS CAME, sizeof(LISTENS) - 1 + came, _i == BLOCKING ? 0 : O_NONBLOCK);
		until = fakesys.now_ns + server->peer_ns + program_config.timeout_ms * MS;
		ck_assert_int_eq(listen_and_accept((enum way)_i, &port), -ETIMEDOUT);
		ck_assert_int_ge(fakesys.now_ns, until);
		/* When epoll looks again outlives the clock, which each test sets back. */
		if (_i != BY_EPOLL && _i != BY_EDGES)
			ck_assert_int_le(fakesys.now_ns, until + 2000 * MS);
		ck_assert_int_eq(open_numbers(), 2);
		ck_assert_int_eq(p_poll1(5, POLLIN, 100), 0);
		end();
	}
}
END_TEST

static const int errors[] = { EINTR, EAGAIN, ENOMEM, EINVAL, EMFILE, ENOSPC, ECONNRESET, EPIPE,
			      ECONNREFUSED, ENETUNREACH, EHOSTUNREACH, ETIMEDOUT };
#define ERRORS 12

START_TEST(each_error_at_each_step_is_an_error_or_harmless)
{
	const enum way way = (enum way)(_i / ERRORS);
	int step = 0;

	do {
		uint16_t port = 0;
		int fd;

		begin(LISTENS CAME, sizeof(LISTENS CAME) - 1, way == BLOCKING ? 0 : O_NONBLOCK);
		fakesys.fail_with = -errors[_i % ERRORS];
		fakesys.fail_at = ++step;
		fd = listen_and_accept(way, &port);
		/* One that was told, and is over, does not keep the next peer out. */
		if (fd == -EMFILE || fd == -EINTR || fd == -ENOMEM)
			fd = listen_and_accept(way == BY_EDGES ? BY_SPINNING : way, &port);
		if (fd >= 0)
			check_taken(fd, port);
		ck_assert_int_ne(fd, -EPROTO);
		ck_assert_int_eq(open_numbers(), fd >= 0 ? 3 : 2);
		end();
	} while (fakesys.step >= step);
	ck_assert_int_lt(step, 300);
}
END_TEST

START_TEST(listener_says_nothing_of_the_proxy)
{
	union sockaddr_any name;
	socklen_t len;

	begin(LISTENS, sizeof(LISTENS) - 1, O_NONBLOCK);
	ck_assert_int_eq(listener_listen(5), LISTENER_DONE);
	ck_assert_int_eq(p_poll1(5, POLLIN | POLLOUT, 100), 0);
	ck_assert_int_eq((int)p_recv(5, 0), -ENOTCONN);
	ck_assert_int_eq((int)p_send(5, 0), -EPIPE);
	ck_assert_int_eq(p_error(5), 0);
	ck_assert_int_eq(p_connect(5), -EISCONN);
	ck_assert(listener_accepts(5));
	ck_assert(listener_name(5, &name, &len));
	ck_assert_uint_eq(ntohs(name.in.sin_port), 80);
	ck_assert_uint_eq(name.in.sin_addr.s_addr, htonl(0x01020304));
	ck_assert_int_eq(listener_accept(5, 0, &name, &len), -EAGAIN);
	end();
}
END_TEST

START_TEST(listener_without_a_rule_is_the_kernels)
{
	begin(LISTENS, sizeof(LISTENS) - 1, 0);
	program_config.bind_count = 0;
	ck_assert_int_eq(listener_listen(5), LISTENER_KERNEL);
	ck_assert_int_eq(fakesys.connects, 0);
	ck_assert(!listener_has(5));
	end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("listener");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_loop_test(t, replies_are_understood_in_any_slicing, 0, WAYS);
	tcase_add_test(t, without_settings_nothing_listens);
	tcase_add_loop_test(t, refusals_are_told, 0, (int)(sizeof(refusals) / sizeof(refusals[0])));
	tcase_add_loop_test(t, second_reply_that_stops_is_over_in_time, 0, WAYS);
	tcase_add_loop_test(t, each_error_at_each_step_is_an_error_or_harmless, 0, ERRORS * WAYS);
	tcase_add_test(t, listener_says_nothing_of_the_proxy);
	tcase_add_test(t, listener_without_a_rule_is_the_kernels);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
