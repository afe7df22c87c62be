/* SPDX-License-Identifier: Apache-2.0
 *
 * Which kernels run: plain C first, then whatever better sets the processor has overwrite it. */
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/quant_levels.h"

const plim_kernel_level plim_kernel_levels[] = {
    {"scalar", 0, "none: plain C", plim_kernels_ref},
#if defined(__x86_64__)
    {"avx2", PLIM_CPU_AVX2, "AVX2, FMA, F16C", plim_kernels_avx2},
    {"avx2-vnni", PLIM_CPU_AVX2 | PLIM_CPU_AVX_VNNI, "AVX-VNNI", plim_quant_avx2_vnni},
    {"avx512", PLIM_CPU_AVX2 | PLIM_CPU_AVX512, "AVX-512 F, BW, DQ, VL", plim_kernels_avx512},
    {"avx512-vnni", PLIM_CPU_AVX2 | PLIM_CPU_AVX512 | PLIM_CPU_AVX512_VNNI, "AVX-512 VNNI",
     plim_quant_avx512_vnni},
#elif defined(__aarch64__)
    {"neon", PLIM_CPU_NEON, "NEON, part of aarch64", plim_kernels_neon},
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

/* Whether two tables have the same kernels of a kind. */
static bool is_same(const plim_kernels *a, const plim_kernels *b, plim_kernel_kind kind)
{
    switch (kind) {
    case PLIM_KERNELS_FLOAT_PRODUCTS:
        return a->product_out_in[PLIM_F32] == b->product_out_in[PLIM_F32] &&
               a->product_out_in[PLIM_BF16] == b->product_out_in[PLIM_BF16];
    case PLIM_KERNELS_INT8_PRODUCTS:
        return a->product_out_in[PLIM_Q8] == b->product_out_in[PLIM_Q8];
    case PLIM_KERNELS_INT4_PRODUCTS:
        return a->product_out_in[PLIM_Q4] == b->product_out_in[PLIM_Q4];
    case PLIM_KERNELS_ATTENTION:
        return a->attention[PLIM_F16] == b->attention[PLIM_F16];
    case PLIM_KERNELS_NORMS:
        return a->rms_norm == b->rms_norm && a->activate == b->activate;
    case PLIM_KERNELS_CASTS:
        return a->cast[PLIM_F32][PLIM_F16] == b->cast[PLIM_F32][PLIM_F16];
    default:
        return a->quantise[PLIM_Q4] == b->quantise[PLIM_Q4];
    }
}

const plim_kernel_level *plim_kernels_used(plim_kernel_kind kind, unsigned cpu)
{
    plim_kernels before, after;
    const plim_kernel_level *used = &plim_kernel_levels[0];
    memset(&after, 0, sizeof after);
    for (size_t i = 0; i < plim_kernel_level_count; i++) {
        const plim_kernel_level *level = &plim_kernel_levels[i];
        if ((cpu & level->needs) != level->needs)
            continue;
        before = after;
        level->fill(&after);
        if (!is_same(&before, &after, kind))
            used = level;
    }
    return used;
}
