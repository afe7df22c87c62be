/* SPDX-License-Identifier: Apache-2.0
 *
 * Products for any vector length; included once by each instruction set's file, after its simd_*.h.
 *
 * [out, in]: within a block of BLOCK_COLUMNS an output is one vector of sums along the inner
 * dimension, lane k % VL, added up by fma in ascending k; a last partial vector is filled with
 * zeros.  Then the lanes are added (by one order in vf_sum4_store and vf_sum_tile), and block after
 * block is added to the output.  [in, out]: an output is one lane, added up by fma in ascending k
 * from what y holds.  So a row alone and a row among a thousand agree bit for bit:
 *  - few rows stream four rows of weights at a time straight from memory;
 *  - packed rows lie in the order in which tiles read them, and pass over panels of weights that
 *    are widened once into L1: x comes from L2, sums stay in registers for a whole block.
 *
 * Stack: below 64 KiB. */
#ifndef PLIM_KERNELS_PRODUCTS_SIMD_H
#define PLIM_KERNELS_PRODUCTS_SIMD_H

#include <stdbool.h>

#include "kernels/lines.h"

enum {
    BLOCK_COLUMNS = 1024, /* a panel of it is 24 KiB of L1 */
    PASS_ROWS = 128,      /* a block of so many rows is 512 KiB: half of an L2 */
    PACKED_FROM = 24,     /* below, filling panels costs more than they save */
    BLOCK_INPUTS = 128,
    WIDE_PASS_ROWS =
        256, /* the same for [in, out]: fewer columns, so that panels serve more rows */
    WIDE_COLUMNS = 512,
    PANEL_WIDTH = 48, /* outputs of a panel of [in, out] */
    WIDE_WIDTH = WIDE_VECTORS * VL
};

SIMD_INLINE size_t round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

SIMD_INLINE size_t size_of(plim_dtype dtype)
{
    return dtype == PLIM_F32 ? 4 : 2;
}

/* ---- [out, in], few rows ---- */

/* y[rows][4] (+)= four rows of weights, columns k..end of one block, straight from memory. */
SIMD_INLINE void dot_4(float y[][4], const float *x, size_t x_stride, const char *const w[4],
                       size_t k, size_t end, const int rows, plim_dtype dtype)
{
    vf sum[FEW_ROWS][4], wk;
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        sum[r][0] = sum[r][1] = sum[r][2] = sum[r][3] = vf_zero();
    for (; k + 32 <= end; k += 32) {
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++)
            for (size_t line = 0; line < 32 * size_of(dtype); line += LINE_BYTES)
                simd_prefetch(w[j] + k * size_of(dtype) + line + AHEAD_BYTES);
#pragma GCC unroll 4
        for (size_t i = k; i < k + 32; i += VL)
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) {
                wk = vf_widen(w[j], i, dtype);
#pragma GCC unroll 4
                for (int r = 0; r < rows; r++)
                    sum[r][j] = vf_fma(vf_load(x + (size_t)r * x_stride + i), wk, sum[r][j]);
            }
    }
    for (; k < end; k += VL)
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            bool whole = k + VL <= end;
            wk = whole ? vf_widen(w[j], k, dtype) : vf_widen_tail(w[j], k, end - k, dtype);
#pragma GCC unroll 4
            for (int r = 0; r < rows; r++) {
                const float *xk = x + (size_t)r * x_stride + k;
                sum[r][j] = vf_fma(whole ? vf_load(xk) : vf_load_tail(xk, end - k), wk, sum[r][j]);
            }
        }
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        vf_sum4_store(y[r], sum[r][0], sum[r][1], sum[r][2], sum[r][3]);
}

/* y[rows][4] = x . w, block after block.  One loop for all of them: a second copy of dot_4's code
 * for the first block breaks the streams that the processor follows by instruction (0.87 of the
 * bare read instead of 0.98 on Zen 5). */
