/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines typed at a terminal where the program was built without libedit: the terminal's own
 * editing, no history. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fail.h"
#include "files.h"
#include "interrupt.h"
#include "line_edit.h"

struct line_edit {
    FILE *shown;
    line_reader reader;
};

plim_status line_edit_open(line_edit **out, FILE *shown, const char *path, plim_error *err)
{
    (void)path;
    *out = calloc(1, sizeof **out);
    if (!*out)
        return cli_fail(err, PLIM_E_NOMEM, "no memory for a line");
    (*out)->shown = shown;
    return PLIM_OK;
}

plim_status line_edit_close(line_edit **edit, plim_error *err)
{
    (void)err;
    if (*edit)
        free((*edit)->reader.text);
    free(*edit);
    *edit = NULL;
    return PLIM_OK;
}

line_end line_edit_read(line_edit *e, const char *prompt, const char **text, size_t *bytes)
{
    plim_error ignored;
    bool more = false;
    fputs(prompt, e->shown);
    fflush(e->shown);
    *bytes = 0;
    while (e->reader.start == e->reader.end && interrupt_wait(STDIN_FILENO, NULL) < 0)
        if (interrupt_seen() || errno != EINTR)
            return interrupt_seen() ? LINE_BROKEN : LINE_NO_MORE;
    plim_status status = line_next(&e->reader, &more, &ignored);
    if (status == PLIM_E_CANCELLED)
        e->reader.start = e->reader.end = 0;
    if (interrupt_seen())
        return LINE_BROKEN;
    *text = e->reader.text;
    *bytes = e->reader.bytes;
    return more ? LINE_WHOLE : LINE_NO_MORE;
}

void line_edit_remember(line_edit *e, const char *text)
{
    (void)e;
    (void)text;
}
