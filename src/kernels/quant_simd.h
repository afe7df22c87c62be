/* SPDX-License-Identifier: Apache-2.0
 *
 * Products with 8- and 4-bit groups for any vector length; included once by each instruction set's
 * file, after its quant_lanes_*.h.  Lanes are outputs: the 32 products of a group are summed up
 * exactly as integers, and enter y by one fma, group after group.  So whatever is done beside one
 * output, and by whatever instructions, its bits are the same.
 *  - Few rows take four outputs at once straight from memory, VL groups of each; a tree of integer
 *    additions turns their vectors of sums round.
 *  - Many rows go by panels: BLOCK_GROUPS groups of PANEL_OUTPUTS outputs are turned round once
 *    into L1, four inputs to a lane, and rows pass over them in register tiles. */
#ifndef PLIM_KERNELS_QUANT_SIMD_H
#define PLIM_KERNELS_QUANT_SIMD_H

#include <stdbool.h>

#include "kernels/lines.h"
#include "kernels/quant_rows.h"

enum {
    GROUP = PLIM_GROUP,
    PANEL_OUTPUTS = PANEL_VECTORS * VL,
    BLOCK_GROUPS = 16, /* of a panel: 16 KiB with 32 outputs */
    QUADS = GROUP / 4,
    FEW_ROWS_MOST = 3, /* beyond, a panel pays */
    QUARTERS = VL / 4
};

/* Bytes of a group's quants. */
SIMD_INLINE size_t group_bytes(plim_dtype format)
{
    return format == PLIM_Q8 ? GROUP : GROUP / 2;
}

SIMD_INLINE vi bias_of(const packed_row *x, size_t g, plim_dtype format)
{
    return vi_set1(format == PLIM_Q4 ? x->bias_4[g] : BIASED_8 ? x->bias_8[g] : 0);
}

/* ---- few rows ---- */

/* Groups whose quants fill a vector. */
SIMD_INLINE size_t step_groups(plim_dtype format)
{
    return VECTOR_BYTES / group_bytes(format);
}

/* The first n lanes of p, zeros beyond. */
SIMD_INLINE vf load_lanes(const void *p, size_t n)
{
    return n >= VL ? vf_load(p) : vf_load_tail(p, n);
}

/* Bytes of the vector of quants that begins with group i of n. */
SIMD_INLINE size_t bytes_there(size_t i, size_t n, plim_dtype format)
{
    size_t bytes = i < n ? (n - i) * group_bytes(format) : 0;
    return smaller(bytes, VECTOR_BYTES);
}

/* The next four outputs and their scales, each of which is a stream that is read from end to end.
 */
typedef struct four_rows {
    const char *w[4], *scales[4];
    size_t scale_row_bytes;
} four_rows;

/* Where the sums of VL groups stand: group g in quarter c of sum[i], in lane j that of row j. */
SIMD_INLINE size_t quarter_of(size_t g, plim_dtype format)
{
    return g / step_groups(format) % QUARTERS;
}

SIMD_INLINE size_t sum_of(size_t g, plim_dtype format)
{
    const size_t step = step_groups(format);
    return g / step / QUARTERS * step + g % step;
}

/* Dot products of n <= VL groups from g on of the four rows with the row x, read from end to end.
 * What stands beyond them is anything. */
SIMD_INLINE void dot_groups(vi sum[4], const four_rows *w, const packed_row *x, size_t g,
                            const size_t n, plim_dtype format)
{
    const size_t step = step_groups(format);
    const vi none = vi_set1(0);
#pragma GCC unroll 4
    for (size_t b = 0; b < 4; b += step) {
        vi dots[VL];
#pragma GCC unroll 4
        for (size_t c = 0; c < QUARTERS; c++) {
            const size_t i = b * QUARTERS + c * step, bytes = bytes_there(i, n, format);
            const bool whole = bytes == VECTOR_BYTES;
            const size_t at = (g + i) * group_bytes(format);
            const int8_t *first_at = format == PLIM_Q8 ? x->q + at : x->even + at;
            vi first = whole ? vi_load(first_at) : vi_load_tail(first_at, bytes), second = none;
            if (format == PLIM_Q4)
                second = whole ? vi_load(x->odd + at) : vi_load_tail(x->odd + at, bytes);
#pragma GCC unroll 4
            for (size_t j = 0; j < 4; j++) {
                const char *from = w->w[j] + at;
                vi q = whole ? vi_load(from) : vi_load_tail(from, bytes);
                vi dot = dot_begin(none, format);
                if (i * group_bytes(format) % LINE_BYTES == 0)
                    simd_prefetch(from + AHEAD_BYTES);
                if (format == PLIM_Q8)
                    dot = dot_add(dot, q, first, format);
                else
                    dot = dot_add(dot_add(dot, vi_low_nibbles(q), first, format),
                                  vi_high_nibbles(q), second, format);
                dots[4 * c + j] = dot_end(dot, none, format);
            }
        }
        if (format == PLIM_Q8)
            vi_sums_of_8(sum + b, dots);
        else
            vi_sums_of_4(sum + b, dots);
    }
}

