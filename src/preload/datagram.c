/* SPDX-License-Identifier: ISC */
/* datagram.c - the calls of a program on a relayed socket, as messages. */
#include "datagram.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "real.h"
#include "socksify/scratch.h"

ssize_t datagram_send(int fd, const struct route *route, const void *bytes, size_t n, int flags,
		      const struct sockaddr *addr, socklen_t len)
{
	struct iovec part = { (void *)(uintptr_t)bytes, n };
	struct msghdr msg = { .msg_name = (void *)(uintptr_t)addr, .msg_namelen = len,
			      .msg_iov = &part, .msg_iovlen = 1 };

	return libc_size_result(relay_send(fd, route, &msg, flags));
}

ssize_t datagram_writev(int fd, const struct iovec *parts, int count, int flags)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)parts };

	if (count < 0 || count > IOV_MAX)
		return libc_result(-EINVAL);
	msg.msg_iovlen = (size_t)count;
	return libc_size_result(relay_send(fd, NULL, &msg, flags));
}

ssize_t datagram_receive(int fd, void *bytes, size_t n, int flags, struct sockaddr *addr,
			 socklen_t *len)
{
	struct iovec part = { bytes, n };
	struct msghdr msg = { .msg_name = len != NULL ? addr : NULL, .msg_iov = &part,
			      .msg_iovlen = 1 };
	ssize_t result;

	if (msg.msg_name != NULL)
		msg.msg_namelen = *len;
	result = relay_receive(fd, &msg, flags);
	if (result >= 0 && msg.msg_name != NULL)
		*len = msg.msg_namelen;
	return libc_size_result(result);
}

/* read(2) of nothing is nothing (sock_read_iter() in the kernel). */
ssize_t datagram_read(int fd, void *bytes, size_t n)
{
	return n == 0 ? 0 : datagram_receive(fd, bytes, n, 0, NULL, NULL);
}

ssize_t datagram_readv(int fd, const struct iovec *parts, int count, int flags)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)parts };

	if (count < 0 || count > IOV_MAX)
		return libc_result(-EINVAL);
	msg.msg_iovlen = (size_t)count;
	return libc_size_result(relay_receive(fd, &msg, flags));
}

#define TEXT_MAX 65536

int datagram_print(int fd, const char *format, va_list arguments)
{
	char *text = scratch_take(TEXT_MAX);
	int n;

	if (text == NULL)
		return libc_result(-ENOMEM);
	n = vsnprintf(text, TEXT_MAX, format, arguments);
	if (n >= TEXT_MAX)
		n = libc_result(-EMSGSIZE);
	else if (n > 0)
		n = (int)datagram_send(fd, NULL, text, (size_t)n, 0, NULL, 0);
	scratch_give(text);
	return n;
}

int datagram_readable(int fd, int *ret)
{
	int n = relay_readable(fd);

	if (n < 0)
		return libc_result(n);
	*ret = n;
	return 0;
}
