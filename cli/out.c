/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes to a file descriptor. */
#include "out.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fail.h"
#include "interrupt.h"

void out_open(cli_out *out, int fd)
{
    out->fd = fd;
    out->into = NULL;
    out->closed_pipe = false;
    out->errnum = 0;
    out->used = 0;
}

void out_open_memory(cli_out *out, cli_bytes *into)
{
    out_open(out, -1);
    out->into = into;
}

static bool append(cli_out *out, const char *data, size_t bytes)
{
    cli_bytes *into = out->into;
    if (bytes > into->cap - into->bytes) {
        size_t cap = into->cap + into->cap / 2 + bytes;
        char *grown = realloc(into->text, cap);
        if (!grown) {
            out->errnum = ENOMEM;
            return false;
        }
        into->text = grown;
        into->cap = cap;
    }
    if (bytes > 0)
        memcpy(into->text + into->bytes, data, bytes);
    into->bytes += bytes;
    return true;
}

bool out_broken(const cli_out *out)
{
    return out->closed_pipe || out->errnum;
}

static bool write_all(cli_out *out, const char *data, size_t bytes)
{
    if (out->into)
        return !out_broken(out) && append(out, data, bytes);
    while (bytes > 0 && !out_broken(out)) {
        ssize_t n = write(out->fd, data, bytes);
        if (n >= 0) {
            data += n;
            bytes -= (size_t)n;
        } else if (errno == EPIPE) {
            out->closed_pipe = true;
        } else if (errno != EINTR || interrupt_seen()) {
            out->errnum = errno;
        }
    }
    return !out_broken(out);
}

bool out_flush(cli_out *out)
{
    size_t bytes = out->used;
    out->used = 0;
    return write_all(out, out->buffer, bytes);
}

bool out_write(cli_out *out, const void *data, size_t bytes)
{
    if (bytes > sizeof out->buffer - out->used && !out_flush(out))
        return false;
    if (bytes > sizeof out->buffer)
        return write_all(out, data, bytes);
    if (bytes > 0)
        memcpy(out->buffer + out->used, data, bytes);
    out->used += bytes;
    return !out_broken(out);
}

bool out_text(cli_out *out, const char *text)
{
    return out_write(out, text, strlen(text));
}

bool out_format(cli_out *out, const char *format, ...)
{
    char line[2048];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n < 0)
        return false;
    return out_write(out, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

plim_status out_end(cli_out *out, plim_error *err)
{
    out_flush(out);
    return out->errnum ? cli_fail(err, PLIM_E_NOMEM, "no memory for a text") : PLIM_OK;
}

plim_status out_close(cli_out *out, const char *file, plim_error *err)
{
    out_flush(out);
    if (out->fd >= 0 && close(out->fd) != 0 && !out_broken(out) && errno != EINTR)
        out->errnum = errno;
    out->fd = -1;
    if (out->errnum == EINTR)
        return cli_fail(err, PLIM_E_CANCELLED, "interrupted");
    if (out->errnum)
        return cli_fail_errno(err, out->errnum, file, "write failed");
    return PLIM_OK;
}
