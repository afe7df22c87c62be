/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans with weights of groups: which tensors become them, what that takes in memory, on disk and
 * in a pass, and checkpoints that hold them already. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "fixture.h"

static const lying f32 = {.dtype = PLIM_F32}, bf16 = {.dtype = PLIM_BF16};

static plim_status try_plan(made *m, plim_error *err)
{
    plim_load_plan *plan;
    plim_status status = plim_load_plan_open(&plan, plim_alloc_system(), m->skeleton, &m->set,
                                             &m->options, &m->facts, &m->held, err);
    plim_load_plan_close(&plan);
    return status;
}

static const plim_placement *placement_of(const made *m, const plim_load_plan *plan, uint32_t layer,
                                          plim_role role)
{
    return &plan->placements[plan->placement_of_slot[plim_skeleton_slot(m->skeleton, layer, role)]];
}

static void want(const made *m, const plim_load_plan *plan, plim_role role, plim_dtype dtype,
                 plim_change change)
{
    const plim_placement *p = placement_of(m, plan, 0, role);
    assert_int_equal(p->dtype, dtype);
    assert_int_equal(p->change, change);
}

/* ---- which tensors, and how large ---- */

static void test_llama(void **state)
{
    (void)state;
    static const plim_dtype asked[] = {PLIM_I8, PLIM_Q8, PLIM_Q4};
    for (size_t i = 0; i < 3; i++) {
        plim_dtype run = i == 2 ? PLIM_Q4 : PLIM_Q8;
        made *m = make_model(config_llama_1b, &bf16);
        m->options.torch_dtype = asked[i];
        plim_load_plan *plan = plan_of(m);
        assert_int_equal(plan->dtype, run);
        assert_int_equal(plan->session.kv_dtype, PLIM_F16);
        want(m, plan, PLIM_ROLE_EMBED, PLIM_Q8, PLIM_CHANGE_QUANTISE); /* the tied head too */
        want(m, plan, PLIM_ROLE_Q, run, PLIM_CHANGE_QUANTISE);
        want(m, plan, PLIM_ROLE_DOWN, run, PLIM_CHANGE_QUANTISE);
        want(m, plan, PLIM_ROLE_ATTN_NORM, PLIM_BF16, PLIM_CHANGE_NONE);
        const plim_placement *down = placement_of(m, plan, 3, PLIM_ROLE_DOWN);
        assert_int_equal(down->row_bytes, 8192 / 32 * (run == PLIM_Q4 ? 18 : 34));
        assert_int_equal(down->bytes, 2048 * down->row_bytes);
        uint64_t table = 128256ull * 2048, all = plim_skeleton_parameters(m->skeleton);
        uint64_t vectors = 33 * 2048, rest = all - table - vectors;
        assert_int_equal(plan->weight_bytes,
                         table / 32 * 34 + rest / 32 * (run == PLIM_Q4 ? 18 : 34) + vectors * 2);
        /* all that is held while loading beside the weights: below 8 MiB */
        assert_true(plan->category[PLIM_MEM_STAGING] < 8 * MIB);
        assert_int_equal(plan->stored_bytes, all * 2);
        check_plan(m, plan);
        plim_load_plan_close(&plan);
        free_model(m);
    }
}

static void test_gpt2(void **state)
{
    (void)state;
    made *m = make_model(config_gpt2_medium, &f32);
    m->options.torch_dtype = PLIM_Q4;
    plim_load_plan *plan = plan_of(m);
    want(m, plan, PLIM_ROLE_EMBED, PLIM_Q8, PLIM_CHANGE_QUANTISE);
    want(m, plan, PLIM_ROLE_POSITION, PLIM_F32, PLIM_CHANGE_NONE);
    want(m, plan, PLIM_ROLE_QKV, PLIM_Q4, PLIM_CHANGE_TURN);
    want(m, plan, PLIM_ROLE_DOWN, PLIM_Q4, PLIM_CHANGE_TURN);
    want(m, plan, PLIM_ROLE_QKV_BIAS, PLIM_F32, PLIM_CHANGE_NONE);
    const plim_placement *down = placement_of(m, plan, 5, PLIM_ROLE_DOWN);
    assert_int_equal(down->bytes, 4096 * 1024 / 32 * 18);
    check_plan(m, plan);
    plim_load_plan_close(&plan);
    free_model(m);
}

#define LLAMA(hidden, inner)                                                                       \
    "{\"model_type\": \"llama\", \"vocab_size\": 1000, \"hidden_size\": " hidden                   \
    ", \"num_hidden_layers\": 2, \"num_attention_heads\": 2, \"intermediate_size\": " inner        \
    ", \"max_position_embeddings\": 64, \"tie_word_embeddings\": false}"
