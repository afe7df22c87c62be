/* SPDX-License-Identifier: Apache-2.0
 *
 * What AVX-512 (F, BW, DQ, VL) can do at most: reads, products of floats and of bytes, out of
 * registers. */
#include "kernels/kernels.h"

#if defined(__AVX512F__) && defined(__AVX512BW__)
#include <immintrin.h>

#define PEAK_BYTES 64u
#include "kernels/peak_chains.h"
#include "kernels/peak_read.h"

static uint64_t peak_fma(size_t rounds, float *sink)
{
    const __m512 scale = _mm512_set1_ps(0.999f + 1e-9f * *sink), shift = _mm512_set1_ps(0.001f);
#define STEP(s) (s = _mm512_fmadd_ps(s, scale, shift))
#define USE(s)  (*sink += _mm512_cvtss_f32(s))
    PEAK_RUN(rounds, __m512, _mm512_setzero_ps(), "v", STEP, USE);
#undef STEP
#undef USE
    return (uint64_t)rounds * PEAK_CHAINS * 16 * 2;
}

/* Bytes by bytes to pairs, pairs to quads, added up: three instructions for 64 products. */
static uint64_t peak_dot(size_t rounds, int32_t *sink)
{
    enum { DOTS = 12 };
    __m512i sums[DOTS], x = _mm512_set1_epi8((char)(*sink & 63));
    const __m512i w = _mm512_set1_epi8(3), ones = _mm512_set1_epi16(1);
    for (int i = 0; i < DOTS; i++)
        sums[i] = _mm512_setzero_si512();
    for (size_t r = 0; r < rounds; r++) {
        for (int i = 0; i < DOTS; i++) {
            __asm__ volatile("" : "+v"(x)); /* each product is made anew */
            __m512i pairs = _mm512_maddubs_epi16(x, w);
            sums[i] = _mm512_add_epi32(sums[i], _mm512_madd_epi16(pairs, ones));
        }
    }
    for (int i = 0; i < DOTS; i++)
        *sink ^= _mm_cvtsi128_si32(_mm512_castsi512_si128(sums[i]));
    return (uint64_t)rounds * DOTS * 64 * 2;
}

void plim_peak_avx512(plim_kernels *out)
{
    out->peak_read = peak_read;
    out->peak_fma = peak_fma;
    out->peak_dot = peak_dot;
}

#else

void plim_peak_avx512(plim_kernels *out)
{
    (void)out;
}

#endif
