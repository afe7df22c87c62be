/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups for AVX-512 (F, BW, DQ, VL): products without dot products of bytes, and the searches. */
#include "kernels/quant_levels.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#include "kernels/quant_lanes_avx512.h"
#include "kernels/quant_search_simd.h"
#include "kernels/quant_simd.h"

void plim_quant_avx512(plim_kernels *out)
{
    out->quantise[PLIM_Q8] = quantise_q8;
    out->quantise[PLIM_Q4] = quantise_q4;
    out->product_out_in[PLIM_Q8] = product_q8;
    out->product_out_in[PLIM_Q4] = product_q4;
}

#else

void plim_quant_avx512(plim_kernels *out)
{
    (void)out;
}

#endif
