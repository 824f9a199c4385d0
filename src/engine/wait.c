/* SPDX-License-Identifier: ISC */
/* wait.c - poll(2) and epoll_wait(2) that move the handshakes among what they wait for. */
#include "socksify/wait.h"

#include <errno.h>
#include <string.h>

#include "socksify/drive.h"
#include "socksify/epreg.h"
#include "socksify/listener.h"
#include "socksify/relay.h"
#include "socksify/scratch.h"
#include "socksify/sys.h"

/* Sets up to this size are copied to the stack. */
#define SMALL 64

/* So many associations are waited for together with the program's fds; more are looked at in turn. */
#define CONTROLS 16

/* What an answer of the proxy that is owed makes ready, though it is not the program's. */
#define IN_EVENTS (POLLIN | POLLRDNORM | POLLRDHUP)

/* What a listening socket reports when accept(2) has something to return. */
#define ACCEPT_EVENTS (POLLIN | POLLRDNORM)

/* In the program's revents while we wait: this fd is pending, and hidden. */
#define HIDDEN ((short)0x4000)

static int64_t end_of(int64_t start, int64_t timeout_ns)
{
	return timeout_ns < 0 || timeout_ns > INT64_MAX - start ? INT64_MAX : start + timeout_ns;
}

static bool has_pending(const struct pollfd *fds, nfds_t count)
{
	if (relay_is_unsettled())
		return true;
	for (nfds_t i = 0; i < count; i++)
		if (fdtab_is_hidden(fds[i].fd) || fdtab_is_relayed(fds[i].fd))
			return true;
	return false;
}

/* What to ask the kernel for a pending fd in the place of what the program asks; when to look again. */
static int64_t hide(struct conn *conn, int fd, struct pollfd *copy, int64_t now, int64_t end)
{
	copy->fd = -1;
	end = sys_earlier(end, listener_look(conn, fd));
	if (conn_state(conn) == CONN_ARRIVED) {
		if ((copy->events & ACCEPT_EVENTS) != 0)
			end = now;
	} else if (conn_state(conn) == CONN_OWED) {
		/* Shown but for the answers, which have to be read before anything else is. */
		copy->fd = fd;
		copy->events |= POLLIN;
		end = sys_earlier(end, drive_deadline(conn));
	} else if (conn_state(conn) != CONN_IDLE) {
		int64_t until = sys_earlier(end, now + DRIVE_TICK_NS);

		if (drive_lead(conn, &until, &copy->events))
			copy->fd = fd;
		else
			until = sys_earlier(end, now + DRIVE_SLICE_NS);
		end = until;
	}
	return end;
}

/* Copy the set with pending fds hidden.  Returns when to look again at the latest. */
static int64_t hide_all(struct pollfd *fds, nfds_t count, struct pollfd *copy,
			int64_t now, int64_t end)
{
	for (nfds_t i = 0; i < count; i++) {
		struct conn *conn;

		copy[i] = fds[i];
		fds[i].revents = 0;
		if (relay_is_unsettled() && fdtab_is_relayed(fds[i].fd)) {
			copy[i].events &= (short)~relay_held_events(fds[i].fd);
			if (relay_has_failed(fds[i].fd))
				end = now;
		}
		if (!fdtab_is_hidden(fds[i].fd))
			continue;
		fds[i].revents = HIDDEN;
		copy[i].fd = -1;
		conn = fdtab_get(fds[i].fd);
		end = conn != NULL ? hide(conn, fds[i].fd, &copy[i], now, end) : now;
		if (conn != NULL)
			conn_unref(conn);
	}
	return end;
}

/* What a socket reports whose handshake has just ended. */
static short ask(const struct pollfd *p, enum conn_state state)
{
	const short out = POLLOUT | POLLWRNORM;
	struct pollfd one = { .fd = p->fd, .events = p->events };

	/* The reply came this moment, so it can send; what else there is, the kernel knows. */
	if (state == CONN_CONNECTED && (p->events & ~out) == 0)
		return p->events;
	if (state == CONN_OWED)
		one.events &= (short)~IN_EVENTS;
	return sys_poll(&one, 1, 0, NULL) > 0 ? one.revents : 0;
}

/* What is to be told of a hidden fd; @conn: NULL when it was closed. */
static short show(struct conn *conn, const struct pollfd *p, const struct pollfd *copy, bool polled)
{
	int ready = copy->fd < 0 ? HANDSHAKE_ASK : polled ? copy->revents : 0;
	enum conn_state state = conn != NULL ? drive_advance(conn, p->fd, ready) : CONN_FRESH;

	if (state == CONN_ARRIVED)
		return p->events & ACCEPT_EVENTS;
	if (state == CONN_IDLE)
		return 0;
	if (state == CONN_OWED && polled && copy->fd >= 0)
		return (short)(copy->revents & p->events & ~IN_EVENTS);
	return state == CONN_PENDING ? 0 : ask(p, state);
}

