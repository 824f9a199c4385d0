/* SPDX-License-Identifier: ISC */
/* check_await.c - connects without a deadline of ours: the kernel's receive waits for the answers. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>

#include "../lib/program.h"
#include "socksify/gate.h"

static struct fake_server *const server = &fakesys.servers[0];

static void begin(void)
{
	program_start();
	program_config.timeout_ms = 0;
	p_socket(5, 0);
}

START_TEST(it_connects_in_any_slicing)
{
	begin();
	fakesys.slice = (size_t)_i;
	server->connect_ns = 30 * MS;
	server->answer_ns = 50 * MS;
	server->gap_ns = _i % 3 * MS;
	ck_assert_int_eq(p_connect(5), 0);
	ck_assert_int_eq(fakesys.now_ns, (30 + 2 * 50 + _i % 3 * 10) * MS);
	p_check_connected(5);
	program_end();
}
END_TEST

/* What the target says behind the reply stays in the socket. */
START_TEST(nothing_behind_the_reply_is_received)
{
	begin();
	program_proxy.handshake = _i == 0 ? HANDSHAKE_STANDARD : HANDSHAKE_PIPELINED;
	server->reply = FAKE_GRANTED "HELLO";
	server->reply_len = sizeof(FAKE_GRANTED "HELLO") - 1;
	ck_assert_int_eq(p_connect(5), 0);
	ck_assert_int_eq(p_recv(5, 0), 5);
	program_end();
}
END_TEST

START_TEST(an_early_end_is_a_refusal)
{
	begin();
	server->reply_len = (size_t)(_i / 2);
	server->then_eof = _i % 2 == 0;
	server->then_reset = _i % 2 != 0;
	ck_assert_int_eq(p_connect(5), -ECONNREFUSED);
	p_check_reusable(5);
	program_end();
}
END_TEST

START_TEST(an_hour_is_not_too_long)
{
	begin();
	server->connect_ns = 3600 * 1000 * MS;
	server->answer_ns = 3600 * 1000 * MS;
	p_set_flags(5, _i);
	if (_i != 0) {
		ck_assert_int_eq(p_connect(5), -EINPROGRESS);
		ck_assert_int_eq(p_poll1(5, POLLOUT, -1), POLLOUT);
	}
	ck_assert_int_eq(p_connect(5), 0);
	ck_assert_int_eq(fakesys.now_ns, 3 * 3600 * 1000 * MS);
	p_check_connected(5);
	program_end();
}
END_TEST

START_TEST(the_programs_send_timeout_counts_and_stays)
{
	begin();
	p_check_send_timeout(5, _i == 0);
	program_end();
}
END_TEST

/* connect(2) does not mind it. */
START_TEST(the_programs_receive_timeout_does_not_count)
{
	begin();
	fakesys.fds[5]->receive_timeout_us = 7000;
	server->answer_ns = 50 * MS;
	ck_assert_int_eq(p_connect(5), 0);
	ck_assert_int_eq(fakesys.now_ns, 100 * MS);
	ck_assert_int_eq(fakesys.fds[5]->receive_timeout_us, 7000);
	p_check_connected(5);
	program_end();
}
END_TEST

/* Two messages, four waits: for the connection, and for three parts of the answers. */
#define WAITS 4

static void interrupt_at(int step, bool interrupting)
{
	begin();
	server->answer_ns = 50 * MS;
	fakesys.fail_with = -EINTR;
	fakesys.fail_at = step;
	fakesys.interrupts = interrupting;
}

START_TEST(a_handler_with_restart_is_not_noticed)
{
	interrupt_at(_i, false);
	ck_assert_int_eq(p_connect(5), 0);
	p_check_connected(5);
	program_end();
}
END_TEST

START_TEST(a_handler_without_restart_interrupts_and_the_handshake_goes_on)
{
	interrupt_at(1 + _i / 2, true);
	ck_assert_int_eq(p_connect(5), -EINTR);
	ck_assert_int_eq(fdtab_state(5), CONN_PENDING);
	if (_i % 2 == 0)
		ck_assert_int_eq(p_poll1(5, POLLOUT, -1), POLLOUT);
	ck_assert_int_eq(p_connect(5), 0);
	p_check_connected(5);
	program_end();
}
END_TEST

static int found[4];

/* The handler's, on top of the receive. */
static void look(void)
{
	found[0] = (int)p_send(5, 0);
	found[1] = (int)p_recv(5, MSG_DONTWAIT);
	found[2] = p_poll1(5, POLLOUT, 20);
	found[3] = p_error(5);
}

START_TEST(a_handler_on_top_finds_it_pending_and_never_waits_for_ever)
{
	static const int wanted[4] = { -EAGAIN, -EAGAIN, 0, 0 };

	begin();
	server->answer_ns = 50 * MS;
	fakesys.in_receive = look;
	ck_assert_int_eq(p_connect(5), 0);
	ck_assert_mem_eq(found, wanted, sizeof(wanted));
	p_check_connected(5);
	program_end();
}
END_TEST

static void end_it(void)
{
	ck_assert_int_eq(p_shutdown(5, SHUT_RDWR), 0);
}

START_TEST(shutdown_ends_it)
{
	begin();
	server->answer_ns = 50 * MS;
	fakesys.in_receive = end_it;
	ck_assert_int_lt(p_connect(5), 0);
	ck_assert_int_eq(fdtab_state(5), CONN_FRESH);
	ck_assert_int_eq(p_connect(5), 0);
	p_check_connected(5);
	program_end();
}
END_TEST

static void unblock(void)
{
	p_set_flags(5, O_NONBLOCK);
}

START_TEST(a_socket_that_blocks_no_more_is_polled_for)
{
	begin();
	server->answer_ns = 50 * MS;
	fakesys.hook = unblock;
	fakesys.hook_at = _i * MS;
	ck_assert_int_eq(p_connect(5), 0);
	ck_assert_int_eq(fakesys.now_ns, 100 * MS);
	p_check_connected(5);
	program_end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("await");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_loop_test(t, it_connects_in_any_slicing, 1, 24);
	tcase_add_loop_test(t, nothing_behind_the_reply_is_received, 0, 2);
	tcase_add_loop_test(t, an_early_end_is_a_refusal, 0, 2 * (int)sizeof(FAKE_GRANTED) - 2);
	tcase_add_loop_test(t, an_hour_is_not_too_long, 0, 1);
	tcase_add_loop_test(t, an_hour_is_not_too_long, O_NONBLOCK, O_NONBLOCK + 1);
	tcase_add_loop_test(t, the_programs_send_timeout_counts_and_stays, 0, 2);
	tcase_add_test(t, the_programs_receive_timeout_does_not_count);
	tcase_add_loop_test(t, a_handler_with_restart_is_not_noticed, 1, WAITS + 1);
	tcase_add_loop_test(t, a_handler_without_restart_interrupts_and_the_handshake_goes_on,
			    0, 2 * WAITS);
	tcase_add_test(t, a_handler_on_top_finds_it_pending_and_never_waits_for_ever);
	tcase_add_test(t, shutdown_ends_it);
	tcase_add_loop_test(t, a_socket_that_blocks_no_more_is_polled_for, 10, 90);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
