/* SPDX-License-Identifier: ISC */
/*
 * past.c - goes past every library, by instructions of its own: past TRICK V4 V6 PORT
 *
 *   past --list	the tricks, and what --strict answers
 *
 * Prints the name of the errno, or 0.  Sockets do not block, so that what the
 * kernel begins counts as done.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sockaddr_in to4 = { .sin_family = AF_INET };
static struct sockaddr_in6 to6 = { .sin6_family = AF_INET6 };
static char **arguments;

/* The result, or -errno. */
static long raw(long number, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall" : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0" : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
#else
#error "how does this machine call the kernel?"
#endif
}

#define P(x) ((long)(x))
#define TO4 P(&to4), sizeof(to4)
#define TEXT P("leak"), 4

static long stream(int domain)
{
	return raw(SYS_socket, domain, SOCK_STREAM | SOCK_NONBLOCK, 0, 0, 0, 0);
}

static long datagram(int protocol)
{
	return raw(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, protocol, 0, 0, 0);
}

static long plain(void)
{
	return raw(SYS_connect, stream(AF_INET), TO4, 0, 0, 0);
}

static long inet6(void)
{
	return raw(SYS_connect, stream(AF_INET6), P(&to6), sizeof(to6), 0, 0, 0);
}

/* libc made the socket, and so the library knows it. */
static long half(void)
{
	return raw(SYS_connect, socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), TO4, 0, 0, 0);
}

static long blocking(void)
{
	return raw(SYS_connect, raw(SYS_socket, AF_INET, SOCK_STREAM, 0, 0, 0, 0), TO4, 0, 0, 0);
}

/* The libc behind the library, by its own handle. */
static long by_handle(void)
{
	int (*call)(int, const struct sockaddr *, socklen_t);
	void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_LOCAL);

	*(void **)&call = dlsym(libc, "connect");
	return call((int)stream(AF_INET), (struct sockaddr *)&to4, sizeof(to4)) < 0 ? -errno : 0;
}

static void *in_thread(void *ret)
{
	*(long *)ret = plain();
	return NULL;
}

static long thread(void)
{
	pthread_t id;
	long result = -1;

	pthread_create(&id, NULL, in_thread, &result);
	pthread_join(id, NULL);
	return result;
}

static long ended(pid_t pid)
{
	int status = 0;

	return waitpid(pid, &status, 0) == pid ? -(long)WEXITSTATUS(status) : -1;
}

static long child(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit((int)-plain());
	return ended(pid);
}

/* Without environment, and so without the library: by the functions of libc. */
static long scrubbed(void)
{
	char *argv[] = { arguments[0], "libc", arguments[2], arguments[3], arguments[4], NULL };
	char *env[] = { NULL };
	pid_t pid = fork();

	if (pid == 0) {
		raw(SYS_execve, P("/proc/self/exe"), P(argv), P(env), 0, 0, 0);
		_exit(99);
	}
	return ended(pid);
}

static long libc(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	_exit(connect(fd, (struct sockaddr *)&to4, sizeof(to4)) < 0 ? errno : 0);
}

static long fast_sendto(void)
{
	return raw(SYS_sendto, stream(AF_INET), TEXT, MSG_FASTOPEN, TO4);
}

static struct iovec part = { (void *)(uintptr_t)"leak", 4 };
static struct mmsghdr message = {
	.msg_hdr = { .msg_name = &to4, .msg_namelen = sizeof(to4), .msg_iov = &part, .msg_iovlen = 1 },
};

static long fast_sendmsg(void)
{
	return raw(SYS_sendmsg, stream(AF_INET), P(&message.msg_hdr), MSG_FASTOPEN, 0, 0, 0);
}

static long fast_sendmmsg(void)
{
	return raw(SYS_sendmmsg, stream(AF_INET), P(&message), 1, MSG_FASTOPEN, 0, 0);
}

static long udp_sendto(void)
{
	return raw(SYS_sendto, datagram(0), TEXT, 0, TO4);
}

static long udp_unspecified(void)
{
	struct sockaddr_in to = to4;

	to.sin_family = AF_UNSPEC;
	return raw(SYS_sendto, datagram(0), TEXT, 0, P(&to), sizeof(to));
}

static long udp_sendmsg(void)
{
	return raw(SYS_sendmsg, datagram(0), P(&message.msg_hdr), 0, 0, 0, 0);
}

static long udp_sendmmsg(void)
{
	return raw(SYS_sendmmsg, datagram(0), P(&message), 1, 0, 0, 0);
}

static long udp_connect(void)
{
	long fd = datagram(0), result = raw(SYS_connect, fd, TO4, 0, 0, 0);

	(void)raw(SYS_write, fd, TEXT, 0, 0, 0);
	return result;
}

static long udplite(void)
{
	return raw(SYS_sendto, datagram(136), TEXT, 0, TO4);
}

static long ping(void)
{
	return raw(SYS_sendto, datagram(IPPROTO_ICMP), P("\10\0\0\0\0\0\0\0"), 8, 0, TO4);
}

static long raw_socket(void)
{
	long fd = raw(SYS_socket, AF_INET, SOCK_RAW, IPPROTO_ICMP, 0, 0, 0);

	return fd < 0 ? fd : raw(SYS_sendto, fd, P("\10\0\0\0\0\0\0\0"), 8, 0, TO4);
}

