/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention for any vector length; included once by each instruction set's file, after simd_*.h,
 * products_simd.h and math_simd.h.
 *
 * Positions are taken in blocks of 64 at absolute bounds.  Of a block: scores (one vector of sums
 * per position and head, as in the products), weights relative to the largest score seen so far,
 * then the weighted values on top of y, shrunk by as much as the largest score has grown.  Places
 * of a block that lie outside [first, last] have weight 0, so that each sum has the same shape
 * everywhere. */
#ifndef PLIM_KERNELS_ATTENTION_SIMD_H
#define PLIM_KERNELS_ATTENTION_SIMD_H

#include <math.h>

enum { BLOCK = 64, VALUE_VECTORS = 4, GROUP = 16, FAR_BYTES = 256 << 10 };

/* score[h][i..i + 4) = scale * dot(q[h], k[position]) for four positions; `k` are their rows. */
SIMD_INLINE void score_4(float score[][BLOCK], size_t i, const float *q, const plim_attention *a,
                         const char *const k[4], const int heads, plim_dtype dtype)
{
    vf sum[4][HEADS];
    size_t d = 0;
#pragma GCC unroll 4
    for (int t = 0; t < 4; t++)
#pragma GCC unroll 4
        for (int h = 0; h < heads; h++)
            sum[t][h] = vf_zero();
    for (; d + VL <= a->head_dim; d += VL)
#pragma GCC unroll 4
        for (int t = 0; t < 4; t++) {
            vf kt = vf_widen(k[t], d, dtype);
#pragma GCC unroll 4
            for (int h = 0; h < heads; h++)
                sum[t][h] = vf_fma(vf_load(q + (size_t)h * a->q_stride + d), kt, sum[t][h]);
        }
    if (d < a->head_dim)
#pragma GCC unroll 4
        for (int t = 0; t < 4; t++) {
            size_t n = a->head_dim - d;
            vf kt = vf_widen_tail(k[t], d, n, dtype);
#pragma GCC unroll 4
            for (int h = 0; h < heads; h++)
                sum[t][h] = vf_fma(vf_load_tail(q + (size_t)h * a->q_stride + d, n), kt, sum[t][h]);
        }
#pragma GCC unroll 4
    for (int h = 0; h < heads; h++) {
        float four[4];
        vf_sum4_store(four, sum[0][h], sum[1][h], sum[2][h], sum[3][h]);
        for (size_t t = 0; t < 4; t++)
            score[h][i + t] = a->scale * four[t];
    }
}

/* A row that is wanted soon; `position` beyond the last is left alone. */
SIMD_INLINE void fetch_row(const plim_attention *a, const void *base, size_t position,
                           plim_dtype dtype)
{
    const char *row = (const char *)base + position * a->kv_row_bytes;
    if (position <= a->last)
        for (size_t line = 0; line < a->head_dim * size_of(dtype); line += LINE_BYTES)
            simd_prefetch(row + line);
}

/* Scores of positions start + low .. start + high of one block; the block's other places get
 * -infinity. */
SIMD_INLINE void block_scores(float score[][BLOCK], const float *q, const plim_attention *a,
                              size_t start, size_t low, size_t high, bool fetch, const int heads,
                              plim_dtype dtype)
{
    const char *k[4];
    for (size_t i = low / 4 * 4; i < high; i += 4) {
        for (size_t t = 0; t < 4; t++) { /* places outside: any row that exists */
            size_t place = i + t < low ? low : i + t < high ? i + t : high - 1;
            k[t] = (const char *)a->k + (start + place) * a->kv_row_bytes;
            if (fetch)
                fetch_row(a, a->v, start + place, dtype);
        }
        score_4(score, i, q, a, k, heads, dtype);
    }
    for (int h = 0; h < heads; h++) {
        for (size_t i = 0; i < low; i++)
            score[h][i] = -INFINITY;
        for (size_t i = high; i < BLOCK; i++)
            score[h][i] = -INFINITY;
    }
}

/* Scores of a block to weights relative to the largest seen so far; returns what the earlier ones
 * shrink by. */
SIMD_INLINE float block_weights(float score[BLOCK], float *largest, float *total)
{
    vf top = vf_set1(*largest), sum = vf_zero();
    for (size_t i = 0; i < BLOCK; i += VL)
        top = vf_max(vf_load(score + i),
                     top); /* a NaN is passed over here, and spoils the sum below */
    float now = vf_largest(top);
    vf shift = vf_set1(now == -INFINITY ? 0.0f : now);
    for (size_t i = 0; i < BLOCK; i += VL) {
        vf weight = vf_exp(vf_sub(vf_load(score + i), shift));
        vf_store(score + i, weight);
        sum = vf_add(sum, weight);
    }
    float shrink[VL];
    vf_store(shrink, vf_exp(vf_sub(vf_set1(*largest), shift)));
    *total = *total * shrink[0] + vf_sum(sum);
    *largest = now;
    return shrink[0];
}

