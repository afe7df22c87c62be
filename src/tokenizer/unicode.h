/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of Unicode, written by tools/tokenizer/unicode_tables.py: what Hugging Face's tokenizers
 * knows of categories and this system's PCRE2 may not. */
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

#endif
