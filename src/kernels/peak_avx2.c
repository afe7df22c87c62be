/* SPDX-License-Identifier: Apache-2.0
 *
 * What AVX2 and FMA can do at most: reads, products of floats and of bytes, out of registers. */
#include "kernels/kernels.h"

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>

#define PEAK_BYTES 32u
#include "kernels/peak_chains.h"
#include "kernels/peak_read.h"

static uint64_t peak_fma(size_t rounds, float *sink)
{
    const __m256 scale = _mm256_set1_ps(0.999f + 1e-9f * *sink), shift = _mm256_set1_ps(0.001f);
#define STEP(s) (s = _mm256_fmadd_ps(s, scale, shift))
#define USE(s)  (*sink += _mm256_cvtss_f32(s))
    PEAK_RUN(rounds, __m256, _mm256_setzero_ps(), "x", STEP, USE);
#undef STEP
#undef USE
    return (uint64_t)rounds * PEAK_CHAINS * 8 * 2;
}

/* Bytes by bytes to pairs, pairs to quads, added up: three instructions for 32 products. */
static uint64_t peak_dot(size_t rounds, int32_t *sink)
{
    enum { DOTS = 8 };
    __m256i sums[DOTS], x = _mm256_set1_epi8((char)(*sink & 63));
    const __m256i w = _mm256_set1_epi8(3), ones = _mm256_set1_epi16(1);
    for (int i = 0; i < DOTS; i++)
        sums[i] = _mm256_setzero_si256();
    for (size_t r = 0; r < rounds; r++) {
        for (int i = 0; i < DOTS; i++) {
            __asm__ volatile("" : "+x"(x)); /* each product is made anew */
            __m256i pairs = _mm256_maddubs_epi16(x, w);
            sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(pairs, ones));
        }
    }
    for (int i = 0; i < DOTS; i++)
        *sink ^= _mm256_extract_epi32(sums[i], 0);
    return (uint64_t)rounds * DOTS * 32 * 2;
}

void plim_peak_avx2(plim_kernels *out)
{
    out->peak_read = peak_read;
    out->peak_fma = peak_fma;
    out->peak_dot = peak_dot;
}

#else

void plim_peak_avx2(plim_kernels *out)
{
    (void)out;
}

#endif
