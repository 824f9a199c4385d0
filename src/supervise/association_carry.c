/* SPDX-License-Identifier: ISC */
/* association_carry.c - datagrams between peers and the relay. */
#include <errno.h>
#include <string.h>

#include "association_state.h"
#include "socksify/dns_msg.h"
#include "socksify/namepool.h"
#include "socksify/nameserver.h"
#include "socksify/relay.h"
#include "socksify/socks5_udp.h"
#include "socksify/sys.h"

#define DATAGRAM_MAX 65536
#define BURST 64		/* datagrams of one socket, before others have a turn */
#define STRANGERS_MAX 64	/* peers that the program did not send to */

/* With room for a header in front. */
static uint8_t room[SOCKS5_UDP_HEADER_MAX + DATAGRAM_MAX];
static uint8_t *const payload = room + SOCKS5_UDP_HEADER_MAX;

struct target association_program(const struct association *a, const struct target *asked)
{
	return relay_is_wildcard(&a->program) ?
		       target_loopback(asked->kind == TARGET_IPV6 ? AF_INET6 : AF_INET,
				       a->program.port) : a->program;
}

/* A query that is not for a name server, even behind the proxy: .onion with `dns local` (RFC 7686). */
static bool answers(const struct peer *p, size_t n)
{
	uint8_t text[NAMESERVER_ROOM];
	size_t len = 0;

	if (p->target.port != DNS_PORT ||
	    nameserver_answer(payload, n, false, text, sizeof(text), &len) != NAMESERVER_ANSWERED)
		return false;
	(void)!sys_send(p->watch.fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	return true;
}

/* One datagram of the program's.  False: there is none. */
static bool relay_one(struct association *a, const struct peer *p)
{
	uint8_t header[SOCKS5_UDP_HEADER_MAX];
	size_t len = socks5_udp_header_put(header, &p->target);
	uint8_t *whole = payload - len;
	ssize_t n = sys_recv(p->watch.fd, payload, DATAGRAM_MAX, MSG_DONTWAIT);

	if (n < 0)
		return n == -ECONNREFUSED; /* the program's socket did not take the last one */
	if (answers(p, (size_t)n))
		return true;
	memcpy(whole, header, len);
	/* What cannot be sent is lost, as on any other way. */
	(void)!sys_send(a->relay.fd, whole, len + (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	a->sent = sys_now_ns();
	return true;
}

void association_carry(struct peer *p)
{
	struct association *a = p->of;

	if (a->state == ASSOCIATION_IDLE && a->error == 0)
		association_begin(a);
	if (a->state == ASSOCIATION_IDLE)
		peer_receive_from(p, NULL);
	for (int i = 0; i < BURST && a->state == ASSOCIATION_READY && relay_one(a, p); i++)
		continue;
}

static void peer_ready(struct watch *w, uint32_t events)
{
	/* The program's socket did not take what was sent last; while nothing is received, that would stay. */
	if ((events & EPOLLERR) != 0)
		(void)!sys_get_int(w->fd, SOL_SOCKET, SO_ERROR);
	association_carry((struct peer *)(void *)w);
}

int association_add_peer(struct association *a, const struct target *target,
			 const struct target *asked, struct peer **ret)
{
	struct target program = association_program(a, asked);
	int err = peer_new(target, asked, &program, ret);

	if (err < 0)
		return err;
	(*ret)->of = a;
	(*ret)->watch.ready = peer_ready;
	(*ret)->watch.events = a->state == ASSOCIATION_UNDER_WAY ? 0 : EPOLLIN;
	err = loop_add(&(*ret)->watch);
	if (err < 0) {
		peer_free(*ret);
		return err;
	}
	(*ret)->next = a->peers;
	a->peers = *ret;
	return 0;
}

/* Somebody whom the program did not send to. */
static struct peer *stranger(struct association *a, const struct target *from)
{
	struct target asked = *from;
	struct peer *p;
	int err = 0;

	if (a->strangers == STRANGERS_MAX)
		return NULL;
	if (from->kind == TARGET_NAME) {
		err = namepool_address(from->name, from->name_len, AF_INET, &asked);
		asked.port = from->port;
	}
	if (err < 0 || association_add_peer(a, from, &asked, &p) < 0)
		return NULL;
	a->strangers++;
	return p;
}

/* A socket of the program's that is connected takes only what comes from its peer. */
void association_relay_ready(struct watch *w, uint32_t events)
{
	struct association *a = (struct association *)(void *)
		((char *)w - offsetof(struct association, relay));
	struct target from;
	struct peer *p;

	(void)events;
	for (int i = 0; i < BURST; i++) {
		ssize_t n = sys_recv(w->fd, payload, DATAGRAM_MAX, MSG_DONTWAIT);
		int header;

		if (n == -ECONNREFUSED)
			continue; /* the relay's machine: what was sent is lost */
		if (n < 0)
			return;
		header = socks5_udp_header_take(payload, (size_t)n, &from);
		if (header < 0 || from.kind == TARGET_NONE)
			continue;
		target_unmap(&from);
		p = peer_of_source(a->peers, &from);
		if (p == NULL)
			p = stranger(a, &from);
		if (p != NULL)
			(void)!sys_send(p->watch.fd, payload + header, (size_t)(n - header),
					MSG_DONTWAIT | MSG_NOSIGNAL);
	}
}
