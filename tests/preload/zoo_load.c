/* SPDX-License-Identifier: ISC */
/* zoo_load.c - code that is loaded so that it finds other functions than the program's. */
#include "zoo.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

/* zoo_plugin.c: connects in its own way; returns a descriptor or -errno */
typedef int plugin_function(const struct sockaddr *addr, socklen_t len, int limit_ms);
/* and loads another library, which only its own RUNPATH leads to */
typedef void *plugin_load_function(const char *name);

static enum outcome connect_by(void *handle)
{
	plugin_function *fn;
	int fd;

	if (handle == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		return ZOO_FAILED;
	}
	fn = (plugin_function *)dlsym(handle, "plugin_connect");
	fd = fn((const struct sockaddr *)&target4, sizeof(target4), limit_ms);
	if (fd >= 0)
		return ask(fd);
	errno = -fd;
	return failed("plugin");
}

static enum outcome deepbind(void)
{
	return connect_by(dlopen(plugin, RTLD_NOW | RTLD_DEEPBIND));
}

static enum outcome new_namespace(void)
{
	return connect_by(dlmopen(LM_ID_NEWLM, plugin, RTLD_NOW));
}

/* After one that could not be loaded; and then one more. */
static enum outcome second_namespace(void)
{
	if (dlmopen(LM_ID_NEWLM, "./no-such-library.so", RTLD_NOW) != NULL ||
	    dlmopen(LM_ID_NEWLM, plugin, RTLD_NOW | RTLD_DEEPBIND) == NULL)
		return failed("dlmopen");
	return connect_by(dlmopen(LM_ID_NEWLM, plugin, RTLD_LAZY));
}

/* No way out, but it must work as without us: the caller's RUNPATH counts. */
static enum outcome runpath(void)
{
	void *handle = dlopen(plugin, RTLD_NOW);
	plugin_load_function *load;

	if (handle == NULL)
		return failed("dlopen");
	load = (plugin_load_function *)dlsym(handle, "plugin_load");
	return load("libzoo_hidden.so") != NULL && dlopen("libzoo_hidden_too.so", RTLD_NOW) == NULL ?
		       connect_by(handle) : ZOO_FAILED;
}

const struct trick load_tricks[] = {
	{ "dlopen-deepbind", deepbind, true },
	{ "dlopen-runpath", runpath, true },
	{ "dlmopen", new_namespace, true },
	{ "dlmopen-second", second_namespace, true },
	{ NULL, NULL, false },
};
