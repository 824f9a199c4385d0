/* SPDX-License-Identifier: ISC */
/* fuzz_socks5.c - hostile bytes from a proxy: the result does not depend on their slicing. */
#include <stdlib.h>

#include "socksify/socks5.h"
#include "socksify/socks5_udp.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct outcome {
	int err;	/* 1: the bytes ran out */
	size_t used;
	struct target bound;
};

/* The forms of a handshake: with a login, pipelined. */
enum { WITH_LOGIN = 1, PIPELINED = 2, FORMS = 4 };

static struct outcome run(const uint8_t *bytes, size_t len, size_t slice, int form)
{
	static const struct socks5_login login = { 1, 1, { 'u' }, { 'p' } };
	struct target dst = { .kind = TARGET_NAME, .name_len = 1, .name = "x", .port = 80 };
	struct outcome o = { 0, 0, { .kind = TARGET_NONE } };
	struct socks5 s;
	struct span span;
	enum socks5_io io;

	socks5_start(&s, SOCKS5_CONNECT, &dst, (form & WITH_LOGIN) != 0 ? &login : NULL);
	if ((form & PIPELINED) != 0)
		socks5_pipeline(&s);
	while (o.err == 0 && (io = socks5_want(&s, &span)) != SOCKS5_DONE) {
		size_t n = span.len < slice ? span.len : slice;

		if (io == SOCKS5_RECV) {
			if (n > len - o.used)
				n = len - o.used;
			memcpy(span.data, bytes + o.used, n);
			o.used += n;
		}
		o.err = n == 0 ? 1 : socks5_advance(&s, n);
	}
	o.bound = *socks5_bound(&s);
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct target t;
	int header = socks5_udp_header_take(bytes, len, &t);

	if (header > 0 && (size_t)header > len)
		abort();
	for (int form = 0; form < FORMS; form++) {
		struct outcome whole = run(bytes, len, 4096, form);

		for (size_t slice = 1; slice < 8; slice++) {
			struct outcome o = run(bytes, len, slice, form);

			if (o.err != whole.err)
				abort();
			if (o.err == 0 && (o.used != whole.used ||
					   !(target_host_equal(&o.bound, &whole.bound) ||
					     o.bound.kind == TARGET_NONE)))
				abort();
		}
	}
	return 0;
}
