/* SPDX-License-Identifier: ISC */
/* check_socks5.c - the handshake in every slicing and truncation; addresses and the UDP header. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "socksify/socks5.h"
#include "socksify/socks5_udp.h"

/* What a scripted server does and what the client sent to it. */
struct feed {
	const char *in;
	size_t left;
	size_t slice;
	uint8_t out[2048];
	size_t out_len;
};

/* Returns 0, -errno, or 1 when the server's bytes ran out. */
static int run(struct socks5 *s, struct feed *f)
{
	for (;;) {
		struct span span;
		enum socks5_io io = socks5_want(s, &span);
		size_t n = span.len < f->slice ? span.len : f->slice;
		int err;

		if (io == SOCKS5_DONE)
			return 0;
		if (io == SOCKS5_SEND) {
			memcpy(f->out + f->out_len, span.data, n);
			f->out_len += n;
		} else {
			if (f->left == 0)
				return 1;
			if (n > f->left)
				n = f->left;
			memcpy(span.data, f->in, n);
			f->in += n;
			f->left -= n;
		}
		err = socks5_advance(s, n);
		if (err < 0)
			return err;
	}
}

static struct socks5_login login(size_t user, size_t pass)
{
	struct socks5_login l = { .user_len = (uint8_t)user, .pass_len = (uint8_t)pass };

	memset(l.user, 0xfe, user);
	memset(l.pass, 0x00, pass);
	return l;
}

static struct target target_of(const char *host, uint16_t port)
{
	struct target t;

	ck_assert_int_eq(target_from_host(host, strlen(host), port, &t), 0);
	return t;
}

#define CASE(login_, text, result_, left_) { login_, text, sizeof(text) - 1, result_, left_ }
static const struct {
	bool has_login;
	const char *in;
	size_t len;
	int result;
	size_t left;	/* not read: it belongs to the application, or nobody */
} cases[] = {
	CASE(false, "\5\0" "\5\0\0\1\1\2\3\4\0\120", 0, 0),
	CASE(false, "\5\0" "\5\0\0\1\1\2\3\4\0\120HELLO", 0, 5),
	CASE(false, "\5\0" "\5\0\0\4" "0123456789abcdef\0\120SSH", 0, 3),
	CASE(false, "\5\0" "\5\0\0\3\4name\0\120X", 0, 1),
	CASE(false, "\5\0" "\5\0\0\3\0\0\120X", 0, 1),
	CASE(true, "\5\2" "\1\0" "\5\0\0\1\1\2\3\4\0\120", 0, 0),
	CASE(true, "\5\0" "\5\0\0\1\1\2\3\4\0\120", 0, 0),
	CASE(true, "\5\2" "\5\0" "\5\0\0\1\1\2\3\4\0\120", 0, 0),
	CASE(true, "\5\2" "\1\1", -EACCES, 0),
	CASE(true, "\5\2" "\1\377", -EACCES, 0),
	CASE(true, "\5\377", -EACCES, 0),
	CASE(false, "\5\377", -EACCES, 0),
	CASE(false, "\5\2", -EACCES, 0),
	CASE(false, "\5\1", -EACCES, 0),
	CASE(true, "\5\1", -EACCES, 0),
	CASE(false, "\4\0", -EPROTO, 0),
	CASE(false, "HT", -EPROTO, 0),
	CASE(false, "\5\0" "\5\1", -ECONNREFUSED, 0),
	CASE(false, "\5\0" "\5\2", -EACCES, 0),
	CASE(false, "\5\0" "\5\3", -ENETUNREACH, 0),
	CASE(false, "\5\0" "\5\4", -EHOSTUNREACH, 0),
	CASE(false, "\5\0" "\5\5", -ECONNREFUSED, 0),
	CASE(false, "\5\0" "\5\6", -ETIMEDOUT, 0),
	CASE(false, "\5\0" "\5\7", -ECONNREFUSED, 0),
	CASE(false, "\5\0" "\5\10", -ENETUNREACH, 0),
	CASE(false, "\5\0" "\5\11", -ECONNREFUSED, 0),
	CASE(false, "\5\0" "\5\377", -ECONNREFUSED, 0),
	CASE(false, "\5\0" "\4\0\0\1\1", -EPROTO, 0),
	CASE(false, "\5\0" "\5\0\0\2\1", -EPROTO, 0),
};

