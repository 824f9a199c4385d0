/* SPDX-License-Identifier: ISC */
/* fuzz_udp.c - the header of a datagram depends on no octet behind it, and says the same when it is written again. */
#include <errno.h>
#include <stdlib.h>

#include "socksify/socks5_udp.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* In storage of just this size, so that a read past the end is seen. */
static int take(const uint8_t *octets, size_t size, struct target *ret)
{
	uint8_t *copy = malloc(size + (size == 0));
	int len;

	require(copy != NULL);
	if (size > 0)
		memcpy(copy, octets, size);
	len = socks5_udp_header_take(copy, size, ret);
	free(copy);
	return len;
}

static void check_written(const uint8_t *octets, size_t len, const struct target *t)
{
	uint8_t written[SOCKS5_UDP_HEADER_MAX];
	struct target again;
	size_t n = socks5_udp_header_put(written, t);

	require(take(written, n, &again) == (int)n);
	require(again.port == t->port);
	/* A name of no octets is written as 0.0.0.0. */
	if (t->kind == TARGET_NONE)
		return;
	/* The first two octets are reserved: anything may stand there. */
	require(n == len && memcmp(written + 2, octets + 2, len - 2) == 0);
	require(target_host_equal(&again, t));
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	struct target t = { .kind = TARGET_NONE }, part = t;
	int len = take(octets, size, &t);

	if (len < 0) {
		require(len == -EMSGSIZE || len == -EPROTO || len == -ENOTSUP);
		require(len != -EMSGSIZE || size < SOCKS5_UDP_HEADER_MAX);
		return 0;
	}
	require((size_t)len <= size && len <= SOCKS5_UDP_HEADER_MAX);
	require(take(octets, (size_t)len, &part) == len);
	require(part.kind == t.kind && part.port == t.port);
	for (size_t n = 0; n < (size_t)len; n++)
		require(take(octets, n, &part) == -EMSGSIZE);
	check_written(octets, (size_t)len, &t);
	return 0;
}
