/* SPDX-License-Identifier: ISC */
/* real.c - the functions behind ours: libc's, or those of the next preloaded library. */
#include "real.h"

#include <dlfcn.h>
#include <errno.h>

#define REAL_NAME(name) #name,
static const char *const names[REAL_COUNT] = { REAL_SYMBOLS(REAL_NAME) };

_Atomic(void *) real_symbols[REAL_COUNT];

void *real_look_up(enum real_id id)
{
	void *fn = dlsym(RTLD_NEXT, names[id]);

	atomic_store_explicit(&real_symbols[id], fn, memory_order_relaxed);
	return fn;
}

void real_resolve_all(void)
{
	for (int id = 0; id < REAL_COUNT; id++)
		(void)real_symbol((enum real_id)id);
}

ssize_t libc_size_result(ssize_t result)
{
	if (result >= 0)
		return result;
	errno = (int)-result;
	return -1;
}

int libc_result(int result)
{
	return (int)libc_size_result(result);
}
