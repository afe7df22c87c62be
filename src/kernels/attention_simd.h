/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention for any vector length; included once by each instruction set's file, after simd_*.h,
 * products_simd.h and math_simd.h.
 *
 * A query is one head of one row.  Of a block of 64 positions: scores, one lane each, added up by
 * fma in ascending dimension; weights relative to the largest score seen so far; then the weighted
 * values on top of the query's sums, one lane per dimension, by fma in ascending position.  So what
 * is done to the other queries of a tile matters to none.  Places of a block that a query doesn't
 * see get weight 0, and their values are not touched.
 *  - few queries use keys and values straight from memory, and fetch ahead;
 *  - many go by panels of a block, widened once for all of them.
 *
 * Stack: below 84 KiB. */
#ifndef PLIM_KERNELS_ATTENTION_SIMD_H
#define PLIM_KERNELS_ATTENTION_SIMD_H

#include <math.h>

enum {
    KEY_BLOCK = PLIM_KEY_BLOCK,
    QUERY_MOST = 48, /* whole tiles */
    QUERY_FEW = 12,  /* beyond, a panel pays */
    QUERY_FLOATS = 6144,
    /* Register tile: queries x vectors of positions, or of dimensions. */
    QUERY_TILE = 6,
    PANEL_DIMS = 128,
    PANEL_FLOATS = PANEL_DIMS * KEY_BLOCK
};

typedef struct queries {
    size_t count;
    const float *q[QUERY_MOST];
    float *y[QUERY_MOST];
    size_t first[QUERY_MOST], last[QUERY_MOST];           /* ascending, both */
    float all_largest[QUERY_MOST], all_total[QUERY_MOST]; /* of the spans before */

    /* Of the span at hand: */
    size_t low[QUERY_MOST], high[QUERY_MOST]; /* positions, both included */
    float *sums[QUERY_MOST];                  /* f32 [head_dim] */
    float largest[QUERY_MOST];
    float shrink[QUERY_MOST];
    float total[QUERY_MOST][VL], added[QUERY_MOST][VL]; /* weights: all, and of one block */
    float score[QUERY_MOST][KEY_BLOCK];
    float part[QUERY_FLOATS + 2 * QUERY_MOST];
    float panel[PANEL_FLOATS] __attribute__((aligned(LINE_BYTES)));
} queries;

/* Vectors of a tile that has `rows` queries: as many as the registers take. */
SIMD_INLINE int tile_vectors(const int rows)
{
    return VL == 8 && rows > 2 ? 2 : 4;
}

/* ---- scores ---- */

/* score[r][at..] (+)= q[r][d] * k[d][at..] over n dimensions, for one tile's positions.  k:
 * [n][KEY_BLOCK]; a line of `ahead` is fetched for each that is used of it. */
