/* SPDX-License-Identifier: ISC */
/* filter.c - the seccomp filter of a supervised program: which calls are reported, refused, let alone. */
#include "filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/net.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#elif defined(__i386__)
#define NATIVE_ARCH AUDIT_ARCH_I386
#elif defined(__riscv) && __riscv_xlen == 64
#define NATIVE_ARCH AUDIT_ARCH_RISCV64
#endif

#define NO_SUCH_CALL (-1)

/* What filter_probe() asks, and is told. */
#define PROBE_FD (-11)
#define PROBE_LENGTH 0x50c6u
#define PROBE_LENGTH_STRICT 0x50c7u
#define PROBE_ANSWER EXFULL

#define FILTER_SO_PEERNAME 28 /* asm-generic/socket.h, for the kernel alone */
#define TYPE_MASK 0xf	/* of socket(2)'s type; the rest are flags */
#define X32_BIT 0x40000000u

/* The same number on all architectures. */
#define IO_URING_SETUP 425
#define IO_URING_LAST 427

/* The calls of interest by their numbers; NO_SUCH_CALL where there is none. */
struct numbers {
	int socket, connect, sendto, sendmsg, sendmmsg, recvfrom, recvmsg, recvmmsg,
		recvmmsg_time64, getpeername, getsockopt, socketcall;
};

#ifdef NATIVE_ARCH
static const struct numbers native = {
	SYS_socket, SYS_connect, SYS_sendto, SYS_sendmsg, SYS_sendmmsg, SYS_recvfrom,
	SYS_recvmsg, SYS_recvmmsg,
#ifdef SYS_recvmmsg_time64
	SYS_recvmmsg_time64,
#else
	NO_SUCH_CALL,
#endif
	SYS_getpeername, SYS_getsockopt,
#ifdef SYS_socketcall
	SYS_socketcall,
#else
	NO_SUCH_CALL,
#endif
};
#endif

#ifdef __x86_64__
/* arch/x86/entry/syscalls/syscall_32.tbl */
static const struct numbers i386 = {
	.socket = 359, .connect = 362, .sendto = 369, .sendmsg = 370, .sendmmsg = 345,
	.recvfrom = 371, .recvmsg = 372, .recvmmsg = 337, .recvmmsg_time64 = 417,
	.getpeername = 368, .getsockopt = 365, .socketcall = 102,
};
#endif

struct builder {
	struct sock_filter *code;
	size_t len;
	bool strict;	/* what tries to go past the supervisor is reported, not only refused */
};

#define FIELD(name) ((uint32_t)offsetof(struct seccomp_data, name))
#define LOW(i) (FIELD(args) + 8u * (i) + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4u : 0u))
#define HIGH(i) (FIELD(args) + 8u * (i) + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 0u : 4u))

static void emit(struct builder *b, uint16_t code, uint32_t k)
{
	b->code[b->len++] = (struct sock_filter){ .code = code, .k = k };
}

static void load(struct builder *b, uint32_t offset)
{
	emit(b, BPF_LD | BPF_W | BPF_ABS, offset);
}

static void answer(struct builder *b, uint32_t action)
{
	emit(b, BPF_RET | BPF_K, action);
}

static void refuse(struct builder *b, int error)
{
	answer(b, SECCOMP_RET_ERRNO | (uint32_t)error);
}

/* if (A op k) { ... }; the block ends where end_if() is told its beginning. */
static size_t begin_if(struct builder *b, uint16_t op, uint32_t k)
{
	emit(b, (uint16_t)(BPF_JMP | BPF_K | op), k);
	return b->len - 1;
}

static void end_if(struct builder *b, size_t begin)
{
	b->code[begin].jf = (uint8_t)(b->len - begin - 1);
}

/* The opposite: the block is for A that does not compare so. */
static size_t begin_unless(struct builder *b, uint16_t op, uint32_t k)
{
	return begin_if(b, op, k);
}

static void end_unless(struct builder *b, size_t begin)
{
	b->code[begin].jt = (uint8_t)(b->len - begin - 1);
}

static void if_equal(struct builder *b, uint32_t k, uint32_t action)
{
	size_t block = begin_if(b, BPF_JEQ, k);

	answer(b, action);
	end_if(b, block);
}

/* What no program does that minds the proxy: whoever is strict wants to know of it. */
static uint32_t refusal(const struct builder *b, int error)
{
	return b->strict ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ERRNO | (uint32_t)error;
}

