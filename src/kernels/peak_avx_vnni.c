/* SPDX-License-Identifier: Apache-2.0
 *
 * What the dot products of bytes of AVX-VNNI can do at most, out of registers. */
#include "kernels/kernels.h"

#if defined(__AVXVNNI__)
#include <immintrin.h>

/* One step of a chain; by name, for compilers leave an array of them in memory. */
#define CHAINS           12u /* latency 4 or 5, two a cycle */
#define CHAIN(s)         (s = _mm256_dpbusd_avx_epi32(s, x, w))
#define FOUR(a, b, c, d) __asm__ volatile("" : "+x"(a), "+x"(b), "+x"(c), "+x"(d))

static uint64_t peak_dot(size_t rounds, int32_t *sink)
{
    const __m256i x = _mm256_set1_epi8((char)(*sink & 63)), w = _mm256_set1_epi8(3);
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a, e = a, f = a, g = a, h = a, i = a,
            j = a, k = a, l = a;
    for (size_t r = 0; r < rounds; r++) {
        FOUR(a, b, c, d); /* the sums stay apart, and in registers */
        FOUR(e, f, g, h);
        FOUR(i, j, k, l);
        CHAIN(a), CHAIN(b), CHAIN(c), CHAIN(d), CHAIN(e), CHAIN(f);
        CHAIN(g), CHAIN(h), CHAIN(i), CHAIN(j), CHAIN(k), CHAIN(l);
    }
    const __m256i all[] = {a, b, c, d, e, f, g, h, i, j, k, l};
    for (unsigned n = 0; n < CHAINS; n++)
        *sink ^= _mm_cvtsi128_si32(_mm256_castsi256_si128(all[n]));
    return (uint64_t)rounds * CHAINS * 32 * 2;
}

void plim_peak_avx_vnni(plim_kernels *out)
{
    out->peak_dot = peak_dot;
}

#else

void plim_peak_avx_vnni(plim_kernels *out)
{
    (void)out;
}

#endif
