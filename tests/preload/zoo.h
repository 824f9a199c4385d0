/* SPDX-License-Identifier: ISC */
/* zoo.h - ways past a library that interposes calls, each one a trick with a name. */
#ifndef ZOO_H
#define ZOO_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* The exit status of a trick. */
enum outcome {
	ZOO_HELLO = 0,		/* the target's answer came */
	ZOO_FAILED = 1,		/* an error */
	ZOO_SENT = 2,		/* something went out, or seems to have */
	ZOO_ABSENT = 77,	/* this machine does not know that trick */
};

struct trick {
	const char *name;
	enum outcome (*run)(void);
	bool is_proxied;	/* under socksify the answer must come, not only no packet */
};

extern const struct trick connect_tricks[], datagram_tricks[], exec_tricks[], load_tricks[];
extern const struct trick part_tricks[]; /* of other tricks; not listed */

/* From the command line. */
extern struct sockaddr_in target4;
extern struct sockaddr_in6 target6;
extern const char *host_name;	/* a name that only the proxy knows */
extern int limit_ms;		/* for connects and answers */
extern char **arguments;	/* those behind the trick's name, and NULL */
extern const char *self, *plugin, *static_child;

/* A socket whose connects, sends and receives end after limit_ms, or -1. */
int stream(int domain, int protocol);

/* -1 becomes the outcome of an error. */
enum outcome failed(const char *what);

/* Ask over a connected socket. */
enum outcome ask(int fd);

/* What the answer to a request that was sent already says. */
enum outcome await(int fd);
extern const char request[];

/* @part to target4, as sendmmsg(2) wants it. */
struct mmsghdr message_of(struct iovec *part);

/* The outcome of a child. */
enum outcome child_outcome(int pid);

#endif