SIMD_INLINE void score_tile(float (*score)[KEY_BLOCK], const float *const *q, const char *k,
                            const char *ahead, size_t at, size_t d0, size_t n, const int rows,
                            plim_dtype dtype)
{
    const int vectors = tile_vectors(rows);
    vf sum[QUERY_TILE][4], kd[4];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            sum[r][v] = d0 ? vf_load(&score[r][at + (size_t)v * VL]) : vf_zero();
    for (size_t d = 0; d < n; d++) {
        if (ahead) {
#pragma GCC unroll 4
            for (size_t i = 0; i < KEY_BLOCK * size_of(dtype); i += LINE_BYTES)
                simd_prefetch(ahead + d * KEY_BLOCK * size_of(dtype) + i);
        }
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            kd[v] = vf_widen(k, d * KEY_BLOCK + at + (size_t)v * VL, dtype);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            vf qd = vf_set1(q[r][d0 + d]);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                sum[r][v] = vf_fma(qd, kd[v], sum[r][v]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            vf_store(&score[r][at + (size_t)v * VL], sum[r][v]);
}

SIMD_INLINE void score_rows(float (*score)[KEY_BLOCK], const float *const *q, const char *k,
                            const char *ahead, size_t d0, size_t n, const int rows,
                            plim_dtype dtype)
{
    size_t step = (size_t)tile_vectors(rows) * VL;
    for (size_t at = 0; at < KEY_BLOCK; at += step, ahead = NULL)
        score_tile(score, q, k, ahead, at, d0, n, rows, dtype);
}

/* One tile's scores, of the queries from i on. */
SIMD_INLINE void score_queries(queries *b, size_t i, size_t rows, const char *k, const char *ahead,
                               size_t d0, size_t n, plim_dtype dtype)
{
    float(*score)[KEY_BLOCK] = b->score + i;
    const float *const *q = b->q + i;
    if (rows == 6)
        score_rows(score, q, k, ahead, d0, n, 6, dtype);
    else if (rows == 5)
        score_rows(score, q, k, ahead, d0, n, 5, dtype);
    else if (rows == 4)
        score_rows(score, q, k, ahead, d0, n, 4, dtype);
    else if (rows == 3)
        score_rows(score, q, k, ahead, d0, n, 3, dtype);
    else if (rows == 2)
        score_rows(score, q, k, ahead, d0, n, 2, dtype);
    else
        score_rows(score, q, k, ahead, d0, n, 1, dtype);
}

/* ---- weights ---- */

/* Scores of query i to weights relative to the largest up to now, and their sums lane by lane.
 * low..high: the places it sees.  Leaves the logarithm of what its sums shrink by. */
SIMD_INLINE void weigh(queries *b, size_t i, size_t low, size_t high, vf scale)
{
    enum { VECTORS = KEY_BLOCK / VL };
    float *score = b->score[i];
    vf x[VECTORS], top = vf_set1(b->largest[i]), sum = vf_zero();
#pragma GCC unroll 16
    for (size_t j = 0; j < VECTORS; j++)
        x[j] = vf_mul(vf_load(score + j * VL), scale);
    if (low > 0 || high < KEY_BLOCK) {
        for (size_t j = 0; j < VECTORS; j++)
            vf_store(score + j * VL, x[j]);
        for (size_t t = 0; t < low; t++)
            score[t] = -INFINITY;
        for (size_t t = high; t < KEY_BLOCK; t++)
            score[t] = -INFINITY;
        for (size_t j = 0; j < VECTORS; j++)
            x[j] = vf_load(score + j * VL);
    }
#pragma GCC unroll 16
    for (size_t j = 0; j < VECTORS; j++)
        top = vf_max(x[j], top); /* a NaN is passed over, and spoils the sum below */
    float now = vf_largest(top), shift = now == -INFINITY ? 0.0f : now;
    b->shrink[i] = b->largest[i] - shift;
    b->largest[i] = now;
    top = vf_set1(shift);
#pragma GCC unroll 16
    for (size_t j = 0; j < VECTORS; j++) {
        vf weight = vf_exp(vf_sub(x[j], top));
        vf_store(score + j * VL, weight);
        sum = vf_add(sum, weight);
    }
    vf_store(b->added[i], sum);
}

/* Weights of queries [from, to) in the block from `start` on. */
static void weigh_queries(queries *b, size_t from, size_t to, size_t start, float scale)
{
    vf by = vf_set1(scale);
    for (size_t i = from; i < to; i++) {
        size_t low = b->low[i] > start ? b->low[i] - start : 0;
        weigh(b, i, low, smaller(b->high[i] - start + 1, KEY_BLOCK), by);
    }
    for (size_t i = from; i < to; i += VL) {
        size_t n = smaller(VL, to - i);
        if (n == VL)
            vf_store(b->shrink + i, vf_exp(vf_load(b->shrink + i)));
        else
            vf_store_tail(b->shrink + i, vf_exp(vf_load_tail(b->shrink + i, n)), n);
    }
    for (size_t i = from; i < to; i++)
        vf_store(b->total[i],
                 vf_fma(vf_load(b->total[i]), vf_set1(b->shrink[i]), vf_load(b->added[i])));
}

/* ---- values ---- */

/* Values of one block as a tile reads them: place t at base + t * row_bytes. */
typedef struct values {
    const char *base, *ahead; /* ahead: a block that is fetched meanwhile, or NULL */
    size_t row_bytes;
    size_t low, high; /* places [low, high) */
} values;

/* sums[r][to..] = sums[r][to..] * shrink[r] + sum over places of score[r] * v, for `vectors`
 * vectors of v from dimension d on, the last of them with `tail` lanes only where that is not 0. */
SIMD_INLINE void value_tile(float *const *sums, float (*score)[KEY_BLOCK], const float *shrink,
                            const values *v, size_t to, size_t d, const int rows, const int vectors,
                            size_t tail, plim_dtype dtype)
{
    vf sum[QUERY_TILE][4], vt[4];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) {
            const float *from = sums[r] + to + (size_t)j * VL;
            sum[r][j] = vf_mul(tail ? vf_load_tail(from, tail) : vf_load(from), vf_set1(shrink[r]));
        }
    const char *row = v->base + v->low * v->row_bytes;
    for (size_t t = v->low; t < v->high; t++, row += v->row_bytes) {
        if (v->ahead && d == 0)
            for (size_t i = 0; i < v->row_bytes; i += LINE_BYTES)
                simd_prefetch(v->ahead + t * v->row_bytes + i);
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++)
            vt[j] = tail ? vf_widen_tail(row, d, tail, dtype)
                         : vf_widen(row, d + (size_t)j * VL, dtype);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            vf weight = vf_set1(score[r][t]);
#pragma GCC unroll 4
            for (int j = 0; j < vectors; j++)
                sum[r][j] = vf_fma(weight, vt[j], sum[r][j]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) {
            float *at = sums[r] + to + (size_t)j * VL;
            if (tail)
                vf_store_tail(at, sum[r][j], tail);
            else
                vf_store(at, sum[r][j]);
        }
}

SIMD_INLINE void value_rows(float *const *sums, float (*score)[KEY_BLOCK], const float *shrink,
                            const values *v, size_t d0, size_t n, const int rows, plim_dtype dtype)
{
    const int vectors = tile_vectors(rows);
    size_t d = 0;
    for (; d + (size_t)vectors * VL <= n; d += (size_t)vectors * VL)
        value_tile(sums, score, shrink, v, d0 + d, d, rows, vectors, 0, dtype);
    for (; d + VL <= n; d += VL)
        value_tile(sums, score, shrink, v, d0 + d, d, rows, 1, 0, dtype);
    if (d < n)
        value_tile(sums, score, shrink, v, d0 + d, d, rows, 1, n - d, dtype);
}

/* v: places and dimensions [d0, d0 + n) of one block, for the queries from i on. */
SIMD_INLINE void add_values(queries *b, size_t i, size_t rows, const float *shrink, const values *v,
                            size_t d0, size_t n, plim_dtype dtype)
{
    float *const *sums = b->sums + i;
    float(*score)[KEY_BLOCK] = b->score + i;
    if (rows == 6)
        value_rows(sums, score, shrink, v, d0, n, 6, dtype);
    else if (rows == 5)
        value_rows(sums, score, shrink, v, d0, n, 5, dtype);
    else if (rows == 4)
        value_rows(sums, score, shrink, v, d0, n, 4, dtype);
    else if (rows == 3)
        value_rows(sums, score, shrink, v, d0, n, 3, dtype);
    else if (rows == 2)
        value_rows(sums, score, shrink, v, d0, n, 2, dtype);
    else
        value_rows(sums, score, shrink, v, d0, n, 1, dtype);
}

/* The same where the queries of a tile don't all see the same places: what all see together, what
 * lies before and behind query by query. */
SIMD_INLINE void value_queries(queries *b, size_t i, size_t rows, size_t start, const values *block,
                               size_t d0, size_t n, plim_dtype dtype)
{
    float shrink[QUERY_TILE];
    size_t low[QUERY_TILE], high[QUERY_TILE];
    values v = *block;
    for (size_t r = 0; r < rows; r++) {
        shrink[r] = b->shrink[i + r];
        low[r] = b->low[i + r] > start ? b->low[i + r] - start : 0;
        high[r] = smaller(b->high[i + r] - start + 1, KEY_BLOCK);
    }
    size_t from = low[rows - 1], to = high[0];
    bool together = from < to;
    for (size_t r = 0; r < rows; r++) {
        v.low = low[r];
        v.high = together ? from : high[r];
        if (v.low < v.high) {
            add_values(b, i + r, 1, shrink + r, &v, d0, n, dtype);
            shrink[r] = 1.0f;
        }
    }
    if (!together)
        return;
    v.low = from;
    v.high = to;
    add_values(b, i, rows, shrink, &v, d0, n, dtype);
    const float one = 1.0f;
    for (size_t r = 0; r < rows; r++) {
        v.low = to;
        v.high = high[r];
        if (v.low < v.high)
            add_values(b, i + r, 1, &one, &v, d0, n, dtype);
    }
}

/* ---- one block ---- */

/* Dimensions [d, d + n) of a block of keys as floats, [n][KEY_BLOCK]; zeros where a block at the
 * end of the context is narrower. */
SIMD_INLINE void fill_keys(float *panel, const char *k, size_t width, size_t d, size_t n,
                           plim_dtype dtype)
{
    for (size_t j = d; j < d + n; j++, panel += KEY_BLOCK)
        for (size_t t = 0; t < KEY_BLOCK; t += VL)
            vf_store(panel + t, t + VL <= width ? vf_widen(k, j * width + t, dtype)
                                : t < width     ? vf_widen_tail(k, j * width + t, width - t, dtype)
                                                : vf_zero());
}

/* Dimensions [d, d + n) of the values of places [low, high), [KEY_BLOCK][PANEL_DIMS]. */
SIMD_INLINE void fill_values(float *panel, const char *v, size_t head_dim, size_t low, size_t high,
                             size_t d, size_t n, plim_dtype dtype)
{
    for (size_t t = low; t < high; t++) {
        size_t i = 0;
        for (; i + VL <= n; i += VL)
            vf_store(panel + t * PANEL_DIMS + i, vf_widen(v, t * head_dim + d + i, dtype));
        if (i < n)
            vf_store_tail(panel + t * PANEL_DIMS + i,
                          vf_widen_tail(v, t * head_dim + d + i, n - i, dtype), n - i);
    }
}

/* How many queries the next tile of `left` has: tiles as even as they come. */
SIMD_INLINE size_t tile_of_queries(size_t left)
{
    size_t tiles = (left + QUERY_TILE - 1) / QUERY_TILE;
    return (left + tiles - 1) / tiles;
}

/* Queries [from, to) all see something of the block from `start` on. */
SIMD_INLINE void few_queries(const plim_attention *a, queries *b, size_t start, size_t from,
                             size_t to, plim_dtype dtype)
{
    size_t bytes = a->head_dim * size_of(dtype);
    const char *k = (const char *)a->k + start * bytes;
    values v = {.base = (const char *)a->v + start * bytes, .row_bytes = bytes};
    for (size_t i = from, n; i < to; i += n) {
        n = tile_of_queries(to - i);
        score_queries(b, i, n, k, i == from ? v.base : NULL, 0, a->head_dim, dtype);
    }
    weigh_queries(b, from, to, start, a->scale);
    for (size_t i = from, n; i < to; i += n) {
        n = tile_of_queries(to - i);
        v.ahead = i == from && b->high[to - 1] >= start + KEY_BLOCK ? k + KEY_BLOCK * bytes : NULL;
        value_queries(b, i, n, start, &v, 0, a->head_dim, dtype);
    }
}

SIMD_INLINE void many_queries(const plim_attention *a, queries *b, size_t start, size_t from,
                              size_t to, plim_dtype dtype)
{
    size_t bytes = a->head_dim * size_of(dtype), width = smaller(KEY_BLOCK, a->context - start);
    const char *k = (const char *)a->k + start * bytes, *v = (const char *)a->v + start * bytes;
    size_t low = b->low[from] > start ? b->low[from] - start : 0;
    size_t high = smaller(b->high[to - 1] - start + 1, KEY_BLOCK);
    bool direct = dtype == PLIM_F32 && width == KEY_BLOCK;
    for (size_t d = 0, m; d < a->head_dim; d += m) {
        m = smaller(PANEL_DIMS, a->head_dim - d);
        if (!direct)
            fill_keys(b->panel, k, width, d, m, dtype);
        const char *keys = direct ? k + d * KEY_BLOCK * sizeof(float) : (const char *)b->panel;
        for (size_t i = from, n; i < to; i += n) {
            n = smaller(QUERY_TILE, to - i);
            score_queries(b, i, n, keys, NULL, d, m, PLIM_F32);
        }
    }
    weigh_queries(b, from, to, start, a->scale);
    for (size_t d = 0, m; d < a->head_dim; d += m) {
        m = smaller(PANEL_DIMS, a->head_dim - d);
        values block = {.base = v + d * sizeof(float), .row_bytes = bytes};
        if (dtype != PLIM_F32) {
            fill_values(b->panel, v, a->head_dim, low, high, d, m, dtype);
            block =
                (values){.base = (const char *)b->panel, .row_bytes = PANEL_DIMS * sizeof(float)};
        }
        for (size_t i = from, n; i < to; i += n) {
            n = smaller(QUERY_TILE, to - i);
            value_queries(b, i, n, start, &block, d, m, PLIM_F32);
        }
    }
}

/* ---- spans and rows ---- */

/* Where the sums of query i of this call go in this span, and what it sees of it; false: nothing.
 */
SIMD_INLINE bool enter_span(const plim_attention *a, queries *b, size_t i, size_t index,
                            size_t span)
{
    size_t begin = span * PLIM_SPAN;
    if (b->last[i] < begin || b->first[i] >= begin + PLIM_SPAN)
        return false;
    b->low[i] = b->first[i] > begin ? b->first[i] : begin;
    b->high[i] = smaller(b->last[i], begin + PLIM_SPAN - 1);
    if (a->parts)
        b->sums[i] = a->parts + index * (a->head_dim + 2);
    else
        b->sums[i] = b->first[i] >= begin ? b->y[i] : b->part + i * (a->head_dim + 2);
    memset(b->sums[i], 0, a->head_dim * sizeof(float));
    b->largest[i] = -INFINITY;
    vf_store(b->total[i], vf_zero());
    return true;
}

/* And what becomes of them. */
SIMD_INLINE void leave_span(const plim_attention *a, queries *b, size_t i)
{
    float total = vf_sum(vf_load(b->total[i]));
    if (b->sums[i] == b->y[i]) {
        b->all_largest[i] = b->largest[i];
        b->all_total[i] = total;
        return;
    }
    b->sums[i][a->head_dim] = b->largest[i];
    b->sums[i][a->head_dim + 1] = total;
    if (!a->parts)
        plim_attention_merge(b->y[i], &b->all_largest[i], &b->all_total[i], b->sums[i],
                             a->head_dim);
}

/* Queries from number `index` of the call on. */
SIMD_INLINE void attend_span(const plim_attention *a, queries *b, size_t index, size_t span,
                             plim_dtype dtype)
{
    size_t from = b->count, to = 0;
    for (size_t i = 0; i < b->count; i++)
        if (enter_span(a, b, i, index + i, span)) {
            from = smaller(from, i);
            to = i + 1;
        }
    if (from >= to)
        return;
    size_t i = from, end = from; /* those that see something of the block */
    for (size_t start = b->low[from] / KEY_BLOCK * KEY_BLOCK; start <= b->high[to - 1];
         start += KEY_BLOCK) {
        while (end < to && b->low[end] < start + KEY_BLOCK)
            end++;
        while (i < end && b->high[i] < start)
            i++;
        if (i == end)
            continue;
        if (end - i <= QUERY_FEW && a->context - start >= KEY_BLOCK)
            few_queries(a, b, start, i, end, dtype);
        else
            many_queries(a, b, start, i, end, dtype);
    }
    for (i = from; i < to; i++)
        leave_span(a, b, i);
}

SIMD_INLINE void attention(const plim_attention *a, plim_dtype dtype)
{
    queries b;
    size_t all = a->rows * a->group, most = QUERY_FLOATS / a->head_dim;
    most = most < 1 ? 1 : smaller(most, QUERY_MOST);
    for (size_t index = 0; index < all; index += b.count) {
        b.count = smaller(most, all - index);
        for (size_t i = 0; i < b.count; i++) {
            size_t r = (index + i) / a->group, g = (index + i) % a->group;
            b.q[i] = a->q + r * a->q_row_stride + g * a->q_stride;
            b.y[i] = a->y ? a->y + r * a->y_row_stride + g * a->y_stride : NULL;
            b.first[i] = plim_attention_first(a, r);
            b.last[i] = a->position + r;
        }
        if (a->parts) {
            attend_span(a, &b, index, a->span, dtype);
            continue;
        }
        for (size_t span = b.first[0] / PLIM_SPAN; span <= b.last[b.count - 1] / PLIM_SPAN; span++)
            attend_span(a, &b, index, span, dtype);
        for (size_t i = 0; i < b.count; i++)
            for (size_t d = 0; d < a->head_dim; d++)
                b.y[i][d] /= b.all_total[i];
    }
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
