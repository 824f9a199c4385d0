/* SPDX-License-Identifier: ISC */
/* flow.c - the sockets whose connection we made, or make, by the kernel's number for each. */
#include "flow.h"

#include <stdlib.h>
#include <string.h>

#include "sockets.h"
#include "socksify/sys.h"

#define BUCKETS 4096u	/* a power of two */
#define SWEEP_MIN 1024u
#define FAILED_NS (INT64_C(60) * 1000000000) /* so long a failure waits for somebody to ask */

static struct flow *buckets[BUCKETS];
static size_t count;
static size_t sweep_at = SWEEP_MIN;

static struct flow **place_of(uint64_t cookie)
{
	struct flow **at = &buckets[cookie % BUCKETS];

	while (*at != NULL && (*at)->cookie != cookie)
		at = &(*at)->next;
	return at;
}

struct flow *flow_find(uint64_t cookie)
{
	return *place_of(cookie);
}

size_t flow_count(void)
{
	return count;
}

struct flow *flow_new(uint64_t cookie, const struct sockaddr_storage *peer, socklen_t len)
{
	struct flow *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->cookie = cookie;
	f->peer_len = peer->ss_family == AF_INET ? sizeof(f->peer.in) : sizeof(f->peer.in6);
	if (f->peer_len > len)
		f->peer_len = len;
	memcpy(&f->peer, peer, f->peer_len);
	f->next = buckets[cookie % BUCKETS];
	buckets[cookie % BUCKETS] = f;
	count++;
	flow_set_state(f, FLOW_PENDING);
	return f;
}

void flow_set_state(struct flow *f, enum flow_state state)
{
	f->state = state;
	f->since = sys_now_ns();
}

void flow_free(struct flow *f)
{
	struct flow **at = place_of(f->cookie);

	*at = f->next;
	count--;
	free(f);
}

/* --- what sockets there are --- */

static void note(uint64_t cookie)
{
	struct flow *f = flow_find(cookie);

	if (f != NULL)
		f->seen = true;
}

/* A socket that is not connected is in no list, so a failure has its time instead. */
static bool is_over(const struct flow *f, int64_t now)
{
	switch (f->state) {
	case FLOW_PENDING:
		return false;
	case FLOW_CONNECTED:
		return !f->seen;
	case FLOW_FAILED:
		return now - f->since > FAILED_NS;
	}
	return false;
}

void flow_sweep(void)
{
	int64_t now;

	if (count < sweep_at)
		return;
	now = sys_now_ns();
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct flow *f = buckets[i]; f != NULL; f = f->next)
			f->seen = false;
	/* Without that list nothing is known to be over, and memory is what it costs. */
	if (sockets_each(IPPROTO_TCP, note))
		for (size_t i = 0; i < BUCKETS; i++)
			for (struct flow **at = &buckets[i]; *at != NULL;) {
				struct flow *f = *at;

				if (is_over(f, now)) {
					*at = f->next;
					count--;
					free(f);
				} else {
					at = &f->next;
				}
			}
	sweep_at = count * 2 > SWEEP_MIN ? count * 2 : SWEEP_MIN;
}
