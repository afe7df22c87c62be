/* SPDX-License-Identifier: Apache-2.0
 *
 * Products with groups for AVX2 with the 256-bit VNNI. */
#include "kernels/quant_levels.h"

#if defined(__AVXVNNI__)
#include "kernels/quant_lanes_avx2.h"
#include "kernels/quant_simd.h"

void plim_quant_avx2_vnni(plim_kernels *out)
{
    out->name = "avx2-vnni";
    out->product_out_in[PLIM_Q8] = product_q8;
    out->product_out_in[PLIM_Q4] = product_q4;
}

#else

void plim_quant_avx2_vnni(plim_kernels *out)
{
    (void)out;
}

#endif
