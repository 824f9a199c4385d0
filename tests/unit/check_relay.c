/* SPDX-License-Identifier: ISC */
/* check_relay.c - datagrams through a proxy: associations, headers, what is dropped, and each error at each step. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "../lib/program.h"
#include "socksify/drive.h"
#include "socksify/epreg.h"
#include "socksify/namepool.h"
#include "socksify/own.h"
#include "socksify/relay.h"
#include "socksify/sys.h"
#include "socksify/wait.h"

#define PROXY 0xc0000201 /* 192.0.2.1 */
#define RELAY_PORT 4000
#define CONTROL (FAKE_FDS - 1)
#define TARGET 0x01020304
#define HEADER "\0\0\0\1\1\2\3\4\0\120"
#define GRANTED "\5\0" "\5\0\0\1\300\0\2\1\17\240"

static struct fake_server *const server = &fakesys.servers[0];
static struct rule direct_rule = { .action = RULE_DIRECT,
				   .pattern = { .kind = PATTERN_NET, .port_high = 65535,
						.host = { .kind = TARGET_IPV4, .ip = { 10 } },
						.prefix = 8 } };

static void reply_with(const char *reply, size_t len)
{
	server->reply = reply;
	server->reply_len = len;
}

static void begin(void)
{
	program_start();
	reply_with(GRANTED, sizeof(GRANTED) - 1);
	program_config.rules = &direct_rule;
	program_config.rule_count = 1;
	fake_udp_socket(5, 0);
	fdtab_mark(5, FD_UDP);
}

static void end(void)
{
	program_end();
	for (int fd = 0; fd < FAKE_FDS; fd++)
		ck_assert_ptr_null(fakesys.fds[fd]);
	ck_assert_int_eq(conn_special, 0);
}

static struct sockaddr_in at(uint32_t host, uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(host) };
}

/* sendto(2), as the library passes it on. */
static ssize_t send_to(int fd, const char *octets, size_t len, struct sockaddr_in to)
{
	struct iovec part = { (void *)(uintptr_t)octets, len };
	struct msghdr msg = { .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &part,
			      .msg_iovlen = 1 };
	struct route route;
	int err = route_for_send(fd, msg.msg_name, sizeof(to), &route);

	if (err < 0)
		return err;
	ck_assert(route.is_datagram);
	return route.verdict == ROUTE_PROXY ? relay_send(fd, &route, &msg, 0)
					    : sys_sendmsg(fd, &msg, 0);
}

static ssize_t send_plain(int fd, const char *octets, size_t len)
{
	struct iovec part = { (void *)(uintptr_t)octets, len };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };

	return relay_send(fd, NULL, &msg, 0);
}

static ssize_t receive_from(int fd, char *octets, size_t size, int flags, struct sockaddr_in *from,
			    int *ret_flags)
{
	struct iovec part = { octets, size };
	struct msghdr msg = { .msg_name = from, .msg_namelen = sizeof(*from), .msg_iov = &part,
			      .msg_iovlen = 1 };
	ssize_t n = relay_receive(fd, &msg, flags);

	if (ret_flags != NULL)
		*ret_flags = msg.msg_flags;
	return n;
}

static int connect_to(int fd, struct sockaddr_in to)
{
	struct route route;
	const struct sockaddr *sa = (const struct sockaddr *)(const void *)&to;
	int err = route_for_socket(fd, sa, sizeof(to), &route);

	ck_assert_int_eq(err, 0);
	ck_assert_int_eq(route.verdict, ROUTE_PROXY);
	return relay_connect(fd, &route, sa, sizeof(to));
}

static void arrives(const char *header, size_t header_len, const char *payload, size_t len)
{
	char whole[2048];

	memcpy(whole, header, header_len);
	memcpy(whole + header_len, payload, len);
	fake_arrives(5, PROXY, RELAY_PORT, whole, header_len + len);
}
#define ARRIVES(header, payload) arrives(header, sizeof(header) - 1, payload, sizeof(payload) - 1)

/* The last datagram sent went to @host and @port, and was this. */
static void expect_sent(uint32_t host, uint16_t port, const char *octets, size_t len)
{
	const struct fake_udp *u = fake_udp(5);
	const struct fake_datagram *d = &u->out[u->out_count - 1];

	ck_assert_int_gt(u->out_count, 0);
	ck_assert_uint_eq(ntohl(d->peer.sin_addr.s_addr), host);
	ck_assert_uint_eq(ntohs(d->peer.sin_port), port);
	ck_assert_uint_eq(d->len, len);
	ck_assert_mem_eq(d->octets, octets, len);
}
#define EXPECT_SENT(host, port, octets) expect_sent(host, port, octets, sizeof(octets) - 1)

