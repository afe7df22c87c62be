/* SPDX-License-Identifier: Apache-2.0
 *
 * One group of 32 in its natural order: what takes too little time for longer vectors to matter. */
#ifndef PLIM_KERNELS_QUANT_GROUP_AVX2_H
#define PLIM_KERNELS_QUANT_GROUP_AVX2_H

#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/quant.h"

#define GROUP_INLINE static inline __attribute__((always_inline, unused))

/* The largest magnitude as bits; from INFINITE_BITS on, something is not finite. */
enum { INFINITE_BITS = 0x7f800000 };

GROUP_INLINE int32_t largest_bits(const float *src)
{
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    const __m256i *from = (const __m256i *)src;
    __m256i top = _mm256_setzero_si256();
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        top = _mm256_max_epi32(top, _mm256_and_si256(_mm256_loadu_si256(from + i), magnitude));
    __m128i four = _mm_max_epi32(_mm256_castsi256_si128(top), _mm256_extracti128_si256(top, 1));
    four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
}

GROUP_INLINE float float_of_bits(int32_t bits)
{
    return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(bits)));
}

/* rint(x * inverse) within [lowest, highest], a subset of [-128, 127], as 32 bytes. */
GROUP_INLINE __m256i levels_of(const float *src, float inverse, float lowest, float highest)
{
    __m256i q[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        __m256 x = _mm256_mul_ps(_mm256_loadu_ps(src + 8 * i), _mm256_set1_ps(inverse));
        x = _mm256_min_ps(_mm256_max_ps(x, _mm256_set1_ps(lowest)), _mm256_set1_ps(highest));
        q[i] = _mm256_cvtps_epi32(x);
    }
    __m256i bytes =
        _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
    return _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

GROUP_INLINE void store_scale(void *to, float scale, bool finite)
{
    uint16_t half = (uint16_t)_cvtss_sh(scale, _MM_FROUND_TO_NEAREST_INT);
    memcpy(to, finite ? &half : &(uint16_t){PLIM_F16_NAN}, sizeof half);
}

/* Levels by a scale that was found; of a group that is not finite zeros. */
GROUP_INLINE __m256i levels_by(const float *src, float scale, bool finite, float lowest,
                               float highest)
{
    float inverse = scale == 0.0f ? 0.0f : 1.0f / scale;
    return finite ? levels_of(src, inverse, lowest, highest) : _mm256_setzero_si256();
}

/* Quants by a scale that was found; src unaligned. */
GROUP_INLINE void pack_group_8(void *quants, void *scale_to, const float *src, float scale)
{
    bool finite = largest_bits(src) < INFINITE_BITS;
    __m256i q = levels_by(src, scale, finite, -128.0f, 127.0f);
    _mm256_storeu_si256(quants, _mm256_xor_si256(q, _mm256_set1_epi8(-128)));
    store_scale(scale_to, scale, finite);
}

GROUP_INLINE void pack_group_4(void *quants, void *scale_to, const float *src, float scale)
{
    bool finite = largest_bits(src) < INFINITE_BITS;
    __m256i q = levels_by(src, scale, finite, -8.0f, 7.0f);
    q = _mm256_add_epi8(q, _mm256_set1_epi8(8));
    /* even + 16 * odd, in 16 bits */
    q = _mm256_maddubs_epi16(q, _mm256_set1_epi16(0x1001));
    __m128i pairs = _mm_packus_epi16(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
    _mm_storeu_si128(quants, pairs);
    store_scale(scale_to, scale, finite);
}

#endif
