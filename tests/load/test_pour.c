/* SPDX-License-Identifier: Apache-2.0
 *
 * What becomes of weights on their way into memory: whatever the pieces and tasks, the bytes of
 * casting, quantising or turning the whole matrix at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "load/pour.h"

static const plim_dtype stored[] = {PLIM_F32, PLIM_F16, PLIM_BF16, PLIM_F64};
static plim_kernels kernels;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

/* A matrix in a stored type, one byte off any alignment, and as f32. */
typedef struct matrix {
    uint64_t rows, cols;
    plim_dtype type;
    char *memory, *src;
    float *floats;
} matrix;

static matrix make(uint64_t rows, uint64_t cols, plim_dtype type)
{
    uint64_t state = rows * 7919 + cols + (uint64_t)type, n = rows * cols;
    matrix m = {.rows = rows, .cols = cols, .type = type};
    m.floats = malloc(n * sizeof(float));
    m.memory = malloc((size_t)plim_dtype_bytes(type, n) + 1);
    assert_true(m.floats && m.memory);
    m.src = m.memory + 1;
    for (uint64_t i = 0; i < n; i++)
        m.floats[i] = (float)((double)(next_random(&state) >> 11) / 9007199254740992.0 - 0.5);
    if (type == PLIM_F32)
        memcpy(m.src, m.floats, n * sizeof(float));
    else {
        kernels.cast[type][PLIM_F32](m.src, m.floats, n);
        kernels.cast[PLIM_F32][type](m.floats, m.src, n);
    }
    return m;
}

static void drop(matrix *m)
{
    free(m->memory);
    free(m->floats);
}

/* Row by row (of a turned one: output by output) with the kernel itself. */
static char *reference(const matrix *m, plim_change change, plim_dtype to, size_t *bytes)
{
    bool turn = change == PLIM_CHANGE_TURN;
    uint64_t outputs = turn ? m->cols : m->rows, inputs = turn ? m->rows : m->cols;
    size_t row_bytes = inputs * (to == PLIM_Q4 ? 1 : 2) / 2, scale_bytes = inputs / 32 * 2;
    char *out = malloc(outputs * (row_bytes + scale_bytes)), *scales = out + outputs * row_bytes;
    float *row = malloc(inputs * sizeof *row);
    assert_true(out && row);
    for (uint64_t o = 0; o < outputs; o++) {
        for (uint64_t k = 0; k < inputs; k++)
            row[k] = turn ? m->floats[k * m->cols + o] : m->floats[o * m->cols + k];
        kernels.quantise[to](out + o * row_bytes, scales + o * scale_bytes, row, inputs);
    }
    free(row);
    *bytes = outputs * (row_bytes + scale_bytes);
    return out;
}

/* In pieces of random length, their tasks from last to first. */
static void pour_pieces(const matrix *m, plim_pour *pour, uint64_t unit)
{
    uint64_t state = 77 + m->rows, all = m->rows * m->cols;
    for (uint64_t at = 0, n; at < all; at += n) {
        n = (next_random(&state) % (all / unit) / 3 + 1) * unit;
        n = n < all - at ? n : all - at;
        plim_pour_piece piece = {m->src + plim_dtype_bytes(m->type, at), at, n};
        for (unsigned i = plim_pour_tasks(pour, &piece); i-- > 0;)
            assert_true(plim_pour_task(pour, &piece, i));
    }
}

static void check(uint64_t rows, uint64_t cols, plim_change change, plim_dtype from, plim_dtype to)
{
    size_t bytes;
    matrix m = make(rows, cols, from);
    char *want = reference(&m, change, to, &bytes), *got = malloc(bytes + 8);
    assert_non_null(got);
    plim_pour pour = {&kernels, change, from, to, rows, cols, got, false};
    plim_pour_piece whole = {m.src, 0, rows * cols};
    for (int pieces = 0; pieces < 2; pieces++) {
        memset(got, 0x5a, bytes + 8);
        if (pieces)
            pour_pieces(&m, &pour, change == PLIM_CHANGE_TURN ? 32 * cols : 32);
        else
            assert_true(plim_pour_all(&pour, &whole));
        assert_memory_equal(got, want, bytes);
        for (int i = 0; i < 8; i++)
            assert_int_equal(got[bytes + (size_t)i], 0x5a);
    }
    plim_group_rows at = plim_group_rows_of(to, change, rows, cols);
    uint64_t outputs = change == PLIM_CHANGE_TURN ? cols : rows;
    assert_int_equal(at.row_bytes + at.scale_row_bytes, bytes / outputs);
    assert_int_equal(at.scale_row_bytes, rows * cols / outputs / 32 * 2);
    assert_int_equal(at.scales_at, outputs * at.row_bytes);
    free(want);
    free(got);
    drop(&m);
}

