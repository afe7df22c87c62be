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

/* Groups of weights, PLIM_Q8 and PLIM_Q4: 32 along the inner dimension share one f16 scale,
 *   w[k] = scale[k / 32] * q[k]      q in [-128, 127], or [-8, 7].
 * q is kept as an unsigned number: Q8 as bytes q + 128; Q4 as q + 8, two to a byte, the even k in
 * the low half.  That is what compressed-tensors calls pack-quantized, so that its tensors are used
 * where they lie.  A row of weights is its quants and its scales (plim_dtype_bytes gives the size
 * of both); in memory of our own the scales of an extent follow the quants of all its rows, in a
 * checkpoint they are a tensor of their own. */
#define PLIM_GROUP 32u

/* n weights, a multiple of PLIM_GROUP, to quants and n / 32 scales; src unaligned f32.  The
 * scale is the one of a search that gives the least squared error; Q8's is positive and clips
 * nothing, Q4's has either sign. A group with NaN or an infinity gets a NaN scale; one of zeros
 * scale 0. */
typedef void (*plim_quantise_fn)(void *quants, void *scales, const float *src, size_t n);
/* And back: y[k] = scale * q[k], rounded once. */
typedef void (*plim_dequantise_fn)(float *y, const void *quants, const void *scales, size_t n);

/* Rows of activations made ready for products with weights of one format: copied into the order in
 * which a product's tiles read them, and for groups quantised (per row and group of 32: scale =
 * largest |x| / 127 in f32, q rounded to nearest even).  Rows [first, first + rows) of the whole;
 * `first` is a multiple of PLIM_PACK_ROWS, and so is `rows` except at the end.  What lies in `dst`
 * is the affair of the table that wrote it.  inputs of a group format: a multiple of 32. */
#define PLIM_PACK_ROWS  16u
#define PLIM_PACK_ALIGN 64u
typedef struct plim_pack {
    void *dst; /* PLIM_PACK_ALIGN aligned; plim_pack_bytes(all rows, inputs) */
    const float *x;
    size_t x_stride; /* elements */
    size_t first, rows, inputs;
} plim_pack;
typedef void (*plim_pack_fn)(const plim_pack *p);

/* Enough for any table's packing of `rows` rows. */
static inline size_t plim_pack_bytes(size_t rows, size_t inputs)
{
    size_t whole = rows < PLIM_PACK_ROWS
                       ? rows
                       : (rows + PLIM_PACK_ROWS - 1) / PLIM_PACK_ROWS * PLIM_PACK_ROWS;
    return whole * ((inputs + 63) / 64 * 64) * sizeof(float);
}

/* Products over a tile of a weight in [out, in] layout:
 *   y[r * y_stride + o] = sum_k x[r * x_stride + k] * w[o][k]     r < rows, o < outputs, k < inputs
 * with w[o] at (char *)w + o * w_row_bytes.  f32 accumulation, vector lanes at absolute k.
 * With many rows, outputs in multiples of 48 waste nothing; with few, long tiles read faster.
 * Group formats add to what y holds (the caller clears y first), group after group in ascending k:
 *   y += (scale_x * scale_w) * sum of 32 integer products, by one fma
 * so that all tables agree to the last bit, and a tile may cover any range of whole groups. */
typedef struct plim_product {
    float *y;
    const float *x;       /* NULL allowed where `packed` is given */
    const void *packed;   /* the same rows, all of them, as the slot `pack` of the weight's format
                             made   them; NULL where `rows` is below `pack_from` */
    size_t packed_inputs; /* inputs of the packed rows; this tile covers [first_input, + inputs) */
    size_t first_input;
    const void *w;
    const void *scales; /* group formats: f16, of w's first row, at this tile's first group */
    size_t y_stride, x_stride; /* elements */
    size_t w_row_bytes, scale_row_bytes;
    size_t rows, outputs, inputs;
} plim_product;
typedef void (*plim_product_fn)(const plim_product *p);
/* Outputs that become floats at once where groups are multiplied as floats: whole tiles of every
 * table, and few enough to stay in a second-level cache. */
#define PLIM_WIDE_ROWS 12u

/* The same for [in, out] layout (GPT-2): w[k] is a row of all outputs, and the call adds inputs
 * k0..k0+inputs to what y holds (the caller clears y first), in ascending k:
 *   y[r * y_stride + o] += x[r * x_stride + k] * w[k][o]          o < outputs, k < inputs
 * y, x and w point at the first output / input of the tile.  Group formats have no such layout:
 * they are turned when they are made. */

/* Attention of `rows` query rows at consecutive positions, one KV head and the `group` query heads
 * that share it:
 *   score[t] = scale * dot(q, k[t]),  y = softmax(score) . v,  t in [first, p]
 * for a row at position p, first = p + 1 - window or 0.  q, y: f32.  Values: [context][head_dim] of
 * the slot's type.  Keys: blocks of PLIM_KEY_BLOCK positions at absolute bounds, each
 * [head_dim][its positions] (plim_key_at), so that a vector of scores is a vector of keys. Softmax
 * blockwise: spans of PLIM_SPAN positions at absolute bounds are summed up each by itself and
 * joined in ascending order, so that threads may share a row. */
