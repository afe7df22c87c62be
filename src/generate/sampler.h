/* SPDX-License-Identifier: Apache-2.0
 *
 * From logits to the next token: Transformers' processors in Transformers' order (repetition
 * penalty, temperature, top-k, top-p, min-p), then the largest or a draw. All memory is taken at
 * open; nothing is allocated per token. */
#ifndef PLIM_GENERATE_SAMPLER_H
#define PLIM_GENERATE_SAMPLER_H

#include "base/alloc.h"
#include "base/log.h"

/* What generate() would use; values are checked by plim_sampling_check. */
typedef struct plim_sampling {
    bool do_sample;
    double repetition_penalty; /* 1: off; applied when greedy too */
    double temperature;        /* 1: off */
    uint64_t top_k;            /* 0: off */
    double top_p;              /* 1: off */
    double min_p;              /* 0: off */
    uint64_t seed;
    const char *lacks; /* key of the model's generation config that changes sampled text and that we
                          do not do yet; NULL: none */
} plim_sampling;

typedef struct plim_sampler plim_sampler;

/* USAGE, with Transformers' own bounds: repetition_penalty > 0, temperature > 0 (in float32 too),
 * 0 <= top_p <= 1, 0 <= min_p <= 1; none may be NaN.  Without do_sample the last three are not
 * looked at beyond NaN, as in Transformers.  UNSUP with do_sample where `lacks` is set. */
plim_status plim_sampling_check(const plim_sampling *sampling, plim_error *err);

plim_status plim_sampler_open(plim_sampler **out, const plim_alloc *alloc, size_t vocab,
                              plim_error *err);
void plim_sampler_close(plim_sampler **sampler);

/* Bytes that open takes, for the plan. */
uint64_t plim_sampler_bytes(size_t vocab);

/* Begin a generation: set the options, seed the generator, forget the history. */
void plim_sampler_reset(plim_sampler *sampler, const plim_sampling *sampling);

/* Tell it of a token of the sequence (prompt and new), for the repetition penalty. */
void plim_sampler_saw(plim_sampler *sampler, int32_t token);

/* Processed scores of logits f32 [vocab] (filtered ones -inf), valid until the next call.  Draws
 * nothing. Among equal scores at the edge of top-p the lower index is removed first. */
const float *plim_sampler_process(plim_sampler *sampler, const float *logits);

/* The next token: greedy, torch.argmax of the processed scores (the first of equals); sampling, the
 * first token in order of index whose running sum of probabilities (float32 exponentials, summed in
 * double) passes a number drawn uniformly by xoshiro256**.  The same seed, options and logits give
 * the same tokens on every machine.  Where NaN or infinities leave no probabilities, which
 * Transformers refuses, it is the argmax. */
int32_t plim_sampler_next(plim_sampler *sampler, const float *logits);

/* ---- generation_config.json (and the generation keys of an old config.json) ---- */

#define PLIM_MAX_EOS 64

typedef struct plim_generation_defaults {
    plim_sampling sampling;
    int64_t max_length, max_new_tokens; /* -1: not given */
    int32_t eos[PLIM_MAX_EOS];
    size_t eos_count;
    int32_t bos; /* -1: none */
} plim_generation_defaults;

/* Read directory/generation_config.json where it exists; else the same keys from
 * directory/config.json (what it leaves open may be said by its decoder, generator or text_config),
 * as Transformers does; else Transformers' defaults (top_k 50, the rest off, do_sample false).  A
 * null is a key that is not there. Keys that ask for what we do not do yet are PLIM_E_UNSUP where
 * they would change the text (num_beams > 1, penalties we lack); those that change sampled text
 * only are left to plim_sampling_check (sampling.lacks); `log` gets a warning for those ignored.
 * FORMAT for values of the wrong type, LIMIT for numbers too large or more than PLIM_MAX_EOS end
 * tokens, both with the position; values are not checked further.  IO, UNSAFE as plim_file_open.
 * The strings of *out are static. */
plim_status plim_generation_defaults_read(plim_generation_defaults *out, const plim_alloc *alloc,
                                          const char *directory, const plim_log *log,
                                          plim_error *err);

/* ---- stop strings ---- */

/* Finds stop strings in a text that comes in pieces; a piece may end in the middle of one.  As
 * Transformers' stop_strings: generation ends with the token that completes one, and the text keeps
 * it.  There, one may begin in the prompt, and special tokens count as they are spelled: push both
 * to get the same. */
typedef struct plim_stopper plim_stopper;

#define PLIM_MAX_STOPS      1024u
#define PLIM_MAX_STOP_BYTES 65536u

/* Strings are copied.  USAGE for an empty one, and past the caps above. */
plim_status plim_stopper_open(plim_stopper **out, const plim_alloc *alloc, const char *const *stop,
                              size_t count, plim_error *err);
void plim_stopper_close(plim_stopper **stopper);
/* True when the text so far contains a stop string that ends within this piece. */
bool plim_stopper_push(plim_stopper *stopper, const char *text, size_t bytes);

#endif
