/* SPDX-License-Identifier: Apache-2.0
 *
 * Norms, rope, add, activations and argmax for any vector length; included once by each instruction
 * set's file, after simd_*.h and math_simd.h.  Every element gets the same operations wherever it
 * stands, at the end of an array too. */
#ifndef PLIM_KERNELS_ELEMENTWISE_SIMD_H
#define PLIM_KERNELS_ELEMENTWISE_SIMD_H

#include <math.h>

#include "kernels/ref.h"

/* ---- norms ---- */

SIMD_INLINE vf deviation(vf x, vf shift, bool squares, vf sum)
{
    vf d = vf_sub(x, shift);
    return squares ? vf_fma(d, d, sum) : vf_add(d, sum);
}

/* Sum of x[i] - shift, or of its squares. */
SIMD_INLINE float sum_shifted(const float *x, size_t n, float shift, bool squares)
{
    vf by = vf_set1(shift), sum[4] = {vf_zero(), vf_zero(), vf_zero(), vf_zero()};
    size_t i = 0;
    for (; i + 4 * VL <= n; i += 4 * VL)
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++)
            sum[j] = deviation(vf_load(x + i + (size_t)j * VL), by, squares, sum[j]);
    for (; i + VL <= n; i += VL)
        sum[0] = deviation(vf_load(x + i), by, squares, sum[0]);
    float total = vf_sum(vf_add(vf_add(sum[0], sum[1]), vf_add(sum[2], sum[3])));
    for (; i < n; i++) {
        float d = x[i] - shift;
        total += squares ? d * d : d;
    }
    return total;
}

static void rms_norm(float *y, const float *x, const float *w, size_t n, float eps)
{
    vf scale = vf_set1(1.0f / sqrtf(sum_shifted(x, n, 0.0f, true) / (float)n + eps));
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        vf_store(y + i, vf_mul(vf_load(w + i), vf_mul(vf_load(x + i), scale)));
    if (i < n)
        vf_store_tail(y + i,
                      vf_mul(vf_load_tail(w + i, n - i), vf_mul(vf_load_tail(x + i, n - i), scale)),
                      n - i);
}

SIMD_INLINE vf centred(vf x, vf mean, vf scale, vf w, vf b)
{
    return vf_fma(vf_mul(vf_sub(x, mean), scale), w, b);
}

static void layer_norm(float *y, const float *x, const float *w, const float *b, size_t n,
                       float eps)
{
    float centre = sum_shifted(x, n, 0.0f, false) / (float)n;
    vf mean = vf_set1(centre);
    vf scale = vf_set1(1.0f / sqrtf(sum_shifted(x, n, centre, true) / (float)n + eps));
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        vf_store(y + i, centred(vf_load(x + i), mean, scale, vf_load(w + i),
                                b ? vf_load(b + i) : vf_zero()));
    if (i < n) {
        size_t m = n - i;
        vf add = b ? vf_load_tail(b + i, m) : vf_zero();
        vf_store_tail(y + i,
                      centred(vf_load_tail(x + i, m), mean, scale, vf_load_tail(w + i, m), add), m);
    }
}

/* ---- rope, add ---- */

static void rope(float *x, const float *cos, const float *sin, size_t half)
{
    size_t i = 0;
    for (; i + VL <= half; i += VL) {
        vf a = vf_load(x + i), b = vf_load(x + half + i), c = vf_load(cos + i),
           s = vf_load(sin + i);
        vf_store(x + i, vf_sub(vf_mul(a, c), vf_mul(b, s)));
        vf_store(x + half + i, vf_add(vf_mul(b, c), vf_mul(a, s)));
    }
    for (; i < half; i++) {
        float a = x[i], b = x[half + i];
        x[i] = a * cos[i] - b * sin[i];
        x[half + i] = b * cos[i] + a * sin[i];
    }
}

static void add(float *y, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        vf_store(y + i, vf_add(vf_load(y + i), vf_load(x + i)));
    for (; i < n; i++)
        y[i] += x[i];
}

/* ---- activations ---- */

