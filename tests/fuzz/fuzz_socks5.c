/* SPDX-License-Identifier: ISC */
/* fuzz_socks5.c - hostile bytes from a proxy: the result does not depend on their slicing. */
#include <stdlib.h>

#include "socksify/socks5.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct outcome {
	int err;	/* 1: the bytes ran out */
	size_t used;
	struct target bound;
};

/* The forms of a handshake: with a login, pipelined, with a second reply. */
enum { WITH_LOGIN = 1, PIPELINED = 2, BIND = 4, FORMS = 8 };

static struct outcome run(const uint8_t *bytes, size_t len, size_t slice, int form)
{
	static const struct socks5_login login = { 1, 1, { 'u' }, { 'p' } };
	struct target dst = { .kind = TARGET_NAME, .name_len = 1, .name = "x", .port = 80 };
	struct outcome o = { 0, 0, { .kind = TARGET_NONE } };
	struct socks5 s;
	struct span span;
	bool waits = (form & BIND) != 0;

	socks5_start(&s, waits ? SOCKS5_BIND : SOCKS5_CONNECT, &dst,
		     (form & WITH_LOGIN) != 0 ? &login : NULL);
	if ((form & PIPELINED) != 0)
		socks5_pipeline(&s);
	while (o.err == 0) {
		enum socks5_io io = socks5_want(&s, &span);
		size_t n;

		if (io == SOCKS5_DONE && !waits)
			break;
		if (io == SOCKS5_DONE) {
			waits = false;
			socks5_await_peer(&s);
			continue;
		}
		n = span.len < slice ? span.len : slice;
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
