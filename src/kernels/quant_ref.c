/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups in plain C: quantising weights and activations, and the products of both.  This file says
 * what the other tables must give to the last bit. */
#include <float.h>
#include <math.h>

#include "kernels/quant.h"
#include "kernels/ref.h"

enum { GROUP = PLIM_GROUP };

/* One over the levels: rounding to f16 takes what a product is less exact than a quotient. */
const float plim_quant_factors[PLIM_QUANT_FACTORS] = {
    -1.0f / 8.0f,  -1.0f,         -1.0f / 2.0f,  -1.0f / 3.0f,  -1.0f / 4.0f,  -1.0f / 5.0f,
    -1.0f / 6.0f,  -1.0f / 6.25f, -1.0f / 6.5f,  -1.0f / 6.75f, -1.0f / 7.0f,  -1.0f / 7.25f,
    -1.0f / 7.5f,  -1.0f / 7.75f, -1.0f / 8.25f, -1.0f / 8.5f,  -1.0f / 8.75f, -1.0f / 9.0f,
    -1.0f / 9.25f, -1.0f / 9.5f,  -1.0f / 9.75f, -1.0f / 10.0f,
};

/* ---- weights ---- */

/* Largest magnitude, or NaN where one is not finite. */
static float largest_of(const float x[GROUP])
{
    float top = 0.0f;
    for (int i = 0; i < GROUP; i++) {
        float a = fabsf(x[i]);
        if (!(a <= FLT_MAX))
            return NAN;
        top = a > top ? a : top;
    }
    return top;
}

/* As it is kept: f16, the largest of which is as far as weights go; never -0. */
static float round_scale(float scale)
{
    scale = scale > PLIM_F16_MAX ? PLIM_F16_MAX : scale < -PLIM_F16_MAX ? -PLIM_F16_MAX : scale;
    return plim_f32_from_f16(plim_f16_from_f32(scale)) + 0.0f;
}

static float inverse_of(float scale)
{
    return scale == 0.0f ? 0.0f : 1.0f / scale;
}

static float level(float x, float inverse, float lowest, float highest)
{
    float q = rintf(x * inverse);
    return q > highest ? highest : q > lowest ? q : lowest;
}

/* Each weight's share in the errors of all scales, which a compiler may take side by side. */
static float search_8(const float x[GROUP], float top)
{
    enum { COUNT = PLIM_QUANT_SCALES };
    float scale[COUNT], inverse[COUNT], error[COUNT] = {0};
    for (int c = 0; c < COUNT; c++) {
        scale[c] = round_scale(top * (1.0f / (float)(127 - c)));
        if (top >
            127.5f * scale[c]) /* f16 denormals are coarse: rather a larger one than to clip */
            scale[c] = round_scale(scale[c] + 0x1p-24f);
        inverse[c] = inverse_of(scale[c]);
    }
    for (int i = 0; i < GROUP; i++)
        for (int c = 0; c < COUNT; c++) {
            float q = fmaf(x[i], inverse[c], PLIM_QUANT_POINT) - PLIM_QUANT_POINT;
            float rest = fmaf(-scale[c], q, x[i]);
            error[c] = fmaf(rest, rest, error[c]);
        }
    int best = 0;
    for (int c = 1; c < COUNT; c++)
        best = error[c] < error[best] ? c : best;
    return scale[best];
}

static void quantise_8(void *quants, void *scales, const float *src, size_t n)
{
    uint8_t *to = quants;
    for (size_t g = 0; g < n / GROUP; g++) {
        float x[GROUP];
        memcpy(x, src + g * GROUP, sizeof x);
        float top = largest_of(x);
        bool finite = top == top;
        float scale = finite ? search_8(x, top) : 0.0f;
        uint16_t half = finite ? plim_f16_from_f32(scale) : PLIM_F16_NAN;
        memcpy((char *)scales + 2 * g, &half, sizeof half);
        for (int i = 0; i < GROUP; i++)
            to[g * GROUP + i] =
                finite ? (uint8_t)((int)level(x[i], inverse_of(scale), -128.0f, 127.0f) + 128)
                       : 128;
    }
}

