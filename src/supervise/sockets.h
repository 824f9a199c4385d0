/* SPDX-License-Identifier: ISC */
/* sockets.h - what sockets there are in this network namespace (sock_diag(7)). */
#ifndef SOCKSIFY_SUPERVISE_SOCKETS_H
#define SOCKSIFY_SUPERVISE_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * sockets_each - call @note for the SO_COOKIE of each socket that has an address.
 * @protocol: IPPROTO_TCP or IPPROTO_UDP
 * False: the kernel does not tell, or not all of them.
 */
bool sockets_each(uint8_t protocol, void (*note)(uint64_t cookie));

#endif
