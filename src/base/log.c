/* SPDX-License-Identifier: Apache-2.0
 *
 * One line to the host program's log callback. */
#include <stdarg.h>

#include "base/log.h"
#include "base/num.h"
#include "base/status.h"

void plim_log_line(const plim_log *log, plim_log_level level, const char *format, ...)
{
    if (!log || !log->fn)
        return;
    char line[1024];
    va_list args;
    va_start(args, format);
    plim_vformat(line, sizeof line, format, args);
    va_end(args);
    plim_text_tame(line);
    log->fn(log->user, level, line);
}
