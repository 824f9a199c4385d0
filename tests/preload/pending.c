/* SPDX-License-Identifier: ISC */
/* pending.c - scenarios in children with a watchdog; the server's control. */
#include "pending.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS = 15, GATES_EACH = 64 };

bool bare;
static const char *name; /* of the scenario that runs */
static unsigned next_gate;
static int control_fd = -1;
static in_port_t echo_port;
static pid_t running;
static unsigned live_before; /* connections that a failed scenario left */

void fail(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	dprintf(STDERR_FILENO, "FAIL %s: %s\n", name, text);
	_exit(1);
}

static in_port_t port_of(const char *variable)
{
	const char *text = getenv(variable);

	if (text == NULL) {
		fprintf(stderr, "%s is not set: run-pending does that\n", variable);
		exit(2);
	}
	return htons((in_port_t)atoi(text));
}

static struct sockaddr_in loopback(in_port_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = port,
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void control_open(void)
{
	struct sockaddr_in to = loopback(port_of("PENDING_CONTROL"));

	close(control_fd);
	control_fd = CHECK_OK(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	CHECK_OK(connect(control_fd, (struct sockaddr *)&to, sizeof(to)));
}

/* Scenarios are full of signals, and this is none of their targets. */
unsigned control(const char *command, unsigned n)
{
	char text[64];
	ssize_t len = snprintf(text, sizeof(text), "%s %u", command, n);
	struct pollfd p = { .fd = control_fd, .events = POLLIN };
	uint64_t end = now_us() + WAIT_MS * 1000;
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	CHECK_OK(send(control_fd, text, (size_t)len, 0));
	while (poll(&p, 1, WAIT_MS) <= 0)
		CHECK(now_us() < end, "the server does not answer %s", command);
	len = CHECK_OK(recv(control_fd, text, sizeof(text) - 1, 0));
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	text[len] = '\0';
	return (unsigned)atoi(text);
}

void control_until(const char *command, unsigned arg, unsigned n)
{
	uint64_t end = now_us() + WAIT_MS * 1000;
	unsigned count;

	while ((count = control(command, arg)) < n) {
		CHECK(now_us() < end, "%s is %u, not %u", command, count, n);
		breathe();
	}
}

struct sockaddr_in step_target(enum step_script script, unsigned arg)
{
	struct sockaddr_in to = loopback(echo_port);

	if (!bare)
		to.sin_addr.s_addr = htonl(0x7f000000u | (STEP_NETWORK + (unsigned)script) << 16 |
					   (arg & 0xffff));
	else if (script == STEP_REP)
		to.sin_port = htons((in_port_t)control("closed", 0));
	else if (script == STEP_GATE)
		to.sin_port = htons((in_port_t)control("bare", arg));
	return to;
}

struct sockaddr_in early_target(enum early listener)
{
	struct sockaddr_in to = loopback(echo_port);

	if (!bare)
		to.sin_addr.s_addr = htonl(0x7f000001u |
					   (STEP_EARLY_NETWORK + (unsigned)listener) << 16);
	return to;
}

struct gate gate_new(void)
{
	unsigned id = next_gate++;

	return (struct gate){ .id = id, .to = step_target(STEP_GATE, id) };
}

void gate_let(const struct gate *g)
{
	control("let", g->id);
}

void gate_refuse(const struct gate *g)
{
	control("refuse", g->id);
}

void gate_reached(const struct gate *g, unsigned n)
{
	if (!bare)
		control_until("waiting", g->id, n);
}

void gate_reach(const struct gate *g, int fd)
{
	uint64_t end = now_us() + WAIT_MS * 1000;

	while (!bare && control("waiting", g->id) == 0) {
		CHECK(events_of(fd, POLLIN | POLLOUT, 5) == 0, "events while it is pending");
		CHECK(now_us() < end, "poll does not drive the handshake");
	}
}

static void on_alarm(int signal)
{
	(void)signal;
	kill(-running, SIGKILL);
}

/* What the server saw of the scenario that has ended. */
static bool server_is_content(const struct scenario *s)
{
	uint64_t end = now_us() + WAIT_MS * 1000;
	const char *why = NULL;

	/* The scenario's processes are gone, so its connections must be. */
	while (control("live", 0) > live_before && why == NULL) {
		if (now_us() > end)
			why = "connections are left";
		breathe();
	}
	if (control("violations", 0) > 0)
		why = "bytes that SOCKS does not allow reached the server";
	else if (!bare && control("direct", 0) > 0)
		why = "a connection went past the proxy";
	else if (!bare && control("accepted", 0) == 0)
		why = "nothing reached the proxy";
	if (why != NULL)
		fprintf(stderr, "FAIL %s: %s\n", s->name, why);
	return why == NULL;
}

static bool run(const struct scenario *s)
{
	const char *more = getenv("PENDING_SECONDS"); /* for slow tools such as valgrind */
	unsigned seconds = s->seconds > 0 ? s->seconds : SECONDS;
	int status;
	bool good;

	name = s->name;
	seconds += more != NULL ? (unsigned)atoi(more) : 0;
	control("reset", 0);
	live_before = control("live", 0);
	running = CHECK_OK(fork());
	if (running == 0) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* the watchdog must not be missed */
		control_open();
		s->run();
		_exit(0);
	}
	setpgid(running, running);
	next_gate += GATES_EACH;
	alarm(seconds);
	while (waitpid(running, &status, 0) < 0 && errno == EINTR)
		;
	alarm(0);
	kill(-running, SIGKILL); /* what it left behind */
	good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		fprintf(stderr, "FAIL %s: no end within %u s\n", name, seconds);
	else if (WIFSIGNALED(status))
		fprintf(stderr, "FAIL %s: killed by %s\n", name, sigabbrev_np(WTERMSIG(status)));
	if (server_is_content(s) && good)
		printf("ok %s\n", name);
	else
		good = false;
	fflush(stdout);
	return good;
}

static bool is_chosen(const struct scenario *s, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], s->name) == 0)
			return true;
	}
	return argc < 2 && (s->flags & (bare ? PROXIED_ONLY : ON_REQUEST)) == 0;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_alarm };
	int failed = 0, count = 0;

	name = argv[0];
	bare = getenv("PENDING_BARE") != NULL;
	echo_port = port_of("PENDING_ECHO");
	if (own_child != NULL && argc > 1 && argv[1][0] == '-')
		return own_child(argc, argv);
	sigaction(SIGALRM, &action, NULL);
	control_open();
	for (const struct scenario *s = scenarios; s->name != NULL; s++) {
		if (!is_chosen(s, argc, argv))
			continue;
		count++;
		failed += run(s) ? 0 : 1;
	}
	if (count == 0)
		fprintf(stderr, "%s: no such scenario\n", argv[0]);
	return failed > 0 || count == 0;
}
