/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan is pure: from made-up facts to types, forms, reads and the waterline, without a byte of
 * weights. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "fixture.h"

#define TINY                                                                                       \
    "{\"model_type\": \"llama\", \"vocab_size\": 10, \"hidden_size\": 8, \"num_hidden_layers\": "  \
    "1, \"num_attention_heads\": 2, \"intermediate_size\": 12, \"max_position_embeddings\": 64, "  \
    "\"tie_word_embeddings\": true"

static const char *const tiny = TINY "}";
static const lying f32 = {.dtype = PLIM_F32}, bf16 = {.dtype = PLIM_BF16};

static plim_status try_plan(made *m, plim_error *err)
{
    plim_load_plan *plan;
    plim_status status = plim_load_plan_open(&plan, plim_alloc_system(), m->skeleton, &m->set,
                                             &m->options, &m->facts, &m->held, err);
    plim_load_plan_close(&plan);
    return status;
}

/* ---- types ---- */

static void test_types(void **state)
{
    (void)state;
    static const struct {
        plim_dtype asked;
        const char *config;
        plim_dtype want, kv;
        plim_form form;
    } cases[] = {
        {PLIM_AUTO, TINY "}", PLIM_F32, PLIM_F32, PLIM_FORM_MAPPED}, /* what is stored */
        {PLIM_AUTO, TINY ", \"torch_dtype\": \"float32\"}", PLIM_F32, PLIM_F32, PLIM_FORM_MAPPED},
        {PLIM_AUTO, TINY ", \"torch_dtype\": \"bfloat16\"}", PLIM_BF16, PLIM_F16, PLIM_FORM_OWNED},
        {PLIM_AUTO, TINY ", \"dtype\": \"float16\"}", PLIM_F16, PLIM_F16, PLIM_FORM_OWNED},
        {PLIM_F32, TINY ", \"dtype\": \"float16\"}", PLIM_F32, PLIM_F32, PLIM_FORM_MAPPED},
        {PLIM_BF16, TINY "}", PLIM_BF16, PLIM_F16, PLIM_FORM_OWNED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        made *m = make_model(cases[i].config, &f32);
        m->options.torch_dtype = cases[i].asked;
        plim_load_plan *plan = plan_of(m);
        assert_int_equal(plan->dtype, cases[i].want);
        assert_int_equal(plan->session.kv_dtype, cases[i].kv);
        for (uint32_t k = 0; k < plan->placement_count; k++)
            assert_int_equal(plan->placements[k].form, cases[i].form);
        check_plan(m, plan);
        plim_load_plan_close(&plan);
        free_model(m);
    }
}

static void test_refused_types(void **state)
{
    (void)state;
    const lying f8 = {.dtype = PLIM_F8_E4M3};
    plim_error err;
    made *m = make_model(TINY ", \"dtype\": \"float32\"}", &f8);
    assert_int_equal(try_plan(m, &err), PLIM_E_UNSUP);
    assert_string_equal(err.tensor, "model.embed_tokens.weight");
    assert_non_null(strstr(err.message, "F8_E4M3"));
    free_model(m);
    m = make_model(tiny, &f32);
    m->options.torch_dtype = PLIM_I16;
    assert_int_equal(try_plan(m, &err), PLIM_E_UNSUP);
    assert_non_null(strstr(err.message, "int16"));
    assert_non_null(strstr(err.message, "int8 or int4"));
    m->options.torch_dtype = PLIM_AUTO;
    m->set.tensors[2].dtype = PLIM_AUTO;
    m->set.tensors[2].dtype_name = "F4";
    assert_int_equal(try_plan(m, &err), PLIM_E_UNSUP);
    assert_non_null(strstr(err.message, "'F4'"));
    free_model(m);
}

/* ---- forms ---- */

/* Mapped where there is room to spare, our own where it is tight, the same bytes either way. */
static void test_room_to_spare(void **state)
{
    (void)state;
    made *m = make_model(config_llama_1b, &bf16);
    plim_load_plan *plan = plan_of(m); /* no line */
    uint64_t needs = plan->line;
    assert_int_equal(plan->reader, PLIM_READER_MAP);
    assert_int_equal(plan->run_count, 1);
    plim_load_plan_close(&plan);
    static const struct {
        uint64_t percent;
        plim_form form;
    } cases[] = {{115, PLIM_FORM_MAPPED}, {108, PLIM_FORM_OWNED}, {101, PLIM_FORM_OWNED}};
    for (size_t i = 0; i < 3; i++) {
        plan = plan_under(m, needs / 100 * cases[i].percent);
        assert_true(plan->fits);
        assert_int_equal(plan->tile_count, 0);
        assert_int_equal(plan->placements[3].form, cases[i].form);
        assert_int_equal(plan->reader,
                         cases[i].form == PLIM_FORM_MAPPED ? PLIM_READER_MAP : PLIM_READER_DIRECT);
        assert_int_equal(plan->session.chunk, PLIM_DEFAULT_CHUNK);
        check_plan(m, plan);
        plim_load_plan_close(&plan);
    }
    m->options.torch_dtype = PLIM_F16; /* cast: no need of room to spare */
    plan = plan_under(m, needs / 100 * 101);
    assert_true(plan->fits);
    assert_int_equal(plan->tile_count, 0);
    plim_load_plan_close(&plan);
    free_model(m);
}

/* What has to be in memory fits with a shorter chunk where it would not with a long one. */
static void test_shorter_chunk(void **state)
{
    (void)state;
    made *m = make_model(config_llama_1b, &bf16);
    m->options.reader = PLIM_READER_DIRECT;
    m->options.device_map.all = PLIM_DEVICE_CPU;
    plim_load_plan *plan = plan_of(m);
    uint64_t needs = plan->line, scratch = plan->scratch_bytes;
    plim_load_plan_close(&plan);
    plan = plan_under(m, needs);
    assert_true(plan->fits && plan->session.chunk == 256);
    plim_load_plan_close(&plan);
    plan = plan_under(m, needs - 1);
    assert_true(plan->fits && plan->session.chunk == 128);
    plim_load_plan_close(&plan);
    plan = plan_under(m, needs - scratch);
    assert_false(plan->fits);
    assert_true(plan->session.chunk == 256 && plan->line == needs); /* as asked for */
    plim_load_plan_close(&plan);
    m->options.chunk = 256; /* as the caller says */
    plan = plan_under(m, needs - 1);
    assert_false(plan->fits);
    plim_load_plan_close(&plan);
    free_model(m);
}

/* Data that is not aligned to its elements is copied; so is what stands behind it. */
static void test_unaligned(void **state)
{
    (void)state;
    static const uint64_t shifts[] = {1, 2, 3, 4, 64, 4095};
    static const plim_dtype types[] = {PLIM_F64, PLIM_F32, PLIM_F16, PLIM_BF16};
    for (size_t i = 0; i < sizeof shifts / sizeof *shifts; i++)
        for (size_t j = 1; j < 4; j++)
            for (int mixed = 0; mixed < 2; mixed++) {
                lying how = {.dtype = types[j],
                             .dtypes = mixed ? types : NULL,
                             .dtype_count = 4,
                             .shift = shifts[i]};
                made *m = make_model(config_gpt2_medium, &how);
                m->options.torch_dtype = types[j];
                m->options.context = 64;
                bool aligned = shifts[i] % plim_dtypes[types[j]].align == 0;
                for (uint64_t limit = 0; limit < 900 * MIB; limit += 300 * MIB) {
                    plim_load_plan *plan = plan_under(m, limit);
                    check_plan(m, plan);
                    assert_true(plan->fits);
                    if (!mixed)
                        assert_int_equal(plan->placements[0].staged, !aligned);
                    if (!limit && !mixed)
                        assert_int_equal(plan->mapped > 0, aligned);
                    plim_load_plan_close(&plan);
                }
                free_model(m);
            }
}

static void test_tied_once(void **state)
{
    (void)state;
    made *m = make_model(tiny, &f32);
    plim_load_plan *plan = plan_of(m);
    assert_int_equal(plan->placement_count, 11);
    assert_int_equal(plan->placement_of_slot[plim_skeleton_slot(m->skeleton, 0, PLIM_ROLE_HEAD)],
                     plan->placement_of_slot[plim_skeleton_slot(m->skeleton, 0, PLIM_ROLE_EMBED)]);
    plim_load_plan_close(&plan);
    free_model(m);
}

/* A row that is larger than the tile that is wanted is a tile. */
static void test_wide_rows(void **state)
{
    (void)state;
    made *m = make_model("{\"model_type\": \"llama\", \"vocab_size\": 5, \"hidden_size\": 40000, "
                         "\"num_hidden_layers\": 1, \"num_attention_heads\": 100, "
                         "\"num_key_value_heads\": 1, \"intermediate_size\": 1, "
                         "\"max_position_embeddings\": 8, \"tie_word_embeddings\": false}",
                         &f32);
    uint64_t least = least_line(m, 1, 40 * GIB);
    plim_load_plan *plan = plan_under(m, least);
    assert_true(plan->tile_count > 0);
    assert_true(plan->ring_slot_bytes >= 160000 && plan->ring_slot_bytes < MIB);
    assert_true(least < 40 * MIB);
    check_plan(m, plan);
    plim_load_plan_close(&plan);
    plim_placement p = {.rows = 5, .row_bytes = 160000, .stored_row_bytes = 160000};
    assert_int_equal(plim_tile_rows(&p, 65536), 1);
    assert_int_equal(plim_tile_rows(&p, 10 * MIB), 16); /* all of it */
    p = (plim_placement){.rows = 2048, .row_bytes = 4096, .stored_row_bytes = 4096};
    assert_int_equal(plim_tile_rows(&p, 4 * MIB), 1024);
    p.rows = 2064; /* three alike, no sliver */
    assert_int_equal(plim_tile_rows(&p, 4 * MIB), 688);
    free_model(m);
}

/* ---- ways of reading ---- */

static uint64_t bytes_by(const plim_load_plan *plan, plim_reader how)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < plan->read_count; i++)
        sum += plan->reads[i].how == how ? plan->reads[i].bytes : 0;
    return sum;
}

