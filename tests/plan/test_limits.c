/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans under any limit: what holds for thousands of random models, limits and options; what a plan
 * takes itself, in time and memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "fixture.h"

static uint64_t below(uint64_t *state, uint64_t n)
{
    return next_random(state) % n;
}

static uint64_t pick(uint64_t *state, const uint64_t *values, size_t count)
{
    return values[below(state, count)];
}

/* ---- random models ---- */

static made *random_model(uint64_t *seed)
{
    static const plim_dtype types[] = {PLIM_F64, PLIM_F32, PLIM_F16, PLIM_BF16};
    static const uint64_t heads[] = {1, 2, 4}, dims[] = {8, 20, 64}, layers[] = {1, 2, 7};
    static const uint64_t shifts[] = {0, 1, 2, 8, 4000}, gaps[] = {0, 0, 1, 100, 20000, 70000};
    plim_dtype mix[4];
    char config[600];
    uint64_t h = pick(seed, heads, 3), d = pick(seed, dims, 3);
    snprintf(
        config, sizeof config,
        "{\"model_type\": \"%s\", \"vocab_size\": %u, \"n_vocab\": 1, \"hidden_size\": %u, "
        "\"num_hidden_layers\": %u, \"num_attention_heads\": %u, \"num_key_value_heads\": 1, "
        "\"intermediate_size\": %u, \"max_position_embeddings\": 512, \"tie_word_embeddings\": "
        "%s}",
        below(seed, 2) ? "llama" : "qwen2", (unsigned)(10 + below(seed, 30000)), (unsigned)(h * d),
        (unsigned)pick(seed, layers, 3), (unsigned)h, (unsigned)(1 + below(seed, 5000)),
        below(seed, 2) ? "true" : "false");
    for (size_t i = 0; i < 4; i++)
        mix[i] = types[below(seed, 4)];
    lying how = {.dtype = types[1 + below(seed, 3)],
                 .dtypes = below(seed, 3) ? NULL : mix,
                 .dtype_count = 1 + below(seed, 4),
                 .shift = pick(seed, shifts, 5),
                 .gap = pick(seed, gaps, 6),
                 .shard_bytes = below(seed, 3) ? 0 : 100000 + below(seed, 5 * MIB),
                 .backwards = below(seed, 2)};
    return make_model(config, &how);
}

static void random_options(made *m, uint64_t *seed)
{
    static const plim_dtype types[] = {PLIM_AUTO, PLIM_F32, PLIM_F16, PLIM_BF16};
    static const uint64_t contexts[] = {0, 1, 7, 64, 4096}, sessions[] = {0, 1, 1, 1, 3};
    static const plim_device devices[] = {PLIM_DEVICE_AUTO, PLIM_DEVICE_AUTO, PLIM_DEVICE_CPU,
                                          PLIM_DEVICE_DISK};
    static const plim_device_rule rules[] = {{"", PLIM_DEVICE_CPU},
                                             {"model.layers.1", PLIM_DEVICE_DISK},
                                             {"model.embed_tokens", PLIM_DEVICE_DISK}};
    m->options.torch_dtype = types[below(seed, 4)];
    m->options.reader = (plim_reader)below(seed, 4);
    m->options.context = (uint32_t)pick(seed, contexts, 5);
    m->options.chunk = below(seed, 4) ? 0 : (uint32_t)(1 + below(seed, 300));
    m->options.sessions = (uint32_t)pick(seed, sessions, 5);
    m->options.device_map.all = devices[below(seed, 4)];
    if (!below(seed, 6)) {
        m->options.device_map.rules = rules;
        m->options.device_map.rule_count = 3;
    }
    if (!below(seed, 5))
        m->options.max_weights = 1 + below(seed, 20 * MIB);
    m->facts.threads = (unsigned)(1 + below(seed, 5));
    for (size_t i = 0; i < m->set.file_count; i++)
        m->file_facts[i].direct = below(seed, 8) != 0;
}