static void test_quantised(void **state)
{
    (void)state;
    static const uint64_t sizes[][2] = {{1, 32}, {3, 64}, {7, 1056}, {40, 2048}, {2, 98304}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t t = 0; t < 4; t++) {
            check(sizes[i][0], sizes[i][1], PLIM_CHANGE_QUANTISE, stored[t], PLIM_Q8);
            check(sizes[i][0], sizes[i][1], PLIM_CHANGE_QUANTISE, stored[t], PLIM_Q4);
        }
}

static void test_turned(void **state)
{
    (void)state;
    static const uint64_t sizes[][2] = {{32, 32}, {96, 64}, {64, 1056}, {256, 33}, {32, 4096}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t t = 0; t < 4; t++) {
            check(sizes[i][0], sizes[i][1], PLIM_CHANGE_TURN, stored[t], PLIM_Q8);
            check(sizes[i][0], sizes[i][1], PLIM_CHANGE_TURN, stored[t], PLIM_Q4);
        }
}

static void test_cast_and_copied(void **state)
{
    (void)state;
    matrix m = make(300, 700, PLIM_BF16);
    size_t n = 300 * 700;
    float *got = malloc(n * sizeof *got);
    char *copy = malloc(n * 2);
    assert_true(got && copy);
    plim_pour cast = {&kernels, PLIM_CHANGE_CAST, PLIM_BF16, PLIM_F32, 300,
                      700,      (char *)got,      false};
    plim_pour same = {&kernels, PLIM_CHANGE_NONE, PLIM_BF16, PLIM_BF16, 300, 700, copy, false};
    pour_pieces(&m, &cast, 1);
    pour_pieces(&m, &same, 1);
    assert_memory_equal(got, m.floats, n * sizeof *got);
    assert_memory_equal(copy, m.src, n * 2);
    free(got);
    free(copy);
    drop(&m);
}

/* ---- scales ---- */

/* Whether the cast loses a scale: becomes infinite, is no number, or is 0 and was not. */
static bool lost(plim_dtype from, const void *scale)
{
    uint16_t half;
    float wide;
    kernels.cast[PLIM_F16][from](&half, scale, 1);
    if (from == PLIM_F32)
        memcpy(&wide, scale, sizeof wide);
    else
        kernels.cast[PLIM_F32][from](&wide, scale, 1);
    return (half & 0x7c00) == 0x7c00 || ((half & 0x7fff) == 0 && wide != 0);
}

static void check_scale(plim_dtype from, const void *scale)
{
    plim_stored_file file = {.path = "model.safetensors"};
    plim_stored t = {.name = "up.weight_scale", .dtype = from};
    const plim_stored_set set = {.files = &file, .file_count = 1, .tensors = &t, .tensor_count = 1};
    uint16_t got;
    plim_error err;
    plim_pour pour = {&kernels, PLIM_CHANGE_CAST, from, PLIM_F16, 1, 1, (char *)&got, true};
    plim_pour_piece piece = {scale, 0, 1};
    bool is_lost = lost(from, scale);
    assert_int_equal(plim_pour_all(&pour, &piece), !is_lost);
    plim_status status = plim_pour_explain(&pour, &piece, &set, &t, &err);
    assert_int_equal(status != PLIM_OK, is_lost);
    if (is_lost)
        assert_non_null(strstr(err.message, "up.weight_scale"));
    pour.scales = false;
    assert_true(plim_pour_all(&pour, &piece)); /* of weights anything may come */
}

