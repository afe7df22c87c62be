/* SPDX-License-Identifier: Apache-2.0
 *
 * The files that fill the AVX2 part of the table together. */
#ifndef PLIM_KERNELS_AVX2_H
#define PLIM_KERNELS_AVX2_H

#include "kernels/kernels.h"

void plim_elementwise_avx2(plim_kernels *out); /* norms, rope, add, activations, argmax */
void plim_casts_avx2(plim_kernels *out);       /* between F32, F16 and BF16 */

#endif
