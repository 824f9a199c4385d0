/* SPDX-License-Identifier: ISC */
/* check_filter.c - the seccomp filter, run by an interpreter of classic BPF. */
#include <check.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "../../src/supervise/filter.h"

#define ALLOW SECCOMP_RET_ALLOW
#define REPORT SECCOMP_RET_USER_NOTIF
#define REFUSE(error) (SECCOMP_RET_ERRNO | (error))

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#else
#define NATIVE AUDIT_ARCH_I386
#endif

#define MARK_LOW UINT64_C(0x0123456789abcdef)
#define MARK_HIGH UINT64_C(0xfedcba9876543210)
static const struct filter_cookie cookie = { { MARK_LOW, MARK_HIGH } };

/* The instructions that filter.c uses; anything else, and a jump out of the program, ends the test. */
static uint32_t run(const struct sock_filter *code, size_t len, const struct seccomp_data *data)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < len; pc++) {
		const struct sock_filter *i = &code[pc];

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			ck_assert_uint_le(i->k, sizeof(*data) - 4);
			memcpy(&a, (const char *)data + i->k, 4);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			pc += (a & i->k) != 0 ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			return i->k;
		default:
			ck_abort_msg("instruction %#x", i->code);
		}
	}
	ck_abort_msg("the program ends without an answer");
	return 0;
}

static uint32_t judge(const struct filter_cookie *mark, const struct seccomp_data *data)
{
	static struct sock_filter code[FILTER_MAX];
	size_t len = filter_build(mark, code);

	ck_assert_uint_le(len, FILTER_MAX);
	return run(code, len, data);
}

struct call_case {
	int number;
	uint64_t arg[6];
	uint32_t wanted;
};

static const struct call_case native_calls[] = {
	{ SYS_connect, { 3, 1, 16 }, REPORT },
	{ SYS_connect, { (uint32_t)-11, 0, 0x50c6 }, REFUSE(EXFULL) },
	{ SYS_connect, { (uint32_t)-11, 0, 16 }, REPORT },
	{ SYS_sendto, { 3, 1, 5, 0, 0, 0 }, ALLOW },
	{ SYS_sendto, { 3, 1, 5, 0, 1, 16 }, REPORT },
	{ SYS_sendto, { 3, 1, 5, 0, UINT64_C(1) << 32, 16 }, REPORT },
	{ SYS_sendto, { 3, 1, 5, MSG_FASTOPEN, 1, 16 }, REFUSE(EOPNOTSUPP) },
	{ SYS_sendto, { 3, 1, 5, MSG_FASTOPEN, 0, 0 }, REFUSE(EOPNOTSUPP) },
	{ SYS_sendmsg, { 3, 1, 0 }, REPORT },
	{ SYS_sendmsg, { 3, 1, MSG_FASTOPEN | MSG_DONTWAIT }, REFUSE(EOPNOTSUPP) },
	{ SYS_sendmmsg, { 3, 1, MSG_FASTOPEN, 0 }, REPORT },
	{ SYS_sendmmsg, { 3, 1, 1, MSG_FASTOPEN }, REFUSE(EOPNOTSUPP) },
	{ SYS_recvfrom, { 3, 1, 5, 0, 0, 0 }, ALLOW },
	{ SYS_recvfrom, { 3, 1, 5, 0, 1, 1 }, REPORT },
	{ SYS_recvmsg, { 3, 1, 0 }, REPORT },
	{ SYS_recvmmsg, { 3, 1, 1, 0, 0 }, REPORT },
	{ SYS_getpeername, { 3, 1, 1 }, REPORT },
	{ SYS_getsockopt, { 3, SOL_SOCKET, SO_ERROR, 1, 1 }, REPORT },
	{ SYS_getsockopt, { 3, SOL_SOCKET, 28, 1, 1 }, REPORT },
	{ SYS_getsockopt, { 3, SOL_SOCKET, SO_TYPE, 1, 1 }, ALLOW },
	{ SYS_getsockopt, { 3, IPPROTO_TCP, SO_ERROR, 1, 1 }, ALLOW },
	{ SYS_socket, { AF_UNIX, SOCK_STREAM, 0 }, ALLOW },
	{ SYS_socket, { AF_NETLINK, SOCK_RAW, 0 }, ALLOW },
	{ SYS_socket, { AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0 }, ALLOW },
	{ SYS_socket, { AF_INET6, SOCK_STREAM, IPPROTO_TCP }, ALLOW },
	{ SYS_socket, { AF_INET, SOCK_STREAM, 262 }, REFUSE(EPROTONOSUPPORT) },
	{ SYS_socket, { AF_INET6, SOCK_STREAM, IPPROTO_SCTP }, REFUSE(EPROTONOSUPPORT) },
	{ SYS_socket, { AF_INET, SOCK_DGRAM, 0 }, ALLOW },
	{ SYS_socket, { AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6 }, ALLOW },
	{ SYS_socket, { AF_INET, SOCK_DGRAM, 115 }, REFUSE(EPROTONOSUPPORT) },
	{ SYS_socket, { AF_INET, SOCK_RAW, IPPROTO_TCP }, REFUSE(EPERM) },
	{ SYS_socket, { AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6 }, REFUSE(EPERM) },
	{ SYS_socket, { AF_INET, SOCK_PACKET, 0 }, REFUSE(EPERM) },
	{ SYS_socket, { AF_INET, SOCK_SEQPACKET, 0 }, REFUSE(ESOCKTNOSUPPORT) },
	{ SYS_socket, { AF_PACKET, SOCK_DGRAM, 0 }, REFUSE(EPERM) },
	{ SYS_socket, { AF_VSOCK, SOCK_STREAM, 0 }, REFUSE(EAFNOSUPPORT) },
	{ SYS_socket, { 43 /* AF_SMC */, SOCK_STREAM, 0 }, REFUSE(EAFNOSUPPORT) },
	{ SYS_socket, { AF_RDS, SOCK_SEQPACKET, 0 }, REFUSE(EAFNOSUPPORT) },
	{ 425, { 0 }, REFUSE(ENOSYS) }, /* io_uring_setup, _enter, _register */
	{ 426, { 0 }, REFUSE(ENOSYS) },
	{ 427, { 0 }, REFUSE(ENOSYS) },
	{ SYS_read, { 3, 1, 1 }, ALLOW },
	{ SYS_write, { 3, 1, 1 }, ALLOW },
	{ SYS_close, { 3 }, ALLOW },
	{ SYS_socketpair, { AF_UNIX, SOCK_STREAM, 0, 1 }, ALLOW },
	{ SYS_bind, { 3, 1, 16 }, ALLOW },
};

