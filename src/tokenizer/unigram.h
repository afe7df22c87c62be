/* SPDX-License-Identifier: Apache-2.0
 *
 * A Unigram model while it is loaded (load_unigram.c) and used (unigram.c). */
#ifndef PLIM_TOKENIZER_UNIGRAM_H
#define PLIM_TOKENIZER_UNIGRAM_H

#include "tokenizer/pieces.h"

struct plim_unigram {
    plim_pieces pieces;
    double *scores; /* by id; NULL when all of them are floats, as SentencePiece's are */
    float *float_scores;
    size_t count, cap; /* pieces, the same as ids */
    double lowest;
    uint32_t (*twins)[2]; /* ids of one string, the earlier and the later; while loading */
    size_t twin_count, twin_cap;
    uint32_t byte_id[256]; /* of <0x00> .. <0xFF>; NONE where not all bytes of a text count */
};

/* The model's tables from what was read: scores, lowest, and the strings in tok->vocab. */
plim_status plim_unigram_finish(plim_tok *tok, bool byte_fallback, plim_error *err);

#endif
