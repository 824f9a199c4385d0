/* SPDX-License-Identifier: ISC */
/* fakesys.c - a kernel and a SOCKS server that do what a test wrote down. */
#include "fakesys.h"

#include <errno.h>
#include <string.h>
#include <sys/time.h>

#include "socksify/sys.h"

struct fakesys fakesys;

/* Count a call; the negative errno with which it is to fail, or 0. */
static int fault(void)
{
	return ++fakesys.step == fakesys.fail_at ? fakesys.fail_with : 0;
}

static size_t at_most(size_t a, size_t b)
{
	return a < b ? a : b;
}

int sys_connect(int fd, const void *addr, socklen_t len)
{
	const struct sockaddr *sa = addr;
	int err;

	(void)fd;
	(void)len;
	if (sa->sa_family == AF_UNSPEC) {
		fakesys.connected = false;
		return 0;
	}
	err = fault();
	fakesys.connects++;
	fakesys.connected = err == 0 || err == -EINTR || err == -EINPROGRESS;
	return err;
}

ssize_t sys_send(int fd, const void *bytes, size_t len, int flags)
{
	int err = fault();
	size_t n = at_most(len, fakesys.slice);

	(void)fd;
	(void)flags;
	if (err < 0)
		return err;
	if (!fakesys.connected)
		return -EPIPE;
	memcpy(fakesys.sent + fakesys.sent_len, bytes, n);
	fakesys.sent_len += n;
	return (ssize_t)n;
}

ssize_t sys_recv(int fd, void *bytes, size_t size, int flags)
{
	int err = fault();
	size_t n = at_most(at_most(size, fakesys.slice), fakesys.reply_len - fakesys.reply_pos);

	(void)fd;
	(void)flags;
	if (err < 0)
		return err;
	if (n == 0)
		return fakesys.then_eof ? 0 : -EAGAIN;
	memcpy(bytes, fakesys.reply + fakesys.reply_pos, n);
	fakesys.reply_pos += n;
	return (ssize_t)n;
}

int sys_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	int err = fault(), number = 0;
	uint64_t cookie = 4711;
	struct timeval tv = { fakesys.send_timeout_us / 1000000,
			      fakesys.send_timeout_us % 1000000 };

	(void)fd;
	if (err < 0)
		return err;
	if (level == SOL_SOCKET && name == SO_DOMAIN)
		number = AF_INET;
	if (level == SOL_SOCKET && name == SO_TYPE)
		number = SOCK_STREAM;
	if (level == SOL_SOCKET && name == SO_PROTOCOL)
		number = IPPROTO_TCP;
	if (level == SOL_SOCKET && name == SO_SNDTIMEO)
		memcpy(value, &tv, *len);
	else if (level == SOL_SOCKET && name == SO_COOKIE)
		memcpy(value, &cookie, *len);
	else
		memcpy(value, &number, *len);
	return 0;
}

int sys_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	int err = fault();
	struct timeval tv;

	(void)fd;
	if (err < 0)
		return err;
	if (level == SOL_SOCKET && name == SO_SNDTIMEO && len == sizeof(tv)) {
		memcpy(&tv, value, sizeof(tv));
		fakesys.send_timeout_us = tv.tv_sec * 1000000 + tv.tv_usec;
	}
	return 0;
}

int sys_poll(struct pollfd *fds, nfds_t count, int64_t timeout_ms)
{
	int err = fault();

	(void)count;
	if (err < 0)
		return err;
	if ((fds->events & POLLOUT) != 0 || fakesys.then_eof ||
	    fakesys.reply_pos < fakesys.reply_len) {
		fds->revents = fds->events;
		return 1;
	}
	fakesys.now_ms += timeout_ms;
	return 0;
}

int64_t sys_now_ms(void)
{
	return fakesys.now_ms;
}

int sys_getpid(void)
{
	return 1;
}

int sys_open(const char *path, int flags, mode_t mode)
{
	(void)path;
	(void)flags;
	(void)mode;
	return -ENOENT;
}

ssize_t sys_read(int fd, void *bytes, size_t size)
{
	(void)fd;
	(void)bytes;
	(void)size;
	return -EBADF;
}

ssize_t sys_write(int fd, const void *bytes, size_t len)
{
	(void)fd;
	(void)bytes;
	return (ssize_t)len;
}

int sys_fstat(int fd, struct stat *ret)
{
	(void)fd;
	(void)ret;
	return -EBADF;
}

int sys_close(int fd)
{
	(void)fd;
	return 0;
}

bool sys_has_interrupting_handler(void)
{
	return fakesys.interrupts;
}

int sys_resolve(const char *name, uint16_t port, struct target *ret, int max)
{
	(void)max;
	if (strcmp(name, "proxy.example") != 0)
		return -EHOSTUNREACH;
	return target_from_host("192.0.2.9", 9, port, ret) < 0 ? -EHOSTUNREACH : 1;
}
