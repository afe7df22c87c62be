/* SPDX-License-Identifier: Apache-2.0
 *
 * SIGINT and SIGTERM become a wish to stop, which callbacks poll and which reaches a session at
 * once; a second signal ends the process on the spot.  SIGPIPE is ignored: a closed pipe is seen by
 * write(). */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <stdbool.h>

#include "plimsoll.h"

/* Also SIGBUS, which comes of a mapped file that was cut short: an error on stderr (with `json` on
 * stdout too) and exit 1. */
void interrupt_install(bool json);
bool interrupt_seen(void);

/* The session that a signal cancels; NULL before it is closed. */
void interrupt_watch(plim_session *session);

/* The plan whose load a signal cancels; NULL before it is closed. */
void interrupt_watch_load(plim_plan *plan);

#endif