static void test_scales(void **state)
{
    (void)state;
    static const uint32_t edges[] = {0,          1,          0x32ffffff, 0x33000000, 0x33000001,
                                     0x33800000, 0x3f800000, 0x477fe000, 0x477fefff, 0x477ff000,
                                     0x47800000, 0x7f7fffff, 0x7f800000, 0x7fc00000, 0x7fffffff};
    for (uint32_t bits = 0; bits < 65536; bits++) {
        uint16_t scale = (uint16_t)bits;
        check_scale(PLIM_BF16, &scale);
    }
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        uint32_t negative = edges[i] | 0x80000000u;
        check_scale(PLIM_F32, &edges[i]);
        check_scale(PLIM_F32, &negative);
    }
}

/* One among many, in any task, is found and named. */
static void test_one_scale_of_many(void **state)
{
    (void)state;
    enum { COUNT = 200000 };
    static const size_t places[] = {0, 65535, 65536, COUNT - 1};
    static const struct {
        float scale;
        plim_status code;
        const char *says;
    } cases[] = {{1e6f, PLIM_E_UNSUP, "1e+06"},
                 {1e-9f, PLIM_E_UNSUP, "1e-09"},
                 {INFINITY, PLIM_E_FORMAT, "not a finite number"},
                 {NAN, PLIM_E_FORMAT, "not a finite number"}};
    plim_stored_file file = {.path = "model.safetensors"};
    plim_stored t = {.name = "up.weight_scale", .dtype = PLIM_F32};
    const plim_stored_set set = {.files = &file, .file_count = 1, .tensors = &t, .tensor_count = 1};
    float *scales = malloc(COUNT * sizeof *scales);
    char *got = malloc(COUNT * 2);
    assert_true(scales && got);
    for (size_t i = 0; i < COUNT; i++)
        scales[i] = 0.01f;
    plim_pour pour = {&kernels, PLIM_CHANGE_CAST, PLIM_F32, PLIM_F16, 1, COUNT, got, true};
    plim_pour_piece piece = {scales, 0, COUNT};
    assert_true(plim_pour_all(&pour, &piece));
    for (size_t p = 0; p < 4; p++)
        for (size_t c = 0; c < 4; c++) {
            plim_error err;
            scales[places[p]] = cases[c].scale;
            assert_false(plim_pour_all(&pour, &piece));
            for (unsigned i = 0; i < plim_pour_tasks(&pour, &piece); i++)
                assert_int_equal(plim_pour_task(&pour, &piece, i), i != places[p] / 65536);
            assert_int_equal(plim_pour_explain(&pour, &piece, &set, &t, &err), cases[c].code);
            assert_non_null(strstr(err.message, cases[c].says));
            assert_non_null(strstr(err.message, "up.weight_scale"));
            scales[places[p]] = 0.01f;
        }
    free(scales);
    free(got);
}

static void test_refused(void **state)
{
    (void)state;
    plim_error err;
    plim_kernels none = kernels;
    plim_stored t = {.dtype = PLIM_BF16};
    plim_placement p = {.dtype = PLIM_Q4, .change = PLIM_CHANGE_QUANTISE};
    assert_int_equal(plim_pour_check(&kernels, &p, &t, &err), PLIM_OK);
    none.cast[PLIM_F32][PLIM_BF16] = NULL;
    assert_int_equal(plim_pour_check(&none, &p, &t, &err), PLIM_E_UNSUP);
    t.dtype = PLIM_F32; /* needs no cast */
    assert_int_equal(plim_pour_check(&none, &p, &t, &err), PLIM_OK);
    none.quantise[PLIM_Q4] = NULL;
    assert_int_equal(plim_pour_check(&none, &p, &t, &err), PLIM_E_UNSUP);
    assert_non_null(strstr(err.message, "int4"));
    p = (plim_placement){.dtype = PLIM_F16, .change = PLIM_CHANGE_CAST};
    t.dtype = PLIM_F8_E4M3;
    assert_int_equal(plim_pour_check(&kernels, &p, &t, &err), PLIM_E_UNSUP);
    p.change = PLIM_CHANGE_NONE;
    assert_int_equal(plim_pour_check(&kernels, &p, &t, &err), PLIM_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantised),         cmocka_unit_test(test_turned),
        cmocka_unit_test(test_cast_and_copied),   cmocka_unit_test(test_scales),
        cmocka_unit_test(test_one_scale_of_many), cmocka_unit_test(test_refused),
    };
    plim_kernels_init(&kernels, plim_cpu_features());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
