/* SPDX-License-Identifier: ISC */
/* likeness_record.c - what the scenarios call, and how it is written down. */
#include <arpa/inet.h>
#include <stdarg.h>

#include "likeness.h"

const char *const phase_names[] = { "early", "late", NULL };

static struct sockaddr_in places[3];
static const char *current;
static int attempts;
static int64_t connect_time;
static volatile sig_atomic_t signals, pipes;

static void on_signal(int signal)
{
	if (signal == SIGPIPE)
		pipes = pipes + 1;
	else
		signals = signals + 1;
}

void handle(int signal, int flags)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags };

	sigaction(signal, &action, NULL);
}

/* How many signals since it was last asked. */
int handled(void)
{
	int n = signals;

	signals = 0;
	return n;
}

void alarm_in(int ms)
{
	struct itimerval timer = { .it_value = timeval_of(ms) };

	setitimer(ITIMER_REAL, &timer, NULL);
}

void scenario_begin(const char *name, int attempts_left)
{
	current = name;
	attempts = attempts_left;
	setvbuf(stdout, NULL, _IOLBF, 0);
	handle(SIGPIPE, SA_RESTART);
}

void line(const char *format, ...)
{
	va_list arguments;

	printf("%s: ", current);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

const char *error_text(int error)
{
	const char *name = strerrorname_np(error);

	return name ? name : "no such errno";
}

long record(const char *what, long result)
{
	int error = errno;
	const char *name = result < 0 || error != 0 ? error_text(error) : "";

	line("%s = %ld%s%s%s", what, result, *name ? " " : "", name, pipes ? " SIGPIPE" : "");
	pipes = 0;
	errno = error;
	return result;
}

/* A text that lives until the fourth call from here. */
const char *mask_text(unsigned mask)
{
	static const struct { unsigned bit; const char *name; } bits[] = {
		{ POLLIN, "IN" }, { POLLPRI, "PRI" }, { POLLOUT, "OUT" }, { POLLERR, "ERR" },
		{ POLLHUP, "HUP" }, { POLLNVAL, "NVAL" }, { POLLRDHUP, "RDHUP" },
	};
	static char texts[4][80];
	static unsigned turn;
	char *text = texts[turn++ % 4];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(bits) / sizeof(*bits); i++) {
		if (mask & bits[i].bit)
			n += (size_t)snprintf(text + n, 80 - n, "%s%s", n ? "|" : "", bits[i].name);
		mask &= ~bits[i].bit;
	}
	if (mask != 0 || n == 0)
		snprintf(text + n, 80 - n, "%s%x", n ? "|" : "", mask);
	return text;
}

const struct sockaddr *place(enum outcome outcome)
{
	return (const struct sockaddr *)&places[outcome];
}

/* "IP:PORT" */
void place_set(enum outcome outcome, const char *text)
{
	char host[INET_ADDRSTRLEN];
	unsigned port;

	if (sscanf(text, "%15[0-9.]:%u", host, &port) != 2) {
		fprintf(stderr, "likeness: not IP:PORT: %s\n", text);
		exit(2);
	}
	places[outcome].sin_family = AF_INET;
	places[outcome].sin_port = htons((uint16_t)port);
	inet_pton(AF_INET, host, &places[outcome].sin_addr);
}

int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t since_connect_ms(void)
{
	return now_ms() - connect_time;
}

/* A busy machine is no fact about the library: such a run is made again. */
void within(const char *what, int64_t ms, int64_t limit)
{
	if (ms > limit && attempts > 0)
		_exit(ERETRY);
	line("%s within %lld ms: %s", what, (long long)limit, ms > limit ? "no" : "yes");
}

/* After what was to be seen pending. */
void still_pending(void)
{
	within("all that", since_connect_ms(), PENDING_MS);
}

int tcp_socket(int flags)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
}

int begin_again(int fd, enum outcome outcome)
{
	return (int)CALL(connect(fd, place(outcome), sizeof(struct sockaddr_in)));
}

/* Any other call that begins a connect. */
void connect_begins(void)
{
	connect_time = now_ms();
}

int begin(int fd, enum outcome outcome)
{
	connect_begins();
	return begin_again(fd, outcome);
}

int unspec(int fd)
{
	struct sockaddr nowhere = { .sa_family = AF_UNSPEC };

	return (int)CALL(connect(fd, &nowhere, sizeof(nowhere)));
}

/* A non-blocking socket that connects, in the phase that the order names. */
int pending(const struct run *r)
{
	int fd = tcp_socket(SOCK_NONBLOCK);

	begin(fd, r->outcome);
	phase_reach(fd, r->order);
	return fd;
}

/* Waits as a program would, so that whatever must be done meanwhile is done. */
int phase_reach(int fd, int phase)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };
	int64_t left = LATE_MS - since_connect_ms();

	if (phase == EARLY)
		return 0;
	return (int)CALL(poll(&p, 1, left > 0 ? (int)left : 0));
}