START_TEST(the_first_datagram_makes_the_association)
{
	static const char request[] = "\5\3\0\1\12\0\0\2\23\210"; /* 10.0.0.2:5000 */

	begin();
	ck_assert_int_eq(send_to(5, "ho", 2, at(TARGET, 80)), 2);
	EXPECT_SENT(PROXY, RELAY_PORT, HEADER "ho");
	ck_assert_uint_eq(fakesys.fds[CONTROL]->sent_len, 3 + 10);
	ck_assert_mem_eq(fakesys.fds[CONTROL]->sent + 3, request, 10);
	ck_assert(own_is(CONTROL));
	ck_assert_int_eq(send_to(5, "", 0, at(TARGET, 80)), 0);
	EXPECT_SENT(PROXY, RELAY_PORT, HEADER);
	ck_assert_int_eq(fakesys.connects, 1);
	end();
}
END_TEST

static const struct {
	const char *reply;
	size_t len;
	uint32_t host;
} relays[] = {
#define RELAY(reply, host) { reply, sizeof(reply) - 1, host }
	RELAY("\5\0" "\5\0\0\1\0\0\0\0\17\240", PROXY),
	RELAY("\5\0" "\5\0\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\17\240", PROXY),
	RELAY("\5\0" "\5\0\0\3\15proxy.example\17\240", PROXY),
	RELAY("\5\0" "\5\0\0\3\11" "192.0.2.9\17\240", PROXY + 8),
	RELAY("\5\0" "\5\0\0\4\0\0\0\0\0\0\0\0\0\0\377\377\300\0\2\11\17\240", PROXY + 8),
};

START_TEST(the_relay_is_where_the_reply_says)
{
	begin();
	reply_with(relays[_i].reply, relays[_i].len);
	ck_assert_int_eq(send_to(5, "ho", 2, at(TARGET, 80)), 2);
	EXPECT_SENT(relays[_i].host, RELAY_PORT, HEADER "ho");
	end();
}
END_TEST

static const struct {
	const char *reply;
	size_t len;
	int err;
} refusals[] = {
#define REFUSAL(reply, err) { reply, sizeof(reply) - 1, err }
	REFUSAL(FAKE_REFUSED("\7"), -ENETUNREACH),	/* no such command */
	REFUSAL(FAKE_REFUSED("\2"), -EACCES),		/* by a rule */
	REFUSAL(FAKE_REFUSED("\1"), -ENETUNREACH),
	REFUSAL("\5\377", -EACCES),			/* no login */
	REFUSAL("\5\0" "\5\0\0\1\300\0\2\1\0\0", -ENETUNREACH),	/* no port */
	REFUSAL("\5\0" "\5\0\0\3\7no.name\17\240", -EHOSTUNREACH),
	REFUSAL("\5\0" "\5\0\0\4\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1\17\240", -ENETUNREACH),
};

START_TEST(a_refusal_is_told_by_the_send_and_remembered)
{
	begin();
	reply_with(refusals[_i].reply, refusals[_i].len);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(send_to(5, "ho", 2, at(TARGET, 80)), refusals[_i].err);
	ck_assert_int_eq(fakesys.connects, 1);
	ck_assert_int_eq(fake_udp(5)->out_count, 0);
	/* Not for ever. */
	reply_with(GRANTED, sizeof(GRANTED) - 1);
	fakesys.now_ns += 11000 * MS;
	ck_assert_int_eq(send_to(5, "ho", 2, at(TARGET, 80)), 2);
	end();
}
END_TEST

START_TEST(the_time_for_an_association_is_bounded)
{
	begin();
	if (_i == 0)
		server->connect_ns = -1;
	else
		reply_with(GRANTED, 2);
	ck_assert_int_eq(send_to(5, "ho", 2, at(TARGET, 80)), -ETIMEDOUT);
	ck_assert_int_eq(fakesys.now_ns, 10000 * MS);
	end();
}
END_TEST

