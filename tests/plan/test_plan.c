/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan is pure: from made-up facts to types, forms, reads, the waterline and advice, without a
 * byte of weights. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "plan/plan.h"
#include "temp.h"

/* A Llama of one layer: hidden 8, 2 heads of 4, inner 12, vocabulary 10; tensors of `dtype` one
 * after the other, moved by `shift` bytes of a leading U8 tensor. */
static const char *write_model(const temp_folder *t, const char *dtype, size_t elem, size_t shift,
                               const char *config)
{
    static const struct {
        const char *name;
        size_t rows, cols;
    } tensors[] = {{"model.embed_tokens.weight", 10, 8},
                   {"model.layers.0.input_layernorm.weight", 8, 0},
                   {"model.layers.0.self_attn.q_proj.weight", 8, 8},
                   {"model.layers.0.self_attn.k_proj.weight", 8, 8},
                   {"model.layers.0.self_attn.v_proj.weight", 8, 8},
                   {"model.layers.0.self_attn.o_proj.weight", 8, 8},
                   {"model.layers.0.post_attention_layernorm.weight", 8, 0},
                   {"model.layers.0.mlp.gate_proj.weight", 12, 8},
                   {"model.layers.0.mlp.up_proj.weight", 12, 8},
                   {"model.layers.0.mlp.down_proj.weight", 8, 12},
                   {"model.norm.weight", 8, 0}};
    char header[4096];
    size_t used = (size_t)snprintf(header, sizeof header, "{"), at = 0;
    if (shift) {
        used += (size_t)snprintf(
            header + used, sizeof header - used,
            "\"odd\":{\"dtype\":\"U8\",\"shape\":[%zu],\"data_offsets\":[0,%zu]},", shift, shift);
        at = shift;
    }
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        size_t bytes = tensors[i].rows * (tensors[i].cols ? tensors[i].cols : 1) * elem;
        char shape[32];
        snprintf(shape, sizeof shape, tensors[i].cols ? "[%zu,%zu]" : "[%zu]", tensors[i].rows,
                 tensors[i].cols);
        used +=
            (size_t)snprintf(header + used, sizeof header - used,
                             "%s\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
                             i ? "," : "", tensors[i].name, dtype, shape, at, at + bytes);
        at += bytes;
    }
    used += (size_t)snprintf(header + used, sizeof header - used, "}");
    while (used % 8)
        header[used++] = ' ';
    header[used] = 0;
    char text[600];
    snprintf(
        text, sizeof text,
        "{\"model_type\": \"llama\", \"vocab_size\": 10, \"hidden_size\": 8, "
        "\"num_hidden_layers\": 1, "
        "\"num_attention_heads\": 2, \"intermediate_size\": 12, \"max_position_embeddings\": 64, "
        "\"tie_word_embeddings\": true%s}",
        config);
    temp_text(t, "config.json", text);
    return temp_safetensors(t, "model.safetensors", header, at);
}

typedef struct planned {
    temp_folder folder;
    plim_stored_set *stored;
    plim_skeleton *skeleton;
    plim_load_plan *plan;
} planned;

static plim_plan_options defaults(void)
{
    return (plim_plan_options){.low_cpu_mem_usage = true, .sessions = 1};
}

static plim_facts machine(uint64_t limit)
{
    return (plim_facts){.page_bytes = 4096,
                        .threads = 2,
                        .memory_limit = limit,
                        .baseline = 1000000,
                        .rss = 1100000,
                        .peak = 1200000};
}

static plim_status plan_model(planned *p, const char *dtype, size_t elem, size_t shift,
                              const char *config, const plim_plan_options *options,
                              const plim_facts *facts, plim_error *err)
{
    plim_held held = {.anonymous = 5000};
    held.category[PLIM_MEM_METADATA] = 5000;
    *p = (planned){.folder = temp_open()};
    write_model(&p->folder, dtype, elem, shift, config);
    plim_checkpoint_where where = {p->folder.path, NULL, NULL};
    const plim_alloc *alloc = plim_alloc_system();
    assert_int_equal(plim_stored_open(&p->stored, alloc, &where, NULL, err), PLIM_OK);
    assert_int_equal(
        plim_skeleton_open(&p->skeleton, alloc, temp_path(&p->folder, "config.json"), err),
        PLIM_OK);
    assert_int_equal(plim_skeleton_match(p->skeleton, p->stored, NULL, err), PLIM_OK);
    return plim_load_plan_open(&p->plan, alloc, p->skeleton, p->stored, options, facts, &held, err);
}

