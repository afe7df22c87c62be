/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention in plain C, and the joining of spans for every table.
 * Order of summation: a score is one sum in ascending dimension, a value one sum in ascending
 * position, block after block of a span. */
#include <math.h>

#include "kernels/ref.h"

enum { BLOCK = PLIM_KEY_BLOCK, COLUMNS = 64 };

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- spans ---- */

/* What sums relative to `from` shrink by when the largest is `to`. */
static float shrinking(float from, float to)
{
    return expf(from - (to == -INFINITY ? 0.0f : to));
}

void plim_attention_merge(float *y, float *largest, float *total, const float *part,
                          size_t head_dim)
{
    float other = part[head_dim], top = other > *largest ? other : *largest;
    float mine = shrinking(*largest, top), theirs = shrinking(other, top);
    for (size_t d = 0; d < head_dim; d++)
        y[d] = y[d] * mine + part[d] * theirs;
    *total = *total * mine + part[head_dim + 1] * theirs;
    *largest = top;
}

/* y of one head of one row; `part` is that of its first span. */
static void join_spans(float *y, const float *part, size_t spans, size_t span_stride,
                       size_t head_dim)
{
    float largest = part[head_dim], total = part[head_dim + 1];
    memcpy(y, part, head_dim * sizeof *y);
    for (size_t s = 1; s < spans; s++)
        plim_attention_merge(y, &largest, &total, part + s * span_stride, head_dim);
    for (size_t d = 0; d < head_dim; d++)
        y[d] /= total;
}

void plim_attention_join(const plim_attention *a, const float *parts, size_t span_stride)
{
    for (size_t r = 0; r < a->rows; r++) {
        size_t first = plim_attention_first(a, r) / PLIM_SPAN;
        size_t spans = (a->position + r) / PLIM_SPAN - first + 1;
        for (size_t g = 0; g < a->group; g++)
            join_spans(a->y + r * a->y_row_stride + g * a->y_stride,
                       parts + first * span_stride + (r * a->group + g) * (a->head_dim + 2), spans,
                       span_stride, a->head_dim);
    }
}

/* ---- one query, one span ---- */

typedef struct query {
    const float *q;
    size_t first, last; /* what it sees of the span */
    float *sums;        /* f32 [head_dim] */
    float largest, total;
} query;

static const char *element(const void *base, size_t i, plim_dtype dtype)
{
    return (const char *)base + i * (plim_dtypes[dtype].bits / 8);
}

/* score[i] = scale * dot(q, k[first + i]) for n positions of one block. */
static void block_scores(float score[BLOCK], const plim_attention *a, const float *q, size_t first,
                         size_t n, plim_dtype dtype)
{
    float k[BLOCK];
    size_t step, at = plim_key_at(first, a->context, a->head_dim, &step);
    memset(score, 0, n * sizeof *score);
    for (size_t d = 0; d < a->head_dim; d++) {
        plim_widen(k, element(a->k, at + d * step, dtype), n, dtype);
        for (size_t i = 0; i < n; i++)
            score[i] += q[d] * k[i];
    }
    for (size_t i = 0; i < n; i++)
        score[i] *= a->scale;
}

/* Scores to weights relative to the largest seen so far; returns what the sums up to now shrink by.
 */
static float block_softmax(float *score, size_t n, query *to)
{
    float top = to->largest, sum = 0.0f;
    for (size_t i = 0; i < n; i++)
        top = score[i] > top ? score[i] : top;
    float shift = top == -INFINITY ? 0.0f : top, shrink = shrinking(to->largest, top);
    for (size_t i = 0; i < n; i++) {
        score[i] = expf(score[i] - shift);
        sum += score[i];
    }
    to->total = to->total * shrink + sum;
    to->largest = top;
    return shrink;
}

static void add_values(float *sums, const plim_attention *a, const float *weight, size_t first,
                       size_t n, plim_dtype dtype)
{
    float v[COLUMNS];
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < a->head_dim; d += COLUMNS) {
            size_t m = smaller(COLUMNS, a->head_dim - d);
            plim_widen(v, element(a->v, (first + i) * a->head_dim + d, dtype), m, dtype);
            for (size_t j = 0; j < m; j++)
                sums[d + j] += weight[i] * v[j];
        }
}

static void attend_span(const plim_attention *a, query *to, plim_dtype dtype)
{
    float weight[BLOCK];
    to->largest = -INFINITY;
    to->total = 0.0f;
    memset(to->sums, 0, a->head_dim * sizeof *to->sums);
    for (size_t t = to->first, n; t <= to->last; t += n) {
        n = smaller(BLOCK - t % BLOCK, to->last + 1 - t);
        block_scores(weight, a, to->q, t, n, dtype);
        float shrink = block_softmax(weight, n, to);
        for (size_t d = 0; d < a->head_dim; d++)
            to->sums[d] *= shrink;
        add_values(to->sums, a, weight, t, n, dtype);
    }
}

/* ---- rows ---- */

/* Spans [from, to] of one head of one row, joined. */
static void attend(const plim_attention *a, query *whole, size_t from, size_t to, plim_dtype dtype)
{
    enum { MOST = 1024 };
    float part[MOST + 2];
    size_t first = whole->first, last = whole->last;
    query one = *whole;
    for (size_t span = from; span <= to; span++) {
        one.first = first > span * PLIM_SPAN ? first : span * PLIM_SPAN;
        one.last = smaller(last, span * PLIM_SPAN + PLIM_SPAN - 1);
        one.sums = span == from ? whole->sums : part;
        attend_span(a, &one, dtype);
        if (span == from) {
            whole->largest = one.largest;
            whole->total = one.total;
            continue;
        }
        part[a->head_dim] = one.largest;
        part[a->head_dim + 1] = one.total;
        plim_attention_merge(whole->sums, &whole->largest, &whole->total, part, a->head_dim);
    }
}

static void attend_head(const plim_attention *a, size_t r, size_t g, plim_dtype dtype)
{
    query one = {.q = a->q + r * a->q_row_stride + g * a->q_stride,
                 .first = plim_attention_first(a, r),
                 .last = a->position + r,
                 .sums = a->y + r * a->y_row_stride + g * a->y_stride};
    size_t from = one.first / PLIM_SPAN, to = one.last / PLIM_SPAN;
    if (!a->parts) {
        attend(a, &one, from, to, dtype);
        for (size_t d = 0; d < a->head_dim; d++)
            one.sums[d] /= one.total;
    } else if (from <= a->span && a->span <= to) {
        one.sums = a->parts + (r * a->group + g) * (a->head_dim + 2);
        attend(a, &one, a->span, a->span, dtype);
        one.sums[a->head_dim] = one.largest;
        one.sums[a->head_dim + 1] = one.total;
    }
}

static void attention(const plim_attention *a, plim_dtype dtype)
{
    for (size_t r = 0; r < a->rows; r++)
        for (size_t g = 0; g < a->group; g++)
            attend_head(a, r, g, dtype);
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
