/* SPDX-License-Identifier: ISC */
/* listener.c - the calls that the kernel reports to us (seccomp_unotify(2)), and our answers. */
#include "listener.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than many a linux/seccomp.h (Linux 6.6): wake the other side up on this processor. */
#define IOCTL_SET_FLAGS SECCOMP_IOW(4, uint64_t)
#define FLAG_SYNC_WAKE_UP UINT64_C(1)

/* The kernel may know longer structures than we do. */
#define ROOM 256

static int listener = -1;
static union {
	struct seccomp_notif notif;
	char room[ROOM];
} in;
static union {
	struct seccomp_notif_resp resp;
	char room[ROOM];
} out;

int listener_install(const struct sock_filter *code, size_t count)
{
	struct sock_fprog program = {
		.len = (unsigned short)count,
		.filter = (struct sock_filter *)(uintptr_t)code,
	};
	long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			  &program);

	return fd < 0 ? -errno : (int)fd;
}

int listener_open(int fd)
{
	struct seccomp_notif_sizes sizes;

	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
		return -errno;
	if (sizes.seccomp_notif > ROOM || sizes.seccomp_notif_resp > ROOM)
		return -EOVERFLOW;
	listener = fd;
	(void)ioctl(fd, IOCTL_SET_FLAGS, FLAG_SYNC_WAKE_UP);
	return 0;
}

int listener_receive(struct call *ret)
{
	memset(&in, 0, sizeof(in));
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &in) < 0)
		return errno == ENOENT || errno == EINTR ? -EAGAIN : -errno;
	ret->id = in.notif.id;
	ret->tid = (pid_t)in.notif.pid;
	ret->at = in.notif.data.instruction_pointer;
	ret->kind = filter_call(&in.notif.data, &ret->compat);
	for (int i = 0; i < 6; i++)
		ret->arg[i] = in.notif.data.args[i];
	return 0;
}

bool listener_is_waiting(uint64_t id)
{
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

static bool send_answer(uint64_t id, int64_t value, int error, uint32_t flags)
{
	memset(&out, 0, sizeof(out));
	out.resp.id = id;
	out.resp.val = value;
	out.resp.error = error;
	out.resp.flags = flags;
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &out) == 0;
}

bool listener_reply(uint64_t id, int64_t result)
{
	return result < 0 ? send_answer(id, 0, (int)result, 0) : send_answer(id, result, 0, 0);
}

bool listener_continue(uint64_t id)
{
	return send_answer(id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

bool listener_reply_fd(uint64_t id, int fd, unsigned flags)
{
	struct seccomp_notif_addfd add = {
		.id = id,
		.flags = SECCOMP_ADDFD_FLAG_SEND,
		.srcfd = (uint32_t)fd,
		.newfd_flags = flags,
	};

	return ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) >= 0;
}
