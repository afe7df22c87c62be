/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors of the program: filling a plim_error for what the program itself finds, and the exit code
 * of each status.  The library fills its own. */
#ifndef CLI_FAIL_H
#define CLI_FAIL_H

#include "plimsoll.h"

/* Fill *err and return `code`.  The message is cut; control characters become '?'. */
plim_status cli_fail(plim_error *err, plim_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same about a file (offset -1: none); the file's name goes before the message. */
plim_status cli_fail_file(plim_error *err, plim_status code, const char *file, int64_t offset,
                          const char *format, ...) __attribute__((format(printf, 5, 6)));

/* PLIM_E_IO with the system's text for `errnum`; PLIM_E_USAGE for a folder where a file is wanted.
 */
plim_status cli_fail_errno(plim_error *err, int errnum, const char *file, const char *what);

/* 0 done, 1 failed, 2 wrong usage, 3 does not fit, 130 interrupted. */
int cli_exit_code(plim_status status);

#endif
