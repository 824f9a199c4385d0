/* SPDX-License-Identifier: ISC */
/* select.c - select(2) in terms of poll(2), when a handshake is among the fds. */
#include <errno.h>

#include "socksify/relay.h"
#include "socksify/scratch.h"
#include "socksify/sys.h"
#include "socksify/wait.h"

#define SMALL 64

/* What select(2) calls readable, writable and exceptional (select(2), "Correspondence between select() and poll()"). */
#define IN_EVENTS (POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR)
#define OUT_EVENTS (POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR)

#define BITS (8 * (int)sizeof(long))

static bool has_bit(const fd_set *set, int fd)
{
	return set != NULL && (((const unsigned long *)(const void *)set)[fd / BITS] >> fd % BITS & 1) != 0;
}

static void set_bit(fd_set *set, int fd, bool on)
{
	unsigned long *word, bit = 1UL << fd % BITS;

	if (set == NULL)
		return;
	word = &((unsigned long *)(void *)set)[fd / BITS];
	*word = on ? *word | bit : *word & ~bit;
}

static short events_of(int fd, const fd_set *in, const fd_set *out, const fd_set *except)
{
	return (short)((has_bit(in, fd) ? POLLIN : 0) | (has_bit(out, fd) ? POLLOUT : 0) |
		       (has_bit(except, fd) ? POLLPRI : 0));
}

/* Fill @ret, if it is not NULL, with the fds of the sets.  Returns their number. */
static nfds_t collect(int nfds, const fd_set *in, const fd_set *out, const fd_set *except,
		      struct pollfd *ret)
{
	nfds_t count = 0;

	for (int fd = 0; fd < nfds; fd++) {
		short events = events_of(fd, in, out, except);

		if (events == 0)
			continue;
		if (ret != NULL)
			ret[count] = (struct pollfd){ .fd = fd, .events = events };
		count++;
	}
	return count;
}

/* The kernel looks no further than its own table, and old programs rely on it: getdtablesize(3). */
static int limit(int nfds)
{
	int size = nfds > FD_SETSIZE ? sys_fd_table_size() : nfds;

	return nfds < size ? nfds : size;
}

bool wait_select_concerns(int nfds, const fd_set *in, const fd_set *out, const fd_set *except)
{
	if (relay_is_unsettled())
		return true;
	nfds = limit(nfds);
	for (int fd = 0; fd < nfds; fd++)
		if ((fdtab_is_hidden(fd) || fdtab_is_relayed(fd)) && events_of(fd, in, out, except) != 0)
			return true;
	return false;
}

static bool is_invalid(const struct pollfd *fds, nfds_t count)
{
	for (nfds_t i = 0; i < count; i++)
		if ((fds[i].revents & POLLNVAL) != 0)
			return true;
	return false;
}

/* Write the result into the sets.  Returns the number of bits that are set. */
static int report(const struct pollfd *fds, nfds_t count, fd_set *in, fd_set *out,
		  fd_set *except)
{
	int ready = 0;

	for (nfds_t i = 0; i < count; i++) {
		const struct pollfd *p = &fds[i];
		bool is_in = (p->events & POLLIN) != 0 && (p->revents & IN_EVENTS) != 0;
		bool is_out = (p->events & POLLOUT) != 0 && (p->revents & OUT_EVENTS) != 0;
		bool is_except = (p->events & POLLPRI) != 0 && (p->revents & POLLPRI) != 0;

		set_bit(in, p->fd, is_in);
		set_bit(out, p->fd, is_out);
		set_bit(except, p->fd, is_except);
		ready += is_in + is_out + is_except;
	}
	return ready;
}

/* POLLHUP alone makes nothing writable, and POLLIN nothing exceptional: then poll(2) woke for nothing that was asked. */
static bool is_of_interest(const struct pollfd *p)
{
	return ((p->events & POLLIN) != 0 && (p->revents & IN_EVENTS) != 0) ||
	       ((p->events & POLLOUT) != 0 && (p->revents & OUT_EVENTS) != 0) ||
	       (p->events & p->revents & POLLPRI) != 0 || (p->revents & POLLNVAL) != 0;
}

/* Poll until something that select(2) reports happens. */
static int poll_until(struct pollfd *fds, nfds_t count, int64_t end, const sigset_t *mask)
{
	for (;;) {
		int64_t now = sys_now_ns();
		int n = wait_poll(fds, count, end == INT64_MAX ? WAIT_FOREVER
				  : end > now ? end - now : 0, mask);

		if (n <= 0)
			return n;
		for (nfds_t i = 0; i < count; i++)
			if (is_of_interest(&fds[i]))
				return n;
		/* Nobody asked for a hang-up: do not hear of it again. */
		for (nfds_t i = 0; i < count; i++)
			if (fds[i].revents != 0)
				fds[i].fd = -1 - fds[i].fd;
	}
}

int wait_select(int nfds, fd_set *in, fd_set *out, fd_set *except, int64_t timeout_ns,
		const sigset_t *mask, int64_t *ret_left_ns)
{
	int64_t start = sys_now_ns();
	int64_t end = timeout_ns < 0 || timeout_ns > INT64_MAX - start ? INT64_MAX
								       : start + timeout_ns;
	nfds_t count;
	struct pollfd small[SMALL], *fds = small;
	int result;

	nfds = limit(nfds);
	count = collect(nfds, in, out, except, NULL);
	*ret_left_ns = timeout_ns;
	if (count > SMALL)
		fds = scratch_take(count * sizeof(*fds));
	if (fds == NULL)
		return -ENOMEM;
	collect(nfds, in, out, except, fds);
	result = poll_until(fds, count, end, mask);
	for (nfds_t i = 0; i < count; i++)
		if (fds[i].fd < 0)
			fds[i].fd = -1 - fds[i].fd, fds[i].revents = 0;
	if (result >= 0 && is_invalid(fds, count))
		result = -EBADF;
	if (result >= 0)
		result = report(fds, count, in, out, except);
	if (fds != small)
		scratch_give(fds);
	*ret_left_ns = end - sys_now_ns();
	if (*ret_left_ns < 0)
		*ret_left_ns = 0;
	return result;
}
