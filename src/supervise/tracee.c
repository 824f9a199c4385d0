/* SPDX-License-Identifier: ISC */
/* tracee.c - the memory and the descriptors of a program whose call is under way. */
#include "tracee.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "socksify/report.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL	/* Linux 6.9 */
#endif

/* The thread group leader, for kernels whose pidfds are of those alone. */
static pid_t leader_of(pid_t tid)
{
	char path[40], line[128];
	pid_t leader = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	file = fopen(path, "re");
	if (file == NULL)
		return -1;
	while (leader < 0 && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, "Tgid:", 5) == 0)
			leader = (pid_t)strtol(line + 5, NULL, 10);
	fclose(file);
	return leader;
}

static int open_thread(pid_t tid)
{
	int fd = (int)syscall(SYS_pidfd_open, tid, PIDFD_THREAD);

	if (fd < 0 && errno == EINVAL)
		fd = (int)syscall(SYS_pidfd_open, leader_of(tid), 0);
	return fd < 0 ? -errno : fd;
}

static int fetch_from(int pidfd, int fd)
{
	int copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);

	return copy < 0 ? -errno : copy;
}

int tracee_fetch(pid_t pid, int fd)
{
	int pidfd = open_thread(pid), copy;

	if (pidfd < 0)
		return pidfd;
	copy = fetch_from(pidfd, fd);
	close(pidfd);
	return copy;
}

int tracee_descriptor(const struct call *c, int fd)
{
	int copy;

	if (fd < 0)
		return -EBADF;
	copy = tracee_fetch(c->tid, fd);
	/* The number of a thread may be another's by now, unless the call still waits. */
	if (copy >= 0 && !listener_is_waiting(c->id)) {
		close(copy);
		return -ESRCH;
	}
	return copy;
}

int tracee_read(const struct call *c, uint64_t address, void *ret, size_t size)
{
	struct iovec to = { ret, size }, from = { (void *)(uintptr_t)address, size };
	ssize_t n = process_vm_readv(c->tid, &to, 1, &from, 1, 0);

	if (n < 0)
		return errno == EPERM || errno == EACCES ? -EPERM : -EFAULT;
	return (size_t)n == size ? 0 : -EFAULT;
}

int tracee_write(const struct call *c, uint64_t address, const void *bytes, size_t size)
{
	struct iovec from = { (void *)(uintptr_t)bytes, size };
	struct iovec to = { (void *)(uintptr_t)address, size };
	ssize_t n = process_vm_writev(c->tid, &from, 1, &to, 1, 0);

	if (n < 0)
		return errno == EPERM || errno == EACCES ? -EPERM : -EFAULT;
	return (size_t)n == size ? 0 : -EFAULT;
}

ssize_t tracee_gather(const struct call *c, const struct iovec *from, size_t count, void *ret,
		      size_t size)
{
	struct iovec to = { ret, size };
	ssize_t n = process_vm_readv(c->tid, &to, 1, from, count, 0);

	return n < 0 ? -errno : n;
}

ssize_t tracee_scatter(const struct call *c, const struct iovec *to, size_t count,
		       const void *bytes, size_t size)
{
	struct iovec from = { (void *)(uintptr_t)bytes, size };
	ssize_t n = process_vm_writev(c->tid, &from, 1, to, count, 0);

	return n < 0 ? -errno : n;
}

int tracee_read_address(const struct call *c, uint64_t address, uint64_t len,
			struct sockaddr_storage *ret)
{
	int length = (int)(uint32_t)len, err;

	if (length < 0 || (size_t)length > sizeof(*ret))
		return -EINVAL;
	memset(ret, 0, sizeof(*ret));
	err = length > 0 ? tracee_read(c, address, ret, (size_t)length) : 0;
	return err < 0 ? err : length;
}

int tracee_write_address(const struct call *c, uint64_t address, uint64_t lenp,
			 const void *from, socklen_t len)
{
	int room, err = tracee_read(c, lenp, &room, sizeof(room));

	if (err < 0)
		return err;
	if (room < 0)
		return -EINVAL;
	if ((socklen_t)room > len)
		room = (int)len;
	err = room > 0 ? tracee_write(c, address, from, (size_t)room) : 0;
	return err < 0 ? err : tracee_write(c, lenp, &len, sizeof(len));
}

int tracee_probe(pid_t pid, const void *address)
{
	char octet;
	struct iovec to = { &octet, 1 }, from = { (void *)(uintptr_t)address, 1 };

	return process_vm_readv(pid, &to, 1, &from, 1, 0) < 0 ? -errno : 0;
}

void tracee_object(const struct call *c, char ret[TRACEE_OBJECT_SIZE])
{
	char path[40], line[512];
	unsigned long low, high;
	FILE *file;

	ret[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)c->tid);
	file = fopen(path, "re");
	if (file == NULL)
		return;
	while (fgets(line, sizeof(line), file) != NULL) {
		const char *slash = strrchr(line, '/');

		/* proc_pid_maps(5) */
		if (sscanf(line, "%lx-%lx", &low, &high) != 2 || c->at < low || c->at >= high)
			continue;
		if (slash != NULL)
			snprintf(ret, TRACEE_OBJECT_SIZE, "%.*s", (int)strcspn(slash + 1, "\n"),
				 slash + 1);
		break;
	}
	fclose(file);
}

/* What stands behind @key in /proc/PID/status, up to the end of its line. */
static const char *status_line(char *text, const char *key)
{
	char *at = strstr(text, key), *end;

	if (at == NULL)
		return NULL;
	at += strlen(key);
	end = strchr(at, '\n');
	if (end != NULL)
		*end = '\0';
	return at;
}

void tracee_speak_for(pid_t tid)
{
	char path[48], text[1024];
	const char *pid, *name;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	pid = status_line(text, "\nTgid:\t");
	name = status_line(text, "Name:\t");
	report_for(pid != NULL ? atoi(pid) : (int)tid, name);
}
