/* SPDX-License-Identifier: ISC */
/*
 * stand_in.h - a process that stands for another one before whoever started
 * it: hands signals on, stops when that one stops, and ends as it ends.
 */
#ifndef SOCKSIFY_STAND_IN_H
#define SOCKSIFY_STAND_IN_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * stand_in_hand_on - the signal @sig came, with the si_code @code (sigaction(2)).
 * @program: 0: it is not started yet
 * SIGCHLD is not handed on, nor what the terminal sends, which the program gets itself:
 * it is in the same process group.
 */
void stand_in_hand_on(pid_t program, int sig, int code);

/* Be stopped as @program is, for the shell that waits for us; when we go on, so does it. */
void stand_in_stop(pid_t program);

/* End as @status of waitpid(2) says: of the same signal, but without a second core file. */
_Noreturn void stand_in_end(int status);

/*
 * Let go of what was inherited: whoever reads from such a pipe waits for the
 * end of all who hold it.
 * @keep: descriptors from 3 on that stay, ascending; @count of them
 */
void stand_in_drop_descriptors(const int *keep, int count);
void stand_in_drop_streams(bool with_stderr);

#endif
