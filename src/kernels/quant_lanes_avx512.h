/* SPDX-License-Identifier: Apache-2.0
 *
 * Vectors of 64 bytes or 16 integers for quant_simd.h and quant_search_simd.h.  The meaning of each
 * function is told in quant_lanes_avx2.h. */
#ifndef PLIM_KERNELS_QUANT_LANES_AVX512_H
#define PLIM_KERNELS_QUANT_LANES_AVX512_H

#include <stdbool.h>

#include "kernels/quarters.h"
#include "kernels/simd_avx512.h"

/* 32 registers hold 12 integer sums, 12 sums of floats, two of weights and some more. */
enum { VECTOR_BYTES = 64, ROW_TILE = 6, PANEL_VECTORS = 2 };

typedef __m512i vi;

SIMD_INLINE vi vi_set1(int32_t x)
{
    return _mm512_set1_epi32(x);
}

SIMD_INLINE vi vi_load(const void *p)
{
    return _mm512_loadu_si512(p);
}

SIMD_INLINE vi vi_load_tail(const void *p, size_t bytes)
{
    return _mm512_maskz_loadu_epi8(((__mmask64)1 << bytes) - 1, p);
}

SIMD_INLINE void vi_store(void *p, vi a)
{
    _mm512_storeu_si512(p, a);
}

SIMD_INLINE vi vi_broadcast(const void *p)
{
    int32_t x;
    memcpy(&x, p, sizeof x);
    return _mm512_set1_epi32(x);
}

SIMD_INLINE vi vi_add(vi a, vi b)
{
    return _mm512_add_epi32(a, b);
}

SIMD_INLINE vi vi_low_nibbles(vi a)
{
    return _mm512_and_si512(a, _mm512_set1_epi8(15));
}

SIMD_INLINE vi vi_high_nibbles(vi a)
{
    return _mm512_and_si512(_mm512_srli_epi16(a, 4), _mm512_set1_epi8(15));
}

SIMD_INLINE vf vf_from_int(vi a)
{
    return _mm512_cvtepi32_ps(a);
}