/* What is left of x after its nearest level, squared and summed in ascending order. */
static float error_4(const float x[GROUP], float scale)
{
    float error = 0.0f, inverse = inverse_of(scale);
    for (int i = 0; i < GROUP; i++) {
        float rest = fmaf(-scale, level(x[i], inverse, -8.0f, 7.0f), x[i]);
        error = fmaf(rest, rest, error);
    }
    return error;
}

/* The scale that is best for the levels which `scale` gives: sum xq / sum qq. */
static float refit_4(const float x[GROUP], float scale)
{
    float xq = 0.0f, qq = 0.0f, inverse = inverse_of(scale);
    for (int i = 0; i < GROUP; i++) {
        float q = level(x[i], inverse, -8.0f, 7.0f);
        xq = fmaf(x[i], q, xq);
        qq = fmaf(q, q, qq);
    }
    return round_scale(xq / (qq > 0.0f ? qq : 1.0f));
}

/* The best of the scales that put the extreme on the levels searched, then of refits. */
static float search_4(const float x[GROUP])
{
    float extreme = 0.0f, best = 0.0f, least = INFINITY;
    for (int i = 0; i < GROUP; i++)
        extreme = fabsf(x[i]) > fabsf(extreme) ? x[i] : extreme;
    for (int c = 0; c < PLIM_QUANT_FACTORS + PLIM_QUANT_REFITS; c++) {
        float scale = c < PLIM_QUANT_FACTORS ? round_scale(extreme * plim_quant_factors[c])
                                             : refit_4(x, best);
        float error = error_4(x, scale);
        if (c == 0 || error < least) { /* never where weights near FLT_MAX overflow: the first */
            best = scale;
            least = error;
        }
    }
    return best;
}

static void quantise_4(void *quants, void *scales, const float *src, size_t n)
{
    uint8_t *to = quants;
    for (size_t g = 0; g < n / GROUP; g++) {
        float x[GROUP];
        memcpy(x, src + g * GROUP, sizeof x);
        bool finite = !isnan(largest_of(x));
        float scale = finite ? search_4(x) : 0.0f, inverse = inverse_of(scale);
        uint16_t half = finite ? plim_f16_from_f32(scale) : PLIM_F16_NAN;
        memcpy((char *)scales + 2 * g, &half, sizeof half);
        for (int i = 0; i < GROUP; i += 2) {
            int low = finite ? (int)level(x[i], inverse, -8.0f, 7.0f) + 8 : 8;
            int high = finite ? (int)level(x[i + 1], inverse, -8.0f, 7.0f) + 8 : 8;
            to[(g * GROUP + i) / 2] = (uint8_t)(low | high << 4);
        }
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

/* A packed row: a scale f32 per group, then int8 [inputs]. */
static size_t packed_row_bytes(size_t inputs)
{
    return inputs + inputs / GROUP * sizeof(float);
}

static void pack(const plim_pack *p)
{
    for (size_t r = p->first; r < p->first + p->rows; r++) {
        float *scales = (float *)(void *)((char *)p->dst + r * packed_row_bytes(p->inputs));
        int8_t *q = (int8_t *)(scales + p->inputs / GROUP);
        for (size_t g = 0; g < p->inputs / GROUP; g++) {
            const float *x = p->x + r * p->x_stride + g * GROUP;
            float top = largest_of(x);
            bool some = top >= PLIM_QUANT_LEAST; /* no NaN either */
            float inverse = some ? 127.0f / top : 0.0f;
            scales[g] = top < PLIM_QUANT_LEAST ? 0.0f : top / 127.0f;
            for (int i = 0; i < GROUP; i++)
                q[g * GROUP + i] = some ? (int8_t)rintf(x[i] * inverse) : 0;
        }
    }
}

static inline void product(const plim_product *p, plim_dtype format)
{
    for (size_t r = 0; r < p->rows; r++) {
        const char *row = (const char *)p->packed + r * packed_row_bytes(p->packed_inputs);
        const float *scales = (const float *)(const void *)row + p->first_input / GROUP;
        const int8_t *q =
            (const int8_t *)row + p->packed_inputs / GROUP * sizeof(float) + p->first_input;
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