START_TEST(what_comes_through_the_relay_has_its_source)
{
	struct sockaddr_in from;
	char got[64];
	int flags;

	begin();
	ck_assert_int_eq(send_to(5, "ho", 2, at(TARGET, 80)), 2);
	ARRIVES("\0\0\0\1\11\10\7\6\0\37", "hello");
	ck_assert_int_eq(receive_from(5, got, sizeof(got), 0, &from, &flags), 5);
	ck_assert_mem_eq(got, "hello", 5);
	ck_assert_uint_eq(ntohl(from.sin_addr.s_addr), 0x09080706);
	ck_assert_uint_eq(ntohs(from.sin_port), 31);
	ck_assert_int_eq(flags, 0);

	/* too long for the buffer */
	ARRIVES(HEADER, "hello");
	ck_assert_int_eq(receive_from(5, got, 3, MSG_PEEK, &from, &flags), 3);
	ck_assert_int_eq(flags, MSG_TRUNC);
	ck_assert_int_eq(receive_from(5, got, 3, MSG_PEEK | MSG_TRUNC, &from, NULL), 5);
	ck_assert_int_eq(relay_readable(5), 5);
	memset(got, 'x', sizeof(got));
	ck_assert_int_eq(receive_from(5, got, 3, MSG_TRUNC, &from, NULL), 5);
	ck_assert_mem_eq(got, "helx", 4);
	ck_assert_int_eq(relay_readable(5), 0);

	/* of nothing */
	ARRIVES(HEADER, "");
	ck_assert_int_eq(receive_from(5, got, 3, 0, &from, &flags), 0);
	ck_assert_int_eq(flags, 0);
	end();
}
END_TEST

/* Headers of any length, one after the other, into buffers of any size. */
START_TEST(a_header_of_another_length_than_the_last_is_taken_off)
{
	static const char *const payload = "0123456789abcdefghijklmnopqrstuvwxyz";
	static const char v4[] = "\0\0\0\1\1\2\3\4\0\120";
	static const char longer[] = "\0\0\0\3\50this-is-a-long-name.of-some-host.example\0\120";
	const size_t room = (size_t)_i;
	size_t len = strlen(payload), want = room < len ? room : len;

	begin();
	ck_assert_int_eq(namepool_open(NULL, NULL), 0);
	ck_assert_int_eq(send_to(5, "ho", 2, at(TARGET, 80)), 2);
	for (int i = 0; i < 8; i++) {
		struct sockaddr_in from;
		char got[64], parts = (char)(i & 4);
		struct iovec two[3] = { { got, room / 3 }, { got + room / 3, 0 },
					{ got + room / 3, room - room / 3 } };
		struct msghdr msg = { .msg_name = &from, .msg_namelen = sizeof(from),
				      .msg_iov = two, .msg_iovlen = 3 };
		int flags;
		ssize_t n;

		memset(got, '!', sizeof(got));
		if ((i & 1) != 0)
			arrives(v4, sizeof(v4) - 1, payload, len);
		else
			arrives(longer, sizeof(longer) - 1, payload, len);
		n = parts ? relay_receive(5, &msg, 0)
			  : receive_from(5, got, room, 0, &from, &flags);
		if (parts)
			flags = msg.msg_flags;
		ck_assert_int_eq(n, (ssize_t)want);
		ck_assert_mem_eq(got, payload, want);
		ck_assert_int_eq(got[room], '!');
		ck_assert_int_eq(flags, room < len ? MSG_TRUNC : 0);
	}
	end();
}
END_TEST

static const struct {
	const char *octets;
	size_t len;
} junk[] = {
#define JUNK(octets) { octets, sizeof(octets) - 1 }
	JUNK(""), JUNK("\0\0\0"), JUNK("\0\0\0\1\1\2\3\4\0"), JUNK("\0\0\1\1\1\2\3\4\0\120x"),
	JUNK("\0\0\200\1\1\2\3\4\0\120x"), JUNK("\0\0\0\2\1\2\3\4\0\120x"),
	JUNK("\0\0\0\3\0\0\120x"), JUNK("\0\0\0\3\5abc"), JUNK("\0\0\0\4\1\2\3\4\0\120x"),
	JUNK("\0\0\0\4\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1\17\240x"),
};

START_TEST(what_is_no_datagram_of_the_relays_is_dropped)
{
	struct sockaddr_in from;
	char got[64];

	begin();
	ck_assert_int_eq(send_to(5, "ho", 2, at(TARGET, 80)), 2);
	fake_arrives(5, PROXY, RELAY_PORT, junk[_i].octets, junk[_i].len);
	ck_assert_int_eq(receive_from(5, got, sizeof(got), MSG_DONTWAIT, &from, NULL), -EAGAIN);
	fake_arrives(5, PROXY, RELAY_PORT, junk[_i].octets, junk[_i].len);
	ARRIVES(HEADER, "good");
	ck_assert_int_eq(receive_from(5, got, sizeof(got), MSG_PEEK, &from, NULL), 4);
	ck_assert_int_eq(receive_from(5, got, sizeof(got), 0, &from, NULL), 4);
	ck_assert_mem_eq(got, "good", 4);
	end();
}
END_TEST

