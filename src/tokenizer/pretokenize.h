/* SPDX-License-Identifier: Apache-2.0
 *
 * The pre-tokenizer in memory: a list of steps. */
#ifndef PLIM_TOKENIZER_PRETOKENIZE_H
#define PLIM_TOKENIZER_PRETOKENIZE_H

#include "tokenizer/split_scan.h"

typedef enum plim_step_kind {
    PLIM_STEP_CUT,          /* into parts; those of `keep` go on */
    PLIM_STEP_MERGE,        /* into parts, some of which are joined */
    PLIM_STEP_PREFIX_SPACE, /* ' ' before a text that has none */
    PLIM_STEP_ALPHABET,     /* bytes in the byte-level alphabet */
    PLIM_STEP_METASPACE     /* ' ' becomes another character, which is put in front too */
} plim_step_kind;

typedef enum plim_merge_rule {
    PLIM_MERGE_CONTIGUOUS,
    PLIM_MERGE_WITH_PREVIOUS,
    PLIM_MERGE_WITH_NEXT
} plim_merge_rule;

typedef enum plim_prepend {
    PLIM_PREPEND_NEVER,
    PLIM_PREPEND_FIRST,
    PLIM_PREPEND_ALWAYS
} plim_prepend;

typedef struct plim_step {
    plim_step_kind kind;
    unsigned keep; /* CUT: bit 0: parts between matches, bit 1: matches */
    plim_merge_rule merge;
    bool invert; /* MERGE: matches are what lies between */
    plim_scan scan;
    char mark[4]; /* METASPACE */
    unsigned mark_bytes;
    plim_prepend prepend;
} plim_step;

struct plim_pretokenizer {
    plim_step steps[PLIM_TOK_MAX_STEPS];
    unsigned count;
    bool byte_level; /* pieces are of the byte-level alphabet; the model gets the bytes */
    bool spelled;    /* ... and here they are spelled in it */
    bool lone;       /* one ByteLevel and nothing else */
};

#endif
