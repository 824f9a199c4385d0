/* SPDX-License-Identifier: ISC */
/*
 * likeness.h - what the scenarios of likeness.c have in common.
 *
 * A scenario makes calls on a TCP socket that connects and prints a line for
 * each fact that a program can see: results, errno, events.  The lines must be
 * the same over a plain link and through a proxy, so they hold no times, only
 * whether a bound was kept, and no numbers that change from run to run.
 */
#ifndef LIKENESS_H
#define LIKENESS_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Where a connect goes: accepted, refused, or never answered. */
enum outcome { OPEN, CLOSED, VOID };

#define GOES(outcome) (1U << (outcome))
#define BOTH	      (GOES(OPEN) | GOES(CLOSED))

/*
 * A scenario is run once for each kind, order and outcome; its full name is
 * NAME[/KIND][/ORDER]/OUTCOME.  Lists of names end with NULL; NULL: no list.
 */
struct run;
struct scenario {
	const char *name;
	void (*run)(const struct run *);
	const char *const *kinds;
	const char *const *orders;
	unsigned outcomes;
};

struct run {
	const struct scenario *scenario;
	int kind;
	int order;
	enum outcome outcome;
};

/* One list a file; each ends with a scenario without a name. */
extern const struct scenario wait_scenarios[], epoll_scenarios[], state_scenarios[];
extern const struct scenario end_scenarios[], block_scenarios[], many_scenarios[];
extern const struct scenario option_scenarios[], signal_scenarios[], spin_scenarios[];

/* The time of the first connect: is it surely still pending? */
enum phase { EARLY, LATE };
extern const char *const phase_names[];

/* In milliseconds.  A round trip to the target is 240, to the proxy 40. */
#define LATE_MS	    130 /* the proxy has the request, no target has answered */
#define PENDING_MS  200 /* a round trip less a margin */
#define FOREVER_MS  8000

#define ALL_EVENTS (POLLIN | POLLPRI | POLLOUT | POLLRDHUP)

/* Calls it, prints the call, its result and errno; gives the result. */
#define CALL(call) record(#call, (errno = 0, (long)(call)))

static inline struct timespec timespec_of(int ms)
{
	return (struct timespec){ ms / 1000, ms % 1000 * 1000000L };
}

static inline struct timeval timeval_of(int ms)
{
	return (struct timeval){ ms / 1000, ms % 1000 * 1000L };
}

/* likeness_record.c */
__attribute__((format(printf, 1, 2))) void line(const char *format, ...);
long record(const char *what, long result);
const char *mask_text(unsigned mask);
const char *error_text(int error);
const struct sockaddr *place(enum outcome outcome);
void place_set(enum outcome outcome, const char *text);
void scenario_begin(const char *name, int attempts_left);
int64_t now_ms(void);
int64_t since_connect_ms(void);
void within(const char *what, int64_t ms, int64_t limit);
void still_pending(void);
void connect_begins(void);
int tcp_socket(int flags);
int begin(int fd, enum outcome outcome);
int begin_again(int fd, enum outcome outcome);
int unspec(int fd);
int pending(const struct run *r);
int phase_reach(int fd, int phase);
unsigned settle(int fd);
void converse(int fd);
void error_show(int fd);
void events_show(int fd);
void names_show(int fd);
void addresses_show(int fd);
void count_show(int fd);
void finish(int fd, enum outcome outcome);
int epoll_add(int epfd, int fd, unsigned events, uint64_t data);
int epoll_mod(int epfd, int fd, unsigned events, uint64_t data);
int epoll_show(int epfd, int timeout_ms);
void handle(int signal, int flags);
int handled(void);
void alarm_in(int ms);

#define ERETRY 75 /* exit status: too late to mean anything, try again */

#endif
