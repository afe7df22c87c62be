/* SPDX-License-Identifier: Apache-2.0
 *
 * What the dot products of bytes of AVX-512 VNNI can do at most, out of registers. */
#include "kernels/kernels.h"

#if defined(__AVX512VNNI__)
#include <immintrin.h>

/* One step of a chain; by name, for compilers leave an array of them in memory. */
#define CHAINS           12u /* latency 4 or 5, two a cycle */
#define CHAIN(s)         (s = _mm512_dpbusd_epi32(s, x, w))
#define FOUR(a, b, c, d) __asm__ volatile("" : "+v"(a), "+v"(b), "+v"(c), "+v"(d))

static uint64_t peak_dot(size_t rounds, int32_t *sink)
{
    const __m512i x = _mm512_set1_epi8((char)(*sink & 63)), w = _mm512_set1_epi8(3);
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a, e = a, f = a, g = a, h = a, i = a,
            j = a, k = a, l = a;
    for (size_t r = 0; r < rounds; r++) {
        FOUR(a, b, c, d); /* the sums stay apart, and in registers */
        FOUR(e, f, g, h);
        FOUR(i, j, k, l);
        CHAIN(a), CHAIN(b), CHAIN(c), CHAIN(d), CHAIN(e), CHAIN(f);
        CHAIN(g), CHAIN(h), CHAIN(i), CHAIN(j), CHAIN(k), CHAIN(l);
    }
    const __m512i all[] = {a, b, c, d, e, f, g, h, i, j, k, l};
    for (unsigned n = 0; n < CHAINS; n++)
        *sink ^= _mm_cvtsi128_si32(_mm512_castsi512_si128(all[n]));
    return (uint64_t)rounds * CHAINS * 64 * 2;
}

void plim_peak_avx512_vnni(plim_kernels *out)
{
    out->peak_dot = peak_dot;
}

#else

void plim_peak_avx512_vnni(plim_kernels *out)
{
    (void)out;
}

#endif