SIMD_INLINE void rows_4(float y[][4], const float *x, size_t x_stride, const char *const w[4],
                        size_t n, const int rows, plim_dtype dtype)
{
    float block[FEW_ROWS][4];
    for (size_t k = 0; k == 0 || k < n; k += BLOCK_COLUMNS) {
        dot_4(block, x, x_stride, w, k, smaller(n, k + BLOCK_COLUMNS), rows, dtype);
        for (int r = 0; r < rows; r++)
            for (int j = 0; j < 4; j++)
                y[r][j] = k ? y[r][j] + block[r][j] : block[r][j];
    }
}

/* The outputs are cut into four quarters that are read side by side: four long streams, which the
 * processor fetches ahead by itself, faster than four short ones (31 to 37 GB/s against 25 to 30).
 */
SIMD_INLINE void few_rows_out_in(const plim_product *p, plim_dtype dtype)
{
    const char *w[4];
    float y[FEW_ROWS][4];
    size_t quarter = (p->outputs + 3) / 4;
    for (size_t o = 0; o < quarter; o++) {
        for (size_t j = 0; j < 4; j++) /* beyond the end: the last row once more */
            w[j] = (const char *)p->w + smaller(o + j * quarter, p->outputs - 1) * p->w_row_bytes;
        for (size_t r = 0; r < p->rows; r += FEW_ROWS) {
            const float *x = p->x + r * p->x_stride;
            size_t rows = smaller(FEW_ROWS, p->rows - r);
            if (rows == 1)
                rows_4(y, x, p->x_stride, w, p->inputs, 1, dtype);
            else if (rows == 2)
                rows_4(y, x, p->x_stride, w, p->inputs, 2, dtype);
            else if (rows == 3)
                rows_4(y, x, p->x_stride, w, p->inputs, 3, dtype);
            else
                rows_4(y, x, p->x_stride, w, p->inputs, FEW_ROWS, dtype);
            for (size_t i = 0; i < rows; i++)
                for (size_t j = 0; j < 4 && o + j * quarter < p->outputs; j++)
                    p->y[(r + i) * p->y_stride + o + j * quarter] = y[i][j];
        }
    }
}

/* ---- packed rows ---- */

/* [chunk of PLIM_PACK_ROWS][block of columns][tile of TILE_ROWS][vector][row][VL]: a tile reads its
 * part of a block from end to end.  Zeros fill the last vector and the last tile.  The place of
 * column k, the first of a vector, for the tile that begins with `row`. */
SIMD_INLINE const float *packed_at(const void *packed, size_t rows, size_t inputs, size_t row,
                                   size_t k)
{
    size_t chunk = row / PLIM_PACK_ROWS * PLIM_PACK_ROWS, block = k / BLOCK_COLUMNS * BLOCK_COLUMNS;
    size_t chunk_rows = round_up(smaller(PLIM_PACK_ROWS, rows - chunk), TILE_ROWS);
    size_t columns = round_up(smaller(BLOCK_COLUMNS, inputs - block), VL);
    return (const float *)packed + chunk * round_up(inputs, VL) + chunk_rows * block +
           (row - chunk) * columns + (k - block) * TILE_ROWS;
}

static void pack_rows(const plim_pack *p)
{
    for (size_t k = 0; k < p->inputs; k += BLOCK_COLUMNS) {
        size_t end = smaller(p->inputs, k + BLOCK_COLUMNS);
        for (size_t t = p->first; t < p->first + p->rows; t += TILE_ROWS) {
            float *to = (float *)packed_at(p->dst, p->first + p->rows, p->inputs, t, k);
            for (size_t i = k; i < end; i += VL)
                for (size_t r = t; r < t + TILE_ROWS; r++, to += VL) {
                    const float *x = p->x + r * p->x_stride + i;
                    vf_store(to, r >= p->first + p->rows ? vf_zero()
                                 : i + VL <= end         ? vf_load(x)
                                                         : vf_load_tail(x, end - i));
                }
        }
    }
}