static void if_equal_refuse(struct builder *b, uint32_t k, int error)
{
	if_equal(b, k, SECCOMP_RET_ERRNO | (uint32_t)error);
}

/* Calls with the secret in the argument registers from @first on (0 .. 5) pass. */
static void pass_marked(struct builder *b, const struct filter_cookie *cookie, unsigned first)
{
	size_t blocks[4], count = 0;

	if (cookie == NULL)
		return;
	for (unsigned i = first; i < 6; i++) {
		uint64_t word = cookie->word[i - 4];

		load(b, LOW(i));
		blocks[count++] = begin_if(b, BPF_JEQ, (uint32_t)word);
		load(b, HIGH(i));
		blocks[count++] = begin_if(b, BPF_JEQ, (uint32_t)(word >> 32));
	}
	answer(b, SECCOMP_RET_ALLOW);
	while (count > 0)
		end_if(b, blocks[--count]);
}

/* A fast open carries data to wherever its address says: such programs fall back to connect(2). */
static void refuse_fastopen(struct builder *b, unsigned flags_at)
{
	size_t block;

	load(b, LOW(flags_at));
	block = begin_if(b, BPF_JSET, MSG_FASTOPEN);
	answer(b, refusal(b, EOPNOTSUPP));
	end_if(b, block);
}

/* Report the call if the pointer in argument @i is not NULL. */
static void report_if_given(struct builder *b, unsigned i)
{
	size_t block;

	load(b, HIGH(i));
	block = begin_unless(b, BPF_JEQ, 0);
	answer(b, SECCOMP_RET_USER_NOTIF);
	end_unless(b, block);
	load(b, LOW(i));
	if_equal(b, 0, SECCOMP_RET_ALLOW);
	answer(b, SECCOMP_RET_USER_NOTIF);
}

static void build_inet_socket(struct builder *b)
{
	size_t block;

	load(b, LOW(1));
	emit(b, BPF_ALU | BPF_AND | BPF_K, TYPE_MASK);
	block = begin_if(b, BPF_JEQ, SOCK_STREAM);
	load(b, LOW(2));
	if_equal(b, 0, SECCOMP_RET_ALLOW);
	if_equal(b, IPPROTO_TCP, SECCOMP_RET_ALLOW);
	refuse(b, EPROTONOSUPPORT); /* MPTCP, SCTP, SMC: programs fall back to TCP */
	end_if(b, block);
	block = begin_if(b, BPF_JEQ, SOCK_DGRAM);
	load(b, LOW(2));
	if_equal(b, 0, SECCOMP_RET_ALLOW);
	if_equal(b, IPPROTO_UDP, SECCOMP_RET_ALLOW);
	if_equal(b, IPPROTO_UDPLITE, SECCOMP_RET_ALLOW);
	if_equal(b, IPPROTO_ICMP, SECCOMP_RET_ALLOW);
	if_equal(b, IPPROTO_ICMPV6, SECCOMP_RET_ALLOW);
	refuse(b, EPROTONOSUPPORT);
	end_if(b, block);
	if_equal(b, SOCK_RAW, refusal(b, EPERM));
	if_equal(b, SOCK_PACKET, refusal(b, EPERM));
	refuse(b, ESOCKTNOSUPPORT);
}

static void build_socket(struct builder *b, int number)
{
	size_t call = begin_if(b, BPF_JEQ, (uint32_t)number), block;

	load(b, LOW(0));
	if_equal(b, AF_UNIX, SECCOMP_RET_ALLOW);
	if_equal(b, AF_NETLINK, SECCOMP_RET_ALLOW);
	if_equal(b, AF_ALG, SECCOMP_RET_ALLOW);
	if_equal(b, AF_PACKET, refusal(b, EPERM));
	block = begin_if(b, BPF_JEQ, AF_INET);
	build_inet_socket(b);
	end_if(b, block);
	block = begin_if(b, BPF_JEQ, AF_INET6);
	build_inet_socket(b);
	end_if(b, block);
	refuse(b, EAFNOSUPPORT);
	end_if(b, call);
}

static void build_connect(struct builder *b, const struct numbers *n,
			  const struct filter_cookie *cookie)
{
	size_t call = begin_if(b, BPF_JEQ, (uint32_t)n->connect), fd;

	load(b, LOW(0));
	fd = begin_if(b, BPF_JEQ, (uint32_t)PROBE_FD);
	load(b, LOW(2));
	if_equal_refuse(b, PROBE_LENGTH, PROBE_ANSWER);
	if (b->strict)
		if_equal_refuse(b, PROBE_LENGTH_STRICT, PROBE_ANSWER);
	end_if(b, fd);
	pass_marked(b, cookie, 4);
	answer(b, SECCOMP_RET_USER_NOTIF);
	end_if(b, call);
}

