/* SPDX-License-Identifier: ISC */
/*
 * faults.h - what the parts of the fault tests share.
 *
 * A trial is one run of faults_probe, preloaded, against a SOCKS server of its own, with one thing that
 * goes wrong: in what the server says, in a system call, in an allocation, for want of a descriptor.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* How a probe ends, beside 0 and the errno of what failed. */
enum { PROBE_BROKEN = 200 };

/* The system call that marks the end of what may go wrong: getpriority(2) of this process. */
#define FAULTS_OVER 0x5afe

#define FAULT_CALLS_MAX 32

/* 127.77.0.1, which goes through the proxy. */
#define FAULT_TARGET UINT32_C(0x7f4d0001)

/* The numbers of two TCP sockets that a probe inherits. */
enum { FAULT_SOCKETS = 30 };

enum server_fault { SERVER_GOOD, SERVER_STOPS, SERVER_CLOSES, SERVER_RESETS, SERVER_CORRUPTS };

/* A SOCKS server on 127.0.0.1, and the targets behind it. */
struct faulty_server {
	enum server_fault fault;	/* at octet .at of its replies, of each connection */
	unsigned at;
	unsigned char mask;		/* SERVER_CORRUPTS: what is changed */

	int socks, relay, target, datagrams;	/* the last two see what goes past the proxy */
	in_port_t port;			/* of socks */
	in_port_t target_port;		/* of both targets */
	atomic_int violations;		/* octets that SOCKS, or the program, should not have sent */
};

/* Opens it and serves in threads, until the process ends. */
void faulty_server_start(struct faulty_server *s);

/* Did anything reach a target directly? */
bool faulty_server_was_passed_by(const struct faulty_server *s);

/* How many octets a server says to a command. */
enum { REPLIES = 12, BIND_REPLIES = 22 };

/*
 * Serves the seccomp notifications of @pid, whose listener comes by way of @channel, until it ends:
 * the @at-th call, from 1, fails with @error.  Returns whether there was such a call.
 */
bool faulty_calls_serve(pid_t pid, int channel, int at, int error);

#endif
