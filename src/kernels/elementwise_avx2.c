/* SPDX-License-Identifier: Apache-2.0
 *
 * Norms, rope, add, activations and argmax for AVX2. */
#include "kernels/avx2.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include "kernels/simd_avx2.h"
#include "kernels/math_simd.h"
#include "kernels/elementwise_simd.h"

void plim_elementwise_avx2(plim_kernels *out)
{
    set_elementwise(out);
}

#endif /* elsewhere plim_kernels_avx2 does nothing, and needs nothing from here */
