/* SPDX-License-Identifier: Apache-2.0
 *
 * Casts between all pairs of F64 F32 F16 BF16, the integers and BOOL, with PyTorch's results:
 *  - to F16 and BF16 everything goes through F32 first (so F64 and the 64-bit integers round
 * twice);
 *  - integers to narrower integers keep the low bits;
 *  - floats to integers truncate; what PyTorch leaves open (NaN, out of range) becomes 0, and the
 *    nearest integer that there is;
 *  - to BOOL: whether it is not zero.
 * Addresses need no alignment. */
#include "kernels/ref.h"

/* The list is written out in full, so that every name can be searched for. */
/* clang-format off */
#define CASTS(X)                                                                                  \
    X(f64_from_f32, PLIM_F64, PLIM_F32) X(f64_from_f16, PLIM_F64, PLIM_F16)                       \
    X(f64_from_bf16, PLIM_F64, PLIM_BF16) X(f64_from_i8, PLIM_F64, PLIM_I8)                       \
    X(f64_from_u8, PLIM_F64, PLIM_U8) X(f64_from_i16, PLIM_F64, PLIM_I16)                         \
    X(f64_from_u16, PLIM_F64, PLIM_U16) X(f64_from_i32, PLIM_F64, PLIM_I32)                       \
    X(f64_from_u32, PLIM_F64, PLIM_U32) X(f64_from_i64, PLIM_F64, PLIM_I64)                       \
    X(f64_from_u64, PLIM_F64, PLIM_U64) X(f64_from_bool, PLIM_F64, PLIM_BOOL)                     \
    X(f32_from_f64, PLIM_F32, PLIM_F64) X(f32_from_f16, PLIM_F32, PLIM_F16)                       \
    X(f32_from_bf16, PLIM_F32, PLIM_BF16) X(f32_from_i8, PLIM_F32, PLIM_I8)                       \
    X(f32_from_u8, PLIM_F32, PLIM_U8) X(f32_from_i16, PLIM_F32, PLIM_I16)                         \
    X(f32_from_u16, PLIM_F32, PLIM_U16) X(f32_from_i32, PLIM_F32, PLIM_I32)                       \
    X(f32_from_u32, PLIM_F32, PLIM_U32) X(f32_from_i64, PLIM_F32, PLIM_I64)                       \
    X(f32_from_u64, PLIM_F32, PLIM_U64) X(f32_from_bool, PLIM_F32, PLIM_BOOL)                     \
    X(f16_from_f64, PLIM_F16, PLIM_F64) X(f16_from_f32, PLIM_F16, PLIM_F32)                       \
    X(f16_from_bf16, PLIM_F16, PLIM_BF16) X(f16_from_i8, PLIM_F16, PLIM_I8)                       \
    X(f16_from_u8, PLIM_F16, PLIM_U8) X(f16_from_i16, PLIM_F16, PLIM_I16)                         \
    X(f16_from_u16, PLIM_F16, PLIM_U16) X(f16_from_i32, PLIM_F16, PLIM_I32)                       \
    X(f16_from_u32, PLIM_F16, PLIM_U32) X(f16_from_i64, PLIM_F16, PLIM_I64)                       \
    X(f16_from_u64, PLIM_F16, PLIM_U64) X(f16_from_bool, PLIM_F16, PLIM_BOOL)                     \
    X(bf16_from_f64, PLIM_BF16, PLIM_F64) X(bf16_from_f32, PLIM_BF16, PLIM_F32)                   \
    X(bf16_from_f16, PLIM_BF16, PLIM_F16) X(bf16_from_i8, PLIM_BF16, PLIM_I8)                     \
    X(bf16_from_u8, PLIM_BF16, PLIM_U8) X(bf16_from_i16, PLIM_BF16, PLIM_I16)                     \
    X(bf16_from_u16, PLIM_BF16, PLIM_U16) X(bf16_from_i32, PLIM_BF16, PLIM_I32)                   \
    X(bf16_from_u32, PLIM_BF16, PLIM_U32) X(bf16_from_i64, PLIM_BF16, PLIM_I64)                   \
    X(bf16_from_u64, PLIM_BF16, PLIM_U64) X(bf16_from_bool, PLIM_BF16, PLIM_BOOL)                 \
    X(i8_from_f64, PLIM_I8, PLIM_F64) X(i8_from_f32, PLIM_I8, PLIM_F32)                           \
    X(i8_from_f16, PLIM_I8, PLIM_F16) X(i8_from_bf16, PLIM_I8, PLIM_BF16)                         \
    X(i8_from_u8, PLIM_I8, PLIM_U8) X(i8_from_i16, PLIM_I8, PLIM_I16)                             \
    X(i8_from_u16, PLIM_I8, PLIM_U16) X(i8_from_i32, PLIM_I8, PLIM_I32)                           \
    X(i8_from_u32, PLIM_I8, PLIM_U32) X(i8_from_i64, PLIM_I8, PLIM_I64)                           \
    X(i8_from_u64, PLIM_I8, PLIM_U64) X(i8_from_bool, PLIM_I8, PLIM_BOOL)                         \
    X(u8_from_f64, PLIM_U8, PLIM_F64) X(u8_from_f32, PLIM_U8, PLIM_F32)                           \
    X(u8_from_f16, PLIM_U8, PLIM_F16) X(u8_from_bf16, PLIM_U8, PLIM_BF16)                         \
    X(u8_from_i8, PLIM_U8, PLIM_I8) X(u8_from_i16, PLIM_U8, PLIM_I16)                             \
    X(u8_from_u16, PLIM_U8, PLIM_U16) X(u8_from_i32, PLIM_U8, PLIM_I32)                           \
    X(u8_from_u32, PLIM_U8, PLIM_U32) X(u8_from_i64, PLIM_U8, PLIM_I64)                           \
    X(u8_from_u64, PLIM_U8, PLIM_U64) X(u8_from_bool, PLIM_U8, PLIM_BOOL)                         \
    X(i16_from_f64, PLIM_I16, PLIM_F64) X(i16_from_f32, PLIM_I16, PLIM_F32)                       \
    X(i16_from_f16, PLIM_I16, PLIM_F16) X(i16_from_bf16, PLIM_I16, PLIM_BF16)                     \
    X(i16_from_i8, PLIM_I16, PLIM_I8) X(i16_from_u8, PLIM_I16, PLIM_U8)                           \
    X(i16_from_u16, PLIM_I16, PLIM_U16) X(i16_from_i32, PLIM_I16, PLIM_I32)                       \
    X(i16_from_u32, PLIM_I16, PLIM_U32) X(i16_from_i64, PLIM_I16, PLIM_I64)                       \
    X(i16_from_u64, PLIM_I16, PLIM_U64) X(i16_from_bool, PLIM_I16, PLIM_BOOL)                     \
    X(u16_from_f64, PLIM_U16, PLIM_F64) X(u16_from_f32, PLIM_U16, PLIM_F32)                       \
    X(u16_from_f16, PLIM_U16, PLIM_F16) X(u16_from_bf16, PLIM_U16, PLIM_BF16)                     \
    X(u16_from_i8, PLIM_U16, PLIM_I8) X(u16_from_u8, PLIM_U16, PLIM_U8)                           \
    X(u16_from_i16, PLIM_U16, PLIM_I16) X(u16_from_i32, PLIM_U16, PLIM_I32)                       \
    X(u16_from_u32, PLIM_U16, PLIM_U32) X(u16_from_i64, PLIM_U16, PLIM_I64)                       \
    X(u16_from_u64, PLIM_U16, PLIM_U64) X(u16_from_bool, PLIM_U16, PLIM_BOOL)                     \
    X(i32_from_f64, PLIM_I32, PLIM_F64) X(i32_from_f32, PLIM_I32, PLIM_F32)                       \
    X(i32_from_f16, PLIM_I32, PLIM_F16) X(i32_from_bf16, PLIM_I32, PLIM_BF16)                     \
    X(i32_from_i8, PLIM_I32, PLIM_I8) X(i32_from_u8, PLIM_I32, PLIM_U8)                           \
    X(i32_from_i16, PLIM_I32, PLIM_I16) X(i32_from_u16, PLIM_I32, PLIM_U16)                       \
    X(i32_from_u32, PLIM_I32, PLIM_U32) X(i32_from_i64, PLIM_I32, PLIM_I64)                       \
    X(i32_from_u64, PLIM_I32, PLIM_U64) X(i32_from_bool, PLIM_I32, PLIM_BOOL)                     \
    X(u32_from_f64, PLIM_U32, PLIM_F64) X(u32_from_f32, PLIM_U32, PLIM_F32)                       \
    X(u32_from_f16, PLIM_U32, PLIM_F16) X(u32_from_bf16, PLIM_U32, PLIM_BF16)                     \
    X(u32_from_i8, PLIM_U32, PLIM_I8) X(u32_from_u8, PLIM_U32, PLIM_U8)                           \
    X(u32_from_i16, PLIM_U32, PLIM_I16) X(u32_from_u16, PLIM_U32, PLIM_U16)                       \
    X(u32_from_i32, PLIM_U32, PLIM_I32) X(u32_from_i64, PLIM_U32, PLIM_I64)                       \
    X(u32_from_u64, PLIM_U32, PLIM_U64) X(u32_from_bool, PLIM_U32, PLIM_BOOL)                     \
    X(i64_from_f64, PLIM_I64, PLIM_F64) X(i64_from_f32, PLIM_I64, PLIM_F32)                       \
    X(i64_from_f16, PLIM_I64, PLIM_F16) X(i64_from_bf16, PLIM_I64, PLIM_BF16)                     \
    X(i64_from_i8, PLIM_I64, PLIM_I8) X(i64_from_u8, PLIM_I64, PLIM_U8)                           \
    X(i64_from_i16, PLIM_I64, PLIM_I16) X(i64_from_u16, PLIM_I64, PLIM_U16)                       \
    X(i64_from_i32, PLIM_I64, PLIM_I32) X(i64_from_u32, PLIM_I64, PLIM_U32)                       \
    X(i64_from_u64, PLIM_I64, PLIM_U64) X(i64_from_bool, PLIM_I64, PLIM_BOOL)                     \
    X(u64_from_f64, PLIM_U64, PLIM_F64) X(u64_from_f32, PLIM_U64, PLIM_F32)                       \
    X(u64_from_f16, PLIM_U64, PLIM_F16) X(u64_from_bf16, PLIM_U64, PLIM_BF16)                     \
    X(u64_from_i8, PLIM_U64, PLIM_I8) X(u64_from_u8, PLIM_U64, PLIM_U8)                           \
    X(u64_from_i16, PLIM_U64, PLIM_I16) X(u64_from_u16, PLIM_U64, PLIM_U16)                       \
    X(u64_from_i32, PLIM_U64, PLIM_I32) X(u64_from_u32, PLIM_U64, PLIM_U32)                       \
    X(u64_from_i64, PLIM_U64, PLIM_I64) X(u64_from_bool, PLIM_U64, PLIM_BOOL)                     \
    X(bool_from_f64, PLIM_BOOL, PLIM_F64) X(bool_from_f32, PLIM_BOOL, PLIM_F32)                   \
    X(bool_from_f16, PLIM_BOOL, PLIM_F16) X(bool_from_bf16, PLIM_BOOL, PLIM_BF16)                 \
    X(bool_from_i8, PLIM_BOOL, PLIM_I8) X(bool_from_u8, PLIM_BOOL, PLIM_U8)                       \
    X(bool_from_i16, PLIM_BOOL, PLIM_I16) X(bool_from_u16, PLIM_BOOL, PLIM_U16)                   \
    X(bool_from_i32, PLIM_BOOL, PLIM_I32) X(bool_from_u32, PLIM_BOOL, PLIM_U32)                   \
    X(bool_from_i64, PLIM_BOOL, PLIM_I64) X(bool_from_u64, PLIM_BOOL, PLIM_U64)
