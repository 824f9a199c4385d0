/* SPDX-License-Identifier: ISC */
/* strict.c - what tries to go past the library, in a run that minds. */
#include "strict.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "socksify/dns_msg.h"
#include "socksify/enter.h"
#include "socksify/log.h"
#include "socksify/report.h"
#include "socksify/sys.h"
#include "socksify/upstream.h"
#include "tracee.h"

#define KNOWN 64u	/* programs of a run; a power of two */

static bool is_on;
static const struct call *current;
static unsigned long attempts;

/* Files that were looked into. */
static struct known {
	dev_t device;
	ino_t inode;
	struct timespec changed;
	bool can_enter;
} known[KNOWN];

void strict_begin(void)
{
	is_on = true;
}

bool strict_is_on(void)
{
	return is_on;
}

void strict_look_at(const struct call *c)
{
	current = c;
}

static bool is_known(const struct known *k, const struct stat *st)
{
	return k->inode == st->st_ino && k->device == st->st_dev &&
	       k->changed.tv_sec == st->st_ctim.tv_sec &&
	       k->changed.tv_nsec == st->st_ctim.tv_nsec;
}

bool strict_concerns_caller(void)
{
	struct inspection seen;
	struct known *k;
	struct stat st;
	char path[32];

	if (!is_on)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)current->tid);
	if (stat(path, &st) < 0)
		return false; /* it is served by the rules, then */
	k = &known[st.st_ino % KNOWN];
	if (!is_known(k, &st)) {
		(void)!inspect_program(path, &seen);
		*k = (struct known){ st.st_dev, st.st_ino, st.st_ctim,
				     seen.verdict == INSPECTION_ENTERABLE };
	}
	return k->can_enter;
}

/*
 * The proxies are where the library goes by itself.  Their relays of datagrams
 * have ports that only they know; port 53 would be a question for a nameserver there.
 */
static bool is_upstream(const struct target *t, bool is_stream)
{
	const struct config *config = route_config();
	struct target found[UPSTREAM_MAX];

	for (int i = 0; i < config->proxy_count; i++) {
		int count = upstream_addresses(&config->proxies[i], found);

		for (int k = 0; k < count; k++)
			if (target_host_equal(&found[k], t) &&
			    (is_stream ? found[k].port == t->port : t->port != DNS_PORT))
				return true;
	}
	return false;
}

/* With `dns local` the library lets queries go where the program sends them. */
static bool is_local_query(const struct route *route)
{
	return route->is_query && route->otherwise == ROUTE_DIRECT &&
	       route_config()->dns == DNS_LOCAL;
}

/*
 * libc sorts the addresses that it found by what the kernel says to a connect(2) of
 * datagram sockets to each (RFC 6724).  Nothing is sent, and nobody tried anything.
 */
static bool is_sorting(bool is_stream, const char *object)
{
	return !is_stream && current->kind == CALL_CONNECT &&
	       (strncmp(object, "libc.so", 7) == 0 || strncmp(object, "libc-", 5) == 0);
}

static void tell(const char *protocol, const char *target, const char *reason, bool counts)
{
	struct event e = event_of(EVENT_REFUSED, reason);

	e.protocol = protocol;
	e.target = target;
	e.urgent = counts;
	tracee_speak_for(current->tid);
	if (counts)
		attempts++;
	if (counts || report_is_on())
		report_event(&e);
}

static int refuse(const struct target *t, bool is_stream, int type)
{
	char object[TRACEE_OBJECT_SIZE], reason[TRACEE_OBJECT_SIZE + 64];
	char text[TARGET_TEXT_SIZE];
	bool sorts;

	tracee_object(current, object);
	sorts = is_sorting(is_stream, object);
	if (sorts)
		snprintf(reason, sizeof(reason), "%s sorts addresses", object);
	else
		snprintf(reason, sizeof(reason), "past the library%s%s",
			 object[0] != '\0' ? ", by code of " : "", object);
	tell(is_stream ? NULL : type == SOCK_DGRAM ? "udp" : "raw", target_text(t, text), reason,
	     !sorts);
	return -EACCES;
}

int strict_route(int fd, const struct sockaddr *to, socklen_t len, struct route *ret)
{
	struct target t = { .kind = TARGET_NONE };
	struct route route;
	int err, type;
	bool is_stream;

	if (!strict_concerns_caller())
		return route_for_socket(fd, to, len, ret);
	report_mute(true); /* the library has told what is direct */
	err = route_for_socket(fd, to, len, &route);
	report_mute(false);
	type = sys_get_int(fd, SOL_SOCKET, SO_TYPE);
	is_stream = type == SOCK_STREAM;
	if (err == 0 && route.verdict == ROUTE_PROXY &&
	    (is_upstream(&route.target, is_stream) || is_local_query(&route)))
		route.verdict = ROUTE_DIRECT;
	if (err < 0 || route.verdict != ROUTE_DIRECT) {
		(void)!target_from_sockaddr(to, len, &t);
		return refuse(&t, is_stream, type);
	}
	*ret = route;
	return 0;
}

void strict_note(const char *what)
{
	if (is_on)
		tell(NULL, NULL, what, true);
}

int strict_status(int status)
{
	char number[24];

	if (attempts == 0)
		return status;
	snprintf(number, sizeof(number), "%lu", attempts);
	log_line(LOG_LEVEL_ERROR, number, attempts == 1 ? " attempt" : " attempts",
		 " to go past the proxy refused by --strict: see the lines above or in the log", NULL);
	return WIFEXITED(status) ? W_EXITCODE(STRICT_EXIT, 0) : status;
}
