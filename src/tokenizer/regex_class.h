/* SPDX-License-Identifier: Apache-2.0
 *
 * A pattern in PCRE2's syntax as it is being written, the character classes that go into it, and
 * the state of the translation.  All return NOMEM or BUDGET, or OK, where nothing else is said. */
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
/* Text before what lies at offset `at`. */
plim_status plim_pattern_insert(plim_pattern *p, size_t at, const char *text);
/* A code point, escaped unless it is a letter or digit of ASCII; a range of them. */
plim_status plim_pattern_put_code(plim_pattern *p, uint32_t code);
plim_status plim_pattern_put_range(plim_pattern *p, uint32_t first, uint32_t last);

/* What follows stands inside [...].  \p{category}, of one letter or two. */
plim_status plim_pattern_put_category(plim_pattern *p, const char *category);
/* \s \d \w \h by their letter, as Oniguruma means them; S is \S. */
plim_status plim_pattern_put_shorthand(plim_pattern *p, char letter);

/* ---- the translation ---- */

enum { PLIM_PATTERN_GROUPS = 100, PLIM_PATTERN_CLASSES = 256, PLIM_NO_CODE = 0x110000 };

typedef struct plim_translator {
    const char *at, *end, *start;
    plim_pattern out;
    plim_where where;
    plim_error *err;
    bool ignore_case[PLIM_PATTERN_GROUPS + 1];
    size_t group[PLIM_PATTERN_GROUPS + 1]; /* where it begins in `out` */
    unsigned depth;
    bool refers;      /* the pattern has \1 ...: groups are counted */
    bool group_start; /* nothing was read yet in this group */
    uint32_t literal; /* the literal before, NO_CODE when there is none */
    size_t atom;      /* where the last atom begins in `out`, SIZE_MAX: there is none */
    unsigned classes; /* sets written out so far: each costs a millisecond */
} plim_translator;

/* UNSUP and FORMAT, with the place in the pattern. */
plim_status plim_translator_unsupported(plim_translator *t, const char *what);
plim_status plim_translator_malformed(plim_translator *t, const char *what);
/* The code point at t->at, which is not at the end, literally. */
uint32_t plim_translator_literal(plim_translator *t);
/* t->at is behind a backslash, before its letter: the code point of the escape, NO_CODE where it
 * is none (and nothing was taken). */
plim_status plim_translator_escape(plim_translator *t, uint32_t *code);

/* regex_set.c: sets and properties that PCRE2 has no words for are worked out and written as
 * ranges.  True for a set (t->at is at its [) that needs this. */
bool plim_set_is_hard(const plim_translator *t);
/* The set at t->at.  UNSUP, FORMAT. */
plim_status plim_set_translate(plim_translator *t);
/* The same for a \p{NAME} outside of sets, t->at is at the {.  UNSUP, FORMAT. */
bool plim_property_is_hard(const plim_translator *t);
plim_status plim_set_property(plim_translator *t, bool negated);

#endif
