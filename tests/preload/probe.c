/* SPDX-License-Identifier: ISC */
/*
 * probe.c - calls that must give the same results bare and preloaded.
 * Prints one line a fact; run-probes compares the two runs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* A constructor runs before the library's own: nothing may depend on that. */
__attribute__((constructor)) static void early(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "/nonexistent/socket" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0)
		abort();
	close(fd);
}

static void line(const char *what, long result)
{
	printf("%s: %ld %s\n", what, result, result < 0 ? strerrorname_np(errno) : "");
}

static int tcp_to(const struct sockaddr_in *to, int flags)
{
	int fd = socket(AF_INET, SOCK_STREAM | flags, 0);

	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0 && errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The state of a connected socket. */
static void describe(const char *what, int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	struct sockaddr_in *in = (struct sockaddr_in *)&peer;
	int value = 0;
	socklen_t size = sizeof(value);
	char text[64] = "";

	memset(&peer, 0, sizeof(peer));
	line(what, getpeername(fd, (struct sockaddr *)&peer, &len));
	inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
	printf("  peer %s:%d length %u\n", text, ntohs(in->sin_port), len);
	len = 3; /* too small a buffer still tells the length */
	line("  short getpeername", getpeername(fd, (struct sockaddr *)&peer, &len));
	printf("  length %u\n", len);
	len = sizeof(*in);
	line("  SO_PEERNAME", getsockopt(fd, SOL_SOCKET, 28, &peer, &len));
	printf("  port %d\n", ntohs(in->sin_port));
	printf("  F_GETFL %x F_GETFD %x\n", (unsigned)fcntl(fd, F_GETFL), (unsigned)fcntl(fd, F_GETFD));
	getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &size);
	printf("  TCP_NODELAY %d\n", value != 0);
	getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &size);
	printf("  SO_KEEPALIVE %d\n", value != 0);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &size);
	printf("  SO_ERROR %d\n", value);
}

static void talk(const char *what, int fd)
{
	char answer[6] = "";
	struct pollfd p = { .fd = fd, .events = POLLIN };

	line(what, write(fd, "hello", 5));
	/* The echo takes its time, and a non-blocking socket does not wait for it. */
	for (size_t n = 0; n < 5 && poll(&p, 1, 5000) == 1;) {
		ssize_t got = recv(fd, answer + n, 5 - n, 0);

		if (got <= 0)
			break;
		n += (size_t)got;
	}
	printf("  text %s\n", answer);
}

static void on_alarm(int signal)
{
	(void)signal;
}

/* The child shares our memory, but not our fds. */
static void close_in_vfork_child(int fd)
{
	int status;

	if (vfork() == 0) {
		close(fd);
		_exit(0);
	}
	wait(&status);
}

