/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernels for AVX-512 (F, BW, DQ, VL). */
#include "kernels/kernels.h"

void plim_kernels_avx512(plim_kernels *out)
{
    (void)out;
}
