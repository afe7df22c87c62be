/* SPDX-License-Identifier: Apache-2.0
 *
 * Vectors of 8 floats for the *_simd.h files: AVX2, FMA, F16C.  Included by kernels_avx2.c and its
 * like, which alone are compiled for these instructions. */
#ifndef PLIM_KERNELS_SIMD_AVX2_H
#define PLIM_KERNELS_SIMD_AVX2_H

#include <immintrin.h>
#include <string.h>

#include "kernels/kernels.h"

#define SIMD_INLINE static inline __attribute__((always_inline, unused))

enum {
    VL = 8,
    /* Register tile of a product with [out, in]: 16 registers hold 12 sums, 4 rows of x (or 3 of
     * w) and one of the other.  TILE_ROWS divides PLIM_PACK_ROWS. */
    TILE_ROWS = 4,
    TILE_OUTPUTS = 3,
    /* With [in, out]: rows, a multiple of TILE_ROWS, x vectors of outputs, a divisor of 48 lanes.
     */
    WIDE_ROWS = 4,
    WIDE_VECTORS = 3,
    /* Rows that share the weights' way from memory, and for [in, out] inputs at a time. */
    FEW_ROWS = 3,
    FEW_INPUTS = 3,
    /* Attention: heads at once. */
    HEADS = 2
};

typedef __m256 vf;

static const int32_t simd_mask_source[16] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                             0,  0,  0,  0,  0,  0,  0,  0};

SIMD_INLINE __m256i simd_mask(size_t n)
{
    return _mm256_loadu_si256((const __m256i *)(simd_mask_source + 8 - n));
}

SIMD_INLINE vf vf_zero(void)
{
    return _mm256_setzero_ps();
}

SIMD_INLINE vf vf_set1(float x)
{
    return _mm256_set1_ps(x);
}

SIMD_INLINE vf vf_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

/* The first n < VL lanes, the others zero (load) or untouched (store). */
SIMD_INLINE vf vf_load_tail(const float *p, size_t n)
{
    return _mm256_maskload_ps(p, simd_mask(n));
}

SIMD_INLINE void vf_store(float *p, vf a)
{
    _mm256_storeu_ps(p, a);
}

SIMD_INLINE void vf_store_tail(float *p, vf a, size_t n)
{
    _mm256_maskstore_ps(p, simd_mask(n), a);
}

SIMD_INLINE vf vf_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}

SIMD_INLINE vf vf_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}

SIMD_INLINE vf vf_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}

SIMD_INLINE vf vf_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}

/* a * b + c, rounded once. */
SIMD_INLINE vf vf_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}

/* Where either is NaN: b. */
SIMD_INLINE vf vf_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}

SIMD_INLINE vf vf_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}

SIMD_INLINE vf vf_round(vf a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* a * 2^n for whole numbers n in [-252, 254], rounded once. */
SIMD_INLINE vf vf_scale(vf a, vf n)
{
    __m256i whole = _mm256_cvtps_epi32(n), first = _mm256_srai_epi32(whole, 1);
    __m256i bias = _mm256_set1_epi32(127), second = _mm256_sub_epi32(whole, first);
    vf x = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(first, bias), 23));
    vf y = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(second, bias), 23));
    return vf_mul(vf_mul(a, x), y);
}

SIMD_INLINE vf vf_abs(vf a)
{
    return _mm256_andnot_ps(vf_set1(-0.0f), a);
}

/* |a| with the sign of b. */
SIMD_INLINE vf vf_copysign(vf a, vf b)
{
    vf sign = vf_set1(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(sign, a), _mm256_and_ps(sign, b));
}

/* x < y ? a : b, lane by lane; b where either is NaN. */
SIMD_INLINE vf vf_if_less(vf x, vf y, vf a, vf b)
{
    return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, y, _CMP_LT_OQ));
}

SIMD_INLINE vf vf_widen_u16(__m128i h, plim_dtype dtype)
{
    if (dtype == PLIM_F16)
        return _mm256_cvtph_ps(h);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

/* VL elements of type F32, F16 or BF16 from element i on. */
SIMD_INLINE vf vf_widen(const void *p, size_t i, plim_dtype dtype)
{
    if (dtype == PLIM_F32)
        return vf_load((const float *)p + i);
    return vf_widen_u16(_mm_loadu_si128((const __m128i *)((const char *)p + 2 * i)), dtype);
}

SIMD_INLINE vf vf_widen_tail(const void *p, size_t i, size_t n, plim_dtype dtype)
{
    if (dtype == PLIM_F32)
        return vf_load_tail((const float *)p + i, n);
    uint16_t part[8] = {0};
    memcpy(part, (const char *)p + 2 * i, 2 * n);
    return vf_widen_u16(_mm_loadu_si128((const __m128i *)part), dtype);
}

/* Lane i is added to lane i + 4, then + 2, then + 1. */
SIMD_INLINE __m128 simd_sum4(vf a, vf b, vf c, vf d)
{
    __m128 a4 = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    __m128 b4 = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    __m128 c4 = _mm_add_ps(_mm256_castps256_ps128(c), _mm256_extractf128_ps(c, 1));
    __m128 d4 = _mm_add_ps(_mm256_castps256_ps128(d), _mm256_extractf128_ps(d, 1));
    __m128 ab = _mm_add_ps(_mm_unpacklo_ps(a4, b4), _mm_unpackhi_ps(a4, b4)); /* a02 b02 a13 b13 */
    __m128 cd = _mm_add_ps(_mm_unpacklo_ps(c4, d4), _mm_unpackhi_ps(c4, d4));
    return _mm_add_ps(_mm_movelh_ps(ab, cd), _mm_movehl_ps(cd, ab));
}

/* out = the sums of the lanes of four vectors. */
SIMD_INLINE void vf_sum4_store(float out[4], vf a, vf b, vf c, vf d)
{
    _mm_storeu_ps(out, simd_sum4(a, b, c, d));
}

/* The same for sum[TILE_ROWS][TILE_OUTPUTS]. */
SIMD_INLINE void vf_sum_tile(float out[TILE_ROWS * TILE_OUTPUTS],
                             const vf sum[TILE_ROWS * TILE_OUTPUTS])
{
#pragma GCC unroll 8
    for (int i = 0; i < TILE_ROWS * TILE_OUTPUTS; i += 4)
        vf_sum4_store(out + i, sum[i], sum[i + 1], sum[i + 2], sum[i + 3]);
}

SIMD_INLINE float vf_sum(vf a)
{
    return _mm_cvtss_f32(simd_sum4(a, a, a, a));
}

SIMD_INLINE float vf_largest(vf a)
{
    __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(b, _mm_shuffle_ps(b, b, 1)));
}

SIMD_INLINE void simd_prefetch(const void *p)
{
    _mm_prefetch((const char *)p, _MM_HINT_T0);
}

SIMD_INLINE void simd_prefetch_l2(const void *p)
{
    _mm_prefetch((const char *)p, _MM_HINT_T1);
}

#endif
