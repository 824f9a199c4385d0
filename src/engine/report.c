/* SPDX-License-Identifier: ISC */
/* report.c - what became of each connection, in a line when it is over and in the counters of the run. */
#include "socksify/report.h"

#include <linux/tcp.h> /* what netinet/tcp.h does not know yet */
#include <string.h>

#include "socksify/drive.h"
#include "socksify/fdtab.h"
#include "socksify/log.h"
#include "socksify/namepool.h"
#include "socksify/sys.h"
#include "socksify/tunnel.h"

#define NS_PER_MS 1000000

/* tcpi_state, as netinet/tcp.h has it */
enum {
	STATE_TIME_WAIT = 6,
	STATE_CLOSE = 7,
	STATE_CLOSE_WAIT = 8,
	STATE_LAST_ACK = 9,
	STATE_CLOSING = 11,
};

bool report_on, report_lines;

static bool as_json, as_counts;
static char own_program[32];	/* a copy: programs write over their arguments */
static char other_program[32];
static int other_pid;

static void copy_name(char ret[32], const char *name)
{
	size_t len = name != NULL ? strnlen(name, 31) : 0;

	if (len > 0)
		memcpy(ret, name, len);
	ret[len] = '\0';
}

void report_setup(const char *program, bool json, bool counts)
{
	copy_name(own_program, program);
	as_json = json;
	log_use_json(json);
	report_lines = log_is_wanted(LOG_LEVEL_CONNECTION);
	as_counts = counts;
	report_mute(false);
}

void report_mute(bool on)
{
	report_on = !on && (report_lines || as_counts);
}

void report_for(int pid, const char *program)
{
	other_pid = pid;
	copy_name(other_program, program);
}

static enum log_level level_of(const struct event *e)
{
	if (e->urgent)
		return LOG_LEVEL_ERROR;
	return e->verdict == EVENT_CONNECTED ? LOG_LEVEL_STEP : LOG_LEVEL_CONNECTION;
}

static void write_line(struct event *e)
{
	enum log_level level = level_of(e);
	char line[EVENT_LINE_SIZE];
	size_t len;

	if (!log_is_wanted(level))
		return;
	e->time_ms = sys_wall_ms();
	e->pid = other_pid != 0 ? other_pid : sys_getpid();
	e->program = other_pid != 0 ? other_program : own_program;
	len = as_json ? event_json(e, line) : event_text(e, line);
	log_write(level, line, len);
}

static void count(enum event_verdict verdict)
{
	switch (verdict) {
	case EVENT_PROXIED: /* was counted as connected */
		break;
	case EVENT_CONNECTED:
		tally_add(TALLY_PROXIED);
		break;
	case EVENT_DIRECT:
		tally_add(TALLY_DIRECT);
		break;
	case EVENT_BLOCKED:
		tally_add(TALLY_BLOCKED);
		break;
	case EVENT_REFUSED:
		tally_add(TALLY_REFUSED);
		break;
	case EVENT_FAILED:
		tally_add(TALLY_FAILED);
		break;
	}
}

void report_event(struct event *e)
{
	count(e->verdict);
	write_line(e);
}

/* --- what is no connection of ours --- */

/*
 * The targets of datagrams that were told lately.  Two threads that come at
 * once may tell one twice, and a new target in the place of an old one makes
 * room for it again: a line too many is no harm.
 */
#define LATELY 256
static _Atomic uint64_t lately[LATELY];

/* FNV-1a */
static uint64_t hash(uint64_t h, const char *text)
{
	for (; *text != '\0'; text++)
		h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return h;
}

static bool was_told(enum event_verdict verdict, const char *target)
{
	uint64_t h = hash(UINT64_C(0xcbf29ce484222325) + (uint64_t)verdict, target) | 1;

	return atomic_exchange(&lately[h / 2 % LATELY], h) == h;
}

void report_verdict(enum event_verdict verdict, const char *protocol,
		    const struct target *t, const char *why)
{
	char text[TARGET_TEXT_SIZE];
	bool tcp = strcmp(protocol, "tcp") == 0;
	struct event e = event_of(verdict, why);

	e.protocol = tcp ? NULL : protocol;
	e.target = target_text(t, text);
	if (strcmp(protocol, "udp") != 0 || !was_told(verdict, text))
		report_event(&e);
}

void report_association(const struct target *t, const struct proxy *proxy, const char *reason)
{
	char text[TARGET_TEXT_SIZE], via[TARGET_TEXT_SIZE];
	struct event e = event_of(reason == NULL ? EVENT_PROXIED : EVENT_FAILED, reason);

	e.protocol = "udp";
	e.target = target_text(t, text);
	e.proxy = target_text(&proxy->address, via);
	if (reason == NULL)
		tally_add(TALLY_PROXIED);
	report_event(&e);
}

void report_direct_tcp(int fd, const struct target *t, const char *why)
{
	struct tcp_info tcp = { .tcpi_state = 0 };
	socklen_t len = sizeof(tcp);

	/* connect(2) that asks how an earlier one goes is no new connection. */
	if (sys_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &tcp, &len) == 0 &&
	    tcp.tcpi_state != STATE_CLOSE)
		return;
	report_verdict(EVENT_DIRECT, "tcp", t, why);
}

/* --- connections --- */

/* What the program asked for, by the name that it knows. */
static const char *peer_text(const union sockaddr_any *peer, socklen_t len,
			     char ret[TARGET_TEXT_SIZE])
{
	struct target t = { .kind = TARGET_NONE }, name;

	if (target_from_sockaddr(&peer->sa, len, &t) < 0)
		return NULL;
	return target_text(namepool_name(&t, &name) == 0 ? &name : &t, ret);
}