/* y += n <= VL groups from g on of four outputs times those of the row. */
SIMD_INLINE v4 add_groups(v4 y, const four_rows *w, const packed_row *x, size_t g, const size_t n,
                          plim_dtype format)
{
    const bool biased = format == PLIM_Q4 || BIASED_8;
    const size_t step = step_groups(format);
    vf scale[4], bias_bits = vf_zero(), x_scale = vf_deal(load_lanes(x->scale + g, n), step);
    vi sum[4], bias;
    if (biased)
        bias_bits = vf_deal(load_lanes((format == PLIM_Q4 ? x->bias_4 : x->bias_8) + g, n), step);
    memcpy(&bias, &bias_bits, sizeof bias);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        const char *from = w->scales[j];
        scale[j] = n >= VL ? vf_widen(from, g, PLIM_F16) : vf_widen_tail(from, g, n, PLIM_F16);
        scale[j] = vf_deal(scale[j], step);
        simd_prefetch(from + g * sizeof(uint16_t) + w->scale_row_bytes);
    }
    vf_transpose_within(scale);
    dot_groups(sum, w, x, g, n, format);
    vf factor[4], value[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        factor[i] = vf_mul(vf_spread(x_scale, i), scale[i]);
        value[i] = vf_from_int(biased ? vi_add(sum[i], vi_spread(bias, i)) : sum[i]);
    }
#pragma GCC unroll 16
    for (size_t i = 0; i < VL; i++)
        if (i < n) {
            const size_t s = sum_of(i, format);
            const int c = (int)quarter_of(i, format);
            y = v4_fma(vf_quarter(factor[s], c), vf_quarter(value[s], c), y);
        }
    return y;
}

SIMD_INLINE packed_row row_of(const plim_product *p, size_t r)
{
    packed_row x = packed_row_at(p->packed, r, p->packed_inputs);
    x.q += p->first_input;
    x.even += p->first_input / 2;
    x.odd += p->first_input / 2;
    x.scale += p->first_input / GROUP;
    x.bias_8 += p->first_input / GROUP;
    x.bias_4 += p->first_input / GROUP;
    return x;
}

/* The outputs are cut into four quarters that are read side by side: four long streams, which the
 * processor fetches ahead by itself (16 rows side by side: 0.7 of the bare read; these: 0.9). */
SIMD_INLINE void few_rows(const plim_product *p, plim_dtype format)
{
    size_t groups = p->inputs / GROUP, quarter = (p->outputs + 3) / 4;
    four_rows w = {.scale_row_bytes = p->scale_row_bytes};
    for (size_t o = 0; o < quarter; o++) {
        for (size_t j = 0; j < 4; j++) { /* beyond the end: the last row once more */
            size_t row = smaller(o + j * quarter, p->outputs - 1);
            w.w[j] = (const char *)p->w + row * p->w_row_bytes;
            w.scales[j] = (const char *)p->scales + row * p->scale_row_bytes;
        }
        for (size_t r = 0; r < p->rows; r++) {
            packed_row x = row_of(p, r);
            float *to = p->y + r * p->y_stride + o, y[4] = {0};
            for (size_t j = 0; j < 4 && o + j * quarter < p->outputs; j++)
                y[j] = to[j * quarter];
            v4 sum = v4_load(y);
            size_t g = 0;
            for (; g + VL <= groups; g += VL)
                sum = add_groups(sum, &w, &x, g, VL, format);
            if (g < groups)
                sum = add_groups(sum, &w, &x, g, groups - g, format);
            v4_store(y, sum);
            for (size_t j = 0; j < 4 && o + j * quarter < p->outputs; j++)
                to[j * quarter] = y[j];
        }
    }
}

/* ---- many rows ---- */

/* VL rows of a weight side by side; beyond the last, that one again. */
typedef struct weight_rows {
    const char *w[VL], *scales[VL];
} weight_rows;

SIMD_INLINE void find_rows(weight_rows *out, const plim_product *p, size_t o)
{
    for (size_t j = 0; j < VL; j++) {
        size_t row = smaller(o + j, p->outputs - 1);
        out->w[j] = (const char *)p->w + row * p->w_row_bytes;
        out->scales[j] = (const char *)p->scales + row * p->scale_row_bytes;
    }
}

