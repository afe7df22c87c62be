/* SPDX-License-Identifier: Apache-2.0
 *
 * The program's own files: texts read whole, and results written under a temporary name. */
#ifndef CLI_FILES_H
#define CLI_FILES_H

#include <sys/types.h>

#include "out.h"

#define CLI_MAX_TEXT ((size_t)1 << 30)
#define CLI_MAX_CHAT ((size_t)16 << 20) /* what is said to chat at once, and what it loads */

/* A whole file (path NULL: standard input) into *text (free), with a NUL beyond *bytes.  IO, USAGE
 * for a folder, LIMIT over CLI_MAX_TEXT, CANCELLED by a signal. */
plim_status file_read(const char *path, char **text, size_t *bytes, plim_error *err);

/* The same, with LIMIT over `most` bytes (whole MiB): no more than one byte beyond is read. */
plim_status file_read_most(const char *path, size_t most, char **text, size_t *bytes,
                           plim_error *err);

/* Lines of standard input.  `text` (free) holds the last one, without its end, NUL-terminated. */
typedef struct line_reader {
    char *text;
    size_t bytes, cap;
    uint64_t number; /* of the last line, from 1 */
    uint64_t offset; /* of its first byte in the input */
    uint64_t next;   /* offset of the next one */
    size_t start, end;
    size_t most; /* where not 0: longer lines are read over, see `over` */
    bool over;   /* `text` has no more than the first three bytes of the line and its end */
    char buffer[65536];
} line_reader;

/* *more is false at the end of the input.  Errors as file_read. */
plim_status line_next(line_reader *reader, bool *more, plim_error *err);

/* The folders of a file's path, where they are missing, for the user alone.  IO. */
plim_status folders_make(const char *path, plim_error *err);

/* A result being written: PATH.partial-PID, then renamed.  What exists and is no regular file (a
 * device, a pipe) is written to directly. */
typedef struct result_file {
    cli_out out;
    const char *path;
    char temporary[4096]; /* empty: written directly */
} result_file;

/* `mode`: the permissions of a new file, less the umask. */
plim_status result_open(result_file *file, const char *path, mode_t mode, plim_error *err);
plim_status result_commit(result_file *file, plim_error *err);
void result_discard(result_file *file);

#endif