/* Fetch part `part` of `parts` of `rows` rows of weights of `bytes` each.  Into L1, from where
 * they fall into L2 before they are wanted: prefetches into L2 only came too late on Zen 5 (filling
 * took 10 % of the time, and 2 % like this). */
SIMD_INLINE void fetch_part(const char *w, size_t w_row_bytes, size_t rows, size_t bytes,
                            size_t part, size_t parts)
{
    size_t lines = (bytes + LINE_BYTES - 1) / LINE_BYTES, all = rows * lines;
    for (size_t i = all * part / parts; i < all * (part + 1) / parts; i++)
        simd_prefetch(w + i / lines * w_row_bytes + i % lines * LINE_BYTES);
}

/* ---- [out, in], packed rows ---- */

/* A panel: outputs o.. of the block from column k as floats, [vector][TILE_OUTPUTS][VL], zeros
 * beyond the weight. */
SIMD_INLINE void fill_panel(float *panel, const plim_product *p, size_t o, size_t k, size_t n,
                            plim_dtype dtype)
{
    for (size_t j = 0; j < TILE_OUTPUTS; j++) {
        const char *row = (const char *)p->w + (o + j) * p->w_row_bytes + k * size_of(dtype);
        float *to = panel + j * VL;
        bool there = o + j < p->outputs;
        size_t i = 0;
        for (; there && i + VL <= n; i += VL, to += TILE_OUTPUTS * VL)
            vf_store(to, vf_widen(row, i, dtype));
        for (; i < n; i += VL, to += TILE_OUTPUTS * VL)
            vf_store(to, there ? vf_widen_tail(row, i, n - i, dtype) : vf_zero());
    }
}

/* Part of the panel after (o, k): of the same block, or of the next one. */
SIMD_INLINE void fetch_next_panel(const plim_product *p, size_t o, size_t k, size_t part,
                                  size_t parts, plim_dtype dtype)
{
    o += TILE_OUTPUTS;
    if (o >= p->outputs) {
        o = 0;
        k = k + BLOCK_COLUMNS < p->inputs ? k + BLOCK_COLUMNS : 0;
    }
    fetch_part((const char *)p->w + o * p->w_row_bytes + k * size_of(dtype), p->w_row_bytes,
               smaller(TILE_OUTPUTS, p->outputs - o),
               smaller(BLOCK_COLUMNS, p->inputs - k) * size_of(dtype), part, parts);
}

/* sums[TILE_ROWS][TILE_OUTPUTS] of a tile of rows and a panel. */
static void tile(float *sums, const float *x, const float *panel, size_t vectors)
{
    vf sum[TILE_ROWS * TILE_OUTPUTS], xi[TILE_ROWS];
#pragma GCC unroll 32
    for (int i = 0; i < TILE_ROWS * TILE_OUTPUTS; i++)
        sum[i] = vf_zero();
    for (; vectors > 0; vectors--, x += TILE_ROWS * VL, panel += TILE_OUTPUTS * VL) {
#pragma GCC unroll 8
        for (int r = 0; r < TILE_ROWS; r++) {
            xi[r] = vf_load(x + r * VL);
            if (r * VL % 16 == 0)
                simd_prefetch(x + r * VL + AHEAD_BYTES / sizeof *x);
        }
#pragma GCC unroll 8
        for (int j = 0; j < TILE_OUTPUTS; j++) {
            vf w = vf_load(panel + j * VL);
#pragma GCC unroll 8
            for (int r = 0; r < TILE_ROWS; r++)
                sum[r * TILE_OUTPUTS + j] = vf_fma(xi[r], w, sum[r * TILE_OUTPUTS + j]);
        }
    }
    vf_sum_tile(sums, sum);
}

