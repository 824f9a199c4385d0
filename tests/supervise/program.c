/* SPDX-License-Identifier: ISC */
/*
 * program.c - a program to be linked statically, which a preloaded library cannot enter.
 *
 * Each command does one thing with the target ADDRESS PORT and prints what the
 * system calls said, errnos as numbers.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef MSG_FASTOPEN
#define MSG_FASTOPEN 0x20000000
#endif
#ifndef TCP_FASTOPEN_CONNECT
#define TCP_FASTOPEN_CONNECT 30
#endif
#define MPTCP 262

static struct sockaddr_storage target;
static socklen_t target_len;

static void set_target(const char *address, const char *port)
{
	struct sockaddr_in *in = (void *)&target;
	struct sockaddr_in6 *in6 = (void *)&target;

	memset(&target, 0, sizeof(target));
	if (inet_pton(AF_INET, address, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)atoi(port));
		target_len = sizeof(*in);
	} else if (inet_pton(AF_INET6, address, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)atoi(port));
		target_len = sizeof(*in6);
	}
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int outcome(long result)
{
	return result < 0 ? errno : 0;
}

static int stream(int flags)
{
	return socket(target.ss_family, SOCK_STREAM | flags, 0);
}

static int try_connect(int fd)
{
	return outcome(connect(fd, (struct sockaddr *)&target, target_len));
}

static void get_hello(int fd)
{
	static const char request[] = "GET /hello HTTP/1.0\r\n\r\n";
	char answer[4096], *body;
	size_t len = 0;
	ssize_t n;

	if (write(fd, request, sizeof(request) - 1) < 0)
		printf("write %d\n", errno);
	while (len < sizeof(answer) - 1 && (n = read(fd, answer + len, sizeof(answer) - 1 - len)) > 0)
		len += (size_t)n;
	answer[len] = '\0';
	body = strstr(answer, "\r\n\r\n");
	printf("%s", body != NULL ? body + 4 : "no answer\n");
}

/* get: the page */
static void get(void)
{
	int fd = stream(0), error = try_connect(fd);

	if (error != 0)
		printf("connect %d\n", error);
	else
		get_hello(fd);
}

