/* SPDX-License-Identifier: ISC */
/* names_idn.c - internationalised names, as libc converts them: by libidn2, loaded when one is needed. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"

/* Of idn2.h, which is no part of libc. */
typedef int convert_fn(const char *name, char **ret, int flags);
enum { IDN_OK = 0, IDN_MALLOC = -100 };

static convert_fn *find(const char *symbol)
{
	void *library = dlopen("libidn2.so.0", RTLD_NOW);

	/* Stays loaded, as libc's own would: counted again each time. */
	return library == NULL ? NULL : (convert_fn *)(uintptr_t)dlsym(library, symbol);
}

int idn_to_dns(const char *name, char ret[NAMES_ROOM])
{
	convert_fn *convert = find("idn2_lookup_ul");
	char *made = NULL;
	int err = EAI_IDN_ENCODE;

	if (convert == NULL)
		return EAI_IDN_ENCODE;
	switch (convert(name, &made, 0)) {
	case IDN_OK:
		if (strlen(made) < NAMES_ROOM) {
			strcpy(ret, made);
			err = 0;
		}
		free(made);
		return err;
	case IDN_MALLOC:
		return EAI_MEMORY;
	default:
		return EAI_IDN_ENCODE;
	}
}

char *idn_to_unicode(const char *name)
{
	convert_fn *convert = find("idn2_to_unicode_lzlz");
	char *made = NULL;

	return convert != NULL && convert(name, &made, 0) == IDN_OK ? made : strdup(name);
}