/* One panel, and all rows r0..end of its pass. */
SIMD_INLINE void panel_out_in(const plim_product *p, const float *panel, size_t o, size_t k,
                              size_t r0, size_t end, plim_dtype dtype)
{
    float sums[TILE_ROWS * TILE_OUTPUTS];
    size_t outputs = smaller(TILE_OUTPUTS, p->outputs - o);
    size_t vectors = (smaller(BLOCK_COLUMNS, p->inputs - k) + VL - 1) / VL;
    size_t tiles = (end - r0 + TILE_ROWS - 1) / TILE_ROWS;
    for (size_t t = 0; t < tiles; t++) {
        size_t r = r0 + t * TILE_ROWS, rows = smaller(TILE_ROWS, end - r);
        fetch_next_panel(p, o, k, t, tiles, dtype);
        tile(sums, packed_at(p->packed, p->rows, p->inputs, r, k), panel, vectors);
        for (size_t i = 0; i < rows; i++) {
            float *y = p->y + (r + i) * p->y_stride + o;
            for (size_t j = 0; j < outputs; j++)
                y[j] = k ? y[j] + sums[i * TILE_OUTPUTS + j] : sums[i * TILE_OUTPUTS + j];
        }
    }
}

SIMD_INLINE void packed_rows_out_in(const plim_product *p, plim_dtype dtype)
{
    float panel[TILE_OUTPUTS * BLOCK_COLUMNS] __attribute__((aligned(LINE_BYTES)));
    for (size_t r = 0; r < p->rows; r += PASS_ROWS)
        for (size_t k = 0; k == 0 || k < p->inputs; k += BLOCK_COLUMNS)
            for (size_t o = 0; o < p->outputs; o += TILE_OUTPUTS) {
                fill_panel(panel, p, o, k, smaller(BLOCK_COLUMNS, p->inputs - k), dtype);
                panel_out_in(p, panel, o, k, r, smaller(p->rows, r + PASS_ROWS), dtype);
            }
}

SIMD_INLINE void product_out_in(const plim_product *p, plim_dtype dtype)
{
    if (p->packed)
        packed_rows_out_in(p, dtype);
    else
        few_rows_out_in(p, dtype);
}

static void product_out_in_f32(const plim_product *p)
{
    product_out_in(p, PLIM_F32);
}

static void product_out_in_f16(const plim_product *p)
{
    product_out_in(p, PLIM_F16);
}

static void product_out_in_bf16(const plim_product *p)
{
    product_out_in(p, PLIM_BF16);
}

/* ---- [in, out], few rows ---- */

/* y[rows][vectors * VL] += x[0] * w[0] + x[1] * w[1] + ... at output o, in that order; x is
 * [row][8] vectors of one value each, `to` the first row of y. */
SIMD_INLINE void add_columns(const plim_product *p, float *to, const vf x[][8], const char *w,
                             size_t o, const int rows, const int count, const int vectors,
                             plim_dtype dtype)
{
    vf y[4][4], wi;
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            y[r][v] = vf_load(to + (size_t)r * p->y_stride + o + v * VL);
#pragma GCC unroll 8
    for (int i = 0; i < count; i++, w += p->w_row_bytes)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            wi = vf_widen(w, o + (size_t)v * VL, dtype);
#pragma GCC unroll 4
            for (int r = 0; r < rows; r++)
                y[r][v] = vf_fma(x[r][i], wi, y[r][v]);
        }
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            vf_store(to + (size_t)r * p->y_stride + o + v * VL, y[r][v]);
}

/* y[rows] += `count` inputs from k of x, times their rows of weights.  These are long streams,
 * which the processor fetches ahead by itself; prefetches by hand and few columns a step keep its
 * window of instructions from looking far (0.8 of the bare read instead of 1.0 on Zen 5). */