/* reader × cast × whether the file system takes direct reads, in memory and streaming. */
static void test_readers(void **state)
{
    (void)state;
    for (int reader = PLIM_READER_AUTO; reader <= PLIM_READER_DIRECT; reader++)
        for (int cast = 0; cast < 2; cast++)
            for (int direct = 0; direct < 2; direct++)
                for (int streams = 0; streams < 2; streams++) {
                    made *m = make_model(config_llama_1b, &bf16);
                    m->options.reader = (plim_reader)reader;
                    m->options.torch_dtype = cast ? PLIM_F16 : PLIM_BF16;
                    m->file_facts[0].direct = direct;
                    plim_load_plan *plan = plan_under(m, streams ? GIB : 0);
                    check_plan(m, plan);
                    plim_reader own =
                        direct && (reader == PLIM_READER_AUTO || reader == PLIM_READER_DIRECT)
                            ? PLIM_READER_DIRECT
                            : PLIM_READER_BUFFERED;
                    bool maps = !cast && (reader == PLIM_READER_MAP ||
                                          (reader == PLIM_READER_AUTO && !streams));
                    plim_reader want = maps ? PLIM_READER_MAP : own;
                    uint64_t all = 0;
                    for (size_t i = 0; i < plan->read_count; i++)
                        all += plan->reads[i].bytes;
                    assert_int_equal(bytes_by(plan, want), all);
                    assert_true(all >= plan->pinned_bytes);
                    if (streams) {
                        assert_true(plan->tile_count > 0);
                        assert_int_equal(plan->stream_how, own);
                    } else
                        assert_int_equal(plan->reader, want);
                    plim_load_plan_close(&plan);
                    free_model(m);
                }
}

