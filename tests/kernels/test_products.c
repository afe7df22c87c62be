/* SPDX-License-Identifier: Apache-2.0
 *
 * Products: close to a computation in double precision, and the same bits however a call is cut up.
 */
#include <fenv.h>
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "check.h"

static const plim_dtype DTYPES[] = {PLIM_F32, PLIM_F16, PLIM_BF16};
enum { DTYPE_COUNT = 3 };

/* One problem: arrays that end at an unreadable page, with strides that keep vectors unaligned. */
typedef struct problem {
    plim_product p;
    plim_dtype dtype;
    bool in_out;
    size_t x_bytes, w_bytes, y_bytes;
    float *x, *y;
    void *w;
} problem;

static void problem_open(problem *b, plim_dtype dtype, bool in_out, size_t rows, size_t outputs,
                         size_t inputs, uint64_t *state)
{
    size_t bytes = plim_dtypes[dtype].bits / 8, w_rows = in_out ? inputs : outputs;
    size_t w_cols = in_out ? outputs : inputs;
    *b = (problem){.dtype = dtype, .in_out = in_out};
    b->p = (plim_product){.rows = rows, .outputs = outputs, .inputs = inputs};
    b->p.x_stride = inputs + check_below(state, 3);
    b->p.y_stride = outputs + check_below(state, 3);
    b->p.w_row_bytes = (w_cols + check_below(state, 3)) * bytes;
    /* The last row of each array ends at the page that can't be read. */
    b->x_bytes = ((rows - 1) * b->p.x_stride + inputs) * sizeof(float);
    b->y_bytes = ((rows - 1) * b->p.y_stride + outputs) * sizeof(float);
    b->w_bytes = w_rows ? (w_rows - 1) * b->p.w_row_bytes + w_cols * bytes : 0;
    b->p.x = b->x = check_guarded(b->x_bytes);
    b->p.y = b->y = check_guarded(b->y_bytes);
    b->p.w = b->w = check_guarded(b->w_bytes);
    for (size_t i = 0; i < b->x_bytes / 4; i++)
        b->x[i] = check_uniform(state);
    for (size_t i = 0; i < b->w_bytes / bytes; i++)
        check_put(b->w, i, dtype, check_uniform(state));
    for (size_t i = 0; i < b->y_bytes / 4; i++)
        b->y[i] = in_out ? 0.0f : NAN;
}

static void problem_close(problem *b)
{
    check_guarded_free(b->x, b->x_bytes);
    check_guarded_free(b->y, b->y_bytes);
    check_guarded_free(b->w, b->w_bytes);
}

static plim_product_fn slot(const plim_kernels *k, const problem *b)
{
    return b->in_out ? k->product_in_out[b->dtype] : k->product_out_in[b->dtype];
}

/* The product of `part` of a problem, with rows packed as a caller does it.  part->x begins at
 * column `first` of the problem's rows. */
static void multiply(const plim_kernels *k, const problem *b, plim_product part, size_t first)
{
    size_t bytes = plim_pack_bytes(part.rows, b->p.inputs);
    char *packed = NULL;
    if (part.rows >= k->pack_from[b->dtype] && b->p.inputs > 0) {
        packed = check_guarded(bytes);
        for (size_t r = 0; r < part.rows; r += PLIM_PACK_ROWS) {
            size_t rest = part.rows - r;
            plim_pack pack = {.dst = packed,
                              .x = part.x - first,
                              .x_stride = part.x_stride,
                              .first = r,
                              .rows = rest < PLIM_PACK_ROWS ? rest : PLIM_PACK_ROWS,
                              .inputs = b->p.inputs};
            k->pack[b->dtype](&pack);
        }
        part.packed = packed;
        part.packed_inputs = b->p.inputs;
        part.first_input = first;
        part.x = NULL;
    }
    slot(k, b)(&part);
    if (packed)
        check_guarded_free(packed, bytes);
}

static double weight(const problem *b, size_t o, size_t k)
{
    size_t row = b->in_out ? k : o, column = b->in_out ? o : k;
    return check_get((const char *)b->w + row * b->p.w_row_bytes, column, b->dtype);
}