START_TEST(only_the_relay_and_direct_peers_are_heard)
{
	struct sockaddr_in from;
	char got[64];

	begin();
	ck_assert_int_eq(send_to(5, "ho", 2, at(TARGET, 80)), 2);
	ck_assert_int_eq(send_to(5, "hi", 2, at(0x0a000005, 7)), 2);
	EXPECT_SENT(0x0a000005, 7, "hi");
	fake_arrives(5, PROXY, RELAY_PORT + 1, HEADER "bad", 13);
	fake_arrives(5, PROXY + 1, RELAY_PORT, HEADER "bad", 13);
	fake_arrives(5, TARGET, 80, "bad", 3);
	fake_arrives(5, 0x0a000005, 7, "lo", 2);
	ck_assert_int_eq(receive_from(5, got, sizeof(got), 0, &from, NULL), 2);
	ck_assert_mem_eq(got, "lo", 2);
	ck_assert_uint_eq(ntohl(from.sin_addr.s_addr), 0x0a000005);
	ck_assert_int_eq(receive_from(5, got, sizeof(got), MSG_DONTWAIT, &from, NULL), -EAGAIN);
	end();
}
END_TEST

START_TEST(a_connected_socket_hears_its_peer_only)
{
	union sockaddr_any peer;
	struct sockaddr_in from;
	socklen_t len;
	char got[64];

	begin();
	ck_assert_int_eq(connect_to(5, at(TARGET, 80)), 0);
	ck_assert_int_eq(fakesys.connects, 0);
	ck_assert(relay_peer(5, &peer, &len));
	ck_assert_uint_eq(ntohl(peer.in.sin_addr.s_addr), TARGET);
	ck_assert_int_eq(send_plain(5, "ho", 2), 2);
	EXPECT_SENT(PROXY, RELAY_PORT, HEADER "ho");
	ARRIVES("\0\0\0\1\1\2\3\5\0\120", "bad");
	ARRIVES("\0\0\0\1\1\2\3\4\0\121", "bad");
	fake_arrives(5, 0x0a000005, 7, "bad", 3);
	ARRIVES(HEADER, "good");
	ck_assert_int_eq(receive_from(5, got, sizeof(got), 0, &from, NULL), 4);
	ck_assert_uint_eq(ntohs(from.sin_port), 80);

	/* another peer, with the same association */
	ck_assert_int_eq(connect_to(5, at(TARGET, 81)), 0);
	ck_assert_int_eq(send_plain(5, "ho", 2), 2);
	EXPECT_SENT(PROXY, RELAY_PORT, "\0\0\0\1\1\2\3\4\0\121ho");
	ck_assert_int_eq(fakesys.connects, 1);

	relay_disconnect(5);
	ck_assert(!relay_peer(5, &peer, &len));
	end();
}
END_TEST

START_TEST(what_was_lost_is_made_anew_once)
{
	begin();
	ck_assert_int_eq(send_to(5, "ho", 2, at(TARGET, 80)), 2);
	server->then_eof = true;
	fakesys.now_ns += 2000 * MS;
	/* The new one's is closed as soon as it is there, too. */
	reply_with("\5\0" "\5\0\0\1\300\0\2\1\17\241", 12);
	ck_assert_int_eq(send_to(5, "ho", 2, at(TARGET, 80)), 2);
	EXPECT_SENT(PROXY, RELAY_PORT + 1, HEADER "ho");
	ck_assert_int_eq(fakesys.connects, 2);
	reply_with(FAKE_REFUSED("\1"), sizeof(FAKE_REFUSED("\1")) - 1);
	fakesys.now_ns += 2000 * MS;
	ck_assert_int_eq(send_to(5, "ho", 2, at(TARGET, 80)), -ENETDOWN);
	ck_assert_int_eq(send_to(5, "ho", 2, at(TARGET, 80)), -ENETDOWN);
	ck_assert_int_eq(fakesys.connects, 3);
	end();
}
END_TEST

START_TEST(the_last_copy_ends_the_association)
{
	begin();
	fake_dup(5, 6);
	fdtab_dup(5, 6);
	ck_assert_int_eq(send_to(5, "ho", 2, at(TARGET, 80)), 2);
	ck_assert_int_eq(send_to(6, "ho", 2, at(TARGET, 80)), 2);
	ck_assert_int_eq(fakesys.connects, 1);
	p_close(5);
	ck_assert_ptr_nonnull(fakesys.fds[CONTROL]);
	p_close(6);
	ck_assert_ptr_null(fakesys.fds[CONTROL]);
	end();
}
END_TEST

#define EARLIER 0x07070707u