/* Window by window: what is in the page cache is read through it. */
static void test_warm(void **state)
{
    (void)state;
    uint8_t windows[100] = {0};
    made *m = make_model(config_llama_1b, &bf16);
    m->options.torch_dtype = PLIM_F16; /* a cast: own memory */
    m->file_facts[0].windows = windows;
    m->file_facts[0].window_count = sizeof windows;
    windows[1] = 90;
    windows[2] = 89;
    windows[3] = 100;
    plim_load_plan *plan = plan_of(m);
    for (size_t i = 0; i < plan->read_count; i++) {
        uint64_t window = plan->reads[i].offset / PLIM_WINDOW_BYTES;
        assert_int_equal(plan->reads[i].how,
                         window == 1 || window == 3 ? PLIM_READER_BUFFERED : PLIM_READER_DIRECT);
    }
    uint64_t warm = bytes_by(plan, PLIM_READER_BUFFERED);
    assert_true(warm > 2 * PLIM_WINDOW_BYTES - 3 * MIB && warm < 2 * PLIM_WINDOW_BYTES + 3 * MIB);
    check_plan(m, plan);
    plim_load_plan_close(&plan);
    m->options.reader = PLIM_READER_DIRECT; /* asked for: the cache is not looked at */
    plan = plan_of(m);
    assert_int_equal(bytes_by(plan, PLIM_READER_BUFFERED), 0);
    plim_load_plan_close(&plan);
    m->options.reader = PLIM_READER_AUTO;
    memset(windows, 95, sizeof windows); /* nearly all of it */
    plan = plan_under(m, GIB);
    assert_int_equal(plan->stream_how, PLIM_READER_BUFFERED);
    plim_load_plan_close(&plan);
    memset(windows, 0, 20);
    plan = plan_under(m, GIB);
    assert_int_equal(plan->stream_how, PLIM_READER_DIRECT);
    plim_load_plan_close(&plan);
    free_model(m);
}

