/* SPDX-License-Identifier: Apache-2.0
 *
 * Vectors of 4 floats for the *_simd.h files: NEON, which every aarch64 has.  Included by
 * kernels_neon.c.  The meaning of each function is told in simd_avx2.h. */
#ifndef PLIM_KERNELS_SIMD_NEON_H
#define PLIM_KERNELS_SIMD_NEON_H

#include <arm_neon.h>
#include <string.h>

#include "kernels/kernels.h"

#define SIMD_INLINE static inline __attribute__((always_inline, unused))

enum {
    VL = 4,
    /* 32 registers hold 24 sums, 4 rows of x and one of w. */
    TILE_ROWS = 4,
    TILE_OUTPUTS = 6,
    WIDE_ROWS = 8,
    WIDE_VECTORS = 3,
    FEW_ROWS = 4,
    FEW_INPUTS = 4,
    HEADS = 4
};

typedef float32x4_t vf;

SIMD_INLINE vf vf_zero(void)
{
    return vdupq_n_f32(0.0f);
}

SIMD_INLINE vf vf_set1(float x)
{
    return vdupq_n_f32(x);
}

SIMD_INLINE vf vf_load(const float *p)
{
    return vld1q_f32(p);
}

SIMD_INLINE vf vf_load_tail(const float *p, size_t n)
{
    if (n >= 2) {
        float32x2_t rest = vdup_n_f32(0.0f);
        return vcombine_f32(vld1_f32(p), n > 2 ? vld1_lane_f32(p + 2, rest, 0) : rest);
    }
    return n ? vld1q_lane_f32(p, vf_zero(), 0) : vf_zero();
}

SIMD_INLINE void vf_store(float *p, vf a)
{
    vst1q_f32(p, a);
}

SIMD_INLINE void vf_store_tail(float *p, vf a, size_t n)
{
    if (n > 0)
        vst1q_lane_f32(p, a, 0);
    if (n > 1)
        vst1q_lane_f32(p + 1, a, 1);
    if (n > 2)
        vst1q_lane_f32(p + 2, a, 2);
}

SIMD_INLINE vf vf_add(vf a, vf b)
{
    return vaddq_f32(a, b);
}

SIMD_INLINE vf vf_sub(vf a, vf b)
{
    return vsubq_f32(a, b);
}

SIMD_INLINE vf vf_mul(vf a, vf b)
{
    return vmulq_f32(a, b);
}

SIMD_INLINE vf vf_div(vf a, vf b)
{
    return vdivq_f32(a, b);
}

SIMD_INLINE vf vf_fma(vf a, vf b, vf c)
{
    return vfmaq_f32(c, a, b);
}

/* FMAX and FMIN would give NaN where either is. */
SIMD_INLINE vf vf_max(vf a, vf b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

SIMD_INLINE vf vf_min(vf a, vf b)
{
    return vbslq_f32(vcltq_f32(a, b), a, b);
}

SIMD_INLINE vf vf_round(vf a)
{
    return vrndnq_f32(a);
}

SIMD_INLINE vf vf_scale(vf a, vf n)
{
    int32x4_t whole = vcvtnq_s32_f32(n), first = vshrq_n_s32(whole, 1);
    int32x4_t bias = vdupq_n_s32(127), second = vsubq_s32(whole, first);
    vf x = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(first, bias), 23));
    vf y = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(second, bias), 23));
    return vf_mul(vf_mul(a, x), y);
}

SIMD_INLINE vf vf_abs(vf a)
{
    return vabsq_f32(a);
}

SIMD_INLINE vf vf_copysign(vf a, vf b)
{
    return vbslq_f32(vdupq_n_u32(0x80000000u), b, a);
}

SIMD_INLINE vf vf_if_less(vf x, vf y, vf a, vf b)
{
    return vbslq_f32(vcltq_f32(x, y), a, b);
}

SIMD_INLINE vf vf_widen_u16(uint16x4_t h, plim_dtype dtype)
{
    if (dtype == PLIM_F16)
        return vcvt_f32_f16(vreinterpret_f16_u16(h));
    return vreinterpretq_f32_u32(vshll_n_u16(h, 16));
}

SIMD_INLINE vf vf_widen(const void *p, size_t i, plim_dtype dtype)
{
    if (dtype == PLIM_F32)
        return vf_load((const float *)p + i);
    return vf_widen_u16(vld1_u16((const uint16_t *)p + i), dtype);
}

SIMD_INLINE vf vf_widen_tail(const void *p, size_t i, size_t n, plim_dtype dtype)
{
    if (dtype == PLIM_F32)
        return vf_load_tail((const float *)p + i, n);
    const uint16_t *from = (const uint16_t *)p + i;
    uint16x4_t part = vdup_n_u16(0);
    if (n > 0)
        part = vld1_lane_u16(from, part, 0);
    if (n > 1)
        part = vld1_lane_u16(from + 1, part, 1);
    if (n > 2)
        part = vld1_lane_u16(from + 2, part, 2);
    return vf_widen_u16(part, dtype);
}

/* Lane 0 is added to lane 1, 2 to 3, then the two. */
SIMD_INLINE void vf_sum4_store(float out[4], vf a, vf b, vf c, vf d)
{
    vst1q_f32(out, vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d)));
}

SIMD_INLINE void vf_sum_tile(float out[TILE_ROWS * TILE_OUTPUTS],
                             const vf sum[TILE_ROWS * TILE_OUTPUTS])
{
#pragma GCC unroll 8
    for (int i = 0; i < TILE_ROWS * TILE_OUTPUTS; i += 4)
        vf_sum4_store(out + i, sum[i], sum[i + 1], sum[i + 2], sum[i + 3]);
}

SIMD_INLINE float vf_sum(vf a)
{
    vf pairs = vpaddq_f32(a, a);
    return vgetq_lane_f32(vpaddq_f32(pairs, pairs), 0);
}

SIMD_INLINE float vf_largest(vf a)
{
    return vmaxnmvq_f32(a);
}

SIMD_INLINE void simd_prefetch(const void *p)
{
    __builtin_prefetch(p, 0, 3);
}

#endif
