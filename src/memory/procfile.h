/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of the small text files that the kernel writes (/proc, control groups), through a fixed
 * buffer. Owns cutting into lines and reading their numbers; leaves to the callers what they mean.
 */
#ifndef PLIM_MEMORY_PROCFILE_H
#define PLIM_MEMORY_PROCFILE_H

#include "base/file.h"

/* A line longer than the buffer is handed out cut, its rest is skipped. */
#define PLIM_PROC_LINE_BYTES 4096

typedef struct plim_proc_lines {
    plim_file file;
    const char *path; /* borrowed */
    uint64_t offset;  /* of the next byte to read */
    size_t begin, end;
    bool at_end, skipping;
    plim_status status; /* of the last read; look at it when there are no more lines */
    char text[PLIM_PROC_LINE_BYTES];
} plim_proc_lines;

/* `path` must outlive the reader.  IO where the file can't be opened. */
plim_status plim_proc_open(plim_proc_lines *out, const char *path, plim_error *err);
void plim_proc_close(plim_proc_lines *lines);

/* The next line without its newline, NUL-terminated, writable, valid until the next call; NULL at
 * the end or when a read failed (`status`, and *err). */
char *plim_proc_next(plim_proc_lines *lines, plim_error *err);

/* True when `line` is `key`, blanks, and a decimal number, which becomes *out ("VmRSS:   12 kB" ->
 * 12). What follows the number is not looked at. */
bool plim_proc_field(const char *line, const char *key, uint64_t *out);

/* The number that a file holds in its first line.  False: no such file, or no number there ("max").
 */
bool plim_proc_number(const char *path, uint64_t *out);

#endif