START_TEST(answers_are_understood_in_any_slicing)
{
	struct socks5_login l = login(3, 4);
	struct target dst = target_of("192.0.2.1", 80);

	for (size_t slice = 1; slice <= 600; slice++) {
		struct feed f = { .in = cases[_i].in, .left = cases[_i].len, .slice = slice };
		struct socks5 s;

		socks5_start(&s, SOCKS5_CONNECT, &dst, cases[_i].has_login ? &l : NULL);
		ck_assert_int_eq(run(&s, &f), cases[_i].result);
		/* A failure may be decided early, on the first octets of a message. */
		if (cases[_i].result == 0)
			ck_assert_uint_eq(f.left, cases[_i].left);
		else
			ck_assert_uint_le(f.left, 3);
	}
}
END_TEST

START_TEST(a_truncated_answer_is_never_success)
{
	struct socks5_login l = login(255, 255);
	struct target dst = target_of("192.0.2.1", 80);

	if (cases[_i].result != 0)
		return;
	for (size_t len = 0; len < cases[_i].len - cases[_i].left; len++) {
		struct feed f = { .in = cases[_i].in, .left = len, .slice = 600 };
		struct socks5 s;

		socks5_start(&s, SOCKS5_CONNECT, &dst, cases[_i].has_login ? &l : NULL);
		ck_assert_int_eq(run(&s, &f), 1);
	}
}
END_TEST

START_TEST(messages_are_as_the_rfcs_draw_them)
{
	struct socks5_login l = { .user_len = 2, .pass_len = 1, .user = "me", .pass = "x" };
	struct target dst = target_of("example.org", 443);
	struct feed f = { .in = "\5\2\1\0\5\0\0\1\0\0\0\0\0\0", .left = 14, .slice = 600 };
	static const char want[] = "\5\2\0\2" "\1\2me\1x" "\5\1\0\3\13example.org\1\273";
	struct socks5 s;

	socks5_start(&s, SOCKS5_CONNECT, &dst, &l);
	ck_assert_int_eq(run(&s, &f), 0);
	ck_assert_uint_eq(f.out_len, sizeof(want) - 1);
	ck_assert_mem_eq(f.out, want, sizeof(want) - 1);
}
END_TEST

START_TEST(the_longest_messages_fit)
{
	struct socks5_login l = login(255, 255);
	struct feed f = { .in = "\5\2\1\0\5\0\0\1\0\0\0\0\0\0", .left = 14, .slice = 600 };
	struct target dst;
	struct socks5 s;
	char name[255];

	memset(name, 'a', sizeof(name));
	ck_assert_int_eq(target_from_host(name, sizeof(name), 1, &dst), 0);
	socks5_start(&s, SOCKS5_CONNECT, &dst, &l);
	ck_assert_int_eq(run(&s, &f), 0);
	ck_assert_uint_eq(f.out_len, 4 + 513 + 262);
}
END_TEST

/* Answers to a pipelined greeting, login and request. */
static const struct {
	bool has_login;
	const char *in;
	size_t len;
	int result;
	size_t left;
} pipelined[] = {
	CASE(false, "\5\0" "\5\0\0\1\1\2\3\4\0\120", 0, 0),
	CASE(false, "\5\0" "\5\0\0\1\1\2\3\4\0\120HELLO", 0, 5),
	CASE(false, "\5\0" "\5\0\0\4" "0123456789abcdef\0\120SSH", 0, 3),
	CASE(false, "\5\0" "\5\0\0\3\4name\0\120X", 0, 1),
	CASE(true, "\5\2" "\1\0" "\5\0\0\1\1\2\3\4\0\120HELLO", 0, 5),
	CASE(true, "\5\2" "\5\0" "\5\0\0\1\1\2\3\4\0\120", 0, 0),
	/* What comes behind a refusal answers what was already sent. */
	CASE(true, "\5\2" "\1\1" "\5\0\0\1\1\2\3\4\0\120", -EACCES, 10),
	CASE(true, "\5\377" "\1\0" "\5\0\0\1\1\2\3\4\0\120", -EACCES, 12),
	CASE(false, "\5\377" "\5\0\0\1\1\2\3\4\0\120", -EACCES, 10),
	/* The login alone was offered, so no login is none of our methods. */
	CASE(true, "\5\0" "\5\0\0\1\1\2\3\4\0\120", -EACCES, 10),
	CASE(false, "\5\2" "\5\0\0\1\1\2\3\4\0\120", -EACCES, 10),
	CASE(true, "\5\1", -EACCES, 0),
	/* Tor's: the status of the login, without the method before it */
	CASE(true, "\1\0" "\5\0\0\1\1\2\3\4\0\120", -EPROTO, 10),
	CASE(false, "\1\0", -EPROTO, 0),
	CASE(false, "HTTP/1.1 400", -EPROTO, 10),
	CASE(false, "\5\0" "\5\5", -ECONNREFUSED, 0),
	CASE(true, "\5\2" "\1\0" "\5\4", -EHOSTUNREACH, 0),
	CASE(false, "\5\0" "\1\0\0\1\1", -EPROTO, 0),
};
#define PIPELINED (int)(sizeof(pipelined) / sizeof(pipelined[0]))

