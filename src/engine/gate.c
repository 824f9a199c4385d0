/* SPDX-License-Identifier: ISC */
/* gate.c - what calls on a socket get while its handshake is under way, or after it failed. */
#include "socksify/gate.h"

#include <errno.h>
#include <fcntl.h>

#include "socksify/drive.h"
#include "socksify/listener.h"
#include "socksify/relay.h"
#include "socksify/sys.h"
#include "socksify/tunnel.h"

int64_t gate_timeout(int fd, int name)
{
	int64_t timeout = sys_timeout(fd, name);

	return timeout > 0 ? sys_now_ns() + timeout : INT64_MAX;
}

/* The error of a failed handshake, told once; the kernel's substitute goes with it. */
static int take_error(struct conn *conn, int fd)
{
	int error = atomic_exchange(&conn->error, 0), substitute;
	socklen_t len = sizeof(substitute);

	if (error != 0)
		(void)!sys_getsockopt(fd, SOL_SOCKET, SO_ERROR, &substitute, &len);
	return error;
}

/*
 * The handshakes that nobody was seen to wait for: their programs may wait by
 * calls that we do not see.  Completing one means to wait, so all go on meanwhile.
 */
#define TOGETHER 64

struct crowd {
	int count;
	struct conn *conns[TOGETHER];
	struct pollfd fds[TOGETHER];
};

static void join(struct conn *conn, void *arg)
{
	struct crowd *crowd = arg;
	int fd = atomic_load(&conn->fd);
	struct conn *there = fdtab_get(fd);

	if (crowd->count < TOGETHER && there == conn && !atomic_load(&conn->seen) &&
	    (crowd->count == 0 || crowd->conns[0] != conn)) {
		crowd->conns[crowd->count] = conn;
		crowd->fds[crowd->count++].fd = fd;
		return; /* with the reference */
	}
	if (there != NULL)
		conn_unref(there);
}

/* One round: sleep until any of them can go on. */
static void move_crowd(struct crowd *crowd)
{
	int64_t now = sys_now_ns(), end = now + DRIVE_TICK_NS;
	int n = 0;

	for (int i = 0; i < crowd->count; i++) {
		struct pollfd *p = &crowd->fds[i];

		p->revents = 0;
		if (!drive_lead(crowd->conns[i], &end, &p->events)) {
			p->fd = -1;
			end = now + DRIVE_SLICE_NS;
		}
	}
	if (crowd->count > 0)
		n = sys_poll(crowd->fds, (nfds_t)crowd->count, end > now ? end - now : 0, NULL);
	for (int i = 0; i < crowd->count; i++) {
		int fd = atomic_load(&crowd->conns[i]->fd);

		drive_advance(crowd->conns[i], fd, n > 0 ? crowd->fds[i].revents : 0);
		drive_follow(crowd->conns[i]);
		atomic_store(&crowd->conns[i]->seen, false);
		conn_unref(crowd->conns[i]);
	}
}

static void finish_unseen(struct conn *conn)
{
	while (conn_state(conn) == CONN_PENDING) {
		struct crowd crowd = { .count = 0 };

		/* This one first, should there be more than find room. */
		join(conn, &crowd);
		if (crowd.count == 0) {
			(void)!drive_wait(conn, atomic_load(&conn->fd), INT64_MAX);
			return;
		}
		conn_each_pending(join, &crowd);
		move_crowd(&crowd);
	}
}

static int wait_until(struct conn *conn, int fd, int timeout_name)
{
	int64_t until = gate_timeout(fd, timeout_name);
	int err = drive_wait(conn, fd, until);

	/* An optimist's receive wants the answer, too. */
	if (err == 0 && timeout_name == SO_RCVTIMEO && conn_state(conn) == CONN_OWED)
		err = drive_wait(conn, fd, until);
	return err;
}