/* scale[i] = that of group g + i of all VL rows, for n groups; 0 beyond. */
SIMD_INLINE void load_scales(vf scale[VL], const weight_rows *from, size_t g, size_t n)
{
    vi lanes[VL];
#pragma GCC unroll 16
    for (int j = 0; j < VL; j++) {
        vf s = n >= VL ? vf_widen(from->scales[j], g, PLIM_F16)
                       : vf_widen_tail(from->scales[j], g, n, PLIM_F16);
        memcpy(&lanes[j], &s, sizeof s);
    }
    vi_transpose(lanes);
    memcpy(scale, lanes, sizeof lanes);
}

SIMD_INLINE void store_outputs(float *y, vf a, size_t outputs)
{
    if (outputs >= VL)
        vf_store(y, a);
    else
        vf_store_tail(y, a, outputs);
}

typedef struct panel {
    uint8_t w[BLOCK_GROUPS][QUADS][PANEL_OUTPUTS][4];
    float scale[BLOCK_GROUPS][PANEL_OUTPUTS];
} __attribute__((aligned(64))) panel;

/* Lanes of one vector of quants from VL rows, turned round, to where tiles read them. */
SIMD_INLINE void fill_quads(panel *to, vi a[VL], size_t g, size_t lane, plim_dtype format)
{
    const int units = format == PLIM_Q8 ? QUADS : QUADS / 2; /* of a group, four bytes each */
    vi_transpose(a);
#pragma GCC unroll 16
    for (int u = 0; u < VL; u++) {
        uint8_t(*quads)[PANEL_OUTPUTS][4] = to->w[g + (size_t)(u / units)];
        if (format == PLIM_Q8) {
            vi_store(quads[u % units][lane], a[u]);
        } else {
            vi_store(quads[u % units][lane], vi_low_nibbles(a[u]));
            vi_store(quads[u % units + QUADS / 2][lane], vi_high_nibbles(a[u]));
        }
    }
}

/* Outputs o.., n groups from g on; what lies beyond the ends is never used. */
static void fill_panel(panel *to, const plim_product *p, size_t o, size_t g, size_t n,
                       plim_dtype format)
{
    const size_t step = step_groups(format);
    for (size_t lane = 0; lane < PANEL_OUTPUTS && o + lane < p->outputs; lane += VL) {
        weight_rows w;
        find_rows(&w, p, o + lane);
        for (size_t i = 0; i < n; i += VL) {
            vf scale[VL];
            load_scales(scale, &w, g + i, smaller(VL, n - i));
            for (size_t s = 0; s < VL; s++)
                vf_store(&to->scale[i + s][lane], scale[s]);
        }
        for (size_t i = 0; i < n; i += step) {
            size_t bytes = (n - i) * group_bytes(format);
            vi a[VL];
#pragma GCC unroll 16
            for (int j = 0; j < VL; j++) {
                const char *from = w.w[j] + (g + i) * group_bytes(format);
                a[j] = bytes >= VECTOR_BYTES ? vi_load(from) : vi_load_tail(from, bytes);
            }
            fill_quads(to, a, i, lane, format);
        }
    }
}

/* Four quants of a row's group. */
SIMD_INLINE const int8_t *quad_of(const packed_row *x, size_t g, int quad, plim_dtype format)
{
    if (format == PLIM_Q8)
        return x->q + g * GROUP + 4 * quad;
    return quad < QUADS / 2 ? x->even + g * GROUP / 2 + 4 * quad
                            : x->odd + g * GROUP / 2 + 4 * (quad - QUADS / 2);
}

/* y[count][vectors] += n groups, from g on, of `count` rows from r times the panel. */
SIMD_INLINE void tile(const plim_product *p, const panel *w, size_t r, size_t o, size_t g, size_t n,
                      const int count, const int vectors, plim_dtype format)
{
    vf y[ROW_TILE][PANEL_VECTORS];
    packed_row x[ROW_TILE];
#pragma GCC unroll 8
    for (int i = 0; i < count; i++) {
        x[i] = row_of(p, r + (size_t)i);
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            y[i][v] = load_lanes(p->y + (r + (size_t)i) * p->y_stride + o + (size_t)v * VL,
                                 p->outputs - o - (size_t)v * VL);
    }
    for (size_t k = 0; k < n; k++) {
        vi sum[ROW_TILE][PANEL_VECTORS];
#pragma GCC unroll 8
        for (int i = 0; i < count; i++)
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++)
                sum[i][v] = dot_begin(bias_of(&x[i], g + k, format), format);
#pragma GCC unroll 8
        for (int quad = 0; quad < QUADS; quad++) {
            vi wq[PANEL_VECTORS];
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++)
                wq[v] = vi_load(w->w[k][quad][v * VL]);
#pragma GCC unroll 8
            for (int i = 0; i < count; i++) {
                vi xq = vi_broadcast(quad_of(&x[i], g + k, quad, format));
#pragma GCC unroll 2
                for (int v = 0; v < vectors; v++)
                    sum[i][v] = dot_add(sum[i][v], wq[v], xq, format);
            }
        }