SIMD_INLINE vf activation(vf x, plim_activation act)
{
    vf zero = vf_zero(), one = vf_set1(1.0f), half_x = vf_mul(vf_set1(0.5f), x);
    switch (act) {
    case PLIM_ACT_GELU:
        return vf_mul(half_x, vf_one_plus_erf(vf_mul(x, vf_set1(0.707106781f))));
    case PLIM_ACT_GELU_TANH: {
        vf cube = vf_mul(vf_mul(x, x), x), inner = vf_fma(vf_set1(0.044715f), cube, x);
        return vf_mul(half_x, vf_one_plus_tanh(vf_mul(vf_set1(0.797884561f), inner)));
    }
    case PLIM_ACT_QUICK_GELU:
        return vf_div(x, vf_add(one, vf_exp(vf_mul(vf_set1(-1.702f), x))));
    case PLIM_ACT_RELU:
        return vf_if_less(x, zero, zero, x); /* NaN stays */
    case PLIM_ACT_RELU2:
        return vf_if_less(x, zero, zero, vf_mul(x, x));
    case PLIM_ACT_SILU:
        return vf_div(x, vf_add(one, vf_exp(vf_sub(zero, x))));
    case PLIM_ACT_TANH:
        return vf_tanh(x);
    case PLIM_ACT_SIGMOID:
        return vf_div(one, vf_add(one, vf_exp(vf_sub(zero, x))));
    case PLIM_ACT_LEAKY_RELU:
        return vf_if_less(x, zero, vf_mul(vf_set1(0.01f), x), x);
    case PLIM_ACT_RELU6:
        return vf_if_less(x, zero, zero, vf_if_less(vf_set1(6.0f), x, vf_set1(6.0f), x));
    case PLIM_ACT_MISH: { /* tanh(log(1 + e)) = m / (m + 2), m = e (e + 2); x itself beyond 20 */
        vf e = vf_exp(vf_min(vf_set1(20.0f), x)), m = vf_mul(e, vf_add(e, vf_set1(2.0f)));
        vf y = vf_mul(x, vf_div(m, vf_add(m, vf_set1(2.0f))));
        return vf_if_less(vf_set1(20.0f), x, x, y);
    }
    default:
        return x;
    }
}

SIMD_INLINE void activate_all(float *x, const float *up, size_t n, plim_activation act)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL) {
        vf y = activation(vf_load(x + i), act);
        vf_store(x + i, up ? vf_mul(y, vf_load(up + i)) : y);
    }
    if (i < n) {
        vf y = activation(vf_load_tail(x + i, n - i), act);
        vf_store_tail(x + i, up ? vf_mul(y, vf_load_tail(up + i, n - i)) : y, n - i);
    }
}

/* One loop for each function, with nothing to decide in it. */
static void activate_up(float *x, const float *up, size_t n, plim_activation act)
{
    switch (act) {
    case PLIM_ACT_GELU:
        activate_all(x, up, n, PLIM_ACT_GELU);
        break;
    case PLIM_ACT_GELU_TANH:
        activate_all(x, up, n, PLIM_ACT_GELU_TANH);
        break;
    case PLIM_ACT_QUICK_GELU:
        activate_all(x, up, n, PLIM_ACT_QUICK_GELU);
        break;
    case PLIM_ACT_RELU:
        activate_all(x, up, n, PLIM_ACT_RELU);
        break;
    case PLIM_ACT_RELU2:
        activate_all(x, up, n, PLIM_ACT_RELU2);
        break;
    case PLIM_ACT_SILU:
        activate_all(x, up, n, PLIM_ACT_SILU);
        break;
    case PLIM_ACT_TANH:
        activate_all(x, up, n, PLIM_ACT_TANH);
        break;
    case PLIM_ACT_SIGMOID:
        activate_all(x, up, n, PLIM_ACT_SIGMOID);
        break;
    case PLIM_ACT_LEAKY_RELU:
        activate_all(x, up, n, PLIM_ACT_LEAKY_RELU);
        break;
    case PLIM_ACT_RELU6:
        activate_all(x, up, n, PLIM_ACT_RELU6);
        break;
    case PLIM_ACT_MISH:
        activate_all(x, up, n, PLIM_ACT_MISH);
        break;
    case PLIM_ACT_IDENTITY:
        activate_all(x, up, n, PLIM_ACT_IDENTITY);
        break;
    default:
        for (size_t i = 0; i < n; i++)
            x[i] = plim_activation_ref(x[i], act) * (up ? up[i] : 1.0f);
    }
}

static void activate(float *x, size_t n, plim_activation act)
{
    activate_up(x, NULL, n, act);
}

/* ---- argmax ---- */

/* One pass; then the first of the block in which the largest was first seen. */
static size_t argmax(const float *x, size_t n)
{
    enum { BLOCK = 256 };
    float largest = -INFINITY;
    size_t i = 0, at = 0;
    for (; i + BLOCK <= n; i += BLOCK) {
        vf top[2] = {vf_set1(-INFINITY), vf_set1(-INFINITY)};
        for (size_t j = i; j < i + BLOCK; j += 2 * VL) { /* passes over NaN */
            top[0] = vf_max(vf_load(x + j), top[0]);
            top[1] = vf_max(vf_load(x + j + VL), top[1]);
        }
        float most = vf_largest(vf_max(top[0], top[1]));
        if (most > largest) {
            largest = most;
            at = i;
        }
    }
    for (; i < n; i++)
        if (x[i] > largest) {
            largest = x[i];
            at = i;
        }
    for (; at < n; at++)
        if (x[at] == largest)
            return at;
    return 0; /* nothing but NaN */
}

static void set_elementwise(plim_kernels *out)
{
    out->rms_norm = rms_norm;
    out->layer_norm = layer_norm;
    out->rope = rope;
    out->add = add;
    out->activate = activate;
    out->activate_gated = activate_up;
    out->argmax = argmax;
}

#endif
