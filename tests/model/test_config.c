/* SPDX-License-Identifier: Apache-2.0
 *
 * config.json → spec → skeleton: every bad config gets its class and its place, defaults are those
 * of Transformers' configuration classes, and both generations of files say the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "base/pool.h"
#include "model/skeleton.h"
#include "temp.h"

static plim_status open_text(plim_skeleton **out, const char *text, plim_error *err)
{
    temp_folder t = temp_open();
    plim_status status =
        plim_skeleton_open(out, plim_alloc_system(), temp_text(&t, "config.json", text), err);
    temp_close(&t);
    return status;
}

/* ---- bad configs ---- */

static const struct {
    const char *text;
    plim_status code;
    const char *at;   /* the text at the error's offset; NULL: no offset wanted */
    const char *says; /* in the message */
} bad_configs[] = {
    {"[1]", PLIM_E_FORMAT, "[1]", "object"},
    {"", PLIM_E_TRUNC, NULL, ""},
    {"{\"model_type\": \"llama\"", PLIM_E_TRUNC, NULL, ""},
    {"{\"model_type\": \"llama\", \"model_type\": \"gpt2\"}", PLIM_E_FORMAT,
     "\"model_type\": \"gpt2\"}", "model_type"},
    {"{\"model_type\": 3}", PLIM_E_FORMAT, "3}", "string"},
    {"{\"model_type\": \"llama\", \"num_attention_heads\": 0}", PLIM_E_FORMAT, "0}",
     "num_attention_heads"},
    {"{\"model_type\": \"gpt2\", \"n_head\": 0}", PLIM_E_FORMAT, "0}", "n_head"},
    {"{\"model_type\": \"llama\", \"head_dim\": -8}", PLIM_E_FORMAT, "-8}", "head_dim"},
    {"{\"model_type\": \"llama\", \"head_dim\": 7}", PLIM_E_FORMAT, "7}", "even"},
    {"{\"model_type\": \"llama\", \"vocab_size\": 100.5}", PLIM_E_FORMAT, "100.5}", "vocab_size"},
    {"{\"model_type\": \"llama\", \"vocab_size\": \"100\"}", PLIM_E_FORMAT, "\"100\"}", "number"},
    {"{\"model_type\": \"llama\", \"rms_norm_eps\": NaN}", PLIM_E_FORMAT, "NaN}", ""},
    {"{\"model_type\": \"llama\", \"rms_norm_eps\": 1e999}", PLIM_E_FORMAT, "1e999}",
     "rms_norm_eps"},
    {"{\"model_type\": \"llama\", \"rope_scaling\": {\"rope_type\": \"spiral\"}}", PLIM_E_FORMAT,
     "{\"rope_type\": \"spiral\"}}", "spiral"},
    {"{\"model_type\": \"llama\", \"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2}}",
     PLIM_E_UNSUP, "{\"type\": \"dynamic\", \"factor\": 2}}", "depends on how the text was cut"},
    {"{\"model_type\": \"llama\", \"rope_scaling\": {\"type\": \"linear\"}}", PLIM_E_FORMAT,
     "{\"type\": \"linear\"}}", "factor"},
    {"{\"model_type\": \"llama\", \"rope_scaling\": \"linear\"}", PLIM_E_FORMAT, "\"linear\"}",
     "object"},
    {"{\"model_type\": \"llama\", \"num_hidden_layers\": 1000000000}", PLIM_E_LIMIT, "1000000000}",
     "num_hidden_layers"},
    {"{\"model_type\": \"llama\", \"max_position_embeddings\": 1099511627776}", PLIM_E_LIMIT,
     "1099511627776}", "max_position_embeddings"},
    {"{\"model_type\": \"llama\", \"vocab_size\": 99999999999999999999999}", PLIM_E_LIMIT,
     "99999999999999999999999}", "vocab_size"},
    {"{\"model_type\": \"llama\", \"num_attention_heads\": 32, \"num_key_value_heads\": 5}",
     PLIM_E_MISMATCH, "5}", "num_key_value_heads"},
    {"{\"model_type\": \"llama\", \"hidden_size\": 100, \"num_attention_heads\": 32}",
     PLIM_E_MISMATCH, "32}", "hidden_size"},
    {"{\"model_type\": \"gpt2\", \"n_embd\": 100, \"n_head\": 12}", PLIM_E_MISMATCH, "12}",
     "n_embd"},
    {"{\"model_type\": \"llama\", \"hidden_act\": \"prelu\"}", PLIM_E_UNSUP, "\"prelu\"}", "silu"},
    {"{\"model_type\": \"gpt2\", \"add_cross_attention\": true}", PLIM_E_UNSUP, "true}",
     "add_cross_attention"},
    {"{\"model_type\": \"llama\", \"torch_dtype\": \"float99\"}", PLIM_E_FORMAT, "\"float99\"}",
     "torch_dtype"},
    {"{\"model_type\": \"qwen2\", \"layer_types\": [\"full_attention\"]}", PLIM_E_MISMATCH,
     "[\"full_attention\"]}", "32 layers"},
};

