/* SPDX-License-Identifier: ISC */
/* names_async.c - getaddrinfo_a(3). */
#include <stdlib.h>

#include "names.h"
#include "preload.h"
#include "real.h"

#define FEW 16

/*
 * libc's threads call its own getaddrinfo(3), past ours.  What needs no
 * waiting is answered here and now: gai_error(3), gai_suspend(3) and
 * gai_cancel(3) look at nothing but the request and find it done.  libc is
 * given the rest, and in any case the notification.
 */
static int answer(struct gaicb **list, int count, struct gaicb **theirs)
{
	int left = 0;

	for (int i = 0; i < count; i++) {
		struct gaicb *r = list[i];

		if (r == NULL)
			continue;
		if (names_is_libcs(r->ar_name, r->ar_request))
			theirs[left++] = r;
		else
			r->__return = getaddrinfo(r->ar_name, r->ar_service, r->ar_request,
						  &r->ar_result);
	}
	return left;
}

/* getaddrinfo_a(3) */
EXPORT int getaddrinfo_a(int mode, struct gaicb *list[restrict], int count,
			 struct sigevent *restrict event)
{
	struct gaicb *few[FEW], **theirs = few;
	int result;

	preload_ready_network();
	if ((mode != GAI_WAIT && mode != GAI_NOWAIT) || count < 0)
		return REAL(getaddrinfo_a)(mode, list, count, event);
	if (count > FEW)
		theirs = calloc((size_t)count, sizeof(struct gaicb *));
	if (theirs == NULL)
		return EAI_MEMORY;
	count = answer(list, count, theirs);
	result = REAL(getaddrinfo_a)(mode, theirs, count, event);
	if (theirs != few)
		free(theirs);
	return result;
}
