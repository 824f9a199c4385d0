/* SPDX-License-Identifier: ISC */
/* upstream.c - the addresses of a proxy. */
#include "socksify/upstream.h"

#include <string.h>

#include "socksify/route.h"
#include "socksify/sys.h"

static struct target handed_down[UPSTREAM_MAX];
static int handed_down_count;

void upstream_hand_down(const char *list)
{
	handed_down_count = 0;
	while (list != NULL && *list != '\0' && handed_down_count < UPSTREAM_MAX) {
		size_t n = strcspn(list, ",");
		struct target *t = &handed_down[handed_down_count];

		if (target_from_host(list, n, 0, t) == 0 && t->kind != TARGET_NAME)
			handed_down_count++;
		list += n + (list[n] == ',');
	}
}

int upstream_addresses(const struct proxy *proxy, struct target ret[UPSTREAM_MAX])
{
	if (proxy->address.kind != TARGET_NAME) {
		target_copy(&ret[0], &proxy->address);
		return 1;
	}
	if (proxy == route_config()->proxies && handed_down_count > 0) {
		for (int i = 0; i < handed_down_count; i++) {
			ret[i] = handed_down[i];
			ret[i].port = proxy->address.port;
		}
		return handed_down_count;
	}
	return sys_resolve(proxy->address.name, proxy->address.port, ret, UPSTREAM_MAX);
}
