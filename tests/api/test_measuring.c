/* SPDX-License-Identifier: Apache-2.0
 *
 * What measuring stands on: a filled session, what a pass must cost, the limits of the machine. */
#include "api_test.h"

#include <math.h>
#include <stdbool.h>

static plim_session *session_of(plim_model *m)
{
    plim_session *s;
    plim_error err;
    ok(plim_session_open(&s, m, &err), &err);
    return s;
}

/* ---- filled sessions ---- */

static void eval(plim_session *s, int32_t token, float *logits, uint32_t vocab)
{
    plim_error err;
    ok(plim_session_eval(s, &token, 1, NULL, NULL, &err), &err);
    memcpy(logits, plim_session_logits(s), vocab * sizeof *logits);
    for (uint32_t i = 0; i < vocab; i++)
        assert_true(isfinite(logits[i]));
}

static void check_fill(plim_dtype kv_dtype)
{
    enum { VOCAB = 2048 };
    static float empty[VOCAB], one[VOCAB], two[VOCAB], again[VOCAB];
    plim_context *c = context_with(2), *single = context_with(1);
    plim_model_options o;
    plim_model *m, *other;
    plim_error err;
    plim_model_options_init(&o);
    o.context = 300;
    o.kv_dtype = kv_dtype;
    ok(plim_model_open(&m, c, SHAKESPEARE, &o, &err), &err);
    ok(plim_model_open(&other, single, SHAKESPEARE, &o, &err), &err);
    plim_session *s = session_of(m), *t = session_of(other);
    eval(s, 7, empty, VOCAB);
    ok(plim_session_fill(s, 299, 1, &err), &err);
    assert_int_equal(plim_session_length(s), 299);
    assert_null(plim_session_logits(s));
    eval(s, 7, one, VOCAB);
    assert_int_equal(plim_session_length(s), 300);
    ok(plim_session_fill(s, 299, 2, &err), &err);
    eval(s, 7, two, VOCAB);
    assert_memory_not_equal(one, empty, sizeof one);
    assert_memory_not_equal(one, two, sizeof one);
    ok(plim_session_fill(t, 299, 1, &err), &err); /* on one thread: the same values */
    eval(t, 7, again, VOCAB);
    assert_memory_equal(one, again, sizeof one);
    plim_session_close(&s);
    plim_session_close(&t);
    plim_model_close(&m);
    plim_model_close(&other);
    plim_context_close(&c);
    plim_context_close(&single);
}

static void test_fill(void **state)
{
    (void)state;
    check_fill(PLIM_F32);
    check_fill(PLIM_F16);
    check_fill(PLIM_BF16);
}

static void test_fill_rules(void **state)
{
    (void)state;
    plim_context *c = context_with(2);
    plim_model *m = model_with(c, TINY, 40, 1);
    plim_session *s = session_of(m);
    plim_error err;
    const int32_t tokens[3] = {1, 2, 3};
    ok(plim_session_eval(s, tokens, 3, NULL, NULL, &err), &err);
    assert_int_equal(plim_session_fill(s, 41, 0, &err), PLIM_E_LIMIT);
    assert_non_null(strstr(err.message, "context of 40"));
    assert_int_equal(plim_session_length(s), 3); /* a refusal changes nothing */
    ok(plim_session_fill(s, 40, 0, &err), &err);
    assert_int_equal(plim_session_eval(s, tokens, 1, NULL, NULL, &err), PLIM_E_LIMIT);
    plim_session_cancel(s);
    assert_int_equal(plim_session_fill(s, 40, 0, &err), PLIM_E_CANCELLED);
    assert_int_equal(plim_session_length(s), 0);
    ok(plim_session_fill(s, 0, 0, &err), &err);
    ok(plim_session_eval(s, tokens, 3, NULL, NULL, &err), &err);
    assert_int_equal(plim_session_length(s), 3);
    plim_session_close(&s);
    plim_model_close(&m);
    plim_context_close(&c);
}

/* ---- what a pass must cost ---- */

static void test_cost(void **state)
{
    (void)state;
    plim_context *c = context_with(1);
    plim_model *m = model_with(c, SHAKESPEARE, 300, 1); /* bfloat16, KV in float16 */
    const uint64_t layers = 4, matrices = 192 * (192 + 64 + 64 + 192 + 3 * 416), head = 2048 * 192,
                   norms = (2 * layers + 1) * 192, kv_row = 2 * 2 * 32 * 2;
    plim_pass_cost cost;
    plim_model_pass_cost(m, 0, 1, &cost);
    assert_int_equal(cost.weight_bytes, 2 * (layers * matrices + head + norms + 192));
    assert_int_equal(cost.kv_bytes, layers * kv_row);
    assert_true(cost.float_operations ==
                2.0 * (double)(layers * matrices + head) + 4.0 * 6 * 32 * (double)layers);
    assert_true(cost.int8_operations == 0);
    plim_model_pass_cost(m, 100, 10, &cost);
    assert_int_equal(cost.weight_bytes, 2 * (layers * matrices + head + norms + 10 * 192));
    assert_int_equal(cost.kv_bytes, layers * kv_row * 110);
    double seen = 1055; /* 101 + ... + 110 */
    assert_true(cost.float_operations == 2.0 * (double)(10 * layers * matrices + head) +
                                             4.0 * 6 * 32 * (double)layers * seen);
    plim_model_close(&m);

    /* a window of 8: no more keys and values than that are seen by a token */
    m = model_with(c, PLIM_SOURCE_DIR "/tests/golden/mistral-window", 0, 1);
    plim_pass_cost far;
    plim_model_pass_cost(m, 60, 1, &cost);
    plim_model_pass_cost(m, 100, 1, &far);
    assert_int_equal(cost.kv_bytes, far.kv_bytes);
    assert_true(cost.float_operations == far.float_operations);
    plim_model_pass_cost(m, 1, 1, &far);
    assert_true(cost.kv_bytes > far.kv_bytes);
    plim_model_close(&m);
    plim_context_close(&c);
}

