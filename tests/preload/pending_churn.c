/* SPDX-License-Identifier: ISC */
/* pending_churn.c - eight threads, twenty thousand connects: none gets another's data. */
#include "pending.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

int (*const own_child)(int, char **) = NULL;

enum { THREADS = 8, EACH = 2500, AT_ONCE = 40, ROUNDS_OF_TALK = 2 };

struct exchange {
	int fd;
	uint32_t id;
	unsigned rounds;
	bool connected, refused;
};

struct crew {
	int epfd;
	uint32_t kind;
	atomic_int *left; /* connects that nobody has begun */
	atomic_int *open; /* connects that are under way, in all threads of the set */
};

static atomic_uint next_id;
static struct sockaddr_in good, bad;

static void change(const struct crew *c, int how, struct exchange *x, uint32_t events)
{
	struct epoll_event e = { .events = events | c->kind, .data.ptr = x };

	CHECK_OK(epoll_ctl(c->epfd, how, x->fd, &e));
}

/* Every tenth is refused. */
static void begin(const struct crew *c)
{
	static const struct linger no_time_wait = { .l_onoff = 1, .l_linger = 0 };
	struct exchange *x = calloc(1, sizeof(*x));

	CHECK(x != NULL, "no memory");
	x->id = atomic_fetch_add(&next_id, 1);
	x->refused = x->id % 10 == 9;
	x->fd = tcp_socket(SOCK_NONBLOCK);
	CHECK_OK(setsockopt(x->fd, SOL_SOCKET, SO_LINGER, &no_time_wait, sizeof(no_time_wait)));
	CHECK_ERRNO(tcp_connect(x->fd, x->refused ? &bad : &good), EINPROGRESS);
	/* From here on another thread of the set may have it, and free it. */
	change(c, EPOLL_CTL_ADD, x, EPOLLIN | EPOLLOUT);
}

static void end(const struct crew *c, struct exchange *x)
{
	close(x->fd);
	free(x);
	atomic_fetch_sub(c->open, 1);
}

static void say(struct exchange *x)
{
	uint32_t text[2] = { x->id << 8, ~x->id };

	CHECK(send(x->fd, text, sizeof(text), MSG_NOSIGNAL) == sizeof(text), "send: %s",
	      strerrorname_np(errno));
}

/* Returns false when there is no more to do. */
static bool hear(struct exchange *x)
{
	uint32_t text[2];
	ssize_t n = recv(x->fd, text, sizeof(text), 0);

	if (n < 0 && errno == EAGAIN)
		return true;
	CHECK(n == sizeof(text), "recv gives %zd %s", n, strerrorname_np(errno));
	CHECK(text[0] >> 8 == x->id && text[1] == ~x->id, "%u reads what %u said", x->id,
	      text[0] >> 8);
	if (++x->rounds == ROUNDS_OF_TALK)
		return false;
	say(x);
	return true;
}

static void on_event(const struct crew *c, const struct epoll_event *e)
{
	struct exchange *x = e->data.ptr;

	if (x->refused) {
		CHECK((e->events & (EPOLLERR | EPOLLHUP)) == (EPOLLERR | EPOLLHUP),
		      "a refused one has events %#x", e->events);
		CHECK(so_error(x->fd) == ECONNREFUSED, "another error");
		end(c, x);
		return;
	}
	CHECK((e->events & ~(uint32_t)(EPOLLIN | EPOLLOUT)) == 0, "events %#x", e->events);
	if (!x->connected) {
		CHECK((e->events & EPOLLOUT) != 0 && so_error(x->fd) == 0, "not connected");
		x->connected = true;
		say(x);
	}
	if (!hear(x))
		end(c, x);
	else if ((c->kind & EPOLLONESHOT) != 0)
		change(c, EPOLL_CTL_MOD, x, EPOLLIN);
}

static void *work(void *arg)
{
	const struct crew *c = arg;

	for (;;) {
		struct epoll_event e[8];
		int n;

		while (atomic_load(c->open) < AT_ONCE) {
			if (atomic_fetch_sub(c->left, 1) <= 0)
				break;
			atomic_fetch_add(c->open, 1);
			begin(c);
		}
		if (atomic_load(c->open) == 0 && atomic_load(c->left) <= 0)
			return NULL;
		/* Short, as another thread may get the last event of a shared set. */
		n = CHECK_OK(epoll_wait(c->epfd, e, 8, 50));
		for (int i = 0; i < n; i++)
			on_event(c, &e[i]);
	}
}

/* @shared: all threads wait in one set; else each has its own. */
static void churn(uint32_t kind, bool shared)
{
	static atomic_int left[THREADS], open[THREADS];
	struct crew c[THREADS];
	pthread_t t[THREADS];

	good = step_target(STEP_OK, 0);
	bad = step_target(STEP_REP, 5);
	for (int i = 0; i < THREADS; i++) {
		atomic_store(&left[i], shared ? THREADS * EACH : EACH);
		c[i] = (struct crew){ .kind = kind, .left = &left[i], .open = &open[i] };
		if (shared && i > 0)
			c[i] = c[0];
		else
			c[i].epfd = CHECK_OK(epoll_create1(0));
		CHECK(pthread_create(&t[i], NULL, work, &c[i]) == 0, "pthread_create");
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	CHECK(atomic_load(&next_id) == THREADS * EACH, "%u connects", atomic_load(&next_id));
}

static void edge(void)
{
	churn(EPOLLET, false);
}

static void one_shot_shared(void)
{
	churn(EPOLLONESHOT, true);
}

const struct scenario scenarios[] = {
	{ "edge", edge, 0, 60 },
	{ "one_shot_shared", one_shot_shared, 0, 60 },
	{ .name = NULL },
};
