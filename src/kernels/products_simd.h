/* SPDX-License-Identifier: Apache-2.0
 *
 * Products for any vector length; included once by each instruction set's file, after its simd_*.h.
 *
 * [out, in]: an output is one vector of sums along the inner dimension, lane k % VL, added up by
 * fma in ascending k; a last partial vector is filled with zeros; vf_sum4_store adds the lanes at
 * the end.  One row and many rows do the same, so they agree bit for bit:
 *  - few rows stream four weight rows at a time straight from memory;
 *  - many rows go by panels: BLOCK_COLUMNS columns of PANEL_OUTPUTS weight rows are widened once
 * into L1, then every row of x passes over them in register tiles; the vectors of sums wait in
 * `sums` until the next block of columns. [in, out]: an output is one lane, added up by fma in
 * ascending k from what y holds, so nothing that is done to the others matters.
 *
 * Stack: below 80 KiB (threads of the pool have 256).
 * Calls should cover a multiple of PANEL_OUTPUTS outputs where they can: a rest is padded to whole
 * tiles. */
#ifndef PLIM_KERNELS_PRODUCTS_SIMD_H
#define PLIM_KERNELS_PRODUCTS_SIMD_H

#include <stdbool.h>

enum {
    BLOCK_COLUMNS = 384,
    FEW_ROWS_MOST = 12, /* beyond, a panel pays */
    PANEL_OUTPUTS = TILE_OUTPUTS * PANEL_TILES,
    TILE_SUMS = TILE_ROWS * TILE_OUTPUTS,
    BLOCK_INPUTS = 128,
    PANEL_WIDTH = WIDE_VECTORS * VL,
    LINE_BYTES = 64,
    AHEAD_BYTES = 1024
};

SIMD_INLINE size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

SIMD_INLINE size_t size_of(plim_dtype dtype)
{
    return dtype == PLIM_F32 ? 4 : 2;
}

/* ---- [out, in], few rows ---- */

/* y[rows][4] from four rows of weights, straight from memory. */
SIMD_INLINE void dot_4(float y[][4], const float *x, size_t x_stride, const char *const w[4],
                       size_t n, const int rows, plim_dtype dtype)
{
    vf sum[FEW_ROWS][4], wk;
    size_t k = 0;
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        sum[r][0] = sum[r][1] = sum[r][2] = sum[r][3] = vf_zero();
    for (; k + 32 <= n; k += 32) {
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
    for (; k < n; k += VL)
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            bool whole = k + VL <= n;
            wk = whole ? vf_widen(w[j], k, dtype) : vf_widen_tail(w[j], k, n - k, dtype);
#pragma GCC unroll 4
            for (int r = 0; r < rows; r++) {
                const float *xk = x + (size_t)r * x_stride + k;
                sum[r][j] = vf_fma(whole ? vf_load(xk) : vf_load_tail(xk, n - k), wk, sum[r][j]);
            }
        }
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        vf_sum4_store(y[r], sum[r][0], sum[r][1], sum[r][2], sum[r][3]);
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
                dot_4(y, x, p->x_stride, w, p->inputs, 1, dtype);
            else if (rows == 2)
                dot_4(y, x, p->x_stride, w, p->inputs, 2, dtype);
            else if (rows == 3)
                dot_4(y, x, p->x_stride, w, p->inputs, 3, dtype);
            else
                dot_4(y, x, p->x_stride, w, p->inputs, FEW_ROWS, dtype);
            for (size_t i = 0; i < rows; i++)
                for (size_t j = 0; j < 4 && o + j * quarter < p->outputs; j++)
                    p->y[(r + i) * p->y_stride + o + j * quarter] = y[i][j];
        }
    }
}

/* ---- [out, in], many rows ---- */

/* A panel: outputs o.., columns k..k + n as floats, [PANEL_OUTPUTS][BLOCK_COLUMNS], zeros where a
 * vector or a tile reaches beyond the weight. */
