/* SPDX-License-Identifier: Apache-2.0
 *
 * The searches for the scales of weights for any vector length: lanes are groups, so every sum
 * runs in the order of quant_ref.c and gives its bits. */
#ifndef PLIM_KERNELS_QUANT_SEARCH_SIMD_H
#define PLIM_KERNELS_QUANT_SEARCH_SIMD_H

#include <math.h>

#include "kernels/quant.h"
#include "kernels/quant_group_avx2.h"

/* x[k] = weight k of `groups` groups side by side, zeros beyond. */
SIMD_INLINE void turn_groups(vf x[PLIM_GROUP], const float *src, size_t groups)
{
    for (size_t k = 0; k < PLIM_GROUP; k += VL) {
        vi lanes[VL];
#pragma GCC unroll 16
        for (size_t j = 0; j < VL; j++)
            lanes[j] = j < groups ? vi_load(src + j * PLIM_GROUP + k) : vi_set1(0);
        vi_transpose(lanes);
        memcpy(x + k, lanes, sizeof lanes);
    }
}

SIMD_INLINE vf round_scales(vf scale)
{
    scale = vf_max(vf_set1(-PLIM_F16_MAX), vf_min(vf_set1(PLIM_F16_MAX), scale));
    return vf_add(vf_through_f16(scale), vf_zero());
}

SIMD_INLINE vf inverses_of(vf scale)
{
    return vf_if_less(vf_zero(), vf_abs(scale), vf_div(vf_set1(1.0f), scale), vf_zero());
}

SIMD_INLINE vf levels_4(vf x, vf inverse)
{
    vf q = vf_round(vf_mul(x, inverse));
    return vf_min(vf_max(q, vf_set1(-8.0f)), vf_set1(7.0f));
}

SIMD_INLINE vf errors_4(const vf x[PLIM_GROUP], vf scale)
{
    vf error = vf_zero(), inverse = inverses_of(scale), minus = vf_sub(vf_zero(), scale);
#pragma GCC unroll 32
    for (int k = 0; k < (int)PLIM_GROUP; k++) {
        vf rest = vf_fma(minus, levels_4(x[k], inverse), x[k]);
        error = vf_fma(rest, rest, error);
    }
    return error;
}

SIMD_INLINE vf refits_4(const vf x[PLIM_GROUP], vf scale)
{
    vf xq = vf_zero(), qq = vf_zero(), inverse = inverses_of(scale);
#pragma GCC unroll 32
    for (int k = 0; k < (int)PLIM_GROUP; k++) {
        vf q = levels_4(x[k], inverse);
        xq = vf_fma(x[k], q, xq);
        qq = vf_fma(q, q, qq);
    }
    return round_scales(vf_div(xq, vf_if_less(vf_zero(), qq, qq, vf_set1(1.0f))));
}

SIMD_INLINE vf extremes_of(const vf x[PLIM_GROUP])
{
    vf extreme = vf_zero();
#pragma GCC unroll 32
    for (int k = 0; k < (int)PLIM_GROUP; k++)
        extreme = vf_if_less(vf_abs(extreme), vf_abs(x[k]), x[k], extreme);
    return extreme;
}

/* The best scales of VL groups, all of whose weights are finite. */
SIMD_INLINE vf search_4(const vf x[PLIM_GROUP])
{
    vf extreme = extremes_of(x), best = vf_zero(), least = vf_zero();
    for (int c = 0; c < PLIM_QUANT_FACTORS + PLIM_QUANT_REFITS; c++) {
        vf scale = c < PLIM_QUANT_FACTORS
                       ? round_scales(vf_mul(extreme, vf_set1(plim_quant_factors[c])))
                       : refits_4(x, best);
        vf error = errors_4(x, scale);
        best = c == 0 ? scale : vf_if_less(error, least, scale, best);
        least = c == 0 ? error : vf_if_less(error, least, error, least);
    }
    return best;
}

/* Of several scales at once: one sum alone waits for itself. */
enum { ERRORS = 4 };

SIMD_INLINE void errors_8(vf error[ERRORS], const vf x[PLIM_GROUP], const vf scale[ERRORS])
{
    vf inverse[ERRORS], minus[ERRORS];
    const vf point = vf_set1(PLIM_QUANT_POINT);
#pragma GCC unroll 4
    for (int e = 0; e < ERRORS; e++) {
        error[e] = vf_zero();
        inverse[e] = inverses_of(scale[e]);
        minus[e] = vf_sub(vf_zero(), scale[e]);
    }
#pragma GCC unroll 32
    for (int k = 0; k < (int)PLIM_GROUP; k++)
#pragma GCC unroll 4
        for (int e = 0; e < ERRORS; e++) {
            vf q = vf_sub(vf_fma(x[k], inverse[e], point), point);
            vf rest = vf_fma(minus[e], q, x[k]);
            error[e] = vf_fma(rest, rest, error[e]);
        }
}

/* The scales that put `top` on `highest`; f16 denormals are coarse: rather a larger one than to
 * clip. */
SIMD_INLINE vf scales_8(vf top, int highest)
{
    vf scale = round_scales(vf_mul(top, vf_set1(1.0f / (float)highest)));
    vf larger = round_scales(vf_add(scale, vf_set1(0x1p-24f)));
    return vf_if_less(vf_mul(vf_set1(127.5f), scale), top, larger, scale);
}

SIMD_INLINE vf search_8(const vf x[PLIM_GROUP])
{
    vf top = vf_abs(extremes_of(x)), best = vf_zero(), least = vf_set1(INFINITY);
    for (int c = 0; c < PLIM_QUANT_SCALES; c += ERRORS) {
        vf scale[ERRORS], error[ERRORS];
#pragma GCC unroll 4
        for (int e = 0; e < ERRORS; e++)
            scale[e] = scales_8(top, 127 - c - e);
        best = c == 0 ? scale[0] : best; /* where all errors overflow */
        errors_8(error, x, scale);
#pragma GCC unroll 4
        for (int e = 0; e < ERRORS; e++) {
            best = vf_if_less(error[e], least, scale[e], best);
            least = vf_if_less(error[e], least, error[e], least);
        }
    }
    return best;
}

SIMD_INLINE void quantise_groups(void *quants, void *scales, const float *src, size_t n,
                                 plim_dtype format)
{
    for (size_t g = 0; g < n / PLIM_GROUP; g += VL) {
        vf x[PLIM_GROUP];
        float scale[VL];
        size_t groups = n / PLIM_GROUP - g < VL ? n / PLIM_GROUP - g : VL;
        turn_groups(x, src + g * PLIM_GROUP, groups);
        vf_store(scale, format == PLIM_Q8 ? search_8(x) : search_4(x));
        for (size_t j = 0; j < groups; j++) {
            const float *from = src + (g + j) * PLIM_GROUP;
            char *scale_to = (char *)scales + 2 * (g + j);
            if (format == PLIM_Q8)
                pack_group_8((char *)quants + (g + j) * PLIM_GROUP, scale_to, from, scale[j]);
            else
                pack_group_4((char *)quants + (g + j) * PLIM_GROUP / 2, scale_to, from, scale[j]);
        }
    }
}

static void quantise_q8(void *quants, void *scales, const float *src, size_t n)
{
    quantise_groups(quants, scales, src, n, PLIM_Q8);
}

static void quantise_q4(void *quants, void *scales, const float *src, size_t n)
{
    quantise_groups(quants, scales, src, n, PLIM_Q4);
}

#endif
