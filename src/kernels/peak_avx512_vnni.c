/* SPDX-License-Identifier: Apache-2.0
 *
 * What the dot products of bytes of AVX-512 VNNI can do at most, out of registers. */
#include "kernels/kernels.h"

#if defined(__AVX512VNNI__)
#include <immintrin.h>

#include "kernels/peak_chains.h"

static uint64_t peak_dot(size_t rounds, int32_t *sink)
{
    const __m512i x = _mm512_set1_epi8((char)(*sink & 63)), w = _mm512_set1_epi8(3);
#define STEP(s) (s = _mm512_dpbusd_epi32(s, x, w))
#define USE(s)  (*sink ^= _mm_cvtsi128_si32(_mm512_castsi512_si128(s)))
    PEAK_RUN(rounds, __m512i, _mm512_setzero_si512(), "v", STEP, USE);
#undef STEP
#undef USE
    return (uint64_t)rounds * PEAK_CHAINS * 64 * 2;
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
