/* SPDX-License-Identifier: ISC */
/*
 * pending.h - the frame of the programs that test connects in progress.
 *
 * The same checks hold for the kernel's connect to the echo target (bare) and
 * through the proxy; run-pending runs both.  A scenario runs in a child with a
 * watchdog.  Time is only ever a generous bound.
 */
#ifndef PENDING_H
#define PENDING_H

#include "../lib/step_script.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
	PROXIED_ONLY = 1, /* there is no such thing without a proxy */
	ON_REQUEST = 2,	  /* the kernel does it, and nobody promised it of a proxy */
};

struct scenario {
	const char *name;
	void (*run)(void);
	unsigned flags;
	unsigned seconds; /* of the watchdog; 0: a default */
};

/* The listeners of the server, in the order of run-pending. */
enum early { EARLY_DELAY50, EARLY_CLOSE0, EARLY_CLOSE1, EARLY_RESET0, EARLY_RESET1,
	     EARLY_MUTE0, EARLY_MUTE1, EARLY_GARBAGE0, EARLY_DRIBBLE };

enum {
	WAIT_MS = 10000,    /* bound of what should come at once */
	FAILED_EVENTS = 0x2000 | 0x1 | 0x4 | 0x8 | 0x10, /* RDHUP|IN|OUT|ERR|HUP */
	ALL_EVENTS = 0x2000 | 0x1 | 0x4,		 /* RDHUP|IN|OUT */
};

extern bool bare;
extern const struct scenario scenarios[]; /* ends with an empty one */
/* Called first in main() if the program starts itself; NULL if it does not. */
extern int (*const own_child)(int argc, char **argv);

#define CHECK(condition, ...)                                                  \
	do {                                                                   \
		if (!(condition))                                              \
			fail(__VA_ARGS__);                                     \
	} while (0)

/* @call must give -1 and @want. */
#define CHECK_ERRNO(call, want)                                                \
	do {                                                                   \
		errno = 0;                                                     \
		long result_ = (long)(call);                                   \
		CHECK(result_ == -1 && errno == (want),                        \
		      "%s:%d: %s gives %ld %s, not %s", __FILE__, __LINE__,    \
		      #call, result_, strerrorname_np(errno), #want);          \
	} while (0)

#define CHECK_OK(call)                                                         \
	({                                                                     \
		errno = 0;                                                     \
		long result_ = (long)(call);                                   \
		CHECK(result_ >= 0, "%s:%d: %s gives %ld %s", __FILE__,        \
		      __LINE__, #call, result_, strerrorname_np(errno));       \
		(int)result_;                                                  \
	})

/* Ends the scenario; also in a child process, which then exits with 1. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A command to the server, and its answer. */
unsigned control(const char *command, unsigned n);
/* Waits, bounded, until the counter is @n at least. */
void control_until(const char *command, unsigned arg, unsigned n);

/* An address that is answered in the way of @script. */
struct sockaddr_in step_target(enum step_script script, unsigned arg);
struct sockaddr_in early_target(enum early listener);

/* A target whose connections stay pending until it is decided. */
struct gate {
	unsigned id;
	struct sockaddr_in to;
};
struct gate gate_new(void);
void gate_let(const struct gate *g);
void gate_refuse(const struct gate *g);
/* The request of @n connections has arrived, with no help of the caller. */
void gate_reached(const struct gate *g, unsigned n);
/* The same for @fd, which this thread polls meanwhile. */
void gate_reach(const struct gate *g, int fd);

/* A non-blocking connect, which is in progress then. */
int start(const struct sockaddr_in *to);
int tcp_connect(int fd, const struct sockaddr_in *to);
int tcp_socket(int flags); /* SOCK_NONBLOCK or 0 */
int so_error(int fd);
/* The events of @fd after at most @ms. */
int events_of(int fd, int events, int ms);
/* It becomes writable, without error, and the peer is @to. */
void finish(int fd, const struct sockaddr_in *to);
/* It becomes what a refused connect leaves, with error @err. */
void finish_failed(int fd, int err);
/* Sends a text with @id and reads the echo of it. */
void talk(int fd, unsigned id);
/* All of the above with a new connection: nothing is left in disorder. */
void connect_anew(void);
void set_blocking(int fd, bool blocking);

uint64_t now_us(void);
/* Lets other threads run for a moment, where no event can be waited for. */
void breathe(void);
void until(atomic_int *what, int value, const char *why);
/* Waits until the thread of this id (once it is set) sleeps in the kernel. */
void until_asleep(atomic_int *tid);
int own_tid(void);
/* Waits for @pid, which must exit with 0. */
void reap(int pid);
unsigned count_fds(void);

#endif
