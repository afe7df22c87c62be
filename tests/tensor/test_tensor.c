/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of element types, and arithmetic on shapes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tensor/dtype.h"

/* From the safetensors crate (Dtype, its names and bitsize) and the names of its Python package's
 * table. */
static const struct {
    plim_dtype dtype;
    const char *name, *torch;
    unsigned bits;
} TYPES[] = {
    {PLIM_BOOL, "BOOL", "bool", 8},
    {PLIM_F4, "F4", "float4_e2m1fn_x2", 4},
    {PLIM_F6_E2M3, "F6_E2M3", NULL, 6},
    {PLIM_F6_E3M2, "F6_E3M2", NULL, 6},
    {PLIM_U8, "U8", "uint8", 8},
    {PLIM_I8, "I8", "int8", 8},
    {PLIM_F8_E5M2, "F8_E5M2", "float8_e5m2", 8},
    {PLIM_F8_E4M3, "F8_E4M3", "float8_e4m3fn", 8},
    {PLIM_F8_E8M0, "F8_E8M0", "float8_e8m0fnu", 8},
    {PLIM_F8_E4M3FNUZ, "F8_E4M3FNUZ", "float8_e4m3fnuz", 8},
    {PLIM_F8_E5M2FNUZ, "F8_E5M2FNUZ", "float8_e5m2fnuz", 8},
    {PLIM_I16, "I16", "int16", 16},
    {PLIM_U16, "U16", "uint16", 16},
    {PLIM_F16, "F16", "float16", 16},
    {PLIM_BF16, "BF16", "bfloat16", 16},
    {PLIM_I32, "I32", "int32", 32},
    {PLIM_U32, "U32", "uint32", 32},
    {PLIM_F32, "F32", "float32", 32},
    {PLIM_C64, "C64", "complex64", 64},
    {PLIM_F64, "F64", "float64", 64},
    {PLIM_I64, "I64", "int64", 64},
    {PLIM_U64, "U64", "uint64", 64},
};
enum { TYPE_COUNT = sizeof TYPES / sizeof TYPES[0] };

static void all_types(void **unused)
{
    (void)unused;
    assert_int_equal(TYPE_COUNT, 22);
    assert_int_equal(TYPE_COUNT, PLIM_DTYPE_COUNT - 3); /* but AUTO and the groups */
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        plim_dtype d = TYPES[i].dtype;
        const char *torch = TYPES[i].torch ? TYPES[i].torch : TYPES[i].name;
        assert_string_equal(plim_dtype_name(d), TYPES[i].name);
        assert_string_equal(plim_dtype_torch_name(d), torch);
        assert_int_equal(plim_dtype_bits(d), TYPES[i].bits);
        assert_int_equal(plim_dtype_from_name(TYPES[i].name, strlen(TYPES[i].name)), d);
        bool number = TYPES[i].name[0] == 'F',
             whole = strchr("BIU", TYPES[i].name[0]) && d != PLIM_BF16;
        assert_int_equal(plim_dtypes[d].is_float, number || d == PLIM_BF16);
        assert_int_equal(plim_dtypes[d].is_integer, whole);
        unsigned align = TYPES[i].bits / 8 ? TYPES[i].bits / 8 : 1;
        assert_int_equal(plim_dtypes[d].align, d == PLIM_C64 ? 4 : align);
    }
}

static void outside_of_the_table(void **unused)
{
    (void)unused;
    assert_string_equal(plim_dtype_name(PLIM_AUTO), "auto");
    assert_string_equal(plim_dtype_torch_name(PLIM_AUTO), "auto");
    assert_int_equal(plim_dtype_bits(PLIM_AUTO), 0);
    const int wrong[] = {-1, PLIM_DTYPE_COUNT, 1000};
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(plim_dtype_name((plim_dtype)wrong[i]), "?");
        assert_string_equal(plim_dtype_torch_name((plim_dtype)wrong[i]), "?");
        assert_int_equal(plim_dtype_bits((plim_dtype)wrong[i]), 0);
    }
    const char *const unknown[] = {"", "f32", "F3", "F322", "F32 ", "auto", "float32"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        assert_int_equal(plim_dtype_from_name(unknown[i], strlen(unknown[i])), PLIM_AUTO);
    assert_int_equal(plim_dtype_from_name("F32\0", 4), PLIM_AUTO);
    assert_int_equal(plim_dtype_from_name("BF16xyz", 4), PLIM_BF16);
}