#define GPT2(hidden, inner)                                                                        \
    "{\"model_type\": \"gpt2\", \"vocab_size\": 100, \"n_embd\": " hidden                          \
    ", \"n_layer\": 1, \"n_head\": 2, \"n_positions\": 16, \"n_inner\": " inner "}"

/* What groups don't fill keeps its stored type; doubles become floats. */
static void test_odd_shapes(void **state)
{
    (void)state;
    const plim_dtype mixed[] = {PLIM_F16, PLIM_F64, PLIM_BF16};
    const lying doubles = {.dtype = PLIM_F64},
                odd = {.dtypes = mixed, .dtype_count = 3, .shift = 1, .gap = 5};
    made *m = make_model(LLAMA("64", "100"), &doubles);
    m->options.torch_dtype = PLIM_Q4;
    plim_load_plan *plan = plan_of(m);
    want(m, plan, PLIM_ROLE_UP, PLIM_Q4, PLIM_CHANGE_QUANTISE);
    want(m, plan, PLIM_ROLE_DOWN, PLIM_F32, PLIM_CHANGE_CAST);
    want(m, plan, PLIM_ROLE_HEAD, PLIM_Q8, PLIM_CHANGE_QUANTISE);
    want(m, plan, PLIM_ROLE_MLP_NORM, PLIM_F32, PLIM_CHANGE_CAST);
    check_plan(m, plan);
    plim_load_plan_close(&plan);
    free_model(m);

    m = make_model(LLAMA("48", "100"), &odd); /* no row is whole groups, but nothing fails */
    m->options.torch_dtype = PLIM_I8;
    plan = plan_of(m);
    for (uint32_t i = 0; i < plan->placement_count; i++)
        assert_true(plan->placements[i].change <= PLIM_CHANGE_CAST);
    check_plan(m, plan);
    plim_load_plan_close(&plan);
    free_model(m);

    m = make_model(LLAMA("64", "96"), &odd); /* unaligned */
    m->options.torch_dtype = PLIM_I8;
    plan = plan_of(m);
    check_plan(m, plan);
    plim_load_plan_close(&plan);
    free_model(m);

    m = make_model(GPT2("64", "80"), &f32);
    m->options.torch_dtype = PLIM_I8;
    plan = plan_of(m);
    want(m, plan, PLIM_ROLE_QKV, PLIM_Q8, PLIM_CHANGE_TURN);
    want(m, plan, PLIM_ROLE_UP, PLIM_F32, PLIM_CHANGE_NONE);   /* 80 outputs */
    want(m, plan, PLIM_ROLE_DOWN, PLIM_F32, PLIM_CHANGE_NONE); /* 80 inputs */
    check_plan(m, plan);
    plim_load_plan_close(&plan);
    free_model(m);

    m = make_model(GPT2("64", "16384"), &f32); /* a stripe of 2 MiB does not pass the ring */
    m->options.torch_dtype = PLIM_I8;
    plan = plan_of(m);
    want(m, plan, PLIM_ROLE_UP, PLIM_F32, PLIM_CHANGE_NONE);
    want(m, plan, PLIM_ROLE_DOWN, PLIM_Q8, PLIM_CHANGE_TURN);
    check_plan(m, plan);
    plim_load_plan_close(&plan);
    free_model(m);
}

static void test_refused(void **state)
{
    (void)state;
    const uint64_t bytes[] = {4096}, offsets[] = {64};
    plim_error err;
    made *m = make_weights(bytes, offsets, 1, PLIM_F32);
    m->options.torch_dtype = PLIM_Q4;
    assert_int_equal(try_plan(m, &err), PLIM_E_UNSUP);
    assert_non_null(strstr(err.message, "int4"));
    free_model(m);
    m = make_model(config_llama_1b, &bf16);
    m->options.kv_dtype = PLIM_Q8;
    assert_int_equal(try_plan(m, &err), PLIM_E_USAGE);
    m->options.kv_dtype = PLIM_AUTO;
    m->options.torch_dtype = PLIM_Q4;
    m->set.tensors[3].dtype = PLIM_I32; /* no float: nothing to quantise */
    assert_int_equal(try_plan(m, &err), PLIM_E_UNSUP);
    assert_non_null(strstr(err.message, "I32"));
    free_model(m);
}

/* ---- checkpoints of groups ---- */

