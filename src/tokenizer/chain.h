/* SPDX-License-Identifier: Apache-2.0
 *
 * A decoder as a chain of steps: decode_load.c reads it, decode_chain.c pushes tokens through. */
#ifndef PLIM_TOKENIZER_CHAIN_H
#define PLIM_TOKENIZER_CHAIN_H

#include "tokenizer/internal.h"

typedef enum plim_link_kind {
    PLIM_LINK_BYTE_LEVEL,
    PLIM_LINK_BYTE_FALLBACK,
    PLIM_LINK_METASPACE,
    PLIM_LINK_REPLACE,
    PLIM_LINK_FUSE,
    PLIM_LINK_STRIP,
    PLIM_LINK_WORDPIECE,
    PLIM_LINK_BPE,
    PLIM_LINK_CTC,
    PLIM_LINK_JOIN /* no decoder: tokens with spaces between */
} plim_link_kind;

typedef struct plim_link_text {
    const char *data; /* in the chain's arena */
    size_t bytes;
} plim_link_text;

typedef struct plim_link {
    plim_link_kind kind;
    /* what is looked for (Replace's literal, Metaspace's and Strip's character, WordPiece's prefix,
     * BPEDecoder's suffix, CTC's pad) and what stands for it (Replace's content, CTC's delimiter)
     */
    plim_link_text find, content;
    plim_regex *regex;    /* of Replace, when it is none of literal text */
    bool cleanup, prefix; /* prefix: Metaspace put one before the first token */
    uint64_t start, stop; /* of Strip */
} plim_link;

struct plim_chain {
    plim_arena arena;
    plim_link links[PLIM_TOK_MAX_STEPS];
    size_t count;
    bool matches; /* one of them has a regex */
    /* Replace(one character beyond ASCII by a space), ByteFallback, Fuse and Strip(that byte, at
     * the start), as most SentencePiece models have it: a token that is no byte is one copy.
     * (Replace and Strip may be missing.) */
    bool usual;
};

#endif
