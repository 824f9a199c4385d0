/* SPDX-License-Identifier: ISC */
/* responder.c - answers the queries of programs that ask a nameserver themselves. */
#include "responder.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loop.h"
#include "socksify/dns_msg.h"
#include "socksify/nameserver.h"
#include "socksify/sys.h"

#define RESPONDERS_MAX 256	/* nameservers that are asked in a run; real ones have three */
#define QUERY_MAX 4096
#define PASSED_MAX 256		/* queries for names of direct rules under way */
#define FORWARDED_MAX 64		/* queries for the resolver behind the proxy under way */
#define FORWARD_ROOM 4096
#define PASS_NS (INT64_C(10) * 1000000000)

/* One for each nameserver and family, so that the port tells who was asked. */
struct responder {
	struct watch watch;		/* first */
	struct target asked;
	union sockaddr_any there;	/* the nameserver */
	union sockaddr_any here;	/* where it is answered for */
	socklen_t len;			/* of both */
};

/* A query that goes to the nameserver itself: a rule says that the name is direct. */
struct passed {
	struct watch watch;		/* first */
	struct timer timer;		/* second */
	const struct responder *by;
	union sockaddr_any client;
	socklen_t client_len;
};

static struct responder *responders[RESPONDERS_MAX];
static int count, passed_count;
static _Atomic int forwarded_count;

static void end_passed(struct passed *p)
{
	loop_remove(&p->watch);
	loop_stop_timer(&p->timer);
	close(p->watch.fd);
	free(p);
	passed_count--;
}

static void pass_back(struct watch *w, uint32_t events)
{
	static uint8_t answer[DNS_MESSAGE_MAX];
	struct passed *p = (struct passed *)(void *)w;
	ssize_t n = recv(w->fd, answer, sizeof(answer), MSG_DONTWAIT);

	(void)events;
	if (n > 0)
		(void)!sendto(p->by->watch.fd, answer, (size_t)n, MSG_DONTWAIT, &p->client.sa,
			      p->client_len);
	end_passed(p);
}

static void too_late(struct timer *t)
{
	end_passed((struct passed *)(void *)((char *)t - offsetof(struct passed, timer)));
}