/* |y - exact| <= 8 eps sum |x w| for every output. */
static void check_close(const plim_kernels *k, const problem *b)
{
    for (size_t r = 0; r < b->p.rows; r++)
        for (size_t o = 0; o < b->p.outputs; o++) {
            double exact = 0, size = 0, y = b->y[r * b->p.y_stride + o];
            for (size_t i = 0; i < b->p.inputs; i++) {
                double product = (double)b->x[r * b->p.x_stride + i] * weight(b, o, i);
                exact += product;
                size += fabs(product);
            }
            if (!(fabs(y - exact) <= 8 * FLT_EPSILON * size))
                fail_msg("%s %s %s, %zu x %zu x %zu: y[%zu][%zu] is %.9g, want %.9g", k->name,
                         plim_dtypes[b->dtype].name, b->in_out ? "in_out" : "out_in", b->p.rows,
                         b->p.inputs, b->p.outputs, r, o, y, exact);
        }
}

static void run_and_check(plim_dtype dtype, bool in_out, size_t rows, size_t outputs, size_t inputs,
                          uint64_t *state)
{
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    problem b;
    problem_open(&b, dtype, in_out, rows, outputs, inputs, state);
    for (size_t t = 0; t < count; t++) {
        for (size_t r = 0; r < rows; r++)
            for (size_t o = 0; o < outputs; o++)
                b.y[r * b.p.y_stride + o] = in_out ? 0.0f : NAN;
        multiply(&tables[t], &b, b.p, 0);
        check_close(&tables[t], &b);
    }
    problem_close(&b);
}

/* Every number of inputs up to 200, then odd ones about the bounds of blocks. */
static void sizes_of_inputs(void **unused)
{
    static const size_t large[] = {255, 256, 257, 383,  384,  385,  400,  511,  513,
                                   767, 768, 769, 1000, 1023, 1024, 1025, 1601, 3001};
    uint64_t state = 1;
    (void)unused;
    for (size_t d = 0; d < DTYPE_COUNT; d++)
        for (int in_out = 0; in_out < 2; in_out++) {
            for (size_t n = in_out; n <= 200; n++) {
                run_and_check(DTYPES[d], in_out, 1, 1 + check_below(&state, 9), n, &state);
                run_and_check(DTYPES[d], in_out, 2 + check_below(&state, 7),
                              1 + check_below(&state, 20), n, &state);
            }
            for (size_t i = 0; i < sizeof large / sizeof large[0]; i++) {
                run_and_check(DTYPES[d], in_out, 1, 1 + check_below(&state, 9), large[i], &state);
                run_and_check(DTYPES[d], in_out, 2 + check_below(&state, 7),
                              1 + check_below(&state, 20), large[i], &state);
                run_and_check(DTYPES[d], in_out, 13 + check_below(&state, 30),
                              1 + check_below(&state, 20), large[i], &state);
            }
        }
}

static void sizes_of_outputs_and_rows(void **unused)
{
    uint64_t state = 2;
    (void)unused;
    for (size_t d = 0; d < DTYPE_COUNT; d++)
        for (int in_out = 0; in_out < 2; in_out++) {
            for (size_t n = 1; n <= 200; n++)
                run_and_check(DTYPES[d], in_out, 1 + n % 3, n, 17, &state);
            for (size_t n = 1; n <= 140; n++)
                run_and_check(DTYPES[d], in_out, n, 1 + n % 30, 19, &state);
        }
}

/* The call cut at random into rows and outputs (and, for in_out, ranges of inputs) gives the same
 * bits. */
