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

/* Chains that only put spaces for U+2581, put bytes together and strip the text's start, as nearly
 * all SentencePiece models have them: Replace, ByteFallback, Fuse and perhaps Strip; or a Metaspace
 * alone. */
typedef struct plim_usual {
    bool on;
    bool bytes;             /* there is a ByteFallback */
    bool drops_first;       /* of Metaspace: no spaces for the first token */
    const plim_link *strip; /* NULL: none */
} plim_usual;

struct plim_chain {
    plim_arena arena;
    plim_link links[PLIM_TOK_MAX_STEPS];
    size_t count;
    bool matches; /* one of them has a regex */
    plim_usual usual;
};

/* ---- tokens on their way ---- */

/* Fragments in order: each begins where the one before it ends. */
typedef struct plim_fragment {
    size_t end;
    bool last; /* of its token */
} plim_fragment;

typedef struct plim_stream {
    plim_sink text;
    plim_fragment *at;
    size_t count, cap, begin; /* begin: of the fragment being made */
} plim_stream;

/* What a link remembers. */
typedef struct plim_link_memory {
    plim_sink whole;   /* a token that is not whole yet, for links that want no fragments */
    plim_sink held;    /* a run of bytes, the begin of a match */
    plim_sink token;   /* the token before: of BPEDecoder, CTC */
    size_t checked;    /* of a run of bytes: well-formed up to here */
    uint64_t stripped; /* of Strip: characters that were cut, and those that may be */
    uint64_t trailing;
    bool begun;  /* a token came already; of Strip: the text has begun */
    bool have;   /* token is one */
    bool broken; /* the run of bytes is no text */
} plim_link_memory;

/* What is put since the last end is a fragment. */
plim_status plim_link_stream_end(plim_stream *out, bool last, plim_error *err);

/* decode_links.c: a fragment (`last` of its token) into a link; what it gives goes to *out.
 * `matcher` for a Replace with a regex. */
plim_status plim_link_feed(const plim_link *link, plim_link_memory *memory, plim_matcher *matcher,
                           const char *text, size_t bytes, bool last, plim_stream *out,
                           plim_error *err);
/* The end of the stream: what a link held back. */
plim_status plim_link_finish(const plim_link *link, plim_link_memory *memory, plim_stream *out,
                             plim_error *err);

/* The byte of a token like <0x41>, as Rust's from_str_radix reads it (a sign may stand before one
 * digit); -1 for any other. */
int plim_byte_token(const char *text, size_t bytes);

#endif