SIMD_INLINE void add_inputs(const plim_product *p, size_t row, size_t k, const int rows,
                            const int count, plim_dtype dtype)
{
    const char *w = (const char *)p->w + k * p->w_row_bytes;
    float *to = p->y + row * p->y_stride;
    const int vectors = rows == 1 ? 4 : 1; /* what registers allow */
    size_t o = 0;
    vf x[4][8], y;
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int i = 0; i < count; i++)
            x[r][i] = vf_set1(p->x[(row + (size_t)r) * p->x_stride + k + (size_t)i]);
    for (; o + (size_t)vectors * VL <= p->outputs; o += (size_t)vectors * VL)
        add_columns(p, to, x, w, o, rows, count, vectors, dtype);
    for (; vectors > 1 && o + VL <= p->outputs; o += VL)
        add_columns(p, to, x, w, o, rows, count, 1, dtype);
    for (int r = 0; r < rows && o < p->outputs; r++) {
        size_t n = p->outputs - o;
        y = vf_load_tail(to + (size_t)r * p->y_stride + o, n);
#pragma GCC unroll 8
        for (int i = 0; i < count; i++)
            y = vf_fma(x[r][i], vf_widen_tail(w + (size_t)i * p->w_row_bytes, o, n, dtype), y);
        vf_store_tail(to + (size_t)r * p->y_stride + o, y, n);
    }
}

/* Some rows of weights at a time, end to end, for all rows of x: y and they stay in the caches. */
SIMD_INLINE void few_rows_in_out(const plim_product *p, plim_dtype dtype)
{
    size_t k = 0, step = p->rows < FEW_ROWS ? 8 : FEW_INPUTS;
    for (; k + step <= p->inputs; k += step) {
        size_t r = 0;
        for (; r + FEW_ROWS <= p->rows; r += FEW_ROWS)
            add_inputs(p, r, k, FEW_ROWS, FEW_INPUTS, dtype);
        for (; r < p->rows; r++)
            if (step == 8)
                add_inputs(p, r, k, 1, 8, dtype);
            else
                add_inputs(p, r, k, 1, FEW_INPUTS, dtype);
    }
    for (; k < p->inputs; k++)
        for (size_t r = 0; r < p->rows; r++)
            add_inputs(p, r, k, 1, 1, dtype);
}

/* ---- [in, out], packed rows ---- */

/* A panel: inputs k.. of outputs o.. for the pass of rows from r; each then goes on as long as
 * it can. */
typedef struct place {
    size_t r, o, k;
} place;

/* Up to an absolute bound: those of packed blocks are among them. */
SIMD_INLINE size_t inputs_at(const plim_product *p, const place *at)
{
    return smaller(BLOCK_INPUTS - (p->first_input + at->k) % BLOCK_INPUTS, p->inputs - at->k);
}

/* The next panel, if there is one: all outputs of WIDE_COLUMNS inputs, so that these of x stay in
 * L2, then the next inputs, then the next rows. */
static bool advance(const plim_product *p, place *at)
{
    size_t done = (p->first_input + at->k) % WIDE_COLUMNS, end = at->k + inputs_at(p, at);
    bool last = end == p->inputs || (p->first_input + end) % WIDE_COLUMNS == 0;
    at->o += last ? PANEL_WIDTH : 0;
    if (!last || at->o >= p->outputs)
        at->k = end;
    else
        at->k -= smaller(at->k, done);
    if (at->o >= p->outputs)
        at->o = 0;
    if (at->k == p->inputs) {
        at->k = 0;
        at->r += WIDE_PASS_ROWS;
    }
    return at->r < p->rows;
}

/* Part `part` of `parts` of a panel as floats, [tile][inputs][WIDE_WIDTH], zeros beyond the weight.
 */
SIMD_INLINE void fill_wide_panel(float *panel, const plim_product *p, const place *at, size_t part,
                                 size_t parts, plim_dtype dtype)
{
    size_t n = inputs_at(p, at), width = smaller(PANEL_WIDTH, p->outputs - at->o);
    for (size_t i = n * part / parts; i < n * (part + 1) / parts; i++) {
        const char *row =
            (const char *)p->w + (at->k + i) * p->w_row_bytes + at->o * size_of(dtype);
        for (size_t t = 0; t < PANEL_WIDTH; t += WIDE_WIDTH)
#pragma GCC unroll 4
            for (size_t v = 0; v < WIDE_WIDTH; v += VL)
                vf_store(panel + t * n + i * WIDE_WIDTH + v,
                         t + v + VL <= width ? vf_widen(row, t + v, dtype)
                         : t + v < width     ? vf_widen_tail(row, t + v, width - t - v, dtype)
                                             : vf_zero());
    }
}