/* A pass of many rows computes what passes of one would, but for the head; and sizes beyond
 * anything end at the largest number. */
static void test_cost_sums(void **state)
{
    (void)state;
    static const char *const folders[] = {SHAKESPEARE,
                                          PLIM_SOURCE_DIR "/tests/golden/mistral-window"};
    plim_context *c = context_with(1);
    for (size_t f = 0; f < 2; f++) {
        plim_model *m = model_with(c, folders[f], f ? 0 : 300, 1);
        plim_pass_cost cost, one, none;
        plim_model_pass_cost(m, 0, 0, &none); /* the head alone */
        for (size_t length = 0; length < 20; length++)
            for (size_t count = 1; count < 20; count++) {
                double sum = none.float_operations;
                for (size_t i = 0; i < count; i++) {
                    plim_model_pass_cost(m, length + i, 1, &one);
                    sum += one.float_operations - none.float_operations;
                }
                plim_model_pass_cost(m, length, count, &cost);
                assert_true(cost.float_operations == sum);
            }
        plim_model_pass_cost(m, 0, SIZE_MAX, &one);
        plim_model_pass_cost(m, SIZE_MAX, SIZE_MAX, &cost);
        assert_true(one.kv_bytes == UINT64_MAX && cost.kv_bytes == UINT64_MAX);
        assert_true(isfinite(cost.float_operations));
        assert_true(cost.float_operations >= one.float_operations);
        assert_true(one.float_operations > 1e19);
        plim_model_close(&m);
    }
    plim_context_close(&c);
}

/* ---- limits ---- */

static plim_context *context_of(unsigned threads, unsigned cpu_mask, uint64_t limit)
{
    plim_context *c;
    plim_context_options o;
    plim_error err;
    plim_context_options_init(&o);
    o.threads = threads;
    o.cpu_mask = cpu_mask;
    o.memory_limit = limit;
    o.baseline = limit ? 1 << 20 : 0;
    ok(plim_context_open(&c, &o, &err), &err);
    return c;
}

static void test_limits(void **state)
{
    (void)state;
    const unsigned masks[] = {0, PLIM_CPU_AVX2, PLIM_CPU_AVX2 | PLIM_CPU_AVX_VNNI,
                              PLIM_CPU_AVX2 | PLIM_CPU_AVX512, PLIM_CPU_ALL};
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        plim_context *c = context_of(1 + i % 2, masks[i], 0);
        plim_limits *l;
        plim_error err;
        plim_memory memory;
        ok(plim_limits_open(&l, c, 3 << 20, &err), &err);
        plim_context_memory(c, &memory);
        assert_true(memory.category[PLIM_MEM_STAGING].now >= 3 << 20);
        for (plim_limit what = 0; what < PLIM_LIMIT_COUNT; what++) {
            double speed = plim_limits_measure(l, what, 0.002);
            assert_true(speed > 1e6 && speed < 1e15);
        }
        plim_read_way way;
        size_t ways = 0, chosen = 0;
        double best = 0, speed = 0;
        for (; plim_limits_read_way(l, ways, &way) == PLIM_OK; ways++) {
            assert_true(way.speed > 0 && (way.rows == 1 || way.rows == 4));
            best = way.speed > best ? way.speed : best;
            chosen += way.chosen != 0;
            speed = way.chosen ? way.speed : speed;
        }
        assert_true(ways > 1 && chosen == 1 && speed == best);
        plim_limits_close(&l);
        assert_null(l);
        plim_limits_close(&l);
        plim_context_memory(c, &memory);
        assert_int_equal(memory.category[PLIM_MEM_STAGING].now, 0);
        plim_context_close(&c);
    }
}

static void test_limits_below_the_line(void **state)
{
    (void)state;
    plim_context *c = context_of(1, PLIM_CPU_ALL, 32 << 20);
    plim_limits *l;
    plim_error err;
    plim_memory before, after;
    plim_context_memory(c, &before);
    assert_int_equal(plim_limits_open(&l, c, 64 << 20, &err), PLIM_E_BUDGET);
    assert_null(l);
    plim_context_memory(c, &after);
    assert_int_equal(before.total.now, after.total.now);
    ok(plim_limits_open(&l, c, 0, &err), &err); /* at least a MiB */
    plim_context_memory(c, &after);
    assert_in_range(after.total.now - before.total.now, 1 << 20, 3 << 20);
    plim_context_close(&c); /* the limits hold it */
    assert_true(plim_limits_measure(l, PLIM_LIMIT_READ, 0) > 0);
    plim_limits_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fill),   cmocka_unit_test(test_fill_rules),
        cmocka_unit_test(test_cost),   cmocka_unit_test(test_cost_sums),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_limits_below_the_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
