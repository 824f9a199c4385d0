/* SPDX-License-Identifier: ISC */
/* sockets.c - what sockets there are in this network namespace (sock_diag(7)). */
#include "sockets.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>
#include <unistd.h>

/* One datagram of the kernel's list: 1 there is more, 0 that was all, -1 it failed. */
static int note_all(const char *bytes, size_t len, void (*note)(uint64_t cookie))
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)bytes;

	for (; NLMSG_OK(h, (unsigned)len); h = NLMSG_NEXT(h, len)) {
		const struct inet_diag_msg *msg = NLMSG_DATA(h);

		if (h->nlmsg_type == NLMSG_DONE)
			return 0;
		if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
		    h->nlmsg_len < NLMSG_LENGTH(sizeof(*msg)))
			return -1;
		note((uint64_t)msg->id.idiag_cookie[1] << 32 | msg->id.idiag_cookie[0]);
	}
	return 1;
}

static bool list_family(int fd, uint8_t family, uint8_t protocol, void (*note)(uint64_t cookie))
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 req;
	} ask = {
		.h = { .nlmsg_len = sizeof(ask),
		       .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.req = { .sdiag_family = family,
			 .sdiag_protocol = protocol,
			 .idiag_states = UINT32_MAX },
	};
	_Alignas(struct nlmsghdr) char bytes[32768];
	int more = send(fd, &ask, sizeof(ask), 0) == (ssize_t)sizeof(ask) ? 1 : -1;

	while (more > 0) {
		ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

		more = n > 0 ? note_all(bytes, (size_t)n, note) : -1;
	}
	return more == 0;
}

bool sockets_each(uint8_t protocol, void (*note)(uint64_t cookie))
{
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	bool all = fd >= 0 && list_family(fd, AF_INET, protocol, note) &&
		   list_family(fd, AF_INET6, protocol, note);

	if (fd >= 0)
		close(fd);
	return all;
}
