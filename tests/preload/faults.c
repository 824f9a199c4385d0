/* SPDX-License-Identifier: ISC */
/*
 * faults.c - everything that can go wrong, one thing at a time, in the preloaded library.
 *
 *	faults server|calls|memory|files PROBE LIBRARY DIRECTORY [WAY]
 *
 * server: the SOCKS server stops, closes, resets or says something else, at each octet
 * calls:  each system call fails, with each error
 * memory: each allocation fails, from the first one of the process on
 * files:  there are so many descriptors and no more
 *
 * What is checked: the program is told of an error, or all is well; nobody crashes or hangs, nothing goes
 * past the proxy, nothing is sent after a failure, no descriptor is left, and what follows works.
 */
#include "faults.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the status of a trial's process. */
enum { REACHED = 1, BAD = 2 };

enum { ENDLESS = 400, CALLS_AT_ONCE = 4, PATIENT_AT_ONCE = 48 };

struct trial {
	const char *way, *mode;
	enum server_fault fault;
	unsigned octet;
	unsigned char mask;
	int error, call, allocation, files;	/* 0: not this; files: -1 */
	const char *calls;
	bool hurries;	/* the proxy has a second */
};

static const char *probe, *library, *directory, *only;
static int running, at_once;
static bool failed;

/* --- one trial --- */

static _Noreturn void become_probe(const struct trial *t, const struct faulty_server *s,
				   int channel)
{
	char text[96], path[512];
	FILE *f;

	for (int fd = FAULT_SOCKETS; fd < FAULT_SOCKETS + 2; fd++)
		if (dup2(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd) < 0)
			exit(PROBE_BROKEN + 4);
	snprintf(path, sizeof(path), "%s/conf.%d", directory, (int)getpid());
	f = fopen(path, "we");
	if (f == NULL)
		exit(PROBE_BROKEN + 2);
	fprintf(f, "verbose 0\ntimeout %d\nproxy p socks5://127.0.0.1:%u handshake %s\nbind via p\n"
		   "via p 127.77.0.0/16\n", t->hurries ? 1 : 30, ntohs(s->port), t->mode);
	fclose(f);
	setenv("SOCKSIFY_CONF", path, 1);
	setenv("XDG_RUNTIME_DIR", directory, 1);
	setenv("LD_PRELOAD", library, 1);
	snprintf(text, sizeof(text), "%d", channel);
	setenv("FAULT_CHANNEL", text, 1);
	if (t->calls != NULL)
		setenv("FAULT_CALLS", t->calls, 1);
	snprintf(text, sizeof(text), "%d", t->allocation);
	if (t->allocation > 0)
		setenv("FAULT_MALLOC", text, 1);
	snprintf(text, sizeof(text), "%d", t->files);
	if (t->files >= 0)
		setenv("FAULT_FILES", text, 1);
	if (t->fault == SERVER_GOOD && t->allocation == 0)
		setenv("FAULT_PASSES", "1", 1);
	snprintf(text, sizeof(text), "%u", ntohs(s->target_port));
	execl(probe, probe, t->way, text, (char *)NULL);
	_exit(PROBE_BROKEN + 3);
}

/* What must not succeed: the server did not say all it has to say, or refused. */
static bool must_fail(const struct trial *t)
{
	if (t->fault == SERVER_GOOD)
		return false;
	return t->fault != SERVER_CORRUPTS || t->octet < 4;
}

static const char *wrong(const struct trial *t, const struct faulty_server *s, int status)
{
	if (WIFSIGNALED(status))
		return strsignal(WTERMSIG(status));
	/* The dynamic linker's own end, when it has no memory for itself. */
	if (WEXITSTATUS(status) == 127 && t->allocation > 0)
		return NULL;
	if (WEXITSTATUS(status) >= 127 && WEXITSTATUS(status) != EDQUOT)
		return "the probe says so";
	if (WEXITSTATUS(status) == 0 && must_fail(t))
		return "it succeeds";
	if (WEXITSTATUS(status) == EPROTO)
		return "no program knows EPROTO";
	if (atomic_load(&s->violations) > 0)
		return "the server says so";
	if (faulty_server_was_passed_by(s))
		return "the target was reached past the proxy";
	return NULL;
}

