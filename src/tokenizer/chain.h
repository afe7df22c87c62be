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

/* Chains that only put spaces for a character, put bytes together and strip the text's start, as
 * nearly all SentencePiece models have them: Replace, ByteFallback, Fuse and Strip, where the first
 * and the last may be missing; or a Metaspace alone. */
typedef struct plim_usual {
    bool on;
    bool bytes;             /* there is a ByteFallback */
    bool drops_first;       /* of Metaspace: none for those of the first token */
    plim_link_text find;    /* what a space stands for, one character beyond ASCII; or nothing */
    const plim_link *strip; /* NULL: none */
} plim_usual;

struct plim_chain {
    plim_arena arena;
    plim_link links[PLIM_TOK_MAX_STEPS];
    size_t count;
    bool matches; /* one of them has a regex */
    plim_usual usual;
};

/* The byte of a token like <0x41>, as Rust's from_str_radix reads it (a sign may stand before one
 * digit); -1 for any other. */
int plim_byte_token(const char *text, size_t bytes);

#endif