/* Was the fd raw in the kernel's poll, and is pending by now?  Then what was seen is not to be told. */
static bool is_news(const struct pollfd *p, const struct pollfd *copy)
{
	return copy->revents != 0 && fdtab_is_hidden(p->fd);
}

/* What show_all() works with. */
struct round {
	bool polled;	/* the kernel reported something */
	bool late;	/* it may be that some handshake's time is over */
	int64_t now;
	int64_t look;	/* when to look at all of them again */
};

/* Move one fd that is hidden, or is to be from now on. */
static void show_hidden(struct pollfd *p, struct pollfd *copy, bool polled, struct round *round)
{
	struct conn *conn = fdtab_get(p->fd);
	short revents = show(conn, p, copy, polled);

	*copy = *p;
	p->revents = revents;
	if (revents == 0 && conn != NULL && conn_is_hidden(conn_state(conn))) {
		p->revents = HIDDEN;
		round->look = hide(conn, p->fd, copy, round->now, round->look);
	}
	if (conn != NULL)
		conn_unref(conn);
}

/* What a relayed socket reports beside what the kernel says of it. */
static short show_relayed(const struct pollfd *p, short revents)
{
	if (relay_is_unsettled() && relay_has_failed(p->fd))
		return (short)((p->events & (POLLIN | POLLOUT)) | POLLERR);
	/* An error is told by the receive that looks for a datagram, which is not ours to be told. */
	if ((revents & (POLLIN | POLLRDNORM)) != 0 && (revents & POLLERR) == 0 &&
	    !relay_has_datagram(p->fd))
		revents &= (short)~(POLLIN | POLLRDNORM);
	return revents;
}

/* After the kernel's poll: move what is pending, and report.  Returns how many fds are ready. */
static int show_all(struct pollfd *fds, nfds_t count, struct pollfd *copy, struct round *round)
{
	int ready = 0;

	for (nfds_t i = 0; i < count; i++) {
		if (fds[i].revents != HIDDEN) {
			fds[i].revents = round->polled ? copy[i].revents : 0;
			if (round->polled && is_news(&fds[i], &copy[i]))
				show_hidden(&fds[i], &copy[i], false, round);
		} else if (round->late || copy[i].fd < 0 ||
			   (round->polled && copy[i].revents != 0)) {
			show_hidden(&fds[i], &copy[i], round->polled, round);
		}
		if (fdtab_is_relayed(fds[i].fd))
			fds[i].revents = show_relayed(&fds[i], fds[i].revents);
		ready += fds[i].revents != 0 && fds[i].revents != HIDDEN;
	}
	return ready;
}

/* The end: sleep no more for what is hidden, and tell nothing of it.  @ready: < 0, nor of anything else */
static void follow_all(struct pollfd *fds, nfds_t count, int ready)
{
	for (nfds_t i = 0; i < count; i++) {
		struct conn *conn = NULL;

		if (fds[i].revents == 0)
			continue; /* none that we slept for */
		if (fdtab_is_hidden(fds[i].fd))
			conn = fdtab_get(fds[i].fd);
		if (conn != NULL) {
			drive_follow(conn);
			conn_unref(conn);
		}
		if (ready < 0 || fds[i].revents == HIDDEN)
			fds[i].revents = 0;
	}
}

/*
 * The control connections behind the copy of the set, which has room for them.
 * Returns their number; when to look at more than those is told by @end.
 */
static nfds_t add_controls(struct pollfd *controls, int64_t *end)
{
	int n;

	if (!relay_is_unsettled())
		return 0;
	*end = sys_earlier(*end, relay_advance_all(false));
	n = relay_controls(controls, CONTROLS);
	if (n == CONTROLS)
		*end = sys_earlier(*end, sys_now_ns() + DRIVE_SLICE_NS);
	return (nfds_t)n;
}

static int poll_set(struct pollfd *fds, nfds_t count, struct pollfd *copy,
		    int64_t end, const sigset_t *mask)
{
	struct round round = { .late = true, .now = sys_now_ns() };
	nfds_t controls = 0;
	int ready;

	do {
		int64_t until;
		int n;

		if (round.late) {
			round.look = INT64_MAX;
			controls = add_controls(copy + count, &round.look);
			round.look = hide_all(fds, count, copy, round.now, round.look);
		}
		until = sys_earlier(round.look, end);
		n = sys_poll(copy, count + controls, until == INT64_MAX ? WAIT_FOREVER
			     : until > round.now ? until - round.now : 0, mask);
		round.now = sys_now_ns();
		round.late = round.now >= round.look;
		round.polled = n > 0;
		/* After a signal the set is not looked at again: its handler may have closed what is in it. */
		if (n > 0 && controls > 0)
			(void)relay_advance_all(false);
		ready = n < 0 ? n : show_all(fds, count, copy, &round);
		round.late = round.late || controls > 0;
	} while (ready == 0 && (end == INT64_MAX || round.now < end));
	follow_all(fds, count, ready);
	return ready;
}

