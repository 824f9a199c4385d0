/* SPDX-License-Identifier: ISC */
/* datagrams.c - what a program sees of datagrams to an echo server: the same bare and through a relay. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/ip.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in echo;
static const char *subject;

#define SAY(format, ...) printf("%s: " format "\n", subject, __VA_ARGS__)

static const char *result(ssize_t n)
{
	static char text[32];

	if (n < 0)
		return strerrorname_np(errno);
	snprintf(text, sizeof(text), "%zd", n);
	return text;
}

static const struct sockaddr *to(void)
{
	return (const struct sockaddr *)(const void *)&echo;
}

static int open_socket(int flags)
{
	struct timeval patience = { 5, 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | flags, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static int open_connected(int flags)
{
	int fd = open_socket(flags);

	if (connect(fd, to(), sizeof(echo)) < 0)
		SAY("connect %s", strerrorname_np(errno));
	return fd;
}

static ssize_t send_to(int fd, const char *text)
{
	return sendto(fd, text, strlen(text), 0, to(), sizeof(echo));
}

static int readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 5000) == 1 ? p.revents : -1;
}

/* What is there, as text; "-" with an error. */
static const char *receive(int fd)
{
	static char text[64];
	struct sockaddr_in from = { 0 };
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(fd, text, sizeof(text) - 1, 0, (struct sockaddr *)&from, &len);

	if (n < 0)
		return strerrorname_np(errno);
	text[n] = '\0';
	if (len != 0 && from.sin_port != echo.sin_port)
		return "of a stranger";
	return text;
}

/* Each way to send and to receive. */
static void plain_calls(void)
{
	int fd = open_connected(0), octets;
	char text[16] = "";
	struct iovec parts[3] = { { (char *)"a", 1 }, { NULL, 0 }, { (char *)"bcd", 3 } };
	struct iovec into[2] = { { text, 2 }, { text + 8, 4 } };

	SAY("write %s", result(write(fd, "written", 7)));
	SAY("poll %#x", readable(fd));
	ioctl(fd, FIONREAD, &octets);
	SAY("FIONREAD %d", octets);
	SAY("recv peek %s", result(recv(fd, text, 3, MSG_PEEK)));
	SAY("recv peek trunc %s", result(recv(fd, text, 3, MSG_PEEK | MSG_TRUNC)));
	SAY("read %s", result(read(fd, text, sizeof(text))));
	ioctl(fd, FIONREAD, &octets);
	SAY("FIONREAD %d", octets);
	SAY("writev %s", result(writev(fd, parts, 3)));
	SAY("readv %s", result(readv(fd, into, 2)));
	SAY("scattered %.2s %.2s", text, text + 8);
	SAY("empty %s", result(send(fd, "", 0, 0)));
	SAY("poll %#x", readable(fd));
	SAY("empty %s", result(recv(fd, text, 4, 0)));
	SAY("none %s", result(recv(fd, text, 4, MSG_DONTWAIT)));
	SAY("dprintf %d", dprintf(fd, "%d", 42));
	SAY("recv %s", receive(fd));
	close(fd);
}

static void truncated(void)
{
	int fd = open_socket(0);
	char text[8];
	struct iovec part = { text, 3 };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };

	send_to(fd, "truncated");
	SAY("recvmsg %s", result(recvmsg(fd, &msg, 0)));
	SAY("flags %#x", (unsigned)msg.msg_flags & MSG_TRUNC);
	send_to(fd, "truncated");
	SAY("recvmsg trunc %s", result(recvmsg(fd, &msg, MSG_TRUNC)));
	close(fd);
}

/* Control messages belong to the datagram, whoever takes its header off. */
static void control_messages(void)
{
	union {
		char octets[512];
		struct cmsghdr align;
	} control;
	int fd = open_socket(0), on = 1;
	char text[16];
	struct iovec part = { text, sizeof(text) };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	bool info = false, tos = false, stamp = false;

	setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof(on));
	send_to(fd, "control");
	SAY("recvmsg %s", result(recvmsg(fd, &msg, 0)));
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
		info = info || (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO);
		tos = tos || (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS);
		stamp = stamp || (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMP);
	}
	SAY("pktinfo %d tos %d timestamp %d flags %#x", info, tos, stamp, (unsigned)msg.msg_flags);
	close(fd);
}

