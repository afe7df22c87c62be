/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel table: arrays in, arrays out.  Plain C fills every slot and is always right; better
 * instruction sets overwrite what they do better (kernels_avx2.c, kernels_avx512.c).
 * Invariants:
 *  1. Within one table, the bits of an output (a NaN's payload aside) do not depend on how many
 *     rows, outputs or extents one call covers, or on the thread that makes it: one order of
 *     summation per slot, block bounds at absolute positions.  Tables may differ in the last bits.
 *  2. No slot allocates, none changes the floating-point mode, none needs more than 96 KiB of
 * stack.
 *  3. Arrays may be unaligned beyond their element's size; those of casts, altogether.
 *  4. Nothing beyond the ends of an array is read or written, be it by a byte. */
#ifndef PLIM_KERNELS_KERNELS_H
#define PLIM_KERNELS_KERNELS_H

#include "tensor/dtype.h"

/* dst[i] = (dst type)src[i] for n elements; the semantics are PyTorch's (round to nearest even; NaN
 * stays NaN; overflow to infinity; to f16 and bf16 by way of f32; float to integer truncates, and
 * what is out of range becomes the nearest, NaN 0; to bool: != 0).  src and dst do not overlap. */
typedef void (*plim_cast_fn)(void *dst, const void *src, size_t n);

/* Products over a tile of a weight in [out, in] layout:
 *   y[r * y_stride + o] = sum_k x[r * x_stride + k] * w[o][k]     r < rows, o < outputs, k < inputs
 * with w[o] at (char *)w + o * w_row_bytes.  f32 accumulation, vector lanes at absolute k.
 * With many rows, outputs in multiples of 48 waste nothing; with few, long tiles read faster. */
typedef struct plim_product {
    float *y;
    const float *x;
    const void *w;
    size_t y_stride, x_stride; /* elements */
    size_t w_row_bytes;
    size_t rows, outputs, inputs;
} plim_product;
typedef void (*plim_product_fn)(const plim_product *p);

/* The same for [in, out] layout (GPT-2): w[k] is a row of all outputs, and the call adds inputs
 * k0..k0+inputs to what y holds (the caller clears y first), in ascending k:
 *   y[r * y_stride + o] += x[r * x_stride + k] * w[k][o]          o < outputs, k < inputs
 * y, x and w point at the first output / input of the tile. */

/* Attention of one query row, one KV head and the `group` query heads that share it.
 *   score[g][t] = scale * dot(q[g], k[t]),  t in [first, last];  y[g] = softmax(score[g]) . v
 * k[t], v[t] at k + t * kv_row_bytes (element type by slot).  Blockwise softmax with blocks of 64
 * at absolute positions: the result does not depend on what else is computed.  q, y: f32
 * [group][head_dim]. */
typedef struct plim_attention {
    float *y;
    const float *q;
    const void *k, *v;
    size_t kv_row_bytes;
    size_t first, last; /* positions, both included */
    size_t group, head_dim;
    size_t q_stride, y_stride; /* elements between the heads of the group */
    float scale;
} plim_attention;
typedef void (*plim_attention_fn)(const plim_attention *a);

typedef enum plim_activation {
    PLIM_ACT_GELU,      /* erf */
    PLIM_ACT_GELU_TANH, /* gelu_new, gelu_pytorch_tanh, gelu_fast differ in the last bits only */
    PLIM_ACT_QUICK_GELU,
    PLIM_ACT_RELU,
    PLIM_ACT_RELU2,
    PLIM_ACT_SILU,
    PLIM_ACT_TANH,
    PLIM_ACT_SIGMOID,
    PLIM_ACT_IDENTITY,
    PLIM_ACT_LEAKY_RELU, /* 0.01 */
    PLIM_ACT_RELU6,
    PLIM_ACT_MISH,
    PLIM_ACT_GELU_10, /* gelu clipped to [-10, 10]; this one and those below are rare: scalar in
                         every table */
    PLIM_ACT_HARDSWISH,
    PLIM_ACT_LAPLACE,
    PLIM_ACT_SQRT_SOFTPLUS,
    PLIM_ACT_COUNT
} plim_activation;

typedef struct plim_kernels {
    const char *name; /* "scalar", "avx2", "avx512" */

    /* NULL where there is no such cast; [dst][src].  Among F64 F32 F16 BF16, the integers and BOOL.
     */
    plim_cast_fn cast[PLIM_DTYPE_COUNT][PLIM_DTYPE_COUNT];

    /* Indexed by the weight's type: F32, F16, BF16; NULL elsewhere. */
    plim_product_fn product_out_in[PLIM_DTYPE_COUNT];
    plim_product_fn product_in_out[PLIM_DTYPE_COUNT];
    plim_attention_fn attention[PLIM_DTYPE_COUNT]; /* by KV type */

    /* y[i] = w[i] * x[i] / sqrt(mean(x^2) + eps); sums in f32 as PyTorch's order is not defined. y
     * may be x. */
    void (*rms_norm)(float *y, const float *x, const float *w, size_t n, float eps);
    /* y = (x - mean) / sqrt(var + eps) * w + b; b may be NULL. */
    void (*layer_norm)(float *y, const float *x, const float *w, const float *b, size_t n,
                       float eps);
    /* Rotate pairs (x[i], x[i + half]), i < half: x' = x cos - x2 sin, x2' = x2 cos + x sin.  In
     * place. */
    void (*rope)(float *x, const float *cos, const float *sin, size_t half);
    void (*add)(float *y, const float *x, size_t n); /* y += x */
    /* x[i] = act(x[i]); gated: x[i] = act(x[i]) * up[i]. */
    void (*activate)(float *x, size_t n, plim_activation act);
    void (*activate_gated)(float *x, const float *up, size_t n, plim_activation act);
    /* Index of the largest (the first of equals; NaN never). */
    size_t (*argmax)(const float *x, size_t n);
} plim_kernels;

/* Fill the table for the instruction sets in `cpu` (PLIM_CPU_*; already masked with what exists).
 */
void plim_kernels_init(plim_kernels *out, unsigned cpu);

void plim_kernels_ref(plim_kernels *out);
void plim_kernels_avx2(plim_kernels *out);
void plim_kernels_avx512(plim_kernels *out);

#endif