static struct seccomp_data data_of(uint32_t arch, const struct call_case *c)
{
	struct seccomp_data data = { .nr = c->number, .arch = arch };

	for (int i = 0; i < 6; i++)
		data.args[i] = c->arg[i];
	return data;
}

START_TEST(native_call_is_judged)
{
	const struct call_case *c = &native_calls[_i];
	struct seccomp_data data = data_of(NATIVE, c);

	ck_assert_uint_eq(judge(NULL, &data), c->wanted);
	ck_assert_uint_eq(judge(&cookie, &data), c->wanted);
}
END_TEST

/* Each reported call with the arguments in which the mark may travel. */
static const struct {
	int number;
	unsigned first;
} marked[] = {
	{ SYS_connect, 4 },	{ SYS_sendmsg, 4 },  { SYS_sendmmsg, 4 },
	{ SYS_recvmsg, 4 },	{ SYS_recvmmsg, 5 }, { SYS_getpeername, 4 },
	{ SYS_getsockopt, 5 },
};

static struct seccomp_data marked_data(int i)
{
	struct seccomp_data data = { .nr = marked[i].number, .arch = NATIVE,
				     .args = { 3, SOL_SOCKET, SO_ERROR, 0, MARK_LOW, MARK_HIGH } };

	if (data.nr != SYS_getsockopt)
		data.args[1] = data.args[2] = 0;
	return data;
}

START_TEST(marked_call_passes)
{
	struct seccomp_data data = marked_data(_i);

	ck_assert_uint_eq(judge(&cookie, &data), ALLOW);
	ck_assert_uint_eq(judge(NULL, &data), REPORT);
}
END_TEST

