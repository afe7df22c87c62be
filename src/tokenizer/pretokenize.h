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

/* Which parts of a CUT go on. */
enum { PLIM_KEEP_BETWEEN = 1, PLIM_KEEP_MATCHES = 2, PLIM_KEEP_ALL = 3 };

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
    unsigned keep;
    plim_merge_rule merge;
    bool invert; /* MERGE: matches are what lies between */
    plim_scan scan;
    char mark[4]; /* METASPACE */
    unsigned mark_bytes;
    bool splits; /* the next step cuts before each mark */
    plim_prepend prepend;
} plim_step;

struct plim_pretokenizer {
    plim_step steps[PLIM_TOK_MAX_STEPS];
    unsigned count;
    unsigned tail; /* from this step on, a piece without one of these bytes is left as it is */
    uint8_t tail_bytes[256];
    bool tail_digits; /* of ASCII, they are digits only */
    bool byte_level;  /* pieces are of the byte-level alphabet; the model gets the bytes */
    bool spelled;     /* ... and here they are spelled in it */
    bool lone;        /* one ByteLevel and nothing else */
};

#endif
