/* SPDX-License-Identifier: Apache-2.0
 *
 * What the loader of a BPE model and its encoder agree on. */
#ifndef PLIM_TOKENIZER_BPE_H
#define PLIM_TOKENIZER_BPE_H

#include "tokenizer/internal.h"

/* A piece by its merges, without cache or cuts. */
plim_status plim_bpe_encode(plim_run *run, const char *text, size_t bytes, plim_error *err);

/* The place of two neighbouring characters in plim_bpe.joined: its topmost joined_bits bits. */
uint64_t plim_bpe_pair_hash(uint32_t first, uint32_t second);
/* After plim_bpe.joined and the symbols are there: the cuts between ASCII characters. */
void plim_bpe_settle_cuts(plim_bpe *bpe);

#endif