#define MANY 5

static void many(void)
{
	int fd = open_socket(0);
	char octets[MANY][4], numbers[MANY][4];
	struct iovec parts[MANY];
	struct mmsghdr msgs[MANY];
	struct timespec patience = { 0, 0 };

	memset(msgs, 0, sizeof(msgs));
	for (int i = 0; i < MANY; i++) {
		snprintf(numbers[i], sizeof(numbers[i]), "%d", i);
		parts[i] = (struct iovec){ numbers[i], 1 };
		msgs[i].msg_hdr = (struct msghdr){ .msg_name = &echo, .msg_namelen = sizeof(echo),
						   .msg_iov = &parts[i], .msg_iovlen = 1 };
	}
	SAY("sendmmsg %s", result(sendmmsg(fd, msgs, 3, 0)));
	for (int i = 0; i < MANY; i++) {
		parts[i] = (struct iovec){ octets[i], sizeof(octets[i]) };
		msgs[i].msg_hdr.msg_name = NULL;
		msgs[i].msg_hdr.msg_namelen = 0;
	}
	SAY("one %s", result(recvmmsg(fd, msgs, 1, 0, NULL)));
	SAY("two %s", result(recvmmsg(fd, msgs, 2, 0, NULL)));
	SAY("last %.1s", octets[1]);
	send_to(fd, "x");
	readable(fd);
	SAY("for one %s", result(recvmmsg(fd, msgs, MANY, MSG_WAITFORONE, NULL)));
	send_to(fd, "x");
	readable(fd);
	/* The kernel looks at its timeout only after a datagram. */
	SAY("no time %s", result(recvmmsg(fd, msgs, MANY, 0, &patience)));
	SAY("none %s", result(recvmmsg(fd, msgs, MANY, MSG_DONTWAIT, NULL)));
	close(fd);
}

static void waiting(void)
{
	int fd = open_connected(SOCK_NONBLOCK), set = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u64 = 7 }, got;
	fd_set in;
	struct timeval patience = { 5, 0 };

	send(fd, "one", 3, 0);
	FD_ZERO(&in);
	FD_SET(fd, &in);
	SAY("select %d", select(fd + 1, &in, NULL, NULL, &patience));
	SAY("recv %s", receive(fd));
	SAY("recv %s", receive(fd));
	epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
	SAY("epoll, none %d", epoll_wait(set, &got, 1, 0));
	send(fd, "two", 3, 0);
	SAY("epoll %d", epoll_wait(set, &got, 1, 5000));
	SAY("event %#x %d", got.events, (int)got.data.u64);
	SAY("recv %s", receive(fd));
	SAY("epoll, none %d", epoll_wait(set, &got, 1, 0));
	close(set);
	close(fd);
}

/* What no wait, and no receive, must be woken by is in between: see socks5_udp.py --stray. */
static void strays(void)
{
	for (int connected = 0; connected < 2; connected++) {
		int fd = connected ? open_connected(0) : open_socket(0);
		struct pollfd p = { .fd = fd, .events = POLLIN };
		char octets[16];

		for (int i = 0; i < 3; i++) {
			struct timeval patience = { 5, 0 };
			fd_set in;

			send_to(fd, "sent");
			SAY("recv %s", receive(fd));
			send_to(fd, "sent");
			SAY("poll %#x", readable(fd));
			SAY("at once %s", result(recv(fd, octets, sizeof(octets), MSG_DONTWAIT)));
			SAY("poll, none %d", poll(&p, 1, 0));
			send_to(fd, "");
			FD_ZERO(&in);
			FD_SET(fd, &in);
			SAY("select %d", select(fd + 1, &in, NULL, NULL, &patience));
			SAY("at once %s", result(recv(fd, octets, sizeof(octets), MSG_DONTWAIT)));
		}
		close(fd);
	}
}

static void too_long(void)
{
	static char octets[65536];
	int fd = open_socket(0);

	SAY("too long %s", result(sendto(fd, octets, 65508, 0, to(), sizeof(echo))));
	SAY("long %s", result(sendto(fd, octets, 60000, 0, to(), sizeof(echo))));
	SAY("back %s", result(recv(fd, octets, sizeof(octets), 0)));
	close(fd);
}