/* A call that is always reported, but for one that carries the secret from argument @spare on. */
static void build_reported(struct builder *b, int number, const struct filter_cookie *cookie,
			   unsigned spare)
{
	size_t call;

	if (number == NO_SUCH_CALL)
		return;
	call = begin_if(b, BPF_JEQ, (uint32_t)number);
	if (spare < 6)
		pass_marked(b, cookie, spare);
	answer(b, SECCOMP_RET_USER_NOTIF);
	end_if(b, call);
}

/* sendmsg(2) and sendmmsg(2) */
static void build_send_message(struct builder *b, int number, unsigned flags_at,
			       const struct filter_cookie *cookie)
{
	size_t call = begin_if(b, BPF_JEQ, (uint32_t)number);

	refuse_fastopen(b, flags_at);
	pass_marked(b, cookie, 4);
	answer(b, SECCOMP_RET_USER_NOTIF);
	end_if(b, call);
}

static void build_sendto(struct builder *b, int number)
{
	size_t call = begin_if(b, BPF_JEQ, (uint32_t)number);

	refuse_fastopen(b, 3);
	report_if_given(b, 4);
	end_if(b, call);
}

static void build_recvfrom(struct builder *b, int number)
{
	size_t call = begin_if(b, BPF_JEQ, (uint32_t)number);

	report_if_given(b, 4);
	end_if(b, call);
}

/* Of all options only those that tell how a connect went, and to whom. */
static void build_getsockopt(struct builder *b, int number, const struct filter_cookie *cookie)
{
	size_t call = begin_if(b, BPF_JEQ, (uint32_t)number), level, error, peer;

	load(b, LOW(1));
	level = begin_if(b, BPF_JEQ, SOL_SOCKET);
	load(b, LOW(2));
	error = begin_unless(b, BPF_JEQ, SO_ERROR);
	peer = begin_unless(b, BPF_JEQ, FILTER_SO_PEERNAME);
	answer(b, SECCOMP_RET_ALLOW);
	end_unless(b, peer);
	end_unless(b, error);
	pass_marked(b, cookie, 5);
	answer(b, SECCOMP_RET_USER_NOTIF);
	end_if(b, level);
	answer(b, SECCOMP_RET_ALLOW);
	end_if(b, call);
}

/* Those of its calls that matter are reported: arguments are in memory, out of a filter's sight. */
static void build_socketcall(struct builder *b, int number)
{
	static const uint8_t reported[] = {
		SYS_SOCKET, SYS_CONNECT, SYS_GETPEERNAME, SYS_SENDTO, SYS_RECVFROM,
		SYS_GETSOCKOPT, SYS_SENDMSG, SYS_RECVMSG, SYS_RECVMMSG, SYS_SENDMMSG,
	};
	size_t call;

	if (number == NO_SUCH_CALL)
		return;
	call = begin_if(b, BPF_JEQ, (uint32_t)number);
	load(b, LOW(0));
	for (size_t i = 0; i < sizeof(reported); i++)
		if_equal(b, reported[i], SECCOMP_RET_USER_NOTIF);
	answer(b, SECCOMP_RET_ALLOW);
	end_if(b, call);
}

/* All of one architecture; A is the call's number, and every way ends in an answer. */
static void build_calls(struct builder *b, const struct numbers *n,
			const struct filter_cookie *cookie)
{
	build_connect(b, n, cookie);
	build_sendto(b, n->sendto);
	build_recvfrom(b, n->recvfrom);
	build_send_message(b, n->sendmsg, 2, cookie);
	build_send_message(b, n->sendmmsg, 3, cookie);
	build_reported(b, n->recvmsg, cookie, 4);
	build_reported(b, n->recvmmsg, cookie, 5);
	build_reported(b, n->recvmmsg_time64, cookie, 5);
	build_reported(b, n->getpeername, cookie, 4);
	build_getsockopt(b, n->getsockopt, cookie);
	build_socket(b, n->socket);
	build_socketcall(b, n->socketcall);
	/* Its connects could not be seen; runtimes fall back to epoll. */
	if_equal(b, IO_URING_SETUP, refusal(b, ENOSYS));
	for (uint32_t number = IO_URING_SETUP + 1; number <= IO_URING_LAST; number++)
		if_equal_refuse(b, number, ENOSYS);
	answer(b, SECCOMP_RET_ALLOW);
}

