/* SPDX-License-Identifier: Apache-2.0
 *
 * What every table's groups have in common, so that all give the same bits: the search for the
 * scale of 4-bit weights, and what counts as nothing. */
#ifndef PLIM_KERNELS_QUANT_H
#define PLIM_KERNELS_QUANT_H

#include "kernels/kernels.h"

/* The search: the scales that put the weight of largest magnitude on one of these levels, each
 * rounded to f16 and judged by the sum of squared errors; an earlier one wins a tie.  Then, so
 * often, the scale of least squares for the levels found.  The whole numbers find the scale again
 * of weights that lie on a grid already; the quarters are as good as any finer step (0.941 of the
 * error of the first alone on Gaussian weights; eighths 0.9408, every scale there is 0.9407), and
 * levels above zero add nothing. */
enum { PLIM_QUANT_LEVELS = 22, PLIM_QUANT_REFITS = 1 };
extern const float plim_quant_levels[PLIM_QUANT_LEVELS];

/* Activations of a group all smaller than this are 0: 127 / largest would overflow. */
#define PLIM_QUANT_LEAST 0x1p-119f

#endif
