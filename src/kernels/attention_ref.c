/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention in plain C. */
#include <math.h>

#include "kernels/ref.h"

enum { LANES = 16, BLOCK = 64, HEADS = 8, HEAD_COLUMNS = 64 };

static inline float sum_of_lanes(const float lane[LANES])
{
    float a[LANES];
    memcpy(a, lane, sizeof a);
    for (size_t width = LANES / 2; width > 0; width /= 2)
        for (size_t i = 0; i < width; i++)
            a[i] += a[i + width];
    return a[0];
}

/* lane[k % 16] += x[k] * w[k]; the first k is a multiple of 16. */
static inline void add_products(float lane[LANES], const float *x, const float *w, size_t n)
{
    size_t k = 0;
    for (; k + LANES <= n; k += LANES)
        for (size_t i = 0; i < LANES; i++)
            lane[i] += x[k + i] * w[k + i];
    for (size_t i = 0; k + i < n; i++)
        lane[i] += x[k + i] * w[k + i];
}

/* score[g][i] = scale * dot(q[g], k[t + i]) for n positions from t. */
static inline void block_scores(float score[HEADS][BLOCK], const plim_attention *a, size_t g0,
                                size_t heads, size_t t, size_t n, plim_dtype dtype)
{
    float k[HEAD_COLUMNS], lane[HEADS][LANES];
    size_t bytes = dtype == PLIM_F32 ? 4 : 2;
    for (size_t i = 0; i < n; i++) {
        const char *row = (const char *)a->k + (t + i) * a->kv_row_bytes;
        memset(lane, 0, sizeof lane);
        for (size_t d = 0; d < a->head_dim; d += HEAD_COLUMNS) {
            size_t m = a->head_dim - d < HEAD_COLUMNS ? a->head_dim - d : HEAD_COLUMNS;
            plim_widen(k, row + d * bytes, m, dtype);
            for (size_t g = 0; g < heads; g++)
                add_products(lane[g], a->q + (g0 + g) * a->q_stride + d, k, m);
        }
        for (size_t g = 0; g < heads; g++)
            score[g][i] = a->scale * sum_of_lanes(lane[g]);
    }
}

/* Scores to weights relative to the largest seen so far; returns what the sums up to now shrink by.
 */
static inline float block_softmax(float *score, size_t n, float *largest, float *sum)
{
    float top = *largest, block_sum = 0.0f;
    for (size_t i = 0; i < n; i++)
        top = score[i] > top ? score[i] : top;
    float shift = top == -INFINITY ? 0.0f : top, shrink = expf(*largest - shift);
    for (size_t i = 0; i < n; i++) {
        score[i] = expf(score[i] - shift);
        block_sum += score[i];
    }
    *sum = *sum * shrink + block_sum;
    *largest = top;
    return shrink;
}

static inline void attention_heads(const plim_attention *a, size_t g0, size_t heads,
                                   plim_dtype dtype)
{
    float score[HEADS][BLOCK], largest[HEADS], sum[HEADS], shrink[HEADS], v[HEAD_COLUMNS];
    size_t bytes = dtype == PLIM_F32 ? 4 : 2;
    for (size_t g = 0; g < heads; g++) {
        largest[g] = -INFINITY;
        sum[g] = 0.0f;
        memset(a->y + (g0 + g) * a->y_stride, 0, a->head_dim * sizeof(float));
    }
    for (size_t t = a->first, end; t <= a->last; t = end) {
        end = (t / BLOCK + 1) * BLOCK;
        end = end > a->last ? a->last + 1 : end;
        block_scores(score, a, g0, heads, t, end - t, dtype);
        for (size_t g = 0; g < heads; g++)
            shrink[g] = block_softmax(score[g], end - t, &largest[g], &sum[g]);
        for (size_t d = 0; d < a->head_dim; d += HEAD_COLUMNS) {
            size_t m = a->head_dim - d < HEAD_COLUMNS ? a->head_dim - d : HEAD_COLUMNS;
            for (size_t g = 0; g < heads; g++)
                for (size_t j = 0; j < m; j++)
                    a->y[(g0 + g) * a->y_stride + d + j] *= shrink[g];
            for (size_t i = 0; i < end - t; i++) {
                plim_widen(v, (const char *)a->v + (t + i) * a->kv_row_bytes + d * bytes, m, dtype);
                for (size_t g = 0; g < heads; g++)
                    for (size_t j = 0; j < m; j++)
                        a->y[(g0 + g) * a->y_stride + d + j] += score[g][i] * v[j];
            }
        }
    }
    for (size_t g = 0; g < heads; g++)
        for (size_t d = 0; d < a->head_dim; d++)
            a->y[(g0 + g) * a->y_stride + d] /= sum[g];
}

static inline void attention(const plim_attention *a, plim_dtype dtype)
{
    for (size_t g = 0; g < a->group; g += HEADS)
        attention_heads(a, g, a->group - g < HEADS ? a->group - g : HEADS, dtype);
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

void plim_attention_ref(plim_kernels *out)
{
    out->attention[PLIM_F32] = attention_f32;
    out->attention[PLIM_F16] = attention_f16;
    out->attention[PLIM_BF16] = attention_bf16;
}
