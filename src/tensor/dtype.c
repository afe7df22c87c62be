/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of element types, and their names in both spellings. */
#include "tensor/dtype.h"

#include <string.h>

const plim_dtype_row plim_dtypes[PLIM_DTYPE_COUNT] = {
    /* name, torch_name, bits, align, float, integer, group and its bytes */
    [PLIM_BOOL] = {"BOOL", "bool", 8, 1, false, true, 0, 0},
    [PLIM_F4] = {"F4", "float4_e2m1fn_x2", 4, 1, true, false, 0, 0},
    [PLIM_F6_E2M3] = {"F6_E2M3", NULL, 6, 1, true, false, 0, 0},
    [PLIM_F6_E3M2] = {"F6_E3M2", NULL, 6, 1, true, false, 0, 0},
    [PLIM_U8] = {"U8", "uint8", 8, 1, false, true, 0, 0},
    [PLIM_I8] = {"I8", "int8", 8, 1, false, true, 0, 0},
    [PLIM_F8_E5M2] = {"F8_E5M2", "float8_e5m2", 8, 1, true, false, 0, 0},
    [PLIM_F8_E4M3] = {"F8_E4M3", "float8_e4m3fn", 8, 1, true, false, 0, 0},
    [PLIM_F8_E8M0] = {"F8_E8M0", "float8_e8m0fnu", 8, 1, true, false, 0, 0},
    [PLIM_F8_E4M3FNUZ] = {"F8_E4M3FNUZ", "float8_e4m3fnuz", 8, 1, true, false, 0, 0},
    [PLIM_F8_E5M2FNUZ] = {"F8_E5M2FNUZ", "float8_e5m2fnuz", 8, 1, true, false, 0, 0},
    [PLIM_I16] = {"I16", "int16", 16, 2, false, true, 0, 0},
    [PLIM_U16] = {"U16", "uint16", 16, 2, false, true, 0, 0},
    [PLIM_F16] = {"F16", "float16", 16, 2, true, false, 0, 0},
    [PLIM_BF16] = {"BF16", "bfloat16", 16, 2, true, false, 0, 0},
    [PLIM_I32] = {"I32", "int32", 32, 4, false, true, 0, 0},
    [PLIM_U32] = {"U32", "uint32", 32, 4, false, true, 0, 0},
    [PLIM_F32] = {"F32", "float32", 32, 4, true, false, 0, 0},
    [PLIM_C64] = {"C64", "complex64", 64, 4, false, false, 0, 0},
    [PLIM_F64] = {"F64", "float64", 64, 8, true, false, 0, 0},
    [PLIM_I64] = {"I64", "int64", 64, 8, false, true, 0, 0},
    [PLIM_U64] = {"U64", "uint64", 64, 8, false, true, 0, 0},
    /* f16 scales need 2; names in brackets are nobody's in a file */
    [PLIM_Q8] = {"(Q8)", "int8", 0, 2, true, false, 32, 34},
    [PLIM_Q4] = {"(Q4)", "int4", 0, 2, true, false, 32, 18},
};

static bool in_range(plim_dtype dtype)
{
    return (unsigned)dtype > PLIM_AUTO && (unsigned)dtype < PLIM_DTYPE_COUNT;
}

static bool same(const char *name, const char *text, size_t bytes)
{
    return name && strlen(name) == bytes && memcmp(name, text, bytes) == 0;
}

plim_dtype plim_dtype_from_name(const char *name, size_t bytes)
{
    for (int i = PLIM_AUTO + 1; i < PLIM_DTYPE_COUNT; i++)
        if (!plim_dtypes[i].group && same(plim_dtypes[i].name, name, bytes))
            return (plim_dtype)i;
    return PLIM_AUTO;
}

const char *plim_dtype_name(plim_dtype dtype)
{
    if (dtype == PLIM_AUTO)
        return "auto";
    return in_range(dtype) ? plim_dtypes[dtype].name : "?";
}

const char *plim_dtype_torch_name(plim_dtype dtype)
{
    if (in_range(dtype) && plim_dtypes[dtype].torch_name)
        return plim_dtypes[dtype].torch_name;
    return plim_dtype_name(dtype);
}

unsigned plim_dtype_bits(plim_dtype dtype)
{
    return in_range(dtype) ? plim_dtypes[dtype].bits : 0;
}

plim_status plim_dtype_parse(plim_dtype *out, const char *name, plim_error *err)
{
    if (!out || !name)
        return plim_fail(err, PLIM_E_USAGE, "no name of an element type was given");
    if (strcmp(name, "auto") == 0) {
        *out = PLIM_AUTO;
        return PLIM_OK;
    }
    const char *bare = strncmp(name, "torch.", 6) == 0 ? name + 6 : name;
    size_t bytes = strlen(bare);
    for (int i = PLIM_AUTO + 1; i < PLIM_DTYPE_COUNT; i++) {
        bool torch = same(plim_dtypes[i].torch_name, bare, bytes);
        if (torch ||
            (bare == name && !plim_dtypes[i].group && same(plim_dtypes[i].name, bare, bytes))) {
            *out = (plim_dtype)i;
            return PLIM_OK;
        }
    }
    return plim_fail(err, PLIM_E_USAGE,
                     "'%.64s' is no element type; want auto, float32, bfloat16, float16, ... or "
                     "the spelling of safetensors (F32, BF16, F16, ...)",
                     name);
}
