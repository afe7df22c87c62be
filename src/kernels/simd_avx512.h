/* SPDX-License-Identifier: Apache-2.0
 *
 * Vectors of 16 floats for the *_simd.h files: AVX-512 F, BW, DQ, VL.  Included by
 * kernels_avx512.c, which alone is compiled for these instructions.  The meaning of each function
 * is told in simd_avx2.h. */
#ifndef PLIM_KERNELS_SIMD_AVX512_H
#define PLIM_KERNELS_SIMD_AVX512_H

#include <immintrin.h>
#include <string.h>

#include "kernels/kernels.h"

#define SIMD_INLINE static inline __attribute__((always_inline, unused))

enum {
    VL = 16,
    /* 32 registers hold 24 sums, 4 rows of x and one of w. */
    TILE_ROWS = 4,
    TILE_OUTPUTS = 6,
    WIDE_ROWS = 8,
    WIDE_VECTORS = 3,
    FEW_ROWS = 4,
    FEW_INPUTS = 4,
    HEADS = 4
};

typedef __m512 vf;

SIMD_INLINE __mmask16 simd_mask(size_t n)
{
    return (__mmask16)((1u << n) - 1);
}

SIMD_INLINE vf vf_zero(void)
{
    return _mm512_setzero_ps();
}

SIMD_INLINE vf vf_set1(float x)
{
    return _mm512_set1_ps(x);
}

SIMD_INLINE vf vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

SIMD_INLINE vf vf_load_tail(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(simd_mask(n), p);
}

SIMD_INLINE void vf_store(float *p, vf a)
{
    _mm512_storeu_ps(p, a);
}

SIMD_INLINE void vf_store_tail(float *p, vf a, size_t n)
{
    _mm512_mask_storeu_ps(p, simd_mask(n), a);
}

SIMD_INLINE vf vf_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}

SIMD_INLINE vf vf_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}

SIMD_INLINE vf vf_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}

SIMD_INLINE vf vf_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}

SIMD_INLINE vf vf_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}

SIMD_INLINE vf vf_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}

SIMD_INLINE vf vf_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}

SIMD_INLINE vf vf_round(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

SIMD_INLINE vf vf_scale(vf a, vf n)
{
    return _mm512_scalef_ps(a, n);
}

SIMD_INLINE vf vf_abs(vf a)
{
    return _mm512_abs_ps(a);
}

SIMD_INLINE vf vf_copysign(vf a, vf b)
{
    vf sign = vf_set1(-0.0f);
    return _mm512_or_ps(_mm512_andnot_ps(sign, a), _mm512_and_ps(sign, b));
}

SIMD_INLINE vf vf_if_less(vf x, vf y, vf a, vf b)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, y, _CMP_LT_OQ), b, a);
}

SIMD_INLINE vf vf_widen_u16(__m256i h, plim_dtype dtype)
{
    if (dtype == PLIM_F16)
        return _mm512_cvtph_ps(h);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

SIMD_INLINE vf vf_widen(const void *p, size_t i, plim_dtype dtype)
{
    if (dtype == PLIM_F32)
        return vf_load((const float *)p + i);
    return vf_widen_u16(_mm256_loadu_si256((const __m256i *)((const char *)p + 2 * i)), dtype);
}

SIMD_INLINE vf vf_widen_tail(const void *p, size_t i, size_t n, plim_dtype dtype)
{
    if (dtype == PLIM_F32)
        return vf_load_tail((const float *)p + i, n);
    return vf_widen_u16(_mm256_maskz_loadu_epi16(simd_mask(n), (const char *)p + 2 * i), dtype);
}

SIMD_INLINE __m256 simd_halve(vf a)
{
    return _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
}

/* Lane i is added to lane i + 8, then + 4, + 2, + 1. */
SIMD_INLINE __m128 simd_sum4(vf a, vf b, vf c, vf d)
{
    __m256 a8 = simd_halve(a), b8 = simd_halve(b), c8 = simd_halve(c), d8 = simd_halve(d);
    __m128 a4 = _mm_add_ps(_mm256_castps256_ps128(a8), _mm256_extractf128_ps(a8, 1));
    __m128 b4 = _mm_add_ps(_mm256_castps256_ps128(b8), _mm256_extractf128_ps(b8, 1));
    __m128 c4 = _mm_add_ps(_mm256_castps256_ps128(c8), _mm256_extractf128_ps(c8, 1));
    __m128 d4 = _mm_add_ps(_mm256_castps256_ps128(d8), _mm256_extractf128_ps(d8, 1));
    __m128 ab = _mm_add_ps(_mm_unpacklo_ps(a4, b4), _mm_unpackhi_ps(a4, b4)); /* a02 b02 a13 b13 */
    __m128 cd = _mm_add_ps(_mm_unpacklo_ps(c4, d4), _mm_unpackhi_ps(c4, d4));
    return _mm_add_ps(_mm_movelh_ps(ab, cd), _mm_movehl_ps(cd, ab));
}

SIMD_INLINE void vf_sum4_store(float out[4], vf a, vf b, vf c, vf d)
{
    _mm_storeu_ps(out, simd_sum4(a, b, c, d));
}

/* Lanes of 128 bits: a's, b's, c's, d's four partial sums. */
SIMD_INLINE vf simd_quarters(vf a, vf b, vf c, vf d)
{
    vf ab = vf_add(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
    vf cd = vf_add(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xee));
    return vf_add(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
}

/* In each of them: a02 a13 b02 b13. */
SIMD_INLINE vf simd_pairs(vf a, vf b)
{
    return vf_add(_mm512_shuffle_ps(a, b, 0x44), _mm512_shuffle_ps(a, b, 0xee));
}

SIMD_INLINE vf simd_join(vf ab, vf cd)
{
    return vf_add(_mm512_shuffle_ps(ab, cd, 0x88), _mm512_shuffle_ps(ab, cd, 0xdd));
}

/* The order of vf_sum4_store; by rows of the tile it takes 73 instructions instead of 150, which
 * compete with the multiplications for ports. */
SIMD_INLINE void vf_sum_tile(float out[TILE_ROWS * TILE_OUTPUTS],
                             const vf sum[TILE_ROWS * TILE_OUTPUTS])
{
    vf column[TILE_OUTPUTS];
#pragma GCC unroll 8
    for (int j = 0; j < TILE_OUTPUTS; j++)
        column[j] = simd_quarters(sum[j], sum[j + TILE_OUTPUTS], sum[j + 2 * TILE_OUTPUTS],
                                  sum[j + 3 * TILE_OUTPUTS]);
    /* of each row: outputs 0 to 3, and 4, 5, 4, 5 */
    vf left = simd_join(simd_pairs(column[0], column[1]), simd_pairs(column[2], column[3]));
    vf right = simd_pairs(column[4], column[5]);
    right = simd_join(right, right);
    const __m512i first = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 4, 5, 6, 7, 20, 21, 8, 9, 10, 11);
    const __m512i rest = _mm512_setr_epi32(24, 25, 12, 13, 14, 15, 28, 29, 0, 0, 0, 0, 0, 0, 0, 0);
    vf_store(out, _mm512_permutex2var_ps(left, first, right));
    _mm256_storeu_ps(out + 16, _mm512_castps512_ps256(_mm512_permutex2var_ps(left, rest, right)));
}

SIMD_INLINE float vf_sum(vf a)
{
    return _mm_cvtss_f32(simd_sum4(a, a, a, a));
}

SIMD_INLINE float vf_largest(vf a)
{
    __m256 b = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_max_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_max_ss(c, _mm_shuffle_ps(c, c, 1)));
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