START_TEST(names_are_sent_as_names_and_come_back_as_they_went)
{
	struct target pool;
	union sockaddr_any name;
	struct sockaddr_in from;
	char got[8];

	begin();
	ck_assert_int_eq(namepool_open(NULL, NULL), 0);
	ck_assert_int_eq(namepool_address("a.example", 9, AF_INET, &pool), 0);
	pool.port = 80;
	ck_assert_int_eq(target_to_sockaddr(&pool, AF_INET, &name), sizeof(name.in));
	ck_assert_int_eq(send_to(5, "ho", 2, at(EARLIER, 80)), 2);
	ck_assert_int_eq(send_to(5, "ho", 2, name.in), 2);
	EXPECT_SENT(PROXY, RELAY_PORT, "\0\0\0\3\11a.example\0\120ho");
	ARRIVES("\0\0\0\1\7\7\7\7\0\120", "0"); /* of an address that came before the name */
	ck_assert_int_eq(receive_from(5, got, sizeof(got), 0, &from, NULL), 1);
	ck_assert_uint_eq(ntohl(from.sin_addr.s_addr), EARLIER);
	ck_assert_int_eq(send_to(5, "ho", 2, at(TARGET, 80)), 2);

	ARRIVES("\0\0\0\3\11A.Example\0\120", "1"); /* by the name */
	ARRIVES("\0\0\0\1\11\11\11\11\0\120", "2"); /* by the address behind it */
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(receive_from(5, got, sizeof(got), 0, &from, NULL), 1);
		ck_assert_uint_eq(from.sin_addr.s_addr, name.in.sin_addr.s_addr);
		ck_assert_uint_eq(from.sin_port, name.in.sin_port);
	}
	ARRIVES("\0\0\0\1\1\2\3\4\0\120", "3"); /* of the other peer */
	ck_assert_int_eq(receive_from(5, got, sizeof(got), 0, &from, NULL), 1);
	ck_assert_uint_eq(ntohl(from.sin_addr.s_addr), TARGET);
	ARRIVES("\0\0\0\1\10\10\10\10\0\121", "4"); /* of another port */
	ck_assert_int_eq(receive_from(5, got, sizeof(got), 0, &from, NULL), 1);
	ck_assert_uint_eq(ntohl(from.sin_addr.s_addr), 0x08080808);
	end();
}
END_TEST

#define MANY 70 /* more than go together */

static struct sockaddr_in names[MANY];
static char octets[MANY][16];
static struct iovec parts[MANY];

static void make_many(struct mmsghdr *msgs, size_t size)
{
	memset(msgs, 0, MANY * sizeof(*msgs));
	for (int i = 0; i < MANY; i++) {
		names[i] = at(i % 3 == 1 ? 0x0a000005 : TARGET, (uint16_t)(100 + i));
		parts[i] = (struct iovec){ octets[i], size };
		msgs[i].msg_hdr = (struct msghdr){ .msg_name = &names[i],
						   .msg_namelen = sizeof(names[i]),
						   .msg_iov = &parts[i], .msg_iovlen = 1 };
	}
}

START_TEST(many_are_sent_each_its_way)
{
	struct mmsghdr msgs[MANY];

	begin();
	make_many(msgs, 3);
	ck_assert_int_eq(relay_send_many(5, msgs, MANY, 0), MANY);
	ck_assert_int_eq(fake_udp(5)->out_count, MANY);
	for (int i = 0; i < MANY; i++) {
		const struct fake_datagram *d = &fake_udp(5)->out[i];

		ck_assert_uint_eq(msgs[i].msg_len, 3);
		ck_assert_uint_eq(d->len, i % 3 == 1 ? 3 : 13);
		ck_assert_uint_eq(ntohl(d->peer.sin_addr.s_addr), i % 3 == 1 ? 0x0a000005 : PROXY);
		if (i % 3 != 1)
			ck_assert_int_eq(d->octets[9], 100 + i);
	}
	/* One that may not be sent ends it. */
	names[2] = at(0xe0000001, 5);
	ck_assert_int_eq(relay_send_many(5, msgs, MANY, 0), 2);
	ck_assert_int_eq(relay_send_many(5, msgs + 2, 1, 0), -ENETUNREACH);
	end();
}
END_TEST