static void milliseconds(int64_t *ret)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	*ret = now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/*
 * The proxy answers only after HOLD was made, which comes after the first
 * sends: they came back without it.
 */
static void let_go(void)
{
	const char *path = getenv("HOLD");

	if (path != NULL)
		close(open(path, O_CREAT | O_WRONLY, 0600));
}

static void hold(void)
{
	const char *path = getenv("HOLD");

	if (path != NULL)
		unlink(path);
}

enum waiter { BY_POLL, BY_SELECT, BY_EPOLL, BY_EPOLL_LATE, BY_SPIN, WAITERS };

static void wait_by(enum waiter how, int fd, int set)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u64 = 9 };
	struct timeval patience = { 5, 0 };
	char octet;
	fd_set in;

	switch (how) {
	case BY_POLL:
		readable(fd);
		break;
	case BY_SELECT:
		FD_ZERO(&in);
		FD_SET(fd, &in);
		select(fd + 1, &in, NULL, NULL, &patience);
		break;
	case BY_EPOLL_LATE:
		epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
		epoll_wait(set, &event, 1, 5000);
		break;
	case BY_EPOLL:
		epoll_wait(set, &event, 1, 5000);
		break;
	case BY_SPIN:
		while (recv(fd, &octet, 1, MSG_PEEK) < 0)
			usleep(1000);
	case WAITERS:
		break;
	}
}

static void without_waiting(void)
{
	for (int how = 0; how < 2 * WAITERS; how++) {
		int fd = how % 2 ? open_connected(SOCK_NONBLOCK) : open_socket(SOCK_NONBLOCK);
		int set = epoll_create1(0), error = -1;
		struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u64 = 9 };
		struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };
		socklen_t len = sizeof(error);

		hold();
		if (how / 2 == BY_EPOLL)
			epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
		SAY("way %d sent %s", how, result(send_to(fd, "first")));
		SAY("sent %s", result(send_to(fd, "second")));
		SAY("received %s", getenv("HOLD") ? receive(fd) : "EAGAIN");
		if (getenv("HOLD")) {
			SAY("poll %d", poll(&p, 1, 0));
			SAY("events %#x", p.revents);
		} else {
			SAY("poll %d", 1);
			SAY("events %#x", POLLOUT);
		}
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
		SAY("SO_ERROR %d", error);
		let_go();
		for (int i = 0; i < 2; i++) {
			if (i == 0 || how / 2 != BY_EPOLL_LATE)
				wait_by((enum waiter)(how / 2), fd, set);
			else
				readable(fd);
			SAY("received %s", receive(fd));
		}
		close(fd);
		close(set);
	}
}

/* The queue is as long as the kernel's; then EAGAIN, and no POLLOUT, until it has gone. */
static void full_queue(void)
{
	static char octets[1000];
	int fd = open_connected(SOCK_NONBLOCK), sent = 0, size = 0;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(size);

	hold();
	getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &len);
	while (sent < 100000 && send(fd, octets, sizeof(octets), 0) > 0)
		sent++;
	SAY("then %s", strerrorname_np(errno));
	SAY("bounded %d", sent > 1 && sent <= size / 1000);
	SAY("writable %d", poll(&p, 1, 0));
	let_go();
	SAY("writable %d", poll(&p, 1, 5000));
	SAY("send %s", result(send(fd, octets, sizeof(octets), 0)));
	close(fd);
}