static void done(planned *p)
{
    plim_load_plan_close(&p->plan);
    plim_skeleton_close(&p->skeleton);
    plim_stored_close(&p->stored);
    temp_close(&p->folder);
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
        {PLIM_AUTO, "", PLIM_F32, PLIM_F32, PLIM_FORM_MAPPED}, /* what is stored */
        {PLIM_AUTO, ", \"torch_dtype\": \"float32\"", PLIM_F32, PLIM_F32, PLIM_FORM_MAPPED},
        {PLIM_AUTO, ", \"torch_dtype\": \"bfloat16\"", PLIM_BF16, PLIM_F16, PLIM_FORM_OWNED},
        {PLIM_AUTO, ", \"dtype\": \"float16\"", PLIM_F16, PLIM_F16, PLIM_FORM_OWNED},
        {PLIM_F32, ", \"dtype\": \"float16\"", PLIM_F32, PLIM_F32, PLIM_FORM_MAPPED},
        {PLIM_BF16, "", PLIM_BF16, PLIM_F16, PLIM_FORM_OWNED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        planned p;
        plim_error err;
        plim_plan_options options = defaults();
        plim_facts facts = machine(0);
        options.torch_dtype = cases[i].asked;
        assert_int_equal(plan_model(&p, "F32", 4, 0, cases[i].config, &options, &facts, &err),
                         PLIM_OK);
        assert_int_equal(p.plan->dtype, cases[i].want);
        assert_int_equal(p.plan->session.kv_dtype, cases[i].kv);
        for (uint32_t k = 0; k < p.plan->placement_count; k++)
            assert_int_equal(p.plan->placements[k].form, cases[i].form);
        done(&p);
    }
}

static void test_refused_types(void **state)
{
    (void)state;
    planned p;
    plim_error err;
    plim_plan_options options = defaults();
    plim_facts facts = machine(0);
    assert_int_equal(
        plan_model(&p, "F8_E4M3", 1, 0, ", \"dtype\": \"float32\"", &options, &facts, &err),
        PLIM_E_UNSUP);
    assert_string_equal(err.tensor, "model.embed_tokens.weight");
    assert_non_null(strstr(err.message, "F8_E4M3"));
    done(&p);
    options.torch_dtype = PLIM_I8;
    assert_int_equal(plan_model(&p, "F32", 4, 0, "", &options, &facts, &err), PLIM_E_UNSUP);
    assert_non_null(strstr(err.message, "int8"));
    done(&p);
}

/* ---- forms and reads ---- */

static void test_unaligned_is_owned(void **state)
{
    (void)state;
    planned p;
    plim_error err;
    plim_plan_options options = defaults();
    plim_facts facts = machine(0);
    assert_int_equal(plan_model(&p, "F32", 4, 3, "", &options, &facts, &err), PLIM_OK);
    for (uint32_t i = 0; i < p.plan->placement_count; i++)
        assert_int_equal(p.plan->placements[i].form, PLIM_FORM_OWNED);
    assert_int_equal(p.plan->reader, PLIM_READER_BUFFERED);
    done(&p);
}

static void test_tied_once(void **state)
{
    (void)state;
    planned p;
    plim_error err;
    plim_plan_options options = defaults();
    plim_facts facts = machine(0);
    assert_int_equal(plan_model(&p, "F32", 4, 0, "", &options, &facts, &err), PLIM_OK);
    uint32_t head = plim_skeleton_slot(p.skeleton, 0, PLIM_ROLE_HEAD);
    uint32_t embed = plim_skeleton_slot(p.skeleton, 0, PLIM_ROLE_EMBED);
    assert_int_equal(p.plan->placement_count, 11);
    assert_int_equal(p.plan->placement_of_slot[head], p.plan->placement_of_slot[embed]);
    done(&p);
}