/* 0 when the call may go on now, else the errno for the caller. */
static int wait_under_way(struct conn *conn, int fd, int flags, int timeout_name)
{
	int fl;

	if (timeout_name == SO_RCVTIMEO && (flags & MSG_OOB) != 0)
		return -EINVAL; /* no urgent octet has come */
	if (conn_state(conn) == CONN_OWED && timeout_name == SO_SNDTIMEO) {
		atomic_store_explicit(&conn->spoke, true, memory_order_relaxed);
		return 0; /* the program's first octets travel behind the request */
	}
	fl = (flags & MSG_DONTWAIT) != 0 ? O_NONBLOCK : sys_get_flags(fd);
	if (fl >= 0 && (fl & O_NONBLOCK) == 0)
		return wait_until(conn, fd, timeout_name);
	if (atomic_load(&conn->seen) || !drive_is_talking(conn))
		return -EAGAIN;
	finish_unseen(conn);
	return conn_state(conn) == CONN_OWED && timeout_name == SO_RCVTIMEO ? -EAGAIN : 0;
}

static int gate(int fd, int flags, int timeout_name)
{
	struct conn *conn = fdtab_get(fd);
	int result = 0;

	if (conn == NULL)
		return 0;
	if (listener_of(conn) != NULL) {
		conn_unref(conn);
		return timeout_name == SO_RCVTIMEO ? -ENOTCONN : -EPIPE;
	}
	if (conn_is_under_way(drive_advance(conn, fd, HANDSHAKE_ASK)))
		result = wait_under_way(conn, fd, flags, timeout_name);
	if (result == 0 && conn_state(conn) == CONN_FAILED)
		result = -take_error(conn, fd);
	conn_unref(conn);
	return result;
}

bool gate_asked_peer(int fd, union sockaddr_any *ret, socklen_t *ret_len)
{
	struct conn *conn = fdtab_get(fd);
	bool asked;

	if (conn == NULL)
		return false;
	/* Of one that is just beginning it is not written yet. */
	asked = conn_state(conn) == CONN_FAILED ? !atomic_load(&conn->disconnected)
		: conn_state(conn) == CONN_PENDING && atomic_load(&conn->handshake) != NULL &&
		  listener_of(conn) == NULL;
	if (asked) {
		*ret = conn->peer;
		*ret_len = conn->peer_len;
	}
	conn_unref(conn);
	return asked;
}

bool gate_local(int fd, union sockaddr_any *ret, socklen_t *ret_len)
{
	struct conn *conn = fdtab_get(fd);
	bool failed;

	if (conn == NULL)
		return false;
	failed = conn_state(conn) == CONN_FAILED && conn->local_len != 0 &&
		 !atomic_load(&conn->disconnected);
	*ret = conn->local;
	*ret_len = conn->local_len;
	conn_unref(conn);
	return failed;
}

bool gate_set_option(int fd, int level, int name, int value)
{
	struct conn *conn = fdtab_get(fd);
	bool taken = conn != NULL && drive_set_option(conn, level, name, value);

	if (conn != NULL)
		conn_unref(conn);
	return taken;
}

bool gate_get_option(int fd, int level, int name, int *ret)
{
	struct conn *conn = fdtab_get(fd);
	bool known = conn != NULL && drive_get_option(conn, level, name, ret);

	if (conn != NULL)
		conn_unref(conn);
	return known;
}

int gate_send(int fd, int flags)
{
	return gate(fd, flags, SO_SNDTIMEO);
}

int gate_receive(int fd, int flags)
{
	return gate(fd, flags, SO_RCVTIMEO);
}

int gate_error(int fd, int *ret)
{
	struct conn *conn = fdtab_get(fd);
	int result = -ENOENT;

	if (conn == NULL)
		return -ENOENT;
	switch (drive_advance(conn, fd, HANDSHAKE_ASK)) {
	case CONN_IDLE:
	case CONN_ARRIVED:
	case CONN_PENDING:
		*ret = 0;
		result = 0;
		break;
	case CONN_FAILED:
		if (atomic_load(&conn->error) != 0) {
			*ret = take_error(conn, fd);
			result = 0;
		}
		break;
	case CONN_FRESH:
	case CONN_OWED:
	case CONN_CONNECTED:
	case CONN_ANSWERED:
	case CONN_RELAYED:
		break;
	}
	conn_unref(conn);
	return result;
}

bool gate_has_peer(int fd)
{
	struct conn *conn = fdtab_get(fd);
	bool has = true;

	if (conn == NULL)
		return true;
	if (listener_of(conn) != NULL) {
		has = false;
	} else if (drive_advance(conn, fd, HANDSHAKE_ASK) == CONN_PENDING) {
		if (!atomic_load(&conn->seen) && drive_is_talking(conn))
			finish_unseen(conn);
		has = conn_state(conn) != CONN_PENDING;
	}
	conn_unref(conn);
	return has;
}

