/* SPDX-License-Identifier: ISC */
/* pending_exec.c - a connect in progress, and another program or an unrelated process. */
#include "pending.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/*
 * The program of F8: stdin and stdout, or the number that it is told, must be a
 * connected socket.
 */
static int stdio_child(int argc, char **argv)
{
	int in = argc > 2 ? atoi(argv[2]) : STDIN_FILENO;
	int out = argc > 2 ? in : STDOUT_FILENO;
	struct sockaddr_in to = step_target(STEP_DELAY, 100), peer;
	socklen_t len = sizeof(peer);
	char text[5] = "";
	size_t have = 0;

	CHECK_OK(getpeername(in, (struct sockaddr *)&peer, &len));
	/* The address of the proxy is what a new program can know. */
	CHECK(!bare || peer.sin_port == to.sin_port, "another peer");
	CHECK(write(out, "stdio", 5) == 5, "write: %s", strerrorname_np(errno));
	while (have < 5) {
		struct pollfd p = { .fd = in, .events = POLLIN };
		ssize_t n;

		CHECK(poll(&p, 1, WAIT_MS) == 1, "no echo");
		n = read(in, text + have, 5 - have);
		CHECK(n > 0, "read gives %zd %s", n, strerrorname_np(errno));
		have += (size_t)n;
	}
	CHECK(memcmp(text, "stdio", 5) == 0, "the echo is %.5s", text);
	return 0;
}

int (*const own_child)(int, char **) = stdio_child;

enum exec_way { EXECV, EXECVE, EXECVP, EXECVPE, EXECL, EXECLP, EXECLE, FEXECVE, EXEC_WAYS };

static void exec_self(enum exec_way way)
{
	const char *self = "/proc/self/exe";
	char program[] = "pending", option[] = "--stdio";
	char *argv[] = { program, option, NULL };

	switch (way) {
	case EXECV: execv(self, argv); break;
	case EXECVE: execve(self, argv, environ); break;
	case EXECVP: execvp(self, argv); break;
	case EXECVPE: execvpe(self, argv, environ); break;
	case EXECL: execl(self, "pending", "--stdio", (char *)NULL); break;
	case EXECLP: execlp(self, "pending", "--stdio", (char *)NULL); break;
	case EXECLE: execle(self, "pending", "--stdio", (char *)NULL, environ); break;
	case FEXECVE: fexecve(open(self, O_RDONLY | O_CLOEXEC), argv, environ); break;
	case EXEC_WAYS: break;
	}
	fail("exec: %s", strerrorname_np(errno));
}

/* F8: each exec with the pending socket as 0 and 1. */
static void exec_on_stdio(void)
{
	struct sockaddr_in to = step_target(STEP_DELAY, 100);

	for (enum exec_way way = 0; way < EXEC_WAYS; way++) {
		int child = CHECK_OK(fork());

		if (child == 0) {
			int fd = start(&to);

			dup2(fd, STDIN_FILENO);
			dup2(fd, STDOUT_FILENO);
			close(fd);
			exec_self(way);
		}
		reap(child);
	}
}

/* The same by posix_spawn, whose actions nobody sees. */
static void spawn_on_stdio(void)
{
	struct sockaddr_in to = step_target(STEP_DELAY, 100);
	char program[] = "pending", option[] = "--stdio";
	char *argv[] = { program, option, NULL };
	posix_spawn_file_actions_t actions;
	int fd = start(&to), child;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, fd, STDOUT_FILENO);
	CHECK(posix_spawn(&child, "/proc/self/exe", &actions, NULL, argv, environ) == 0,
	      "posix_spawn");
	posix_spawn_file_actions_destroy(&actions);
	reap(child);
	talk(fd, 1);
}

/* The fd of the connect ends at the exec, and a duplicate of it does not. */
static void exec_with_duplicate(void)
{
	struct sockaddr_in to = step_target(STEP_DELAY, 100);
	int fd = tcp_socket(SOCK_NONBLOCK | SOCK_CLOEXEC), copy;
	char number[16];

	CHECK_ERRNO(tcp_connect(fd, &to), EINPROGRESS);
	copy = CHECK_OK(fcntl(fd, F_DUPFD, 20));
	events_of(fd, POLLOUT, 5); /* the last that is seen of it is the other number */
	snprintf(number, sizeof(number), "%d", copy);
	execl("/proc/self/exe", "pending", "--fd", number, (char *)NULL);
	fail("exec: %s", strerrorname_np(errno));
}

/* The child's exec ends though the parent does nothing for the connect but wait. */
static void exec_while_parent_waits(void)
{
	struct sockaddr_in to = step_target(STEP_DELAY, 100);
	int fd = start(&to), child = CHECK_OK(fork());

	if (child == 0) {
		execlp("true", "true", (char *)NULL);
		fail("exec: %s", strerrorname_np(errno));
	}
	reap(child);
	finish(fd, &to);
	talk(fd, 8);
}

