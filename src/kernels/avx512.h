/* SPDX-License-Identifier: Apache-2.0
 *
 * The files that fill the AVX-512 part of the table together. */
#ifndef PLIM_KERNELS_AVX512_H
#define PLIM_KERNELS_AVX512_H

#include "kernels/kernels.h"

void plim_elementwise_avx512(plim_kernels *out); /* norms, rope, add, activations, argmax */

#endif