static void print_peer(int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	char host[64], port[16];

	if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0)
		printf("peer: %d\n", errno);
	else if (getnameinfo((struct sockaddr *)&peer, len, host, sizeof(host), port, sizeof(port),
			     NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		printf("peer: %s %s\n", host, port);
}

/* states: what a socket says before, after, and on a second connect */
static void states(void)
{
	int fd = stream(0);

	print_peer(fd);
	printf("connect: %d\n", try_connect(fd));
	print_peer(fd);
	printf("again: %d\n", try_connect(fd));
}

static int socket_error(int fd)
{
	int error = -1;
	socklen_t len = sizeof(error);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? -errno : error;
}

/* nonblock: registered with epoll before the connect, and a duplicate of it used */
static void nonblock(void)
{
	int fd = stream(SOCK_NONBLOCK), copy = dup(fd), set = epoll_create1(0), on = 1, error;
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
	(void)epoll_wait(set, &event, 1, 0);
	printf("connect: %d\n", try_connect(fd));
	/* What an unconnected socket reported before (EPOLLHUP) may be reported once more. */
	do {
		if (epoll_wait(set, &event, 1, 20000) != 1) {
			printf("epoll: nothing\n");
			return;
		}
	} while (event.events == (EPOLLOUT | EPOLLHUP));
	error = socket_error(copy);
	printf("error: %d\n", error);
	printf("error again: %d\n", socket_error(copy));
	if (error != 0) {
		printf("events: %x\n", event.events & (EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP));
		printf("retry: %d\n", try_connect(fd) == EINPROGRESS ? 0 : 1);
		return;
	}
	print_peer(copy);
	fcntl(fd, F_SETFL, 0);
	get_hello(copy);
}

/* The next of @fds that poll or epoll reports, or -1. */
static int next_ready(int set, struct pollfd *fds, int count)
{
	struct epoll_event event;

	if (set >= 0)
		return epoll_wait(set, &event, 1, 30000) == 1 ? (int)event.data.u32 : -1;
	if (poll(fds, (nfds_t)count, 30000) <= 0)
		return -1;
	for (int i = 0; i < count; i++)
		if (fds[i].revents != 0)
			return i;
	return -1;
}

/* One thread, @count connects under way at the same time: none of them may wait for the proxy. */
static void together(int count, bool by_epoll)
{
	struct pollfd fds[1000];
	int set = by_epoll ? epoll_create1(0) : -1, connected = 0, pending = 0, i;

	for (i = 0; i < count; i++) {
		struct epoll_event event = { .events = EPOLLOUT | EPOLLET, .data.u32 = (uint32_t)i };

		fds[i] = (struct pollfd){ .fd = stream(SOCK_NONBLOCK), .events = POLLOUT };
		pending += try_connect(fds[i].fd) == EINPROGRESS;
		if (i == 0)
			printf("at first: %d, %d\n", try_connect(fds[i].fd), poll(fds, 1, 0));
		if (by_epoll)
			epoll_ctl(set, EPOLL_CTL_ADD, fds[i].fd, &event);
	}
	printf("pending: %d\n", pending);
	while (connected < count && (i = next_ready(set, fds, count)) >= 0) {
		struct sockaddr_storage peer;
		socklen_t len = sizeof(peer);

		if (socket_error(fds[i].fd) != 0 ||
		    getpeername(fds[i].fd, (struct sockaddr *)&peer, &len) < 0 ||
		    memcmp(&peer, &target, target_len) != 0)
			printf("number %d: it is not connected\n", i);
		fds[i].fd = -fds[i].fd;
		connected++;
	}
	printf("connected: %d\n", connected);
	fds[0].fd = -fds[0].fd;
	printf("at last: %d", try_connect(fds[0].fd));
	printf(", %d\n", try_connect(fds[0].fd));
	fcntl(fds[0].fd, F_SETFL, 0);
	get_hello(fds[0].fd);
}

static int connect_by_poll(void)
{
	struct pollfd p = { .fd = stream(SOCK_NONBLOCK), .events = POLLOUT };

	(void)try_connect(p.fd);
	(void)poll(&p, 1, 30000);
	printf("error: %d\n", socket_error(p.fd));
	fcntl(p.fd, F_SETFL, 0);
	return p.fd;
}

/* echo: more than buffers hold, and the end of it, one way; then the other way */
static void echo(void)
{
	static char bytes[65536];
	int fd = connect_by_poll();
	size_t sent = 0, received = 0;
	ssize_t n;

	fflush(stdout);
	if (fork() == 0) {
		for (int i = 0; i < 128 && (n = write(fd, bytes, sizeof(bytes))) > 0; i++)
			sent += (size_t)n;
		printf("sent: %zu\n", sent);
		fflush(stdout);
		shutdown(fd, SHUT_WR);
		_exit(0);
	}
	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		received += (size_t)n;
	printf("received: %zu, then %zd\n", received, n);
}

/* leave: the program ends at once when it has written */
static void leave(void)
{
	static const char request[] = "GET /left HTTP/1.0\r\n\r\n";
	int fd = connect_by_poll();

	fflush(stdout);
	if (write(fd, request, sizeof(request) - 1) > 0)
		_exit(0);
}

static void ring(int sig)
{
	(void)sig;
}

static void arm(int ms, int flags)
{
	struct itimerval timer = { .it_value = { ms / 1000, ms % 1000 * 1000 } };
	struct sigaction sa = { .sa_handler = ring, .sa_flags = flags };

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

/* interrupted: a handler without SA_RESTART ends connect, and the next one goes on */
static void interrupted(void)
{
	int fd = stream(0);
	int64_t start = now_ms();

	arm(100, 0);
	printf("connect: %d\n", try_connect(fd));
	printf("at once: %s\n", now_ms() - start < 350 ? "yes" : "no");
	printf("again: %d\n", try_connect(fd));
	get_hello(fd);
}

/* asked: the same, but it is SO_ERROR that is asked next */
static void asked(void)
{
	int fd = stream(0);

	arm(100, 0);
	printf("connect: %d\n", try_connect(fd));
	printf("error: %d\n", socket_error(fd));
	get_hello(fd);
}

/* restarted: a handler with SA_RESTART does not show */
static void restarted(void)
{
	int fd = stream(0);

	arm(100, SA_RESTART);
	printf("connect: %d\n", try_connect(fd));
	get_hello(fd);
}

/* sndtimeo: connect gives up, the connection does not */
static void sndtimeo(void)
{
	struct timeval tv = { 0, 100000 };
	int fd = stream(0);
	int64_t start = now_ms();

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	printf("connect: %d\n", try_connect(fd));
	printf("at once: %s\n", now_ms() - start < 350 ? "yes" : "no");
}

static int shared_fd;

static void *connect_shared(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)try_connect(shared_fd);
}

/* threads: made in one, connected in the other */
static void threads(void)
{
	pthread_t thread;
	void *error;

	shared_fd = stream(0);
	pthread_create(&thread, NULL, connect_shared, NULL);
	pthread_join(thread, &error);
	printf("connect: %d\n", (int)(intptr_t)error);
	get_hello(shared_fd);
}

static volatile bool flipping = true;
static volatile struct sockaddr_in flipped;

static void *flip(void *arg)
{
	struct in_addr one = ((struct sockaddr_in *)&target)->sin_addr, other;

	(void)arg;
	inet_pton(AF_INET, "127.0.0.1", &other);
	while (flipping) {
		flipped.sin_addr.s_addr = one.s_addr;
		flipped.sin_addr.s_addr = other.s_addr;
	}
	return NULL;
}

/* flips N: another thread changes the address between a direct and a proxied one all the time */
static void flips(int count)
{
	pthread_t thread;
	int connected = 0;

	memcpy((void *)&flipped, &target, sizeof(flipped));
	pthread_create(&thread, NULL, flip, NULL);
	for (int i = 0; i < count; i++) {
		int fd = stream(i % 2 != 0 ? SOCK_NONBLOCK : 0);
		struct pollfd p = { .fd = fd, .events = POLLOUT };

		if (connect(fd, (struct sockaddr *)(uintptr_t)&flipped, sizeof(flipped)) == 0)
			connected++;
		else if (errno == EINPROGRESS && poll(&p, 1, 5000) == 1 && socket_error(fd) == 0)
			connected++;
		close(fd);
	}
	flipping = false;
	pthread_join(thread, NULL);
	printf("some connected: %s\n", connected > 0 ? "yes" : "no");
}

static void *connect_and_get(void *arg)
{
	int fd = stream(0);
	char octet;

	if (try_connect(fd) != 0 || write(fd, "GET /hello HTTP/1.0\r\n\r\n", 23) != 23 ||
	    read(fd, &octet, 1) != 1)
		__atomic_add_fetch((int *)arg, 1, __ATOMIC_SEQ_CST);
	close(fd);
	return NULL;
}

/* many N: so many threads connect at the same time */
static void many(int count)
{
	pthread_t *thread = calloc((size_t)count, sizeof(*thread));
	pthread_attr_t small;
	int failed = 0;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	for (int i = 0; i < count; i++)
		if (pthread_create(&thread[i], &small, connect_and_get, &failed) != 0)
			exit(99);
	for (int i = 0; i < count; i++)
		pthread_join(thread[i], NULL);
	printf("failed: %d\n", failed);
}

/* signals: die of a signal, exit with a status, stop */
static void exit_with(const char *how)
{
	if (how[0] == 's')
		raise(atoi(how + 1));
	exit(atoi(how));
}

/* family NUMBER TYPE PROTOCOL: what socket(2) says */
static void family(char **words)
{
	int fd = socket(atoi(words[0]), atoi(words[1]), atoi(words[2]));

	printf("%d\n", outcome(fd));
}

#if defined(__x86_64__)
static long int80(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory", "r8", "r9", "r10", "r11");
	return result;
}
#endif

/* i386: the 32-bit entry of the kernel, whose calls have other numbers */
static void by_int80(void)
{
#if defined(__x86_64__)
	static struct sockaddr_in low; /* below 4 GiB in a program that is not position independent */
	int fd = (int)int80(359, AF_INET, SOCK_STREAM, 0);

	memcpy(&low, &target, sizeof(low));
	if (fd < 0) {
		printf("socket: %d\n", -fd);
		return;
	}
	printf("connect: %ld\n", -int80(362, fd, (long)&low, sizeof(low)));
	get_hello(fd);
#endif
}

/* socketcall: the same by the one number that old programs know */
static void by_socketcall(void)
{
#if defined(__x86_64__)
	static struct sockaddr_in low;
	static uint32_t args[3];
	int fd;

	args[0] = AF_INET;
	args[1] = SOCK_STREAM;
	args[2] = 0;
	fd = (int)int80(102, 1, (long)args, 0);
	if (fd < 0) {
		printf("socket: %d\n", -fd);
		return;
	}
	memcpy(&low, &target, sizeof(low));
	args[0] = (uint32_t)fd;
	args[1] = (uint32_t)(uintptr_t)&low;
	args[2] = sizeof(low);
	printf("connect: %ld\n", -int80(102, 3, (long)args, 0));
	get_hello(fd);
#endif
}

static int udp(void)
{
	return socket(target.ss_family, SOCK_DGRAM, 0);
}

/* udp: every way to send a datagram to the target */
static void datagrams(void)
{
	char octet = 'x';
	struct iovec piece = { &octet, 1 };
	struct msghdr h = { .msg_name = &target, .msg_namelen = target_len, .msg_iov = &piece,
			    .msg_iovlen = 1 };
	struct mmsghdr mm[2] = { { .msg_hdr = h }, { .msg_hdr = h } };
	struct sockaddr_storage unspecified = target;
	int fd = udp();

	unspecified.ss_family = AF_UNSPEC;
	printf("sendto: %d\n", outcome(sendto(fd, &octet, 1, 0, (void *)&target, target_len)));
	printf("sendmsg: %d\n", outcome(sendmsg(fd, &h, 0)));
	printf("sendmmsg: %d\n", outcome(syscall(SYS_sendmmsg, fd, mm, 2, 0)));
	printf("unspecified: %d\n",
	       outcome(sendto(fd, &octet, 1, 0, (void *)&unspecified, sizeof(struct sockaddr_in))));
	printf("connect: %d\n", try_connect(fd));
	printf("send: %d\n", outcome(send(fd, &octet, 1, 0)));
}

/* The errno of a message to the target from such a socket, of which ECHO takes the 8 octets for its own. */
static int send_by(int type, int protocol)
{
	int fd = socket(AF_INET, type, protocol);

	return fd < 0 ? errno : outcome(sendto(fd, "\10\0\0\0\0\0\0\0", 8, 0, (void *)&target, target_len));
}

/* zoo: what else could get past a supervisor */
static void zoo(void)
{
	char octet = 'x';
	struct iovec piece = { &octet, 1 };
	struct msghdr h = { .msg_name = &target, .msg_namelen = target_len, .msg_iov = &piece,
			    .msg_iovlen = 1 };
	struct mmsghdr mm = { .msg_hdr = h };
	int on = 1, fd;

	printf("fast open by sendto: %d\n",
	       outcome(sendto(stream(0), &octet, 1, MSG_FASTOPEN, (void *)&target, target_len)));
	printf("fast open by sendmsg: %d\n", outcome(sendmsg(stream(0), &h, MSG_FASTOPEN)));
	printf("fast open by sendmmsg: %d\n",
	       outcome(syscall(SYS_sendmmsg, stream(0), &mm, 1, MSG_FASTOPEN)));
	printf("io_uring: %d\n", outcome(syscall(425, 4, NULL)));
	printf("raw: %d\n", outcome(socket(AF_INET, SOCK_RAW, IPPROTO_TCP)));
	printf("packet: %d\n", outcome(socket(AF_PACKET, SOCK_DGRAM, 0)));
	printf("udplite: %d\n", send_by(SOCK_DGRAM, IPPROTO_UDPLITE));
	printf("ping: %d\n", send_by(SOCK_DGRAM, IPPROTO_ICMP));
	printf("mptcp: %d\n", outcome(socket(AF_INET, SOCK_STREAM, MPTCP)));
	printf("sctp: %d\n", outcome(socket(AF_INET, SOCK_STREAM, 132)));
	printf("dccp: %d\n", outcome(socket(AF_INET, 6, 33)));
	printf("vsock: %d\n", outcome(socket(40, SOCK_STREAM, 0)));
#if defined(__x86_64__)
	printf("x32: %d\n", outcome(syscall(0x40000000 + SYS_socket, AF_INET, SOCK_STREAM, 0)));
#endif
	printf("unix: %d\n", outcome(socket(AF_UNIX, SOCK_STREAM, 0)));
	fd = stream(0);
	setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on));
	printf("fast open by connect: %d\n", try_connect(fd));
	get_hello(fd);
}