SIMD_INLINE void fill_panel(float *panel, const plim_product *p, size_t o, size_t k, size_t n,
                            plim_dtype dtype)
{
    size_t bytes = size_of(dtype), outputs = smaller(PANEL_OUTPUTS, p->outputs - o);
    for (size_t j = 0; j < PANEL_OUTPUTS; j++, panel += BLOCK_COLUMNS) {
        const char *row = (const char *)p->w + (o + j) * p->w_row_bytes + k * bytes;
        size_t i = 0;
        if (j >= outputs) {
            memset(panel, 0, BLOCK_COLUMNS * sizeof *panel);
            continue;
        }
        for (; i + VL <= n; i += VL)
            vf_store(panel + i, vf_widen(row, i, dtype));
        if (i < n)
            vf_store(panel + i, vf_widen_tail(row, i, n - i, dtype));
    }
}

/* Fetch part `part` of `parts` of the panel that follows (o, k). */
SIMD_INLINE void fetch_next_panel(const plim_product *p, size_t o, size_t k, size_t part,
                                  size_t parts, size_t bytes)
{
    k += BLOCK_COLUMNS;
    if (k >= p->inputs) {
        k = 0;
        o += PANEL_OUTPUTS;
    }
    size_t n = smaller(BLOCK_COLUMNS, p->inputs - k) * bytes;
    size_t end = smaller(o + PANEL_OUTPUTS * (part + 1) / parts, p->outputs);
    for (size_t j = o + PANEL_OUTPUTS * part / parts; j < end; j++)
        for (size_t line = 0; line < n; line += LINE_BYTES)
            simd_prefetch_l2((const char *)p->w + j * p->w_row_bytes + k * bytes + line);
}

/* sums[rows][TILE_OUTPUTS] (+)= x[rows][n] * panel[TILE_OUTPUTS][n]. */
SIMD_INLINE void tile(vf *sums, const float *x, size_t x_stride, const float *panel, size_t n,
                      bool first, const int rows)
{
    vf sum[TILE_ROWS][TILE_OUTPUTS], xi[TILE_ROWS];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int j = 0; j < TILE_OUTPUTS; j++)
            sum[r][j] = first ? vf_zero() : sums[r * TILE_OUTPUTS + j];
    size_t k = 0;
    for (; k + VL <= n; k += VL) {
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++)
            xi[r] = vf_load(x + r * x_stride + k);
#pragma GCC unroll 8
        for (int j = 0; j < TILE_OUTPUTS; j++) {
            vf w = vf_load(panel + j * BLOCK_COLUMNS + k);
#pragma GCC unroll 8
            for (int r = 0; r < rows; r++)
                sum[r][j] = vf_fma(xi[r], w, sum[r][j]);
        }
    }
    if (k < n) {
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++)
            xi[r] = vf_load_tail(x + r * x_stride + k, n - k);
#pragma GCC unroll 8
        for (int j = 0; j < TILE_OUTPUTS; j++) {
            vf w = vf_load(panel + j * BLOCK_COLUMNS + k);
#pragma GCC unroll 8
            for (int r = 0; r < rows; r++)
                sum[r][j] = vf_fma(xi[r], w, sum[r][j]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int j = 0; j < TILE_OUTPUTS; j++)
            sums[r * TILE_OUTPUTS + j] = sum[r][j];
}

static void tile_of(vf *sums, const float *x, size_t x_stride, const float *panel, size_t n,
                    bool first, size_t rows)
{
    if (rows >= TILE_ROWS)
        tile(sums, x, x_stride, panel, n, first, TILE_ROWS);
    else if (rows == 3)
        tile(sums, x, x_stride, panel, n, first, TILE_ROWS < 3 ? TILE_ROWS : 3);
    else if (rows == 2)
        tile(sums, x, x_stride, panel, n, first, 2);
    else
        tile(sums, x, x_stride, panel, n, first, 1);
}

/* Lanes added up: rows r0.. of y, outputs o.. from sums[row
 * tile][PANEL_TILES][TILE_ROWS][TILE_OUTPUTS]. */
static void finish_panel(const plim_product *p, const vf *sums, size_t r0, size_t rows, size_t o)
{
    float line[PANEL_OUTPUTS];
    size_t outputs = smaller(PANEL_OUTPUTS, p->outputs - o);
    for (size_t r = 0; r < rows; r++) {
        const vf *row =
            sums + r / TILE_ROWS * PANEL_TILES * TILE_SUMS + r % TILE_ROWS * TILE_OUTPUTS;
        vf sum[PANEL_OUTPUTS];
        for (size_t t = 0; t < PANEL_TILES; t++)
            for (size_t j = 0; j < TILE_OUTPUTS; j++)
                sum[t * TILE_OUTPUTS + j] = row[t * TILE_SUMS + j];
        for (size_t j = 0; j < PANEL_OUTPUTS; j += 4)
            vf_sum4_store(line + j, sum[j], sum[j + 1], sum[j + 2], sum[j + 3]);
        memcpy(p->y + (r0 + r) * p->y_stride + o, line, outputs * sizeof *line);
    }
}