/* Reads are in file order and cover every stored byte that is needed exactly once. */
static void check_reads(const planned *p)
{
    uint64_t covered = 0, wanted = 0, end = 0;
    for (size_t i = 0; i < p->plan->read_count; i++) {
        const plim_read *r = &p->plan->reads[i];
        bool mapped = p->plan->runs[r->run].form == PLIM_FORM_MAPPED;
        assert_true(r->bytes > 0 && r->bytes <= (mapped ? PLIM_MAP_PIECE_BYTES : PLIM_PIECE_BYTES));
        assert_true(r->offset >= end);
        end = r->offset + r->bytes;
        covered += r->bytes;
    }
    for (uint32_t i = 0; i < p->plan->placement_count; i++)
        wanted += p->stored->tensors[p->plan->placements[i].stored].bytes;
    assert_int_equal(covered, wanted);
    assert_int_equal(p->plan->stored_bytes, wanted);
}

static void test_reads(void **state)
{
    (void)state;
    static const plim_reader readers[] = {PLIM_READER_AUTO, PLIM_READER_MAP, PLIM_READER_BUFFERED};
    for (size_t r = 0; r < 3; r++)
        for (int cast = 0; cast < 2; cast++) {
            planned p;
            plim_error err;
            plim_plan_options options = defaults();
            plim_facts facts = machine(0);
            options.reader = readers[r];
            options.torch_dtype = cast ? PLIM_BF16 : PLIM_AUTO;
            assert_int_equal(plan_model(&p, "F32", 4, 0, "", &options, &facts, &err), PLIM_OK);
            check_reads(&p);
            done(&p);
        }
}

/* ---- purity: the same inputs, the same plan ---- */

static void test_pure(void **state)
{
    (void)state;
    planned a, b;
    plim_error err;
    plim_plan_options options = defaults();
    plim_facts facts = machine(1 << 30);
    options.torch_dtype = PLIM_F16;
    assert_int_equal(plan_model(&a, "F32", 4, 0, "", &options, &facts, &err), PLIM_OK);
    assert_int_equal(plan_model(&b, "F32", 4, 0, "", &options, &facts, &err), PLIM_OK);
    assert_int_equal(a.plan->placement_count, b.plan->placement_count);
    assert_memory_equal(a.plan->placements, b.plan->placements,
                        a.plan->placement_count * sizeof *a.plan->placements);
    assert_int_equal(a.plan->read_count, b.plan->read_count);
    assert_memory_equal(a.plan->reads, b.plan->reads, a.plan->read_count * sizeof *a.plan->reads);
    assert_memory_equal(a.plan->runs, b.plan->runs, a.plan->run_count * sizeof *a.plan->runs);
    assert_memory_equal(a.plan->category, b.plan->category, sizeof a.plan->category);
    assert_int_equal(a.plan->predicted_peak, b.plan->predicted_peak);
    done(&a);
    done(&b);
}

/* ---- the waterline ---- */

static void test_prediction(void **state)
{
    (void)state;
    planned p;
    plim_error err;
    plim_plan_options options = defaults();
    plim_facts facts = machine(0);
    options.torch_dtype = PLIM_BF16;
    options.context = 16;
    assert_int_equal(plan_model(&p, "F32", 4, 0, "", &options, &facts, &err), PLIM_OK);
    uint64_t kv = 2 * 1 * 16 * 8 * 2; /* k and v, layers, positions, width, f16 */
    assert_int_equal(p.plan->kv_bytes, (kv + 4095) / 4096 * 4096);
    assert_int_equal(p.plan->category[PLIM_MEM_STAGING], 2 * PLIM_PIECE_BYTES);
    assert_int_equal(p.plan->category[PLIM_MEM_METADATA], 5000);
    uint64_t sum = 0;
    for (int i = 0; i < PLIM_MEM_COUNT; i++)
        sum += p.plan->category[i];
    assert_int_equal(sum, p.plan->anonymous + p.plan->mapped);
    assert_int_equal(p.plan->line, facts.baseline + sum);
    assert_int_equal(p.plan->predicted_peak, facts.rss + sum - 5000);
    assert_true(p.plan->fits);
    done(&p);
}