static void test_bad_configs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_configs / sizeof *bad_configs; i++) {
        plim_skeleton *k;
        plim_error err;
        plim_status status = open_text(&k, bad_configs[i].text, &err);
        if (status != bad_configs[i].code)
            fail_msg("%s: %s, want %s (%s)", bad_configs[i].text, plim_status_name(status),
                     plim_status_name(bad_configs[i].code), status ? err.message : "");
        assert_null(k);
        assert_non_null(strstr(err.message, bad_configs[i].says));
        assert_non_null(strstr(err.file, "config.json"));
        if (bad_configs[i].at)
            assert_string_equal(bad_configs[i].text + err.offset, bad_configs[i].at);
    }
}

static void test_depth_bomb(void **state)
{
    (void)state;
    char text[20000];
    plim_skeleton *k;
    plim_error err;
    memset(text, '[', sizeof text);
    memcpy(text, "{\"a\":", 5);
    text[sizeof text - 1] = 0;
    assert_int_equal(open_text(&k, text, &err), PLIM_E_LIMIT);
}

/* ---- what a silent config means ---- */

static void test_defaults(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        uint32_t vocab, hidden, layers, heads, kv_heads, head_dim, inner, positions, window;
        bool tied, qkv_bias, out_bias, qk_norm;
    } cases[] = {
        {"gpt2", 50257, 768, 12, 12, 12, 64, 3072, 1024, 0, true, true, true, false},
        {"llama", 32000, 4096, 32, 32, 32, 128, 11008, 2048, 0, false, false, false, false},
        {"mistral", 32000, 4096, 32, 32, 8, 128, 14336, 131072, 4096, false, false, false, false},
        {"qwen2", 151936, 4096, 32, 32, 32, 128, 22016, 32768, 0, false, true, false, false},
        {"qwen3", 151936, 4096, 32, 32, 32, 128, 22016, 32768, 0, false, false, false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[64];
        plim_skeleton *k;
        plim_error err;
        snprintf(text, sizeof text, "{\"model_type\": \"%s\"}", cases[i].type);
        assert_int_equal(open_text(&k, text, &err), PLIM_OK);
        const plim_spec *s = &k->spec;
        assert_string_equal(s->model_type, cases[i].type);
        assert_int_equal(s->vocab, cases[i].vocab);
        assert_int_equal(s->hidden, cases[i].hidden);
        assert_int_equal(s->layers, cases[i].layers);
        assert_int_equal(s->heads, cases[i].heads);
        assert_int_equal(s->kv_heads, cases[i].kv_heads);
        assert_int_equal(s->head_dim, cases[i].head_dim);
        assert_int_equal(s->inner, cases[i].inner);
        assert_int_equal(s->max_positions, cases[i].positions);
        assert_int_equal(s->window, cases[i].window);
        assert_int_equal(s->slides[0], cases[i].window != 0);
        assert_int_equal(s->tied, cases[i].tied);
        assert_int_equal(s->qkv_bias, cases[i].qkv_bias);
        assert_int_equal(s->attn_out_bias, cases[i].out_bias);
        assert_int_equal(s->qk_norm, cases[i].qk_norm);
        plim_skeleton_close(&k);
    }
}

