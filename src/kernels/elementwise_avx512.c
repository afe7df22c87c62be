/* SPDX-License-Identifier: Apache-2.0
 *
 * Norms, rope, add, activations and argmax for AVX-512. */
#include "kernels/avx512.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#include "kernels/simd_avx512.h"
#include "kernels/math_simd.h"
#include "kernels/elementwise_simd.h"

void plim_elementwise_avx512(plim_kernels *out)
{
    set_elementwise(out);
}

#endif /* elsewhere plim_kernels_avx512 does nothing, and needs nothing from here */
