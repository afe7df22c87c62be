/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernels for AVX2 with FMA and F16C. */
#include "kernels/kernels.h"

void plim_kernels_avx2(plim_kernels *out)
{
    (void)out;
}
