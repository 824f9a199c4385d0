/* SPDX-License-Identifier: ISC */
/* fakesys_wait.c - the fake kernel's clock, poll(2) and epoll(7), and the rest of sys.h. */
#include "fakesys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "socksify/sys.h"

int64_t sys_now_ns(void)
{
	fake_count_call();
	fakesys.looks++;
	return fakesys.now_ns + (fakesys.jump_at != 0 && fakesys.looks >= fakesys.jump_at ? fakesys.jump_ns : 0);
}

void fake_hook(void (**hook)(void))
{
	void (*call)(void) = *hook;

	*hook = NULL;
	if (call != NULL)
		call();
}

static void call_hook(void)
{
	fakesys.hook_at = 0;
	fake_hook(&fakesys.hook);
}

/*
 * Nothing is ready: let the time pass until something happens to one of the
 * files, or to @end.  Returns false when that is over.
 */
bool fake_pass_time(int64_t next, int64_t end)
{
	bool hooked = fakesys.hook_at != 0 && fakesys.hook_at <= next && fakesys.hook_at <= end;

	if (hooked)
		next = fakesys.hook_at;
	if (next == INT64_MAX && end == INT64_MAX) {
		fakesys.hung = true;
		return false;
	}
	if (!hooked && next > end) {
		fakesys.now_ns = end;
		return false;
	}
	if (next > fakesys.now_ns)
		fakesys.now_ns = next;
	if (hooked)
		call_hook();
	return true;
}

static int64_t end_of(int64_t timeout_ns)
{
	return timeout_ns < 0 ? INT64_MAX : fakesys.now_ns + timeout_ns;
}

static int look(struct pollfd *p, int64_t *next)
{
	struct fake_file *f = p->fd >= 0 && p->fd < FAKE_FDS ? fakesys.fds[p->fd] : NULL;

	p->revents = 0;
	if (p->fd < 0)
		return 0;
	if (f == NULL) {
		p->revents = POLLNVAL;
		return 1;
	}
	p->revents = (short)(fake_events(f) & ((unsigned)p->events | POLLERR | POLLHUP));
	if (fake_next(f) < *next)
		*next = fake_next(f);
	return p->revents != 0;
}

int sys_poll(struct pollfd *fds, nfds_t count, int64_t timeout_ns, const sigset_t *mask)
{
	static const int possible[] = { EINTR, ENOMEM, 0 };
	int64_t end = end_of(timeout_ns), next;
	int err;

	(void)mask;
	if (timeout_ns != 0 && fake_fault(&err, possible))
		return err;
	do {
		int ready = 0;

		fake_count_call();
		next = INT64_MAX;
		for (nfds_t i = 0; i < count; i++)
			ready += look(&fds[i], &next);
		if (ready != 0)
			return ready;
	} while (fake_pass_time(next, end));
	return fakesys.hung ? -ENOMEM : 0;
}

static struct fake_registration *find(struct fake_file *set, const struct fake_file *f, int fd)
{
	for (int i = 0; i < FAKE_REGISTRATIONS; i++)
		if (set->registrations[i].file == f && (f == NULL || set->registrations[i].fd == fd))
			return &set->registrations[i];
	return NULL;
}

void fake_forget(struct fake_file *f)
{
	for (int i = 0; i < FAKE_FDS; i++)
		for (int j = 0; j < FAKE_REGISTRATIONS; j++)
			if (fakesys.files[i].registrations[j].file == f)
				fakesys.files[i].registrations[j].file = NULL;
}

static int check_exclusive(int op, const struct fake_registration *r,
			   const struct epoll_event *event)
{
	const uint32_t may = EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET |
			     EPOLLEXCLUSIVE;

	if (op == EPOLL_CTL_DEL)
		return 0;
	if ((event->events & EPOLLEXCLUSIVE) != 0 &&
	    (op == EPOLL_CTL_MOD || (event->events & ~may) != 0))
		return -EINVAL;
	return op == EPOLL_CTL_MOD && r != NULL && (r->events & EPOLLEXCLUSIVE) != 0 ? -EINVAL : 0;
}

