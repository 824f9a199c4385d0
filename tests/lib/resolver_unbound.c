/* SPDX-License-Identifier: ISC */
/* resolver_unbound.c - what libunbound finds by the servers of resolv.conf: resolver_unbound NAME TYPE. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unbound.h>

int main(int argc, char **argv)
{
	struct ub_ctx *ctx = ub_ctx_create();
	struct ub_result *result;
	char text[INET6_ADDRSTRLEN];
	int err;

	if (argc != 3 || ctx == NULL || ub_ctx_resolvconf(ctx, NULL) != 0)
		return 2;
	err = ub_resolve(ctx, argv[1], atoi(argv[2]), 1, &result);
	if (err != 0) {
		printf("%s\n", ub_strerror(err));
		return 1;
	}
	printf("rcode %d\n", result->rcode);
	for (int i = 0; result->data != NULL && result->data[i] != NULL; i++) {
		if (result->len[i] == 4 || result->len[i] == 16)
			printf("%s\n", inet_ntop(result->len[i] == 4 ? AF_INET : AF_INET6,
						 result->data[i], text, sizeof(text)));
	}
	ub_resolve_free(result);
	ub_ctx_delete(ctx);
	return 0;
}
