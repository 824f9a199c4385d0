/* SPDX-License-Identifier: ISC */
/* fuzz_url.c - a URL that is accepted has a port, a host and a whole login; one that is not says why. */
#include "socksify/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	char error[CONFIG_ERROR_SIZE] = "";
	char *url = malloc(size + 1);
	struct proxy p;

	if (url == NULL)
		return 0;
	if (size > 0)
		memcpy(url, octets, size);
	url[size] = '\0';
	if (proxy_from_url(url, &p, error) < 0) {
		if (error[0] == '\0')
			abort();
	} else if (p.address.port == 0 || p.address.kind == TARGET_NONE ||
		   (p.has_login && (p.login.user_len == 0 || p.login.pass_len == 0)) ||
		   p.has_login != (strchr(url, '@') != NULL)) {
		abort();
	}
	free(url);
	return 0;
}
