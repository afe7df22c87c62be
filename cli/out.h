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

/* Bytes in memory (free text). */
typedef struct cli_bytes {
    char *text;
    size_t bytes, cap;
} cli_bytes;

typedef struct cli_out {
    int fd;
    cli_bytes *into;  /* NULL: to fd */
    bool closed_pipe; /* the reader has gone */
    int errnum;       /* 0, or why a write failed; nothing is written after that */
    size_t used;
    char buffer[16384];
} cli_out;

void out_open(cli_out *out, int fd);

/* Everything written is appended to `into`, from the next flush on; out_end flushes and returns
 * PLIM_E_NOMEM where it could not grow. */
void out_open_memory(cli_out *out, cli_bytes *into);
plim_status out_end(cli_out *out, plim_error *err);

/* All return false once the output is broken (closed or failed); callers may stop then. */
bool out_write(cli_out *out, const void *data, size_t bytes);
bool out_text(cli_out *out, const char *text);
bool out_format(cli_out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool out_flush(cli_out *out);
bool out_broken(const cli_out *out);

/* Flush and close the descriptor.  PLIM_OK also for a closed pipe; PLIM_E_IO names `file`. */
plim_status out_close(cli_out *out, const char *file, plim_error *err);

#endif
