/* SPDX-License-Identifier: Apache-2.0
 *
 * What a plim_templates holds; shared by discovery and rendering. */
#ifndef PLIM_CHAT_TEMPLATES_H
#define PLIM_CHAT_TEMPLATES_H

#include "chat/ast.h"

#define PLIM_CHAT_MAX_TEMPLATES 64
#define PLIM_CHAT_SPECIALS      8

struct plim_templates {
    const plim_alloc *alloc;
    plim_arena arena; /* everything below */
    plim_names names;
    plim_template at[PLIM_CHAT_MAX_TEMPLATES];
    size_t count;
    bool named; /* a set of templates with names, not one alone */
    struct {
        const char *name;
        const plim_str *token;
    } specials[PLIM_CHAT_SPECIALS]; /* bos_token, ..., as far as they are there */
    size_t special_count;
};

/* Add a template: its name and text are copied, the text's newlines made one kind, and parsed. */
plim_status plim_templates_add(plim_templates *t, const char *name, const char *file,
                               const char *text, size_t bytes, plim_error *err);
plim_status plim_templates_add_special(plim_templates *t, const char *name, const char *text,
                                       size_t bytes, plim_error *err);

#endif
