/* SPDX-License-Identifier: ISC */
/* program.h - the calls of a program, as the preloaded library passes them on to the engine and the kernel. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "fakesys.h"
#include "socksify/config.h"
#include "socksify/fdtab.h"
#include "socksify/wait.h"

#define TARGET_PORT 80

/* The configuration: one proxy at 192.0.2.1, 10 s; a test may change it. */
extern struct proxy program_proxy;
extern struct config program_config;

/* A new program: nothing open. */
void program_start(void);

/* Close all and check that nothing is left. */
void program_end(void);

void p_socket(int fd, int flags);
void p_set(int fd);
int p_connect(int fd);		/* to 1.2.3.4:80 */
int p_disconnect(int fd);	/* AF_UNSPEC */
ssize_t p_send(int fd, int flags);	/* two octets, "ho" */
ssize_t p_recv(int fd, int flags);
int p_error(int fd);		/* SO_ERROR; -errno */
int p_peer_port(int fd);	/* getpeername(2): the port; -errno */
int p_shutdown(int fd, int how);
void p_close(int fd);
void p_dup(int from, int to);
void p_set_flags(int fd, int flags);
int p_ctl(int epfd, int op, int fd, uint32_t events, uint64_t data);
int p_epoll(int epfd, struct epoll_event *events, int max, int64_t ms);
/* What one epoll_wait(2) reports of one fd, which has @data: events, or 0 for nothing. */
int p_epoll1(int epfd, int64_t ms, uint64_t data);
int p_poll(struct pollfd *fds, nfds_t count, int64_t ms);
int p_poll1(int fd, short events, int64_t ms);	/* revents, or -errno */

/* What has to hold of a blocking @fd, by way of the first of the fake kernel's servers. */

/* Connected to the target: what is sent follows the request. */
void p_check_connected(int fd);
/* Failed, and can be connected anew, to a server that grants. */
void p_check_reusable(int fd);
/*
 * connect(2) with the program's own SO_SNDTIMEO: EINPROGRESS, and EALREADY after
 * another timeout; the result comes when it is there, and the option stays.
 */
void p_check_send_timeout(int fd, bool connects_slowly);

#endif