static int run_pipelined(struct socks5 *s, struct feed *f, const struct socks5_login *l)
{
	struct target dst = target_of("192.0.2.1", 80);

	socks5_start(s, SOCKS5_CONNECT, &dst, l);
	socks5_pipeline(s);
	return run(s, f);
}

START_TEST(pipelined_answers_are_understood_in_any_slicing)
{
	struct socks5_login l = login(3, 4);

	for (size_t slice = 1; slice <= 64; slice++) {
		struct feed f = { .in = pipelined[_i].in, .left = pipelined[_i].len,
				  .slice = slice };
		struct socks5 s;

		ck_assert_int_eq(run_pipelined(&s, &f, pipelined[_i].has_login ? &l : NULL),
				 pipelined[_i].result);
		/* The reply is decided early, on the first octets of five. */
		ck_assert_uint_le(f.left, pipelined[_i].left + (pipelined[_i].result != 0 ? 3 : 0));
		ck_assert_uint_ge(f.left, pipelined[_i].left);
		/* greeting, login, request; nothing depends on the answers */
		ck_assert_uint_eq(f.out_len, 3u + (pipelined[_i].has_login ? 10u : 0u) + 10u);
	}
}
END_TEST

START_TEST(a_truncated_pipelined_answer_is_never_success)
{
	struct socks5_login l = login(255, 255);

	if (pipelined[_i].result != 0)
		return;
	for (size_t len = 0; len < pipelined[_i].len - pipelined[_i].left; len++) {
		for (size_t slice = 1; slice < 20; slice++) {
			struct feed f = { .in = pipelined[_i].in, .left = len, .slice = slice };
			struct socks5 s;

			ck_assert_int_eq(run_pipelined(&s, &f, pipelined[_i].has_login ? &l : NULL),
					 1);
		}
	}
}
END_TEST

/* Octets as drawn, and all of them in the first span. */
START_TEST(what_is_pipelined_is_one_message)
{
	static const char plain[] = "\5\1\0" "\5\1\0\3\13example.org\1\273";
	static const char with_login[] = "\5\1\2" "\1\2me\1x" "\5\1\0\3\13example.org\1\273";
	struct socks5_login l = { .user_len = 2, .pass_len = 1, .user = "me", .pass = "x" };
	struct target dst = target_of("example.org", 443);
	const char *want = _i != 0 ? with_login : plain;
	size_t len = (_i != 0 ? sizeof(with_login) : sizeof(plain)) - 1;
	struct socks5 s;
	struct span span;

	socks5_start(&s, SOCKS5_CONNECT, &dst, _i != 0 ? &l : NULL);
	socks5_pipeline(&s);
	ck_assert_int_eq(socks5_want(&s, &span), SOCKS5_SEND);
	ck_assert_uint_eq(span.len, len);
	ck_assert_mem_eq(span.data, want, len);
	/* After a short send the rest is asked for, not the whole again. */
	ck_assert_int_eq(socks5_advance(&s, 5), 0);
	ck_assert_int_eq(socks5_want(&s, &span), SOCKS5_SEND);
	ck_assert_uint_eq(span.len, len - 5);
	ck_assert_mem_eq(span.data, want + 5, len - 5);
	ck_assert_int_eq(socks5_advance(&s, len - 5), 0);
	ck_assert_int_eq(socks5_want(&s, &span), SOCKS5_RECV);
	ck_assert_uint_eq(span.len, 2);
}
END_TEST