START_TEST(mark_with_one_wrong_bit_does_not_pass)
{
	for (unsigned arg = marked[_i].first; arg < 6; arg++)
		for (unsigned bit = 0; bit < 64; bit++) {
			struct seccomp_data data = marked_data(_i);

			data.args[arg] ^= UINT64_C(1) << bit;
			ck_assert_uint_eq(judge(&cookie, &data), REPORT);
		}
}
END_TEST

/* What is different for a run that is strict; all else is as above. */
static const struct call_case strict_calls[] = {
	{ SYS_sendto, { 3, 1, 5, MSG_FASTOPEN, 1, 16 }, REPORT },
	{ SYS_sendmsg, { 3, 1, MSG_FASTOPEN | MSG_DONTWAIT }, REPORT },
	{ SYS_sendmmsg, { 3, 1, 1, MSG_FASTOPEN }, REPORT },
	{ SYS_sendto, { 3, 1, 5, MSG_FASTOPEN, 0, 0 }, REPORT },
	{ SYS_socket, { AF_INET, SOCK_RAW, IPPROTO_TCP }, REPORT },
	{ SYS_socket, { AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6 }, REPORT },
	{ SYS_socket, { AF_INET, SOCK_PACKET, 0 }, REPORT },
	{ SYS_socket, { AF_PACKET, SOCK_DGRAM, 0 }, REPORT },
	{ 425, { 0 }, REPORT }, /* io_uring_setup */
	{ SYS_connect, { (uint32_t)-11, 0, 0x50c7 }, REFUSE(EXFULL) },
};

static bool is_strict_only(const struct call_case *c)
{
	for (size_t i = 0; i < sizeof(strict_calls) / sizeof(strict_calls[0]); i++)
		if (strict_calls[i].number == c->number &&
		    memcmp(strict_calls[i].arg, c->arg, sizeof(c->arg)) == 0)
			return true;
	return false;
}

static uint32_t judge_strictly(const struct seccomp_data *data)
{
	static struct sock_filter code[FILTER_MAX];
	size_t len = filter_build_strict(code);

	ck_assert_uint_le(len, FILTER_MAX);
	return run(code, len, data);
}

START_TEST(strict_filter_reports_what_it_refuses)
{
	const struct call_case *c = &strict_calls[_i];
	struct seccomp_data data = data_of(NATIVE, c);
	bool compat;

	ck_assert_uint_eq(judge_strictly(&data), c->wanted);
	if (c->wanted == REPORT)
		ck_assert_int_ne((int)filter_call(&data, &compat), CALL_UNKNOWN);
}
END_TEST

START_TEST(strict_filter_judges_all_else_alike)
{
	const struct call_case *c = &native_calls[_i];
	struct seccomp_data data = data_of(NATIVE, c);

	if (!is_strict_only(c))
		ck_assert_uint_eq(judge_strictly(&data), c->wanted);
}
END_TEST

START_TEST(no_mark_passes_a_strict_filter)
{
	struct seccomp_data data = marked_data(_i);

	ck_assert_uint_eq(judge_strictly(&data), REPORT);
}
END_TEST

START_TEST(mark_is_no_excuse_for_a_fast_open)
{
	struct seccomp_data data = { .nr = SYS_sendmsg, .arch = NATIVE,
				     .args = { 3, 1, MSG_FASTOPEN, 0, MARK_LOW, MARK_HIGH } };

	ck_assert_uint_eq(judge(&cookie, &data), REFUSE(EOPNOTSUPP));
}
END_TEST

