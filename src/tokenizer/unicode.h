/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of Unicode, written by tools/tokenizer/unicode_tables.py: what Hugging Face's tokenizers
 * knows and this system's PCRE2 may not, and the canonical (de)compositions that its normalizer
 * uses. */
#ifndef PLIM_TOKENIZER_UNICODE_H
#define PLIM_TOKENIZER_UNICODE_H

#include <stdint.h>

/* Code points that Unicode 15.0, 15.1 and 16.0 assigned, with their general category. */
typedef struct plim_unicode_new {
    uint32_t first, last;
    char category[3];
} plim_unicode_new;

extern const plim_unicode_new plim_unicode_added[];
extern const unsigned plim_unicode_added_count;

typedef struct plim_unicode_range {
    uint32_t first, last;
} plim_unicode_range;

/* What the Punctuation pre-tokenizer calls punctuation (an old Unicode, and ASCII's). */
extern const plim_unicode_range plim_unicode_punctuation[];
extern const unsigned plim_unicode_punctuation_count;

/* Canonical decomposition of one code point, one level; second is 0 for a singleton.  Ascending. */
typedef struct plim_unicode_pair {
    uint32_t code, first, second;
} plim_unicode_pair;

extern const plim_unicode_pair plim_unicode_pairs[];
extern const unsigned plim_unicode_pair_count;

/* Indices into plim_unicode_pairs of those that compose again, ascending by (first, second). */
extern const uint16_t plim_unicode_composing[];
extern const unsigned plim_unicode_composing_count;

/* Canonical combining classes other than 0.  Ascending. */
typedef struct plim_unicode_class {
    uint32_t first;
    uint16_t count;
    uint8_t combining;
} plim_unicode_class;

extern const plim_unicode_class plim_unicode_classes[];
extern const unsigned plim_unicode_class_count;

#endif
