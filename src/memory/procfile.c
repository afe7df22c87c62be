/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of the kernel's text files. */
#include "memory/procfile.h"

#include <string.h>

#include "base/num.h"

plim_status plim_proc_open(plim_proc_lines *out, const char *path, plim_error *err)
{
    out->path = path;
    out->offset = 0;
    out->begin = out->end = 0;
    out->at_end = out->skipping = false;
    out->status = plim_file_open(&out->file, path, err);
    return out->status;
}

void plim_proc_close(plim_proc_lines *lines)
{
    plim_file_close(&lines->file);
}

/* Get more bytes behind text[end).  False when there are none. */
static bool fill(plim_proc_lines *lines, plim_error *err)
{
    size_t got = 0;
    if (lines->begin > 0) {
        memmove(lines->text, lines->text + lines->begin, lines->end - lines->begin);
        lines->end -= lines->begin;
        lines->begin = 0;
    }
    if (!lines->at_end)
        lines->status =
            plim_file_read_some(&lines->file, lines->path, lines->text + lines->end,
                                sizeof lines->text - 1 - lines->end, lines->offset, &got, err);
    if (lines->status != PLIM_OK || got == 0) {
        lines->at_end = true;
        return false;
    }
    lines->offset += got;
    lines->end += got;
    return true;
}

char *plim_proc_next(plim_proc_lines *lines, plim_error *err)
{
    for (;;) {
        char *line = lines->text + lines->begin;
        size_t left = lines->end - lines->begin;
        char *newline = memchr(line, '\n', left);
        bool skip = lines->skipping;
        if (newline) {
            *newline = 0;
            lines->begin = (size_t)(newline - lines->text) + 1;
            lines->skipping = false;
        } else if (left == sizeof lines->text - 1) {
            line[left] = 0;
            lines->begin = lines->end;
            lines->skipping = true;
        } else if (fill(lines, err)) {
            continue;
        } else if (lines->status == PLIM_OK && lines->end > 0) { /* a last line without a newline */
            line = lines->text;
            line[lines->end] = 0;
            lines->end = 0;
        } else {
            return NULL;
        }
        if (!skip)
            return line;
    }
}

bool plim_proc_field(const char *line, const char *key, uint64_t *out)
{
    size_t length = strlen(key);
    if (strncmp(line, key, length) != 0)
        return false;
    const char *number = line + length;
    number += strspn(number, " \t");
    return plim_parse_u64(number, strspn(number, "0123456789"), out);
}

bool plim_proc_number(const char *path, uint64_t *out)
{
    plim_proc_lines lines;
    if (plim_proc_open(&lines, path, NULL) != PLIM_OK)
        return false;
    const char *line = plim_proc_next(&lines, NULL);
    bool found = line && plim_proc_field(line, "", out);
    plim_proc_close(&lines);
    return found;
}