#define PLIM_KEY_BLOCK 64u
#define PLIM_SPAN      1024u
typedef struct plim_attention {
    float *y;
    const float *q;
    const void *k, *v;
    float *parts;            /* NULL, or: do `span` alone, and leave for plim_attention_join
                                f32 [rows][group][head_dim + 2] of those rows that see of it */
    size_t span;             /* number of a span; only where there are parts */
    size_t context;          /* positions that k and v have room for */
    size_t position, window; /* position of the first row; what a row sees, itself included, >= 1 */
    size_t rows, group, head_dim;
    size_t q_row_stride, y_row_stride; /* elements between rows */
    size_t q_stride, y_stride;         /* elements between the heads of the group */
    float scale;
} plim_attention;
typedef void (*plim_attention_fn)(const plim_attention *a);

/* Where the key of a position begins, in elements from k, and how far its elements are apart. */
static inline size_t plim_key_at(size_t position, size_t context, size_t head_dim, size_t *step)
{
    size_t start = position / PLIM_KEY_BLOCK * PLIM_KEY_BLOCK;
    *step = context - start < PLIM_KEY_BLOCK ? context - start : PLIM_KEY_BLOCK;
    return start * head_dim + position - start;
}

/* The first position that a row sees. */
static inline size_t plim_attention_first(const plim_attention *a, size_t row)
{
    size_t position = a->position + row;
    return position + 1 > a->window ? position + 1 - a->window : 0;
}

/* The same for every table.  y, largest and total of the spans up to now, and of one more, to those
 * of both.  `part`: [head_dim + 2], as in plim_attention. */
void plim_attention_merge(float *y, float *largest, float *total, const float *part,
                          size_t head_dim);
/* y from the parts of all spans; those of span s at parts + s * span_stride, laid out as in `a`. */
void plim_attention_join(const plim_attention *a, const float *parts, size_t span_stride);

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
    const char *name; /* of the last level that filled it: "scalar", "avx2", ... */

    /* NULL where there is no such cast; [dst][src].  Among F64 F32 F16 BF16, the integers and BOOL.
     */
    plim_cast_fn cast[PLIM_DTYPE_COUNT][PLIM_DTYPE_COUNT];

    /* Indexed by the weight's format: F32, F16, BF16; out_in also Q8, Q4; NULL elsewhere. */
    plim_product_fn product_out_in[PLIM_DTYPE_COUNT];
    plim_product_fn product_in_out[PLIM_DTYPE_COUNT];
    /* By the weight's format: products of pack_from[format] rows and more want them packed, in
     * either layout (NULL and SIZE_MAX: never). */
    plim_pack_fn pack[PLIM_DTYPE_COUNT];
    size_t pack_from[PLIM_DTYPE_COUNT];
    plim_quantise_fn quantise[PLIM_DTYPE_COUNT];     /* Q8, Q4 */
    plim_dequantise_fn dequantise[PLIM_DTYPE_COUNT]; /* Q8, Q4 */
    plim_attention_fn attention[PLIM_DTYPE_COUNT];   /* by KV type */

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

    /* For measuring what this machine can do at most (peak_*.c); plim_kernels_init alone fills
     * these.  peak_read reads `bytes`, a multiple of PLIM_PEAK_BLOCK, as one stream (rows 1) or as
     * four rows of a block side by side (4), each asking for what lies `ahead` bytes further on
     * (0: not), and returns something made of all of it.  The others do `rounds` of independent
     * operations in registers and return how many: f32 multiplications and additions; those of
     * int8 with 32-bit sums.  What they make goes into *sink, which begins as 0. */
    uint64_t (*peak_read)(const void *src, size_t bytes, unsigned rows, size_t ahead);
    uint64_t (*peak_fma)(size_t rounds, float *sink);
    uint64_t (*peak_dot)(size_t rounds, int32_t *sink);
} plim_kernels;

#define PLIM_PEAK_BLOCK 16384u

/* Fill the table for the instruction sets in `cpu` (PLIM_CPU_*; already masked with what exists).
 */
void plim_kernels_init(plim_kernels *out, unsigned cpu);

/* What was compiled for this architecture, in the order in which one overwrites another; the first
 * is "scalar", which needs nothing and fills every slot.  A mask of `needs` forces a level. */
typedef struct plim_kernel_level {
    const char *name;
    unsigned needs;           /* PLIM_CPU_*, all of them */
    const char *instructions; /* for people: what this level adds */
    void (*fill)(plim_kernels *out);
} plim_kernel_level;
extern const plim_kernel_level plim_kernel_levels[];
extern const size_t plim_kernel_level_count;

/* The level whose kernels of a kind run with the instruction sets in `cpu`. */
const plim_kernel_level *plim_kernels_used(plim_kernel_kind kind, unsigned cpu);

void plim_kernels_ref(plim_kernels *out);
void plim_kernels_avx2(plim_kernels *out);
void plim_kernels_avx512(plim_kernels *out);
void plim_kernels_neon(plim_kernels *out);

/* The slots peak_*, of the best level in `cpu`. */
void plim_peak_init(plim_kernels *out, unsigned cpu);
void plim_peak_avx2(plim_kernels *out);
void plim_peak_avx512(plim_kernels *out);
void plim_peak_avx_vnni(plim_kernels *out);
void plim_peak_avx512_vnni(plim_kernels *out);
void plim_peak_neon(plim_kernels *out);

#endif