/* y[h][d..] = y[h][d..] * shrink[h] + sum over the block's places of weight * v, for `vectors`
 * vectors, the last of them with `tail` lanes only where that is not 0. */
SIMD_INLINE void add_values(const plim_attention *a, float *y, float weight[][BLOCK],
                            const float *shrink, size_t start, size_t low, size_t high, size_t d,
                            bool fetch, const int heads, const int vectors, size_t tail,
                            plim_dtype dtype)
{
    vf sum[HEADS][VALUE_VECTORS], v[VALUE_VECTORS];
#pragma GCC unroll 4
    for (int h = 0; h < heads; h++)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) {
            float *from = y + (size_t)h * a->y_stride + d + (size_t)j * VL;
            sum[h][j] = vf_mul(tail ? vf_load_tail(from, tail) : vf_load(from), vf_set1(shrink[h]));
        }
    const char *row = (const char *)a->v + (start + low) * a->kv_row_bytes;
    for (size_t i = low; i < high; i++, row += a->kv_row_bytes) {
        if (fetch)
            fetch_row(a, a->k, start + BLOCK + i, dtype);
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++)
            v[j] = tail ? vf_widen_tail(row, d, tail, dtype)
                        : vf_widen(row, d + (size_t)j * VL, dtype);
#pragma GCC unroll 4
        for (int h = 0; h < heads; h++)
#pragma GCC unroll 4
            for (int j = 0; j < vectors; j++)
                sum[h][j] = vf_fma(vf_set1(weight[h][i]), v[j], sum[h][j]);
    }
#pragma GCC unroll 4
    for (int h = 0; h < heads; h++)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) {
            float *to = y + (size_t)h * a->y_stride + d + (size_t)j * VL;
            if (tail)
                vf_store_tail(to, sum[h][j], tail);
            else
                vf_store(to, sum[h][j]);
        }
}

/* One block for `heads` heads from h0 on.  `fetch`: K and V lie far apart and beyond the caches, so
 * while one of them is used, the other's next rows are fetched. */
SIMD_INLINE void attend_block(const plim_attention *a, size_t h0, size_t start, float *largest,
                              float *total, bool fetch, const int heads, plim_dtype dtype)
{
    float score[HEADS][BLOCK], shrink[HEADS];
    float *y = a->y + h0 * a->y_stride;
    size_t d = 0, low = a->first > start ? a->first - start : 0;
    size_t high = smaller(a->last - start + 1, BLOCK);
    block_scores(score, a->q + h0 * a->q_stride, a, start, low, high, fetch, heads, dtype);
    for (int h = 0; h < heads; h++)
        shrink[h] = block_weights(score[h], &largest[h], &total[h]);
    for (; d + VALUE_VECTORS * VL <= a->head_dim; d += VALUE_VECTORS * VL)
        add_values(a, y, score, shrink, start, low, high, d, fetch && d == 0, heads, VALUE_VECTORS,
                   0, dtype);
    for (; d + VL <= a->head_dim; d += VL)
        add_values(a, y, score, shrink, start, low, high, d, fetch && d == 0, heads, 1, 0, dtype);
    if (d < a->head_dim)
        add_values(a, y, score, shrink, start, low, high, d, fetch && d == 0, heads, 1,
                   a->head_dim - d, dtype);
}

/* Up to GROUP heads go through each block before the next one is read. */
SIMD_INLINE void attend(const plim_attention *a, size_t h0, size_t heads, plim_dtype dtype)
{
    float largest[GROUP], total[GROUP];
    bool far = (a->last - a->first) * a->head_dim * size_of(dtype) > FAR_BYTES;
    for (size_t h = 0; h < heads; h++) {
        largest[h] = -INFINITY;
        total[h] = 0.0f;
        memset(a->y + (h0 + h) * a->y_stride, 0, a->head_dim * sizeof *a->y);
    }
    for (size_t start = a->first / BLOCK * BLOCK; start <= a->last; start += BLOCK) {
        size_t h = 0;
        for (; h + HEADS <= heads; h += HEADS)
            attend_block(a, h0 + h, start, largest + h, total + h, far && h == 0, HEADS, dtype);
        for (; h < heads; h++)
            attend_block(a, h0 + h, start, largest + h, total + h, far && h == 0, 1, dtype);
    }
    for (size_t h = 0; h < heads; h++)
        for (size_t d = 0; d < a->head_dim; d++)
            a->y[(h0 + h) * a->y_stride + d] /= total[h];
}

SIMD_INLINE void attention(const plim_attention *a, plim_dtype dtype)
{
    for (size_t h = 0; h < a->group; h += GROUP)
        attend(a, h, smaller(GROUP, a->group - h), dtype);
}

static void attention_f32(const plim_attention *a)
{
    attention(a, PLIM_F32);
}

static void attention_f16(const plim_attention *a)
{
    attention(a, PLIM_F16);
}

static void attention_bf16(const plim_attention *a)
{
    attention(a, PLIM_BF16);
}

#endif
