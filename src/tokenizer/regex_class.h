/* SPDX-License-Identifier: Apache-2.0
 *
 * A pattern in PCRE2's syntax as it is being written, and the character classes that go into it.
 * All return NOMEM or BUDGET, or OK. */
#ifndef PLIM_TOKENIZER_REGEX_CLASS_H
#define PLIM_TOKENIZER_REGEX_CLASS_H

#include "tokenizer/internal.h"

typedef struct plim_pattern {
    const plim_alloc *alloc;
    char *text; /* NUL-terminated after the first put */
    size_t used, cap;
    plim_error *err;
} plim_pattern;

plim_status plim_pattern_put(plim_pattern *p, const char *text, size_t bytes);
plim_status plim_pattern_put_text(plim_pattern *p, const char *text);
/* A code point, escaped unless it is a letter or digit of ASCII; a range of them. */
plim_status plim_pattern_put_code(plim_pattern *p, uint32_t code);
plim_status plim_pattern_put_range(plim_pattern *p, uint32_t first, uint32_t last);

/* What follows stands inside [...].  \p{category}, of one letter or two. */
plim_status plim_pattern_put_category(plim_pattern *p, const char *category);
/* \s \d \w \h by their letter, as Oniguruma means them; S is \S. */
plim_status plim_pattern_put_shorthand(plim_pattern *p, char letter);

#endif
