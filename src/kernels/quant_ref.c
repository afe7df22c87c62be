/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups in plain C: quantising weights and activations, and the products of both.  This file says
 * what the other tables must give to the last bit. */
#include <math.h>

#include "kernels/ref.h"

enum { GROUP = PLIM_GROUP };

/* ---- weights ---- */

static uint16_t narrow_scale(float scale)
{
    return plim_f16_from_f32(scale);
}

/* Largest magnitude, or NaN where one is not finite. */
static float largest_of(const float x[GROUP])
{
    float top = 0.0f;
    for (int i = 0; i < GROUP; i++) {
        float a = fabsf(x[i]);
        if (!(a <= 3.40282347e38f))
            return NAN;
        top = a > top ? a : top;
    }
    return top;
}

static void quantise_8(void *quants, void *scales, const float *src, size_t n)
{
    for (size_t g = 0; g < n / GROUP; g++) {
        float x[GROUP];
        memcpy(x, src + g * GROUP, sizeof x);
        uint16_t half = narrow_scale(largest_of(x) / 127.0f);
        float scale = plim_f32_from_f16(half), inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
        memcpy((char *)scales + 2 * g, &half, 2);
        for (int i = 0; i < GROUP; i++) {
            float q = rintf(x[i] * inverse);
            q = q > 127.0f ? 127.0f : q > -128.0f ? q : -128.0f;
            ((uint8_t *)quants)[g * GROUP + i] = (uint8_t)((int)q + 128);
        }
    }
}

/* The level of x on a grid of `inverse` = 1 / scale. */
static float level_4(float x, float inverse)
{
    float q = rintf(x * inverse);
    return q > 7.0f ? 7.0f : q > -8.0f ? q : -8.0f;
}

static void quantise_4(void *quants, void *scales, const float *src, size_t n)
{
    for (size_t g = 0; g < n / GROUP; g++) {
        float x[GROUP], extreme = 0.0f;
        memcpy(x, src + g * GROUP, sizeof x);
        float top = largest_of(x);
        for (int i = 0; i < GROUP; i++)
            extreme = fabsf(x[i]) > fabsf(extreme) ? x[i] : extreme;
        uint16_t half = narrow_scale(top == top ? extreme / -8.0f : NAN);
        float scale = plim_f32_from_f16(half),
              inverse = scale == scale && scale != 0.0f ? 1.0f / scale : 0.0f;
        memcpy((char *)scales + 2 * g, &half, 2);
        for (int i = 0; i < GROUP; i += 2)
            ((uint8_t *)quants)[(g * GROUP + i) / 2] =
                (uint8_t)(((int)level_4(x[i], inverse) + 8) | ((int)level_4(x[i + 1], inverse) + 8)
                                                                  << 4);
    }
}

static int quant_of(const uint8_t *quants, size_t k, plim_dtype format)
{
    if (format == PLIM_Q8)
        return quants[k] - 128;
    return (quants[k / 2] >> (k % 2 ? 4 : 0) & 15) - 8;
}

static inline void dequantise(float *y, const void *quants, const void *scales, size_t n,
                              plim_dtype format)
{
    for (size_t k = 0; k < n; k++)
        y[k] = plim_f32_from_f16(plim_load_u16(scales, k / GROUP)) *
               (float)quant_of(quants, k, format);
}

static void dequantise_8(float *y, const void *quants, const void *scales, size_t n)
{
    dequantise(y, quants, scales, n, PLIM_Q8);
}

static void dequantise_4(float *y, const void *quants, const void *scales, size_t n)
{
    dequantise(y, quants, scales, n, PLIM_Q4);
}

/* ---- activations ---- */

/* A packed row: int8 [inputs], then a scale f32 per group. */
static size_t packed_row_bytes(size_t inputs)
{
    return inputs + inputs / GROUP * sizeof(float);
}

static void pack(const plim_pack *p)
{
    for (size_t r = p->first; r < p->first + p->rows; r++) {
        int8_t *q = (int8_t *)p->dst + r * packed_row_bytes(p->inputs);
        float *scales = (float *)(void *)(q + p->inputs);
        for (size_t g = 0; g < p->inputs / GROUP; g++) {
            const float *x = p->x + r * p->x_stride + g * GROUP;
            float top = largest_of(x), inverse = top > 0.0f ? 127.0f / top : 0.0f;
            scales[g] = top / 127.0f;
            for (int i = 0; i < GROUP; i++)
                q[g * GROUP + i] = (int8_t)rintf(x[i] * inverse);
        }
    }
}

static inline void product(const plim_product *p, plim_dtype format)
{
    for (size_t r = 0; r < p->rows; r++) {
        const int8_t *q = (const int8_t *)p->packed + r * packed_row_bytes(p->packed_inputs);
        const float *scales =
            (const float *)(const void *)(q + p->packed_inputs) + p->first_input / GROUP;
        q += p->first_input;
        for (size_t o = 0; o < p->outputs; o++) {
            const uint8_t *w = (const uint8_t *)p->w + o * p->w_row_bytes;
            const char *w_scales = (const char *)p->scales + o * p->scale_row_bytes;
            float y = p->y[r * p->y_stride + o];
            for (size_t g = 0; g < p->inputs / GROUP; g++) {
                int32_t sum = 0;
                for (size_t k = g * GROUP; k < (g + 1) * GROUP; k++)
                    sum += q[k] * quant_of(w, k, format);
                y = fmaf(scales[g] * plim_f32_from_f16(plim_load_u16(w_scales, g)), (float)sum, y);
            }
            p->y[r * p->y_stride + o] = y;
        }
    }
}

static void product_8(const plim_product *p)
{
    product(p, PLIM_Q8);
}

static void product_4(const plim_product *p)
{
    product(p, PLIM_Q4);
}

void plim_quant_ref(plim_kernels *out)
{
    out->quantise[PLIM_Q8] = quantise_8;
    out->quantise[PLIM_Q4] = quantise_4;
    out->dequantise[PLIM_Q8] = dequantise_8;
    out->dequantise[PLIM_Q4] = dequantise_4;
    out->pack[PLIM_Q8] = out->pack[PLIM_Q4] = pack;
    out->pack_from[PLIM_Q8] = out->pack_from[PLIM_Q4] = 1;
    out->product_out_in[PLIM_Q8] = product_8;
    out->product_out_in[PLIM_Q4] = product_4;
}