#pragma GCC unroll 8
        for (int i = 0; i < count; i++) {
            const vf x_scale = vf_set1(x[i].scale[g + k]);
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++) {
                vf scale = vf_mul(x_scale, vf_load(&w->scale[k][v * VL]));
                vi value = dot_end(sum[i][v], bias_of(&x[i], g + k, format), format);
                y[i][v] = vf_fma(scale, vf_from_int(value), y[i][v]);
            }
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < count; i++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            store_outputs(p->y + (r + (size_t)i) * p->y_stride + o + (size_t)v * VL, y[i][v],
                          p->outputs - o - (size_t)v * VL);
}

/* As many rows as a tile takes of those from r on; returns how many. */
SIMD_INLINE size_t tile_of(const plim_product *p, const panel *w, size_t r, size_t o, size_t g,
                           size_t n, const int vectors, plim_dtype format)
{
    size_t rows = p->rows - r;
    if (rows >= ROW_TILE) {
        tile(p, w, r, o, g, n, ROW_TILE, vectors, format);
        return ROW_TILE;
    }
    if (rows >= 4) {
        tile(p, w, r, o, g, n, ROW_TILE < 4 ? ROW_TILE : 4, vectors, format);
        return ROW_TILE < 4 ? ROW_TILE : 4;
    }
    if (rows >= 2) {
        tile(p, w, r, o, g, n, 2, vectors, format);
        return 2;
    }
    tile(p, w, r, o, g, n, 1, vectors, format);
    return 1;
}

/* Fetch what lies in rows [r, end) of `rows` by the clock of the panel that follows (o, g). */
SIMD_INLINE void fetch_next_panel(const plim_product *p, size_t o, size_t g, size_t r, size_t end,
                                  plim_dtype format)
{
    o += PANEL_OUTPUTS;
    if (o >= p->outputs) {
        o = 0;
        g += BLOCK_GROUPS;
    }
    if (g >= p->inputs / GROUP)
        return;
    size_t n = smaller(BLOCK_GROUPS, p->inputs / GROUP - g);
    size_t last = smaller(o + PANEL_OUTPUTS * end / p->rows, p->outputs);
    for (size_t j = o + PANEL_OUTPUTS * r / p->rows; j < last; j++) {
        const char *from = (const char *)p->w + j * p->w_row_bytes + g * group_bytes(format);
        for (size_t line = 0; line < n * group_bytes(format); line += LINE_BYTES)
            simd_prefetch_l2(from + line);
        simd_prefetch_l2((const char *)p->scales + j * p->scale_row_bytes + g * sizeof(uint16_t));
    }
}

/* A block of groups passes over all outputs of the call, so that its part of the packed rows stays
 * in L2. */
SIMD_INLINE void many_rows(const plim_product *p, plim_dtype format)
{
    panel w;
    size_t groups = p->inputs / GROUP;
    for (size_t g = 0; g < groups; g += BLOCK_GROUPS) {
        size_t n = smaller(BLOCK_GROUPS, groups - g);
        for (size_t o = 0; o < p->outputs; o += PANEL_OUTPUTS) {
            fill_panel(&w, p, o, g, n, format);
            for (size_t r = 0, done; r < p->rows; r += done) {
                done = p->outputs - o > VL ? tile_of(p, &w, r, o, g, n, PANEL_VECTORS, format)
                                           : tile_of(p, &w, r, o, g, n, 1, format);
                fetch_next_panel(p, o, g, r, r + done, format);
            }
        }
    }
}

static void product_q8(const plim_product *p)
{
    if (p->rows <= FEW_ROWS_MOST)
        few_rows(p, PLIM_Q8);
    else
        many_rows(p, PLIM_Q8);
}

static void product_q4(const plim_product *p)
{
    if (p->rows <= FEW_ROWS_MOST)
        few_rows(p, PLIM_Q4);
    else
        many_rows(p, PLIM_Q4);
}

#endif