static size_t build(const struct filter_cookie *cookie, bool strict,
		    struct sock_filter ret[FILTER_MAX])
{
	struct builder b = { ret, 0, strict };
	size_t arch;

	load(&b, FIELD(arch));
#ifdef NATIVE_ARCH
	/* The block is longer than a conditional jump reaches, so one jumps over it that has no such limit. */
	arch = begin_unless(&b, BPF_JEQ, NATIVE_ARCH);
	emit(&b, BPF_JMP | BPF_JA, 0);
	end_unless(&b, arch);
	load(&b, FIELD(nr));
#ifdef __x86_64__
	{
		size_t x32 = begin_if(&b, BPF_JSET, X32_BIT);

		refuse(&b, ENOSYS);
		end_if(&b, x32);
	}
#endif
	build_calls(&b, &native, cookie);
	ret[arch + 1].k = (uint32_t)(b.len - arch - 2);
#endif
#ifdef __x86_64__
	{
		size_t other = begin_unless(&b, BPF_JEQ, AUDIT_ARCH_I386);

		refuse(&b, ENOSYS);
		end_unless(&b, other);
		load(&b, FIELD(nr));
		build_calls(&b, &i386, NULL);
	}
#else
	(void)arch;
	refuse(&b, ENOSYS); /* another word size: nothing is known about it */
#endif
	return b.len;
}

size_t filter_build(const struct filter_cookie *cookie, struct sock_filter ret[FILTER_MAX])
{
	return build(cookie, false, ret);
}

size_t filter_build_strict(struct sock_filter ret[FILTER_MAX])
{
	return build(NULL, true, ret);
}

static enum call_kind kind_of(const struct numbers *n, int number)
{
	const struct {
		int number;
		enum call_kind kind;
	} kinds[] = {
		{ n->connect, CALL_CONNECT },	      { n->sendto, CALL_SENDTO },
		{ n->sendmsg, CALL_SENDMSG },	      { n->sendmmsg, CALL_SENDMMSG },
		{ n->recvfrom, CALL_RECVFROM },	      { n->recvmsg, CALL_RECVMSG },
		{ n->recvmmsg, CALL_RECVMMSG },	      { n->recvmmsg_time64, CALL_RECVMMSG },
		{ n->getpeername, CALL_GETPEERNAME }, { n->getsockopt, CALL_GETSOCKOPT },
		{ n->socketcall, CALL_SOCKETCALL },   { n->socket, CALL_SOCKET },
		{ IO_URING_SETUP, CALL_IO_URING },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].number == number && number != NO_SUCH_CALL)
			return kinds[i].kind;
	return CALL_UNKNOWN;
}

enum call_kind filter_call(const struct seccomp_data *data, bool *ret_compat)
{
	*ret_compat = false;
#ifdef NATIVE_ARCH
	if (data->arch == NATIVE_ARCH)
		return kind_of(&native, data->nr);
#endif
#ifdef __x86_64__
	if (data->arch == AUDIT_ARCH_I386) {
		*ret_compat = true;
		return kind_of(&i386, data->nr);
	}
#endif
	return CALL_UNKNOWN;
}

enum call_kind filter_socketcall(uint64_t number)
{
	switch (number) {
	case SYS_SOCKET: return CALL_SOCKET;
	case SYS_CONNECT: return CALL_CONNECT;
	case SYS_GETPEERNAME: return CALL_GETPEERNAME;
	case SYS_SENDTO: return CALL_SENDTO;
	case SYS_RECVFROM: return CALL_RECVFROM;
	case SYS_GETSOCKOPT: return CALL_GETSOCKOPT;
	case SYS_SENDMSG: return CALL_SENDMSG;
	case SYS_RECVMSG: return CALL_RECVMSG;
	case SYS_RECVMMSG: return CALL_RECVMMSG;
	case SYS_SENDMMSG: return CALL_SENDMMSG;
	default: return CALL_UNKNOWN;
	}
}

static bool probe(unsigned length)
{
	return syscall(SYS_connect, PROBE_FD, NULL, length, 0, 0, 0) < 0 && errno == PROBE_ANSWER;
}

bool filter_probe(void)
{
	return probe(PROBE_LENGTH);
}

bool filter_probe_strict(void)
{
	return probe(PROBE_LENGTH_STRICT);
}