static void complain(const struct trial *t, int status, const char *why)
{
	static const char *const faults[] = { "good", "stops", "closes", "resets", "corrupts" };

	fprintf(stderr, "FAIL %s %s: server %s at %u with %#x, call %d of %s error %d, "
		"allocation %d, files %d: %s (status %#x)\n", t->way, t->mode, faults[t->fault], t->octet,
		t->mask, t->call, t->calls != NULL ? t->calls : "-", t->error, t->allocation, t->files,
		why, (unsigned)status);
}

/* In a process of its own.  Returns REACHED and BAD. */
static int run_trial(const struct trial *t)
{
	struct faulty_server s = { .fault = t->fault, .at = t->octet, .mask = t->mask };
	int ends[2], status, result = 0;
	const char *why;
	char octet;
	pid_t pid;

	faulty_server_start(&s);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		exit(BAD);
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		become_probe(t, &s, ends[1]);
	}
	close(ends[1]);
	if (t->calls != NULL && faulty_calls_serve(pid, ends[0], t->call, t->error))
		result |= REACHED;
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		exit(BAD);
	if (t->allocation > 0 && recv(ends[0], &octet, 1, MSG_DONTWAIT) == 1)
		result |= REACHED;
	why = wrong(t, &s, status);
	if (why != NULL)
		complain(t, status, why);
	return why != NULL ? result | BAD : result;
}

static int trial(const struct trial *t)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		exit(run_trial(t));
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return BAD;
	return WEXITSTATUS(status);
}

/* --- lanes: one after the other, until what fails is not reached any more --- */

/* Returns BAD or 0. */
static int run_lane(struct trial t)
{
	int *at = t.calls != NULL ? &t.call : &t.allocation, result;

	for (*at = 1; *at < ENDLESS; ++*at) {
		result = trial(&t);
		if ((result & BAD) != 0)
			return BAD;
		if ((result & REACHED) == 0)
			break;
	}
	/* One at least, or nothing was tested. */
	if (*at < 2 && t.allocation > 0)
		fprintf(stderr, "FAIL %s: no allocation\n", t.way);
	return *at == ENDLESS || (*at < 2 && t.allocation > 0) ? BAD : 0;
}

static void reap_one(void)
{
	int status;

	if (wait(&status) < 0)
		return;
	running--;
	failed |= !WIFEXITED(status) || (WEXITSTATUS(status) & BAD) != 0;
}

static void begin(const struct trial *t)
{
	if (only != NULL && strcmp(only, t->way) != 0)
		return;
	while (running >= at_once)
		reap_one();
	running++;
	if (fork() != 0)
		return;
	exit(t->calls != NULL || t->allocation > 0 ? run_lane(*t) : run_trial(t));
}

/* --- what there is to try --- */

#define STREAMS "blocking", "inherited", "poll", "spinning", "epoll", "edges", "name"
#define OTHERS "datagrams", "connected-datagrams", "listening"
static const char *const streams[] = { STREAMS, NULL }, *const others[] = { OTHERS, NULL };
static const char *const modes[] = { "standard", "pipelined", "optimistic" };

static bool is_one_of(const char *way, const char *const *list)
{
	while (*list != NULL && strcmp(*list, way) != 0)
		list++;
	return *list != NULL;
}

static void each_way(void (*fn)(const char *way, const char *mode))
{
	for (int i = 0; streams[i] != NULL; i++)
		for (int j = 0; j < 3; j++)
			fn(streams[i], modes[j]);
	for (int i = 0; others[i] != NULL; i++)
		fn(others[i], modes[0]);
}

static void try_server(const char *way, const char *mode)
{
	static const unsigned char masks[] = { 1, 2, 5, 0xff };
	unsigned len = strcmp(way, "listening") == 0 ? BIND_REPLIES : REPLIES;
	struct trial t = { .way = way, .mode = mode, .files = -1, .hurries = true };

	for (t.octet = 0; t.octet < len; t.octet++) {
		t.mask = 0;
		/* Who listens waits for a peer for ever, until the reply that tells of it begins. */
		for (t.fault = t.octet != REPLIES ? SERVER_STOPS : SERVER_CLOSES; t.fault <= SERVER_RESETS; t.fault++)
			begin(&t);
		/* An address that is not of this machine is not for a test to send to. */
		if (t.octet == 6 && strstr(way, "datagrams") != NULL)
			continue;
		for (size_t i = 0; i < sizeof(masks); i++) {
			t.fault = SERVER_CORRUPTS;
			t.mask = masks[i];
			begin(&t);
		}
	}
}