static uint64_t random_limit(uint64_t *seed)
{
    uint64_t scale = 1ull << (10 + below(seed, 20));
    return below(seed, 12) ? scale + below(seed, scale) : 0;
}

/* Under any limit a plan is sound, and keeps below it or says that it does not fit. */
static void test_any_limit(void **state)
{
    (void)state;
    uint64_t seed = 20240607, fitting = 0, streaming = 0;
    for (int i = 0; i < 700; i++) {
        made *m = random_model(&seed);
        random_options(m, &seed);
        for (int j = 0; j < 5; j++) {
            plim_load_plan *plan = plan_under(m, random_limit(&seed));
            check_plan(m, plan);
            fitting += plan->fits;
            streaming += plan->fits && plan->tile_count > 0;
            plim_load_plan_close(&plan);
        }
        free_model(m);
    }
    assert_true(fitting > 500 && streaming > 200); /* else it tests nothing */
}

/* What one of two plans under growing limits may have less in memory: a tile, and what does not
 * divide among tiles. */
static uint64_t slack_of(const made *m, const plim_load_plan *plan)
{
    uint64_t row = 0;
    for (uint32_t i = 0; i < plan->placement_count; i++)
        if (plan->placements[i].rows > 1 && plan->placements[i].row_bytes > row)
            row = plan->placements[i].row_bytes;
    (void)m;
    return plan->ring_slot_bytes + plan->ring_cast_bytes + row;
}

/* With more memory a model never stops fitting, and never pins less by more than a tile. */
static void check_monotone(made *m, uint64_t low, uint64_t high, int steps)
{
    uint64_t pinned = 0, slack = 0;
    bool fitted = false;
    for (int i = 0; i <= steps; i++) {
        plim_load_plan *plan = plan_under(m, low + (high - low) / (uint64_t)steps * (uint64_t)i);
        assert_true(plan->fits || !fitted);
        if (plan->fits) {
            uint64_t more = slack_of(m, plan);
            slack = more > slack ? more : slack;
            assert_true(plan->pinned_bytes + slack >= pinned);
            pinned = plan->pinned_bytes > pinned ? plan->pinned_bytes : pinned;
        }
        fitted = plan->fits;
        plim_load_plan_close(&plan);
    }
    assert_true(fitted && pinned > 0);
}

static void test_monotone(void **state)
{
    (void)state;
    uint64_t seed = 99;
    for (int i = 0; i < 60; i++) {
        made *m = random_model(&seed);
        random_options(m, &seed);
        m->options.max_weights = 0;
        m->options.context = 64;
        check_monotone(m, 1 * MIB, 600 * MIB, 200);
        free_model(m);
    }
}

static void test_monotone_real(void **state)
{
    (void)state;
    const struct {
        const char *config;
        plim_dtype stored, run;
        uint64_t high;
    } cases[] = {{config_llama_1b, PLIM_BF16, PLIM_AUTO, 4 * GIB},
                 {config_llama_1b, PLIM_BF16, PLIM_F32, 7 * GIB},
                 {config_gpt2_medium, PLIM_F32, PLIM_AUTO, 2 * GIB},
                 {config_llama_8b, PLIM_BF16, PLIM_AUTO, 20 * GIB}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lying how = {.dtype = cases[i].stored};
        made *m = make_model(cases[i].config, &how);
        m->options.torch_dtype = cases[i].run;
        check_monotone(m, 10 * MIB, cases[i].high, 150);
        check_monotone(m, 500 * MIB, 1000 * MIB, 150);
        free_model(m);
    }
}

/* The smallest line that fits is a sharp edge, and what a refusal calls the least is one. */
static void test_least(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (int i = 0; i < 25; i++) {
        made *m = random_model(&seed);
        random_options(m, &seed);
        m->options.max_weights = 0;
        uint64_t least = least_line(m, 1, 4 * GIB);
        for (int j = 0; j < 10; j++) {
            plim_load_plan *plan = plan_under(m, least - 1 - below(&seed, least - 1));
            assert_false(plan->fits);
            plim_load_plan_close(&plan);
            plan = plan_under(m, least + below(&seed, least));
            assert_true(plan->fits);
            plim_load_plan_close(&plan);
        }
        free_model(m);
    }
}

