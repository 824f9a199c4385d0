/* SPDX-License-Identifier: ISC */
/* listener_accept.c - accept(2) of a socket for which a proxy listens. */
#include <errno.h>
#include <fcntl.h>

#include "listener_socket.h"
#include "socksify/drive.h"
#include "socksify/fdtab.h"
#include "socksify/gate.h"
#include "socksify/sys.h"

/* Is @fd still a number of @conn?  Another thread may have closed it. */
static bool is_open(const struct conn *conn, int fd)
{
	struct conn *there = fdtab_get(fd);

	if (there != NULL)
		conn_unref(there);
	return there == conn;
}

/* Ask for the next peer, but not right after the port was not free.  @until: 0: without waiting. */
static int ask_again(struct conn *conn, const struct listener *l, int fd, int64_t until)
{
	int64_t now = sys_now_ns(), next = l->busy > 0 ? atomic_load(&l->not_before) : now;
	int n;

	if (now >= next)
		return listener_arm(conn, fd);
	if (now >= until)
		return -EAGAIN;
	n = sys_poll(NULL, 0, sys_earlier(next, until) - now, NULL);
	return n == -EINTR && !sys_has_interrupting_handler() ? 0 : n;
}

static int accept_from(struct conn *conn, int fd, int flags, union sockaddr_any *ret,
		       socklen_t *ret_len)
{
	int fl = sys_get_flags(fd), result;
	bool waits = (fl & O_NONBLOCK) == 0;
	int64_t until = waits ? gate_timeout(fd, SO_RCVTIMEO) : 0;

	for (;;) {
		const struct listener *l = listener_of(conn);

		if (!is_open(conn, fd))
			return -EBADF;
		if (l == NULL || !atomic_load(&l->listens))
			return -EINVAL;
		result = 0;
		if (conn_state(conn) == CONN_IDLE) {
			result = ask_again(conn, l, fd, until);
		} else if (drive_advance(conn, fd, HANDSHAKE_ASK) == CONN_ARRIVED) {
			result = listener_take_peer(conn, fd, flags, ret, ret_len);
			if (result >= 0)
				return result;
			if (result == -EAGAIN)
				result = 0; /* another thread or process was faster */
		} else if (!waits) {
			return -EAGAIN;
		} else {
			result = drive_wait(conn, fd, until);
		}
		if (result < 0)
			return result;
	}
}

int listener_accept(int fd, int flags, union sockaddr_any *ret, socklen_t *ret_len)
{
	struct conn *conn = fdtab_get(fd);
	int result;

	if (conn == NULL)
		return -EINVAL;
	result = accept_from(conn, fd, flags, ret, ret_len);
	conn_unref(conn);
	return result;
}