SIMD_INLINE void many_rows_out_in(const plim_product *p, plim_dtype dtype)
{
    vf sums[PASS_ROWS * PANEL_OUTPUTS];
    float panel[PANEL_OUTPUTS * BLOCK_COLUMNS] __attribute__((aligned(LINE_BYTES)));
    for (size_t o = 0; o < p->outputs; o += PANEL_OUTPUTS) {
        size_t outputs = smaller(PANEL_OUTPUTS, p->outputs - o);
        for (size_t r0 = 0; r0 < p->rows; r0 += PASS_ROWS) {
            size_t rows = smaller(PASS_ROWS, p->rows - r0);
            for (size_t k = 0; k == 0 || k < p->inputs; k += BLOCK_COLUMNS) {
                size_t n = smaller(BLOCK_COLUMNS, p->inputs - k);
                fill_panel(panel, p, o, k, n, dtype);
                for (size_t r = 0; r < rows; r += TILE_ROWS) {
                    fetch_next_panel(p, o, k, r / TILE_ROWS, (rows + TILE_ROWS - 1) / TILE_ROWS,
                                     size_of(dtype));
                    for (size_t t = 0; t * TILE_OUTPUTS < outputs; t++)
                        tile_of(sums + (r / TILE_ROWS * PANEL_TILES + t) * TILE_SUMS,
                                p->x + (r0 + r) * p->x_stride + k, p->x_stride,
                                panel + t * TILE_OUTPUTS * BLOCK_COLUMNS, n, k == 0, rows - r);
                }
            }
            finish_panel(p, sums, r0, rows, o);
        }
    }
}