/* Rows of weights to be fetched, `each` of them with every vector of x: all at once they would
 * keep x waiting. */
typedef struct errand {
    const char *row;
    size_t row_bytes, bytes, rows, each;
} errand;

SIMD_INLINE errand fetch_wide_panel(const plim_product *p, const place *at, size_t part,
                                    size_t parts, size_t vectors, plim_dtype dtype)
{
    size_t n = inputs_at(p, at), first = n * part / parts, rows = n * (part + 1) / parts - first;
    return (errand){(const char *)p->w + (at->k + first) * p->w_row_bytes + at->o * size_of(dtype),
                    p->w_row_bytes, smaller(PANEL_WIDTH, p->outputs - at->o) * size_of(dtype), rows,
                    (rows + vectors - 1) / vectors};
}

SIMD_INLINE void run_errand(errand *e)
{
    for (size_t i = 0; i < e->each && e->rows > 0; i++, e->rows--, e->row += e->row_bytes)
        for (size_t line = 0; line < e->bytes; line += LINE_BYTES)
            simd_prefetch(e->row + line);
}

/* Vector v of `width` floats at p, and back. */
SIMD_INLINE vf load_part(const float *p, size_t v, size_t width)
{
    if ((v + 1) * VL <= width)
        return vf_load(p + v * VL);
    return v * VL < width ? vf_load_tail(p + v * VL, width - v * VL) : vf_zero();
}

SIMD_INLINE void store_part(float *p, size_t v, size_t width, vf a)
{
    if ((v + 1) * VL <= width)
        vf_store(p + v * VL, a);
    else if (v * VL < width)
        vf_store_tail(p + v * VL, a, width - v * VL);
}

/* y[rows][width] += x . panel[n][WIDE_WIDTH]; x begins at column `lane` of a vector, and
 * x_tile floats lie between its tiles.  `there` of the rows are. */
SIMD_INLINE void wide_tile(float *y, size_t y_stride, const float *x, size_t x_tile, size_t lane,
                           const float *panel, size_t n, size_t width, size_t there, errand *fetch,
                           const int rows)
{
    vf sum[WIDE_ROWS][WIDE_VECTORS], w[WIDE_VECTORS];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < WIDE_VECTORS; v++)
            sum[r][v] = (size_t)r < there ? load_part(y + (size_t)r * y_stride, (size_t)v, width)
                                          : vf_zero();
    for (const float *end = panel + n * WIDE_WIDTH; panel < end; lane = 0, x += TILE_ROWS * VL) {
        run_errand(fetch);
        for (; lane < VL && panel < end; lane++, panel += WIDE_WIDTH) {
#pragma GCC unroll 8
            for (int v = 0; v < WIDE_VECTORS; v++)
                w[v] = vf_load(panel + v * VL);
#pragma GCC unroll 8
            for (int r = 0; r < rows; r++) {
                vf xr = vf_set1(x[(size_t)(r / TILE_ROWS) * x_tile + r % TILE_ROWS * VL + lane]);
#pragma GCC unroll 8
                for (int v = 0; v < WIDE_VECTORS; v++)
                    sum[r][v] = vf_fma(xr, w[v], sum[r][v]);
            }
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < WIDE_VECTORS; v++)
            if ((size_t)r < there)
                store_part(y + (size_t)r * y_stride, (size_t)v, width, sum[r][v]);
}

static void wide_tile_of(float *y, size_t y_stride, const float *x, size_t x_tile, size_t lane,
                         const float *panel, size_t n, size_t width, size_t rows, errand *fetch)
{
    if (rows >= WIDE_ROWS && width >= WIDE_WIDTH)
        wide_tile(y, y_stride, x, x_tile, lane, panel, n, WIDE_WIDTH, WIDE_ROWS, fetch, WIDE_ROWS);
    else
        for (size_t r = 0; r < smaller(rows, WIDE_ROWS); r += TILE_ROWS)
            wide_tile(y + r * y_stride, y_stride, x + r / TILE_ROWS * x_tile, x_tile, lane, panel,
                      n, smaller(width, WIDE_WIDTH), rows - r, fetch, TILE_ROWS);
}