static void test_does_not_fit(void **state)
{
    (void)state;
    planned p;
    plim_error err;
    plim_plan_options options = defaults();
    plim_facts facts = machine(0);
    assert_int_equal(plan_model(&p, "F32", 4, 0, "", &options, &facts, &err), PLIM_OK);
    uint64_t needs = p.plan->line;
    done(&p);
    facts.memory_limit = needs; /* exactly enough */
    assert_int_equal(plan_model(&p, "F32", 4, 0, "", &options, &facts, &err), PLIM_OK);
    assert_true(p.plan->fits);
    assert_int_equal(p.plan->advice_count, 0);
    done(&p);
    facts.memory_limit = needs - 1;
    assert_int_equal(plan_model(&p, "F32", 4, 0, "", &options, &facts, &err), PLIM_OK);
    assert_false(p.plan->fits);
    assert_true(p.plan->advice_count > 0);
    done(&p);
}

/* What the advice says to do makes it fit. */
static void test_advice_holds(void **state)
{
    (void)state;
    planned p;
    plim_error err;
    plim_plan_options options = defaults();
    plim_facts facts = machine(0);
    options.context = 2048;
    assert_int_equal(plan_model(&p, "F32", 4, 0, "", &options, &facts, &err), PLIM_OK);
    facts.memory_limit = p.plan->line - p.plan->kv_bytes / 2;
    done(&p);
    assert_int_equal(plan_model(&p, "F32", 4, 0, "", &options, &facts, &err), PLIM_OK);
    assert_false(p.plan->fits);
    unsigned context = 0;
    for (size_t i = 0; i < p.plan->advice_count; i++)
        if (sscanf(p.plan->advice[i], "--context %u", &context) == 1)
            break;
    assert_true(context > 0 && context < 2048);
    done(&p);
    options.context = context;
    assert_int_equal(plan_model(&p, "F32", 4, 0, "", &options, &facts, &err), PLIM_OK);
    assert_true(p.plan->fits);
    done(&p);
}

static void test_max_memory(void **state)
{
    (void)state;
    planned p;
    plim_error err;
    plim_plan_options options = defaults();
    plim_facts facts = machine(0);
    options.max_weights = 1; /* bytes on "cpu" */
    assert_int_equal(plan_model(&p, "F32", 4, 0, "", &options, &facts, &err), PLIM_OK);
    assert_false(p.plan->fits);
    done(&p);
}

static void test_old_way(void **state)
{
    (void)state;
    planned p;
    plim_error err;
    plim_plan_options options = defaults();
    plim_facts facts = machine(0);
    options.low_cpu_mem_usage = false;
    assert_int_equal(plan_model(&p, "F32", 4, 0, "", &options, &facts, &err), PLIM_OK);
    assert_int_equal(p.plan->mapped, 0);
    assert_true(p.plan->category[PLIM_MEM_STAGING] >= p.plan->stored_bytes); /* the state dict */
    assert_true(p.plan->category[PLIM_MEM_WEIGHTS] >= p.plan->weight_bytes); /* and the model */
    done(&p);
}

static void test_context(void **state)
{
    (void)state;
    planned p;
    plim_error err;
    plim_plan_options options = defaults();
    plim_facts facts = machine(0);
    assert_int_equal(plan_model(&p, "F32", 4, 0, "", &options, &facts, &err), PLIM_OK);
    assert_int_equal(p.plan->session.context, 64); /* the model's, shorter than 4096 */
    assert_int_equal(p.plan->session.chunk, 64);
    done(&p);
    options.context = 100000; /* rope can go beyond */
    assert_int_equal(plan_model(&p, "F32", 4, 0, "", &options, &facts, &err), PLIM_OK);
    assert_int_equal(p.plan->session.context, 100000);
    assert_int_equal(p.plan->session.chunk, 256);
    done(&p);
    options.kv_dtype = PLIM_I8;
    assert_int_equal(plan_model(&p, "F32", 4, 0, "", &options, &facts, &err), PLIM_E_USAGE);
    done(&p);
}

