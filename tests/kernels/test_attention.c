/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention of query rows: close to a softmax in double precision, and the same bits whatever rows
 * and heads are computed together, span by span or at once, whatever lies where a row doesn't
 * look. */
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
    size_t kv_bytes, q_bytes, y_bytes;
    float *q, *y;
    char *k, *v;
} problem;

typedef struct shape {
    size_t rows, group, dim, position, window, context; /* window 0: none */
} shape;

static void problem_open(problem *b, plim_dtype dtype, shape s, uint64_t *state)
{
    size_t bytes = plim_dtypes[dtype].bits / 8, elements = s.context * s.dim;
    *b = (problem){.dtype = dtype};
    b->a = (plim_attention){.rows = s.rows,
                            .group = s.group,
                            .head_dim = s.dim,
                            .position = s.position,
                            .context = s.context,
                            .window = s.window ? s.window : SIZE_MAX,
                            .scale = 1.0f / sqrtf((float)s.dim)};
    b->a.q_stride = s.dim + check_below(state, 3);
    b->a.y_stride = s.dim + check_below(state, 3);
    b->a.q_row_stride = s.group * b->a.q_stride + check_below(state, 3);
    b->a.y_row_stride = s.group * b->a.y_stride + check_below(state, 3);
    b->q_bytes =
        ((s.rows - 1) * b->a.q_row_stride + (s.group - 1) * b->a.q_stride + s.dim) * sizeof(float);
    b->y_bytes =
        ((s.rows - 1) * b->a.y_row_stride + (s.group - 1) * b->a.y_stride + s.dim) * sizeof(float);
    b->kv_bytes = elements * bytes;
    b->a.q = b->q = check_guarded(b->q_bytes);
    b->a.y = b->y = check_guarded(b->y_bytes);
    b->a.k = b->k = check_guarded(b->kv_bytes);
    b->a.v = b->v = check_guarded(b->kv_bytes);
    for (size_t i = 0; i < b->q_bytes / 4; i++)
        b->q[i] = 4 * check_uniform(state);
    for (size_t i = 0; i < elements; i++) {
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

static size_t key_at(const problem *b, size_t t, size_t d)
{
    size_t step, at = plim_key_at(t, b->a.context, b->a.head_dim, &step);
    return at + d * step;
}

static void put_position(problem *b, size_t t, float k, float v)
{
    for (size_t d = 0; d < b->a.head_dim; d++) {
        check_put(b->k, key_at(b, t, d), b->dtype, k);
        check_put(b->v, t * b->a.head_dim + d, b->dtype, v);
    }
}

static float *output(const problem *b, size_t r, size_t g)
{
    return b->y + r * b->a.y_row_stride + g * b->a.y_stride;
}

/* Output d of a head in double precision; *room is what float32 may be off by. */
static double exact(const problem *b, size_t r, size_t d, const double *weights, double reach,
                    double *room)
{
    double sum = 0, total = 0, size = 0;
    for (size_t t = plim_attention_first(&b->a, r); t <= b->a.position + r; t++) {
        double v = check_get(b->v, t * b->a.head_dim + d, b->dtype);
        total += weights[t];
        sum += weights[t] * v;
        size += weights[t] * fabs(v);
    }
    /* A score is off by a few eps of what it was summed from, which the exponential turns into as
     * much of each weight. */
    *room = (16 + 2 * reach) * FLT_EPSILON * size / total;
    return sum / total;
}

/* Returns the largest sum of |q k| that went into a score. */
static double exact_weights(const problem *b, size_t r, size_t g, double *weights)
{
    double largest = -INFINITY, reach = 0;
    const float *q = b->q + r * b->a.q_row_stride + g * b->a.q_stride;
    for (size_t t = plim_attention_first(&b->a, r); t <= b->a.position + r; t++) {
        double size = 0;
        weights[t] = 0;
        for (size_t d = 0; d < b->a.head_dim; d++) {
            double product = (double)q[d] * check_get(b->k, key_at(b, t, d), b->dtype);
            weights[t] += product;
            size += fabs(product);
        }
        weights[t] *= (double)b->a.scale;
        reach = isfinite(size) ? fmax(reach, size * (double)b->a.scale) : reach;
        largest = fmax(largest, weights[t]);
    }
    for (size_t t = plim_attention_first(&b->a, r); t <= b->a.position + r; t++)
        weights[t] = exp(weights[t] - largest);
    return reach;
}

static void check_close(const plim_kernels *k, const problem *b)
{
    double *weights = malloc(b->a.context * sizeof *weights);
    assert_non_null(weights);
    for (size_t r = 0; r < b->a.rows; r++)
        for (size_t g = 0; g < b->a.group; g++) {
            double reach = exact_weights(b, r, g, weights);
            for (size_t d = 0; d < b->a.head_dim; d++) {
                double room, want = exact(b, r, d, weights, reach, &room);
                double y = (double)output(b, r, g)[d];
                if (!(fabs(y - want) <= room))
                    fail_msg("%s %s, group %zu, dim %zu, row %zu of %zu from %zu, window %zu: "
                             "y[%zu][%zu] is %.9g, want %.9g",
                             k->name, plim_dtypes[b->dtype].name, b->a.group, b->a.head_dim, r,
                             b->a.rows, b->a.position, b->a.window, g, d, y, want);
            }
        }
    free(weights);
}

static void fill_nan(problem *b)
{
    for (size_t i = 0; i < b->y_bytes / 4; i++)
        b->y[i] = NAN;
}

static void run_and_check(plim_dtype dtype, shape s, uint64_t *state)
{
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    problem b;
    problem_open(&b, dtype, s, state);
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
        for (size_t dim = 1; dim <= 256; dim += dim < 80 ? 1 : 7) {
            size_t last = check_below(&state, 150);
            run_and_check(DTYPES[d],
                          (shape){1, 1 + dim % 8, dim, last, 0, last + 1 + check_below(&state, 80)},
                          &state);
            run_and_check(DTYPES[d], (shape){1 + dim % 11, 1 + dim % 3, dim, last, 0, last + 11},
                          &state);
        }
        for (size_t group = 1; group <= 16; group++) {
            run_and_check(DTYPES[d], (shape){1, group, 64, 70, 0, 128}, &state);
            run_and_check(DTYPES[d], (shape){5, group, 32, 60, 0, 70}, &state);
        }
        run_and_check(DTYPES[d], (shape){3, 71, 12, 70, 0, 100}, &state);
        run_and_check(DTYPES[d], (shape){1, 4, 256, 200, 198, 256}, &state);
        run_and_check(DTYPES[d], (shape){3, 3, 1024, 66, 0, 130}, &state);
    }
}

/* Every length up to three blocks, contexts that end in a block or at its end, and windows that
 * begin anywhere. */
static void positions(void **unused)
{
    uint64_t state = 12;
    (void)unused;
    for (size_t d = 0; d < DTYPE_COUNT; d++) {
        for (size_t last = 0; last <= 193; last++) {
            run_and_check(DTYPES[d], (shape){1, 3, 20, last, 0, last + 1}, &state);
            run_and_check(DTYPES[d], (shape){1, 3, 20, last, 0, 256}, &state);
            run_and_check(DTYPES[d],
                          (shape){1, 2, 16, last, 1 + check_below(&state, last + 1), last + 1},
                          &state);
            run_and_check(DTYPES[d],
                          (shape){1 + check_below(&state, 30), 2, 16, last,
                                  1 + check_below(&state, 100), last + 30 + last % 64},
                          &state);
        }
        run_and_check(DTYPES[d], (shape){1, 2, 24, 1000, 1, 1001}, &state);
        run_and_check(DTYPES[d], (shape){1, 2, 24, 2900, 1400, 3000}, &state);
        run_and_check(DTYPES[d], (shape){1, 5, 130, 1500, 1430, 1600}, &state);
        run_and_check(DTYPES[d], (shape){40, 2, 24, 1000, 0, 1100}, &state); /* across a span */
        run_and_check(DTYPES[d], (shape){40, 2, 24, 2030, 15, 2100}, &state);
        run_and_check(DTYPES[d], (shape){7, 3, 16, 4000, 0, 4010}, &state);
    }
}

/* ---- the same bits ---- */

/* Rows [r, r + rows) and heads [g, g + heads) of a problem. */
static plim_attention part_of(const problem *b, size_t r, size_t rows, size_t g, size_t heads)
{
    plim_attention part = b->a;
    part.position += r;
    part.rows = rows;
    part.group = heads;
    part.q += r * part.q_row_stride + g * part.q_stride;
    part.y += r * part.y_row_stride + g * part.y_stride;
    return part;
}

static void check_rows(const char *table, const problem *b, const float *whole)
{
    for (size_t r = 0; r < b->a.rows; r++)
        for (size_t g = 0; g < b->a.group; g++)
            for (size_t d = 0; d < b->a.head_dim; d++)
                check_same(table, whole[(size_t)(output(b, r, g) - b->y) + d], output(b, r, g)[d]);
}

/* NaN wherever none of the rows looks. */
static void spoil(problem *b)
{
    size_t first = plim_attention_first(&b->a, 0), end = b->a.position + b->a.rows;
    for (size_t t = 0; t < b->a.context; t++)
        if (t < first || t >= end)
            put_position(b, t, NAN, NAN);
}

static shape random_shape(uint64_t *state, int i)
{
    shape s = {.rows = 1 + check_below(state, i % 4 ? 12 : 100),
               .group = 1 + check_below(state, 8),
               .dim = 1 + check_below(state, i % 3 ? 40 : 150),
               .position = check_below(state, i % 5 ? 200 : 2200)};
    s.window = i % 3 == 1 ? 1 + check_below(state, i % 2 ? 90 : 1500) : 0;
    s.context = s.position + s.rows + check_below(state, 130);
    return s;
}

/* In parts of any number of rows and heads, garbage where nobody looks. */
static void same_bits_whatever_stands_beside(void **unused)
{
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    uint64_t state = 13;
    (void)unused;
    for (size_t t = 0; t < count; t++)
        for (int i = 0; i < 120; i++) {
            problem b;
            plim_dtype dtype = DTYPES[i % DTYPE_COUNT];
            problem_open(&b, dtype, random_shape(&state, i), &state);
            tables[t].attention[dtype](&b.a);
            float *whole = malloc(b.y_bytes);
            assert_non_null(whole);
            memcpy(whole, b.y, b.y_bytes);
            spoil(&b);
            fill_nan(&b);
            for (size_t r = 0, rows; r < b.a.rows; r += rows) {
                rows = 1 + check_below(&state, i % 2 ? 2 : b.a.rows - r);
                rows = rows < b.a.rows - r ? rows : b.a.rows - r;
                for (size_t g = 0, heads; g < b.a.group; g += heads) {
                    heads = 1 + check_below(&state, b.a.group - g);
                    plim_attention part = part_of(&b, r, rows, g, heads);
                    tables[t].attention[dtype](&part);
                }
            }
            check_rows(tables[t].name, &b, whole);
            free(whole);
            problem_close(&b);
        }
}

/* A NaN or an infinity among the values of a position spoils the rows that see it, and no others.
 */
static void odd_values_stay_where_they_are_seen(void **unused)
{
    static const float odd[] = {NAN, INFINITY};
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    uint64_t state = 16;
    (void)unused;
    for (size_t t = 0; t < count; t++)
        for (size_t at = 0; at < 40; at++) {
            problem b;
            shape s = {40, 1 + at % 3, 9, 1000, at % 2 ? 7 : 0, 1100};
            plim_dtype dtype = DTYPES[at % DTYPE_COUNT];
            problem_open(&b, dtype, s, &state);
            tables[t].attention[dtype](&b.a);
            float *whole = malloc(b.y_bytes);
            assert_non_null(whole);
            memcpy(whole, b.y, b.y_bytes);
            put_position(&b, 1000 + at, 1.0f, odd[at / 2 % 2]);
            tables[t].attention[dtype](&b.a);
            for (size_t r = 0; r < 40; r++) {
                bool sees = r >= at && 1000 + at >= plim_attention_first(&b.a, r);
                for (size_t d = 0; d < 9; d++) {
                    float y = output(&b, r, 0)[d];
                    if (sees)
                        assert_false(isfinite(y));
                    else
                        check_same(tables[t].name, whole[(size_t)(output(&b, r, 0) - b.y) + d], y);
                }
            }
            free(whole);
            problem_close(&b);
        }
}

/* Span by span into parts, joined. */
static void spans(void **unused)
{
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    uint64_t state = 17;
    (void)unused;
    for (size_t t = 0; t < count; t++)
        for (int i = 0; i < 24; i++) {
            problem b;
            plim_dtype dtype = DTYPES[i % DTYPE_COUNT];
            shape s = {1 + check_below(&state, 5),
                       1 + check_below(&state, 8),
                       1 + check_below(&state, 70),
                       1020 + check_below(&state, 2500),
                       i % 3 ? 0 : 1 + check_below(&state, 1500),
                       3700};
            problem_open(&b, dtype, s, &state);
            tables[t].attention[dtype](&b.a);
            float *whole = malloc(b.y_bytes);
            assert_non_null(whole);
            memcpy(whole, b.y, b.y_bytes);
            fill_nan(&b);
            size_t stride = s.rows * s.group * (s.dim + 2), bytes = 4 * stride * sizeof(float);
            float *parts = check_guarded(bytes);
            memset(parts, 0xff, bytes);
            for (size_t span = 4; span-- > 0;) {
                plim_attention one = b.a;
                one.parts = parts + span * stride;
                one.span = span;
                tables[t].attention[dtype](&one);
            }
            plim_attention_join(&b.a, parts, stride);
            check_rows(tables[t].name, &b, whole);
            check_guarded_free(parts, bytes);
            free(whole);
            problem_close(&b);
        }
}

/* ---- odd scores ---- */

/* One score far above the others: its value alone, however far it is from the rest; and equal ones:
 * the mean. */
static void sharp_and_flat(void **unused)
{
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    uint64_t state = 14;
    (void)unused;
    for (size_t t = 0; t < count; t++)
        for (size_t winner = 0; winner < 2200; winner += winner < 200 ? 9 : 101) {
            problem b;
            problem_open(&b, PLIM_F32, (shape){1, 1, 8, 2199, 0, 2200}, &state);
            memset(b.k, 0, b.kv_bytes);
            for (size_t d = 0; d < 8; d++) {
                b.q[d] = 1e3f;
                check_put(b.k, key_at(&b, winner, d), PLIM_F32, 1.0f);
            }
            tables[t].attention[PLIM_F32](&b.a);
            for (size_t d = 0; d < 8; d++)
                assert_true(b.y[d] == (float)check_get(b.v, winner * 8 + d, PLIM_F32));
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
    enum { LAST = 2079 };
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    uint64_t state = 15;
    (void)unused;
    for (size_t t = 0; t < count; t++)
        for (size_t at = 0; at <= LAST; at += at < 140 ? 3 : 97)
            for (int i = 0; i < 3; i++) {
                problem b;
                problem_open(&b, PLIM_F32, (shape){1, 1, 5, LAST, 0, LAST + 1}, &state);
                b.q[2] = 1.0f;
                check_put(b.k, key_at(&b, at, 2), PLIM_F32, odd[i]);
                if (i == 0) /* the first blocks hold nothing else either */
                    for (size_t p = 0; p < at; p++)
                        check_put(b.k, key_at(&b, p, 2), PLIM_F32, odd[i]);
                tables[t].attention[PLIM_F32](&b.a);
                if (i == 0 && at < LAST)
                    check_close(&tables[t], &b);
                else
                    for (size_t d = 0; d < 5; d++)
                        assert_true(i == 0 || isnan(b.y[d]));
                problem_close(&b);
            }
}

/* Nothing but -infinity: NaN, as in PyTorch, in one span and in several. */
static void nothing_to_see(void **unused)
{
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    uint64_t state = 18;
    (void)unused;
    for (size_t t = 0; t < count; t++)
        for (size_t last = 10; last < 3000; last += 1000) {
            problem b;
            problem_open(&b, PLIM_F32, (shape){1, 1, 5, last, 0, last + 1}, &state);
            for (size_t d = 0; d < 5; d++)
                b.q[d] = 1.0f;
            for (size_t p = 0; p <= last; p++)
                put_position(&b, p, -INFINITY, 1.0f);
            tables[t].attention[PLIM_F32](&b.a);
            for (size_t d = 0; d < 5; d++)
                assert_true(isnan(b.y[d]));
            problem_close(&b);
        }
}

const struct CMUnitTest check_attention_tests[] = {
    cmocka_unit_test(dimensions_and_groups),
    cmocka_unit_test(positions),
    cmocka_unit_test(same_bits_whatever_stands_beside),
    cmocka_unit_test(odd_values_stay_where_they_are_seen),
    cmocka_unit_test(spans),
    cmocka_unit_test(sharp_and_flat),
    cmocka_unit_test(special_scores),
    cmocka_unit_test(nothing_to_see),
};
const size_t check_attention_count = sizeof check_attention_tests / sizeof check_attention_tests[0];
