/* SPDX-License-Identifier: Apache-2.0
 *
 * The files that fill the slots of groups; each overwrites what it does better than those before.
 */
#ifndef PLIM_KERNELS_QUANT_LEVELS_H
#define PLIM_KERNELS_QUANT_LEVELS_H

#include "kernels/kernels.h"

void plim_quant_avx2(plim_kernels *out);   /* everything; the packing of all that follow */
void plim_quant_avx512(plim_kernels *out); /* products, the searches for scales */

/* Levels of their own: products by instructions for dot products of bytes. */
void plim_quant_avx2_vnni(plim_kernels *out);
void plim_quant_avx512_vnni(plim_kernels *out);

#endif
