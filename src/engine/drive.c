/* SPDX-License-Identifier: ISC */
/* drive.c - who moves a pending handshake, when, and how it ends. */
#include "socksify/drive.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>

#include "await.h"
#include "socksify/epreg.h"
#include "socksify/fdtab.h"
#include "socksify/listener.h"
#include "socksify/lock.h"
#include "socksify/relay.h"
#include "socksify/replace.h"
#include "socksify/report.h"
#include "socksify/sys.h"

/* A leader that has not looked for so long was thrown out of its sleep (siglongjmp, cancellation). */
#define GRACE_NS 200000000

/* An owner that has not looked for so long leaves a shared handshake to whoever does. */
#define PATIENCE_NS (5 * DRIVE_SLICE_NS)

struct handshake *drive_hold(struct conn *conn)
{
	struct handshake *hs = atomic_load(&conn->handshake);

	if (hs == NULL || !handshake_ref(hs))
		return NULL;
	if (atomic_load(&conn->handshake) == hs)
		return hs;
	handshake_unref(hs);
	return NULL;
}

bool drive_retire(struct conn *conn, struct handshake *hs)
{
	if (!atomic_compare_exchange_strong(&conn->handshake, &hs, NULL))
		return false;
	handshake_unref(hs);
	return true;
}

void drive_begin(struct conn *conn, int fd, struct handshake *hs)
{
	(void)!handshake_ref(hs); /* one for the caller, until drive_end() */
	atomic_store(&conn->fd, fd);
	atomic_store(&conn->seen, epreg_has(conn));
	atomic_store(&conn->answers_once, false);
	atomic_store(&conn->spoke, false);
	atomic_store(&conn->error, 0);
	if (report_is_on())
		report_begun(conn);
	atomic_store(&conn->handshake, hs);
}

void drive_end(struct handshake *hs)
{
	if (hs != NULL)
		handshake_unref(hs);
}

/* Why it is not connected, in words; NULL: it is. */
static const char *why_ended(const struct handshake *hs)
{
	const char *reason = hs->s.reason;

	switch (handshake_phase(hs)) {
	case HANDSHAKE_DONE:
		return NULL;
	case HANDSHAKE_REFUSED:
		if (reason == NULL)
			reason = strerrordesc_np(hs->error);
		return reason != NULL ? reason : "unknown error";
	case HANDSHAKE_UNREACHED:
	case HANDSHAKE_CONNECTING:
	case HANDSHAKE_TALKING:
	case HANDSHAKE_OWED:
	case HANDSHAKE_TAKEN:
		break;
	}
	return "the proxy cannot be reached";
}

/*
 * Make the socket look as if the kernel's connect had been refused: AF_UNSPEC
 * gives it an error and TCP_CLOSE (POLLERR, POLLHUP, no peer), the shutdown
 * end of file (POLLIN, POLLRDHUP).  A connection that the proxy reset is closed
 * already, and has no error any more when we took it: breaking a new one off
 * makes one.
 */
static void show_refused(const struct handshake *hs, int fd)
{
	if (hs->took_error && (sys_get_flags(fd) & O_NONBLOCK) != 0) {
		sys_disconnect(fd);
		(void)!sys_connect(fd, &hs->addresses[hs->address_at], sizeof(hs->addresses[0]));
	}
	sys_disconnect(fd);
	(void)!sys_shutdown(fd, SHUT_RDWR);
}

/* The request is sent, and an optimist takes that for a connection. */
static void show_early(struct conn *conn, struct handshake *hs, int fd)
{
	handshake_restore_cork(hs, fd);
	handshake_send_at_once(hs, fd);
	conn_set_proxy(conn, &hs->addresses[hs->address_at]);
	if (conn_change_state(conn, CONN_PENDING, CONN_OWED))
		epreg_hide(conn);
}

/* The handshake is over: from here on the kernel answers, with our notes. */
static void settle(struct conn *conn, struct handshake *hs, int fd)
{
	enum handshake_phase phase = handshake_phase(hs);

	if (listener_of(conn) != NULL) {
		listener_settle(conn, hs, fd);
		return;
	}
	if (!drive_retire(conn, hs))
		return;
	handshake_restore_options(hs, fd);
	conn_set_proxy(conn, &hs->addresses[hs->address_at]);
	if (report_is_on())
		report_settled(conn, hs, why_ended(hs));
	if (phase == HANDSHAKE_DONE) {
		if (listener_is_on())
			listener_note_connected(conn, hs, fd);
		conn_set_state(conn, CONN_CONNECTED);
		fdtab_change_marks(fd, 0, FD_TCP | FD_NONBLOCK | FD_OPTIONS);
	} else if (phase == HANDSHAKE_REFUSED) {
		conn->local_len = sizeof(conn->local);
		if (sys_getsockname(fd, &conn->local, &conn->local_len) < 0)
			conn->local_len = 0;
		else if (atomic_load(&conn->replaced))
			replace_local(&conn->local, &conn->local_len);
		show_refused(hs, fd);
		atomic_store(&conn->error, hs->error);
		conn_set_state(conn, CONN_FAILED);
	} else {
		conn_set_state(conn, CONN_FRESH);
	}
	epreg_show(conn, phase == HANDSHAKE_DONE);
}