START_TEST(the_longest_pipelined_messages_fit)
{
	struct socks5_login l = login(255, 255);
	struct feed f = { .in = "\5\2\1\0\5\0\0\1\0\0\0\0\0\0", .left = 14,
			  .slice = (size_t)_i };
	struct target dst;
	struct socks5 s;
	char name[255];

	memset(name, 'a', sizeof(name));
	ck_assert_int_eq(target_from_host(name, sizeof(name), 1, &dst), 0);
	socks5_start(&s, SOCKS5_CONNECT, &dst, &l);
	socks5_pipeline(&s);
	ck_assert_int_eq(run(&s, &f), 0);
	ck_assert_uint_eq(f.out_len, 3 + 513 + 262);
	ck_assert_mem_eq(f.out + 3 + 513, "\5\1\0\3\377aaaa", 9);
	ck_assert_mem_eq(f.out + f.out_len - 3, "a\0\1", 3);
}
END_TEST

START_TEST(a_lost_answer_names_its_remedy)
{
	struct socks5_login l = login(3, 4);
	struct feed f = { .in = "\1\0\5\0\0\1\0\0\0\0\0\0", .left = 12, .slice = 1 };
	struct socks5 s;

	ck_assert_int_eq(run_pipelined(&s, &f, &l), -EPROTO);
	ck_assert_ptr_nonnull(strstr(socks5_reason(&s), "handshake standard"));
	/* Without a pipeline it is no SOCKS5, and there is nothing to remedy. */
	f = (struct feed){ .in = "\1\0", .left = 2, .slice = 1 };
	socks5_start(&s, SOCKS5_CONNECT, &(struct target){ .kind = TARGET_IPV4 }, &l);
	ck_assert_int_eq(run(&s, &f), -EPROTO);
	ck_assert_ptr_null(strstr(socks5_reason(&s), "handshake standard"));
}
END_TEST

START_TEST(bind_has_a_second_reply)
{
	struct target dst = target_of("2001:db8::1", 21);
	struct feed f = { .in = "\5\0" "\5\0\0\1\1\2\3\4\0\120" "\5\0\0\1\5\6\7\10\0\7D",
			  .left = 23, .slice = 1 };
	struct socks5 s;

	socks5_start(&s, SOCKS5_BIND, &dst, NULL);
	ck_assert_int_eq(run(&s, &f), 0);
	ck_assert_uint_eq(socks5_bound(&s)->port, 80);
	ck_assert_uint_eq(f.left, 11);
	socks5_await_peer(&s);
	ck_assert_int_eq(run(&s, &f), 0);
	ck_assert_uint_eq(socks5_bound(&s)->port, 7);
	ck_assert_uint_eq(socks5_bound(&s)->ip[0], 5);
	ck_assert_uint_eq(f.left, 1);
	ck_assert_mem_eq(f.out + 3, "\5\2\0\4", 4);
}
END_TEST

START_TEST(udp_header_is_its_own_inverse)
{
	static const char *const hosts[] = { "192.0.2.1", "2001:db8::1", "example.org", "x" };
	uint8_t buf[SOCKS5_UDP_HEADER_MAX];
	struct target back, dst = target_of(hosts[_i], 53);
	size_t len = socks5_udp_header_put(buf, &dst);

	ck_assert_int_eq(socks5_udp_header_take(buf, len, &back), (int)len);
	ck_assert(target_host_equal(&back, &dst));
	ck_assert_uint_eq(back.port, 53);
	for (size_t cut = 0; cut < len; cut++)
		ck_assert_int_eq(socks5_udp_header_take(buf, cut, &back), -EMSGSIZE);
	buf[2] = 1;
	ck_assert_int_eq(socks5_udp_header_take(buf, len, &back), -ENOTSUP);
	buf[2] = 0;
	buf[3] = 9;
	ck_assert_int_eq(socks5_udp_header_take(buf, len, &back), -EPROTO);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("socks5");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_loop_test(t, answers_are_understood_in_any_slicing, 0,
			    (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_loop_test(t, a_truncated_answer_is_never_success, 0,
			    (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(t, messages_are_as_the_rfcs_draw_them);
	tcase_add_test(t, the_longest_messages_fit);
	tcase_add_loop_test(t, pipelined_answers_are_understood_in_any_slicing, 0, PIPELINED);
	tcase_add_loop_test(t, a_truncated_pipelined_answer_is_never_success, 0, PIPELINED);
	tcase_add_loop_test(t, what_is_pipelined_is_one_message, 0, 2);
	tcase_add_loop_test(t, the_longest_pipelined_messages_fit, 1, 601);
	tcase_add_test(t, a_lost_answer_names_its_remedy);
	tcase_add_test(t, bind_has_a_second_reply);
	tcase_add_loop_test(t, udp_header_is_its_own_inverse, 0, 4);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
