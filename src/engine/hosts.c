/* SPDX-License-Identifier: ISC */
/* hosts.c - the machine's own table of names (hosts(5)). */
#include "socksify/hosts.h"

#include <errno.h>
#include <fcntl.h>

#include "socksify/sys.h"

struct scan {
	hosts_visit visit;
	void *arg;
	struct target address;		/* TARGET_NONE: the line has none yet */
	bool skip;			/* comment, or a line without an address */
	bool stop;
	bool too_long;
	size_t len;
	char word[TARGET_NAME_MAX];
};

static void end_word(struct scan *s)
{
	size_t len = s->len;
	bool usable = len > 0 && !s->too_long && !s->skip && !s->stop;

	s->len = 0;
	s->too_long = false;
	if (!usable)
		return;
	if (s->address.kind == TARGET_NONE) {
		if (target_from_host(s->word, len, 0, &s->address) < 0 ||
		    s->address.kind == TARGET_NAME)
			s->skip = true;
	} else if (!s->visit(&s->address, s->word, len, s->arg)) {
		s->stop = true;
	}
}

static void take(struct scan *s, char c)
{
	switch (c) {
	case '#':
		end_word(s);
		s->skip = true;
		break;
	case '\n':
		end_word(s);
		s->skip = false;
		s->address.kind = TARGET_NONE;
		break;
	case ' ':
	case '\t':
	case '\r':
		end_word(s);
		break;
	default:
		if (s->len < sizeof(s->word))
			s->word[s->len++] = c;
		else
			s->too_long = true;
	}
}

int hosts_each(hosts_visit visit, void *arg)
{
	struct scan s = { .visit = visit, .arg = arg };
	char block[2048];
	ssize_t n = 0;
	int fd = sys_open("/etc/hosts", O_RDONLY | O_CLOEXEC, 0);

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	while (!s.stop && (n = sys_read(fd, block, sizeof(block))) != 0) {
		if (n == -EINTR)
			continue;
		if (n < 0)
			break;
		for (ssize_t i = 0; i < n; i++)
			take(&s, block[i]);
	}
	take(&s, '\n');
	sys_close(fd);
	return n < 0 ? (int)n : 0;
}
