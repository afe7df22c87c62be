/* SPDX-License-Identifier: Apache-2.0
 *
 * Quarters of x86's vectors: 128 bits, four lanes, one for each of four rows of weights. */
#ifndef PLIM_KERNELS_QUARTERS_H
#define PLIM_KERNELS_QUARTERS_H

#include <immintrin.h>

typedef __m128 v4;

static inline __attribute__((always_inline)) v4 v4_load(const float *p)
{
    return _mm_loadu_ps(p);
}

static inline __attribute__((always_inline)) void v4_store(float *p, v4 a)
{
    _mm_storeu_ps(p, a);
}

static inline __attribute__((always_inline)) v4 v4_fma(v4 a, v4 b, v4 c)
{
    return _mm_fmadd_ps(a, b, c);
}

#endif
