/* SPDX-License-Identifier: Apache-2.0
 *
 * How a row of activations lies when it is packed for products with groups, in every table but the
 * scalar one: the quants in their order, for 8-bit weights; those of even and of odd inputs apart,
 * for 4-bit ones, whose nibbles come out that way; and the scales.  One packing serves both
 * formats. */
#ifndef PLIM_KERNELS_QUANT_ROWS_H
#define PLIM_KERNELS_QUANT_ROWS_H

#include "kernels/kernels.h"

static inline size_t whole_lines(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

typedef struct packed_row {
    int8_t *q, *even, *odd;
    float *scale;             /* [groups] */
    int32_t *bias_8, *bias_4; /* [groups] -128 and -8 times the sum of the quants */
} packed_row;

/* Without it, rows of 4096 and 8192 inputs would lie a multiple of 2048 bytes apart and fight for
 * the same sets of L1: 0.43 of the peak of dot products with 4-bit weights instead of 0.56.  Short
 * rows have no room for it (plim_pack_bytes), and no need. */
static inline size_t gap_bytes(size_t inputs)
{
    return inputs >= 2048 && inputs * 5 / 2 % 2048 == 0 ? 320 : 0;
}

static inline size_t packed_row_bytes(size_t inputs)
{
    return 2 * whole_lines(inputs) + whole_lines(inputs / PLIM_GROUP * 3 * sizeof(float)) +
           3 * gap_bytes(inputs);
}

static inline packed_row packed_row_at(const void *packed, size_t r, size_t inputs)
{
    char *row = (char *)packed + r * packed_row_bytes(inputs);
    size_t q_bytes = whole_lines(inputs), gap = gap_bytes(inputs), groups = inputs / PLIM_GROUP;
    char *odd = row + q_bytes + q_bytes / 2 + gap;
    float *scale = (float *)(void *)(odd + q_bytes / 2 + gap);
    return (packed_row){.q = (int8_t *)row,
                        .even = (int8_t *)row + q_bytes,
                        .odd = (int8_t *)odd,
                        .scale = scale,
                        .bias_8 = (int32_t *)(void *)(scale + groups),
                        .bias_4 = (int32_t *)(void *)(scale + 2 * groups)};
}

#endif
