/* SPDX-License-Identifier: Apache-2.0
 *
 * The scalar table: plain C for every slot, on any machine.  This file holds the norms and the
 * small loops; products, casts and activations have files of their own. */
#include <math.h>

#include "kernels/ref.h"

enum { LANES = 16 };

/* Sum of x[i] - shift, or of its squares: 16 partial sums, added pairwise. */
static float sum_shifted(const float *x, size_t n, float shift, bool squares)
{
    float lane[LANES] = {0};
    for (size_t i = 0; i < n; i++) {
        float d = x[i] - shift;
        lane[i % LANES] += squares ? d * d : d;
    }
    for (size_t width = LANES / 2; width > 0; width /= 2)
        for (size_t i = 0; i < width; i++)
            lane[i] += lane[i + width];
    return lane[0];
}

static void rms_norm(float *y, const float *x, const float *w, size_t n, float eps)
{
    float scale = 1.0f / sqrtf(sum_shifted(x, n, 0.0f, true) / (float)n + eps);
    for (size_t i = 0; i < n; i++)
        y[i] = w[i] * (x[i] * scale);
}

static void layer_norm(float *y, const float *x, const float *w, const float *b, size_t n,
                       float eps)
{
    float mean = sum_shifted(x, n, 0.0f, false) / (float)n;
    float scale = 1.0f / sqrtf(sum_shifted(x, n, mean, true) / (float)n + eps);
    for (size_t i = 0; i < n; i++)
        y[i] = (x[i] - mean) * scale * w[i] + (b ? b[i] : 0.0f);
}

static void rope(float *x, const float *cos, const float *sin, size_t half)
{
    for (size_t i = 0; i < half; i++) {
        float x1 = x[i], x2 = x[i + half];
        x[i] = x1 * cos[i] - x2 * sin[i];
        x[i + half] = x2 * cos[i] + x1 * sin[i];
    }
}

static void add(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

static size_t argmax(const float *x, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best] || (x[best] != x[best] && x[i] == x[i]))
            best = i;
    return best;
}

void plim_kernels_ref(plim_kernels *out)
{
    *out = (plim_kernels){.name = "scalar",
                          .rms_norm = rms_norm,
                          .layer_norm = layer_norm,
                          .rope = rope,
                          .add = add,
                          .argmax = argmax};
    for (int i = 0; i < PLIM_DTYPE_COUNT; i++)
        out->pack_from[i] = SIZE_MAX;
    plim_casts_ref(out);
    plim_products_ref(out);
    plim_attention_ref(out);
    plim_activations_ref(out);
    plim_quant_ref(out);
}
