/* SPDX-License-Identifier: Apache-2.0
 *
 * Products with 8- and 4-bit groups for any vector length; included once by each instruction set's
 * file, after its quant_lanes_*.h.  Lanes are outputs: the 32 products of a group are summed up
 * exactly as integers, and enter y by one fma, group after group.  So whatever is done beside one
 * output, and by whatever instructions, its bits are the same.
 *  - Few rows take VL outputs at once straight from memory, a vector of quants from each; a tree of
 *    integer additions turns VL vectors of sums round.
 *  - Many rows go by panels: BLOCK_GROUPS groups of PANEL_OUTPUTS outputs are turned round once
 *    into L1, four inputs to a lane, and rows pass over them in register tiles. */
#ifndef PLIM_KERNELS_QUANT_SIMD_H
#define PLIM_KERNELS_QUANT_SIMD_H

#include <stdbool.h>

#include "kernels/quant_rows.h"

enum {
    GROUP = PLIM_GROUP,
    PANEL_OUTPUTS = PANEL_VECTORS * VL,
    BLOCK_GROUPS = 16, /* of a panel: 16 KiB with 32 outputs */
    QUADS = GROUP / 4,
    FEW_ROWS_MOST = 3, /* beyond, a panel pays */
    LINE_BYTES = 64
};

SIMD_INLINE size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Bytes of a group's quants. */
SIMD_INLINE size_t group_bytes(plim_dtype format)
{
    return format == PLIM_Q8 ? GROUP : GROUP / 2;
}

SIMD_INLINE vi bias_of(const group_scale *s, plim_dtype format)
{
    return vi_set1(format == PLIM_Q4 ? s->bias_4 : BIASED_8 ? s->bias_8 : 0);
}

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
SIMD_INLINE void load_scales(vf scale[VL], const weight_rows *from, size_t g, size_t n,
                             size_t ahead_bytes)
{
    vi lanes[VL];
#pragma GCC unroll 16
    for (int j = 0; j < VL; j++) {
        simd_prefetch(from->scales[j] + g * sizeof(uint16_t) + ahead_bytes);
        vf s = n >= VL ? vf_widen(from->scales[j], g, PLIM_F16)
                       : vf_widen_tail(from->scales[j], g, n, PLIM_F16);
        memcpy(&lanes[j], &s, sizeof s);
    }
    vi_transpose(lanes);
    memcpy(scale, lanes, sizeof lanes);
}

SIMD_INLINE vf load_outputs(const float *y, size_t outputs)
{
    return outputs >= VL ? vf_load(y) : vf_load_tail(y, outputs);
}

SIMD_INLINE void store_outputs(float *y, vf a, size_t outputs)
{
    if (outputs >= VL)
        vf_store(y, a);
    else
        vf_store_tail(y, a, outputs);
}

/* ---- few rows ---- */

/* Groups whose quants fill a vector. */
SIMD_INLINE size_t step_groups(plim_dtype format)
{
    return VECTOR_BYTES / group_bytes(format);
}

/* y += n <= step_groups() groups from g on of VL outputs times those of the row; scale is that of
 * group g. */
SIMD_INLINE vf dot_step(vf y, const weight_rows *w, const vf *scale, const packed_row *x, size_t g,
                        const size_t n, size_t ahead_bytes, plim_dtype format)
{
    vi dots[VL], sums[VL / 4], none = vi_set1(0);
    const size_t at = g * group_bytes(format), bytes = n * group_bytes(format);
    vi first = vi_load(format == PLIM_Q8 ? x->q + g * GROUP : x->even + g * GROUP / 2);
    vi second = format == PLIM_Q8 ? none : vi_load(x->odd + g * GROUP / 2);
#pragma GCC unroll 16
    for (int j = 0; j < VL; j++) {
        const char *from = w->w[j] + at;
        vi q = bytes == VECTOR_BYTES ? vi_load(from) : vi_load_tail(from, bytes);
        simd_prefetch(from + ahead_bytes);
        if (format == PLIM_Q8)
            dots[j] = dot_add(dot_begin(none, format), q, first, format);
        else
            dots[j] = dot_add(dot_add(dot_begin(none, format), vi_low_nibbles(q), first, format),
                              vi_high_nibbles(q), second, format);
        dots[j] = dot_end(dots[j], none, format);
    }
    if (format == PLIM_Q8)
        vi_sums_of_8(sums, dots);
    else
        vi_sums_of_4(sums, dots);
    for (size_t i = 0; i < step_groups(format) && i < n; i++) {
        const group_scale *xs = x->scales + g + i;
        vi sum = vi_add(sums[i], bias_of(xs, format));
        y = vf_fma(vf_mul(vf_set1(xs->scale), scale[i]), vf_from_int(sum), y);
    }
    return y;
}

SIMD_INLINE packed_row row_of(const plim_product *p, size_t r)
{
    packed_row x = packed_row_at(p->packed, r, p->packed_inputs);
    x.q += p->first_input;
    x.even += p->first_input / 2;
    x.odd += p->first_input / 2;
    x.scales += p->first_input / GROUP;
    return x;
}

SIMD_INLINE void few_rows(const plim_product *p, plim_dtype format)
{
    const size_t step = step_groups(format);
    size_t groups = p->inputs / GROUP, ahead = VL * p->w_row_bytes;
    for (size_t o = 0; o < p->outputs; o += VL) {
        weight_rows w;
        find_rows(&w, p, o);
        for (size_t g = 0; g < groups; g += VL) {
            vf scale[VL];
            size_t n = smaller(VL, groups - g);
            load_scales(scale, &w, g, n, VL * p->scale_row_bytes);
            for (size_t r = 0; r < p->rows; r++) {
                packed_row x = row_of(p, r);
                float *y = p->y + r * p->y_stride + o;
                vf sum = load_outputs(y, p->outputs - o);
                size_t i = 0;
                for (; i + step <= n; i += step)
                    sum = dot_step(sum, &w, scale + i, &x, g + i, step, ahead, format);
                if (i < n)
                    sum = dot_step(sum, &w, scale + i, &x, g + i, n - i, ahead, format);
                store_outputs(y, sum, p->outputs - o);
            }
        }
    }
}

/* ---- many rows ---- */

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
            load_scales(scale, &w, g + i, smaller(VL, n - i), 0);
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
            y[i][v] = load_outputs(p->y + (r + (size_t)i) * p->y_stride + o + (size_t)v * VL,
                                   p->outputs - o - (size_t)v * VL);
    }
    for (size_t k = 0; k < n; k++) {
        vi sum[ROW_TILE][PANEL_VECTORS];
#pragma GCC unroll 8
        for (int i = 0; i < count; i++)
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++)
                sum[i][v] = dot_begin(bias_of(x[i].scales + g + k, format), format);
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
            const group_scale *xs = x[i].scales + g + k;
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++) {
                vf scale = vf_mul(vf_set1(xs->scale), vf_load(&w->scale[k][v * VL]));
                y[i][v] = vf_fma(
                    scale, vf_from_int(dot_end(sum[i][v], bias_of(xs, format), format)), y[i][v]);
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