/* What the process that moved it made of it. */
static void settle_as_other(struct conn *conn, struct handshake *hs, int fd)
{
	enum handshake_phase phase = handshake_phase(hs);
	union sockaddr_any peer = conn_proxy(conn);
	socklen_t len = sizeof(peer);

	if (listener_of(conn) != NULL) {
		listener_settle(conn, hs, fd);
		return;
	}
	if (!drive_retire(conn, hs))
		return;
	if (!handshake_is_current(hs))
		/* Its storage has other uses already; the kernel knows whether there is a peer. */
		phase = sys_getpeername(fd, &peer, &len) == 0 ? HANDSHAKE_DONE
							       : HANDSHAKE_UNREACHED;
	else
		peer = hs->addresses[hs->address_at];
	conn_set_proxy(conn, &peer);
	report_elsewhere(conn);
	atomic_store(&conn->error, phase == HANDSHAKE_REFUSED ? hs->error : 0);
	conn_set_state(conn, phase == HANDSHAKE_DONE ? CONN_CONNECTED
			     : phase == HANDSHAKE_REFUSED ? CONN_FAILED : CONN_FRESH);
	epreg_show(conn, phase == HANDSHAKE_DONE);
}

/*
 * May this process move the handshake?  If the one that did is gone, closed its
 * fd, or does not look after it (it may wait for this very process), this one
 * goes on.
 */
static bool is_owner(struct conn *conn, struct handshake *hs, int fd)
{
	int me = drive_process(), owner = atomic_load(&hs->owner);

	if (owner == me)
		return true;
	if (!handshake_is_current(hs) ||
	    handshake_phase(hs) >= HANDSHAKE_DONE) {
		settle_as_other(conn, hs, fd);
		return false;
	}
	/* After a fork without handlers nobody said that it is shared. */
	if (!atomic_load(&hs->shared))
		return false;
	if ((owner != 0 &&
	     sys_now_ns() < atomic_load(&hs->looked) + PATIENCE_NS && sys_is_running(owner)) ||
	    !atomic_compare_exchange_strong(&hs->owner, &owner, me))
		return false;
	if (owner != 0 && !sys_is_running(owner)) {
		if (!handshake_enter(hs))
			handshake_take_over(hs); /* it died in its turn */
		while (handshake_leave(hs))
			;
	}
	return true;
}

static bool is_led_by_other(const struct conn *conn)
{
	const void *leader = atomic_load(&conn->leader);

	return leader != NULL && leader != (const void *)pthread_self() &&
	       sys_now_ns() < atomic_load(&conn->leader_until);
}

static void step(struct conn *conn, struct handshake *hs, int fd, int ready)
{
	enum handshake_phase phase = handshake_step(hs, fd, ready);

	if (phase >= HANDSHAKE_DONE)
		settle(conn, hs, fd);
	else if (phase == HANDSHAKE_OWED && conn_state(conn) == CONN_PENDING)
		show_early(conn, hs, fd);
}

/* Nobody keeps a turn beyond the deadline but who will never give it back. */
static bool take_turn(struct handshake *hs)
{
	if (handshake_enter(hs))
		return true;
	if (sys_now_ns() < hs->deadline + GRACE_NS)
		return false;
	handshake_take_over(hs);
	return true;
}

/* Of a handshake that the caller holds. */
static void advance(struct conn *conn, struct handshake *hs, int fd, int ready)
{
	atomic_store_explicit(&conn->fd, fd, memory_order_relaxed);
	if (is_led_by_other(conn) || !is_owner(conn, hs, fd) || !take_turn(hs)) {
		atomic_store(&conn->missed, true);
		return;
	}
	if (atomic_load(&hs->shared))
		atomic_store(&hs->looked, sys_now_ns());
	do {
		if (atomic_load(&conn->handshake) == hs)
			step(conn, hs, fd, ready);
		ready = HANDSHAKE_ASK;
	} while (handshake_leave(hs));
}