/* ---- purity ---- */

static void test_pure(void **state)
{
    (void)state;
    const uint64_t limits[] = {0, 60 * MIB, 500 * MIB, GIB, 3 * GIB};
    for (size_t i = 0; i < 5; i++)
        for (int cast = 0; cast < 2; cast++) {
            made *m = make_model(config_llama_1b, &bf16), *n = make_model(config_llama_1b, &bf16);
            m->options.torch_dtype = n->options.torch_dtype = cast ? PLIM_F32 : PLIM_BF16;
            plim_load_plan *a = plan_under(m, limits[i]), *b = plan_under(n, limits[i]);
            check_same(a, b);
            plim_load_plan_close(&a);
            plim_load_plan_close(&b);
            free_model(m);
            free_model(n);
        }
}

/* ---- the waterline ---- */

static void test_prediction(void **state)
{
    (void)state;
    made *m = make_model(tiny, &f32);
    m->options.torch_dtype = PLIM_BF16;
    m->options.context = 16;
    plim_load_plan *plan = plan_of(m);
    uint64_t kv = 2 * 1 * 16 * 8 * 2; /* k and v, layers, positions, width, f16 */
    assert_int_equal(plan->kv_bytes, (kv + 4095) / 4096 * 4096);
    assert_int_equal(plan->category[PLIM_MEM_STAGING],
                     PLIM_STAGING_SLOTS * (PLIM_STAGED_BYTES + 2 * PLIM_DIRECT_ALIGN) +
                         PLIM_QUEUE_BYTES + (320 << 10)); /* the stack of a second thread */
    assert_int_equal(plan->category[PLIM_MEM_METADATA], 50000);
    assert_int_equal(plan->category[PLIM_MEM_KV], plan->kv_bytes);
    assert_int_equal(plan->category[PLIM_MEM_ACTIVATIONS], plan->scratch_bytes);
    /* Loading is the peak: neither KV nor scratch are there yet. */
    uint64_t sum = 0;
    for (int i = 0; i < PLIM_MEM_COUNT; i++)
        sum += plan->category[i];
    sum -= plan->kv_bytes + plan->scratch_bytes;
    assert_int_equal(sum, plan->anonymous + plan->mapped);
    assert_int_equal(plan->line, m->facts.baseline + sum);
    assert_int_equal(plan->predicted_peak, m->facts.rss + sum - 50000);
    assert_true(plan->fits && plan->advice_count == 0);
    plim_load_plan_close(&plan);
    m->options.sessions = 1000; /* now running is */
    plan = plan_of(m);
    assert_int_equal(plan->category[PLIM_MEM_KV], 1000 * plan->kv_bytes);
    assert_true(plan->line >= m->facts.baseline + 1000 * (plan->kv_bytes + plan->scratch_bytes));
    m->facts.peak = 3 * plan->predicted_peak; /* it was higher once */
    plim_load_plan_close(&plan);
    plan = plan_of(m);
    assert_int_equal(plan->predicted_peak, m->facts.peak);
    plim_load_plan_close(&plan);
    free_model(m);
}