static void cut_and_compare(const plim_kernels *k, problem *b, const float *whole, uint64_t *state)
{
    size_t bytes = plim_dtypes[b->dtype].bits / 8;
    for (size_t i = 0; i < b->y_bytes / 4; i++)
        b->y[i] = b->in_out ? 0.0f : NAN;
    for (size_t r = 0, rows; r < b->p.rows; r += rows) {
        rows = 1 + check_below(state, b->p.rows - r);
        for (size_t o = 0, outputs; o < b->p.outputs; o += outputs) {
            outputs = 1 + check_below(state, b->p.outputs - o);
            for (size_t i = 0, inputs; i < b->p.inputs; i += inputs) {
                inputs = b->in_out ? 1 + check_below(state, b->p.inputs - i) : b->p.inputs;
                plim_product part = b->p;
                part.rows = rows, part.outputs = outputs, part.inputs = inputs;
                part.y += r * b->p.y_stride + o;
                part.x += r * b->p.x_stride + i;
                part.w = (const char *)b->w +
                         (b->in_out ? i * b->p.w_row_bytes + o * bytes : o * b->p.w_row_bytes);
                multiply(k, b, part, i);
            }
        }
    }
    for (size_t r = 0; r < b->p.rows; r++)
        for (size_t o = 0; o < b->p.outputs; o++)
            check_same(k->name, whole[r * b->p.y_stride + o], b->y[r * b->p.y_stride + o]);
}

/* `special`: some infinities, NaN and denormals among the numbers. */
static void cuts(plim_dtype dtype, bool in_out, size_t rows, size_t outputs, size_t inputs,
                 bool special, uint64_t *state)
{
    static const float odd[] = {INFINITY, -INFINITY, NAN, 1e-40f, -1e-45f, -0.0f, 3e38f};
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    problem b;
    problem_open(&b, dtype, in_out, rows, outputs, inputs, state);
    for (size_t i = 0; special && i < 3; i++) {
        b.x[check_below(state, b.x_bytes / 4)] = odd[check_below(state, 7)];
        check_put(b.w, check_below(state, b.w_bytes / (plim_dtypes[dtype].bits / 8)), dtype,
                  odd[check_below(state, 7)]);
    }
    float *whole = malloc(b.y_bytes);
    assert_non_null(whole);
    for (size_t t = 0; t < count; t++) {
        for (size_t i = 0; i < b.y_bytes / 4; i++)
            b.y[i] = in_out ? 0.0f : NAN;
        multiply(&tables[t], &b, b.p, 0);
        memcpy(whole, b.y, b.y_bytes);
        for (int i = 0; i < 3; i++)
            cut_and_compare(&tables[t], &b, whole, state);
    }
    free(whole);
    problem_close(&b);
}

static void same_bits_however_cut(void **unused)
{
    uint64_t state = 3;
    (void)unused;
    for (size_t d = 0; d < DTYPE_COUNT; d++)
        for (int in_out = 0; in_out < 2; in_out++) {
            for (int i = 0; i < 60; i++)
                cuts(DTYPES[d], in_out, 1 + check_below(&state, 12), 1 + check_below(&state, 40),
                     1 + check_below(&state, 500), i % 2, &state);
            cuts(DTYPES[d], in_out, 140, 70, 800, false, &state);
            cuts(DTYPES[d], in_out, 67, 25, 1201, true, &state);
            cuts(DTYPES[d], in_out, 40, 110, 2100, true, &state);
            cuts(DTYPES[d], in_out, 300, 20, 1100, false, &state);
            for (size_t rows = 15; rows < 40; rows++)
                cuts(DTYPES[d], in_out, rows, 1 + check_below(&state, 110),
                     1 + check_below(&state, 300), rows % 2, &state);
        }
}

/* A NaN spoils the outputs that it meets and no other; infinities cancel to NaN; no flush to zero.
 */