enum conn_state drive_advance(struct conn *conn, int fd, int ready)
{
	struct handshake *hs = drive_hold(conn);

	if (hs != NULL)
		advance(conn, hs, fd, ready);
	drive_end(hs);
	return conn_state(conn);
}

/* Of a handshake that the caller holds. */
static bool lead(struct conn *conn, struct handshake *hs, int64_t *until, short *ret_events)
{
	void *me = (void *)pthread_self(), *leader;
	bool leads;

	if (hs->deadline < *until)
		*until = hs->deadline;
	if (atomic_load(&hs->owner) != fdtab_owner() || is_led_by_other(conn))
		return false;
	leader = atomic_load(&conn->leader);
	atomic_store(&conn->leader_until, *until + GRACE_NS);
	atomic_store(&hs->looked, *until);
	leads = leader == me || atomic_compare_exchange_strong(&conn->leader, &leader, me);
	/* Whoever moves it at this moment may leave nothing to wait for. */
	if (!leads || !handshake_enter(hs))
		return false;
	*ret_events = handshake_events(hs);
	while (handshake_leave(hs))
		leads = false;
	return leads;
}

bool drive_lead(struct conn *conn, int64_t *until, short *ret_events)
{
	struct handshake *hs = drive_hold(conn);
	bool leads;

	*ret_events = 0;
	atomic_store_explicit(&conn->seen, true, memory_order_relaxed);
	leads = hs != NULL && lead(conn, hs, until, ret_events);
	drive_end(hs);
	return leads;
}

void drive_follow(struct conn *conn)
{
	void *me = (void *)pthread_self();

	if (atomic_compare_exchange_strong(&conn->leader, &me, NULL) &&
	    atomic_exchange(&conn->missed, false))
		(void)drive_advance(conn, atomic_load(&conn->fd), HANDSHAKE_ASK);
}

bool drive_set_option(struct conn *conn, int level, int name, int value)
{
	struct handshake *hs = drive_hold(conn);
	bool taken = hs != NULL;

	if (taken && level == SOL_SOCKET && name == SO_RCVLOWAT)
		hs->rcvlowat = value > 0 ? value : 1;
	else if (taken && level == IPPROTO_TCP && name == TCP_CORK &&
		 conn_state(conn) == CONN_PENDING) /* later it is the program's again */
		hs->cork = value != 0;
	else if (taken && level == IPPROTO_TCP && name == TCP_NODELAY &&
		 conn_state(conn) == CONN_OWED)
		hs->delay = value == 0;
	else
		taken = false;
	drive_end(hs);
	return taken;
}

bool drive_get_option(struct conn *conn, int level, int name, int *ret)
{
	struct handshake *hs = drive_hold(conn);
	bool known = hs != NULL;

	if (known && level == SOL_SOCKET && name == SO_RCVLOWAT)
		*ret = hs->rcvlowat > 0 ? hs->rcvlowat : 1;
	else if (known && level == IPPROTO_TCP && name == TCP_CORK &&
		 conn_state(conn) == CONN_PENDING)
		*ret = hs->cork;
	else if (known && level == IPPROTO_TCP && name == TCP_NODELAY &&
		 conn_state(conn) == CONN_OWED)
		*ret = !hs->delay;
	else
		known = false;
	drive_end(hs);
	return known;
}

int64_t drive_deadline(struct conn *conn)
{
	struct handshake *hs = drive_hold(conn);
	int64_t deadline = hs != NULL ? hs->deadline : INT64_MAX;

	drive_end(hs);
	return deadline;
}

int64_t drive_look(struct conn *conn, int fd)
{
	struct handshake *hs = drive_hold(conn);
	bool shared = hs != NULL && atomic_load(&hs->shared);
	bool missed = atomic_exchange(&conn->missed, false);

	drive_end(hs);
	if (!conn_is_under_way(drive_advance(conn, fd, shared || missed ? HANDSHAKE_ASK : 0)))
		return INT64_MAX;
	if (atomic_load(&conn->asleep) != NULL)
		return sys_now_ns() + DRIVE_SLICE_NS;
	if (atomic_load(&conn->missed)) /* a leader, who may be gone without a word */
		return sys_earlier(atomic_load(&conn->leader_until), drive_deadline(conn));
	return shared ? sys_now_ns() + DRIVE_SLICE_NS : drive_deadline(conn);
}