#ifdef SYS_poll
#define POLL_CALLS SYS_poll, SYS_ppoll
#else
#define POLL_CALLS SYS_ppoll
#endif
#ifdef SYS_epoll_wait
#define EPOLL_CALLS SYS_epoll_wait, SYS_epoll_pwait
#else
#define EPOLL_CALLS SYS_epoll_pwait
#endif
#define WAITS POLL_CALLS, EPOLL_CALLS
#define STREAM_IO SYS_sendto, SYS_recvfrom
#define IO STREAM_IO, SYS_sendmsg, SYS_recvmsg
#define NUMBERS SYS_socket, SYS_fcntl, SYS_openat, SYS_accept4, SYS_dup3, SYS_epoll_create1
#define OPTIONS SYS_getsockopt, SYS_setsockopt, SYS_ioctl, SYS_shutdown
#define PLACES SYS_bind, SYS_listen, SYS_getsockname, SYS_getpeername
#define MEMORY SYS_mmap, SYS_madvise, SYS_epoll_ctl

static const struct call_fault {
	int error;
	long calls[FAULT_CALLS_MAX];	/* ends with 0, which is read(2) on no machine that matters here */
} call_faults[] = {
	{ ENOMEM, { SYS_connect, IO, WAITS, NUMBERS, OPTIONS, PLACES, MEMORY } },
	{ EPERM, { SYS_connect, IO, WAITS, NUMBERS, OPTIONS, PLACES, MEMORY } },
	{ EMFILE, { NUMBERS } },
	{ EINTR, { SYS_connect, IO, WAITS, SYS_openat, SYS_accept4 } },
	{ EAGAIN, { SYS_connect, IO } },
	{ ECONNRESET, { SYS_connect, IO } },
	{ EPIPE, { SYS_sendto, SYS_sendmsg } },
	{ ENOBUFS, { SYS_sendto, SYS_sendmsg } },
	{ ENETUNREACH, { SYS_connect, SYS_sendto, SYS_sendmsg } },
	{ EADDRNOTAVAIL, { SYS_connect, SYS_bind } },
	{ ETIMEDOUT, { SYS_connect, IO } },
	{ EINVAL, { OPTIONS, PLACES, SYS_fcntl } },
	{ ENOSPC, { SYS_epoll_ctl, SYS_openat } },
};

static void try_calls(const char *way, const char *mode)
{
	for (size_t i = 0; i < sizeof(call_faults) / sizeof(call_faults[0]); i++) {
		/* The kernel that says so wakes those who wait, later; this one does not. */
		bool unwoken = call_faults[i].error == EAGAIN && is_one_of(way, (const char *const[]){
			"epoll", "edges", NULL });
		struct trial t = { .way = way, .mode = mode, .files = -1,
				   .error = call_faults[i].error };
		char list[FAULT_CALLS_MAX * 8];
		int len = snprintf(list, sizeof(list), "%d", SYS_getpriority);

		for (int j = 0; call_faults[i].calls[j] != 0; j++)
			len += snprintf(list + len, sizeof(list) - (size_t)len, ",%ld",
					call_faults[i].calls[j]);
		t.calls = list;
		if (!unwoken)
			begin(&t);
	}
}

static void try_memory(const char *way, const char *mode)
{
	struct trial t = { .way = way, .mode = mode, .files = -1, .allocation = 1 };

	if (strcmp(mode, "standard") == 0)
		begin(&t);
}

static void try_files(const char *way, const char *mode)
{
	struct trial t = { .way = way, .mode = mode };

	for (t.files = 0; t.files < 8; t.files++)
		begin(&t);
}

static const struct {
	const char *name;
	void (*fn)(const char *way, const char *mode);
	int at_once;
} subjects[] = {
	{ "server", try_server, PATIENT_AT_ONCE }, { "calls", try_calls, CALLS_AT_ONCE },
	{ "memory", try_memory, CALLS_AT_ONCE }, { "files", try_files, CALLS_AT_ONCE },
};

int main(int argc, char **argv)
{
	if (argc != 5 && argc != 6)
		return 2;
	probe = argv[2];
	library = argv[3];
	directory = argv[4];
	only = argv[5];
	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
		if (strcmp(subjects[i].name, argv[1]) != 0)
			continue;
		at_once = subjects[i].at_once;
		each_way(subjects[i].fn);
		while (running > 0)
			reap_one();
		if (!failed)
			printf("ok %s\n", argv[1]);
		return failed;
	}
	return 2;
}