static void test_old_way(void **state)
{
    (void)state;
    made *m = make_model(config_gpt2_medium, &f32);
    m->options.low_cpu_mem_usage = false;
    for (int cast = 0; cast < 2; cast++) {
        m->options.torch_dtype = cast ? PLIM_BF16 : PLIM_F32;
        plim_load_plan *plan = plan_of(m);
        assert_int_equal(plan->mapped, 0);
        uint64_t staging = plan->category[PLIM_MEM_STAGING]; /* the state dict */
        assert_true(staging >= plan->stored_bytes && staging < plan->stored_bytes + 3 * MIB);
        assert_true(plan->category[PLIM_MEM_WEIGHTS] >= plan->weight_bytes); /* and the model */
        assert_int_equal(bytes_by(plan, PLIM_READER_DIRECT), 0);
        check_plan(m, plan);
        plim_load_plan_close(&plan);
        plan = plan_under(m, GIB); /* nothing can stream */
        assert_false(plan->fits);
        assert_int_equal(plan->tile_count, 0);
        plim_load_plan_close(&plan);
        m->facts.memory_limit = 0;
    }
    free_model(m);
}

static void test_session(void **state)
{
    (void)state;
    plim_error err;
    made *m = make_model(tiny, &f32);
    plim_load_plan *plan = plan_of(m);
    assert_int_equal(plan->session.context, 64); /* the model's, shorter than 4096 */
    assert_int_equal(plan->session.chunk, 64);
    plim_load_plan_close(&plan);
    m->options.context = 100000; /* rope can go beyond */
    plan = plan_of(m);
    assert_int_equal(plan->session.context, 100000);
    assert_int_equal(plan->session.chunk, 256);
    plim_load_plan_close(&plan);
    m->options.context = PLIM_MAX_POSITIONS + 1;
    assert_int_equal(try_plan(m, &err), PLIM_E_LIMIT);
    m->options.context = 64;
    m->options.sessions = PLIM_MAX_SESSIONS;
    plan = plan_of(m);
    assert_int_equal(plan->category[PLIM_MEM_KV], PLIM_MAX_SESSIONS * plan->kv_bytes);
    check_plan(m, plan);
    plim_load_plan_close(&plan);
    m->options.sessions++;
    assert_int_equal(try_plan(m, &err), PLIM_E_USAGE);
    assert_non_null(strstr(err.message, "sessions"));
    m->options.sessions = 1;
    m->options.kv_dtype = PLIM_I8;
    assert_int_equal(try_plan(m, &err), PLIM_E_USAGE);
    free_model(m);
    m = make_model("{\"model_type\": \"llama\", \"vocab_size\": 5, \"hidden_size\": 64, "
                   "\"num_hidden_layers\": 1, \"num_attention_heads\": 16, "
                   "\"intermediate_size\": 1, \"max_position_embeddings\": 8}",
                   &bf16);
    m->options.context = PLIM_MAX_POSITIONS; /* more tasks in a pass than can be numbered */
    m->options.chunk = PLIM_MAX_POSITIONS;
    assert_int_equal(try_plan(m, &err), PLIM_E_LIMIT);
    free_model(m);
    m = make_model(config_gpt2_medium, &f32); /* learned positions: there are no more */
    m->options.context = 1025;
    assert_int_equal(try_plan(m, &err), PLIM_E_LIMIT);
    free_model(m);
}

/* ---- weights alone ---- */

/* What lies between two tensors that nobody needs is mapped or read along where it is small; else
 * mapping it would hold memory for nothing. */
