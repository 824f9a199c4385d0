/* SPDX-License-Identifier: ISC */
/* landlock.c - a second lock on TCP, which no race with the supervisor opens. */
#include "landlock.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/landlock.h, which is older than this in many a distribution. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self 446
#endif
#define RULESET_VERSION 1u
#define ABI_WITH_TCP 4
#define CONNECT_TCP (UINT64_C(1) << 1)

struct ruleset {
	uint64_t files;
	uint64_t network;
};

bool landlock_has_tcp(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, RULESET_VERSION) >= ABI_WITH_TCP;
}

int landlock_forbid_tcp(void)
{
	const struct ruleset rules = { .network = CONNECT_TCP };
	int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0), err = 0;

	if (fd < 0)
		return -errno;
	if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		err = -errno;
	close(fd);
	return err;
}
