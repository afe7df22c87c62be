/* SPDX-License-Identifier: Apache-2.0
 *
 * A sequence: its state, the buffers of its passes, its sampler; tokens in, logits and new tokens
 * out. Everything it will ever need is taken at open; nothing is allocated per token. */
#ifndef PLIM_GENERATE_SEQUENCE_H
#define PLIM_GENERATE_SEQUENCE_H

#include "generate/forward.h"
#include "generate/sampler.h"
#include "tokenizer/tokenizer.h"

typedef struct plim_sequence {
    plim_engine engine;
    plim_ledger *ledger;
    plim_state state;
    plim_scratch scratch;
    plim_row *rows; /* [chunk] */
    plim_sampler *sampler;
    int32_t pending;     /* a token that was generated but not computed yet; -1: none */
    const float *logits; /* of the last token computed; NULL before the first */
    atomic_bool cancel;  /* heard by the call in progress, or else by the next */
} plim_sequence;

/* `engine` is copied; what it points to must outlive the sequence.  `cancel` (or NULL) is heard
 * while it is opened.  BUDGET, NOMEM, LIMIT, CANCELLED. */
plim_status plim_sequence_open(plim_sequence **out, const plim_engine *engine, plim_ledger *ledger,
                               const plim_session_size *size, const atomic_bool *cancel,
                               plim_error *err);
void plim_sequence_close(plim_sequence **sequence);

/* Append and compute tokens, in chunks.  on_logits as in plim_session_eval (NULL: only the last
 * row's logits are computed).  USAGE (an id out of range), LIMIT (beyond the context), CANCELLED:
 * the length is then that of the chunks that were finished. */
plim_status plim_sequence_eval(plim_sequence *s, const int32_t *tokens, size_t count,
                               plim_logits_fn on_logits, void *user, plim_error *err);

/* Tokens it holds, the pending one included. */
size_t plim_sequence_length(const plim_sequence *s);

/* Keep the first `length` tokens.  USAGE beyond what it holds. */
plim_status plim_sequence_truncate(plim_sequence *s, size_t length, plim_error *err);

/* Random keys and values in place of `length` tokens (plim_session_fill).  LIMIT, CANCELLED: it is
 * empty then. */
plim_status plim_sequence_fill(plim_sequence *s, size_t length, uint64_t seed, plim_error *err);

typedef struct plim_generate_request {
    const int32_t *earlier; /* before the prompt: for the repetition penalty alone */
    size_t earlier_count;
    const int32_t *prompt;
    size_t prompt_count;
    plim_sampling sampling;
    size_t max_new;
    const int32_t *eos;
    size_t eos_count;
    const char *const *stop;
    size_t stop_count;
    const plim_tok *tok; /* or NULL */
    plim_token_fn on_token;
    void *user;
} plim_generate_request;

/* Append the prompt, then generate up to max_new tokens (at least 1).  *out comes from
 * plim_alloc_system.  LIMIT beyond the context. An interruption is a result
 * (PLIM_FINISH_INTERRUPTED), not an error.  IO and CHANGED, of weights that stream: *out is what
 * was generated until then (PLIM_FINISH_ERROR). */
plim_status plim_sequence_generate(plim_generation **out, plim_sequence *s,
                                   const plim_generate_request *request, plim_error *err);

#endif