static void test_gaps(void **state)
{
    (void)state;
    static const struct {
        uint64_t gap;
        size_t maps, reads;
    } cases[] = {{0, 1, 1}, {4096, 1, 1}, {16384, 1, 1}, {16388, 2, 2}, {256 << 10, 2, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint64_t bytes[] = {4096, 4096, 0}, offsets[] = {64, 4160 + cases[i].gap, 9000000};
        made *m = make_weights(bytes, offsets, 3, PLIM_F32);
        plim_load_plan *plan = plan_of(m);
        assert_int_equal(plan->read_count, cases[i].maps);
        assert_true(plan->mapped <= plan->weight_bytes + 6 * 4096 + MIB / 64);
        check_plan(m, plan);
        plim_load_plan_close(&plan);
        m->options.reader = PLIM_READER_DIRECT;
        plan = plan_of(m);
        assert_int_equal(plan->run_count, 1);
        assert_int_equal(plan->read_count, cases[i].reads);
        check_plan(m, plan);
        plim_load_plan_close(&plan);
        m->options.torch_dtype = PLIM_F16; /* cast: one read for both */
        plan = plan_of(m);
        assert_int_equal(plan->read_count, cases[i].reads);
        assert_int_equal(plan->move_count, 2);
        check_plan(m, plan);
        plim_load_plan_close(&plan);
        free_model(m);
    }
}

static void test_weights_alone(void **state)
{
    (void)state;
    static const plim_dtype types[] = {PLIM_U8, PLIM_I64, PLIM_BOOL, PLIM_F8_E4M3, PLIM_F64};
    const uint64_t bytes[] = {5 * MIB + 8, 8, 16 * MIB}, offsets[] = {72, 9 * MIB, 10 * MIB};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        made *m = make_weights(bytes, offsets, 3, types[i]);
        m->options.torch_dtype = i % 2 ? PLIM_F16 : PLIM_AUTO;
        plim_load_plan *plan = plan_of(m);
        assert_int_equal(plan->placements[0].dtype, types[i]); /* integers stay what they are */
        assert_int_equal(plan->category[PLIM_MEM_KV], 0);
        assert_true(plan->token_seconds == 0);
        check_plan(m, plan);
        plim_load_plan_close(&plan);
        plan = plan_under(m, 20 * MIB); /* nobody knows in which order they are used */
        assert_false(plan->fits);
        plim_load_plan_close(&plan);
        m->options.device_map.all = PLIM_DEVICE_DISK;
        plim_error err;
        assert_int_equal(try_plan(m, &err), PLIM_E_UNSUP);
        free_model(m);
    }
}

/* A header may speak of any size (a sparse file costs nothing): no list of reads is made for it. */
static void test_absurd_sizes(void **state)
{
    (void)state;
    plim_error err;
    const uint64_t one[] = {1ull << 44}, at[] = {8, 8, 8, 8};
    const uint64_t four[] = {1ull << 60, 1ull << 60, 1ull << 60, 1ull << 60};
    for (int i = 0; i < 2; i++) {
        made *m = make_weights(i ? four : one, at, i ? 4 : 1, PLIM_U8);
        for (size_t j = 0; i && j < 4; j++) { /* four of 2^62 bytes are 0 in 64 bits */
            m->set.tensors[j].bytes <<= 2;
            m->skeleton->slots[j].shape.dim[0] <<= 2;
            m->set.tensors[j].shape.dim[0] <<= 2;
        }
        assert_int_equal(try_plan(m, &err), PLIM_E_LIMIT);
        assert_string_equal(err.tensor, "a");
        free_model(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),         cmocka_unit_test(test_refused_types),
        cmocka_unit_test(test_room_to_spare), cmocka_unit_test(test_shorter_chunk),
        cmocka_unit_test(test_unaligned),     cmocka_unit_test(test_tied_once),
        cmocka_unit_test(test_wide_rows),     cmocka_unit_test(test_readers),
        cmocka_unit_test(test_warm),          cmocka_unit_test(test_pure),
        cmocka_unit_test(test_prediction),    cmocka_unit_test(test_old_way),
        cmocka_unit_test(test_session),       cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_weights_alone), cmocka_unit_test(test_absurd_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