/* gpt2-medium and Llama-3.2-1B have the number of parameters that their model cards state. */
static void test_parameters(void **state)
{
    (void)state;
    plim_skeleton *k;
    plim_error err;
    assert_int_equal(
        open_text(&k,
                  "{\"model_type\": \"gpt2\", \"n_embd\": 1024, \"n_layer\": 24, \"n_head\": 16}",
                  &err),
        PLIM_OK);
    assert_int_equal(plim_skeleton_parameters(k), 354823168);
    plim_skeleton_close(&k);
    assert_int_equal(
        open_text(
            &k,
            "{\"model_type\": \"llama\", \"vocab_size\": 128256, \"hidden_size\": 2048, "
            "\"intermediate_size\": 8192, \"num_hidden_layers\": 16, \"num_attention_heads\": 32, "
            "\"num_key_value_heads\": 8, \"head_dim\": 64, \"tie_word_embeddings\": true}",
            &err),
        PLIM_OK);
    assert_int_equal(plim_skeleton_parameters(k), 1235814400);
    plim_skeleton_close(&k);
}

/* A key that is spelled like the path of a nested one is not that one. */
static void test_keys_with_dots(void **state)
{
    (void)state;
    plim_skeleton *k;
    plim_error err;
    assert_int_equal(
        open_text(&k,
                  "{\"model_type\": \"llama\", \"rope_scaling\": {\"type\": \"linear\"}, "
                  "\"rope_scaling.factor\": 4}",
                  &err),
        PLIM_E_FORMAT); /* linear without a factor */
    assert_non_null(strstr(err.message, "factor"));
}

static void test_two_generations(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"{\"model_type\": \"llama\", \"rope_theta\": 500000.0, \"torch_dtype\": \"bfloat16\", "
         "\"rope_scaling\": "
         "{\"type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 1, \"high_freq_factor\": 4, "
         "\"original_max_position_embeddings\": 8192}}",
         "{\"model_type\": \"llama\", \"dtype\": \"bfloat16\", \"rope_parameters\": "
         "{\"rope_theta\": 500000.0, "
         "\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 1, \"high_freq_factor\": "
         "4, "
         "\"original_max_position_embeddings\": 8192}}"},
        {"{\"model_type\": \"qwen3\", \"rope_theta\": 1000000}",
         "{\"model_type\": \"qwen3\", \"rope_parameters\": {\"rope_type\": \"default\", "
         "\"rope_theta\": 1000000}}"},
    };
    for (size_t i = 0; i < 2; i++) {
        plim_skeleton *a, *b;
        plim_error err;
        assert_int_equal(open_text(&a, pairs[i][0], &err), PLIM_OK);
        assert_int_equal(open_text(&b, pairs[i][1], &err), PLIM_OK);
        assert_int_equal(a->spec.config_dtype, b->spec.config_dtype);
        assert_memory_equal(&a->spec.rope, &b->spec.rope, sizeof a->spec.rope);
        plim_skeleton_close(&a);
        plim_skeleton_close(&b);
    }
}

static void test_unknown_type(void **state)
{
    (void)state;
    plim_skeleton *k;
    plim_error err;
    char known[200];
    assert_int_equal(
        open_text(&k, "{\"model_type\": \"nonesuch\", \"layers\": [1, {\"x\": null}]}", &err),
        PLIM_OK);
    assert_null(k->family);
    assert_int_equal(k->slot_count, 0);
    plim_skeleton_close(&k);
    assert_string_equal(plim_family_list(known, sizeof known),
                        "gpt2, llama, mistral, qwen2, qwen3");
}

/* ---- sizes ---- */

