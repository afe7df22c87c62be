/* SPDX-License-Identifier: Apache-2.0
 *
 * One forward pass over rows of (sequence, position, token), and what a sequence keeps between
 * passes. Invariants:
 *  1. A row's result depends on its own sequence alone: not on the rows beside it, the number of
 * threads, the chunk, or the extents in which the weights arrive.
 *  2. Nothing is allocated in a pass. */
#ifndef PLIM_GENERATE_FORWARD_H
#define PLIM_GENERATE_FORWARD_H

#include <stdatomic.h>

#include "base/pool.h"
#include "load/load.h"

/* What a sequence keeps per layer: keys (after rope) and values, [layer][k, v][kv_head][context *
 * head_dim], the latter two laid out as attention reads them (kernels.h). */
typedef struct plim_state {
    plim_region kv;
    plim_session_size size;
    uint32_t length; /* positions that hold */
} plim_state;

/* Zeroed and populated: what is promised at open is committed at open.  `cancel` (or NULL) is heard
 * meanwhile.  BUDGET, NOMEM, CANCELLED. */
plim_status plim_state_open(plim_state *out, plim_ledger *ledger, const plim_spec *spec,
                            const plim_session_size *size, const atomic_bool *cancel,
                            plim_error *err);
void plim_state_close(plim_state *state, plim_ledger *ledger);

/* The buffers of a pass over up to size.chunk rows. */
typedef struct plim_scratch {
    plim_region region;
    plim_scratch_layout layout;
} plim_scratch;

plim_status plim_scratch_open(plim_scratch *out, plim_ledger *ledger, const plim_spec *spec,
                              const plim_session_size *size, plim_error *err);
void plim_scratch_close(plim_scratch *scratch, plim_ledger *ledger);

/* Everything of the model that a pass needs. */
typedef struct plim_engine {
    const plim_spec *spec;
    const plim_kernels *kernels;
    plim_pool *pool;
    const plim_weights *weights; /* which weight plays which role */
    plim_extent_source *source;  /* where their rows come from */
} plim_engine;

/* A token to compute.  Rows of one sequence come in ascending positions without a gap, beginning at
 * its length. */
typedef struct plim_row {
    plim_state *state;
    uint32_t position;
    int32_t token;
    bool wants_logits;
} plim_row;

typedef struct plim_pass {
    const plim_engine *engine;
    plim_scratch *scratch;
    const plim_row *rows;
    size_t count;              /* <= chunk */
    const atomic_bool *cancel; /* or NULL; heard within a fraction of a layer */
    /* Gets f32 [vocab] of each row that wants it, in order; non-zero cancels.  Or NULL. */
    int (*on_logits)(void *user, size_t row, const float *logits);
    void *user;
} plim_pass;

/* Does not move state->length: the caller does when all went well.  CANCELLED, or what the source
 * returned. */
plim_status plim_forward(const plim_pass *pass, plim_error *err);

#endif