START_TEST(many_are_received_without_gaps)
{
	struct mmsghdr msgs[MANY];

	begin();
	ck_assert_int_eq(send_to(5, "ho", 2, at(TARGET, 80)), 2);
	for (int i = 0; i < MANY; i++) {
		char header[] = HEADER;

		header[9] = (char)i;
		arrives(header, 10, "abcdefgh", (size_t)(i % 8));
		if (i % 9 == 4)
			fake_arrives(5, TARGET, 80, "bad", 3);
	}
	make_many(msgs, 5);
	ck_assert_int_eq(relay_receive_many(5, msgs, MANY, MSG_WAITFORONE, NULL), MANY);
	for (int i = 0; i < MANY; i++) {
		ck_assert_int_eq(ntohs(names[i].sin_port), i);
		ck_assert_int_eq((int)msgs[i].msg_len, i % 8 > 5 ? 5 : i % 8);
		ck_assert_int_eq(msgs[i].msg_hdr.msg_flags, i % 8 > 5 ? MSG_TRUNC : 0);
		ck_assert_uint_eq(msgs[i].msg_hdr.msg_namelen, sizeof(names[i]));
		ck_assert_mem_eq(octets[i], "abcdefgh", msgs[i].msg_len);
	}
	ck_assert_int_eq(relay_receive_many(5, msgs, 2, MSG_DONTWAIT, NULL), -EAGAIN);
	end();
}
END_TEST

/* Each error of each call at each step: it is told, or overcome; never goes a datagram past the relay. */
START_TEST(an_error_at_any_step_leaks_nothing)
{
	static const int errors[] = { EINTR, EAGAIN, ENOMEM, EINVAL, EMFILE, EADDRINUSE, ENOBUFS,
				      ECONNRESET, EPIPE, ECONNREFUSED, ENETUNREACH, ETIMEDOUT };

	for (int step = 1; step < 60; step++) {
		ssize_t n;

		begin();
		fakesys.fail_at = step;
		fakesys.fail_with = -errors[_i / 2];
		n = _i % 2 != 0 ? connect_to(5, at(TARGET, 80)) : 0;
		if (n == 0)
			n = _i % 2 != 0 ? send_plain(5, "ho", 2) : send_to(5, "ho", 2, at(TARGET, 80));
		ck_assert(n == 2 || n < 0);
		for (int i = 0; i < fake_udp(5)->out_count; i++) {
			ck_assert_uint_eq(ntohl(fake_udp(5)->out[i].peer.sin_addr.s_addr), PROXY);
			ck_assert_uint_eq(ntohs(fake_udp(5)->out[i].peer.sin_port), RELAY_PORT);
			ck_assert_mem_eq(fake_udp(5)->out[i].octets, HEADER "ho", 12);
		}
		ck_assert_int_eq(fake_udp(5)->out_count, n == 2);
		end();
	}
}
END_TEST

static short polled(int fd, short events, int64_t timeout)
{
	struct pollfd p = { .fd = fd, .events = events };

	return wait_poll(&p, 1, timeout, NULL) > 0 ? p.revents : 0;
}

/* A socket that does not block, and a proxy that takes 50 ms for each of three steps. */
static void begin_slow(void)
{
	begin();
	fakesys.fds[5]->flags = O_NONBLOCK;
	server->connect_ns = 50 * MS;
	server->answer_ns = 50 * MS;
}

START_TEST(a_send_that_may_not_block_does_not_wait_for_the_association)
{
	bool is_connected = _i % 2 != 0;

	begin_slow();
	if (is_connected)
		ck_assert_int_eq(connect_to(5, at(TARGET, 80)), 0);
	ck_assert_int_eq(send_to(5, "one", 3, at(TARGET, 80)), 3);
	ck_assert_int_eq(send_to(5, "two", 3, at(TARGET, 81)), 3);
	ck_assert_int_eq(fakesys.now_ns, 0);
	ck_assert_int_eq(fake_udp(5)->out_count, 0);
	ck_assert_int_eq(polled(5, POLLOUT, 0), POLLOUT);
	switch (_i / 2) {
	case 0: /* a poll of this fd, or of none */
		ck_assert_int_eq(polled(5, POLLIN, 500 * MS), 0);
		ck_assert_int_eq(fakesys.now_ns, 500 * MS);
		break;
	case 1: /* a later send */
		for (int i = 0; i < 3; i++) {
			fakesys.now_ns += 100 * MS;
			ck_assert_int_eq(relay_error(5), 0);
		}
		break;
	default: /* the end of the program */
		relay_finish_all(false);
		ck_assert_int_eq(fakesys.now_ns, 150 * MS);
	}
	ck_assert_int_eq(fake_udp(5)->out_count, 2);
	EXPECT_SENT(PROXY, RELAY_PORT, "\0\0\0\1\1\2\3\4\0\121two");
	ck_assert(!relay_is_unsettled());
	ck_assert_int_eq(send_to(5, "three", 5, at(TARGET, 80)), 5);
	EXPECT_SENT(PROXY, RELAY_PORT, HEADER "three");
	end();
	ck_assert_int_eq(conn_pending, 0);
}
END_TEST