/* clang-format on */

/* What dtype.h's table says, as a constant that the compiler sees. */
static inline unsigned bits_of(plim_dtype dtype)
{
    switch (dtype) {
    case PLIM_BOOL:
    case PLIM_U8:
    case PLIM_I8:
        return 8;
    case PLIM_I16:
    case PLIM_U16:
    case PLIM_F16:
    case PLIM_BF16:
        return 16;
    case PLIM_I32:
    case PLIM_U32:
    case PLIM_F32:
        return 32;
    default:
        return 64;
    }
}

static inline bool is_float(plim_dtype dtype)
{
    return dtype == PLIM_F64 || dtype == PLIM_F32 || dtype == PLIM_F16 || dtype == PLIM_BF16;
}

static inline double load_f64(const void *src, size_t i)
{
    double x;
    memcpy(&x, (const char *)src + i * sizeof x, sizeof x);
    return x;
}

/* Element i of an integer array; unsigned 64-bit ones as their two's complement. */
static inline int64_t load_integer(const void *src, size_t i, plim_dtype from)
{
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    int64_t i64;
    switch (bits_of(from)) {
    case 8:
        memcpy(&u8, (const char *)src + i, 1);
        return from == PLIM_I8 ? (int8_t)u8 : from == PLIM_BOOL ? u8 != 0 : u8;
    case 16:
        u16 = plim_load_u16(src, i);
        return from == PLIM_I16 ? (int16_t)u16 : u16;
    case 32:
        memcpy(&u32, (const char *)src + i * 4, 4);
        return from == PLIM_I32 ? (int32_t)u32 : (int64_t)u32;
    default:
        memcpy(&i64, (const char *)src + i * 8, 8);
        return i64;
    }
}

