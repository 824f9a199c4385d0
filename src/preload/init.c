/* SPDX-License-Identifier: ISC */
/* init.c - the library's start: settings from the environment, once. */
#include "preload.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <errno.h>

#include "real.h"
#include "socksify/drive.h"
#include "socksify/fdtab.h"
#include "socksify/gate.h"
#include "socksify/hosts.h"
#include "socksify/inherit.h"
#include "socksify/listener.h"
#include "socksify/log.h"
#include "socksify/namepool.h"
#include "socksify/report.h"
#include "socksify/route.h"
#include "socksify/sys.h"
#include "socksify/upstream.h"

enum stage { STAGE_NEW, STAGE_BUSY, STAGE_DONE };

static _Atomic int settings_stage, network_stage;
static char config_error[CONFIG_ERROR_SIZE];
static char runtime_dir[256];

/* A signal handler that came here meanwhile would wait for itself. */
static void without_signals(void (*fn)(void))
{
	sigset_t all, mask;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &mask);
	fn();
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

/* Run @fn once; other threads wait until it is done. */
static void once(_Atomic int *stage, void (*fn)(void))
{
	int now = atomic_load_explicit(stage, memory_order_acquire);

	if (now == STAGE_DONE)
		return;
	now = STAGE_NEW;
	if (atomic_compare_exchange_strong(stage, &now, STAGE_BUSY)) {
		int saved = errno;

		fn();
		atomic_store_explicit(stage, STAGE_DONE, memory_order_release);
		errno = saved;
		return;
	}
	while (atomic_load_explicit(stage, memory_order_acquire) != STAGE_DONE)
		sched_yield();
}

static void in_fork_child(void)
{
	drive_in_child(sys_getpid());
	hosts_in_child();
}

/* Programs may clear their environment (nginx does): keep what is needed later. */
static void note_runtime(void)
{
	const char *runtime = namepool_runtime(secure_getenv);

	if (runtime != NULL)
		snprintf(runtime_dir, sizeof(runtime_dir), "%s", runtime);
}

/* The settings of a program that is to go its own way. */
static const char direct_settings[] = "direct *\ndns local\nudp direct\n";
static bool is_off;

static void turn_off(void)
{
	struct config *config = config_new();

	if (config != NULL && config_parse(config, "SOCKSIFY_DISABLE", direct_settings,
					   strlen(direct_settings), NULL, config_error) == 0)
		is_off = true;
	route_setup(is_off ? config : NULL, config_error);
}

bool preload_is_off(void)
{
	preload_ready();
	return is_off;
}

/* Programs that are started later get the settings even if the environment is cleared. */
static void hand_down(const struct config *config)
{
	static char *const nothing[] = { NULL };
	const char *path = real_own_path();
	char *absolute = NULL;

	if (path != NULL && path[0] != '/')
		path = absolute = realpath(path, NULL);
	/* What a user says must not decide what a privileged program starts. */
	if (inherit_setup(getauxval(AT_SECURE) != 0 ? nothing : environ,
			  path != NULL ? path : "", config) < 0)
		log_line(LOG_LEVEL_ERROR, "out of memory: no program can be started", NULL);
	free(absolute);
}

/* --audit: the counters that all processes of the run share. */
static bool count_for_run(void)
{
	const char *path = secure_getenv("SOCKSIFY_AUDIT");

	return path != NULL && tally_open(path) == 0;
}

static void read_settings(void)
{
	struct config *config = NULL;
	int err;

	if (getauxval(AT_SECURE) == 0 && inherit_is_disabled(environ)) {
		turn_off();
		return;
	}
	err = config_load(secure_getenv, &config, config_error);
	hand_down(config);
	if (err < 0) {
		log_setup(NULL, secure_getenv("SOCKSIFY_QUIET") == NULL ? LOG_LEVEL_ERROR : -1);
		route_setup(NULL, config_error);
		listener_setup();
		return;
	}
	note_runtime();
	/* With a configuration there are no errors of our own to tell: those are errnos. */
	log_setup(config->log_path, config->quiet || config->verbose == 0 ? -1 : config->verbose);
	report_setup(program_invocation_short_name, config_log_is_json(config), count_for_run());
	upstream_hand_down(secure_getenv("SOCKSIFY_PROXY_ADDRESS"));
	route_setup(config, NULL);
	listener_setup();
}

/* What only programs with network pay for. */
static void prepare_network(void)
{
	fdtab_set_owner(sys_getpid());
	pthread_atfork(drive_before_fork, drive_in_parent, in_fork_child);
	if (namepool_open_for_user(runtime_dir[0] != '\0' ? runtime_dir : NULL) < 0)
		log_line(LOG_LEVEL_CONNECTION, "no memory for the name pool", NULL);
}

void preload_ready(void)
{
	once(&settings_stage, read_settings);
}

static void prepare_once(void)
{
	once(&network_stage, prepare_network);
}

void preload_ready_network(void)
{
	if (__builtin_expect(atomic_load_explicit(&network_stage, memory_order_acquire) ==
			     STAGE_DONE, 1))
		return;
	preload_ready();
	without_signals(prepare_once);
}

/* What an optimist sent last is not to be lost with the end of the program. */
__attribute__((destructor)) static void end(void)
{
	gate_close_all();
	if (report_has_lines())
		report_close_all();
}

/* dlsym(3) is not async-signal-safe: look everything up before a handler can need it. */
__attribute__((constructor)) static void start(void)
{
	int saved = errno;

	real_resolve_all();
	preload_ready();
	errno = saved;
}
