/* SPDX-License-Identifier: Apache-2.0
 *
 * SIGINT and SIGTERM become a wish to stop, which callbacks poll and which reaches a session at
 * once; a second signal ends the process on the spot.  SIGPIPE is ignored: a closed pipe is seen by
 * write().  Where the program talks to somebody, SIGINT stops what it says and not the program. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>

#include "plimsoll.h"

/* Also SIGBUS, which comes of a mapped file that was cut short: an error on stderr (with `json` on
 * stdout too) and exit 1. */
void interrupt_install(bool json);
bool interrupt_seen(void);

/* Wait until `fd` can be read, with the signals of `mask` held (NULL: those that are held now): no
 * signal that asks to stop can come between the look and the wait.  1; or -1 with errno, EINTR also
 * where interrupt_seen. */
int interrupt_wait(int fd, const sigset_t *mask);

/* While on, Ctrl-C (SIGINT) is a wish that can be forgotten: however often it comes, it does not
 * end the process by itself. */
void interrupt_spare(bool on);

/* Forget a SIGINT.  False, and nothing is forgotten, where another signal asked to stop. */
bool interrupt_forget(void);

/* The session that a signal cancels; NULL before it is closed. */
void interrupt_watch(plim_session *session);

/* The plan whose load a signal cancels; NULL before it is closed. */
void interrupt_watch_load(plim_plan *plan);

#endif
