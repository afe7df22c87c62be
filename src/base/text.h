/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions about text that ends with NUL. */
#ifndef PLIM_BASE_TEXT_H
#define PLIM_BASE_TEXT_H

#include <stdbool.h>
#include <string.h>

static inline bool plim_begins_with(const char *text, const char *start)
{
    return !strncmp(text, start, strlen(start));
}

static inline bool plim_ends_with(const char *text, const char *end)
{
    size_t bytes = strlen(text), tail = strlen(end);
    return bytes >= tail && !strcmp(text + bytes - tail, end);
}

#endif