/* resolver: the daemon that would ask on our behalf */
static void resolver(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "/run/nscd/socket" };
	struct sockaddr_un other = { .sun_family = AF_UNIX, .sun_path = "/nonexistent" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	printf("nscd: %d\n", outcome(connect(fd, (void *)&un, sizeof(un))));
	printf("another: %d\n", outcome(connect(fd, (void *)&other, sizeof(other))));
}

/* lookup NAME: by the C library's own resolver */
static void lookup(const char *name, const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
	int err = getaddrinfo(name, port, &hints, &found);

	if (err != 0) {
		printf("getaddrinfo: %s\n", gai_strerror(err));
		return;
	}
	for (struct addrinfo *a = found; a != NULL; a = a->ai_next) {
		int fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);

		if (connect(fd, a->ai_addr, a->ai_addrlen) == 0) {
			get_hello(fd);
			return;
		}
		err = errno;
	}
	printf("connect: %d\n", err);
}

/* wait FILE: get the page, then again when the file exists */
static void twice(const char *file)
{
	get();
	fflush(stdout);
	for (int i = 0; i < 1000 && access(file, F_OK) < 0; i++)
		poll(NULL, 0, 20);
	get();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} commands[] = {
		{ "get", get },		      { "states", states },
		{ "nonblock", nonblock },     { "interrupted", interrupted },
		{ "asked", asked },	      { "restarted", restarted },
		{ "sndtimeo", sndtimeo },     { "threads", threads },
		{ "int80", by_int80 },	      { "socketcall", by_socketcall },
		{ "udp", datagrams },	      { "zoo", zoo },
		{ "resolver", resolver },     { "echo", echo },
		{ "leave", leave },
	};
	const char *word = argc > 1 ? argv[1] : "";

	if (strcmp(word, "exit") == 0)
		exit_with(argv[2]);
	if (strcmp(word, "exec") == 0) {
		execvp(argv[2], argv + 2);
		return 127;
	}
	if (strcmp(word, "daemon") == 0) {
		if (fork() != 0)
			return 0;
		setsid();
		execvp(argv[2], argv + 2);
		return 127;
	}
	if (strcmp(word, "family") == 0) {
		family(argv + 2);
		return 0;
	}
	if (argc < 4)
		return 2;
	if (strcmp(word, "lookup") == 0) {
		lookup(argv[2], argv[3]);
		return 0;
	}
	set_target(argv[2], argv[3]);
	if (strcmp(word, "many") == 0)
		many(atoi(argv[4]));
	if (strcmp(word, "epoll") == 0 || strcmp(word, "poll") == 0)
		together(atoi(argv[4]), word[0] == 'e');
	if (strcmp(word, "flips") == 0)
		flips(atoi(argv[4]));
	if (strcmp(word, "twice") == 0)
		twice(argv[4]);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(word, commands[i].name) == 0)
			commands[i].run();
	return 0;
}
