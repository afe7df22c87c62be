/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines typed at a terminal: editing and history with libedit; without it, lines as the terminal
 * itself gives them. */
#ifndef CLI_LINE_EDIT_H
#define CLI_LINE_EDIT_H

#include <stdbool.h>
#include <stdio.h>

#include "plimsoll.h"

typedef struct line_edit line_edit;

typedef enum line_end {
    LINE_WHOLE,
    LINE_NO_MORE, /* Ctrl-D on an empty line, or the terminal is gone */
    LINE_BROKEN   /* a signal asked to stop (interrupt_seen); *bytes were typed, and are gone */
} line_end;

/* Standard input is a terminal; `shown` (stdout or stderr) is where prompts and what is typed
 * appear.  `history` names the file of earlier lines, NULL: none are kept.  NOMEM. */
plim_status line_edit_open(line_edit **out, FILE *shown, const char *history, plim_error *err);

/* Writes the history (*err and its status say why it could not), then closes. */
plim_status line_edit_close(line_edit **edit, plim_error *err);

/* A line without its end, valid until the next call. */
line_end line_edit_read(line_edit *edit, const char *prompt, const char **text, size_t *bytes);

/* The line goes into the history. */
void line_edit_remember(line_edit *edit, const char *text);

#endif
