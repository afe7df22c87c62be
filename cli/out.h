/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes to a file descriptor: standard output and the files that commands write.  Owns buffering
 * and the three ways a write can end: done, closed pipe (not an error), failure (remembered, told
 * once at the end). */
#ifndef CLI_OUT_H
#define CLI_OUT_H

#include <stdbool.h>
#include <stddef.h>

#include "plimsoll.h"

typedef struct cli_out {
    int fd;
    bool closed_pipe; /* the reader has gone */
    int errnum;       /* 0, or why a write failed; nothing is written after that */
    size_t used;
    char buffer[16384];
} cli_out;

void out_open(cli_out *out, int fd);

/* All return false once the output is broken (closed or failed); callers may stop then. */
bool out_write(cli_out *out, const void *data, size_t bytes);
bool out_text(cli_out *out, const char *text);
bool out_format(cli_out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool out_flush(cli_out *out);
bool out_broken(const cli_out *out);

/* Flush and close the descriptor.  PLIM_OK also for a closed pipe; PLIM_E_IO names `file`. */
plim_status out_close(cli_out *out, const char *file, plim_error *err);

#endif