START_TEST(a_failure_that_no_send_told_is_told_once)
{
	struct sockaddr_in from;
	char octet;

	begin_slow();
	reply_with(FAKE_REFUSED("\7"), sizeof(FAKE_REFUSED("\7")) - 1);
	ck_assert_int_eq(send_to(5, "one", 3, at(TARGET, 80)), 3);
	ck_assert_int_eq(polled(5, POLLIN, 5000 * MS), POLLIN | POLLERR);
	ck_assert_int_eq(fakesys.now_ns, 150 * MS);
	switch (_i) {
	case 0:
		ck_assert_int_eq(relay_error(5), ENETUNREACH);
		break;
	case 1:
		ck_assert_int_eq(receive_from(5, &octet, 1, 0, &from, NULL), -ENETUNREACH);
		break;
	default:
		ck_assert_int_eq(send_to(5, "two", 3, at(TARGET, 80)), -ENETUNREACH);
	}
	ck_assert_int_eq(relay_error(5), 0);
	ck_assert_int_eq(receive_from(5, &octet, 1, 0, &from, NULL), -EAGAIN);
	ck_assert_int_eq(fake_udp(5)->out_count, 0);
	ck_assert_int_eq(conn_pending, 0);
	end();
}
END_TEST

START_TEST(the_time_for_an_association_is_bounded_while_the_program_waits)
{
	begin_slow();
	server->connect_ns = -1;
	ck_assert_int_eq(send_to(5, "one", 3, at(TARGET, 80)), 3);
	ck_assert_int_eq(polled(5, POLLIN, WAIT_FOREVER), POLLIN | POLLERR);
	ck_assert_int_eq(fakesys.now_ns, 10000 * MS);
	ck_assert_int_eq(relay_error(5), ETIMEDOUT);
	end();
}
END_TEST

/* A thread that sleeps in poll(2) already would not hear of the proxy's answer. */
START_TEST(with_threads_it_is_waited_for_unless_a_set_is_woken)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = 77 };
	struct conn *conn;

	begin_slow();
	fakesys.threads = true;
	if (_i != 0) {
		fake_set(7);
		conn = fdtab_get_or_new(5);
		ck_assert_int_eq(epreg_ctl(conn, 7, EPOLL_CTL_ADD, 5, &event), 0);
		conn_unref(conn);
	}
	ck_assert_int_eq(send_to(5, "one", 3, at(TARGET, 80)), 3);
	ck_assert_int_eq(fakesys.now_ns, _i != 0 ? 0 : 150 * MS);
	ck_assert_int_eq(fake_udp(5)->out_count, _i == 0);
	if (_i == 1) {
		ck_assert_int_eq(wait_epoll(7, &event, 1, 500 * MS, NULL), 0);
		ck_assert_int_eq(fake_udp(5)->out_count, 1);
		ARRIVES(HEADER, "hello");
		ck_assert_int_eq(wait_epoll(7, &event, 1, 500 * MS, NULL), 1);
		ck_assert_uint_eq(event.data.u64, 77);
	} else if (_i == 2) {
		server->connect_error = ECONNREFUSED;
		ck_assert_int_eq(wait_epoll(7, &event, 1, WAIT_FOREVER, NULL), 1);
		ck_assert_uint_eq(event.events, EPOLLIN | EPOLLERR);
		ck_assert_uint_eq(event.data.u64, 77);
		ck_assert_int_eq(relay_error(5), ECONNREFUSED);
	}
	p_close(5);
	if (_i != 0)
		p_close(7);
	end();
}
END_TEST

START_TEST(what_is_kept_is_bounded)
{
	char kilo[1000] = "";
	int kept = 0;

	begin_slow();
	while (kept < 1000 && send_to(5, kilo, sizeof(kilo), at(TARGET, 80)) > 0)
		kept++;
	ck_assert_int_gt(kept, 2);
	ck_assert_int_lt(kept, 212992 / 1000);
	ck_assert_int_eq(send_to(5, kilo, 1, at(TARGET, 80)), -EAGAIN);
	ck_assert_int_eq(polled(5, POLLOUT, 0), 0);
	ck_assert_int_eq(send_to(5, kilo, 70000, at(TARGET, 80)), -EMSGSIZE);
	p_close(5);
	ck_assert(!relay_is_unsettled());
	ck_assert_int_eq(conn_pending, 0);
	end();
}
END_TEST

