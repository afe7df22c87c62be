/* SPDX-License-Identifier: Apache-2.0
 *
 * The one place where weight bytes move: from the files of a checkpoint to where the plan wants
 * them, cast on the way where it says so. Invariants:
 *  1. Beyond what stays, at most the plan's staging slots and a few thread stacks are held (the old
 * way, asked for by name, excepted).
 *  2. When a load returns, every byte that should be in memory is there, and the files are what
 * they were at open.
 *  3. A load that fails or is cancelled leaves nothing behind. */
#ifndef PLIM_LOAD_LOAD_H
#define PLIM_LOAD_LOAD_H

#include <stdatomic.h>

#include "base/pool.h"
#include "kernels/kernels.h"
#include "memory/ledger.h"
#include "plan/plan.h"

/* What a load works on; all of it must outlive the weights. */
typedef struct plim_load_job {
    plim_ledger *ledger;
    plim_pool *pool;
    const plim_kernels *kernels;
    const plim_log *log;
    const plim_skeleton *skeleton;
    const plim_stored_set *stored;
    const plim_load_plan *plan;
    plim_progress_fn progress; /* or NULL; called from any worker, one at a time */
    void *progress_user;
    atomic_bool *cancel; /* or NULL; heard within 50 ms */
    bool lock;           /* lock what stays in memory */
} plim_load_job;

typedef struct plim_weights plim_weights;

/* Fill the plan's memory.  BUDGET, NOMEM, IO, CHANGED (a file was truncated, rewritten or
 * replaced), CANCELLED. */
plim_status plim_weights_load(plim_weights **out, const plim_load_job *job, plim_error *err);
void plim_weights_close(plim_weights **weights);

/* The weight that plays a role; NULL when the model has none.  Lives with the weights. */
const plim_weight *plim_weights_get(const plim_weights *weights, uint32_t layer, plim_role role);

/* Extents of these weights, in memory or from the stream. */
plim_extent_source *plim_weights_source(plim_weights *weights);

/* What streamed so far; zero where nothing does. */
struct plim_stream_stats;
void plim_weights_stream_stats(plim_weights *weights, struct plim_stream_stats *out);

typedef struct plim_load_stats {
    uint64_t read_bytes, mapped_bytes;
    double seconds;
} plim_load_stats;
plim_load_stats plim_weights_stats(const plim_weights *weights);

/* Read a part of a stored tensor (begin[d] <= index < end[d] of each dimension) into dst,
 * row-major, cast to `dtype`; dst_bytes is exactly what that takes.  UNSUP (no such cast), IO,
 * CHANGED.  Staging: 256 KiB of `alloc`. */
plim_status plim_slice_read(const plim_stored_set *stored, const plim_stored *tensor,
                            const uint64_t *begin, const uint64_t *end, plim_dtype dtype,
                            const plim_kernels *kernels, const plim_alloc *alloc, void *dst,
                            size_t dst_bytes, plim_error *err);

#endif
