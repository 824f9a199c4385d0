/* SPDX-License-Identifier: ISC */
/* tracee.h - the memory and the descriptors of a program whose call is under way. */
#ifndef SOCKSIFY_SUPERVISE_TRACEE_H
#define SOCKSIFY_SUPERVISE_TRACEE_H

#include <sys/types.h>
#include <sys/uio.h>

#include "listener.h"

/*
 * tracee_descriptor - our own descriptor of the open file that @fd is to the caller.
 * The caller still waits when this returns, so it is the caller's indeed.
 * Returns it, or -errno: -EBADF; -EPERM when the kernel forbids it, or a
 * call that is over (-ESRCH).
 */
MUST_CHECK int tracee_descriptor(const struct call *c, int fd);

/* Copy from and to the caller's memory: 0, or -EFAULT (all or nothing), -EPERM. */
MUST_CHECK int tracee_read(const struct call *c, uint64_t address, void *ret, size_t size);
MUST_CHECK int tracee_write(const struct call *c, uint64_t address, const void *bytes,
			    size_t size);

/* The same with several pieces of the caller's memory; what came before a fault counts. */
MUST_CHECK ssize_t tracee_gather(const struct call *c, const struct iovec *from, size_t count,
				 void *ret, size_t size);
MUST_CHECK ssize_t tracee_scatter(const struct call *c, const struct iovec *to, size_t count,
				  const void *bytes, size_t size);

/*
 * tracee_read_address - the socket address that a program passes.
 * Returns its length, or -EINVAL, -EFAULT, -EPERM as the kernel would.
 */
MUST_CHECK int tracee_read_address(const struct call *c, uint64_t address, uint64_t len,
				   struct sockaddr_storage *ret);

/*
 * tracee_write_address - a socket address for the program, as getpeername(2)
 * does: cut to the room there is, and the full length.
 * @lenp: where the program keeps the room
 */
MUST_CHECK int tracee_write_address(const struct call *c, uint64_t address, uint64_t lenp,
				    const void *from, socklen_t len);

/* May this process do all that with @pid, which it just started?  0, or -errno of what it may not. */
MUST_CHECK int tracee_probe(pid_t pid, const void *address);

/* A descriptor of @pid, which need not wait in a call. */
MUST_CHECK int tracee_fetch(pid_t pid, int fd);

/*
 * tracee_object - the name, without directories, of the file whose code made the call.
 * @ret: "" when that cannot be told
 */
#define TRACEE_OBJECT_SIZE 64
void tracee_object(const struct call *c, char ret[TRACEE_OBJECT_SIZE]);

/* What is reported from here on is about the process of that thread. */
void tracee_speak_for(pid_t tid);

#endif
