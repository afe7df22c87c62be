/* SPDX-License-Identifier: Apache-2.0
 *
 * Progress on standard error, where that is a terminal: bytes, speed, time left.  Also where
 * callbacks ask whether to go on. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>

#include "plimsoll.h"

typedef struct cli_progress {
    const char *what; /* "loading" */
    bool on;          /* a terminal is there, and --quiet is not */
    bool shown;       /* a line stands there unfinished */
    double drawn;     /* when, in seconds of what is in progress */
} cli_progress;

void progress_open(cli_progress *progress, const char *what, bool quiet);

/* A plim_progress_fn; user is a cli_progress.  Non-zero once a signal came. */
int progress_show(void *user, const plim_progress *p);

/* Wipe the line, so that something else can be written. */
void progress_clear(cli_progress *progress);

#endif
