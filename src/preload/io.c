/* SPDX-License-Identifier: ISC */
/* io.c - the calls that receive, or send without an address: pending connections are asked first. */
#include <errno.h>

#include "datagram.h"
#include "preload.h"
#include "real.h"
#include "socksify/gate.h"
#include "socksify/wait.h"

static inline int may_send(int fd, int flags)
{
	return fdtab_is_gated(fd) ? gate_send(fd, flags) : 0;
}

static inline int may_receive(int fd, int flags)
{
	return fdtab_is_gated(fd) ? gate_receive(fd, flags) : 0;
}

/* An interposer that asks first, and its call; on a relayed socket @relayed takes its place. */
#define GATED(result, name, declared, fd, relayed, gate, passed) \
	EXPORT result name declared                              \
	{                                                        \
		int err;                                         \
                                                                 \
		if (__builtin_expect(!wait_has_gated(), 1))      \
			return REAL(name) passed;                \
		if (fdtab_is_relayed(fd))                        \
			return relayed;                          \
		err = gate;                                      \
		if (err < 0)                                     \
			return libc_result(err);                 \
		return REAL(name) passed;                        \
	}

/* The same for what sends, with an end for queries to a name server, whose part we take. */
#define GATED_SEND(result, name, declared, fd, relayed, gate, passed)                \
	EXPORT result name declared                                                  \
	{                                                                            \
		int err;                                                             \
                                                                                     \
		if (__builtin_expect(!wait_has_gated(), 1))                          \
			return REAL(name) passed;                                    \
		if (fdtab_is_relayed(fd))                                            \
			return relayed;                                              \
		err = gate;                                                          \
		if (err < 0)                                                         \
			return libc_result(err);                                     \
		return (result)preload_sent(fd, REAL(name) passed);                  \
	}

/* What moves octets past the program has no place for a header; programs fall back to read and write. */
#define NO_WAY libc_result(-EINVAL)

/* The same function under another name. */
#define ALIAS(result, name, declared, call) \
	EXPORT result name declared         \
	{                                   \
		return call;                \
	}

/* read(2) of nothing is nothing (sock_read_iter() in the kernel); all others ask the connection. */
GATED(ssize_t, read, (int fd, void *bytes, size_t n), fd, datagram_read(fd, bytes, n),
      n > 0 ? may_receive(fd, 0) : 0, (fd, bytes, n))
ALIAS(ssize_t, __read, (int fd, void *bytes, size_t n), read(fd, bytes, n))
GATED(ssize_t, __read_chk, (int fd, void *bytes, size_t n, size_t size), fd,
      n > size ? REAL(__read_chk)(fd, bytes, n, size) : datagram_read(fd, bytes, n),
      n > 0 ? may_receive(fd, 0) : 0, (fd, bytes, n, size))
GATED(ssize_t, readv, (int fd, const struct iovec *parts, int count), fd,
      datagram_readv(fd, parts, count, 0), may_receive(fd, 0), (fd, parts, count))
GATED(ssize_t, recv, (int fd, void *bytes, size_t n, int flags), fd,
      datagram_receive(fd, bytes, n, flags, NULL, NULL), may_receive(fd, flags),
      (fd, bytes, n, flags))
ALIAS(ssize_t, __recv, (int fd, void *bytes, size_t n, int flags), recv(fd, bytes, n, flags))
GATED(ssize_t, __recv_chk, (int fd, void *bytes, size_t n, size_t size, int flags), fd,
      n > size ? REAL(__recv_chk)(fd, bytes, n, size, flags)
	       : datagram_receive(fd, bytes, n, flags, NULL, NULL),
      may_receive(fd, flags), (fd, bytes, n, size, flags))
GATED(ssize_t, recvfrom,
      (int fd, void *restrict bytes, size_t n, int flags, struct sockaddr *restrict addr,
       socklen_t *restrict len), fd,
      datagram_receive(fd, bytes, n, flags, addr, len),
      may_receive(fd, flags), (fd, bytes, n, flags, addr, len))
GATED(ssize_t, __recvfrom_chk,
      (int fd, void *bytes, size_t n, size_t size, int flags, struct sockaddr *addr,
       socklen_t *len), fd,
      n > size ? REAL(__recvfrom_chk)(fd, bytes, n, size, flags, addr, len)
	       : datagram_receive(fd, bytes, n, flags, addr, len),
      may_receive(fd, flags), (fd, bytes, n, size, flags, addr, len))
GATED(ssize_t, recvmsg, (int fd, struct msghdr *msg, int flags), fd,
      libc_size_result(relay_receive(fd, msg, flags)), may_receive(fd, flags), (fd, msg, flags))
