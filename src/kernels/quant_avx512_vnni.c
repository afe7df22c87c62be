/* SPDX-License-Identifier: Apache-2.0
 *
 * Products with groups for AVX-512 with VNNI. */
#include "kernels/quant_levels.h"

#if defined(__AVX512VNNI__)
#include "kernels/quant_lanes_avx512.h"
#include "kernels/quant_simd.h"

void plim_quant_avx512_vnni(plim_kernels *out)
{
    out->name = "avx512-vnni";
    out->product_out_in[PLIM_Q8] = product_q8;
    out->product_out_in[PLIM_Q4] = product_q4;
}

#else

void plim_quant_avx512_vnni(plim_kernels *out)
{
    (void)out;
}

#endif