/* ---- what a plan takes ---- */

/* Times are promised of a build that is optimised and not instrumented. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLOWER 40
#endif
#endif
#if !defined(SLOWER) &&                                                                            \
    (defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__))
#define SLOWER 40
#elif !defined(SLOWER)
#define SLOWER 1
#endif

static size_t held_now, held_most;

static void *count_alloc(const plim_alloc *self, size_t bytes, plim_error *err)
{
    (void)self;
    const plim_alloc *system = plim_alloc_system();
    size_t *block = system->alloc(system, bytes + 16, err);
    if (!block)
        return NULL;
    *block = bytes + 16; /* as the ledger: its header, whole pages from 64 KiB on */
    *block = *block >= 65536 ? (*block + 4095) / 4096 * 4096 : *block;
    held_now += *block;
    held_most = held_now > held_most ? held_now : held_most;
    return block + 2;
}

static void count_free(const plim_alloc *self, void *ptr)
{
    (void)self;
    size_t *block = (size_t *)ptr - 2;
    held_now -= *block;
    plim_alloc_system()->free(plim_alloc_system(), block);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* whatever else the machine does */
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Best of three; *fits of the plan. */
static double time_plan(made *m, uint64_t limit, bool *fits)
{
    static const plim_alloc counting = {count_alloc, count_free, NULL, NULL};
    double best = 1e9;
    for (int i = 0; i < 3; i++) {
        plim_load_plan *plan;
        plim_error err;
        held_now = held_most = 0;
        m->facts.memory_limit = limit;
        double start = seconds();
        assert_int_equal(plim_load_plan_open(&plan, &counting, m->skeleton, &m->set, &m->options,
                                             &m->facts, &m->held, &err),
                         PLIM_OK);
        double took = seconds() - start;
        best = took < best ? took : best;
        *fits = plan->fits;
        size_t took_bytes = held_now;
        assert_true(took_bytes <= plan->table_bytes);
        assert_true(plan->table_bytes <= took_bytes + (64 << 10) + took_bytes / 20);
        assert_true(held_most <= 6 * MIB + 3 * took_bytes); /* other plans for the advice beside */
        plim_load_plan_close(&plan);
        assert_int_equal(held_now, 0);
    }
    return best;
}

static void test_time_and_tables(void **state)
{
    (void)state;
    const double slower = SLOWER;
    const struct {
        const char *config;
        uint64_t limit;
        bool fits;
        double seconds;
    } cases[] = {{config_llama_8b, GIB, true, .05},         {config_llama_8b, 0, true, .05},
                 {config_llama_8b, 100 * MIB, false, .2},   {config_llama_8b_tied, GIB, true, .05},
                 {config_llama_70b, 2 * GIB, true, .5},     {config_llama_70b, 64 * GIB, true, .5},
                 {config_llama_70b, 0, true, .5},           {config_llama_70b, 50 * MIB, false, .5},
                 {config_llama_1b, 20 * MIB, false, .2},    {config_gpt2_medium, 0, true, .05},
                 {config_gpt2_medium, 300 * MIB, true, .05}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int cast = 0; cast < 2; cast++) {
            lying how = {.dtype = PLIM_BF16, .shard_bytes = 5 * GIB};
            made *m = make_model(cases[i].config, &how);
            m->options.torch_dtype = cast ? PLIM_F32 : PLIM_BF16;
            m->options.kv_dtype = PLIM_F16;
            bool fits;
            double took = time_plan(m, cases[i].limit, &fits);
            assert_true(took < cases[i].seconds * slower);
            assert_int_equal(fits, cases[i].fits);
            free_model(m);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_limit),       cmocka_unit_test(test_monotone),
        cmocka_unit_test(test_monotone_real),   cmocka_unit_test(test_least),
        cmocka_unit_test(test_time_and_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
