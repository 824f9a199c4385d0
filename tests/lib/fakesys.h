/* SPDX-License-Identifier: ISC */
/* fakesys.h - a kernel and SOCKS servers that do what a test wrote down, on a clock of their own. */
#ifndef FAKESYS_H
#define FAKESYS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "socksify/target.h"

#define FAKE_FDS 128
#define FAKE_REGISTRATIONS 16
#define FAKE_SERVERS 4
#define MS INT64_C(1000000)

/* A proxy, by the last octet of its address. */
struct fake_server {
	int host;
	int64_t connect_ns;	/* how long a TCP connect takes; < 0: it is never answered */
	int connect_error;	/* positive: how it ends; 0: accepted */
	const char *reply;
	size_t reply_len;
	int64_t answer_ns;	/* from a request to its answer */
	int64_t gap_ns;		/* between the octets of an answer */
	size_t peer_at;		/* where the second reply to a BIND begins; 0: there is none */
	int64_t peer_ns;	/* how much later that comes */
	bool then_eof;		/* after the reply; else silence */
	bool then_reset;
};

enum fake_kind { FAKE_NONE, FAKE_SOCKET, FAKE_SET, FAKE_UDP };
enum fake_state { FAKE_CLOSED, FAKE_CONNECTING, FAKE_CONNECTED };

struct fake_file;

#define FAKE_UDPS 4
#define FAKE_PORT 5000	/* of a UDP socket that was bound */

struct fake_datagram {
	struct sockaddr_in peer;
	size_t len;
	uint8_t octets[2048];	/* as many of them as there is room for */
};

/* A UDP socket's own: what arrived, and what was sent. */
struct fake_udp {
	bool used;
	uint16_t port;
	struct sockaddr_in peer;	/* port 0: not connected */
	int in_at, in_count, out_count;
	struct fake_datagram in[80], out[80];
};

extern struct fake_udp fake_udps[FAKE_UDPS];

struct fake_registration {
	struct fake_file *file;	/* NULL: unused */
	int fd;
	uint32_t events;
	epoll_data_t data;
	bool off;		/* one shot, that was fired */
	uint64_t reported;	/* wakes of the file, when it was last reported; 0: never */
};

/* An open file; its numbers are in fakesys.fds. */
struct fake_file {
	enum fake_kind kind;
	int refs, flags;
	uint64_t wakes;		/* how often somebody who waits was woken, from 1 */

	enum fake_state state;
	bool told;		/* a connect(2) returned 0 */
	int error;		/* SO_ERROR */
	int shut;		/* 1: reading, 2: writing */
	int domain, bound;	/* AF_INET or AF_INET6; the port, 0: none */
	int tcp_state;		/* 0: as state says, for TCP_INFO */
	bool bound_to_address;
	union sockaddr_any peer;
	const struct fake_server *server;
	int64_t connected_at, sent_at[2];	/* INT64_MAX: not yet */
	size_t seen;		/* octets that had arrived at the last look */
	bool seen_end;
	size_t reply_pos, sent_len;
	uint8_t sent[512];
	int64_t send_timeout_us, receive_timeout_us;
	int lowat, cork, nodelay;
	struct fake_udp *udp;	/* FAKE_UDP */

	struct fake_registration registrations[FAKE_REGISTRATIONS];
};

struct fakesys {
	struct fake_server servers[FAKE_SERVERS];
	size_t slice;		/* at most so many octets a call; 0: no limit */
	int fail_at;		/* 1 ..: the call that fails, among those that can with this error; 0: none */
	int fail_with;		/* -errno */
	bool has_numbers;	/* sockets can be made, duplicated and closed by the engine */
	bool threads;		/* the program has more than one */
	bool interrupts;	/* there is a handler without SA_RESTART */
	int pid;		/* 0: 1 */
	int jump_at;		/* 1 ..: the look at the clock from which on it is jump_ns ahead; 0: none */
	int64_t jump_ns;	/* or behind */
	int64_t hook_at;	/* call the hook when a wait reaches this time; 0: never */
	void (*hook)(void);
	void (*before_connect)(void);	/* another thread, while connect(2) is about to begin; called once */
	void (*before_add)(void);	/* the same for EPOLL_CTL_ADD */
	void (*in_receive)(void);	/* while recvmsg(2) of a TCP socket sleeps; called once */

	int step;		/* calls so far that could fail with fail_with */
	int looks;		/* at the clock, so far */
	int calls;		/* all calls that a program would wait or spin in */
	bool hung;		/* somebody waited for what cannot come */
	int connects;		/* connect(2) with a peer */
	int64_t now_ns;
	struct fake_file *fds[FAKE_FDS];
	struct fake_file files[FAKE_FDS];
};

extern struct fakesys fakesys;

/* Call and forget one of the hooks, if it is set. */
void fake_hook(void (**hook)(void));

/* A kernel without open files, and one server at host 1 that grants all at once. */
void fake_reset(void);

/* Open @fd, which is not open; O_NONBLOCK or 0. */
void fake_socket(int fd, int flags);
void fake_set(int fd);

/* A UDP socket of IPv4; what it has; a datagram arrives there. */
void fake_udp_socket(int fd, int flags);
struct fake_udp *fake_udp(int fd);
void fake_arrives(int fd, uint32_t host, uint16_t port, const void *octets, size_t len);

void fake_close(int fd);
void fake_dup(int from, int to);

/* The greeting and the request for 1.2.3.4:80 without a login, and what grants them. */
#define FAKE_GREETING 3
#define FAKE_REQUEST 10
#define FAKE_GRANTED "\5\0" "\5\0\0\1\1\2\3\4\0\120"
#define FAKE_REFUSED(rep) "\5\0" "\5" rep "\0\1\0\0\0\0\0\0"

/* For the fake's own parts. */
bool fake_fault(int *err, const int *possible);
struct fake_file *fake_file(int fd, enum fake_kind kind);
void fake_look(struct fake_file *f);	/* let happen what has come due */
unsigned fake_events(struct fake_file *f);	/* what poll(2) shows */
int64_t fake_next(struct fake_file *f);	/* when something happens to it; INT64_MAX: never */
bool fake_pass_time(int64_t next, int64_t end);
void fake_forget(struct fake_file *f);	/* by all sets */
ssize_t fake_receive(struct fake_file *f, int fd, struct msghdr *msg, int flags);	/* TCP */
void fake_count_call(void);
void fake_udp_reset(void);
int fake_udp_connect(struct fake_udp *u, const struct sockaddr *sa);

#endif
