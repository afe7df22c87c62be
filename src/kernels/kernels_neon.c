/* SPDX-License-Identifier: Apache-2.0
 *
 * Products and attention for NEON.  The algorithms are in the *_simd.h files. */
#include "kernels/kernels.h"

#if defined(__aarch64__) && defined(__ARM_NEON)
#include "kernels/simd_neon.h"
#include "kernels/math_simd.h"
#include "kernels/products_simd.h"
#include "kernels/attention_simd.h"

void plim_kernels_neon(plim_kernels *out)
{
    out->name = "neon";
    set_products(out);
    out->attention[PLIM_F32] = attention_f32;
    out->attention[PLIM_F16] = attention_f16;
    out->attention[PLIM_BF16] = attention_bf16;
}

#else

void plim_kernels_neon(plim_kernels *out)
{
    (void)out;
}

#endif