static inline void store_integer(void *dst, size_t i, uint64_t value, unsigned bits)
{
    uint8_t u8 = (uint8_t)value;
    uint16_t u16 = (uint16_t)value;
    uint32_t u32 = (uint32_t)value;
    if (bits == 8)
        memcpy((char *)dst + i, &u8, 1);
    else if (bits == 16)
        memcpy((char *)dst + i * 2, &u16, 2);
    else if (bits == 32)
        memcpy((char *)dst + i * 4, &u32, 4);
    else
        memcpy((char *)dst + i * 8, &value, 8);
}

static inline float load_as_f32(const void *src, size_t i, plim_dtype from)
{
    switch (from) {
    case PLIM_F64:
        return (float)load_f64(src, i);
    case PLIM_F32:
        return plim_load_f32(src, i);
    case PLIM_F16:
        return plim_f32_from_f16(plim_load_u16(src, i));
    case PLIM_BF16:
        return plim_f32_from_bf16(plim_load_u16(src, i));
    case PLIM_U64:
        return (float)(uint64_t)load_integer(src, i, from);
    default:
        return (float)load_integer(src, i, from);
    }
}

static inline double load_as_f64(const void *src, size_t i, plim_dtype from)
{
    switch (from) {
    case PLIM_F64:
        return load_f64(src, i);
    case PLIM_F32:
    case PLIM_F16:
    case PLIM_BF16:
        return load_as_f32(src, i, from);
    case PLIM_U64:
        return (double)(uint64_t)load_integer(src, i, from);
    default:
        return (double)load_integer(src, i, from);
    }
}