static void test_packed(void **state)
{
    (void)state;
    static const struct {
        lying how;
        bool cast;
    } cases[] = {
        {{.dtype = PLIM_BF16, .packed = PLIM_Q4, .scales = PLIM_F16}, false},
        {{.dtype = PLIM_BF16, .packed = PLIM_Q8, .scales = PLIM_BF16}, true},
        {{.dtype = PLIM_F32, .packed = PLIM_Q4, .scales = PLIM_F32, .shift = 3, .gap = 7}, true},
        {{.dtype = PLIM_F32,
          .packed = PLIM_Q4,
          .scales = PLIM_F16,
          .shard_bytes = 100 * MIB,
          .backwards = true},
         false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        made *m = make_model(config_llama_1b, &cases[i].how);
        plim_load_plan *plan = plan_of(m), *again;
        const plim_placement *q = placement_of(m, plan, 1, PLIM_ROLE_GATE);
        assert_int_equal(plan->dtype, cases[i].how.packed);
        assert_int_equal(q->dtype, cases[i].how.packed);
        assert_int_equal(q->change, PLIM_CHANGE_NONE);
        assert_int_equal(q->row_bytes, 2048 / (q->dtype == PLIM_Q4 ? 2 : 1));
        const plim_placement *s = &plan->placements[q->scales];
        assert_int_equal(s->dtype, PLIM_F16);
        assert_int_equal(s->rows, q->rows);
        assert_int_equal(s->row_bytes, 2048 / 32 * 2);
        assert_int_equal(s->staged, cases[i].cast);
        assert_ptr_equal(&plan->placements[s->lead], q);
        want(m, plan, PLIM_ROLE_EMBED, cases[i].how.dtype, PLIM_CHANGE_NONE); /* as stored */
        check_plan(m, plan);
        /* below every line, quants and scales share their fate */
        uint64_t whole = plan->line, least = least_line(m, 1, 100 * GIB);
        plim_load_plan_close(&plan);
        for (int step = 0; step < 8; step++) {
            uint64_t limit = least + (whole - least) * (uint64_t)step / 8;
            plan = plan_under(m, limit);
            assert_true(plan->fits && plan->streamed_bytes > 0);
            check_plan(m, plan);
            for (uint32_t p = 0; p < plan->placement_count; p++)
                if (plan->placements[p].scales != PLIM_NO_SLOT) {
                    s = &plan->placements[plan->placements[p].scales];
                    assert_int_equal(s->pinned_bytes / s->row_bytes,
                                     plan->placements[p].pinned_bytes /
                                         plan->placements[p].row_bytes);
                }
            again = plan_under(m, limit);
            check_same(plan, again);
            plim_load_plan_close(&again);
            plim_load_plan_close(&plan);
        }
        free_model(m);
    }
}

/* What is stored as int4 stays that, also where floats are asked for, and can't become other
 * groups; what is beside it can. */
static void test_packed_types(void **state)
{
    (void)state;
    static const plim_dtype floats[] = {PLIM_F32, PLIM_BF16, PLIM_F16};
    const lying how = {.dtype = PLIM_BF16, .packed = PLIM_Q4, .scales = PLIM_F16};
    plim_error err;
    made *m = make_model(config_llama_1b, &how);
    m->options.torch_dtype = PLIM_I8;
    assert_int_equal(try_plan(m, &err), PLIM_E_UNSUP);
    assert_non_null(strstr(err.message, "int4 already"));
    uint64_t scratch = 0;
    for (size_t i = 0; i < 3; i++) {
        m->options.torch_dtype = floats[i];
        plim_load_plan *plan = plan_of(m);
        want(m, plan, PLIM_ROLE_EMBED, floats[i],
             floats[i] == PLIM_BF16 ? PLIM_CHANGE_NONE : PLIM_CHANGE_CAST);
        want(m, plan, PLIM_ROLE_UP, PLIM_Q4, PLIM_CHANGE_NONE);
        assert_int_equal(plan->session.widen, m->facts.threads);
        scratch = plan->scratch_bytes;
        check_plan(m, plan);
        plim_load_plan_close(&plan);
    }
    m->options.torch_dtype = PLIM_Q4;
    plim_load_plan *plan = plan_of(m);
    assert_int_equal(plan->session.widen, 0);
    assert_true(scratch > plan->scratch_bytes); /* rows of groups as floats */
    want(m, plan, PLIM_ROLE_EMBED, PLIM_Q8, PLIM_CHANGE_QUANTISE);
    want(m, plan, PLIM_ROLE_UP, PLIM_Q4, PLIM_CHANGE_NONE);
    check_plan(m, plan);
    plim_load_plan_close(&plan);
    free_model(m);
}

/* ---- lines ---- */

/* What streams is read as it is stored, and becomes groups on its way. */
static void test_every_line(void **state)
{
    (void)state;
    static const struct {
        const char *const *config;
        plim_dtype stored, run;
    } cases[] = {{&config_llama_1b, PLIM_BF16, PLIM_Q4}, {&config_gpt2_medium, PLIM_F32, PLIM_Q8}};
    for (size_t i = 0; i < 2; i++) {
        const lying how = {.dtype = cases[i].stored, .shift = 1};
        made *m = make_model(*cases[i].config, &how);
        m->options.torch_dtype = cases[i].run;
        plim_load_plan *plan = plan_of(m);
        uint64_t whole = plan->line, pinned = 0, least = least_line(m, 1, 100 * GIB);
        assert_true(least < whole / 3);
        plim_load_plan_close(&plan);
        for (int step = 0; step < 10; step++) {
            plan = plan_under(m, least + (whole - least) * (uint64_t)step / 10);
            assert_true(plan->fits && plan->streamed_bytes > 0);
            assert_true(plan->pinned_bytes >= pinned);
            pinned = plan->pinned_bytes;
            check_plan(m, plan);
            plim_load_plan_close(&plan);
        }
        free_model(m);
    }
}

/* A pinned byte of int4 saves the reading of more than one of int8: it comes first. */
static void test_worth(void **state)
{
    (void)state;
    made *m = make_model(config_llama_8b, &bf16);
    m->options.torch_dtype = PLIM_Q4;
    plim_load_plan *plan = plan_under(m, 2 * GIB);
    const plim_placement *head = placement_of(m, plan, 0, PLIM_ROLE_HEAD),
                         *up = placement_of(m, plan, 7, PLIM_ROLE_UP);
    assert_int_equal(head->dtype, PLIM_Q8);
    assert_int_equal(head->pinned_bytes, 0);
    assert_true(up->pinned_bytes > 0);
    plim_load_plan_close(&plan);
    free_model(m);
}

/* ---- seconds and advice ---- */

/* Groups as fast as they were measured, and where they were not as bfloat16; what streams is read
 * as it is stored. */
static void test_token_seconds(void **state)
{
    (void)state;
    const plim_speeds speeds = {
        .disk = 4e9, .cached = 8e9, .commit = 2e9, .product_out_in = {1e9, 1e9, 2e9}};
    made *m = make_model(config_llama_8b, &bf16);
    m->facts.speeds = speeds;
    m->options.context = 64;
    m->options.torch_dtype = PLIM_Q4;
    plim_load_plan *plan = plan_of(m);
    double head = (double)placement_of(m, plan, 0, PLIM_ROLE_HEAD)->bytes, vectors = 65 * 4096 * 2,
           rest = (double)plan->weight_bytes - 2 * head - vectors,
           kv = (double)plan->kv_bytes / 2 / 1e9, slow = (head + rest) / 2e9 + kv;
    assert_true(plan->token_seconds > slow * 0.9999 && plan->token_seconds < slow * 1.0001);
    plim_load_plan_close(&plan);
    m->facts.speeds.product_groups[0] = 4e9;
    m->facts.speeds.product_groups[1] = 3e9;
    plan = plan_of(m);
    double fast = head / 4e9 + rest / 3e9 + kv;
    assert_true(plan->token_seconds > fast * 0.9999 && plan->token_seconds < fast * 1.0001);
    plim_load_plan_close(&plan);
    free_model(m);
}

static bool says(const plim_load_plan *plan, const char *what)
{
    for (size_t i = 0; i < plan->advice_count; i++)
        if (!strncmp(plan->advice[i], what, strlen(what)))
            return true;
    return false;
}

/* The wider of the two that fits is the advice; none where the run type is one of them. */
static void test_advice(void **state)
{
    (void)state;
    static const struct {
        plim_dtype asked;
        uint64_t limit;
        bool eight, four;
    } cases[] = {{PLIM_AUTO, 10 * GIB, true, false},
                 {PLIM_AUTO, 7 * GIB, false, true},
                 {PLIM_AUTO, 2 * GIB, false, false},
                 {PLIM_I8, 7 * GIB, false, false}};
    made *m = make_model(config_llama_8b, &bf16);
    m->options.device_map.all = PLIM_DEVICE_CPU;
    m->options.context = 512;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        m->options.torch_dtype = cases[i].asked;
        plim_load_plan *plan = plan_under(m, cases[i].limit);
        assert_false(plan->fits);
        assert_int_equal(says(plan, "--dtype int8 "), cases[i].eight);
        assert_int_equal(says(plan, "--dtype int4 "), cases[i].four);
        plim_load_plan_close(&plan);
    }
    free_model(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llama),         cmocka_unit_test(test_gpt2),
        cmocka_unit_test(test_odd_shapes),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_packed),        cmocka_unit_test(test_packed_types),
        cmocka_unit_test(test_token_seconds), cmocka_unit_test(test_advice),
        cmocka_unit_test(test_every_line),    cmocka_unit_test(test_worth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
