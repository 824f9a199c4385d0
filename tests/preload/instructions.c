/* SPDX-License-Identifier: ISC */
/*
 * instructions.c - calls that are none of the library's business, or on a connection that is made.
 * Each is made TIMES times between two marks, and its name printed; run-instructions counts.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <netinet/tcp.h>
#include <sys/uio.h>
#include <unistd.h>

#define TIMES 20

static int file, pair[2], set;	/* none of ours */
static int tcp;			/* the connection */
static char octet;
static struct iovec part = { .iov_base = &octet, .iov_len = 1 };
static struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
static struct pollfd polled = { .events = POLLIN };
static struct epoll_event event = { .events = EPOLLIN };
static struct sockaddr_in address;
static socklen_t address_size, number_size;
static int number = 1;

static void expect(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

static int wait_select(void)
{
	struct timeval none = { 0 };
	fd_set in;

	FD_ZERO(&in);
	FD_SET(tcp, &in);
	return select(tcp + 1, &in, NULL, NULL, &none);
}

static int ask_peer(void)
{
	address_size = sizeof(address);
	return getpeername(tcp, (struct sockaddr *)&address, &address_size);
}

static int ask_local(void)
{
	address_size = sizeof(address);
	return getsockname(tcp, (struct sockaddr *)&address, &address_size);
}

static int ask_error(void)
{
	number_size = sizeof(number);
	return getsockopt(tcp, SOL_SOCKET, SO_ERROR, &number, &number_size);
}

static int set_nodelay(void)
{
	number = 1;
	return setsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, &number, sizeof(number));
}

/* Name, call, and whether it does what it is to. */
#define OPS(X)                                                                          \
	X(read_file, read(file, &octet, 1) == 0)                                        \
	X(write_file, write(file, &octet, 1) == 1)                                      \
	X(writev_file, writev(file, &part, 1) == 1)                                     \
	X(file_fcntl_getfl, fcntl(file, F_GETFL) >= 0)                                  \
	X(unix_send_recv, send(pair[0], &octet, 1, 0) == 1 &&                           \
			  recv(pair[1], &octet, 1, 0) == 1)                             \
	X(unix_sendmsg_recvmsg, sendmsg(pair[0], &message, 0) == 1 &&                   \
				recvmsg(pair[1], &message, 0) == 1)                     \
	X(tcp_recv, recv(tcp, &octet, 1, MSG_DONTWAIT) < 0)                             \
	X(tcp_recvmsg, recvmsg(tcp, &message, MSG_DONTWAIT) < 0)                        \
	X(tcp_send, send(tcp, &octet, 1, 0) == 1)                                       \
	X(tcp_write, write(tcp, &octet, 1) == 1)                                        \
	X(tcp_writev, writev(tcp, &part, 1) == 1)                                       \
	X(tcp_sendmsg, sendmsg(tcp, &message, 0) == 1)                                  \
	X(tcp_poll, poll(&polled, 1, 0) >= 0)                                           \
	X(tcp_select, wait_select() >= 0)                                               \
	X(tcp_epoll_wait, epoll_wait(set, &event, 1, 0) >= 0)                           \
	X(tcp_epoll_ctl_mod, epoll_ctl(set, EPOLL_CTL_MOD, tcp, &event) == 0)           \
	X(tcp_fcntl_getfl, fcntl(tcp, F_GETFL) >= 0)                                    \
	X(tcp_getsockopt_err, ask_error() == 0)                                         \
	X(tcp_setsockopt_nodelay, set_nodelay() == 0)                                   \
	X(tcp_getpeername, ask_peer() == 0)                                             \
	X(tcp_getsockname, ask_local() == 0)                                            \
	X(tcp_ioctl_fionread, ioctl(tcp, FIONREAD, &number) == 0)                       \
	X(socket_close_tcp, close(socket(AF_INET, SOCK_STREAM, 0)) == 0)                \
	X(socket_close_unix, close(socket(AF_UNIX, SOCK_STREAM, 0)) == 0)               \
	X(dup_close, close(dup(file)) == 0)                                             \
	X(dup_close_tcp, close(dup(tcp)) == 0)                                          \
	X(open_close, close(open("/dev/null", O_RDONLY)) == 0)                          \
	X(close_ebadf, close(-1) < 0)

#define DEFINE(name, call)                \
	static int call_##name(void)      \
	{                                 \
		return call;              \
	}
OPS(DEFINE)

static const struct {
	const char *name;
	int (*call)(void);
} ops[] = {
#define ROW(name, call) { #name, call_##name },
	OPS(ROW)
};

/* A call that fails and ends what was counted so far. */
static void mark(void)
{
	expect(chdir("mark") < 0, "chdir");
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET };

	if (argc != 2) {
		fprintf(stderr, "usage: instructions PORT\n");
		return 2;
	}
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((uint16_t)atoi(argv[1]));
	tcp = polled.fd = socket(AF_INET, SOCK_STREAM, 0);
	expect(connect(tcp, (struct sockaddr *)&to, sizeof(to)) == 0, "connect");
	file = open("/dev/null", O_RDWR);
	set = epoll_create1(0);
	expect(file >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 &&
	       epoll_ctl(set, EPOLL_CTL_ADD, tcp, &event) == 0, "open");
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		expect(ops[i].call(), ops[i].name); /* once for what is only done once */
		mark();
		for (int n = 0; n < TIMES; n++)
			if (!ops[i].call())
				return 1;
		mark();
		puts(ops[i].name);
	}
	return 0;
}
