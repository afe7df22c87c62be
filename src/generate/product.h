/* SPDX-License-Identifier: Apache-2.0
 *
 * Products of activations with a weight: extent by extent from their source, each cut into tasks
 * for the pool.  What one task computes is the kernels' affair. */
#ifndef PLIM_GENERATE_PRODUCT_H
#define PLIM_GENERATE_PRODUCT_H

#include <stdatomic.h>

#include "base/pool.h"
#include "kernels/kernels.h"
#include "tensor/weight.h"

/* Who multiplies, and with what. */
typedef struct plim_multiplier {
    plim_pool *pool;
    const plim_kernels *kernels;
    plim_extent_source *source;
    const atomic_bool *cancel; /* or NULL; heard in every task */
    float *wide;               /* or NULL: groups are multiplied as groups.  Else as floats, a few
                                  outputs at a time: [threads][PLIM_WIDE_ROWS][wide_inputs] */
    size_t wide_inputs;
} plim_multiplier;

/* Rows of activations [rows][inputs] that one weight or several are multiplied with.  `pack` is
 * room for plim_pack_bytes(rows, inputs), PLIM_PACK_ALIGN aligned; it is filled when a weight first
 * wants it, so x must stay what it is until the last product. */
typedef struct plim_operand {
    const float *x;
    size_t stride, rows, inputs;
    void *pack;
    plim_pack_fn packed_by; /* NULL: not yet */
} plim_operand;

/* y[rows][outputs] = x . weight.  CANCELLED, or what the source returned. */
plim_status plim_multiply(const plim_multiplier *m, const plim_weight *weight, plim_operand *x,
                          float *y, size_t y_stride, plim_error *err);

/* One tile of a weight, cut into tasks: y, x, w and the rest as the kernels take them; for [in,
 * out] and for groups y is added to. */
void plim_multiply_tile(const plim_multiplier *m, plim_dtype format, plim_layout layout,
                        const plim_product *tile);

#endif
