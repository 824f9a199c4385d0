/* SPDX-License-Identifier: ISC */
/* attempt.h - a connection under way, on behalf of calls that wait for it. */
#ifndef SOCKSIFY_SUPERVISE_ATTEMPT_H
#define SOCKSIFY_SUPERVISE_ATTEMPT_H

#include "flow.h"
#include "listener.h"
#include "socksify/route.h"

/*
 * attempt_direct - go on with a connect(2) that the kernel has begun.
 * attempt_proxy - connect to the proxy, and speak with it on the program's own socket.
 * @f:    new and PENDING; freed, or left with what is known, at the end
 * @fd:   our copy of the socket's descriptor; taken over in any case
 * @c:    the connect(2), which is answered in any case, now or at the end
 */
void attempt_direct(struct flow *f, int fd, const struct call *c);
void attempt_proxy(struct flow *f, int fd, const struct call *c, const struct route *route);

/*
 * attempt_park - the same for a call that may not wait: it is answered with
 * EINPROGRESS, and the socket is parked (park.h) until the proxy has answered.
 * False: it cannot be parked, and nothing happened.
 */
bool attempt_park(struct flow *f, int fd, const struct call *c, const struct route *route);

/* Is it a parked one?  Then the kernel has the right answer for whoever asks how it goes. */
bool attempt_is_parked(const struct attempt *a);

/* A parked socket may be open in the kernel, and the loop not have heard of it yet. */
void attempt_settle(struct attempt *a);

/* Forget the errno that the kernel keeps for a socket; the program was told ours. */
void attempt_drop_error(int fd);

/* Another call that is to be answered when it is over: connect(2), or SO_ERROR. */
void attempt_wait(struct attempt *a, const struct call *c);

/* The program asks for another state of its socket (AF_UNSPEC): no result any more. */
void attempt_cancel(struct attempt *a);

/* Tell the caller of getsockopt(2) the value of an option that is an int. */
void attempt_answer_option(const struct call *c, int value);

#endif
