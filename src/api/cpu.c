/* SPDX-License-Identifier: Apache-2.0
 *
 * What the processor has, which kernels that means, and how many threads. */
#include "base/cpu.h"
#include "kernels/kernels.h"

void plim_cpu_read(plim_cpu_info *out)
{
    plim_cores cores;
    plim_cores_here(&cores);
    *out = (plim_cpu_info){.features = plim_cpu_features(),
                           .logical = cores.logical,
                           .physical = cores.physical,
                           .allowed_logical = cores.allowed_logical,
                           .allowed_physical = cores.allowed_physical,
                           .quota = cores.quota,
                           .threads = cores.threads};
    plim_cpu_name(out->processor, sizeof out->processor, "/proc");
}

plim_status plim_cpu_level_read(plim_cpu_level *out, size_t i)
{
    if (i >= plim_kernel_level_count)
        return PLIM_E_USAGE;
    const plim_kernel_level *level = &plim_kernel_levels[i];
    *out = (plim_cpu_level){level->name, level->instructions, level->needs};
    return PLIM_OK;
}

const char *plim_kernel_kind_name(plim_kernel_kind kind)
{
    static const char *const names[PLIM_KERNELS_COUNT] = {
        [PLIM_KERNELS_FLOAT_PRODUCTS] = "float products",
        [PLIM_KERNELS_INT8_PRODUCTS] = "int8 products",
        [PLIM_KERNELS_INT4_PRODUCTS] = "int4 products",
        [PLIM_KERNELS_ATTENTION] = "attention",
        [PLIM_KERNELS_NORMS] = "norms",
        [PLIM_KERNELS_CASTS] = "casts",
        [PLIM_KERNELS_QUANTISING] = "quantising",
    };
    return (unsigned)kind < PLIM_KERNELS_COUNT ? names[kind] : "?";
}

const char *plim_cpu_kernels(plim_kernel_kind kind, unsigned cpu_mask)
{
    return plim_kernels_used(kind, cpu_mask & plim_cpu_features())->name;
}