bool drive_is_talking(struct conn *conn)
{
	struct handshake *hs = drive_hold(conn);
	bool talking = hs != NULL && handshake_phase(hs) == HANDSHAKE_TALKING;

	drive_end(hs);
	return talking;
}

int drive_wait(struct conn *conn, int fd, int64_t until)
{
	enum conn_state state = conn_state(conn);
	bool sleeps = until == INT64_MAX && await_can(conn), leads;
	int ready = 0, result = 0;

	if (await_is_below(conn))
		return -EAGAIN;
	while (conn_is_under_way(state) && drive_advance(conn, fd, ready) == state) {
		struct pollfd p = { .fd = fd };
		int64_t now = sys_now_ns();
		int64_t end = sys_earlier(until, now + DRIVE_TICK_NS);

		if (sleeps) {
			result = await_answer(conn, fd);
			sleeps = result > 0;
			ready = sleeps ? POLLIN : 0;
			if (result < 0 && sys_has_interrupting_handler())
				break;
			result = 0;
			continue;
		}
		leads = drive_lead(conn, &end, &p.events);
		if (!leads)
			end = sys_earlier(until, now + DRIVE_SLICE_NS);
		result = sys_poll(&p, leads ? 1 : 0, end > now ? end - now : 0, NULL);
		ready = result > 0 ? p.revents : leads ? 0 : HANDSHAKE_ASK;
		/* A timeout makes the kernel give SA_RESTART up (signal(7)). */
		if (result == -EINTR && until == INT64_MAX && !sys_has_interrupting_handler())
			result = 0;
		if (result >= 0 && ready == 0 && sys_now_ns() >= until)
			result = -EAGAIN;
		if (result < 0)
			break;
		result = 0;
	}
	drive_follow(conn);
	return result;
}

/* End the handshake of @conn without a result of its own: @state is what it leaves. */
static void give_up(struct conn *conn, int fd, enum conn_state state)
{
	struct handshake *hs = drive_hold(conn);

	if (hs != NULL && drive_retire(conn, hs)) {
		handshake_restore_options(hs, fd);
		if (report_is_on())
			report_settled(conn, hs, state == CONN_CONNECTED ? NULL :
				       "the program ended it before the proxy had answered");
		conn_set_state(conn, state);
		epreg_show(conn, state == CONN_CONNECTED);
	}
	drive_end(hs);
}

void drive_cancel(struct conn *conn, int fd)
{
	give_up(conn, fd, CONN_FRESH);
}

void drive_waive(struct conn *conn, int fd)
{
	give_up(conn, fd, CONN_CONNECTED);
}

void drive_abort(struct conn *conn, int fd)
{
	/* Some kernels (6.4) do not disconnect it under one that sleeps in a receive. */
	if (atomic_load(&conn->asleep) != NULL)
		(void)!sys_shutdown(fd, SHUT_RDWR);
	sys_disconnect(fd);
	drive_cancel(conn, fd);
}

static void share(struct conn *conn, void *arg)
{
	struct handshake *hs = drive_hold(conn), *arrived = listener_handshake(conn);

	(void)arg;
	if (hs != NULL || arrived != NULL)
		handshake_share(hs != NULL ? hs : arrived);
	drive_end(hs);
}

/* Held over the fork, so that the child finds nothing half done. */
static sigset_t mask_at_fork;

void drive_before_fork(void)
{
	sigset_t mask;

	conn_each_pending(share, NULL);
	lock_engine(&mask);
	mask_at_fork = mask; /* only now is it ours to write */
}

void drive_in_parent(void)
{
	sigset_t mask = mask_at_fork;

	unlock_engine(&mask);
}

/* The threads that used it, or slept for it, are the parent's. */
static void forget_threads(struct conn *conn, void *arg)
{
	struct handshake *hs = atomic_load(&conn->handshake);

	(void)arg;
	if (hs == NULL)
		hs = listener_handshake(conn);
	if (hs != NULL)
		handshake_forget_threads(hs);
	atomic_store(&conn->leader, NULL);
	atomic_store(&conn->asleep, NULL);
}

static void become(int pid)
{
	lock_reset();
	fdtab_set_owner(pid);
	handshake_in_child();
	conn_each_pending(forget_threads, NULL);
	if (relay_is_unsettled())
		relay_in_child();
}

void drive_in_child(int pid)
{
	sigset_t mask = mask_at_fork;

	become(pid);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

int drive_process(void)
{
	int owner = fdtab_owner();

	if (owner != 0)
		return owner;
	/* A fork without handlers; what was pending then is the parent's alone. */
	become(sys_getpid());
	return fdtab_owner();
}