static void parse(void **unused)
{
    plim_dtype d;
    plim_error err;
    char name[64];
    (void)unused;
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        assert_int_equal(plim_dtype_parse(&d, TYPES[i].name, &err), PLIM_OK);
        assert_int_equal(d, TYPES[i].dtype);
        if (!TYPES[i].torch)
            continue;
        assert_int_equal(plim_dtype_parse(&d, TYPES[i].torch, NULL), PLIM_OK);
        assert_int_equal(d, TYPES[i].dtype);
        strcpy(name, "torch.");
        strcat(name, TYPES[i].torch);
        assert_int_equal(plim_dtype_parse(&d, name, NULL), PLIM_OK);
        assert_int_equal(d, TYPES[i].dtype);
    }
    assert_int_equal(plim_dtype_parse(&d, "auto", NULL), PLIM_OK);
    assert_int_equal(d, PLIM_AUTO);
    const char *const wrong[] = {"",           "Float32",    "bf16",  "torch.",
                                 "torch.BF16", "torch.auto", "float", "F32 "};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        d = PLIM_I8;
        assert_int_equal(plim_dtype_parse(&d, wrong[i], &err), PLIM_E_USAGE);
        assert_int_equal(err.code, PLIM_E_USAGE);
        assert_non_null(strstr(err.message, wrong[i]));
        assert_int_equal(err.offset, -1);
        assert_int_equal(d, PLIM_I8);
    }
    assert_int_equal(plim_dtype_parse(&d, NULL, &err), PLIM_E_USAGE);
    assert_int_equal(plim_dtype_parse(NULL, "F32", NULL), PLIM_E_USAGE);
}

static void counts_and_bytes(void **unused)
{
    uint64_t n = 77;
    plim_shape scalar = {0}, matrix = {2, {3, 5}}, empty = {3, {4, 0, 7}};
    (void)unused;
    assert_true(plim_shape_count(&scalar, &n) && n == 1);
    assert_true(plim_shape_count(&matrix, &n) && n == 15);
    assert_true(plim_shape_count(&empty, &n) && n == 0);
    assert_true(plim_shape_bytes(&scalar, PLIM_C64, &n) && n == 8);
    assert_true(plim_shape_bytes(&matrix, PLIM_BF16, &n) && n == 30);
    assert_true(plim_shape_bytes(&empty, PLIM_F64, &n) && n == 0);
    plim_shape four = {1, {4}}, eight = {2, {2, 4}};
    assert_true(plim_shape_bytes(&four, PLIM_F6_E2M3, &n) && n == 3);
    assert_true(plim_shape_bytes(&eight, PLIM_F4, &n) && n == 4);
    n = 77;
    assert_false(plim_shape_bytes(&matrix, PLIM_F4, &n)); /* 60 bits */
    assert_false(plim_shape_bytes(&matrix, PLIM_AUTO, &n));
    assert_int_equal(n, 77);
}

static void overflows(void **unused)
{
    uint64_t n = 77;
    plim_shape most = {1, {UINT64_MAX}}, over = {2, {UINT64_C(1) << 32, UINT64_C(1) << 32}};
    plim_shape back_to_zero = {3, {UINT64_MAX, 2, 0}}, ranks = {PLIM_MAX_DIMS + 1, {1}};
    (void)unused;
    assert_true(plim_shape_count(&most, &n) && n == UINT64_MAX);
    assert_true(plim_shape_bytes(&most, PLIM_U8, &n) && n == UINT64_MAX);
    n = 77;
    assert_false(plim_shape_bytes(&most, PLIM_U16, &n));
    assert_false(plim_shape_bytes(&most, PLIM_F4, &n));
    assert_false(plim_shape_count(&over, &n));
    assert_false(plim_shape_bytes(&over, PLIM_U8, &n));
    assert_false(plim_shape_count(&back_to_zero, &n));
    assert_false(plim_shape_count(&ranks, &n));
    assert_int_equal(n, 77);
}

