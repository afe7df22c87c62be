/* SPDX-License-Identifier: Apache-2.0
 *
 * A sequence of random keys and values, for measuring.  They are drawn in pieces of PIECE values,
 * each with a seed of its own, so that threads change nothing; where a key or a value lies in the
 * state does not matter to them. */
#include <string.h>

#include "base/pool.h"
#include "generate/random.h"
#include "generate/sequence.h"

#define PIECE ((size_t)16384)
#define BATCH ((size_t)256)

typedef struct fill_job {
    plim_sequence *s;
    plim_dtype type;
    size_t values, first_piece;
    uint64_t seed;
} fill_job;

/* The sum of two uniform numbers of 16 bits, twice per draw: variance 1. */
static void draw(plim_random *random, float out[BATCH])
{
    const float scale = 2.4494897f / 65536.0f; /* sqrt(6) */
    for (size_t i = 0; i < BATCH; i += 2) {
        uint64_t bits = plim_random_next(random);
        int32_t first = (int32_t)(bits & 0xffff) + (int32_t)(bits >> 16 & 0xffff) - 65535;
        int32_t second = (int32_t)(bits >> 32 & 0xffff) + (int32_t)(bits >> 48) - 65535;
        out[i] = (float)first * scale;
        out[i + 1] = (float)second * scale;
    }
}

static void fill_task(void *arg, unsigned task, unsigned worker)
{
    (void)worker;
    const fill_job *job = arg;
    size_t piece = job->first_piece + task;
    size_t first = piece * PIECE, last = first + PIECE < job->values ? first + PIECE : job->values;
    size_t value_bytes = plim_dtypes[job->type].bits / 8;
    plim_random random;
    float batch[BATCH];
    if (atomic_load_explicit(&job->s->cancel, memory_order_relaxed))
        return;
    plim_random_seed(&random, job->seed + piece * 0x9e3779b97f4a7c15u);
    for (size_t i = first; i < last; i += BATCH) {
        size_t n = last - i < BATCH ? last - i : BATCH;
        char *dst = (char *)job->s->state.kv.base + i * value_bytes;
        draw(&random, batch);
        if (job->type == PLIM_F32)
            memcpy(dst, batch, n * sizeof *batch);
        else
            job->s->engine.kernels->cast[job->type][PLIM_F32](dst, batch, n);
    }
}

plim_status plim_sequence_fill(plim_sequence *s, size_t length, uint64_t seed, plim_error *err)
{
    const plim_session_size *size = &s->state.size;
    if (length > size->context)
        return plim_fail(err, PLIM_E_LIMIT,
                         "%zu tokens are more than the context of %u; choose a larger one", length,
                         size->context);
    size_t value_bytes = plim_dtypes[size->kv_dtype].bits / 8;
    fill_job job = {s, size->kv_dtype, s->state.kv.bytes / value_bytes, 0, seed};
    size_t pieces = length ? (job.values + PIECE - 1) / PIECE : 0;
    s->pending = -1;
    s->logits = NULL;
    s->state.length = 0;
    for (; job.first_piece < pieces; job.first_piece += PLIM_POOL_MAX_TASKS) {
        size_t left = pieces - job.first_piece;
        plim_pool_run(s->engine.pool,
                      left < PLIM_POOL_MAX_TASKS ? (unsigned)left : PLIM_POOL_MAX_TASKS, fill_task,
                      &job);
    }
    if (atomic_exchange(&s->cancel, false))
        return plim_fail(err, PLIM_E_CANCELLED, "cancelled");
    s->state.length = (uint32_t)length;
    return PLIM_OK;
}
