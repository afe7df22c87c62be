/* SPDX-License-Identifier: Apache-2.0
 *
 * What every table's groups have in common, so that all give the same bits: the searches for the
 * scales of weights, and what counts as nothing. */
#ifndef PLIM_KERNELS_QUANT_H
#define PLIM_KERNELS_QUANT_H

#include "kernels/kernels.h"

/* Scales are f16: finite weights never get one beyond its range, and those of a group with NaN or
 * an infinity are this one. */
#define PLIM_F16_MAX 65504.0f
#define PLIM_F16_NAN 0x7e00u

/* The search of 4 bits: the scales that put the weight of largest magnitude on a level of -8, on
 * each whole number above, and on the quarters from -6 to -10; each is rounded to f16 and judged by
 * the sum of squared errors, and an earlier one wins a tie.  Then, so often, the scale of least
 * squares for the levels found.  The whole numbers find the scale again of weights that lie on a
 * grid already; the quarters are as good as any finer step (on Gaussian weights 0.9413 of the error
 * of the first alone; eighths 0.9408, any scale at all 0.9407), and levels above zero add nothing.
 */
enum { PLIM_QUANT_FACTORS = 22, PLIM_QUANT_REFITS = 1 };
extern const float plim_quant_factors[PLIM_QUANT_FACTORS];

/* The search of 8 bits: the scales that put the largest magnitude on 127, 126, ... 64, judged the
 * same way.  Below 64 only multiples of these would follow.  On Gaussian weights 0.477 % of error,
 * with 127 alone 0.535 %, and 28 scales would do; of weights that lie on a coarse grid with an
 * offset (SmolLM2-135M's projections) 0.25 % instead of 0.56 %, and each scale counts.  The error
 * is that of the nearest whole number, found by adding and taking away what leaves no bits behind
 * the point, and never clipped: it matters only where all scales are the largest of f16. */
enum { PLIM_QUANT_SCALES = 64 };
#define PLIM_QUANT_POINT 0x1.8p23f

/* Activations of a group all smaller than this are 0: 127 / largest would overflow. */
#define PLIM_QUANT_LEAST 0x1p-119f

#endif
