/* SPDX-License-Identifier: Apache-2.0
 *
 * All element types in one table, and shapes. */
#ifndef PLIM_TENSOR_DTYPE_H
#define PLIM_TENSOR_DTYPE_H

#include "base/alloc.h"

typedef struct plim_dtype_row {
    const char *name;       /* safetensors */
    const char *torch_name; /* or NULL */
    uint8_t bits;
    uint8_t align;       /* bytes; 1 for what is smaller than a byte */
    bool is_float;       /* f64 f32 f16 bf16 f8* f6* f4: what a weight may be */
    bool is_integer;     /* two's complement or unsigned, bool included */
    uint8_t group;       /* elements that are stored together; 0: each by itself, in `bits` */
    uint8_t group_bytes; /* what they take, their scale included */
} plim_dtype_row;

/* A row for every plim_dtype (PLIM_AUTO's is empty), indexed by it. */
extern const plim_dtype_row plim_dtypes[PLIM_DTYPE_COUNT];

/* Bytes of n elements: whole bytes, whole groups (callers see to that). */
static inline uint64_t plim_dtype_bytes(plim_dtype dtype, uint64_t n)
{
    const plim_dtype_row *row = &plim_dtypes[dtype];
    return row->group ? n / row->group * row->group_bytes : n * row->bits / 8;
}

/* The same of the quants of a group format alone: each group has an f16 scale besides. */
static inline uint64_t plim_dtype_quant_bytes(plim_dtype dtype, uint64_t n)
{
    const plim_dtype_row *row = &plim_dtypes[dtype];
    return row->group ? n / row->group * (row->group_bytes - 2u) : 0;
}

/* From safetensors' name; PLIM_AUTO when unknown. */
plim_dtype plim_dtype_from_name(const char *name, size_t bytes);

typedef struct plim_shape {
    unsigned rank; /* 0: a scalar */
    uint64_t dim[PLIM_MAX_DIMS];
} plim_shape;

/* Product of the dimensions (1 for a scalar); false on overflow. */
bool plim_shape_count(const plim_shape *shape, uint64_t *out);

/* Bytes of a whole tensor; false on overflow or when sub-byte elements do not fill whole bytes. */
bool plim_shape_bytes(const plim_shape *shape, plim_dtype dtype, uint64_t *out);
bool plim_shape_equal(const plim_shape *a, const plim_shape *b);

/* "[2, 3]" into out (cut, NUL-terminated); returns out. */
char *plim_shape_text(const plim_shape *shape, char *out, size_t cap);

#endif
