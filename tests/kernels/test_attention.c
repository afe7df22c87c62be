/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention of one query row: close to a softmax in double precision, and the same bits whatever
 * heads are computed together, whatever lies before `first` and after `last`. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static const plim_dtype DTYPES[] = {PLIM_F32, PLIM_F16, PLIM_BF16};
enum { DTYPE_COUNT = 3 };

typedef struct problem {
    plim_attention a;
    plim_dtype dtype;
    size_t positions, kv_bytes, q_bytes, y_bytes;
    float *q, *y;
    char *k, *v;
} problem;

static void problem_open(problem *b, plim_dtype dtype, size_t group, size_t dim, size_t positions,
                         uint64_t *state)
{
    size_t bytes = plim_dtypes[dtype].bits / 8;
    *b = (problem){.dtype = dtype, .positions = positions};
    b->a = (plim_attention){.group = group, .head_dim = dim, .scale = 1.0f / sqrtf((float)dim)};
    b->a.last = positions - 1;
    b->a.q_stride = dim + check_below(state, 3);
    b->a.y_stride = dim + check_below(state, 3);
    b->a.kv_row_bytes = (dim + check_below(state, 3)) * bytes;
    b->q_bytes = ((group - 1) * b->a.q_stride + dim) * sizeof(float);
    b->y_bytes = ((group - 1) * b->a.y_stride + dim) * sizeof(float);
    b->kv_bytes = (positions - 1) * b->a.kv_row_bytes + dim * bytes;
    b->a.q = b->q = check_guarded(b->q_bytes);
    b->a.y = b->y = check_guarded(b->y_bytes);
    b->a.k = b->k = check_guarded(b->kv_bytes);
    b->a.v = b->v = check_guarded(b->kv_bytes);
    for (size_t i = 0; i < b->q_bytes / 4; i++)
        b->q[i] = 4 * check_uniform(state);
    for (size_t i = 0; i < b->kv_bytes / bytes; i++) {
        check_put(b->k, i, dtype, 4 * check_uniform(state));
        check_put(b->v, i, dtype, check_uniform(state));
    }
}

static void problem_close(problem *b)
{
    check_guarded_free(b->q, b->q_bytes);
    check_guarded_free(b->y, b->y_bytes);
    check_guarded_free(b->k, b->kv_bytes);
    check_guarded_free(b->v, b->kv_bytes);
}

/* Output d of head g in double precision; *room is what float32 may be off by. */
static double exact(const problem *b, size_t g, size_t d, const double *weights, double *room)
{
    double sum = 0, total = 0, size = 0;
    (void)g;
    for (size_t t = b->a.first; t <= b->a.last; t++) {
        double v = check_get(b->v + t * b->a.kv_row_bytes, d, b->dtype);
        total += weights[t];
        sum += weights[t] * v;
        size += weights[t] * fabs(v);
    }
    /* A score is off by a few eps of its own size (tens here), which the exponential turns into as
     * much of each weight. */
    *room = 64 * FLT_EPSILON * size / total;
    return sum / total;
}

static void exact_weights(const problem *b, size_t g, double *weights)
{
    double largest = -INFINITY;
    for (size_t t = b->a.first; t <= b->a.last; t++) {
        weights[t] = 0;
        for (size_t d = 0; d < b->a.head_dim; d++)
            weights[t] += (double)b->q[g * b->a.q_stride + d] *
                          check_get(b->k + t * b->a.kv_row_bytes, d, b->dtype);
        weights[t] *= (double)b->a.scale;
        largest = fmax(largest, weights[t]);
    }
    for (size_t t = b->a.first; t <= b->a.last; t++)
        weights[t] = exp(weights[t] - largest);
}

static void check_close(const plim_kernels *k, const problem *b)
{
    double *weights = malloc(b->positions * sizeof *weights);
    assert_non_null(weights);
    for (size_t g = 0; g < b->a.group; g++) {
        exact_weights(b, g, weights);
        for (size_t d = 0; d < b->a.head_dim; d++) {
            double room, want = exact(b, g, d, weights, &room), y = b->y[g * b->a.y_stride + d];
            if (!(fabs(y - want) <= room))
                fail_msg(
                    "%s %s, group %zu, dim %zu, positions %zu..%zu: y[%zu][%zu] is %.9g, want %.9g",
                    k->name, plim_dtypes[b->dtype].name, b->a.group, b->a.head_dim, b->a.first,
                    b->a.last, g, d, y, want);
        }
    }
    free(weights);
}

static void fill_nan(problem *b)
{
    for (size_t i = 0; i < b->y_bytes / 4; i++)
        b->y[i] = NAN;
}

static void run_and_check(plim_dtype dtype, size_t group, size_t dim, size_t first, size_t last,
                          uint64_t *state)
{
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    problem b;
    problem_open(&b, dtype, group, dim, last + 1, state);
    b.a.first = first;
    for (size_t t = 0; t < count; t++) {
        fill_nan(&b);
        tables[t].attention[dtype](&b.a);
        check_close(&tables[t], &b);
    }
    problem_close(&b);
}

static void dimensions_and_groups(void **unused)
{
    uint64_t state = 11;
    (void)unused;
    for (size_t d = 0; d < DTYPE_COUNT; d++) {
        for (size_t dim = 1; dim <= 256; dim += dim < 80 ? 1 : 7)
            run_and_check(DTYPES[d], 1 + dim % 8, dim, 0, check_below(&state, 150), &state);
        for (size_t group = 1; group <= 11; group++)
            run_and_check(DTYPES[d], group, 64, 0, 70, &state);
        run_and_check(DTYPES[d], 35, 12, 0, 70, &state);
        run_and_check(DTYPES[d], 4, 256, 3, 200, &state);
    }
}