/* A panel and the rows of its pass.  Meanwhile the next panel is filled, part by part, and fetched
 * only one tile before: rows of a weight are often a power of two apart, so that lines that wait
 * for long drive each other out of the caches (0.61 to 0.66 of the peak instead of 0.69 to 0.77,
 * 128 rows of 2048). */
SIMD_INLINE void panel_in_out(const plim_product *p, const float *panel, const place *at,
                              float *next_panel, const place *next, plim_dtype dtype)
{
    size_t n = inputs_at(p, at), first = p->first_input + at->k, lane = first % VL;
    size_t columns = p->packed_inputs - first / BLOCK_COLUMNS * BLOCK_COLUMNS;
    size_t x_tile = round_up(smaller(BLOCK_COLUMNS, columns), VL) * TILE_ROWS;
    size_t rows = smaller(WIDE_PASS_ROWS, p->rows - at->r), width = p->outputs - at->o;
    size_t tiles = (rows + WIDE_ROWS - 1) / WIDE_ROWS, vectors = (n + VL - 1) / VL;
    for (size_t t = 0; t < tiles; t++) {
        size_t r = at->r + t * WIDE_ROWS;
        const float *x = packed_at(p->packed, p->rows, p->packed_inputs, r, first - lane);
        errand fetch = {0};
        if (next)
            fetch = fetch_wide_panel(p, next, t, tiles, vectors, dtype);
        for (size_t c = 0; c < smaller(width, PANEL_WIDTH); c += WIDE_WIDTH)
            wide_tile_of(p->y + r * p->y_stride + at->o + c, p->y_stride, x, x_tile, lane,
                         panel + c * n, n, width - c, at->r + rows - r, &fetch);
        if (next)
            fill_wide_panel(next_panel, p, next, t, tiles, dtype);
    }
}

SIMD_INLINE void packed_rows_in_out(const plim_product *p, plim_dtype dtype)
{
    float panels[2][BLOCK_INPUTS * PANEL_WIDTH] __attribute__((aligned(LINE_BYTES)));
    place at = {0}, next = {0};
    bool more = p->rows && p->outputs && p->inputs;
    if (more)
        fill_wide_panel(panels[0], p, &at, 0, 1, dtype);
    for (unsigned i = 0; more; i ^= 1, at = next) {
        more = advance(p, &next);
        panel_in_out(p, panels[i], &at, panels[i ^ 1], more ? &next : NULL, dtype);
    }
}

SIMD_INLINE void product_in_out(const plim_product *p, plim_dtype dtype)
{
    if (p->packed)
        packed_rows_in_out(p, dtype);
    else
        few_rows_in_out(p, dtype);
}

static void product_in_out_f32(const plim_product *p)
{
    product_in_out(p, PLIM_F32);
}

static void product_in_out_f16(const plim_product *p)
{
    product_in_out(p, PLIM_F16);
}

static void product_in_out_bf16(const plim_product *p)
{
    product_in_out(p, PLIM_BF16);
}

/* The slots of these products. */
static void set_products(plim_kernels *out)
{
    static const plim_dtype types[] = {PLIM_F32, PLIM_F16, PLIM_BF16};
    out->product_out_in[PLIM_F32] = product_out_in_f32;
    out->product_out_in[PLIM_F16] = product_out_in_f16;
    out->product_out_in[PLIM_BF16] = product_out_in_bf16;
    out->product_in_out[PLIM_F32] = product_in_out_f32;
    out->product_in_out[PLIM_F16] = product_in_out_f16;
    out->product_in_out[PLIM_BF16] = product_in_out_bf16;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        out->pack[types[i]] = pack_rows;
        out->pack_from[types[i]] = PACKED_FROM;
    }
}

#endif