static void test_sizes(void **state)
{
    (void)state;
    plim_skeleton *k;
    plim_error err;
    uint64_t kv;
    assert_int_equal(
        open_text(&k,
                  "{\"model_type\": \"gpt2\", \"n_embd\": 1024, \"n_layer\": 24, \"n_head\": 16}",
                  &err),
        PLIM_OK);
    plim_session_size size = {.context = 1024, .chunk = 256, .kv_dtype = PLIM_F32};
    assert_true(plim_kv_bytes(&k->spec, &size, &kv));
    assert_int_equal(kv,
                     2ull * 24 * 1024 * 1024 * 4); /* k and v, layers, positions, hidden, bytes */
    size.kv_dtype = PLIM_F16;
    assert_true(plim_kv_bytes(&k->spec, &size, &kv));
    assert_int_equal(kv, 1ull * 24 * 1024 * 1024 * 4);
    plim_scratch_layout layout;
    assert_true(plim_scratch_plan(&k->spec, &size, &layout));
    assert_true(layout.logits + layout.logit_rows * 50257ull <= layout.total);
    size.chunk = PLIM_POOL_MAX_TASKS / 16; /* 16 heads each: as many tasks as the pool takes */
    assert_true(plim_scratch_plan(&k->spec, &size, &layout));
    size.chunk++;
    assert_false(plim_scratch_plan(&k->spec, &size, &layout));
    plim_skeleton_close(&k);
}

/* ---- memory ---- */

static void *counting_alloc(const plim_alloc *self, size_t bytes, plim_error *err)
{
    *(size_t *)self->user += bytes;
    return plim_alloc_system()->alloc(self, bytes, err);
}

static void counting_free(const plim_alloc *self, void *ptr)
{
    plim_alloc_system()->free(self, ptr);
}

static void *counting_resize(const plim_alloc *self, void *ptr, size_t bytes, plim_error *err)
{
    *(size_t *)self->user += bytes;
    return plim_alloc_system()->resize(self, ptr, bytes, err);
}

/* A few bytes of config may ask for many layers, but not for much memory. */
static void test_many_layers(void **state)
{
    (void)state;
    size_t taken = 0;
    plim_skeleton *k;
    plim_error err;
    const plim_alloc alloc = {counting_alloc, counting_free, counting_resize, &taken};
    temp_folder t = temp_open();
    const char *path =
        temp_text(&t, "config.json", "{\"model_type\": \"llama\", \"num_hidden_layers\": 4096}");
    assert_int_equal(plim_skeleton_open(&k, &alloc, path, &err), PLIM_OK);
    assert_int_equal(k->slot_count, 4096 * 9 + 3);
    assert_true(taken < (15u << 19)); /* 7.5 MiB */
    plim_skeleton_close(&k);
    temp_close(&t);
}

/* ---- reports ---- */

/* The smallest GPT-2: every size is 1. */
static const char smallest[] =
    "{\"model_type\": \"gpt2\", \"n_embd\": 1, \"n_head\": 1, \"n_layer\": 1, \"n_positions\": 1, "
    "\"n_inner\": 1, \"vocab_size\": 1}";
static const struct {
    const char *name, *shape;
    size_t bytes;
} its_tensors[] = {{"wte.weight", "1,1", 1},
                   {"wpe.weight", "1,1", 1},
                   {"ln_f.weight", "1", 1},
                   {"ln_f.bias", "1", 1},
                   {"h.0.ln_1.weight", "1", 1},
                   {"h.0.ln_1.bias", "1", 1},
                   {"h.0.attn.c_attn.weight", "1,3", 3},
                   {"h.0.attn.c_attn.bias", "3", 3},
                   {"h.0.attn.c_proj.weight", "1,1", 1},
                   {"h.0.attn.c_proj.bias", "1", 1},
                   {"h.0.ln_2.weight", "1", 1},
                   {"h.0.ln_2.bias", "1", 1},
                   {"h.0.mlp.c_fc.weight", "1,1", 1},
                   {"h.0.mlp.c_fc.bias", "1", 1},
                   {"h.0.mlp.c_proj.weight", "1,1", 1},
                   {"h.0.mlp.c_proj.bias", "1", 1}};

