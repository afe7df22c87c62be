/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups for AVX2: products, quantising, and the packed rows that every better set reads too. */
#include <math.h>
#include <stdbool.h>

#include "kernels/quant_levels.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include "kernels/quant_lanes_avx2.h"
#include "kernels/quant_search_simd.h"
#include "kernels/quant_simd.h"

/* ---- weights ---- */

/* y = scale * (q - bias) of eight. */
SIMD_INLINE void dequantise_8(float *y, __m128i q, float scale, int bias)
{
    __m256i level = _mm256_sub_epi32(_mm256_cvtepu8_epi32(q), _mm256_set1_epi32(bias));
    _mm256_storeu_ps(y, _mm256_mul_ps(_mm256_set1_ps(scale), _mm256_cvtepi32_ps(level)));
}

static void dequantise_q8(float *y, const void *quants, const void *scales, size_t n)
{
    const char *q = quants;
    for (size_t k = 0; k < n; k += 8) {
        uint16_t half;
        memcpy(&half, (const char *)scales + k / GROUP * 2, sizeof half);
        dequantise_8(y + k, _mm_loadl_epi64((const __m128i *)(const void *)(q + k)),
                     _cvtsh_ss(half), 128);
    }
}

static void dequantise_q4(float *y, const void *quants, const void *scales, size_t n)
{
    for (size_t g = 0; g < n / GROUP; g++, y += GROUP) {
        uint16_t half;
        memcpy(&half, (const char *)scales + g * 2, sizeof half);
        __m128i q = _mm_loadu_si128((const __m128i *)quants + g);
        __m128i low = _mm_and_si128(q, _mm_set1_epi8(15));
        __m128i high = _mm_and_si128(_mm_srli_epi16(q, 4), _mm_set1_epi8(15));
        __m128i first = _mm_unpacklo_epi8(low, high), second = _mm_unpackhi_epi8(low, high);
        dequantise_8(y, first, _cvtsh_ss(half), 8);
        dequantise_8(y + 8, _mm_srli_si128(first, 8), _cvtsh_ss(half), 8);
        dequantise_8(y + 16, second, _cvtsh_ss(half), 8);
        dequantise_8(y + 24, _mm_srli_si128(second, 8), _cvtsh_ss(half), 8);
    }
}

/* ---- activations ---- */

SIMD_INLINE int32_t sum_of_bytes(__m256i q)
{
    __m256i quads =
        _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), q), _mm256_set1_epi16(1));
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(quads), _mm256_extracti128_si256(quads, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
}

SIMD_INLINE void pack_group(const packed_row *to, const float *x, size_t g)
{
    __m256i q = _mm256_setzero_si256();
    int32_t bits = largest_bits(x);
    float top = float_of_bits(bits), scale = NAN;
    if (bits < INFINITE_BITS) {
        bool some = top >= PLIM_QUANT_LEAST;
        scale = some ? top / 127.0f : 0.0f;
        if (some)
            q = levels_of(x, 127.0f / top, -127.0f, 127.0f);
    }
    int32_t sum = sum_of_bytes(q);
    to->scale[g] = scale;
    to->bias_8[g] = -128 * sum;
    to->bias_4[g] = -8 * sum;
    _mm256_storeu_si256((__m256i *)(void *)(to->q + g * GROUP), q);
    const __m256i apart = _mm256_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15, 0,
                                           2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
    q = _mm256_permute4x64_epi64(_mm256_shuffle_epi8(q, apart), 0xd8);
    _mm_storeu_si128((__m128i *)(void *)(to->even + g * GROUP / 2), _mm256_castsi256_si128(q));
    _mm_storeu_si128((__m128i *)(void *)(to->odd + g * GROUP / 2), _mm256_extracti128_si256(q, 1));
}

static void pack(const plim_pack *p)
{
    for (size_t r = p->first; r < p->first + p->rows; r++) {
        packed_row to = packed_row_at(p->dst, r, p->inputs);
        for (size_t g = 0; g < p->inputs / GROUP; g++)
            pack_group(&to, p->x + r * p->x_stride + g * GROUP, g);
    }
}

void plim_quant_avx2(plim_kernels *out)
{
    out->quantise[PLIM_Q8] = quantise_q8;
    out->quantise[PLIM_Q4] = quantise_q4;
    out->dequantise[PLIM_Q8] = dequantise_q8;
    out->dequantise[PLIM_Q4] = dequantise_q4;
    out->pack[PLIM_Q8] = out->pack[PLIM_Q4] = pack;
    out->pack_from[PLIM_Q8] = out->pack_from[PLIM_Q4] = 1;
    out->product_out_in[PLIM_Q8] = product_q8;
    out->product_out_in[PLIM_Q4] = product_q4;
}

#else

void plim_quant_avx2(plim_kernels *out)
{
    (void)out;
}

#endif
