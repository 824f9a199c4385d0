/* SPDX-License-Identifier: ISC */
/* message.c - struct msghdr in the memory of a program, of either word size. */
#include "message.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "tracee.h"

/* struct msghdr, struct iovec, struct mmsghdr of a 32-bit program. */
struct msghdr32 {
	uint32_t name, name_len, vec, count, control, control_len, flags;
};

struct iovec32 {
	uint32_t base, len;
};

struct mmsghdr32 {
	struct msghdr32 header;
	uint32_t len;
};

static bool is_vector(const struct call *c)
{
	return c->kind == CALL_SENDMMSG || c->kind == CALL_RECVMMSG;
}

unsigned message_count(const struct call *c)
{
	return is_vector(c) ? (unsigned)c->arg[2] : 1;
}

int message_flags(const struct call *c)
{
	return (int)(c->kind == CALL_SENDMSG || c->kind == CALL_RECVMSG ? c->arg[2] : c->arg[3]);
}

static uint64_t vector_at(const struct call *c, unsigned i)
{
	if (!is_vector(c))
		return c->arg[1];
	return c->arg[1] +
	       i * (c->compat ? sizeof(struct mmsghdr32) : sizeof(struct mmsghdr));
}

static int read_pieces32(const struct call *c, uint64_t at, struct message *m)
{
	static struct iovec32 vec[MESSAGE_PIECES];
	int err = m->count > 0 ? tracee_read(c, at, vec, m->count * sizeof(vec[0])) : 0;

	for (size_t i = 0; err == 0 && i < m->count; i++)
		m->piece[i] = (struct iovec){ (void *)(uintptr_t)vec[i].base, vec[i].len };
	return err;
}

static int read_pieces(const struct call *c, uint64_t at, size_t count, struct message *m)
{
	int err;

	if (count > MESSAGE_PIECES)
		return -EMSGSIZE;
	m->count = count;
	if (c->compat)
		err = read_pieces32(c, at, m);
	else
		err = count > 0 ? tracee_read(c, at, m->piece, count * sizeof(m->piece[0])) : 0;
	m->size = 0;
	for (size_t i = 0; err == 0 && i < count; i++) {
		if (m->piece[i].iov_len > SSIZE_MAX - m->size)
			return -EINVAL;
		m->size += m->piece[i].iov_len;
	}
	return err;
}

static int read_header32(const struct call *c, struct message *m)
{
	struct msghdr32 h;
	int err = tracee_read(c, m->header, &h, sizeof(h));

	if (err < 0)
		return err;
	m->name = h.name;
	m->name_len = h.name_len;
	m->control = h.control;
	m->control_len = h.control_len;
	return read_pieces(c, h.vec, h.count, m);
}

static int read_header(const struct call *c, struct message *m)
{
	struct msghdr h;
	int err = tracee_read(c, m->header, &h, sizeof(h));

	if (err < 0)
		return err;
	m->name = (uint64_t)(uintptr_t)h.msg_name;
	m->name_len = h.msg_namelen;
	m->control = (uint64_t)(uintptr_t)h.msg_control;
	m->control_len = h.msg_control != NULL ? h.msg_controllen : 0;
	return read_pieces(c, (uint64_t)(uintptr_t)h.msg_iov, h.msg_iovlen, m);
}

int message_read(const struct call *c, unsigned i, struct message *ret)
{
	if (c->kind == CALL_SENDTO || c->kind == CALL_RECVFROM) {
		ret->header = 0;
		ret->name = c->arg[4];
		ret->name_len = c->arg[5];
		ret->control = 0;
		ret->control_len = 0;
		ret->count = 1;
		ret->size = (size_t)c->arg[2];
		ret->piece[0] = (struct iovec){ (void *)(uintptr_t)c->arg[1], ret->size };
		return ret->size > SSIZE_MAX ? -EINVAL : 0;
	}
	ret->header = vector_at(c, i);
	return c->compat ? read_header32(c, ret) : read_header(c, ret);
}

int message_write_length(const struct call *c, unsigned i, unsigned len)
{
	uint64_t at = vector_at(c, i);

	at += c->compat ? offsetof(struct mmsghdr32, len) : offsetof(struct mmsghdr, msg_len);
	return tracee_write(c, at, &len, sizeof(len));
}

int message_write_source(const struct call *c, const struct message *m, const void *from,
			 socklen_t from_len)
{
	socklen_t room;
	uint64_t at;
	int err = 0;

	if (m->name == 0)
		return 0;
	if (m->header == 0)
		return tracee_write_address(c, m->name, m->name_len, from, from_len);
	room = m->name_len < from_len ? (socklen_t)m->name_len : from_len;
	if (room > 0)
		err = tracee_write(c, m->name, from, room);
	at = m->header + (c->compat ? offsetof(struct msghdr32, name_len)
				    : offsetof(struct msghdr, msg_namelen));
	return err < 0 ? err : tracee_write(c, at, &from_len, sizeof(from_len));
}

int message_write_rest(const struct call *c, const struct message *m, size_t control_len,
		       int flags)
{
	uint32_t len32 = (uint32_t)control_len;
	int err;

	if (m->header == 0)
		return 0;
	if (c->compat) {
		err = tracee_write(c, m->header + offsetof(struct msghdr32, control_len), &len32,
				   sizeof(len32));
		return err < 0 ? err :
		       tracee_write(c, m->header + offsetof(struct msghdr32, flags), &flags,
				    sizeof(flags));
	}
	err = tracee_write(c, m->header + offsetof(struct msghdr, msg_controllen), &control_len,
			   sizeof(control_len));
	return err < 0 ? err :
	       tracee_write(c, m->header + offsetof(struct msghdr, msg_flags), &flags,
			    sizeof(flags));
}
