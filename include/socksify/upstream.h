/* SPDX-License-Identifier: ISC */
/* upstream.h - the addresses of a proxy. */
#ifndef SOCKSIFY_UPSTREAM_H
#define SOCKSIFY_UPSTREAM_H

#include "socksify/config.h"

#define UPSTREAM_MAX 8

/*
 * upstream_addresses - where a proxy can be reached, best first.
 * A proxy given by name is resolved by the machine's own resolver, which may
 * wait, unless it was handed down.
 * Returns their number, 1 .. UPSTREAM_MAX, or -EHOSTUNREACH.
 */
MUST_CHECK int upstream_addresses(const struct proxy *proxy, struct target ret[UPSTREAM_MAX]);

/*
 * upstream_hand_down - numeric addresses of the first proxy, which is given by
 * name and was resolved before.
 * @list: addresses with commas between; NULL or empty: none
 */
void upstream_hand_down(const char *list);

#endif
