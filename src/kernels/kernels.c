/* SPDX-License-Identifier: Apache-2.0
 *
 * Which kernels run: plain C first, then whatever better sets the processor has overwrite it. */
#include "kernels/kernels.h"
#include "kernels/quant_levels.h"

const plim_kernel_level plim_kernel_levels[] = {
    {"scalar", 0, plim_kernels_ref},
#if defined(__x86_64__)
    {"avx2", PLIM_CPU_AVX2, plim_kernels_avx2},
    {"avx2-vnni", PLIM_CPU_AVX2 | PLIM_CPU_AVX_VNNI, plim_quant_avx2_vnni},
    {"avx512", PLIM_CPU_AVX2 | PLIM_CPU_AVX512, plim_kernels_avx512},
    {"avx512-vnni", PLIM_CPU_AVX2 | PLIM_CPU_AVX512 | PLIM_CPU_AVX512_VNNI, plim_quant_avx512_vnni},
#elif defined(__aarch64__)
    {"neon", PLIM_CPU_NEON, plim_kernels_neon},
#endif
};

const size_t plim_kernel_level_count = sizeof plim_kernel_levels / sizeof plim_kernel_levels[0];

void plim_kernels_init(plim_kernels *out, unsigned cpu)
{
    for (size_t i = 0; i < plim_kernel_level_count; i++)
        if ((cpu & plim_kernel_levels[i].needs) == plim_kernel_levels[i].needs)
            plim_kernel_levels[i].fill(out);
    plim_peak_init(out, cpu);
}
