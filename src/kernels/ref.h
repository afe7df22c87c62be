/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the scalar table share: conversions of one element.  All of it is integer work
 * or exact arithmetic on normal numbers, so the floating-point mode of the host doesn't matter. */
#ifndef PLIM_KERNELS_REF_H
#define PLIM_KERNELS_REF_H

#include <string.h>

#include "kernels/kernels.h"

static inline uint32_t plim_f32_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float plim_f32_from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline float plim_f32_from_bf16(uint16_t h)
{
    return plim_f32_from_bits((uint32_t)h << 16);
}

/* Nearest even; a NaN stays one: its top payload bits are kept and the quiet bit is set. */
static inline uint16_t plim_bf16_from_f32(float x)
{
    uint32_t a = plim_f32_bits(x);
    if ((a & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(a >> 16 | 0x40u);
    return (uint16_t)((a + 0x7fffu + (a >> 16 & 1u)) >> 16);
}

static inline float plim_f32_from_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    uint32_t a = h & 0x7fffu;
    if (a >= 0x7c00u) /* infinity; a NaN is made quiet, as the hardware does */
        return plim_f32_from_bits(sign | 0x7f800000u | (a & 0x3ffu) << 13 |
                                  (a > 0x7c00u ? 0x400000u : 0u));
    if (a >= 0x400u)
        return plim_f32_from_bits(sign | ((a << 13) + 0x38000000u));
    return plim_f32_from_bits(sign | plim_f32_bits((float)a * 0x1p-24f));
}

/* Nearest even, beyond 65519 to infinity, NaN as above. */
static inline uint16_t plim_f16_from_f32(float x)
{
    uint32_t bits = plim_f32_bits(x);
    uint32_t sign = bits >> 16 & 0x8000u, a = bits & 0x7fffffffu;
    if (a > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u | (a >> 13 & 0x3ffu));
    if (a >= 0x477ff000u)
        return (uint16_t)(sign | 0x7c00u);
    if (a >= 0x38800000u) /* 2^-14: normal in half precision */
        return (uint16_t)(sign | (a - 0x38000000u + 0xfffu + (a >> 13 & 1u)) >> 13);
    uint32_t exponent = a >> 23;
    if (exponent < 102) /* below half of the smallest denormal */
        return (uint16_t)sign;
    uint32_t mantissa = (a & 0x7fffffu) | 0x800000u, shift = 126 - exponent;
    uint32_t kept = mantissa >> shift, rest = mantissa & ((1u << shift) - 1),
             half = 1u << (shift - 1);
    return (uint16_t)(sign | (kept + (rest > half || (rest == half && (kept & 1u)))));
}

/* Element i of an array whose address need not be aligned. */
static inline float plim_load_f32(const void *src, size_t i)
{
    float x;
    memcpy(&x, (const char *)src + i * sizeof x, sizeof x);
    return x;
}

static inline uint16_t plim_load_u16(const void *src, size_t i)
{
    uint16_t x;
    memcpy(&x, (const char *)src + i * sizeof x, sizeof x);
    return x;
}

/* out[i] = the i-th of n elements of type F32, F16 or BF16. */
static inline void plim_widen(float *out, const void *src, size_t n, plim_dtype dtype)
{
    if (dtype == PLIM_F32)
        memcpy(out, src, n * sizeof *out);
    else if (dtype == PLIM_BF16)
        for (size_t i = 0; i < n; i++)
            out[i] = plim_f32_from_bf16(plim_load_u16(src, i));
    else
        for (size_t i = 0; i < n; i++)
            out[i] = plim_f32_from_f16(plim_load_u16(src, i));
}

/* act(x) by libm. */
float plim_activation_ref(float x, plim_activation act);
void plim_activations_ref(plim_kernels *out);
void plim_products_ref(plim_kernels *out);
void plim_attention_ref(plim_kernels *out);
void plim_casts_ref(plim_kernels *out);
void plim_quant_ref(plim_kernels *out);

#endif
