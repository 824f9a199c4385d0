/* SPDX-License-Identifier: ISC */
/* supervise.c - run a program that no library can enter, with all of its children. */
#include "socksify/supervise.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "filter.h"
#include "landlock.h"
#include "process.h"
#include "socksify/fdtab.h"
#include "socksify/log.h"
#include "socksify/namepool.h"
#include "socksify/report.h"
#include "socksify/route.h"
#include "socksify/upstream.h"

bool supervise_is_active(void)
{
	return filter_probe();
}

bool supervise_is_strict(void)
{
	return filter_probe_strict();
}

bool supervise_has_second_lock(void)
{
	return landlock_has_tcp();
}

/* seccomp(2) */
bool supervise_is_privileged(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct caps[2];

	return syscall(SYS_capget, &head, caps) == 0 &&
	       (caps[CAP_SYS_ADMIN / 32].effective & (1u << CAP_SYS_ADMIN % 32)) != 0;
}

/* What the library's constructor does in a program that it enters. */
static int prepare_engine(const struct config *c, const char *addresses, bool strict)
{
	/* Attempts are told as errors are. */
	log_setup(c->log_path, c->quiet || (c->verbose == 0 && !strict) ? -1 : c->verbose);
	report_setup("socksify", config_log_is_json(c), getenv("SOCKSIFY_AUDIT") != NULL);
	upstream_hand_down(addresses);
	route_setup(c, NULL);
	return namepool_open_for_user(namepool_runtime(getenv));
}

int supervise_run(const struct config *c, const char *addresses, const char *path,
		  char *const argv[], char *const env[], bool strict,
		  struct supervise_failure *ret)
{
	struct program p = { path, argv, env, strict };
	int reports[2], err;
	pid_t pid;

	*ret = (struct supervise_failure){ SUPERVISE_START, 0 };
	err = prepare_engine(c, addresses, strict);
	if (err == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, reports) < 0)
		err = -errno;
	if (err < 0) {
		ret->error = -err;
		return -1;
	}
	pid = fork();
	if (pid == 0) {
		close(reports[0]);
		fdtab_set_owner(getpid());
		watch_run(&p, reports[1]);
	}
	if (pid < 0)
		ret->error = errno;
	close(reports[1]);
	if (pid > 0)
		front_run(pid, reports[0], ret);
	close(reports[0]);
	return -1;
}
