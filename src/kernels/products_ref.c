/* SPDX-License-Identifier: Apache-2.0
 *
 * Products in plain C.
 * Order of summation: a dot product has 16 partial sums, number i for the columns with k % 16 == i,
 * added pairwise at the end; an output of an [in, out] weight is one sum in ascending k. */
#include <math.h>

#include "kernels/ref.h"

enum { LANES = 16, COLUMNS = 512, ROWS = 32, OUTPUTS = 256 };

static inline float sum_of_lanes(const float lane[LANES])
{
    float a[LANES];
    memcpy(a, lane, sizeof a);
    for (size_t width = LANES / 2; width > 0; width /= 2)
        for (size_t i = 0; i < width; i++)
            a[i] += a[i + width];
    return a[0];
}

/* lane[k % 16] += x[k] * w[k]; the first k is a multiple of 16. */
static inline void add_products(float lane[LANES], const float *x, const float *w, size_t n)
{
    size_t k = 0;
    for (; k + LANES <= n; k += LANES)
        for (size_t i = 0; i < LANES; i++)
            lane[i] += x[k + i] * w[k + i];
    for (size_t i = 0; k + i < n; i++)
        lane[i] += x[k + i] * w[k + i];
}

static inline void product_out_in(const plim_product *p, plim_dtype dtype)
{
    float w[COLUMNS], lane[ROWS][LANES];
    size_t bytes = dtype == PLIM_F32 ? 4 : 2;
    for (size_t o = 0; o < p->outputs; o++) {
        const char *row = (const char *)p->w + o * p->w_row_bytes;
        for (size_t r0 = 0; r0 < p->rows; r0 += ROWS) {
            size_t rows = p->rows - r0 < ROWS ? p->rows - r0 : ROWS;
            memset(lane, 0, rows * sizeof lane[0]);
            for (size_t k = 0; k < p->inputs; k += COLUMNS) {
                size_t n = p->inputs - k < COLUMNS ? p->inputs - k : COLUMNS;
                plim_widen(w, row + k * bytes, n, dtype);
                for (size_t r = 0; r < rows; r++)
                    add_products(lane[r], p->x + (r0 + r) * p->x_stride + k, w, n);
            }
            for (size_t r = 0; r < rows; r++)
                p->y[(r0 + r) * p->y_stride + o] = sum_of_lanes(lane[r]);
        }
    }
}

static void product_out_in_f32(const plim_product *p)
{
    product_out_in(p, PLIM_F32);
}

static void product_out_in_f16(const plim_product *p)
{
    product_out_in(p, PLIM_F16);
}

static void product_out_in_bf16(const plim_product *p)
{
    product_out_in(p, PLIM_BF16);
}

static inline void product_in_out(const plim_product *p, plim_dtype dtype)
{
    float w[OUTPUTS];
    size_t bytes = dtype == PLIM_F32 ? 4 : 2;
    for (size_t k = 0; k < p->inputs; k++) {
        const char *row = (const char *)p->w + k * p->w_row_bytes;
        for (size_t o = 0; o < p->outputs; o += OUTPUTS) {
            size_t n = p->outputs - o < OUTPUTS ? p->outputs - o : OUTPUTS;
            plim_widen(w, row + o * bytes, n, dtype);
            for (size_t r = 0; r < p->rows; r++) {
                float *y = p->y + r * p->y_stride + o, x = p->x[r * p->x_stride + k];
                for (size_t i = 0; i < n; i++)
                    y[i] += x * w[i];
            }
        }
    }
}

static void product_in_out_f32(const plim_product *p)
{
    product_in_out(p, PLIM_F32);
}

static void product_in_out_f16(const plim_product *p)
{
    product_in_out(p, PLIM_F16);
}

static void product_in_out_bf16(const plim_product *p)
{
    product_in_out(p, PLIM_BF16);
}

void plim_products_ref(plim_kernels *out)
{
    out->product_out_in[PLIM_F32] = product_out_in_f32;
    out->product_out_in[PLIM_F16] = product_out_in_f16;
    out->product_out_in[PLIM_BF16] = product_out_in_bf16;
    out->product_in_out[PLIM_F32] = product_in_out_f32;
    out->product_in_out[PLIM_F16] = product_in_out_f16;
    out->product_in_out[PLIM_BF16] = product_in_out_bf16;
}
