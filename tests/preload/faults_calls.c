/* SPDX-License-Identifier: ISC */
/* faults_calls.c - system calls of a child that fail when they are told to: seccomp_unotify(2). */
#include "faults.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The child says the number of its listener, and waits until we have it. */
static int take_listener(int pidfd, int channel)
{
	int number, fd;

	if (read(channel, &number, sizeof(number)) != sizeof(number))
		return -1;
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
	if (fd < 0 || write(channel, "", 1) != 1) {
		perror("faults: the child's listener");
		exit(1);
	}
	return fd;
}

/* Can the kernel fail so?  What does not wait is not interrupted, and only adding to a set needs memory. */
static bool can_fail(const struct seccomp_data *call, int error)
{
	switch (call->nr) {
	case SYS_getpriority:
		return false;
	case SYS_epoll_ctl:
		return call->args[1] == EPOLL_CTL_ADD;
	case SYS_recvfrom:
	case SYS_sendto:
		return error != EINTR || (call->args[3] & MSG_DONTWAIT) == 0;
	case SYS_getsockopt: /* of a peer it says that the address is shorter: another family's */
		return error != EINVAL || call->args[2] != SO_PEERNAME;
	default:
		return true;
	}
}

/* Answers one call; adds to *@count unless all is over. */
static bool answer(int listener, int *count, int at, int error)
{
	struct seccomp_notif call;
	struct seccomp_notif_resp said;
	bool fails = false;

	memset(&call, 0, sizeof(call));
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
		return false; /* its caller is gone */
	if (call.data.nr == SYS_getpriority && call.data.args[1] == FAULTS_OVER)
		*count = INT32_MIN;
	else if (can_fail(&call.data, error))
		fails = ++*count == at;
	said = (struct seccomp_notif_resp){ .id = call.id, .error = fails ? -error : 0,
					    .flags = fails ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE };
	(void)!ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &said);
	return fails;
}

bool faulty_calls_serve(pid_t pid, int channel, int at, int error)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int listener = take_listener(pidfd, channel), count = 0;
	struct pollfd p[2] = { { .fd = pidfd, .events = POLLIN },
			       { .fd = listener, .events = POLLIN } };
	bool failed = false;

	while (listener >= 0) {
		if (poll(p, 2, -1) < 0)
			continue;
		if ((p[1].revents & POLLIN) != 0)
			failed |= answer(listener, &count, at, error);
		else if (p[0].revents != 0 || p[1].revents != 0)
			break;
	}
	close(listener);
	close(pidfd);
	return failed;
}
