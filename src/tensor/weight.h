/* SPDX-License-Identifier: Apache-2.0
 *
 * A weight: what a role of the model points to, and the extents through which its bytes are used.
 * A weight says what its bytes mean; it does not say where they are.  That is an extent source's
 * affair (load/), so the forward pass can't tell a mapped weight from one that comes from disk. */
#ifndef PLIM_TENSOR_WEIGHT_H
#define PLIM_TENSOR_WEIGHT_H

#include <stdatomic.h>

#include "tensor/dtype.h"

typedef enum plim_layout {
    PLIM_OUT_IN, /* row = one output: y[r] = dot(x, w[r]) */
    PLIM_IN_OUT  /* row = one input (GPT-2's Conv1D): y += x[r] * w[r] */
} plim_layout;

#define PLIM_WEIGHT_MAX_PARTS 4
#define PLIM_NO_PART          UINT32_MAX

typedef struct plim_weight {
    plim_dtype format; /* F32, F16, BF16, Q8, Q4: of the elements in memory */
    plim_layout layout;
    uint64_t rows, cols;                  /* as stored, of the slice; a vector is one row */
    uint32_t part[PLIM_WEIGHT_MAX_PARTS]; /* tensors of the skeleton it consists of: the weight or
                                             its quants, the scales of those; PLIM_NO_PART */
    uint64_t first_row;                   /* of the slice, in the stored tensor */
    bool by_row;                          /* looked up row by row: of those that are read by
                                             themselves, one at a time is acquired */
} plim_weight;

static inline uint64_t plim_weight_inputs(const plim_weight *w)
{
    return w->layout == PLIM_OUT_IN ? w->cols : w->rows;
}

static inline uint64_t plim_weight_outputs(const plim_weight *w)
{
    return w->layout == PLIM_OUT_IN ? w->rows : w->cols;
}

/* Rows [row, row + rows) of a weight, readable until released.
 * Groups of an [in, out] weight are turned: rows are still inputs (a multiple of PLIM_GROUP), but
 * data and scales are laid out as [out][those inputs], row_bytes from output to output. */
typedef struct plim_extent {
    const void *data;
    const void *scales; /* of group formats: f16; else NULL */
    uint64_t row, rows;
    size_t row_bytes, scale_row_bytes; /* strides */
    void *cookie;                      /* of the source */
} plim_extent;

/* Where extents come from.  A pass begins and ends; in between, acquire gives an extent that begins
 * at `row` and holds at least one row, up to `want` of them, aligned to its element; every acquire
 * is followed by one release before the next.  Matrices are acquired in the order of the model's
 * slots, each from its first row to its last, the output head last and `head_rounds` times. All are
 * called by one thread per session at a time, but by several sessions at once.
 * begin: CHANGED, IO, CANCELLED; `cancel` (may be NULL) is watched until end.  `ok`: the pass went
 * through. */
typedef struct plim_extent_source plim_extent_source;
struct plim_extent_source {
    plim_status (*begin)(plim_extent_source *self, unsigned head_rounds, const atomic_bool *cancel,
                         plim_error *err);
    void (*end)(plim_extent_source *self, bool ok);
    plim_status (*acquire)(plim_extent_source *self, const plim_weight *weight, uint64_t row,
                           uint64_t want, plim_extent *out, plim_error *err);
    void (*release)(plim_extent_source *self, plim_extent *extent);
};

#endif