START_TEST(many_are_kept_too)
{
	struct mmsghdr msgs[MANY];

	begin_slow();
	make_many(msgs, 3);
	ck_assert_int_eq(relay_send_many(5, msgs, MANY, 0), MANY);
	ck_assert_int_eq(fake_udp(5)->out_count, MANY / 3); /* the direct ones */
	ck_assert_int_eq(polled(5, POLLIN, 500 * MS), 0);
	ck_assert_int_eq(fake_udp(5)->out_count, MANY);
	EXPECT_SENT(PROXY, RELAY_PORT, "\0\0\0\1\1\2\3\4\0\251\0\0\0");
	end();
}
END_TEST

/* The child of a fork begins its own. */
START_TEST(what_is_under_way_is_the_parents)
{
	begin_slow();
	ck_assert_int_eq(send_to(5, "one", 3, at(TARGET, 80)), 3);
	drive_before_fork();
	fakesys.pid = 2;
	drive_in_child(2);
	ck_assert(!relay_is_unsettled());
	ck_assert_int_eq(conn_pending, 0);
	ck_assert_int_eq(send_to(5, "two", 3, at(TARGET, 80)), 3);
	ck_assert_int_eq(polled(5, POLLIN, 500 * MS), 0);
	ck_assert_int_eq(fake_udp(5)->out_count, 1);
	EXPECT_SENT(PROXY, RELAY_PORT, HEADER "two");
	end();
}
END_TEST

START_TEST(a_poll_is_not_woken_by_what_is_dropped)
{
	struct sockaddr_in from;
	char got[64];

	begin();
	if (_i != 0)
		ck_assert_int_eq(connect_to(5, at(TARGET, 80)), 0);
	ck_assert_int_eq(send_to(5, "ho", 2, at(TARGET, 80)), 2);
	fake_arrives(5, PROXY, RELAY_PORT, "\0\0\1\1\1\2\3\4\0\120x", 11);
	fake_arrives(5, TARGET, 80, "bad", 3);
	ck_assert_int_eq(polled(5, POLLIN | POLLOUT, 0), POLLOUT);
	ck_assert_int_eq(fake_udp(5)->in_at, 2);
	ck_assert_int_eq(polled(5, POLLIN, 100 * MS), 0);
	ck_assert_int_eq(fakesys.now_ns, 100 * MS);
	fake_arrives(5, TARGET, 80, "bad", 3);
	ARRIVES(HEADER, "");
	ck_assert_int_eq(polled(5, POLLIN, 100 * MS), POLLIN);
	ck_assert_int_eq(receive_from(5, got, sizeof(got), MSG_DONTWAIT, &from, NULL), 0);
	end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("relay");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_test(t, the_first_datagram_makes_the_association);
	tcase_add_loop_test(t, the_relay_is_where_the_reply_says, 0, 5);
	tcase_add_loop_test(t, a_refusal_is_told_by_the_send_and_remembered, 0, 7);
	tcase_add_loop_test(t, the_time_for_an_association_is_bounded, 0, 2);
	tcase_add_test(t, what_comes_through_the_relay_has_its_source);
	tcase_add_loop_test(t, a_header_of_another_length_than_the_last_is_taken_off, 0, 60);
	tcase_add_loop_test(t, what_is_no_datagram_of_the_relays_is_dropped, 0, 10);
	tcase_add_test(t, only_the_relay_and_direct_peers_are_heard);
	tcase_add_test(t, a_connected_socket_hears_its_peer_only);
	tcase_add_test(t, what_was_lost_is_made_anew_once);
	tcase_add_test(t, the_last_copy_ends_the_association);
	tcase_add_test(t, names_are_sent_as_names_and_come_back_as_they_went);
	tcase_add_test(t, many_are_sent_each_its_way);
	tcase_add_test(t, many_are_received_without_gaps);
	tcase_add_loop_test(t, an_error_at_any_step_leaks_nothing, 0, 24);
	tcase_add_loop_test(t, a_send_that_may_not_block_does_not_wait_for_the_association, 0, 6);
	tcase_add_loop_test(t, a_failure_that_no_send_told_is_told_once, 0, 3);
	tcase_add_test(t, the_time_for_an_association_is_bounded_while_the_program_waits);
	tcase_add_loop_test(t, with_threads_it_is_waited_for_unless_a_set_is_woken, 0, 3);
	tcase_add_test(t, what_is_kept_is_bounded);
	tcase_add_test(t, many_are_kept_too);
	tcase_add_test(t, what_is_under_way_is_the_parents);
	tcase_add_loop_test(t, a_poll_is_not_woken_by_what_is_dropped, 0, 2);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