static void special_values(void **unused)
{
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    uint64_t state = 4;
    (void)unused;
    for (size_t t = 0; t < count; t++)
        for (int in_out = 0; in_out < 2; in_out++)
            for (size_t inputs = 1; inputs <= 70; inputs++) {
                problem b;
                problem_open(&b, PLIM_F32, in_out, 5, 14, inputs, &state);
                size_t k = check_below(&state, inputs), bad = check_below(&state, 5);
                memset(b.x, 0, b.x_bytes);
                b.x[bad * b.p.x_stride + k] = NAN;
                b.x[(bad + 1) % 5 * b.p.x_stride + k] = 1e-40f;
                check_put((char *)b.w + (in_out ? k : 3) * b.p.w_row_bytes, in_out ? 3 : k,
                          PLIM_F32, 1.0f);
                slot(&tables[t], &b)(&b.p);
                for (size_t r = 0; r < 5; r++)
                    for (size_t o = 0; o < 14; o++)
                        assert_int_equal(isnan(b.y[r * b.p.y_stride + o]) != 0, r == bad);
                assert_true(b.y[(bad + 1) % 5 * b.p.y_stride + 3] == 1e-40f);
                problem_close(&b);
            }
}

/* Padding between rows of y stays as it was, and the floating-point mode too. */
static void nothing_else_is_touched(void **unused)
{
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    uint64_t state = 5;
    fenv_t before, after;
    (void)unused;
    for (size_t t = 0; t < count; t++)
        for (int in_out = 0; in_out < 2; in_out++)
            for (size_t outputs = 1; outputs < 70; outputs++) {
                problem b;
                problem_open(&b, PLIM_BF16, in_out, 9, outputs, 33, &state);
                b.p.rows = 7, b.p.y_stride = outputs; /* the rest of y lies behind row 7 */
                for (size_t i = 0; i < b.y_bytes / 4; i++)
                    b.y[i] = 7.0f;
                feclearexcept(FE_ALL_EXCEPT);
                fegetenv(&before);
                slot(&tables[t], &b)(&b.p);
                feclearexcept(FE_ALL_EXCEPT);
                fegetenv(&after);
                assert_memory_equal(&before, &after, sizeof before);
                for (size_t i = 7 * outputs; i < b.y_bytes / 4; i++)
                    assert_true(b.y[i] == 7.0f);
                problem_close(&b);
            }
}

/* How deep a call goes: threads of the pool have 256 KiB.  The stack is painted beforehand. */
enum { STACK_BYTES = 512 << 10, STACK_MOST = 128 << 10 };

static void *run_on_thread(void *arg)
{
    const problem *b = arg;
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    for (size_t t = 0; t < count; t++) {
        multiply(&tables[t], b, b->p, 0);
        slot(&tables[t], b)(&b->p); /* not packed */
    }
    return NULL;
}

static void stack_is_bounded(void **unused)
{
#if defined(__SANITIZE_THREAD__)
    skip(); /* it keeps more on each stack than this test gives */
#endif
    uint64_t state = 6;
    char *stack =
        mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)unused;
    assert_ptr_not_equal(stack, MAP_FAILED);
    for (size_t d = 0; d < DTYPE_COUNT; d++)
        for (int in_out = 0; in_out < 2; in_out++) {
            problem b;
            pthread_t thread;
            pthread_attr_t attr;
            size_t unused_bytes = 0;
            problem_open(&b, DTYPES[d], in_out, 130, 50, 900, &state);
            memset(stack, 0x5a, STACK_BYTES);
            assert_int_equal(pthread_attr_init(&attr), 0);
            assert_int_equal(pthread_attr_setstack(&attr, stack, STACK_BYTES), 0);
            assert_int_equal(pthread_create(&thread, &attr, run_on_thread, &b), 0);
            pthread_join(thread, NULL);
            pthread_attr_destroy(&attr);
            while (unused_bytes < STACK_BYTES && stack[unused_bytes] == 0x5a)
                unused_bytes++;
            assert_in_range(STACK_BYTES - unused_bytes, 1, STACK_MOST);
            problem_close(&b);
        }
    munmap(stack, STACK_BYTES);
}

const struct CMUnitTest check_product_tests[] = {
    cmocka_unit_test(sizes_of_inputs),         cmocka_unit_test(sizes_of_outputs_and_rows),
    cmocka_unit_test(same_bits_however_cut),   cmocka_unit_test(special_values),
    cmocka_unit_test(nothing_else_is_touched), cmocka_unit_test(stack_is_bounded),
};
const size_t check_product_count = sizeof check_product_tests / sizeof check_product_tests[0];
