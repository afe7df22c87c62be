/* SPDX-License-Identifier: Apache-2.0
 *
 * Products and attention for AVX-512 (F, BW, DQ, VL).  The algorithms are in the *_simd.h files. */
#include "kernels/kernels.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#include "kernels/simd_avx512.h"
#include "kernels/math_simd.h"
#include "kernels/products_simd.h"
#include "kernels/attention_simd.h"
#include "kernels/quant_levels.h"
#include "kernels/avx512.h"

void plim_kernels_avx512(plim_kernels *out)
{
    out->name = "avx512";
    set_products(out);
    out->attention[PLIM_F32] = attention_f32;
    out->attention[PLIM_F16] = attention_f16;
    out->attention[PLIM_BF16] = attention_bf16;
    plim_elementwise_avx512(out);
    plim_quant_avx512(out);
}

#else

void plim_kernels_avx512(plim_kernels *out)
{
    (void)out;
}

#endif
