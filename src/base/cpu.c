/* SPDX-License-Identifier: Apache-2.0
 *
 * Instruction sets: what cpuid offers and xgetbv says the system saves.  NEON on
 * aarch64, nothing elsewhere.
 */
#include "base/cpu.h"
#include "plimsoll.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#include <stdint.h>

/* Intel SDM vol. 1, 14.3 and 15.2: test OSXSAVE before XGETBV, and XCR0 before AVX. */
static uint64_t saved_registers(void)
{
    uint32_t low, high;
    __asm__ volatile(".byte 0x0f, 0x01, 0xd0" : "=a"(low), "=d"(high) : "c"(0)); /* xgetbv */
    return (uint64_t)high << 32 | low;
}

unsigned plim_cpu_features(void)
{
    const uint64_t state_avx = 0x6, state_avx512 = 0xe6; /* xmm, ymm; opmask, zmm 0-15, zmm 16-31 */
    unsigned a, b, c, d, features = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return 0;
    if (!(c & bit_OSXSAVE) || !(c & bit_AVX))
        return 0;
    unsigned leaf1 = c;
    uint64_t saved = saved_registers();
    if ((saved & state_avx) != state_avx || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return 0;
    if ((b & bit_AVX2) && (leaf1 & bit_FMA) && (leaf1 & bit_F16C))
        features |= PLIM_CPU_AVX2;
    const unsigned avx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    if ((features & PLIM_CPU_AVX2) && (saved & state_avx512) == state_avx512 &&
        (b & avx512) == avx512)
        features |= PLIM_CPU_AVX512;
    if ((features & PLIM_CPU_AVX512) && (c & bit_AVX512VNNI))
        features |= PLIM_CPU_AVX512_VNNI;
    if ((features & PLIM_CPU_AVX2) && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & bit_AVXVNNI))
        features |= PLIM_CPU_AVX_VNNI;
    return features;
}
#elif defined(__aarch64__)
unsigned plim_cpu_features(void)
{
    return PLIM_CPU_NEON; /* part of the architecture */
}
#else
unsigned plim_cpu_features(void)
{
    return 0;
}
#endif
