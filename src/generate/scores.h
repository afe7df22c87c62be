/* SPDX-License-Identifier: Apache-2.0
 *
 * Passes over a row of scores, for the sampler: largest, exponentials, sums, the k-th largest.
 * Rows are cut into blocks of PLIM_SCORES_BLOCK; the order of every sum is fixed by the blocks, so
 * that a result does not depend on compiler or instruction set. */
#ifndef PLIM_GENERATE_SCORES_H
#define PLIM_GENERATE_SCORES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PLIM_SCORES_BLOCK 64u

/* Buckets of a radix pass: 11, 11 and 10 bits of a key. */
#define PLIM_SCORES_BUCKETS 2048u

/* A key that orders as the values do: -0 equals 0, a NaN is above infinity (as torch.topk has it).
 */
static inline uint32_t plim_scores_key(float x)
{
    uint32_t bits;
    if (x != x)
        return UINT32_MAX;
    x += 0.0f; /* -0 becomes 0 */
    memcpy(&bits, &x, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* x f32 [PLIM_SCORES_BLOCK], each divided. */
void plim_scores_divide(float *x, float divisor);

/* The largest of x f32 [PLIM_SCORES_BLOCK], NaN aside (-inf when nothing else is there); *nan is
 * set where one is a NaN, else left. */
float plim_scores_block_largest(const float *x, bool *nan);

/* Index of the largest of x f32 [n], n >= 1, as torch.argmax: the first of equals, the first NaN
 * before all. */
size_t plim_scores_largest(const float *x, size_t n);

/* x f32 [PLIM_SCORES_BLOCK], each <= 0 (or -inf) -> dst = exp(x), within 2 units in the last place,
 * 0 below the normal numbers.  src may be dst. */
void plim_scores_exp(float *dst, const float *src);

/* Sum over x[i] * scale, i < n <= PLIM_SCORES_BLOCK: products rounded to f32, summed in double. */
double plim_scores_sum(const float *x, size_t n, float scale);

/* The k-th largest (k = 1..n) of x f32 [n], a NaN counted as the largest.
 * counts: scratch of PLIM_SCORES_BUCKETS.  Linear in n. */
float plim_scores_kth(const float *x, size_t n, size_t k, uint32_t *counts);

#endif