static void equality_and_text(void **unused)
{
    char text[256];
    plim_shape scalar = {0}, a = {2, {3, 5}}, b = {2, {3, 5, 9}}, c = {3, {3, 5, 1}},
               d = {2, {5, 3}};
    plim_shape longest = {8,
                          {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
                           UINT64_MAX, UINT64_MAX}};
    (void)unused;
    assert_true(plim_shape_equal(&scalar, &scalar));
    assert_true(plim_shape_equal(&a, &b)); /* beyond the rank nothing counts */
    assert_false(plim_shape_equal(&a, &c));
    assert_false(plim_shape_equal(&a, &d));
    assert_false(plim_shape_equal(&a, &scalar));
    assert_string_equal(plim_shape_text(&scalar, text, sizeof text), "[]");
    assert_string_equal(plim_shape_text(&a, text, sizeof text), "[3, 5]");
    assert_string_equal(plim_shape_text(&longest, text, sizeof text),
                        "[18446744073709551615, 18446744073709551615, 18446744073709551615, "
                        "18446744073709551615, 18446744073709551615, 18446744073709551615, "
                        "18446744073709551615, 18446744073709551615]");
    assert_string_equal(plim_shape_text(&a, text, 4), "[3,");
    text[0] = 'x';
    assert_ptr_equal(plim_shape_text(&a, text, 0), text);
    assert_int_equal(text[0], 'x');
}

/* Sizes of groups: 32 quants and a scale of two bytes. */
static void groups(void **state)
{
    (void)state;
    uint64_t bytes;
    plim_shape shape = {2, {3, 64}};
    assert_int_equal(plim_dtype_bytes(PLIM_Q8, 64), 2 * 34);
    assert_int_equal(plim_dtype_bytes(PLIM_Q4, 64), 2 * 18);
    assert_int_equal(plim_dtype_quant_bytes(PLIM_Q8, 64), 64);
    assert_int_equal(plim_dtype_quant_bytes(PLIM_Q4, 64), 32);
    assert_int_equal(plim_dtype_quant_bytes(PLIM_F32, 64), 0);
    assert_int_equal(plim_dtype_bytes(PLIM_BF16, 64), 128);
    assert_true(plim_shape_bytes(&shape, PLIM_Q4, &bytes));
    assert_int_equal(bytes, 3 * 36);
    plim_dtype dtype;
    assert_int_equal(plim_dtype_parse(&dtype, "int8", NULL), PLIM_OK);
    assert_int_equal(dtype, PLIM_I8); /* a model's options know what is meant */
    assert_int_equal(plim_dtype_parse(&dtype, "int4", NULL), PLIM_OK);
    assert_int_equal(dtype, PLIM_Q4);
    assert_int_equal(plim_dtype_parse(&dtype, "(Q4)", NULL), PLIM_E_USAGE);
    assert_int_equal(plim_dtype_from_name("(Q8)", 4), PLIM_AUTO); /* in no file */
    assert_string_equal(plim_dtype_torch_name(PLIM_Q8), "int8");
    shape.dim[1] = 48; /* a group and a half */
    assert_false(plim_shape_bytes(&shape, PLIM_Q4, &bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_types), cmocka_unit_test(outside_of_the_table),
        cmocka_unit_test(parse),     cmocka_unit_test(counts_and_bytes),
        cmocka_unit_test(overflows), cmocka_unit_test(equality_and_text),
        cmocka_unit_test(groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
