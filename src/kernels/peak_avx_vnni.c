/* SPDX-License-Identifier: Apache-2.0
 *
 * What the dot products of bytes of AVX-VNNI can do at most, out of registers. */
#include "kernels/kernels.h"

#if defined(__AVXVNNI__)
#include <immintrin.h>

#include "kernels/peak_chains.h"

static uint64_t peak_dot(size_t rounds, int32_t *sink)
{
    const __m256i x = _mm256_set1_epi8((char)(*sink & 63)), w = _mm256_set1_epi8(3);
#define STEP(s) (s = _mm256_dpbusd_avx_epi32(s, x, w))
#define USE(s)  (*sink ^= _mm_cvtsi128_si32(_mm256_castsi256_si128(s)))
    PEAK_RUN(rounds, __m256i, _mm256_setzero_si256(), "x", STEP, USE);
#undef STEP
#undef USE
    return (uint64_t)rounds * PEAK_CHAINS * 32 * 2;
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