/* Towards zero; the nearest there is when x is out of range, 0 for NaN. */
static inline uint64_t truncate_f64(double x, plim_dtype to)
{
    unsigned bits = bits_of(to);
    bool is_signed = to == PLIM_I8 || to == PLIM_I16 || to == PLIM_I32 || to == PLIM_I64;
    double half = (double)(UINT64_C(1) << (bits - 1)), end = is_signed ? half : 2 * half;
    uint64_t largest = UINT64_MAX >> (is_signed ? 65 - bits : 64 - bits);
    if (x != x)
        return 0;
    if (x >= end)
        return largest;
    if (!is_signed)
        return x <= 0 ? 0 : (uint64_t)x;
    return x <= -end ? ~largest : (uint64_t)(int64_t)x;
}

static inline void cast_one(void *dst, const void *src, size_t i, plim_dtype to, plim_dtype from)
{
    double f64;
    float f32;
    uint16_t u16;
    switch (to) {
    case PLIM_F64:
        f64 = load_as_f64(src, i, from);
        memcpy((char *)dst + i * sizeof f64, &f64, sizeof f64);
        return;
    case PLIM_F32:
        f32 = load_as_f32(src, i, from);
        memcpy((char *)dst + i * sizeof f32, &f32, sizeof f32);
        return;
    case PLIM_F16:
    case PLIM_BF16:
        f32 = load_as_f32(src, i, from);
        u16 = to == PLIM_F16 ? plim_f16_from_f32(f32) : plim_bf16_from_f32(f32);
        memcpy((char *)dst + i * sizeof u16, &u16, sizeof u16);
        return;
    case PLIM_BOOL:
        if (is_float(from))
            store_integer(dst, i, load_as_f64(src, i, from) != 0, 8);
        else
            store_integer(dst, i, load_integer(src, i, from) != 0, 8);
        return;
    default:
        if (is_float(from))
            store_integer(dst, i, truncate_f64(load_as_f64(src, i, from), to), bits_of(to));
        else
            store_integer(dst, i, (uint64_t)load_integer(src, i, from), bits_of(to));
    }
}

/* One function per pair: `to` and `from` are constants in each, so that the switches above vanish.
 */
#define DEFINE_CAST(name, to, from)                                                                \
    static void name(void *dst, const void *src, size_t n)                                         \
    {                                                                                              \
        for (size_t i = 0; i < n; i++)                                                             \
            cast_one(dst, src, i, to, from);                                                       \
    }
CASTS(DEFINE_CAST)

static void copy_8(void *dst, const void *src, size_t n)
{
    if (n > 0)
        memcpy(dst, src, n);
}

static void copy_16(void *dst, const void *src, size_t n)
{
    copy_8(dst, src, n * 2);
}

static void copy_32(void *dst, const void *src, size_t n)
{
    copy_8(dst, src, n * 4);
}

static void copy_64(void *dst, const void *src, size_t n)
{
    copy_8(dst, src, n * 8);
}

#define SET_CAST(name, to, from) out->cast[to][from] = name;
void plim_casts_ref(plim_kernels *out)
{
    CASTS(SET_CAST)
    for (int i = 0; i < PLIM_DTYPE_COUNT; i++) {
        if (plim_dtypes[i].bits == 8)
            out->cast[i][i] = copy_8;
        else if (plim_dtypes[i].bits == 16)
            out->cast[i][i] = copy_16;
        else if (plim_dtypes[i].bits == 32)
            out->cast[i][i] = copy_32;
        else if (plim_dtypes[i].bits == 64)
            out->cast[i][i] = copy_64;
    }
}