/* Every length up to three blocks, and windows that begin anywhere. */
static void positions(void **unused)
{
    uint64_t state = 12;
    (void)unused;
    for (size_t d = 0; d < DTYPE_COUNT; d++) {
        for (size_t last = 0; last <= 193; last++) {
            run_and_check(DTYPES[d], 3, 20, 0, last, &state);
            run_and_check(DTYPES[d], 2, 16, check_below(&state, last + 1), last, &state);
        }
        run_and_check(DTYPES[d], 2, 24, 1000, 1000, &state);
        run_and_check(DTYPES[d], 2, 24, 1500, 2900, &state);
        run_and_check(DTYPES[d], 5, 130, 70, 1500, &state); /* beyond what the caches hold */
    }
}

/* Heads alone, a cache that holds more than is asked for, garbage outside of [first, last]. */
static void same_bits_whatever_stands_beside(void **unused)
{
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    uint64_t state = 13;
    float whole[8 * 80];
    (void)unused;
    for (size_t t = 0; t < count; t++)
        for (int i = 0; i < 60; i++) {
            problem b;
            plim_dtype dtype = DTYPES[i % DTYPE_COUNT];
            size_t group = 1 + check_below(&state, 8), dim = 1 + check_below(&state, 72);
            problem_open(&b, dtype, group, dim, 300, &state);
            b.a.first = check_below(&state, 250);
            b.a.last = b.a.first + check_below(&state, 300 - b.a.first);
            tables[t].attention[dtype](&b.a);
            memcpy(whole, b.y, b.y_bytes);
            memset(b.k, 0xff, b.a.first * b.a.kv_row_bytes); /* NaN */
            memset(b.v, 0xff, b.a.first * b.a.kv_row_bytes);
            for (size_t p = b.a.last + 1; p < 300; p++) {
                memset(b.k + p * b.a.kv_row_bytes, 0xff, dim * plim_dtypes[dtype].bits / 8);
                memset(b.v + p * b.a.kv_row_bytes, 0xff, dim * plim_dtypes[dtype].bits / 8);
            }
            for (size_t g = 0, heads; g < group; g += heads) {
                heads = 1 + check_below(&state, group - g);
                plim_attention part = b.a;
                part.group = heads;
                part.q += g * part.q_stride;
                part.y += g * part.y_stride;
                fill_nan(&b);
                tables[t].attention[dtype](&part);
                for (size_t h = g; h < g + heads; h++)
                    for (size_t d = 0; d < dim; d++)
                        check_same(tables[t].name, whole[h * part.y_stride + d],
                                   b.y[h * part.y_stride + d]);
            }
            problem_close(&b);
        }
}

/* One score far above the others: its value alone, however far it is from the rest; and equal ones:
 * the mean. */
static void sharp_and_flat(void **unused)
{
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    uint64_t state = 14;
    (void)unused;
    for (size_t t = 0; t < count; t++)
        for (size_t winner = 0; winner < 200; winner += 9) {
            problem b;
            problem_open(&b, PLIM_F32, 1, 8, 200, &state);
            memset(b.k, 0, b.kv_bytes);
            for (size_t d = 0; d < 8; d++)
                b.q[d] = 1e3f;
            for (size_t d = 0; d < 8; d++)
                check_put(b.k + winner * b.a.kv_row_bytes, d, PLIM_F32, 1.0f);
            tables[t].attention[PLIM_F32](&b.a);
            for (size_t d = 0; d < 8; d++)
                assert_true(b.y[d] ==
                            (float)check_get(b.v + winner * b.a.kv_row_bytes, d, PLIM_F32));
            memset(b.q, 0, b.q_bytes);
            tables[t].attention[PLIM_F32](&b.a);
            check_close(&tables[t], &b);
            problem_close(&b);
        }
}

/* A score of -infinity counts for nothing; a NaN or +infinity makes all of the output NaN, as in
 * PyTorch. */
static void special_scores(void **unused)
{
    static const float odd[] = {-INFINITY, INFINITY, NAN};
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    uint64_t state = 15;
    (void)unused;
    for (size_t t = 0; t < count; t++)
        for (size_t at = 0; at < 140; at += 3)
            for (int i = 0; i < 3; i++) {
                problem b;
                problem_open(&b, PLIM_F32, 1, 5, 140, &state);
                b.q[2] = 1.0f;
                check_put(b.k + at * b.a.kv_row_bytes, 2, PLIM_F32, odd[i]);
                if (i == 0) /* the first blocks hold nothing else either */
                    for (size_t p = 0; p < at; p++)
                        check_put(b.k + p * b.a.kv_row_bytes, 2, PLIM_F32, odd[i]);
                tables[t].attention[PLIM_F32](&b.a);
                if (i == 0 && at < 139)
                    check_close(&tables[t], &b);
                else
                    for (size_t d = 0; d < 5; d++)
                        assert_true(i == 0 || isnan(b.y[d]));
                problem_close(&b);
            }
}

const struct CMUnitTest check_attention_tests[] = {
    cmocka_unit_test(dimensions_and_groups),
    cmocka_unit_test(positions),
    cmocka_unit_test(same_bits_whatever_stands_beside),
    cmocka_unit_test(sharp_and_flat),
    cmocka_unit_test(special_scores),
};
const size_t check_attention_count = sizeof check_attention_tests / sizeof check_attention_tests[0];