bool gate_peer(int fd, const struct sockaddr *known, socklen_t len,
	       union sockaddr_any *ret, socklen_t *ret_len)
{
	struct conn *conn = fdtab_get(fd);
	bool ours = false;

	if (conn == NULL)
		return false;
	if (conn_state(conn) == CONN_CONNECTED || conn_state(conn) == CONN_OWED ||
	    conn_state(conn) == CONN_ANSWERED) {
		/* A proxy's address may be longer than the room for that of the program's family. */
		ours = len >= sizeof(struct sockaddr_in6) ||
		       (len >= sizeof(struct sockaddr_in) && known->sa_family == AF_INET)
		       ? tunnel_is_peer(conn, known, len) : tunnel_is_of(conn, fd);
		*ret = conn->peer;
		*ret_len = conn->peer_len;
	}
	conn_unref(conn);
	return ours;
}

/*
 * The program receives no more.  An answer that comes to a closed end resets the
 * connection, and what the program sent would be lost: so they are waited for.
 */
static void let_go(struct conn *conn, int fd)
{
	while (atomic_load(&conn->spoke) && conn_state(conn) == CONN_OWED &&
	       drive_wait(conn, fd, INT64_MAX) != -EAGAIN)
		;
	if (conn_state(conn) == CONN_OWED)
		drive_waive(conn, fd);
}

void gate_close(int fd)
{
	struct conn *conn = fdtab_is_ours() ? fdtab_get(fd) : NULL;

	if (conn == NULL)
		return;
	if (conn_state(conn) == CONN_OWED && atomic_load(&conn->spoke))
		let_go(conn, fd);
	conn_unref(conn);
}

static void close_at_exit(struct conn *conn, void *arg)
{
	(void)arg;
	gate_close(atomic_load(&conn->fd));
}

void gate_close_all(void)
{
	if (relay_is_unsettled() && fdtab_is_ours())
		relay_finish_all(false);
	conn_each_pending(close_at_exit, NULL);
}

bool gate_shutdown(int fd, int how)
{
	struct conn *conn = fdtab_get(fd);
	bool pending;

	if (conn == NULL)
		return false;
	if (listener_of(conn) != NULL) {
		if (how != SHUT_WR)
			listener_stop(conn, fd);
		conn_unref(conn);
		return true;
	}
	pending = drive_advance(conn, fd, HANDSHAKE_ASK) == CONN_PENDING;
	if (pending)
		drive_abort(conn, fd);
	else if (conn_state(conn) == CONN_OWED && how != SHUT_WR)
		let_go(conn, fd);
	else if (conn_state(conn) == CONN_FAILED)
		atomic_store(&conn->shut, true);
	conn_unref(conn);
	return pending;
}

void gate_finish(int fd)
{
	struct conn *conn = fdtab_get(fd);

	if (relay_is_unsettled())
		relay_finish(fd);
	if (conn == NULL)
		return;
	/* A listening socket waits for its peer, who may never come. */
	while (listener_of(conn) == NULL &&
	       conn_is_under_way(drive_advance(conn, fd, HANDSHAKE_ASK)) &&
	       drive_wait(conn, fd, INT64_MAX) != -EAGAIN)
		;
	conn_unref(conn);
}

static void finish_if_inherited(struct conn *conn, void *arg)
{
	int fd = atomic_load(&conn->fd);

	(void)arg;
	if (fdtab_is_inherited(conn))
		gate_finish(fd);
}

void gate_finish_inherited(void)
{
	/* The state of a vfork(2) child is its parent's, who goes on with it. */
	if (atomic_load(&conn_pending) == 0 || !fdtab_is_ours())
		return;
	if (relay_is_unsettled())
		relay_finish_all(true);
	conn_each_pending(finish_if_inherited, NULL);
}

int gate_readable_octets(int fd)
{
	struct conn *conn = fdtab_get(fd);
	bool none;

	if (conn == NULL)
		return -ENOENT;
	none = conn_is_under_way(drive_advance(conn, fd, HANDSHAKE_ASK));
	conn_unref(conn);
	return none ? 0 : -ENOENT;
}
