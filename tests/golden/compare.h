/* SPDX-License-Identifier: Apache-2.0
 *
 * Ways of loading and computing, and comparing what comes out with what Transformers gave.  Every
 * function ends the test with a message when something is wrong. */
#ifndef PLIM_TESTS_GOLDEN_COMPARE_H
#define PLIM_TESTS_GOLDEN_COMPARE_H

#include "expected.h"

/* Those with the same kernels give the same bits. */
typedef struct way {
    const char *says;
    unsigned cpu_mask;
    unsigned threads;
    uint32_t prefill_chunk;
    plim_reader reader;
    int low_cpu_mem_usage;
} way;

/* `status` must be OK; `what` says what was done. */
void must(plim_status status, const plim_error *err, const expected *e, const char *what);

plim_context *context_of(const expected *e, const way *w);

/* The model in a folder, with KV in float32. */
plim_status open_model(plim_model **model, plim_context *context, const char *folder, const way *w,
                       plim_dtype dtype, plim_error *err);

/* Logits of every position of a prompt in an emptied session, f32 [tokens, vocab]; free() them. */
float *logits_of(plim_session *session, const token_list *prompt, size_t vocab, const expected *e);

/* |got - want| <= tolerance * max |want|, for all `count` of them.  Returns the largest, as a part
 * of max |want|. */
double compare_logits(const float *got, const float *want, size_t count, size_t vocab,
                      double tolerance, const expected *e, const char *says);

/* The new tokens after a prompt in an emptied session, and why they ended. */
void compare_generation(plim_session *session, const token_list *prompt, const token_list *want,
                        const plim_generate_options *options, const char *finish, const expected *e,
                        const char *says);

/* greedy.NAME after prompts.NAME, eos ignored. */
void compare_greedy(plim_session *session, const char *name, const expected *e, const char *says);

#endif
