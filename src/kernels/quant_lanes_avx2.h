/* SPDX-License-Identifier: Apache-2.0
 *
 * Vectors of 32 bytes or 8 integers for quant_simd.h and quant_search_simd.h, and the dot product
 * of bytes with or without an instruction of its own. */
#ifndef PLIM_KERNELS_QUANT_LANES_AVX2_H
#define PLIM_KERNELS_QUANT_LANES_AVX2_H

#include <stdbool.h>

#include "kernels/quarters.h"
#include "kernels/simd_avx2.h"

/* Tile of a product: 16 registers hold 8 integer sums, two of weights and what a dot product
 * needs. */
enum { VECTOR_BYTES = 32, ROW_TILE = 4, PANEL_VECTORS = 2 };

typedef __m256i vi;

SIMD_INLINE vi vi_set1(int32_t x)
{
    return _mm256_set1_epi32(x);
}

SIMD_INLINE vi vi_load(const void *p)
{
    return _mm256_loadu_si256(p);
}

/* The first `bytes`, a multiple of 16 below VECTOR_BYTES; the others are zero. */
SIMD_INLINE vi vi_load_tail(const void *p, size_t bytes)
{
    return bytes ? _mm256_zextsi128_si256(_mm_loadu_si128(p)) : _mm256_setzero_si256();
}

SIMD_INLINE void vi_store(void *p, vi a)
{
    _mm256_storeu_si256(p, a);
}

/* The four bytes at p in every lane. */
SIMD_INLINE vi vi_broadcast(const void *p)
{
    int32_t x;
    memcpy(&x, p, sizeof x);
    return _mm256_set1_epi32(x);
}

SIMD_INLINE vi vi_add(vi a, vi b)
{
    return _mm256_add_epi32(a, b);
}

SIMD_INLINE vi vi_low_nibbles(vi a)
{
    return _mm256_and_si256(a, _mm256_set1_epi8(15));
}

SIMD_INLINE vi vi_high_nibbles(vi a)
{
    return _mm256_and_si256(_mm256_srli_epi16(a, 4), _mm256_set1_epi8(15));
}

SIMD_INLINE vf vf_from_int(vi a)
{
    return _mm256_cvtepi32_ps(a);
}

SIMD_INLINE vf vf_through_f16(vf a)
{
    return _mm256_cvtph_ps(_mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

/* a[i] lane j <-> a[j] lane i. */
SIMD_INLINE void vi_transpose(vi a[VL])
{
    vi b[VL];
#pragma GCC unroll 2
    for (int i = 0; i < VL; i += 4) {
        vi low01 = _mm256_unpacklo_epi32(a[i], a[i + 1]);
        vi high01 = _mm256_unpackhi_epi32(a[i], a[i + 1]);
        vi low23 = _mm256_unpacklo_epi32(a[i + 2], a[i + 3]);
        vi high23 = _mm256_unpackhi_epi32(a[i + 2], a[i + 3]);
        b[i] = _mm256_unpacklo_epi64(low01, low23);
        b[i + 1] = _mm256_unpackhi_epi64(low01, low23);
        b[i + 2] = _mm256_unpacklo_epi64(high01, high23);
        b[i + 3] = _mm256_unpackhi_epi64(high01, high23);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        a[i] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x20);
        a[i + 4] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x31);
    }
}