/* A refusal: no call is told but one. */
static void refused(void)
{
	for (int how = 0; how < 6; how++) {
		int fd = open_connected(SOCK_NONBLOCK), set = epoll_create1(0), error = 0;
		struct epoll_event event = { .events = EPOLLIN, .data.u64 = 9 };
		struct pollfd p = { .fd = fd, .events = POLLIN };
		socklen_t len = sizeof(error);
		char octet;

		hold();
		epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
		SAY("way %d sent %s", how, result(send(fd, "x", 1, 0)));
		let_go();
		if (how < 3)
			SAY("poll %#x", poll(&p, 1, 5000) == 1 ? p.revents : -1);
		else
			SAY("epoll %#x", epoll_wait(set, &event, 1, 5000) == 1 ? event.events : 0);
		if (how % 3 == 0)
			SAY("send %s", result(send(fd, "x", 1, 0)));
		if (how % 3 == 1)
			SAY("recv %s", result(recv(fd, &octet, 1, 0)));
		if (how % 3 == 2)
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len),
			SAY("SO_ERROR %s", strerrorname_np(error));
		SAY("poll, then %d", poll(&p, 1, 0));
		SAY("recv, then %s", result(recv(fd, &octet, 1, 0)));
		close(set);
		close(fd);
	}
}

/* A child has its own part in the socket, and the parent's datagrams are sent once. */
static void forked(void)
{
	int fd = open_socket(SOCK_NONBLOCK), status;
	pid_t pid;

	hold();
	SAY("sent %s", result(send_to(fd, "parent")));
	pid = fork();
	if (pid == 0)
		_exit(close(fd));
	waitpid(pid, &status, 0);
	SAY("child %d", status);
	let_go();
	readable(fd);
	SAY("received %s", receive(fd));
	SAY("and %s", receive(fd));
	close(fd);
}

/* As a sender of statistics does. */
static void sent_and_closed(void)
{
	int fd = open_socket(SOCK_NONBLOCK), back = open_socket(0);

	SAY("sent %s", result(send_to(fd, "gone")));
	SAY("closed %d", close(fd));
	SAY("other %s", result(send_to(back, "back")));
	SAY("received %s", receive(back));
	close(back);
}

static void timed(void)
{
	int fd = open_socket(0);
	struct timeval patience = { 0, 50000 };
	int64_t before, after;

	send_to(fd, "x");
	receive(fd);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	milliseconds(&before);
	SAY("recv %s", receive(fd));
	milliseconds(&after);
	SAY("waited %d", after - before >= 40);
	close(fd);
}

static void once(void)
{
	int fd = open_socket(0);

	SAY("sent %s", result(send_to(fd, "once")));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	SAY("received %s", receive(fd));
	close(fd);
}

/* A program that is started with a socket begins an association of its own. */
static void inherited(void)
{
	int fd = open_socket(0), status;
	char port[16], number[16];
	pid_t pid;

	send_to(fd, "parent");
	SAY("received %s", receive(fd));
	snprintf(port, sizeof(port), "%d", ntohs(echo.sin_port));
	snprintf(number, sizeof(number), "%d", fd);
	pid = fork();
	if (pid == 0) {
		execl("/proc/self/exe", "datagrams", port, "as-child", number, NULL);
		_exit(1);
	}
	waitpid(pid, &status, 0);
	SAY("status %d", status);
	close(fd);
}

static void as_child(int fd)
{
	subject = "child";
	SAY("sent %s", result(send_to(fd, "child")));
	SAY("received %s", receive(fd));
	SAY("connected %d", connect(fd, to(), sizeof(echo)));
	SAY("sent %s", result(send(fd, "child", 5, 0)));
	SAY("received %s", receive(fd));
}

static const struct {
	const char *name;
	void (*run)(void);
} subjects[] = {
	{ "plain", plain_calls }, { "truncated", truncated }, { "control", control_messages },
	{ "many", many }, { "waiting", waiting }, { "strays", strays }, { "long", too_long },
	{ "timed", timed }, { "nonblocking", without_waiting }, { "full", full_queue },
	{ "forked", forked }, { "closed", sent_and_closed }, { "refused", refused },
	{ "once", once }, { "inherited", inherited },
};

int main(int argc, char **argv)
{
	echo = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (argc < 3)
		return 2;
	echo.sin_port = htons((uint16_t)atoi(argv[1]));
	setvbuf(stdout, NULL, _IOLBF, 0);
	alarm(60);
	if (strcmp(argv[2], "as-child") == 0 && argc == 4) {
		as_child(atoi(argv[3]));
		return 0;
	}
	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++)
		for (int j = 2; j < argc; j++)
			if (strcmp(argv[j], subjects[i].name) == 0) {
				subject = subjects[i].name;
				subjects[i].run();
			}
	return 0;
}
