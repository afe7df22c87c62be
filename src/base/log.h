/* SPDX-License-Identifier: Apache-2.0
 *
 * The log callback of a context, passed down by value of pointer.  NULL log or NULL fn: silent. */
#ifndef PLIM_BASE_LOG_H
#define PLIM_BASE_LOG_H

#include "plimsoll.h"

typedef struct plim_log {
    plim_log_fn fn;
    void *user;
} plim_log;

/* One line, cut at 1023 bytes; control characters become '?'.  Takes no lock: whoever fills a
 * plim_log from the host's callback sees to it that lines come one at a time. */
void plim_log_line(const plim_log *log, plim_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