SIMD_INLINE vi add_pairs_4(vi a, vi b)
{
    return vi_add(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
}

SIMD_INLINE vi add_pairs_8(vi a, vi b)
{
    return vi_add(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
}

/* sums[i] lane j = the sum of lanes 4i to 4i + 3 of a[j]. */
SIMD_INLINE void vi_sums_of_4(vi sums[VL / 4], const vi a[VL])
{
    vi low = add_pairs_8(add_pairs_4(a[0], a[1]), add_pairs_4(a[2], a[3]));
    vi high = add_pairs_8(add_pairs_4(a[4], a[5]), add_pairs_4(a[6], a[7]));
    sums[0] = _mm256_permute2x128_si256(low, high, 0x20);
    sums[1] = _mm256_permute2x128_si256(low, high, 0x31);
}

/* The same with lanes 8i to 8i + 7. */
SIMD_INLINE void vi_sums_of_8(vi sums[VL / 8], const vi a[VL])
{
    vi half[2];
    vi_sums_of_4(half, a);
    sums[0] = vi_add(half[0], half[1]);
}

SIMD_INLINE v4 vf_quarter(vf a, int i)
{
    return i == 0 ? _mm256_castps256_ps128(a) : _mm256_extractf128_ps(a, 1);
}

/* Lane i of each quarter in all lanes of that quarter. */
SIMD_INLINE vi vi_spread(vi a, int i)
{
    return i == 0   ? _mm256_shuffle_epi32(a, 0x00)
           : i == 1 ? _mm256_shuffle_epi32(a, 0x55)
           : i == 2 ? _mm256_shuffle_epi32(a, 0xaa)
                    : _mm256_shuffle_epi32(a, 0xff);
}

SIMD_INLINE vf vf_spread(vf a, int i)
{
    return _mm256_castsi256_ps(vi_spread(_mm256_castps_si256(a), i));
}

/* Within each quarter: a[i] lane j <-> a[j] lane i. */
SIMD_INLINE void vf_transpose_within(vf a[4])
{
    vf low01 = _mm256_unpacklo_ps(a[0], a[1]), high01 = _mm256_unpackhi_ps(a[0], a[1]);
    vf low23 = _mm256_unpacklo_ps(a[2], a[3]), high23 = _mm256_unpackhi_ps(a[2], a[3]);
    a[0] = _mm256_shuffle_ps(low01, low23, 0x44);
    a[1] = _mm256_shuffle_ps(low01, low23, 0xee);
    a[2] = _mm256_shuffle_ps(high01, high23, 0x44);
    a[3] = _mm256_shuffle_ps(high01, high23, 0xee);
}

/* Lane 4c + i of what is returned is lane (i / n * 2 + c) * n + i % n of a: that of the group whose
 * sum stands there when a vector holds n groups. */
SIMD_INLINE vf vf_deal(vf a, size_t n)
{
    return _mm256_permutevar8x32_ps(a, n == 1 ? _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7)
                                              : _mm256_setr_epi32(0, 1, 4, 5, 2, 3, 6, 7));
}

/* Dot products of unsigned weights and activations within +-127, four bytes to a lane, and exact:
 * what quants are larger by than the weights they stand for is made up for by `bias`, the same
 * multiple of the sum of the activations, unless format is PLIM_Q8 and BIASED_8 is false.
 *   dot_end(dot_add(... dot_add(dot_begin(bias), w, x) ...), bias)
 * with at most 8 of dot_add. */
#if defined(__AVXVNNI__)

enum { BIASED_8 = true };

SIMD_INLINE vi dot_begin(vi bias, plim_dtype format)
{
    (void)format;
    return bias;
}

SIMD_INLINE vi dot_add(vi sum, vi w, vi x, plim_dtype format)
{
    (void)format;
    return _mm256_dpbusd_avx_epi32(sum, w, x);
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
    return _mm256_setzero_si256();
}

/* Q4: sums of 16 bits, at most 8 * 2 * 15 * 127.  Q8: unsigned weights would overflow them; |w| and
 * x with the sign of w don't (2 * 128 * 127). */
SIMD_INLINE vi dot_add(vi sum, vi w, vi x, plim_dtype format)
{
    if (format == PLIM_Q4)
        return _mm256_add_epi16(sum, _mm256_maddubs_epi16(w, x));
    w = _mm256_xor_si256(w, _mm256_set1_epi8(-128));
    vi pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
    return vi_add(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

SIMD_INLINE vi dot_end(vi sum, vi bias, plim_dtype format)
{
    return format == PLIM_Q4 ? vi_add(_mm256_madd_epi16(sum, _mm256_set1_epi16(1)), bias) : sum;
}

#endif
#endif
