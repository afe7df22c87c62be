/* SPDX-License-Identifier: Apache-2.0
 *
 * Which kernels run: plain C first, then whatever better sets the processor has overwrite it. */
#include "kernels/kernels.h"

void plim_kernels_init(plim_kernels *out, unsigned cpu)
{
    plim_kernels_ref(out);
    if (cpu & PLIM_CPU_AVX2)
        plim_kernels_avx2(out);
    if ((cpu & PLIM_CPU_AVX2) && (cpu & PLIM_CPU_AVX512))
        plim_kernels_avx512(out);
}