int sys_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	static const int possible[] = { ENOMEM, ENOSPC, 0 };
	struct fake_file *set, *f = fd >= 0 && fd < FAKE_FDS ? fakesys.fds[fd] : NULL;
	struct fake_registration *r;
	int err;

	if (f == NULL || epfd < 0 || epfd >= FAKE_FDS || fakesys.fds[epfd] == NULL)
		return -EBADF;
	set = fake_file(epfd, FAKE_SET);
	if (set == NULL)
		return -EINVAL;
	r = find(set, f, fd);
	err = check_exclusive(op, r, event);
	if (err < 0)
		return err;
	if ((op == EPOLL_CTL_ADD) == (r != NULL))
		return r != NULL ? -EEXIST : -ENOENT;
	if (op == EPOLL_CTL_ADD && fake_fault(&err, possible))
		return err;
	if (op == EPOLL_CTL_ADD)
		fake_hook(&fakesys.before_add);
	if (op == EPOLL_CTL_DEL) {
		r->file = NULL;
		return 0;
	}
	if (r == NULL)
		r = find(set, NULL, 0);
	*r = (struct fake_registration){ .file = f, .fd = fd, .events = event->events,
					 .data = event->data };
	return 0;
}

/* Report one registration, if it has something.  Returns the number of events. */
static int report(struct fake_registration *r, struct epoll_event *ret, int64_t *next)
{
	uint32_t events;

	if (r->file == NULL)
		return 0;
	if (fake_next(r->file) < *next)
		*next = fake_next(r->file);
	events = fake_events(r->file) & (r->events | EPOLLERR | EPOLLHUP);
	if (r->off || events == 0 ||
	    ((r->events & EPOLLET) != 0 && r->reported == r->file->wakes))
		return 0;
	r->reported = r->file->wakes;
	r->off = (r->events & EPOLLONESHOT) != 0;
	*ret = (struct epoll_event){ .events = events, .data = r->data };
	return 1;
}

int sys_epoll_wait(int epfd, struct epoll_event *events, int max, int64_t timeout_ns,
		   const sigset_t *mask)
{
	static const int possible[] = { EINTR, 0 };
	struct fake_file *set = fake_file(epfd, FAKE_SET);
	/* whole milliseconds */
	int64_t end = end_of(timeout_ns < 0 ? -1 : (timeout_ns + MS - 1) / MS * MS), next;
	int err;

	(void)mask;
	if (set == NULL)
		return -EBADF;
	if (timeout_ns != 0 && fake_fault(&err, possible))
		return err;
	do {
		int n = 0;

		fake_count_call();
		next = INT64_MAX;
		for (int i = 0; i < FAKE_REGISTRATIONS && n < max; i++)
			n += report(&set->registrations[i], &events[n], &next);
		if (n != 0)
			return n;
	} while (fake_pass_time(next, end));
	return fakesys.hung ? -EBADF : 0;
}

bool sys_is_cloexec(int fd)
{
	(void)fd;
	return false;
}

void *sys_map(size_t size, bool shared)
{
	static const int possible[] = { ENOMEM, 0 };
	int err;

	(void)shared;
	return fake_fault(&err, possible) ? NULL : calloc(1, size);
}

void sys_unmap(void *map, size_t size)
{
	(void)size;
	free(map);
}

bool sys_is_running(int pid)
{
	return pid == 1;
}

int sys_getpid(void)
{
	return fakesys.pid != 0 ? fakesys.pid : 1;
}

bool sys_is_single_threaded(void)
{
	return !fakesys.threads;
}

bool sys_has_interrupting_handler(void)
{
	return fakesys.interrupts;
}

/* proxy.example has one address, proxies.example two. */
int sys_resolve(const char *name, uint16_t port, struct target *ret, int max)
{
	bool two = strcmp(name, "proxies.example") == 0;

	if (max < 2 || (!two && strcmp(name, "proxy.example") != 0) ||
	    target_from_host("192.0.2.1", 9, port, &ret[0]) < 0 ||
	    target_from_host("192.0.2.2", 9, port, &ret[1]) < 0)
		return -EHOSTUNREACH;
	return two ? 2 : 1;
}
