/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors of the program, as values. */
#include "fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void tame(char *text)
{
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
}

static void fail_v(plim_error *err, plim_status code, const char *file, int64_t offset,
                   const char *format, va_list args)
{
    size_t used = 0;
    memset(err, 0, sizeof *err);
    err->code = code;
    err->offset = offset;
    if (file) {
        strncpy(err->file, file, sizeof err->file - 1);
        used = (size_t)snprintf(err->message, sizeof err->message, "%s: ", err->file);
    }
    vsnprintf(err->message + used, sizeof err->message - used, format, args);
    tame(err->file);
    tame(err->message);
}

plim_status cli_fail(plim_error *err, plim_status code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail_v(err, code, NULL, -1, format, args);
    va_end(args);
    return code;
}

plim_status cli_fail_file(plim_error *err, plim_status code, const char *file, int64_t offset,
                          const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail_v(err, code, file, offset, format, args);
    va_end(args);
    return code;
}

plim_status cli_fail_errno(plim_error *err, int errnum, const char *file, const char *what)
{
    if (errnum == EISDIR)
        return cli_fail_file(err, PLIM_E_USAGE, file, -1, "is a folder, a file is wanted");
    return cli_fail_file(err, errnum == ENOMEM ? PLIM_E_NOMEM : PLIM_E_IO, file, -1, "%s: %s", what,
                         strerror(errnum));
}

int cli_exit_code(plim_status status)
{
    switch (status) {
    case PLIM_OK:
        return 0;
    case PLIM_E_USAGE:
        return 2;
    case PLIM_E_BUDGET:
        return 3;
    case PLIM_E_CANCELLED:
        return 130;
    default:
        return 1;
    }
}