int wait_poll(struct pollfd *fds, nfds_t count, int64_t timeout_ns, const sigset_t *mask)
{
	struct pollfd small[SMALL + CONTROLS], *copy = small;
	int64_t end = end_of(timeout_ns > 0 ? sys_now_ns() : 0, timeout_ns);
	int result;

	if (count == 0 || fds == NULL || !has_pending(fds, count))
		return sys_poll(fds, count, timeout_ns, mask);
	if (count > SMALL)
		copy = scratch_take((count + CONTROLS) * sizeof(*copy));
	if (copy == NULL)
		return -ENOMEM;
	result = poll_set(fds, count, copy, end, mask);
	if (copy != small)
		scratch_give(copy);
	return result;
}

/* Look after each pending handshake: its deadline, and what another process made of it. */
static void look(struct conn *conn, void *arg)
{
	int64_t *end = arg;
	int fd = atomic_load(&conn->fd);
	struct conn *there = fdtab_get(fd);

	if (there == conn)
		*end = sys_earlier(*end, sys_earlier(listener_look(conn, fd), drive_look(conn, fd)));
	if (there != NULL)
		conn_unref(there);
}

/*
 * When epoll_wait(2) must be back at the latest.  The kernel wakes it for what
 * arrives, but not for a deadline, nor for what another process does.
 */
static _Atomic int64_t next_look;

static int64_t look_at_pending(int64_t now, int64_t end)
{
	int64_t next = atomic_load(&next_look);

	if (!wait_has_pending())
		return end;
	if (relay_is_unsettled())
		end = sys_earlier(end, relay_advance_all(true));
	if (now >= next) {
		next = now + DRIVE_TICK_NS;
		conn_each_pending(look, &next);
		atomic_store(&next_look, next);
	}
	return sys_earlier(end, next);
}

/* Move what an event of ours is about.  True: @event says what the program is to hear of it. */
static bool is_for_program(struct conn *conn, int fd, struct epoll_event *event)
{
	if (atomic_load(&conn->relay) != NULL)
		return relay_woken(conn, fd) && epreg_fail(event);
	return drive_advance(conn, fd, (int)event->events) != CONN_PENDING &&
	       epreg_translate(event);
}

/* Take our events out, moving the handshakes that they are about.  Returns how many are the program's. */
static int filter(struct epoll_event *events, int got)
{
	int kept = 0;

	for (int i = 0; i < got; i++) {
		bool ours;
		int fd;
		struct conn *conn = epreg_conn(&events[i], &ours, &fd);

		if (!ours || (conn != NULL && is_for_program(conn, fd, &events[i])))
			events[kept++] = events[i];
		if (conn != NULL)
			conn_unref(conn);
	}
	return kept;
}

static int epoll_until(int epfd, struct epoll_event *events, int max, int64_t end,
		       const sigset_t *mask)
{
	bool moved, last_look = true;

	for (;;) {
		int64_t now = sys_now_ns();
		int64_t until = look_at_pending(now, end);
		int n = sys_epoll_wait(epfd, events, max, until == INT64_MAX ? WAIT_FOREVER
				       : until > now ? until - now : 0, mask);

		if (n < 0)
			return n;
		moved = n > 0;
		n = filter(events, n);
		if (n > 0 || (end != INT64_MAX && sys_now_ns() >= end && !(moved && last_look)))
			return n;
		/* What ended this moment is to be seen, even if the time is over. */
		last_look = end == INT64_MAX || sys_now_ns() < end;
	}
}

int wait_epoll(int epfd, struct epoll_event *events, int max, int64_t timeout_ns,
	       const sigset_t *mask)
{
	return epoll_until(epfd, events, max, end_of(sys_now_ns(), timeout_ns), mask);
}

int wait_epoll_go_on(int epfd, struct epoll_event *events, int max, int got,
		     int64_t timeout_ns, int64_t start, const sigset_t *mask)
{
	int n = filter(events, got);

	if (n > 0)
		return n;
	return epoll_until(epfd, events, max, timeout_ns == 0 ? sys_now_ns()
			   : end_of(start, timeout_ns), mask);
}
