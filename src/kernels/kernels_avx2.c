/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernels for AVX2 with FMA and F16C: products and attention here, by the algorithms of the
 * *_simd.h files; the loops over single elements are in elementwise_avx2.c and casts_avx2.c. */
#include "kernels/kernels.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include "kernels/simd_avx2.h"
#include "kernels/math_simd.h"
#include "kernels/products_simd.h"
#include "kernels/attention_simd.h"
#include "kernels/avx2.h"
#include "kernels/quant_levels.h"

void plim_kernels_avx2(plim_kernels *out)
{
    out->name = "avx2";
    set_products(out);
    out->attention[PLIM_F32] = attention_f32;
    out->attention[PLIM_F16] = attention_f16;
    out->attention[PLIM_BF16] = attention_bf16;
    plim_elementwise_avx2(out);
    plim_casts_avx2(out);
    plim_quant_avx2(out);
}

#else

void plim_kernels_avx2(plim_kernels *out)
{
    (void)out;
}

#endif