/* An exec that fails gives the connect back. */
static void exec_fails(void)
{
	struct sockaddr_in to = step_target(STEP_DELAY, 100);
	char program[] = "none", *argv[] = { program, NULL };
	int fd = start(&to), child;

	CHECK_ERRNO(execv("/nonexistent/program", argv), ENOENT);
	finish(fd, &to);
	talk(fd, 2);
	child = CHECK_OK(fork());
	if (child == 0) {
		fd = start(&to);
		dup2(fd, STDIN_FILENO);
		CHECK_ERRNO(execv("/nonexistent/program", argv), ENOENT);
		finish(STDIN_FILENO, &to);
		talk(STDIN_FILENO, 3);
		_exit(0);
	}
	reap(child);
}

/* F6: other programs come and go; they do not wait for it, nor end it. */
static void system_and_popen(void)
{
	struct gate g = gate_new();
	int fd = start(&g.to), status;
	uint64_t begin = now_us();
	char text[32] = "";

	for (int i = 0; i < 3; i++) {
		FILE *pipe;

		status = CHECK_OK(system("exit 3"));
		CHECK(WEXITSTATUS(status) == 3, "system gives %#x", (unsigned)status);
		pipe = popen("cat; echo done", "r");
		CHECK(pipe != NULL && fgets(text, sizeof(text), pipe) != NULL, "popen");
		CHECK(strcmp(text, "done\n") == 0, "popen reads %s", text);
		CHECK(pclose(pipe) == 0, "pclose");
		CHECK(events_of(fd, POLLOUT, 1) == 0, "an event while it is pending");
	}
	CHECK(now_us() - begin < 8000000, "the commands waited");
	gate_reach(&g, fd);
	gate_let(&g);
	finish(fd, &g.to);
	talk(fd, 4);
}

enum { SPAWNS = 500, AT_ONCE = 20 };

static void *spawn_many(void *arg)
{
	char program[] = "true", *argv[] = { program, NULL };

	for (int i = 0; i < SPAWNS; i++) {
		pid_t child;

		CHECK(posix_spawnp(&child, "true", NULL, NULL, argv, environ) == 0, "posix_spawnp");
		reap(child);
	}
	atomic_store((atomic_int *)arg, 1);
	return NULL;
}

/* F9: 500 programs are started while connects begin and end. */
static void many_spawns(void)
{
	struct sockaddr_in to = step_target(STEP_DELAY, 5);
	atomic_int done = 0;
	pthread_t t;
	unsigned count = 0;

	CHECK(pthread_create(&t, NULL, spawn_many, &done) == 0, "pthread_create");
	while (atomic_load(&done) == 0 || count == 0) {
		int fds[AT_ONCE];

		for (int i = 0; i < AT_ONCE; i++)
			fds[i] = start(&to);
		for (int i = 0; i < AT_ONCE; i++) {
			finish(fds[i], &to);
			talk(fds[i], count++);
			close(fds[i]);
		}
	}
	pthread_join(t, NULL);
}

static void send_fd(int channel, int fd)
{
	char byte = 'f', space[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = space,
			    .msg_controllen = sizeof(space) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	CHECK_OK(sendmsg(channel, &m, 0));
}

static int receive_fd(int channel)
{
	char byte, space[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = space,
			    .msg_controllen = sizeof(space) };
	int fd;

	CHECK_OK(recvmsg(channel, &m, MSG_CMSG_CLOEXEC));
	CHECK(CMSG_FIRSTHDR(&m) != NULL, "no fd came");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

/* F10: a process that was there before gets the pending socket. */
static void fd_by_message(void)
{
	struct sockaddr_in to = step_target(STEP_DELAY, 100);
	int channel[2], child, fd;

	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, channel));
	child = CHECK_OK(fork());
	if (child == 0) {
		fd = receive_fd(channel[1]);
		CHECK(events_of(fd, POLLOUT, WAIT_MS) == POLLOUT, "it is not writable");
		CHECK(so_error(fd) == 0, "SO_ERROR");
		talk(fd, 5);
		_exit(0);
	}
	fd = start(&to);
	send_fd(channel[0], fd);
	close(fd);
	reap(child);
	connect_anew();
}

/* The same with a descriptor that the sender keeps. */
static void fd_by_message_kept(void)
{
	struct sockaddr_in to = step_target(STEP_DELAY, 100);
	int channel[2], fd, other;

	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, channel));
	fd = start(&to);
	send_fd(channel[0], fd);
	other = receive_fd(channel[1]);
	CHECK(events_of(other, POLLOUT, WAIT_MS) == POLLOUT, "it is not writable");
	finish(fd, &to);
	talk(other, 6);
	talk(fd, 7);
}

const struct scenario scenarios[] = {
	{ "exec_on_stdio", exec_on_stdio, 0, 0 },
	{ "spawn_on_stdio", spawn_on_stdio, 0, 0 },
	{ "exec_with_duplicate", exec_with_duplicate, 0, 0 },
	{ "exec_while_parent_waits", exec_while_parent_waits, 0, 0 },
	{ "exec_fails", exec_fails, 0, 0 },
	{ "system_and_popen", system_and_popen, 0, 0 },
	{ "many_spawns", many_spawns, 0, 60 },
	{ "fd_by_message", fd_by_message, 0, 0 },
	{ "fd_by_message_kept", fd_by_message_kept, 0, 0 },
	{ .name = NULL },
};