/* Waits for the end of the connect; takes nothing. */
unsigned settle(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int n = poll(&p, 1, FOREVER_MS);

	line("settled %d %s", n, mask_text((unsigned)p.revents));
	return (unsigned)p.revents;
}

/* There and back, byte for byte, after all that was sent before. */
void converse(int fd)
{
	char answer[64] = "";
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t n = 0;

	if (CALL(send(fd, "hello", 5, 0)) != 5)
		return;
	while (strstr(answer, "hello") == NULL && poll(&p, 1, FOREVER_MS) == 1) {
		ssize_t got = recv(fd, answer + n, sizeof(answer) - 1 - n, MSG_DONTWAIT);

		if (got <= 0)
			break;
		n += (size_t)got;
	}
	line("answer %s", answer);
}

void error_show(int fd)
{
	int error = -1;
	socklen_t length = sizeof(error);

	CALL(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length));
	line("SO_ERROR %s, %u bytes", error ? error_text(error) : "0", length);
}

/* What it is ready for now, asked in every way. */
void events_show(int fd)
{
	static const short masks[] = { 0, POLLIN, POLLOUT, POLLPRI, POLLRDHUP, ALL_EVENTS };
	struct timeval none = { 0, 0 };
	fd_set in, out, except;

	for (size_t i = 0; i < sizeof(masks) / sizeof(*masks); i++) {
		struct pollfd p = { .fd = fd, .events = masks[i], .revents = POLLNVAL };
		int n = poll(&p, 1, 0);

		line("poll for %s: %d %s", mask_text((unsigned)masks[i]), n,
		     mask_text((unsigned)p.revents));
	}
	FD_ZERO(&in);
	FD_SET(fd, &in);
	out = except = in;
	CALL(select(fd + 1, &in, &out, &except, &none));
	line("select: %d%d%d", FD_ISSET(fd, &in) != 0, FD_ISSET(fd, &out) != 0,
	     FD_ISSET(fd, &except) != 0);
}

static void name_show(const char *what, const struct sockaddr_in *name, socklen_t length)
{
	char host[INET_ADDRSTRLEN] = "";

	inet_ntop(AF_INET, &name->sin_addr, host, sizeof(host));
	line("%s family %d %s:%d, %u bytes", what, name->sin_family, host, ntohs(name->sin_port),
	     length);
}

/* Its own port is another one each time. */
void names_show(int fd)
{
	struct sockaddr_in name = { 0 };
	struct sockaddr *as = (struct sockaddr *)&name;
	socklen_t length = sizeof(name);

	CALL(getsockname(fd, as, &length));
	line("own family %d, has port: %d, %u bytes", name.sin_family, name.sin_port != 0, length);
	memset(&name, 0, sizeof(name));
	length = sizeof(name);
	CALL(getpeername(fd, as, &length));
	name_show("peer", &name, length);
	length = 3;
	CALL(getpeername(fd, as, &length));
	line("needs %u bytes", length);
}

/* What few ask for and a proxy changes first. */
void addresses_show(int fd)
{
	struct sockaddr_in name = { 0 };
	struct sockaddr *as = (struct sockaddr *)&name;
	socklen_t length = sizeof(name);

	CALL(getsockname(fd, as, &length));
	name.sin_port = 0;
	name_show("own", &name, length);
	memset(&name, 0, sizeof(name));
	length = sizeof(name);
	CALL(getsockopt(fd, SOL_SOCKET, SO_PEERNAME, as, &length));
	name_show("peer", &name, length);
}

void count_show(int fd)
{
	int n = -1;

	CALL(ioctl(fd, FIONREAD, &n));
	line("FIONREAD %d", n);
}

/* To the end of the connect and of the connection. */
void finish(int fd, enum outcome outcome)
{
	settle(fd);
	error_show(fd);
	names_show(fd);
	if (outcome == OPEN)
		converse(fd);
	events_show(fd);
	CALL(close(fd));
}

int epoll_add(int epfd, int fd, unsigned events, uint64_t data)
{
	struct epoll_event event = { .events = events, .data.u64 = data };

	return (int)CALL(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event));
}

int epoll_mod(int epfd, int fd, unsigned events, uint64_t data)
{
	struct epoll_event event = { .events = events, .data.u64 = data };

	return (int)CALL(epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &event));
}

static int by_data(const void *a, const void *b)
{
	const struct epoll_event *one = a, *two = b;

	return (one->data.u64 > two->data.u64) - (one->data.u64 < two->data.u64);
}

int epoll_show(int epfd, int timeout_ms)
{
	struct epoll_event events[8];
	int n = (int)CALL(epoll_wait(epfd, events, 8, timeout_ms));

	if (n > 1)
		qsort(events, (size_t)n, sizeof(*events), by_data);
	for (int i = 0; i < n; i++)
		line("event %s data %llx", mask_text(events[i].events),
		     (unsigned long long)events[i].data.u64);
	return n;
}
