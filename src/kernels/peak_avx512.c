/* SPDX-License-Identifier: Apache-2.0
 *
 * What AVX-512 (F, BW, DQ, VL) can do at most: reads, products of floats and of bytes, out of
 * registers. */
#include "kernels/kernels.h"

#if defined(__AVX512F__) && defined(__AVX512BW__)
#include <immintrin.h>

#define PEAK_BYTES 64u
#include "kernels/peak_read.h"

/* One step of a chain; by name, for compilers leave an array of them in memory. */
#define CHAINS           12u /* latency 4 or 5, two a cycle */
#define CHAIN(s)         (s = _mm512_fmadd_ps(s, scale, shift))
#define FOUR(a, b, c, d) __asm__ volatile("" : "+v"(a), "+v"(b), "+v"(c), "+v"(d))

static uint64_t peak_fma(size_t rounds, float *sink)
{
    const __m512 scale = _mm512_set1_ps(0.999f + 1e-9f * *sink), shift = _mm512_set1_ps(0.001f);
    __m512 a = _mm512_setzero_ps(), b = a, c = a, d = a, e = a, f = a, g = a, h = a, i = a, j = a,
           k = a, l = a;
    for (size_t r = 0; r < rounds; r++) {
        FOUR(a, b, c, d); /* the sums stay apart, and in registers */
        FOUR(e, f, g, h);
        FOUR(i, j, k, l);
        CHAIN(a), CHAIN(b), CHAIN(c), CHAIN(d), CHAIN(e), CHAIN(f);
        CHAIN(g), CHAIN(h), CHAIN(i), CHAIN(j), CHAIN(k), CHAIN(l);
    }
    const __m512 all[] = {a, b, c, d, e, f, g, h, i, j, k, l};
    for (unsigned n = 0; n < CHAINS; n++)
        *sink += _mm512_cvtss_f32(all[n]);
    return (uint64_t)rounds * CHAINS * 16 * 2;
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