static void connections(const struct sockaddr_in *to, const struct sockaddr_in *refused)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, copy, status;
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	copy = dup(fd); /* before connect: the same open file */
	errno = EXDEV;
	line("connect", connect(fd, (const struct sockaddr *)to, sizeof(*to)));
	printf("errno kept %d\n", errno == EXDEV);
	describe("connected", fd);
	describe("dup before", copy);
	talk("talk", copy);
	line("connect again", connect(fd, (const struct sockaddr *)to, sizeof(*to)));
	dup2(fd, 77);
	describe("dup2", 77);
	describe("F_DUPFD", fcntl(fd, F_DUPFD, 90));
	describe("dup3", dup3(fd, 78, O_CLOEXEC));
	if (fork() == 0) {
		describe("fork child", fd);
		fflush(stdout);
		_exit(0);
	}
	wait(&status);
	close_in_vfork_child(fd);
	describe("after vfork", fd);
	close(fd);
	describe("copy after close", copy);
	fd = open("/dev/null", O_RDONLY); /* takes the number */
	line("getpeername of /dev/null", getpeername(fd, &none, &(socklen_t){ sizeof(none) }));
	line("shutdown", shutdown(copy, SHUT_WR));
	close_range(60, 100, 0);
	line("closed by range", getpeername(77, &none, &(socklen_t){ sizeof(none) }));

	fd = socket(AF_INET, SOCK_STREAM, 0);
	line("refused", connect(fd, (const struct sockaddr *)refused, sizeof(*refused)));
	line("then connected", connect(fd, (const struct sockaddr *)to, sizeof(*to)));
	talk("talk after retry", fd);
	line("AF_UNSPEC", connect(fd, &none, sizeof(none)));
	line("no peer", getpeername(fd, &none, &(socklen_t){ sizeof(none) }));
	line("once more", connect(fd, (const struct sockaddr *)to, sizeof(*to)));
	talk("talk after AF_UNSPEC", fd);
	close(fd);
	fd = tcp_to(to, SOCK_NONBLOCK);
	if (fd >= 0) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };

		line("poll", poll(&p, 1, 5000));
		printf("  writable %d\n", p.revents == POLLOUT);
		describe("non-blocking", fd);
		talk("talk", fd);
	}
	line("by syscall()", syscall(SYS_connect, fd = socket(AF_INET, SOCK_STREAM, 0), to,
				     sizeof(*to)));
	talk("talk after syscall()", fd);
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	line("MSG_FASTOPEN", sendto(fd, "hello", 5, MSG_FASTOPEN, (const struct sockaddr *)to,
				    sizeof(*to)));
	{
		char answer[6] = "";

		recv(fd, answer, 5, MSG_WAITALL);
		printf("  text %s\n", answer);
	}
	close(fd);
}

static void mistakes(const struct sockaddr_in *to)
{
	struct sockaddr_in short_lived = *to;
	int fd = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);

	line("connect(-1)", connect(-1, (const struct sockaddr *)to, sizeof(*to)));
	line("connect NULL", connect(fd, NULL, sizeof(*to)));
	line("connect short", connect(fd, (const struct sockaddr *)to, 7));
	line("connect zero", connect(fd, (const struct sockaddr *)to, 0));
	line("connect a pipe", connect(0, (const struct sockaddr *)to, sizeof(*to)));
	short_lived.sin_family = AF_INET6;
	line("wrong family", connect(fd, (struct sockaddr *)&short_lived, sizeof(short_lived)));
	line("udp to loopback", connect(udp, (const struct sockaddr *)to, sizeof(*to)));
	line("getpid by syscall()", syscall(SYS_getpid) == getpid());
	line("close(-1)", close(-1));
	line("dup2(-1)", dup2(-1, 60));
	close(fd);
	close(udp);
}

static void names(void)
{
	static const char *const numeric[] = { "127.0.0.1", "1.2", "0x7f.1", "::1", "::ffff:1.2.3.4",
					       "", "fe80::1%lo", NULL };
	for (int i = 0; numeric[i] != NULL; i++) {
		struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST };
		struct addrinfo *list = NULL;
		int err = getaddrinfo(numeric[i], "80", &hints, &list);

		printf("getaddrinfo %s: %d\n", numeric[i], err);
		if (err == 0)
			freeaddrinfo(list);
	}
	struct addrinfo *list = NULL;
	printf("passive: %d\n", getaddrinfo(NULL, "80", NULL, &list));
	freeaddrinfo(list);
	printf("localhost: %d\n", getaddrinfo("localhost", "80", NULL, &list));
	freeaddrinfo(list);
	struct hostent *h = gethostbyname("localhost");
	printf("gethostbyname: %s %d aliases %d\n", h != NULL ? h->h_name : "-",
	       h != NULL ? h->h_length : 0, h != NULL && h->h_aliases != NULL);
	srand(1);
	printf("rand %d\n", rand());
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET }, refused;
	struct sigaction sa = { .sa_handler = on_alarm };

	if (argc != 3) {
		fprintf(stderr, "usage: probe PORT CLOSED-PORT\n");
		return 2;
	}
	sigaction(SIGUSR1, &sa, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((uint16_t)atoi(argv[1]));
	refused = to;
	refused.sin_port = htons((uint16_t)atoi(argv[2]));
	connections(&to, &refused);
	mistakes(&to);
	names();
	return 0;
}