static void tell(const struct conn *conn, struct event *e)
{
	char target[TARGET_TEXT_SIZE], proxy[TARGET_TEXT_SIZE];

	e->target = peer_text(&conn->peer, conn->peer_len, target);
	if (conn->note.proxy != NULL)
		e->proxy = target_text(&conn->note.proxy->address, proxy);
	report_event(e);
}

static bool is_mine(const struct conn *conn)
{
	return conn->note.teller == drive_process();
}

void report_begun(struct conn *conn)
{
	conn->note = (struct conn_note){ .teller = drive_process() };
}

static int64_t duration(const struct handshake *hs)
{
	return (sys_now_ns() - hs->begun) / NS_PER_MS;
}

void report_attempt(const union sockaddr_any *peer, socklen_t len, const struct handshake *hs,
		    const char *reason)
{
	char target[TARGET_TEXT_SIZE], proxy[TARGET_TEXT_SIZE];
	struct event e = event_of(reason == NULL ? EVENT_PROXIED : EVENT_FAILED, reason);

	e.target = peer_text(peer, len, target);
	e.proxy = target_text(&hs->proxy->address, proxy);
	e.ms = duration(hs);
	if (reason == NULL)
		tally_add(TALLY_PROXIED);
	report_event(&e);
}

static void tell_failed(struct conn *conn, const struct handshake *hs, const char *reason)
{
	struct event e = event_of(EVENT_FAILED, reason);

	e.ms = duration(hs);
	if (!atomic_exchange(&conn->note.told, true))
		tell(conn, &e);
}

void report_settled(struct conn *conn, const struct handshake *hs, const char *reason)
{
	struct event e = event_of(EVENT_CONNECTED, NULL);

	conn->note.teller = drive_process();
	conn->note.proxy = hs->proxy;
	if (reason != NULL) {
		tell_failed(conn, hs, reason);
		return;
	}
	conn->note.ms = e.ms = duration(hs);
	conn->note.sent = hs->sent;
	conn->note.received = hs->received;
	tell(conn, &e);
}

void report_elsewhere(struct conn *conn)
{
	conn->note.teller = 0;
}

/*
 * What the program moved.  The kernel counts neither SYN nor, among what was
 * sent, FIN; a FIN that came is counted as an octet (tcp_fin()).
 */
static void measure(const struct conn *conn, int fd, struct event *e)
{
	struct tcp_info tcp = { .tcpi_state = 0 };
	socklen_t len = sizeof(tcp);
	int64_t sent, received;

	if (sys_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &tcp, &len) < 0 ||
	    len < offsetof(struct tcp_info, tcpi_bytes_retrans) + sizeof(tcp.tcpi_bytes_retrans))
		return;
	sent = (int64_t)(tcp.tcpi_bytes_sent - tcp.tcpi_bytes_retrans) +
	       tcp.tcpi_notsent_bytes - conn->note.sent;
	received = (int64_t)tcp.tcpi_bytes_received - conn->note.received;
	switch (tcp.tcpi_state) {
	case STATE_CLOSE_WAIT:
	case STATE_LAST_ACK:
	case STATE_CLOSING:
	case STATE_TIME_WAIT:
		received--;
		break;
	default:
		break;
	}
	if (sent < 0 || received < 0)
		return;
	e->sent = sent;
	e->received = received;
}

/* It ends before there is anything to count; of one that other processes have, too, they tell the end. */
static void tell_unfinished(struct conn *conn)
{
	struct handshake *hs = atomic_load(&conn->handshake);

	if (hs != NULL && !atomic_load(&hs->shared) && !atomic_load(&conn->note.told))
		report_settled(conn, hs, "the program ended it before the proxy had answered");
}

/* @fd: -1 when it is closed already */
static void tell_end(struct conn *conn, int fd)
{
	struct event e = event_of(EVENT_PROXIED, NULL);

	e.ms = conn->note.ms;
	if (atomic_exchange(&conn->note.told, true))
		return;
	if (fd >= 0 && tunnel_is_of(conn, fd))
		measure(conn, fd, &e);
	tell(conn, &e);
}

/* An fd of the calling process's own? */
static bool may_tell(void)
{
	return report_lines && fdtab_is_ours();
}

static void close_one(int fd, bool last_only)
{
	struct conn *conn = fdtab_get(fd);

	if (conn == NULL)
		return;
	if (is_mine(conn) && (!last_only || fdtab_is_last(fd, conn))) {
		if (conn_state(conn) == CONN_CONNECTED)
			tell_end(conn, fd);
		else if (!last_only && conn_is_under_way(conn_state(conn)))
			tell_unfinished(conn);
	}
	conn_unref(conn);
}

void report_close(int fd)
{
	if (fdtab_has_conn(fd) && may_tell())
		close_one(fd, true);
}

void report_close_range(unsigned low, unsigned high)
{
	int top = fdtab_highest();

	for (unsigned fd = low; top >= 0 && fd <= high && fd <= (unsigned)top; fd++)
		report_close((int)fd);
}

void report_close_all(void)
{
	int top = fdtab_highest();

	if (!may_tell())
		return;
	for (int fd = 0; fd <= top; fd++)
		close_one(fd, false);
}

void report_gone(struct conn *conn)
{
	if (!is_mine(conn))
		return;
	if (conn_state(conn) == CONN_CONNECTED && report_lines)
		tell_end(conn, -1);
	else if (conn_is_under_way(conn_state(conn)))
		tell_unfinished(conn);
}