GATED(int, recvmmsg,
      (int fd, struct mmsghdr *msgs, unsigned count, int flags, struct timespec *timeout), fd,
      libc_result(relay_receive_many(fd, msgs, count, flags, timeout)),
      may_receive(fd, flags), (fd, msgs, count, flags, timeout))

/* With an offset of -1 these are readv(2) and writev(2); with another one a socket is an error. */
static inline int how_of(int flags)
{
	return (flags & RWF_NOWAIT) != 0 ? MSG_DONTWAIT : 0;
}

GATED(ssize_t, preadv2,
      (int fd, const struct iovec *parts, int count, off_t offset, int flags), fd,
      offset != -1 ? REAL(preadv2)(fd, parts, count, offset, flags)
	       : datagram_readv(fd, parts, count, how_of(flags)),
      offset == -1 ? may_receive(fd, how_of(flags)) : 0, (fd, parts, count, offset, flags))
GATED(ssize_t, preadv64v2,
      (int fd, const struct iovec *parts, int count, off64_t offset, int flags), fd,
      offset != -1 ? REAL(preadv64v2)(fd, parts, count, offset, flags)
	       : datagram_readv(fd, parts, count, how_of(flags)),
      offset == -1 ? may_receive(fd, how_of(flags)) : 0, (fd, parts, count, offset, flags))
GATED_SEND(ssize_t, pwritev2,
      (int fd, const struct iovec *parts, int count, off_t offset, int flags), fd,
      offset != -1 ? REAL(pwritev2)(fd, parts, count, offset, flags)
	       : datagram_writev(fd, parts, count, how_of(flags)),
      offset == -1 ? may_send(fd, how_of(flags)) : 0, (fd, parts, count, offset, flags))
GATED_SEND(ssize_t, pwritev64v2,
      (int fd, const struct iovec *parts, int count, off64_t offset, int flags), fd,
      offset != -1 ? REAL(pwritev64v2)(fd, parts, count, offset, flags)
	       : datagram_writev(fd, parts, count, how_of(flags)),
      offset == -1 ? may_send(fd, how_of(flags)) : 0, (fd, parts, count, offset, flags))

GATED_SEND(ssize_t, write, (int fd, const void *bytes, size_t n), fd,
      datagram_send(fd, NULL, bytes, n, 0, NULL, 0), may_send(fd, 0), (fd, bytes, n))
ALIAS(ssize_t, __write, (int fd, const void *bytes, size_t n), write(fd, bytes, n))
GATED_SEND(ssize_t, writev, (int fd, const struct iovec *parts, int count), fd,
      datagram_writev(fd, parts, count, 0), may_send(fd, 0), (fd, parts, count))
GATED_SEND(ssize_t, send, (int fd, const void *bytes, size_t n, int flags), fd,
      datagram_send(fd, NULL, bytes, n, flags, NULL, 0), may_send(fd, flags),
      (fd, bytes, n, flags))
ALIAS(ssize_t, __send, (int fd, const void *bytes, size_t n, int flags),
      send(fd, bytes, n, flags))
GATED_SEND(ssize_t, sendfile, (int out, int in, off_t *offset, size_t n), out, NO_WAY,
      may_send(out, 0), (out, in, offset, n))
GATED_SEND(ssize_t, sendfile64, (int out, int in, off64_t *offset, size_t n), out, NO_WAY,
      may_send(out, 0), (out, in, offset, n))

static int may_splice(int in, int out, unsigned flags)
{
	int how = (flags & SPLICE_F_NONBLOCK) != 0 ? MSG_DONTWAIT : 0;
	int err = may_receive(in, how);

	return err < 0 ? err : may_send(out, how);
}

GATED_SEND(ssize_t, splice,
      (int in, off64_t *in_offset, int out, off64_t *out_offset, size_t n, unsigned flags),
      fdtab_is_relayed(in) ? in : out, NO_WAY, may_splice(in, out, flags), (in, in_offset, out, out_offset, n, flags))

/* dprintf(3) and its kin write inside libc. */
GATED_SEND(int, vdprintf, (int fd, const char *restrict format, va_list arguments), fd,
      datagram_print(fd, format, arguments), may_send(fd, 0),
      (fd, format, arguments))
GATED_SEND(int, __vdprintf_chk, (int fd, int flag, const char *format, va_list arguments),
      fd, datagram_print(fd, format, arguments), may_send(fd, 0), (fd, flag, format, arguments))

EXPORT int dprintf(int fd, const char *restrict format, ...)
{
	va_list arguments;
	int result;

	va_start(arguments, format);
	result = vdprintf(fd, format, arguments);
	va_end(arguments);
	return result;
}

EXPORT int __dprintf_chk(int fd, int flag, const char *format, ...)
{
	va_list arguments;
	int result;

	va_start(arguments, format);
	result = __vdprintf_chk(fd, flag, format, arguments);
	va_end(arguments);
	return result;
}
