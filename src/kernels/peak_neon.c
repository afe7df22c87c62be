/* SPDX-License-Identifier: Apache-2.0
 *
 * What NEON can do at most: reads, products of floats and of bytes, out of registers. */
#include "kernels/kernels.h"

#if defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>

#define PEAK_BYTES 16u
#include "kernels/peak_chains.h"
#include "kernels/peak_read.h"

static uint64_t peak_fma(size_t rounds, float *sink)
{
    const float32x4_t scale = vdupq_n_f32(0.999f + 1e-9f * *sink), shift = vdupq_n_f32(0.001f);
#define STEP(s) (s = vfmaq_f32(s, scale, shift))
#define USE(s)  (*sink += vgetq_lane_f32(s, 0))
    PEAK_RUN(rounds, float32x4_t, vdupq_n_f32(0), "w", STEP, USE);
#undef STEP
#undef USE
    return (uint64_t)rounds * PEAK_CHAINS * 4 * 2;
}

/* Without the dot product extension: eight products in two instructions. */
static uint64_t peak_dot(size_t rounds, int32_t *sink)
{
    enum { DOTS = 16 };
    int32x4_t sums[DOTS];
    int8x8_t x = vdup_n_s8((int8_t)(*sink & 63));
    const int8x8_t w = vdup_n_s8(3);
    for (int i = 0; i < DOTS; i++)
        sums[i] = vdupq_n_s32(0);
    for (size_t r = 0; r < rounds; r++) {
        for (int i = 0; i < DOTS; i++) {
            __asm__ volatile("" : "+w"(x)); /* each product is made anew */
            sums[i] = vpadalq_s16(sums[i], vmull_s8(x, w));
        }
    }
    for (int i = 0; i < DOTS; i++)
        *sink ^= vgetq_lane_s32(sums[i], 0);
    return (uint64_t)rounds * DOTS * 8 * 2;
}

void plim_peak_neon(plim_kernels *out)
{
    out->peak_read = peak_read;
    out->peak_fma = peak_fma;
    out->peak_dot = peak_dot;
}

#else

void plim_peak_neon(plim_kernels *out)
{
    (void)out;
}

#endif
