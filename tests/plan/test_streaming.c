/* SPDX-License-Identifier: Apache-2.0
 *
 * What streams: what is pinned and where, the ring, device maps, the advice, and seconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fixture.h"

static const lying bf16 = {.dtype = PLIM_BF16}, f32 = {.dtype = PLIM_F32};

static uint64_t streamed_tiles(const plim_load_plan *plan)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < plan->tile_count; i++)
        sum += plan->tiles[i].bytes;
    return sum;
}

static const plim_placement *placed(const made *m, const plim_load_plan *plan, uint32_t layer,
                                    plim_role role)
{
    return &plan->placements[plan->placement_of_slot[plim_skeleton_slot(m->skeleton, layer, role)]];
}

/* ---- how much is lost ---- */

/* Everything below the line that is not weights: at most 64 MiB and the KV, with a line of a
 * quarter of the model and more. */
static void test_overhead(void **state)
{
    (void)state;
    const struct {
        const char *config;
        const lying *how;
        uint32_t context;
    } cases[] = {{config_llama_1b, &bf16, 4096},
                 {config_llama_1b, &bf16, 64},
                 {config_gpt2_medium, &f32, 1024},
                 {config_gpt2_medium, &f32, 64}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (uint64_t share = 25; share < 100; share += 5) {
            made *m = make_model(cases[i].config, cases[i].how);
            m->options.context = cases[i].context;
            m->options.kv_dtype = PLIM_F16;
            plim_load_plan *plan = plan_of(m);
            uint64_t limit = plan->weight_bytes / 100 * share;
            plim_load_plan_close(&plan);
            plan = plan_under(m, limit);
            assert_true(plan->fits && plan->streamed_bytes > 0);
            assert_true(limit - plan->pinned_bytes <= 64 * MIB + plan->kv_bytes);
            assert_true(plan->session.chunk >= 64 || plan->session.chunk == cases[i].context);
            check_plan(m, plan);
            plim_load_plan_close(&plan);
            free_model(m);
        }
}

/* Nothing but what must be there: the smallest line is far from a layer, and a ring. */
static void test_smallest(void **state)
{
    (void)state;
    const char *configs[] = {config_llama_1b, config_llama_8b, config_llama_8b_tied};
    for (size_t i = 0; i < 3; i++) {
        made *m = make_model(configs[i], &bf16);
        m->options.context = 64;
        uint64_t least = least_line(m, 1, 100 * GIB);
        plim_load_plan *plan = plan_under(m, least);
        uint64_t fixed = m->facts.baseline + m->held.anonymous + plan->kv_bytes +
                         plan->scratch_bytes + plan->table_bytes + PLIM_QUEUE_BYTES +
                         m->skeleton->spec.vocab * PLIM_SAMPLER_ENTRY_BYTES;
        assert_true(plan->ring_slots >= 2);
        assert_true(least <= fixed + plan->pinned_bytes + 5 * MIB);
        assert_true(plan->pinned_bytes <= 4 * MIB); /* vectors; a tile that just fits */
        check_plan(m, plan);
        plim_load_plan_close(&plan);
        free_model(m);
    }
}

/* A 16 GB model below 1 GiB. */
static void test_large(void **state)
{
    (void)state;
    made *m = make_model(config_llama_8b, &bf16);
    m->facts.memory_limit = GIB;
    plim_load_plan *plan = plan_of(m);
    assert_true(plan->fits && plan->weight_bytes > 16000000000);
    assert_true(plan->pinned_bytes > 250 * MIB); /* 512 MiB are KV */
    assert_int_equal(plan->stream_how, PLIM_READER_DIRECT);
    assert_true(plan->ring_slot_bytes >= 4 * MIB - 65536 && plan->ring_slots >= 4);
    assert_true(plan->session.chunk >= 256);
    check_plan(m, plan);
    plim_load_plan_close(&plan);
    free_model(m);
}

/* ---- what is pinned ---- */

/* Pinned bytes lie evenly over a pass: between two pinned tiles no more streams than twice the even
 * distance and a tile. */
static void test_even(void **state)
{
    (void)state;
    for (uint64_t share = 30; share < 95; share += 10) {
        made *m = make_model(config_llama_1b, &bf16);
        m->options.context = 64;
        plim_load_plan *plan = plan_under(m, 2471645608ull / 100 * share);
        uint64_t run = 0, most = 0, pinned = 0, streamed = 0, tile = plan->ring_slot_bytes;
        for (uint32_t i = 0; i < m->skeleton->slot_count; i++) {
            const plim_slot *slot = &m->skeleton->slots[i];
            const plim_placement *p = &plan->placements[plan->placement_of_slot[i]];
            if (slot->role == PLIM_ROLE_EMBED || p->use != PLIM_USE_IN_ORDER)
                continue;
            for (uint32_t j = 0; j < p->extent_count; j++) {
                const plim_extent_place *e = &plan->extents[p->first_extent + j];
                uint64_t bytes = e->rows * p->row_bytes;
                bool streams = e->form == PLIM_FORM_STREAMED;
                run = streams ? run + bytes : 0;
                most = run > most ? run : most;
                *(streams ? &streamed : &pinned) += bytes;
            }
        }
        double even = (double)tile * (double)streamed / (double)pinned;
        assert_true(streamed > 0 && pinned > 0);
        assert_true((double)most <= 2 * even + (double)tile);
        plim_load_plan_close(&plan);
        free_model(m);
    }
}

/* A byte of memory that spares 4 of reading comes before one that spares 2, before one that spares
 * one; tables of which rows are looked up come last; vectors stay. */
static void test_worth(void **state)
{
    (void)state;
    made *m = make_model(config_llama_8b, &bf16);
    m->options.context = 64;
    m->options.torch_dtype = PLIM_BF16;
    for (size_t i = 0; i < m->set.tensor_count; i++) { /* up in F64, down in F32, the rest BF16 */
        plim_stored *t = &m->set.tensors[i];
        t->dtype = strstr(t->name, "up_proj")     ? PLIM_F64
                   : strstr(t->name, "down_proj") ? PLIM_F32
                                                  : PLIM_BF16;
        assert_true(plim_shape_bytes(&t->shape, t->dtype, &t->bytes));
        t->offset = i ? t[-1].offset + t[-1].bytes : 64;
    }
    const uint64_t limits[] = {2 * GIB, 6 * GIB, 12 * GIB, 29 * GIB / 2};
    for (size_t i = 0; i < 4; i++) {
        plim_load_plan *plan = plan_under(m, limits[i]);
        uint64_t kept[3] = {0}, all[3] = {0};
        for (uint32_t j = 0; j < plan->placement_count; j++) {
            const plim_placement *p = &plan->placements[j];
            unsigned class = p->stored_row_bytes == 4 * p->row_bytes   ? 0
                             : p->stored_row_bytes == 2 * p->row_bytes ? 1
                                                                       : 2;
            if (p->use == PLIM_USE_ALWAYS)
                assert_int_equal(p->pinned_bytes, p->bytes);
            if (p->use == PLIM_USE_IN_ORDER) {
                kept[class] += p->pinned_bytes;
                all[class] += p->bytes;
            }
        }
        uint64_t tile = 4 * MIB + plan->ring_cast_bytes;
        assert_true(plan->fits);
        assert_true(kept[1] <= tile || kept[0] + tile >= all[0]);
        assert_true(kept[2] <= tile || kept[1] + tile >= all[1]);
        bool table = placed(m, plan, 0, PLIM_ROLE_EMBED)->pinned_bytes > 0;
        assert_true(!table || kept[2] + tile >= all[2]);
        if (limits[i] == 29 * GIB / 2) { /* all but the table: a row is read per token */
            assert_false(table);
            assert_int_equal(plan->tile_count, 0);
            assert_int_equal(plan->streamed_bytes, 4096 * 2);
        }
        plim_load_plan_close(&plan);
    }
    free_model(m);
}

static void test_tied(void **state)
{
    (void)state;
    made *m = make_model(config_llama_8b_tied, &bf16);
    m->options.device_map.all = PLIM_DEVICE_DISK;
    plim_load_plan *plan = plan_of(m);
    const plim_placement *p = placed(m, plan, 0, PLIM_ROLE_EMBED);
    assert_ptr_equal(p, placed(m, plan, 0, PLIM_ROLE_HEAD));
    assert_int_equal(p->use, PLIM_USE_IN_ORDER); /* the head goes through all of it */
    assert_int_equal(plan->tiles[plan->head_tile].extent, p->first_extent);
    assert_true(plan->head_tile > 0 && plan->head_tile + p->extent_count == plan->tile_count);
    uint64_t matrices = 0;
    for (uint32_t i = 0; i < plan->placement_count; i++)
        if (plan->placements[i].rows > 1)
            matrices += plan->placements[i].bytes;
    assert_int_equal(streamed_tiles(plan), matrices);
    assert_int_equal(plan->streamed_bytes, matrices + 4096 * 2); /* and the row looked up */
    plim_load_plan_close(&plan);
    free_model(m);
}

/* max_memory: a cap on weights, with and without a line. */
static void test_max_weights(void **state)
{
    (void)state;
    const uint64_t limits[] = {0, 2 * GIB, 700 * MIB};
    for (size_t i = 0; i < 3; i++) {
        made *m = make_model(config_llama_1b, &bf16);
        m->options.max_weights = GIB;
        plim_load_plan *plan = plan_under(m, limits[i]);
        assert_true(plan->fits && plan->tile_count > 0);
        assert_true(plan->category[PLIM_MEM_WEIGHTS] <= GIB);
        if (limits[i] != 700 * MIB)
            assert_true(plan->category[PLIM_MEM_WEIGHTS] >= GIB - 10 * MIB);
        check_plan(m, plan);
        plim_load_plan_close(&plan);
        m->options.max_weights = 1; /* vectors are more than that */
        plan = plan_under(m, limits[i]);
        assert_false(plan->fits);
        plim_load_plan_close(&plan);
        free_model(m);
    }
}

/* ---- device maps ---- */

static void test_maps(void **state)
{
    (void)state;
    static const plim_device_rule rules[] = {{"", PLIM_DEVICE_CPU},
                                             {"model.layers.1", PLIM_DEVICE_DISK},
                                             {"lm_head", PLIM_DEVICE_DISK},
                                             {"model.layers.1.mlp.up_proj", PLIM_DEVICE_CPU}};
    made *m = make_model(config_llama_8b, &bf16);
    m->options.device_map = (plim_device_map){.rules = rules, .rule_count = 4};
    plim_load_plan *plan = plan_of(m);
    for (uint32_t i = 0; i < plan->placement_count; i++) {
        const plim_placement *p = &plan->placements[i];
        const char *name = m->skeleton->slots[p->slot].name;
        bool disk = p->rows > 1 && !strstr(name, "up_proj") &&
                    (strstr(name, "layers.1.") || !strcmp(name, "lm_head.weight"));
        assert_int_equal(p->form == PLIM_FORM_STREAMED, disk);
        assert_int_equal(p->pinned_bytes, disk ? 0 : p->bytes);
    }
    assert_true(plan->tile_count > 0);
    check_plan(m, plan);
    plim_load_plan_close(&plan);

    plim_error err;
    m->options.device_map.rules = rules + 1;
    m->options.device_map.rule_count = 1; /* not all is covered */
    assert_int_equal(plim_load_plan_open(&plan, plim_alloc_system(), m->skeleton, &m->set,
                                         &m->options, &m->facts, &m->held, &err),
                     PLIM_E_USAGE);
    assert_string_equal(err.tensor, "model.embed_tokens.weight");

    m->options.device_map = (plim_device_map){.all = PLIM_DEVICE_CPU}; /* all must fit */
    plan = plan_under(m, 4 * GIB);
    assert_false(plan->fits);
    assert_int_equal(plan->tile_count, 0);
    assert_true(plan->line > 16 * GIB / 16 * 14);
    plim_load_plan_close(&plan);

    m->options.device_map.all = PLIM_DEVICE_DISK;
    plan = plan_under(m, 20 * GIB);
    assert_true(plan->fits && plan->pinned_bytes < 2 * MIB);
    plim_load_plan_close(&plan);
    m->options.low_cpu_mem_usage = false;
    assert_int_equal(plim_load_plan_open(&plan, plim_alloc_system(), m->skeleton, &m->set,
                                         &m->options, &m->facts, &m->held, &err),
                     PLIM_E_USAGE);
    free_model(m);
}

static void test_rules(void **state)
{
    (void)state;
    static const struct {
        const char *module, *name;
        bool covers;
    } cases[] = {{"model.layers.1", "model.layers.1.mlp.up_proj.weight", true},
                 {"model.layers.1", "model.layers.1", true},
                 {"model.layers.1", "model.layers.10.mlp.up_proj.weight", false},
                 {"model.layers.1.", "model.layers.1.mlp", false},
                 {"", "anything", true},
                 {"model", "modell.x", false},
                 {"model.layers.12", "model.layers.1", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        plim_device_rule rule = {cases[i].module, PLIM_DEVICE_CPU};
        assert_int_equal(plim_device_rule_covers(&rule, cases[i].name), cases[i].covers);
    }
    bool covered;
    const plim_device_rule two[] = {{"a", PLIM_DEVICE_CPU}, {"a.b", PLIM_DEVICE_DISK}};
    const plim_device_map map = {.rules = two, .rule_count = 2};
    assert_int_equal(plim_device_of(&map, "a.b.c", &covered), PLIM_DEVICE_DISK);
    assert_int_equal(plim_device_of(&map, "a.c", &covered), PLIM_DEVICE_CPU);
    assert_true(covered);
    assert_int_equal(plim_device_of(&map, "b", &covered), PLIM_DEVICE_AUTO);
    assert_false(covered);
}

/* ---- advice ---- */

/* Do what a line says; false when it is no command. */
static bool follow(made *m, const char *line)
{
    unsigned long long bytes;
    unsigned context;
    const char *at = strstr(line, "--memory ");
    if (at && sscanf(at, "--memory %llu", &bytes) == 1)
        m->facts.memory_limit = bytes;
    else if (sscanf(line, "--context %u", &context) == 1)
        m->options.context = context;
    else if (!strncmp(line, "--dtype bfloat16", 16))
        m->options.torch_dtype = PLIM_BF16;
    else if (!strncmp(line, "--dtype int8", 12))
        m->options.torch_dtype = PLIM_I8;
    else if (!strncmp(line, "--dtype int4", 12))
        m->options.torch_dtype = PLIM_Q4;
    else if (!strncmp(line, "--kv-dtype float16", 18))
        m->options.kv_dtype = PLIM_F16;
    else if (!strncmp(line, "--device-map auto", 17))
        m->options.device_map = (plim_device_map){.all = PLIM_DEVICE_AUTO};
    else if (!strncmp(line, "--low-cpu-mem-usage true", 24))
        m->options.low_cpu_mem_usage = true;
    else if (strstr(line, "--max-memory"))
        m->options.max_weights = 0;
    else
        return false;
    return true;
}

/* Every line holds: what it says to do makes the model fit; returns how many there were. */
static size_t check_advice(made *m)
{
    plim_load_plan *plan = plan_of(m);
    const plim_plan_options options = m->options;
    const uint64_t limit = m->facts.memory_limit;
    size_t count = 0;
    for (size_t i = 0; i < plan->advice_count; i++) {
        const char *line = plan->advice[i];
        if (follow(m, line)) {
            plim_load_plan *other = plan_of(m);
            assert_true(other->fits);
            if (strstr(line, "hold"))
                assert_int_equal(other->streamed_bytes, 0);
            if (strstr(line, "least")) { /* to a MiB */
                plim_load_plan *less = plan_under(m, m->facts.memory_limit - 2 * MIB);
                assert_false(less->fits);
                plim_load_plan_close(&less);
            }
            plim_load_plan_close(&other);
            count++;
        } else
            assert_true(plan->fits && strstr(line, "narrower"));
        m->options = options;
        m->facts.memory_limit = limit;
    }
    plim_load_plan_close(&plan);
    return count;
}

static void test_advice(void **state)
{
    (void)state;
    made *m = make_model(config_llama_8b, &f32);
    m->options.torch_dtype = PLIM_F32;
    assert_int_equal(check_advice(m), 0); /* no line, no advice */
    m->facts.memory_limit = 100 * MIB;
    assert_true(check_advice(m) >= 3); /* a narrower cache alone is no help; context, lines */
    m->facts.memory_limit = 700 * MIB;
    assert_true(check_advice(m) >= 4);
    m->facts.memory_limit = 10 * GIB; /* it streams */
    assert_int_equal(check_advice(m), 1);
    m->options.torch_dtype = PLIM_BF16;
    assert_int_equal(check_advice(m), 1);
    m->options.device_map.all = PLIM_DEVICE_CPU;
    assert_true(check_advice(m) >= 2);
    m->options.low_cpu_mem_usage = false;
    m->facts.memory_limit = 40 * GIB;
    assert_true(check_advice(m) >= 2);
    m->options = (plim_plan_options){.low_cpu_mem_usage = true, .sessions = 1, .max_weights = 1};
    assert_true(check_advice(m) >= 1);
    free_model(m);
}

/* ---- seconds ---- */

static bool near(double a, double b)
{
    return a > b * 0.9999 && a < b * 1.0001;
}

static const plim_speeds fast_disk = {
    .disk = 4e9, .cached = 8e9, .commit = 2e9, .product_out_in = {1e9, 1e9, 1e9}};

static void test_load_seconds(void **state)
{
    (void)state;
    made *m = make_model(config_llama_1b, &bf16);
    plim_load_plan *plan = plan_of(m);
    assert_true(plan->load_seconds == 0 && plan->token_seconds == 0); /* not measured */
    double bytes = (double)plan->stored_bytes;
    plim_load_plan_close(&plan);
    m->facts.speeds = fast_disk;
    plan = plan_of(m); /* mapped, cold */
    assert_true(near(plan->load_seconds, bytes / 4e9));
    plim_load_plan_close(&plan);
    uint8_t windows[64];
    memset(windows, 50, sizeof windows);
    m->file_facts[0].windows = windows;
    m->file_facts[0].window_count = sizeof windows;
    plan = plan_of(m); /* half of it is there: a map copies nothing */
    assert_true(near(plan->load_seconds, bytes / 8e9));
    plim_load_plan_close(&plan);
    m->options.reader =
        PLIM_READER_DIRECT; /* which does not look into the cache; commit is slower */
    plan = plan_of(m);
    assert_true(near(plan->load_seconds, (double)plan->runs[0].bytes / 2e9));
    plim_load_plan_close(&plan);
    m->facts.speeds.commit = 1e11;
    plan = plan_of(m);
    assert_true(near(plan->load_seconds, bytes / 4e9));
    plim_load_plan_close(&plan);
    m->options.reader = PLIM_READER_BUFFERED; /* half from the disk, half copied */
    plan = plan_of(m);
    assert_true(near(plan->load_seconds, bytes * (0.5 / 4e9 + 0.5 / 8e9)));
    plim_load_plan_close(&plan);
    memset(windows, 100, 10); /* the first 640 MiB are */
    plan = plan_of(m);
    double warm = (double)(10 * PLIM_WINDOW_BYTES - 64);
    assert_true(near(plan->load_seconds, warm / 8e9 + (bytes - warm) * (0.5 / 4e9 + 0.5 / 8e9)));
    plim_load_plan_close(&plan);
    free_model(m);
}

static void test_token_seconds(void **state)
{
    (void)state;
    made *m = make_model(config_llama_8b, &bf16);
    m->facts.speeds = fast_disk;
    m->options.context = 64;
    plim_load_plan *plan = plan_of(m);
    double table = (double)placed(m, plan, 0, PLIM_ROLE_EMBED)->bytes, vectors = 65 * 4096 * 2;
    double matrices = (double)plan->weight_bytes - table - vectors;
    double compute = (matrices + (double)plan->kv_bytes / 2) / 1e9;
    assert_true(near(plan->token_seconds, compute));
    plim_load_plan_close(&plan);
    plan = plan_under(m, 2 * GIB); /* computing dominates */
    assert_true(plan->fits && near(plan->token_seconds, compute));
    plim_load_plan_close(&plan);
    m->facts.speeds.disk = 1e8; /* reading dominates */
    plan = plan_under(m, 2 * GIB);
    assert_true(near(plan->token_seconds, (double)plan->streamed_bytes / 1e8));
    plim_load_plan_close(&plan);
    m->file_facts[0].direct = false; /* through the cache, in which nothing is */
    plan = plan_under(m, 2 * GIB);
    assert_int_equal(plan->stream_how, PLIM_READER_BUFFERED);
    assert_true(near(plan->token_seconds, (double)plan->streamed_bytes / 1e8));
    plim_load_plan_close(&plan);
    m->facts.speeds.buffered = 5e7; /* which is slower than past it */
    plan = plan_under(m, 2 * GIB);
    double tiles = (double)streamed_tiles(plan);
    assert_true(
        near(plan->token_seconds, tiles / 5e7 + ((double)plan->streamed_bytes - tiles) / 1e8));
    plim_load_plan_close(&plan);
    uint8_t windows[256];
    memset(windows, 100, sizeof windows); /* all of it is */
    m->file_facts[0].windows = windows;
    m->file_facts[0].window_count = sizeof windows;
    m->facts.speeds.cached = 5e8;
    plan = plan_under(m, 2 * GIB);
    assert_true(near(plan->token_seconds, compute + tiles / 5e8)); /* a copy takes processors */
    plim_load_plan_close(&plan);
    m->facts.speeds.product_out_in[2] = 0; /* one is not known */
    plan = plan_under(m, 2 * GIB);
    assert_true(plan->token_seconds == 0);
    plim_load_plan_close(&plan);
    free_model(m);

    m = make_model(config_gpt2_medium, &f32); /* the other layout; its head is not */
    m->facts.speeds = fast_disk;
    m->facts.speeds.product_in_out[0] = 5e8;
    plan = plan_of(m);
    double head = (double)placed(m, plan, 0, PLIM_ROLE_HEAD)->bytes, layers = 0;
    for (uint32_t i = 0; i < plan->placement_count; i++)
        if (plan->placements[i].use == PLIM_USE_IN_ORDER)
            layers += (double)plan->placements[i].bytes;
    layers -= head;
    assert_true(
        near(plan->token_seconds, layers / 5e8 + (head + (double)plan->kv_bytes / 2) / 1e9));
    plim_load_plan_close(&plan);
    free_model(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overhead),     cmocka_unit_test(test_smallest),
        cmocka_unit_test(test_large),        cmocka_unit_test(test_even),
        cmocka_unit_test(test_worth),        cmocka_unit_test(test_tied),
        cmocka_unit_test(test_max_weights),  cmocka_unit_test(test_maps),
        cmocka_unit_test(test_rules),        cmocka_unit_test(test_advice),
        cmocka_unit_test(test_load_seconds), cmocka_unit_test(test_token_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
