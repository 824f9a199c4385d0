/* SPDX-License-Identifier: ISC */
/*
 * dlopen.c - dlopen(3) without RTLD_DEEPBIND, which would take the functions of
 * libc before ours; and dlmopen(3), whose new namespaces have no library of ours yet.
 */
#include <dlfcn.h>
#include <stdatomic.h>

#include "preload.h"
#include "real.h"
#include "socksify/inherit.h"

/*
 * The loader looks at the return address to find whose RUNPATH and $ORIGIN
 * count.  So libc's function must return to our caller: a jump, not a call.
 */
#if defined(__has_attribute) && __has_attribute(musttail)
#define JUMPS
#define JUMP __attribute__((musttail)) return
#else
#define JUMPS __attribute__((optimize("O2", "optimize-sibling-calls"), noinline))
#define JUMP return
#endif

static int allowed(int mode)
{
	return preload_is_off() ? mode : mode & ~RTLD_DEEPBIND;
}

/* dlopen(3) */
EXPORT JUMPS void *dlopen(const char *file, int mode)
{
	int shallow = allowed(mode);
	__typeof__(&dlopen) real = REAL(dlopen);

	JUMP real(file, shallow);
}

/*
 * A namespace that has the library, and nothing else yet.  One is kept when it
 * was made for a file that then could not be loaded.
 */
static _Atomic Lmid_t spare = LM_ID_BASE;

/*
 * What is loaded first into a namespace comes first whenever a name is looked
 * up in it.  Returns LM_ID_NEWLM when that does not work: then nothing may be loaded.
 */
static __attribute__((noinline)) Lmid_t new_namespace(void)
{
	Lmid_t id = atomic_exchange(&spare, LM_ID_BASE);
	void *handle;

	if (id != LM_ID_BASE)
		return id;
	handle = REAL(dlmopen)(LM_ID_NEWLM, inherit_library(), RTLD_NOW);
	if (handle == NULL || dlinfo(handle, RTLD_DI_LMID, &id) < 0)
		return LM_ID_NEWLM;
	return id;
}

/* A new namespace whose first use failed is the next one's. */
static __attribute__((noinline)) void *load_into_new(const char *file, int mode)
{
	Lmid_t id = new_namespace();
	void *handle;

	if (id == LM_ID_NEWLM)
		return NULL; /* dlerror(3) says why */
	handle = REAL(dlmopen)(id, file, mode);
	if (handle == NULL)
		atomic_store(&spare, id);
	return handle;
}

/* dlmopen(3) */
EXPORT JUMPS void *dlmopen(Lmid_t id, const char *file, int mode)
{
	int shallow = allowed(mode);
	__typeof__(&dlmopen) real = REAL(dlmopen);

	if (id == LM_ID_NEWLM && file != NULL && !preload_is_off())
		return load_into_new(file, shallow);
	JUMP real(id, file, shallow);
}
