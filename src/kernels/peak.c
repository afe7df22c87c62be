/* SPDX-License-Identifier: Apache-2.0
 *
 * What the machine can do at most, for the level that plain C is; and which level's loops are used.
 */
#define PEAK_BYTES 16u
#include "kernels/peak_read.h"

#define LANES 32 /* independent chains: more than a processor needs to hide its latency */

static uint64_t peak_fma(size_t rounds, float *sink)
{
    float sums[LANES] = {0};
    const float scale = 0.999f + 1e-9f * *sink, shift = 0.001f;
    for (size_t r = 0; r < rounds; r++)
        for (int i = 0; i < LANES; i++)
            sums[i] = sums[i] * scale + shift;
    for (int i = 0; i < LANES; i++)
        *sink += sums[i];
    return (uint64_t)rounds * LANES * 2;
}

static uint64_t peak_dot(size_t rounds, int32_t *sink)
{
    uint32_t sums[LANES] = {0};
    int8_t x[LANES], w = (int8_t)(*sink + 3);
    for (int i = 0; i < LANES; i++)
        x[i] = (int8_t)(*sink + i);
    for (size_t r = 0; r < rounds; r++) {
        for (int i = 0; i < LANES; i++)
            sums[i] += (uint32_t)(x[i] * w);
        w ^= 1;
    }
    for (int i = 0; i < LANES; i++)
        *sink ^= (int32_t)sums[i];
    return (uint64_t)rounds * LANES * 2;
}

void plim_peak_init(plim_kernels *out, unsigned cpu)
{
    out->peak_read = peak_read;
    out->peak_fma = peak_fma;
    out->peak_dot = peak_dot;
#if defined(__x86_64__)
    if (cpu & PLIM_CPU_AVX2)
        plim_peak_avx2(out);
    if ((cpu & PLIM_CPU_AVX2) && (cpu & PLIM_CPU_AVX_VNNI))
        plim_peak_avx_vnni(out);
    const unsigned avx512 = PLIM_CPU_AVX2 | PLIM_CPU_AVX512;
    if ((cpu & avx512) == avx512)
        plim_peak_avx512(out);
    if ((cpu & avx512) == avx512 && (cpu & PLIM_CPU_AVX512_VNNI))
        plim_peak_avx512_vnni(out);
#elif defined(__aarch64__)
    if (cpu & PLIM_CPU_NEON)
        plim_peak_neon(out);
#endif
    (void)cpu;
}