/* Nobody is told when that fails: the program asks again, or gives up, as without us. */
static void pass_on(const struct responder *r, const void *query, size_t len,
		    const union sockaddr_any *client, socklen_t client_len)
{
	struct passed *p;
	int fd;

	if (passed_count == PASSED_MAX)
		return;
	p = calloc(1, sizeof(*p));
	fd = socket(r->there.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (p == NULL || fd < 0 || sys_connect(fd, &r->there, r->len) < 0 ||
	    send(fd, query, len, MSG_DONTWAIT) < 0)
		goto fail;
	p->watch = (struct watch){ .fd = fd, .events = EPOLLIN, .ready = pass_back };
	p->timer.late = too_late;
	p->by = r;
	p->client = *client;
	p->client_len = client_len;
	if (loop_add(&p->watch) < 0)
		goto fail;
	passed_count++;
	loop_start_timer(&p->timer, sys_now_ns() + PASS_NS);
	return;
fail:
	if (fd >= 0)
		close(fd);
	free(p);
}

/* A query that the resolver behind the proxy answers, with a thread that waits for it. */
struct forwarded {
	const struct responder *by;
	union sockaddr_any client;
	socklen_t client_len;
	size_t len;
	uint8_t query[QUERY_MAX];
};

/* The engine is made for many threads; this one has nothing of the loop's but the socket. */
static void *forward(void *argument)
{
	struct forwarded *f = argument;
	uint8_t text[FORWARD_ROOM];
	size_t len = 0;

	if (nameserver_forward(f->query, f->len, false, text, sizeof(text), &len) == 0)
		(void)!sendto(f->by->watch.fd, text, len, MSG_DONTWAIT, &f->client.sa,
			      f->client_len);
	free(f);
	atomic_fetch_sub(&forwarded_count, 1);
	return NULL;
}

/* As in pass_on(), nobody is told when that fails. */
static void start_forward(const struct responder *r, const void *query, size_t len,
			  const union sockaddr_any *client, socklen_t client_len)
{
	struct forwarded *f;
	pthread_t thread;

	if (atomic_load(&forwarded_count) == FORWARDED_MAX)
		return;
	f = malloc(sizeof(*f));
	if (f == NULL)
		return;
	f->by = r;
	f->client = *client;
	f->client_len = client_len;
	f->len = len;
	memcpy(f->query, query, len);
	atomic_fetch_add(&forwarded_count, 1);
	if (pthread_create(&thread, NULL, forward, f) == 0) {
		(void)pthread_detach(thread);
		return;
	}
	atomic_fetch_sub(&forwarded_count, 1);
	free(f);
}

static void answer(struct watch *w, uint32_t events)
{
	static uint8_t query[QUERY_MAX];
	const struct responder *r = (const struct responder *)(const void *)w;
	uint8_t text[NAMESERVER_ROOM];
	union sockaddr_any client;
	socklen_t client_len = sizeof(client);
	ssize_t n = recvfrom(w->fd, query, sizeof(query), MSG_DONTWAIT, &client.sa, &client_len);
	size_t len = 0;

	(void)events;
	if (n < 0)
		return;
	switch (nameserver_answer(query, (size_t)n, false, text, sizeof(text), &len)) {
	case NAMESERVER_ANSWERED:
		break;
	case NAMESERVER_FORWARD:
		start_forward(r, query, (size_t)n, &client, client_len);
		return;
	case NAMESERVER_PASS:
		pass_on(r, query, (size_t)n, &client, client_len);
		return;
	case NAMESERVER_DROP:
		return;
	}
	(void)!sendto(w->fd, text, len, MSG_DONTWAIT, &client.sa, client_len);
}

static int open_responder(struct responder *r, int family)
{
	struct target t = target_loopback(family, 0);
	int err = 0, fd;

	if (target_to_sockaddr(&t, family, &r->here) < 0)
		return -EAFNOSUPPORT;
	fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	r->watch = (struct watch){ .fd = fd, .events = EPOLLIN, .ready = answer };
	if (bind(fd, &r->here.sa, r->len) < 0)
		err = -errno;
	if (err == 0)
		err = sys_getsockname(fd, &r->here, &(socklen_t){ r->len });
	if (err == 0)
		err = loop_add(&r->watch);
	if (err < 0)
		close(fd);
	return err;
}

static struct responder *find(const struct target *asked, int family)
{
	for (int i = 0; i < count; i++)
		if (responders[i]->here.sa.sa_family == family &&
		    target_equal(&responders[i]->asked, asked))
			return responders[i];
	return NULL;
}

static int make(const struct target *asked, int family, struct responder **ret)
{
	struct responder *r;
	int err;

	if (count == RESPONDERS_MAX)
		return -ENETUNREACH;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	r->asked = *asked;
	err = target_to_sockaddr(asked, family, &r->there);
	r->len = (socklen_t)err;
	if (err > 0)
		err = open_responder(r, family);
	if (err < 0) {
		free(r);
		return err == -EADDRNOTAVAIL ? -ENETUNREACH : err;
	}
	responders[count++] = r;
	*ret = r;
	return 0;
}

int responder_for(const struct target *asked, int family, union sockaddr_any *ret)
{
	/* A socket of AF_INET6 reaches both kinds, each by its own loopback. */
	int kind = asked->kind == TARGET_IPV6 ? AF_INET6 : AF_INET, err = 0;
	struct responder *r = find(asked, kind);
	struct target here;

	if (r == NULL)
		err = make(asked, kind, &r);
	if (err == 0)
		err = target_from_sockaddr(&r->here.sa, r->len, &here);
	return err < 0 ? err : target_to_sockaddr(&here, family, ret);
}

int responder_asked(const union sockaddr_any *from, int family, union sockaddr_any *ret)
{
	struct target t, here;
	int len;

	if (count == 0 || target_from_sockaddr(&from->sa, sizeof(*from), &t) < 0)
		return 0;
	for (int i = 0; i < count; i++)
		if (target_from_sockaddr(&responders[i]->here.sa, responders[i]->len, &here) == 0 &&
		    target_equal(&here, &t)) {
			len = target_to_sockaddr(&responders[i]->asked, family, ret);
			return len > 0 ? len : 0;
		}
	return 0;
}
