/* SPDX-License-Identifier: Apache-2.0
 *
 * Templates from memory, JSON lines, and one moment for strftime_now: for the tests of chat/. */
#ifndef PLIM_TESTS_CHAT_SUPPORT_H
#define PLIM_TESTS_CHAT_SUPPORT_H

#include <stdio.h>

#include "chat/templates.h"

/* Friday, 26 July 2024, 13:05:09. */
extern const plim_chat_time chat_now;

/* A template from memory, named "default", of the file "snippet". */
plim_status chat_open_text(plim_templates **out, const plim_alloc *alloc, const char *text,
                           size_t bytes, plim_error *err);

plim_status chat_render(const plim_templates *templates, const plim_alloc *alloc,
                        const char *context, size_t bytes, plim_chat_text *out, plim_error *err);

/* A line of a file or of stdin, without its newline, NUL-ended; *line is reused (free() it).  False
 * at the end. */
bool chat_read_line(FILE *file, char **line, size_t *cap, size_t *bytes);

/* {"template": TEXT, ..., "context": {...}}, the context last: its text, the template from `alloc`
 * (plim_delete), and the other members that are strings: `expected` and `error`, NULL where they
 * are not there. */
typedef struct chat_case {
    char *template, *expected, *error;
    size_t template_bytes, expected_bytes;
    const char *context;
    size_t context_bytes;
} chat_case;
plim_status chat_read_case(chat_case *out, const plim_alloc *alloc, const char *line, size_t bytes,
                           plim_error *err);
void chat_free_case(chat_case *c, const plim_alloc *alloc);

void chat_print_text(const char *text, size_t bytes);

#endif