static long packet(void)
{
	long fd = raw(SYS_socket, AF_PACKET, SOCK_DGRAM, 0, 0, 0, 0);

	return fd < 0 ? fd : raw_socket();
}

static uint32_t *at(uint8_t *base, uint32_t offset)
{
	return (uint32_t *)(void *)(base + offset);
}

static long uring(void)
{
	struct io_uring_params params = { 0 };
	long fd = stream(AF_INET), ring = raw(SYS_io_uring_setup, 4, P(&params), 0, 0, 0, 0);
	struct io_uring_sqe *sqe;
	uint8_t *sq;

	if (ring < 0)
		return ring;
	sq = mmap(NULL, params.sq_off.array + params.sq_entries * sizeof(uint32_t),
		  PROT_READ | PROT_WRITE, MAP_SHARED, (int)ring, IORING_OFF_SQ_RING);
	sqe = mmap(NULL, params.sq_entries * sizeof(*sqe), PROT_READ | PROT_WRITE, MAP_SHARED,
		   (int)ring, IORING_OFF_SQES);
	if (sq == MAP_FAILED || sqe == MAP_FAILED)
		return -ENOMEM;
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_CONNECT;
	sqe->fd = (int)fd;
	sqe->addr = (uint64_t)(uintptr_t)&to4;
	sqe->off = sizeof(to4);
	*at(sq, params.sq_off.array) = 0;
	__atomic_store_n(at(sq, params.sq_off.tail), 1, __ATOMIC_RELEASE);
	return raw(SYS_io_uring_enter, ring, 1, 0, 0, 0, 0);
}

#ifdef __x86_64__
/* The table of 32-bit programs: connect is 362 there, and pointers are short. */
static long int80(void)
{
	struct sockaddr_in *low = mmap((void *)0x10000000, 4096, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	long result;

	if (low == MAP_FAILED)
		return -ENOMEM;
	*low = to4;
	__asm__ volatile("int $0x80" : "=a"(result)
			 : "a"(362L), "b"(stream(AF_INET)), "c"(low), "d"((long)sizeof(to4)) : "memory");
	return (int)result;
}
#endif

/* --- a race: the number is a unix socket's when the supervisor looks, and a stream's soon after --- */

static int inet, unix_one, turning = 30000;
static _Atomic int over;

static void *turn(void *arg)
{
	(void)arg;
	while (!over) {
		dup2(unix_one, 900);
		dup2(inet, 900);
	}
	return NULL;
}

/* What counts are the packets.  The address is of the Internet: a unix socket says EINVAL. */
static long race(void)
{
	pthread_t id;

	inet = (int)stream(AF_INET);
	unix_one = (int)stream(AF_UNIX);
	pthread_create(&id, NULL, turn, NULL);
	while (turning-- > 0)
		(void)raw(SYS_connect, 900, TO4, 0, 0, 0);
	over = 1;
	pthread_join(id, NULL);
	return 0;
}

static const struct trick {
	const char *name, *strict;
	long (*run)(void);
} tricks[] = {
	{ "connect", "EACCES", plain },
	{ "connect-blocking", "EACCES", blocking },
	{ "connect-inet6", "EACCES", inet6 },
	{ "connect-half", "EACCES", half },
	{ "connect-handle", "EACCES", by_handle },
	{ "connect-thread", "EACCES", thread },
	{ "connect-child", "EACCES", child },
	{ "connect-scrubbed", "EACCES", scrubbed },
#ifdef __x86_64__
	{ "connect-int80", "EACCES", int80 },
#endif
	{ "fastopen-sendto", "EACCES", fast_sendto },
	{ "fastopen-sendmsg", "EACCES", fast_sendmsg },
	{ "fastopen-sendmmsg", "EACCES", fast_sendmmsg },
	{ "udp-sendto", "EACCES", udp_sendto },
	{ "udp-unspecified", "EACCES", udp_unspecified },
	{ "udp-sendmsg", "EACCES", udp_sendmsg },
	{ "udp-sendmmsg", "EACCES", udp_sendmmsg },
	{ "udp-connect", "EACCES", udp_connect },
	{ "udplite", "EACCES", udplite },
	{ "ping", "EACCES", ping },
	{ "raw", "EACCES", raw_socket },
	{ "packet", "EACCES", packet },
	{ "io-uring", "ENOSYS", uring },
	{ "libc", NULL, libc },
	{ "race", NULL, race },
	{ NULL, NULL, NULL },
};

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		for (const struct trick *t = tricks; t->name != NULL; t++)
			if (t->strict != NULL)
				printf("%s %s\n", t->name, t->strict);
		return 0;
	}
	if (argc != 5 || inet_pton(AF_INET, argv[2], &to4.sin_addr) != 1 ||
	    inet_pton(AF_INET6, argv[3], &to6.sin6_addr) != 1)
		return 99;
	arguments = argv;
	to4.sin_port = to6.sin6_port = htons((uint16_t)atoi(argv[4]));
	for (const struct trick *t = tricks; t->name != NULL; t++) {
		long result;

		if (strcmp(t->name, argv[1]) != 0)
			continue;
		result = t->run();
		puts(result < 0 ? strerrorname_np((int)-result) : "0");
		return 0;
	}
	return 99;
}