static void test_sessions(void **state)
{
    (void)state;
    planned p;
    plim_error err;
    plim_plan_options options = defaults();
    plim_facts facts = machine(0);
    options.sessions = PLIM_MAX_SESSIONS + 1;
    assert_int_equal(plan_model(&p, "F32", 4, 0, "", &options, &facts, &err), PLIM_E_USAGE);
    assert_non_null(strstr(err.message, "sessions"));
    done(&p);
}

/* Two tensors with something between them that nobody needs: one map where it is small, two where
 * mapping it would hold memory for nothing. */
static void test_gaps(void **state)
{
    (void)state;
    static const struct {
        uint64_t gap;
        uint32_t runs;
    } cases[] = {{0, 1}, {4096, 1}, {256 << 10, 2}};
    plim_error err;
    plim_plan_options options = defaults();
    plim_facts facts = machine(0);
    plim_held held = {0};
    char first[] = "a", second[] = "b", path[] = "a.safetensors";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        plim_stored tensors[] = {
            {.name = first, .dtype = PLIM_F32, .shape = {1, {1024}}, .offset = 64, .bytes = 4096},
            {.name = second, .dtype = PLIM_F32, .shape = {1, {1024}}, .bytes = 4096}};
        tensors[1].offset = 64 + 4096 + cases[i].gap;
        plim_stored_file file = {.path = path};
        plim_stored_set set = {
            .tensors = tensors, .tensor_count = 2, .files = &file, .file_count = 1};
        plim_skeleton *skeleton;
        plim_load_plan *plan;
        const plim_alloc *alloc = plim_alloc_system();
        assert_int_equal(plim_skeleton_open(&skeleton, alloc, NULL, &err), PLIM_OK);
        assert_int_equal(plim_skeleton_match(skeleton, &set, NULL, &err), PLIM_OK);
        assert_int_equal(
            plim_load_plan_open(&plan, alloc, skeleton, &set, &options, &facts, &held, &err),
            PLIM_OK);
        assert_int_equal(plan->run_count, cases[i].runs);
        assert_true(plan->mapped <= plan->weight_bytes + 6 * 4096);
        plim_load_plan_close(&plan);
        plim_skeleton_close(&skeleton);
    }
}

/* A header may speak of any size (a sparse file costs nothing): no list of reads is made for it. */
static void test_absurd_sizes(void **state)
{
    (void)state;
    plim_error err;
    plim_plan_options options = defaults();
    plim_facts facts = machine(0);
    plim_held held = {0};
    char name[] = "a", path[] = "a.safetensors";
    for (unsigned shards = 1; shards <= 4; shards *= 4) { /* four of 2^62 bytes are 0 in 64 bits */
        plim_stored tensors[4];
        plim_stored_file files[4] = {
            {.path = path}, {.path = path}, {.path = path}, {.path = path}};
        for (uint32_t i = 0; i < shards; i++)
            tensors[i] = (plim_stored){.name = name,
                                       .dtype = PLIM_U8,
                                       .shape = {1, {1ull << (shards == 1 ? 44 : 62)}},
                                       .file = i,
                                       .offset = 8,
                                       .bytes = 1ull << (shards == 1 ? 44 : 62)};
        plim_stored_set set = {
            .tensors = tensors, .tensor_count = shards, .files = files, .file_count = shards};
        plim_skeleton *skeleton;
        plim_load_plan *plan;
        const plim_alloc *alloc = plim_alloc_system();
        assert_int_equal(plim_skeleton_open(&skeleton, alloc, NULL, &err), PLIM_OK);
        assert_int_equal(plim_skeleton_match(skeleton, &set, NULL, &err), PLIM_OK);
        assert_int_equal(
            plim_load_plan_open(&plan, alloc, skeleton, &set, &options, &facts, &held, &err),
            PLIM_E_LIMIT);
        assert_string_equal(err.tensor, "a");
        plim_skeleton_close(&skeleton);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_refused_types),
        cmocka_unit_test(test_unaligned_is_owned),
        cmocka_unit_test(test_tied_once),
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_pure),
        cmocka_unit_test(test_prediction),
        cmocka_unit_test(test_does_not_fit),
        cmocka_unit_test(test_advice_holds),
        cmocka_unit_test(test_max_memory),
        cmocka_unit_test(test_old_way),
        cmocka_unit_test(test_context),
        cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_absurd_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
