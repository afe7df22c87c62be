/* SPDX-License-Identifier: Apache-2.0
 *
 * Activation functions by libm, with the formulas of PyTorch and Transformers. */
#include <math.h>

#include "kernels/ref.h"

static float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

static float clip(float x, float low, float high)
{
    return x < low ? low : x > high ? high : x; /* NaN stays */
}

float plim_activation_ref(float x, plim_activation act)
{
    switch (act) {
    case PLIM_ACT_GELU:
        return 0.5f * x * (1.0f + erff(x * 0.70710678118654752440f));
    case PLIM_ACT_GELU_TANH: /* sqrt(2 / pi) */
        return 0.5f * x * (1.0f + tanhf(0.79788456080286535588f * (x + 0.044715f * x * x * x)));
    case PLIM_ACT_QUICK_GELU:
        return x * sigmoid(1.702f * x);
    case PLIM_ACT_RELU:
        return x < 0.0f ? 0.0f : x; /* NaN stays */
    case PLIM_ACT_RELU2:
        return x < 0.0f ? 0.0f : x * x;
    case PLIM_ACT_SILU:
        return x / (1.0f + expf(-x));
    case PLIM_ACT_TANH:
        return tanhf(x);
    case PLIM_ACT_SIGMOID:
        return sigmoid(x);
    case PLIM_ACT_LEAKY_RELU:
        return x < 0.0f ? 0.01f * x : x;
    case PLIM_ACT_RELU6:
        return x < 0.0f ? 0.0f : x > 6.0f ? 6.0f : x;
    case PLIM_ACT_MISH: /* softplus is x beyond 20, as in PyTorch */
        return x * tanhf(x > 20.0f ? x : log1pf(expf(x)));
    case PLIM_ACT_GELU_10:
        return clip(plim_activation_ref(x, PLIM_ACT_GELU), -10.0f, 10.0f);
    case PLIM_ACT_HARDSWISH:
        return x * (clip(x + 3.0f, 0.0f, 6.0f) / 6.0f);
    case PLIM_ACT_LAPLACE: /* mu 0.707107, sigma 0.282095 (Ma et al. 2022) */
        return 0.5f * (1.0f + erff((x - 0.707107f) / (0.282095f * 1.41421356237309504880f)));
    case PLIM_ACT_SQRT_SOFTPLUS:
        return sqrtf(x > 20.0f ? x : log1pf(expf(x)));
    default:
        return x;
    }
}

static void activate(float *x, size_t n, plim_activation act)
{
    for (size_t i = 0; i < n; i++)
        x[i] = plim_activation_ref(x[i], act);
}

static void activate_gated(float *x, const float *up, size_t n, plim_activation act)
{
    for (size_t i = 0; i < n; i++)
        x[i] = plim_activation_ref(x[i], act) * up[i];
}

void plim_activations_ref(plim_kernels *out)
{
    out->activate = activate;
    out->activate_gated = activate_gated;
}