#ifdef __x86_64__
static const struct call_case i386_calls[] = {
	{ 362, { 3, 1, 16 }, REPORT },		/* connect */
	{ 359, { AF_INET, SOCK_STREAM, 0 }, ALLOW },
	{ 359, { AF_INET, SOCK_RAW, 0 }, REFUSE(EPERM) },
	{ 359, { AF_VSOCK, SOCK_STREAM, 0 }, REFUSE(EAFNOSUPPORT) },
	{ 369, { 3, 1, 5, 0, 1, 16 }, REPORT },	/* sendto */
	{ 369, { 3, 1, 5, 0, 0, 0 }, ALLOW },
	{ 370, { 3, 1, MSG_FASTOPEN }, REFUSE(EOPNOTSUPP) },
	{ 345, { 3, 1, 1, 0 }, REPORT },	/* sendmmsg */
	{ 337, { 3, 1, 1, 0 }, REPORT },	/* recvmmsg */
	{ 417, { 3, 1, 1, 0 }, REPORT },
	{ 102, { SYS_SOCKET, 1 }, REPORT },	/* socketcall */
	{ 102, { SYS_CONNECT, 1 }, REPORT },
	{ 102, { SYS_SENDTO, 1 }, REPORT },
	{ 102, { SYS_BIND, 1 }, ALLOW },
	{ 425, { 0 }, REFUSE(ENOSYS) },
	{ 4, { 1, 1, 1 }, ALLOW },		/* write */
	{ SYS_connect, { 3, 1, 16 }, ALLOW },	/* 42 is pipe(2) there */
};

START_TEST(call_of_a_32_bit_program_is_judged)
{
	struct seccomp_data data = data_of(AUDIT_ARCH_I386, &i386_calls[_i]);

	ck_assert_uint_eq(judge(NULL, &data), i386_calls[_i].wanted);
	ck_assert_uint_eq(judge(&cookie, &data), i386_calls[_i].wanted);
}
END_TEST

START_TEST(mark_does_not_count_for_32_bits)
{
	struct seccomp_data data = { .nr = 362, .arch = AUDIT_ARCH_I386,
				     .args = { 3, 1, 16, 0, MARK_LOW, MARK_HIGH } };

	ck_assert_uint_eq(judge(&cookie, &data), REPORT);
}
END_TEST

START_TEST(x32_is_refused)
{
	struct seccomp_data data = { .nr = 0x40000000 + SYS_connect, .arch = NATIVE };

	ck_assert_uint_eq(judge(NULL, &data), REFUSE(ENOSYS));
	data.nr = 0x40000000 + SYS_getpid;
	ck_assert_uint_eq(judge(NULL, &data), REFUSE(ENOSYS));
}
END_TEST
#endif

START_TEST(unknown_architecture_is_refused)
{
	struct seccomp_data data = { .nr = SYS_connect, .arch = AUDIT_ARCH_S390X };

	ck_assert_uint_eq(judge(NULL, &data), REFUSE(ENOSYS));
}
END_TEST

START_TEST(reported_call_has_a_name)
{
	const struct call_case *c = &native_calls[_i];
	struct seccomp_data data = data_of(NATIVE, c);
	bool compat = true;

	if (c->wanted == REPORT)
		ck_assert_int_ne((int)filter_call(&data, &compat), CALL_UNKNOWN);
	else
		(void)filter_call(&data, &compat);
	ck_assert(!compat);
}
END_TEST

START_TEST(no_filter_no_probe)
{
	ck_assert(!filter_probe());
	ck_assert(!filter_probe_strict());
}
END_TEST

#define COUNT(list) ((int)(sizeof(list) / sizeof((list)[0])))

int main(void)
{
	Suite *s = suite_create("filter");
	TCase *t = tcase_create("filter");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_loop_test(t, native_call_is_judged, 0, COUNT(native_calls));
	tcase_add_loop_test(t, marked_call_passes, 0, COUNT(marked));
	tcase_add_loop_test(t, mark_with_one_wrong_bit_does_not_pass, 0, COUNT(marked));
	tcase_add_loop_test(t, strict_filter_reports_what_it_refuses, 0, COUNT(strict_calls));
	tcase_add_loop_test(t, strict_filter_judges_all_else_alike, 0, COUNT(native_calls));
	tcase_add_loop_test(t, no_mark_passes_a_strict_filter, 0, COUNT(marked));
	tcase_add_test(t, mark_is_no_excuse_for_a_fast_open);
#ifdef __x86_64__
	tcase_add_loop_test(t, call_of_a_32_bit_program_is_judged, 0, COUNT(i386_calls));
	tcase_add_test(t, mark_does_not_count_for_32_bits);
	tcase_add_test(t, x32_is_refused);
#endif
	tcase_add_test(t, unknown_architecture_is_refused);
	tcase_add_loop_test(t, reported_call_has_a_name, 0, COUNT(native_calls));
	tcase_add_test(t, no_filter_no_probe);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
