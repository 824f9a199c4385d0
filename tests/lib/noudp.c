/* SPDX-License-Identifier: ISC */
/* noudp.c - a fake kernel without UDP, and without sockets of the engine's own. */
#include <errno.h>

#include "socksify/sys.h"

int sys_socket(int domain, int type, int protocol)
{
	(void)domain;
	(void)type;
	(void)protocol;
	return -EAFNOSUPPORT;
}

int sys_close(int fd)
{
	(void)fd;
	return 0;
}

int sys_bind(int fd, const void *addr, socklen_t len)
{
	(void)fd;
	(void)addr;
	(void)len;
	return -EBADF;
}

ssize_t sys_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	(void)fd;
	(void)msg;
	(void)flags;
	return -EBADF;
}

bool sys_is_single_threaded(void)
{
	return false;
}

int sys_sendmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags)
{
	(void)fd;
	(void)msgs;
	(void)count;
	(void)flags;
	return -EBADF;
}

ssize_t sys_recvmsg(int fd, struct msghdr *msg, int flags)
{
	(void)fd;
	(void)msg;
	(void)flags;
	return -EBADF;
}

int sys_recvmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags, struct timespec *timeout)
{
	(void)fd;
	(void)msgs;
	(void)count;
	(void)flags;
	(void)timeout;
	return -EBADF;
}
