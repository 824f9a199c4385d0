/* SPDX-License-Identifier: ISC */
/* relay_receive_many.c - recvmmsg(2) on a relayed socket, in as few calls as the program made. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "relay_receive.h"
#include "socksify/scratch.h"
#include "socksify/sys.h"

/* So many come from the kernel together. */
#define BATCH 64

struct batch {
	struct mmsghdr msgs[BATCH];
	struct relay_unwrapping unwrappings[BATCH];
	struct iovec parts[];
};

static size_t size_for(const struct mmsghdr *msgs, unsigned count)
{
	size_t parts = 0;

	for (unsigned i = 0; i < count; i++) {
		if (msgs[i].msg_hdr.msg_iovlen + 2 > IOV_MAX)
			return 0;
		parts += msgs[i].msg_hdr.msg_iovlen + 2;
	}
	return sizeof(struct batch) + parts * sizeof(struct iovec);
}

/* One before it was dropped: @from takes the place of @to, whose room is that of @u. */
static bool close_gap(const struct mmsghdr *from, struct mmsghdr *to,
		      const struct relay_unwrapping *u)
{
	const struct msghdr *f = &from->msg_hdr;
	struct msghdr *t = &to->msg_hdr;
	size_t room = relay_room(t), len = relay_room(f), control = u->control_room;
	socklen_t name = u->name_room;

	len = from->msg_len < len ? from->msg_len : len;
	t->msg_flags = f->msg_flags | (len > room ? MSG_TRUNC : 0);
	len = len < room ? len : room;
	if (relay_copy_parts(f->msg_iov, f->msg_iovlen, 0, t->msg_iov, t->msg_iovlen, len) < 0)
		return false;
	to->msg_len = (unsigned)len;
	if (t->msg_name != NULL && f->msg_name != NULL) {
		memcpy(t->msg_name, f->msg_name, name < f->msg_namelen ? name : f->msg_namelen);
		t->msg_namelen = f->msg_namelen;
	}
	if (control < f->msg_controllen)
		t->msg_flags |= MSG_CTRUNC;
	t->msg_controllen = control < f->msg_controllen ? control : f->msg_controllen;
	if (t->msg_control != NULL && f->msg_control != NULL)
		memcpy(t->msg_control, f->msg_control, t->msg_controllen);
	return true;
}

/* Take the headers off; what is left stands at the beginning of @msgs.  Returns how many that are. */
static int unwrap_all(int fd, const struct relay_view *v, struct batch *b, struct mmsghdr *msgs,
		      int count, int flags)
{
	struct conn *conn;
	struct relay *r = relay_look_up(fd, &conn);
	int kept = 0;

	if (r == NULL)
		return -EBADF;
	for (int i = 0; i < count; i++) {
		int n = relay_unwrap(v, r, &b->unwrappings[i], &b->msgs[i].msg_hdr,
				     b->msgs[i].msg_len, &msgs[i].msg_hdr, flags);

		if (n < 0)
			continue;
		msgs[i].msg_len = (unsigned)n;
		if (i == kept || close_gap(&msgs[i], &msgs[kept], &b->unwrappings[kept]))
			kept++;
	}
	conn_unref(conn);
	return kept;
}

/* One call of the kernel's.  @ret_got: how many came, with those that were dropped. */
static int receive_some(int fd, const struct relay_view *v, struct batch *b, struct mmsghdr *msgs,
			unsigned count, int flags, struct timespec *timeout, int *ret_got)
{
	struct iovec *parts = b->parts;
	int n;

	for (unsigned i = 0; i < count; i++) {
		relay_unwrap_begin(&b->unwrappings[i], v, &msgs[i].msg_hdr, parts,
				   &b->msgs[i].msg_hdr);
		parts += b->msgs[i].msg_hdr.msg_iovlen;
	}
	n = sys_recvmmsg(fd, b->msgs, count, flags | MSG_TRUNC, timeout);
	*ret_got = n;
	return n <= 0 ? n : unwrap_all(fd, v, b, msgs, n, flags);
}

static int receive_batch(int fd, struct mmsghdr *msgs, unsigned count, int flags,
			 struct timespec *timeout, int *ret_got)
{
	size_t size = size_for(msgs, count);
	struct batch *b = size > 0 ? scratch_take(size) : NULL;
	struct relay_view v;
	int n;

	if (b == NULL)
		return size == 0 ? -EMSGSIZE : -ENOMEM;
	n = relay_take_view(fd, &v);
	if (n == 0 && v.mode == RELAY_DIRECT)
		n = *ret_got = sys_recvmmsg(fd, msgs, count, flags, timeout);
	else if (n == 0)
		n = receive_some(fd, &v, b, msgs, count, flags, timeout, ret_got);
	scratch_give(b);
	return n;
}

int relay_receive_many(int fd, struct mmsghdr *msgs, unsigned count, int flags,
		       struct timespec *timeout)
{
	int err = relay_is_unsettled() ? relay_before_receive(fd, flags) : 0;
	unsigned kept = 0;

	if (err < 0)
		return err;
	if (count > IOV_MAX)
		count = IOV_MAX; /* as the kernel does */
	while (kept < count) {
		unsigned want = count - kept < BATCH ? count - kept : BATCH;
		int got = 0;
		int n = receive_batch(fd, msgs + kept, want, flags, timeout, &got);

		if (n < 0 || got <= 0)
			return kept > 0 ? (int)kept : n;
		kept += (unsigned)n;
		/* The kernel ended it for a reason, unless what was dropped made it look so. */
		if (n == got && (unsigned)got < want)
			break;
		if (timeout != NULL && timeout->tv_sec == 0 && timeout->tv_nsec == 0)
			break;
		if (kept > 0 && (flags & MSG_WAITFORONE) != 0)
			flags |= MSG_DONTWAIT;
	}
	return kept > 0 || count == 0 ? (int)kept : -EAGAIN;
}