SIMD_INLINE vf vf_through_f16(vf a)
{
    return _mm512_cvtph_ps(_mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

/* Quarters of four vectors: a[i] = quarter i of a[0], a[1], a[2], a[3]. */
SIMD_INLINE void transpose_quarters(vi a[4])
{
    vi even01 = _mm512_shuffle_i64x2(a[0], a[1], 0x88);
    vi even23 = _mm512_shuffle_i64x2(a[2], a[3], 0x88);
    vi odd01 = _mm512_shuffle_i64x2(a[0], a[1], 0xdd);
    vi odd23 = _mm512_shuffle_i64x2(a[2], a[3], 0xdd);
    a[0] = _mm512_shuffle_i64x2(even01, even23, 0x88);
    a[1] = _mm512_shuffle_i64x2(odd01, odd23, 0x88);
    a[2] = _mm512_shuffle_i64x2(even01, even23, 0xdd);
    a[3] = _mm512_shuffle_i64x2(odd01, odd23, 0xdd);
}

SIMD_INLINE void vi_transpose(vi a[VL])
{
    vi b[VL];
#pragma GCC unroll 8
    for (int i = 0; i < VL; i += 4) {
        vi low01 = _mm512_unpacklo_epi32(a[i], a[i + 1]);
        vi high01 = _mm512_unpackhi_epi32(a[i], a[i + 1]);
        vi low23 = _mm512_unpacklo_epi32(a[i + 2], a[i + 3]);
        vi high23 = _mm512_unpackhi_epi32(a[i + 2], a[i + 3]);
        b[i / 4] = _mm512_unpacklo_epi64(low01, low23);
        b[i / 4 + 4] = _mm512_unpackhi_epi64(low01, low23);
        b[i / 4 + 8] = _mm512_unpacklo_epi64(high01, high23);
        b[i / 4 + 12] = _mm512_unpackhi_epi64(high01, high23);
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        transpose_quarters(b + 4 * c);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            a[4 * i + c] = b[4 * c + i];
    }
}

SIMD_INLINE vi add_pairs_4(vi a, vi b)
{
    return vi_add(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
}

SIMD_INLINE vi add_pairs_8(vi a, vi b)
{
    return vi_add(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}

SIMD_INLINE void vi_sums_of_4(vi sums[VL / 4], const vi a[VL])
{
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        sums[i] = add_pairs_8(add_pairs_4(a[4 * i], a[4 * i + 1]),
                              add_pairs_4(a[4 * i + 2], a[4 * i + 3]));
    transpose_quarters(sums);
}

SIMD_INLINE void vi_sums_of_8(vi sums[VL / 8], const vi a[VL])
{
    vi b[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        b[i] = add_pairs_8(add_pairs_4(a[4 * i], a[4 * i + 1]),
                           add_pairs_4(a[4 * i + 2], a[4 * i + 3]));
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++)
        b[i] = vi_add(_mm512_shuffle_i64x2(b[2 * i], b[2 * i + 1], 0x88),
                      _mm512_shuffle_i64x2(b[2 * i], b[2 * i + 1], 0xdd));
    sums[0] = _mm512_shuffle_i64x2(b[0], b[1], 0x88);
    sums[1] = _mm512_shuffle_i64x2(b[0], b[1], 0xdd);
}

SIMD_INLINE v4 vf_quarter(vf a, int i)
{
    return i == 0   ? _mm512_castps512_ps128(a)
           : i == 1 ? _mm512_extractf32x4_ps(a, 1)
           : i == 2 ? _mm512_extractf32x4_ps(a, 2)
                    : _mm512_extractf32x4_ps(a, 3);
}

SIMD_INLINE vi vi_spread(vi a, int i)
{
    return i == 0   ? _mm512_shuffle_epi32(a, 0x00)
           : i == 1 ? _mm512_shuffle_epi32(a, 0x55)
           : i == 2 ? _mm512_shuffle_epi32(a, 0xaa)
                    : _mm512_shuffle_epi32(a, 0xff);
}

SIMD_INLINE vf vf_spread(vf a, int i)
{
    return _mm512_castsi512_ps(vi_spread(_mm512_castps_si512(a), i));
}

SIMD_INLINE void vf_transpose_within(vf a[4])
{
    vf low01 = _mm512_unpacklo_ps(a[0], a[1]), high01 = _mm512_unpackhi_ps(a[0], a[1]);
    vf low23 = _mm512_unpacklo_ps(a[2], a[3]), high23 = _mm512_unpackhi_ps(a[2], a[3]);
    a[0] = _mm512_shuffle_ps(low01, low23, 0x44);
    a[1] = _mm512_shuffle_ps(low01, low23, 0xee);
    a[2] = _mm512_shuffle_ps(high01, high23, 0x44);
    a[3] = _mm512_shuffle_ps(high01, high23, 0xee);
}

/* Lane (i / n * 4 + c) * n + i % n */
SIMD_INLINE vf vf_deal(vf a, size_t n)
{
    const __m512i lanes = _mm512_setr_epi32(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15);
    return n == 4 ? a : _mm512_permutexvar_ps(lanes, a);
}

#if defined(__AVX512VNNI__)

enum { BIASED_8 = true };

SIMD_INLINE vi dot_begin(vi bias, plim_dtype format)
{
    (void)format;
    return bias;
}

SIMD_INLINE vi dot_add(vi sum, vi w, vi x, plim_dtype format)
{
    (void)format;
    return _mm512_dpbusd_epi32(sum, w, x);
}

SIMD_INLINE vi dot_end(vi sum, vi bias, plim_dtype format)
{
    (void)bias, (void)format;
    return sum;
}

#else

enum { BIASED_8 = false };

SIMD_INLINE vi dot_begin(vi bias, plim_dtype format)
{
    (void)bias, (void)format;
    return _mm512_setzero_si512();
}

SIMD_INLINE vi dot_add(vi sum, vi w, vi x, plim_dtype format)
{
    if (format == PLIM_Q4)
        return _mm512_add_epi16(sum, _mm512_maddubs_epi16(w, x));
    w = _mm512_xor_si512(w, _mm512_set1_epi8(-128));
    vi signed_x = _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(w), _mm512_setzero_si512(), x);
    vi pairs = _mm512_maddubs_epi16(_mm512_abs_epi8(w), signed_x);
    return vi_add(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
}

SIMD_INLINE vi dot_end(vi sum, vi bias, plim_dtype format)
{
    return format == PLIM_Q4 ? vi_add(_mm512_madd_epi16(sum, _mm512_set1_epi16(1)), bias) : sum;
}

#endif
#endif