typedef struct matched {
    temp_folder folder;
    plim_stored_set *stored;
    plim_skeleton *skeleton;
} matched;

static size_t write_entry(char *out, const char *name, const char *shape, size_t *at, size_t bytes)
{
    size_t from = *at;
    *at += bytes;
    return (size_t)sprintf(out,
                           "%c\"%s\":{\"dtype\":\"U8\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                           from ? ',' : '{', name, shape, from, *at);
}

/* A complete model with tensors beside it that nobody needs. */
static matched match_with(const char *const *names, size_t count, const plim_alloc *alloc)
{
    matched m = {.folder = temp_open()};
    plim_error err;
    size_t at = 0;
    char *header = calloc(1, 65536), *end = header;
    assert_non_null(header);
    for (size_t i = 0; i < sizeof its_tensors / sizeof *its_tensors; i++)
        end +=
            write_entry(end, its_tensors[i].name, its_tensors[i].shape, &at, its_tensors[i].bytes);
    for (size_t i = 0; i < count; i++)
        end += write_entry(end, names[i], "1", &at, 1);
    strcpy(end, "}");
    temp_safetensors(&m.folder, "model.safetensors", header, at);
    free(header);
    const char *path = temp_text(&m.folder, "config.json", smallest);
    plim_checkpoint_where where = {m.folder.path, NULL, NULL};
    assert_int_equal(plim_stored_open(&m.stored, alloc, &where, NULL, &err), PLIM_OK);
    assert_int_equal(plim_skeleton_open(&m.skeleton, alloc, path, &err), PLIM_OK);
    return m;
}

static void match_done(matched *m)
{
    plim_skeleton_close(&m->skeleton);
    plim_stored_close(&m->stored);
    temp_close(&m->folder);
}

static void test_collapsing(void **state)
{
    (void)state;
    static const char *const names[] = {"a*.0", "a*.1", "b.*", "b.5", "b.7", "c.0.d.1", "c.0.d.2"};
    static const char *const lines[] = {"a*.{0, 1}", "b.*", "b.{5, 7}", "c.0.d.{1, 2}"};
    plim_error err;
    matched m = match_with(names, 7, plim_alloc_system());
    assert_int_equal(plim_skeleton_match(m.skeleton, m.stored, NULL, &err), PLIM_OK);
    assert_int_equal(m.skeleton->unexpected_count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(m.skeleton->unexpected[i], lines[i]);
    match_done(&m);
}

/* Names of nothing but indices, as long as a name may be: their report is not much longer. */
static void test_collapsing_long_names(void **state)
{
    (void)state;
    static char long_names[4][4000];
    const char *names[4];
    plim_error err;
    size_t taken = 0;
    const plim_alloc alloc = {counting_alloc, counting_free, counting_resize, &taken};
    for (size_t i = 0; i < 4; i++) {
        for (size_t at = 0; at + 8 < sizeof long_names[i]; at += 2)
            memcpy(long_names[i] + at, "0.", 2);
        sprintf(long_names[i] + 3990, ".%s%zu", i < 2 ? "a." : "b.", i);
        names[i] = long_names[i];
    }
    matched m = match_with(names, 4, &alloc);
    taken = 0;
    assert_int_equal(plim_skeleton_match(m.skeleton, m.stored, NULL, &err), PLIM_OK);
    assert_true(m.skeleton->unexpected_count >= 2 && m.skeleton->unexpected_count <= 4);
    assert_true(taken < 128u << 10);
    match_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_configs),
        cmocka_unit_test(test_depth_bomb),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_keys_with_dots),
        cmocka_unit_test(test_two_generations),
        cmocka_unit_test(test_unknown_type),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_many_layers),
        cmocka_unit_test(test_collapsing),
        cmocka_unit_test(test_collapsing_long_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