SIMD_INLINE void product_out_in(const plim_product *p, plim_dtype dtype)
{
    if (p->rows <= FEW_ROWS_MOST)
        few_rows_out_in(p, dtype);
    else
        many_rows_out_in(p, dtype);
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

/* ---- [in, out] ---- */

/* y += x[0] * w[0] + x[1] * w[1] + ... for `count` inputs, in that order. */
SIMD_INLINE void add_inputs(const plim_product *p, size_t row, size_t k, const int count,
                            plim_dtype dtype)
{
    const char *w = (const char *)p->w + k * p->w_row_bytes;
    float *to = p->y + row * p->y_stride;
    size_t ahead = k + 2 * (size_t)count <= p->inputs ? (size_t)count * p->w_row_bytes : 0;
    vf x[8];
#pragma GCC unroll 8
    for (int i = 0; i < count; i++)
        x[i] = vf_set1(p->x[row * p->x_stride + k + (size_t)i]);
    size_t o = 0;
    for (; o + VL <= p->outputs; o += VL) {
        vf y = vf_load(to + o);
#pragma GCC unroll 8
        for (int i = 0; i < count; i++) {
            simd_prefetch(w + (size_t)i * p->w_row_bytes + ahead + o * size_of(dtype));
            y = vf_fma(x[i], vf_widen(w + (size_t)i * p->w_row_bytes, o, dtype), y);
        }
        vf_store(to + o, y);
    }
    if (o < p->outputs) {
        size_t n = p->outputs - o;
        vf y = vf_load_tail(to + o, n);
#pragma GCC unroll 8
        for (int i = 0; i < count; i++)
            y = vf_fma(x[i], vf_widen_tail(w + (size_t)i * p->w_row_bytes, o, n, dtype), y);
        vf_store_tail(to + o, y, n);
    }
}

/* Eight rows of weights at a time, end to end, for each row of x in turn: y and they stay in the
 * caches. */
SIMD_INLINE void few_rows_in_out(const plim_product *p, plim_dtype dtype)
{
    size_t k = 0;
    for (; k + 8 <= p->inputs; k += 8)
        for (size_t r = 0; r < p->rows; r++)
            add_inputs(p, r, k, 8, dtype);
    for (; k < p->inputs; k++)
        for (size_t r = 0; r < p->rows; r++)
            add_inputs(p, r, k, 1, dtype);
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

/* y[rows][width] += x[rows][n] * panel[n][PANEL_WIDTH]. */
SIMD_INLINE void wide_tile(const plim_product *p, float *y, const float *x, const float *panel,
                           size_t n, size_t width, const int rows)
{
    vf sum[WIDE_ROWS][WIDE_VECTORS], w[WIDE_VECTORS];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < WIDE_VECTORS; v++)
            sum[r][v] = load_part(y + (size_t)r * p->y_stride, (size_t)v, width);
    for (size_t k = 0; k < n; k++, panel += PANEL_WIDTH) {
#pragma GCC unroll 8
        for (int v = 0; v < WIDE_VECTORS; v++)
            w[v] = vf_load(panel + v * VL);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            vf xr = vf_set1(x[(size_t)r * p->x_stride + k]);
#pragma GCC unroll 8
            for (int v = 0; v < WIDE_VECTORS; v++)
                sum[r][v] = vf_fma(xr, w[v], sum[r][v]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < WIDE_VECTORS; v++)
            store_part(y + (size_t)r * p->y_stride, (size_t)v, width, sum[r][v]);
}

static void wide_tile_of(const plim_product *p, float *y, const float *x, const float *panel,
                         size_t n, size_t width, size_t rows)
{
    if (rows >= WIDE_ROWS && width == PANEL_WIDTH)
        wide_tile(p, y, x, panel, n, PANEL_WIDTH, WIDE_ROWS);
    else
        for (size_t r = 0; r < smaller(rows, WIDE_ROWS); r += 2)
            if (rows - r >= 2)
                wide_tile(p, y + r * p->y_stride, x + r * p->x_stride, panel, n, width, 2);
            else
                wide_tile(p, y + r * p->y_stride, x + r * p->x_stride, panel, n, width, 1);
}

/* A panel: inputs k..k + n of outputs o..o + width as floats, [n][PANEL_WIDTH], zeros beyond the
 * width. What the next block needs is fetched ahead. */
SIMD_INLINE void fill_wide_panel(float *panel, const plim_product *p, size_t o, size_t k, size_t n,
                                 size_t width, plim_dtype dtype)
{
    const char *row = (const char *)p->w + k * p->w_row_bytes + o * size_of(dtype);
    bool more = k + 2 * BLOCK_INPUTS <= p->inputs;
    for (size_t i = 0; i < n; i++, row += p->w_row_bytes, panel += PANEL_WIDTH) {
        for (size_t line = 0; more && line < width * size_of(dtype); line += LINE_BYTES)
            simd_prefetch_l2(row + BLOCK_INPUTS * p->w_row_bytes + line);
#pragma GCC unroll 4
        for (size_t v = 0; v < WIDE_VECTORS; v++)
            vf_store(panel + v * VL, (v + 1) * VL <= width ? vf_widen(row, v * VL, dtype)
                                     : v * VL < width
                                         ? vf_widen_tail(row, v * VL, width - v * VL, dtype)
                                         : vf_zero());
    }
}

SIMD_INLINE void many_rows_in_out(const plim_product *p, plim_dtype dtype)
{
    float panel[BLOCK_INPUTS * PANEL_WIDTH] __attribute__((aligned(LINE_BYTES)));
    for (size_t o = 0; o < p->outputs; o += PANEL_WIDTH) {
        size_t width = smaller(PANEL_WIDTH, p->outputs - o);
        for (size_t k = 0; k < p->inputs; k += BLOCK_INPUTS) {
            size_t n = smaller(BLOCK_INPUTS, p->inputs - k);
            fill_wide_panel(panel, p, o, k, n, width, dtype);
            for (size_t r = 0; r < p->rows; r += WIDE_ROWS)
                wide_tile_of(p, p->y + r * p->y_stride + o, p->x + r * p->x_stride + k, panel, n,
                             width, p->rows - r);
        }
    }
}

SIMD_INLINE void product_in_out(const plim_product *p, plim_dtype dtype)
{
    if (p->rows <= 4)
        few_rows_in_out(p, dtype);
    else
        many_rows_in_out(p, dtype);
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

#endif
