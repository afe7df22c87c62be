/* SPDX-License-Identifier: Apache-2.0
 *
 * Checkpoints that are quantised as compressed-tensors packs them (tests/golden/packed): logits as
 * Transformers gives them for the unpacked weights, by products of floats and with 8-bit
 * activations, the same bits for every way of loading and streaming, and what of them is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "temp.h"

/* Of the largest |logit|: rounding activations to 8 bits moves single logits of these models, whose
 * weights are drawn large, by up to 0.05. */
#define TOLERANCE 0.1

static const struct {
    const char *folder;
    plim_dtype dtype, head;
} cases[] = {{"packed/llama-int4", PLIM_Q4, PLIM_F32},
             {"packed/llama-int8", PLIM_Q8, PLIM_Q8},
             {"packed/qwen2-int4-tied", PLIM_Q4, PLIM_F32},
             {"packed/qwen3-mixed-sharded", PLIM_Q4, PLIM_Q8}};
#define CASES (sizeof cases / sizeof *cases)

static const plim_dtype runs[] = {PLIM_AUTO, PLIM_F32};

/* Asked for float32, weights are the ones that Transformers unpacks, but for scales that are stored
 * as float32: ours are float16. */
static double tolerance_of(size_t c, plim_dtype dtype)
{
    bool rounded = !strcmp(cases[c].folder, "packed/qwen2-int4-tied");
    return dtype == PLIM_AUTO ? TOLERANCE : rounded ? 2e-3 : 1e-5;
}

static const char *const prompts[] = {"1", "2", "17", "100"};

static const way ways[] = {
    {"all kernels, mapped", PLIM_CPU_ALL, 1, 0, PLIM_READER_MAP, 1},
    {"all kernels, three threads, chunks of 5, buffered", PLIM_CPU_ALL, 3, 5, PLIM_READER_BUFFERED,
     1},
    {"all kernels, two threads, direct", PLIM_CPU_ALL, 2, 0, PLIM_READER_DIRECT, 1},
    {"all kernels, the old way of loading", PLIM_CPU_ALL, 1, 0, PLIM_READER_AUTO, 0},
    {"AVX2", PLIM_CPU_AVX2, 2, 0, PLIM_READER_AUTO, 1},
    {"scalar", 0, 2, 0, PLIM_READER_AUTO, 1},
};
#define WAYS (sizeof ways / sizeof *ways)

/* All logits of the case, one prompt after the other. */
static float *answers(const expected *e, plim_model *model, size_t *count)
{
    plim_session *session;
    plim_error err;
    size_t vocab = plim_model_vocab_size(model), used = 0;
    float *all = malloc(EXPECTED_MAX_TOKENS * vocab * sizeof *all);
    assert_non_null(all);
    must(plim_session_open(&session, model, &err), &err, e, "session");
    for (size_t i = 0; i < 4; i++) {
        token_list prompt;
        expected_tokens(e, &prompt, "prompts.%s", prompts[i]);
        float *logits = logits_of(session, &prompt, vocab, e);
        memcpy(all + used, logits, prompt.count * vocab * sizeof *all);
        used += prompt.count * vocab;
        free(logits);
    }
    plim_session_close(&session);
    *count = used;
    return all;
}

static void compare_all(const expected *e, const float *got, size_t vocab, double tolerance,
                        const char *says)
{
    for (size_t i = 0; i < 4; i++) {
        char name[40];
        size_t count;
        snprintf(name, sizeof name, "logits_%s", prompts[i]);
        float *want = expected_tensor(e, name, &count);
        double apart = compare_logits(got, want, count, vocab, tolerance, e, says);
        print_message("%s, %s, prompt of %s: apart by %.7f\n", e->folder, says, prompts[i], apart);
        got += count;
        free(want);
    }
}

/* Logits with a device map, or NULL for what `w` says alone. */
static float *answers_of(const expected *e, const way *w, plim_dtype dtype, const char *map,
                         size_t *count)
{
    plim_error err;
    plim_model *model;
    plim_model_options o;
    plim_stream_info stream;
    plim_context *context = context_of(e, w);
    plim_model_options_init(&o);
    o.torch_dtype = dtype;
    o.kv_dtype = PLIM_F32;
    o.reader = w->reader;
    o.low_cpu_mem_usage = w->low_cpu_mem_usage;
    o.prefill_chunk = w->prefill_chunk;
    o.device_map = map;
    must(plim_model_open(&model, context, e->folder, &o, &err), &err, e, w->says);
    assert_null(plim_model_unexpected(model, 0)); /* NAME_shape is known */
    float *all = answers(e, model, count);
    plim_model_stream_info(model, &stream);
    assert_int_equal(stream.used_bytes > 0, map != NULL);
    plim_model_close(&model);
    plim_context_close(&context);
    return all;
}

static void test_logits(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2 * CASES; c++) {
        expected e;
        size_t count, vocab = 96;
        plim_dtype dtype = runs[c / CASES];
        expected_open(&e, cases[c % CASES].folder);
        float *first = answers_of(&e, &ways[0], dtype, NULL, &count);
        for (size_t w = 0; w < WAYS; w++) {
            float *got = answers_of(&e, &ways[w], dtype, NULL, &count);
            compare_all(&e, got, vocab, tolerance_of(c % CASES, dtype), ways[w].says);
            if (ways[w].cpu_mask == ways[0].cpu_mask)
                assert_memory_equal(got, first, count * sizeof *got);
            free(got);
        }
        free(first);
        expected_close(&e);
    }
}

/* What streams, by every way of reading, gives the bits of what stays. */
static void test_streamed(void **state)
{
    (void)state;
    static const char *const maps[] = {
        "disk", "{\"\": \"disk\", \"model.layers.1\": \"cpu\"}",
        "{\"\": \"cpu\", \"model.layers.0.mlp\": \"disk\", \"model.embed_tokens\": \"disk\"}"};
    for (size_t c = 0; c < 2 * CASES; c++) {
        expected e;
        size_t count;
        plim_dtype dtype = runs[c / CASES];
        expected_open(&e, cases[c % CASES].folder);
        float *whole = answers_of(&e, &ways[0], dtype, NULL, &count);
        for (size_t w = 1; w < 3; w++)
            for (size_t m = 0; m < 3; m++) {
                float *got = answers_of(&e, &ways[w], dtype, maps[m], &count);
                assert_memory_equal(got, whole, count * sizeof *got);
                free(got);
            }
        free(whole);
        expected_close(&e);
    }
}

static void test_types(void **state)
{
    (void)state;
    for (size_t c = 0; c < CASES; c++) {
        expected e;
        plim_plan *plan;
        plim_plan_info info;
        plim_tensor_info tensor;
        plim_model_options o;
        plim_error err;
        uint64_t sum = 0;
        expected_open(&e, cases[c].folder);
        plim_context *context = context_of(&e, &ways[0]);
        plim_model_options_init(&o);
        must(plim_plan_open(&plan, context, e.folder, &o, &err), &err, &e, "plan");
        plim_plan_describe(plan, &info);
        assert_int_equal(info.dtype, cases[c].dtype);
        assert_int_equal(info.kv_dtype, PLIM_F16);
        for (size_t i = 0; i < info.tensor_count; i++) {
            assert_int_equal(plim_plan_tensor(plan, i, &tensor), PLIM_OK);
            sum += tensor.tied_to ? 0 : tensor.bytes;
            if (strstr(tensor.name, "up_proj.weight")) {
                assert_int_equal(tensor.dtype, cases[c].dtype);
                assert_int_equal(tensor.shape[0], 96); /* of the matrix, not of its quants */
                assert_int_equal(tensor.shape[1], 64);
                assert_int_equal(tensor.bytes,
                                 96 * 64 / 32 * (cases[c].dtype == PLIM_Q4 ? 18 : 34));
            }
            if (!strcmp(tensor.name, "lm_head.weight") && !tensor.tied_to)
                assert_int_equal(tensor.dtype, cases[c].head);
        }
        assert_int_equal(sum, info.weight_bytes);
        plim_plan_close(&plan);
        plim_context_close(&context);
        expected_close(&e);
    }
}

/* ---- what is refused ---- */

/* A copy of packed/llama-int4 with `from` replaced by `to` in its header and config.json, the
 * header's length kept by blanks. */
static void refused(const char *file, const char *from, const char *to, plim_status code,
                    const char *mentions)
{
    static const char *const files[] = {"config.json", "model.safetensors"};
    temp_folder folder = temp_open();
    size_t changed = 0;
    for (size_t i = 0; i < 2; i++) {
        char path[300];
        snprintf(path, sizeof path, "%s/tests/golden/packed/llama-int4/%s", PLIM_SOURCE_DIR,
                 files[i]);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        char *text = malloc(1 << 20);
        size_t bytes = fread(text, 1, (1 << 20) - 1, f);
        fclose(f);
        text[bytes] = 0;
        size_t from_bytes = strlen(from), to_bytes = strlen(to);
        for (size_t at = 0; !strcmp(file, files[i]) && at + from_bytes <= bytes; at++)
            if (!memcmp(text + at, from, from_bytes)) {
                memmove(text + at + to_bytes, text + at + from_bytes, bytes - at - from_bytes);
                memcpy(text + at, to, to_bytes);
                bytes = bytes - from_bytes + to_bytes;
                changed++;
                if (i)
                    assert_int_equal(from_bytes, to_bytes);
            }
        f = fopen(temp_path(&folder, files[i]), "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(text, 1, bytes, f), bytes);
        assert_int_equal(fclose(f), 0);
        free(text);
    }
    assert_true(changed > 0);
    plim_context *context;
    plim_plan *plan;
    plim_error err;
    assert_int_equal(plim_context_open(&context, NULL, &err), PLIM_OK);
    plim_status status = plim_plan_open(&plan, context, folder.path, NULL, &err);
    if (status != code || (code && !strstr(err.message, mentions)))
        fail_msg("%s: %s: %s; want %s with '%s'", to, plim_status_name(status),
                 status ? err.message : "", plim_status_name(code), mentions);
    plim_plan_close(&plan);
    plim_context_close(&context);
    temp_close(&folder);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *mentions;
    } configs[] = {
        {"\"quant_method\": \"compressed-tensors\"", "\"quant_method\": \"gptq\"", "'gptq'"},
        {"\"quant_method\": \"compressed-tensors\"", "\"quant_method\": \"bitsandbytes\"",
         "bitsandbytes"},
        {"\"quant_method\": \"compressed-tensors\",", "", "without quant_method"},
        {"\"format\": \"pack-quantized\",\n  \"quantization_status\"",
         "\"format\": \"float-quantized\",\n  \"quantization_status\"", "float-quantized"},
        {"\"num_bits\": 4", "\"num_bits\": 3", "num_bits 3"},
        {"\"group_size\": 32", "\"group_size\": 128", "group_size 128"},
        {"\"strategy\": \"group\"", "\"strategy\": \"channel\"", "strategy channel"},
        {"\"symmetric\": true", "\"symmetric\": false", "symmetric"},
        {"\"type\": \"int\"", "\"type\": \"float\"", "type float"},
        {"\"type\": \"int\"", "\"actorder\": \"group\"", "actorder group"},
        {"\"input_activations\": null", "\"input_activations\": {\"num_bits\": 8}", "activations"},
        {"\"kv_cache_scheme\": null", "\"kv_cache_scheme\": {\"num_bits\": 8}", "kv_cache_scheme"},
        {"\"kv_cache_scheme\": null", "\"sparsity_config\": {\"format\": \"sparse-24\"}", "sparse"},
        {"\"kv_cache_scheme\": null", "\"transform_config\": {\"config_groups\": {\"a\": 1}}",
         "transform_config"},
    };
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++)
        refused("config.json", configs[i].from, configs[i].to, PLIM_E_UNSUP, configs[i].mentions);
    /* what the names and shapes say */
    refused("model.safetensors", "layers.1.mlp.up_proj.weight_shape",
            "layers.1.mlp.up_proj.weight_g_idx", PLIM_E_UNSUP, "g_idx");
    refused("model.safetensors", "1.mlp.up_proj.weight_scale\":{\"dtype\":\"F16\"",
            "1.mlp.up_proj.weight_scale\":{\"dtype\":\"I16\"", PLIM_E_UNSUP, "type of the scales");
    refused("model.safetensors", "1.mlp.up_proj.weight_packed\":{\"dtype\":\"I32\"",
            "1.mlp.up_proj.weight_packed\":{\"dtype\":\"U32\"", PLIM_E_UNSUP, "I32");
    refused("model.safetensors",
            "1.mlp.up_proj.weight_packed\":{\"dtype\":\"I32\",\"shape\":[96,8]",
            "1.mlp.up_proj.weight_packed\":{\"dtype\":\"I32\",\"shape\":[8,96]", PLIM_E_MISMATCH,
            "up_proj.weight_packed");
    refused("model.safetensors", "1.mlp.up_proj.weight_scale\":{\"dtype\":\"F16\",\"shape\":[96,2]",
            "1.mlp.up_proj.weight_scale\":{\"dtype\":\"F16\",\"shape\":[2,96]", PLIM_E_MISMATCH,
            "up_proj.weight");
    /* a part alone: what is missing is the other */
    refused("model.safetensors", "layers.1.mlp.up_proj.weight_scale",
            "layers.1.mlp.up_proj.weight_scalX", PLIM_E_MISMATCH,
            "layers.1.mlp.up_proj.weight_scale");
    refused("model.safetensors", "layers.1.mlp.up_proj.weight_packed",
            "layers.1.mlp.up_proj.weight_packeX", PLIM_E_MISMATCH,
            "layers.1.mlp.up_proj.weight_packed");
    /* other bits than it says */
    refused("config.json", "\"num_bits\": 4", "\"num_bits\": 8", PLIM_E_MISMATCH, "num_bits 8");
    refused("config.json", "\"num_bits\": 4", "\"num_bits\": 8", PLIM_E_MISMATCH,
            "q_proj.weight_packed");
    /* a twin of other sizes: [48, 96] words would be 3 bits of rows that are not there */
    refused("config.json", "\"hidden_size\": 64", "\"hidden_size\": 32", PLIM_E_MISMATCH, "");
}

/* ---- scales that float16 can't hold ---- */

/* A copy of a checkpoint in one file whose first scale of one matrix is another: its first `bytes`
 * bytes. */
static temp_folder with_scale(const char *name, const void *scale, size_t bytes)
{
    static const char *const files[] = {"config.json", "model.safetensors"};
    static const char tensor[] = "\"model.layers.1.mlp.up_proj.weight_scale\"",
                      offsets[] = "\"data_offsets\":[";
    temp_folder folder = temp_open();
    char *text = malloc(1 << 20);
    assert_non_null(text);
    for (size_t i = 0; i < 2; i++) {
        char path[300];
        snprintf(path, sizeof path, "%s/tests/golden/%s/%s", PLIM_SOURCE_DIR, name, files[i]);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        size_t size = fread(text, 1, (1 << 20) - 1, f);
        fclose(f);
        text[size] = 0;
        if (i) {
            uint64_t header;
            memcpy(&header, text, sizeof header);
            char *at = strstr(text + 8, tensor);
            assert_non_null(at);
            at = strstr(at, offsets);
            assert_non_null(at);
            memcpy(text + 8 + header + strtoull(at + strlen(offsets), NULL, 10), scale, bytes);
        }
        f = fopen(temp_path(&folder, files[i]), "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(text, 1, size, f), size);
        assert_int_equal(fclose(f), 0);
    }
    free(text);
    return folder;
}

/* Of a load, or of a pass where the matrix streams; and again: nothing is left of the first time.
 */
static void fails(const expected *e, const char *folder, const way *w, const char *map,
                  plim_status code)
{
    plim_error err;
    plim_model *model;
    plim_session *session = NULL;
    plim_model_options o;
    plim_context *context = context_of(e, w);
    const int32_t token = 1;
    plim_model_options_init(&o);
    o.reader = w->reader;
    o.low_cpu_mem_usage = w->low_cpu_mem_usage;
    o.device_map = map;
    for (int i = 0; i < 2; i++) {
        plim_status status = plim_model_open(&model, context, folder, &o, &err);
        if (map) {
            must(status, &err, e, w->says);
            must(plim_session_open(&session, model, &err), &err, e, w->says);
            for (int pass = 0; pass < 3; pass++) {
                status = plim_session_eval(session, &token, 1, NULL, NULL, &err);
                assert_int_equal(status, code);
            }
        }
        assert_int_equal(status, code);
        assert_non_null(strstr(err.message, "model.layers.1.mlp.up_proj.weight_scale"));
        plim_session_close(&session);
        plim_model_close(&model);
    }
    plim_context_close(&context);
}

static void test_scales(void **state)
{
    (void)state;
    static const struct {
        uint32_t bits; /* as f32, and of bfloat16 the upper half */
        plim_status code;
    } scales[] = {{0x49740000, PLIM_E_UNSUP}, /* 1e6 */
                  {0xc9740000, PLIM_E_UNSUP},
                  {0x30890000, PLIM_E_UNSUP}, /* 1e-9 */
                  {0x7f800000, PLIM_E_FORMAT},
                  {0x7fc00000, PLIM_E_FORMAT}};
    static const char *const folders[] = {"packed/llama-int8", "packed/qwen2-int4-tied"};
    for (size_t f = 0; f < 2; f++)
        for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
            expected e;
            uint16_t upper = (uint16_t)(scales[i].bits >> 16);
            expected_open(&e, folders[f]);
            temp_folder folder = f ? with_scale(folders[f], &scales[i].bits, 4) /* F32 */
                                   : with_scale(folders[f], &upper, 2);         /* BF16 */
            for (size_t w = 0; w < 4; w++) {
                fails(&e, folder.path, &ways[w], NULL, scales[i].code);
                if (w == 1 || w == 2)
                    fails(&e, folder.path, &ways[w], "disk", scales[i].code);
            }
            temp_close(&folder);
            expected_close(&e);
        }
}

/* Quants can't become other quants. */
static void test_other_types(void **state)
{
    (void)state;
    expected e;
    plim_plan *plan;
    plim_error err;
    plim_model_options o;
    expected_open(&e, cases[0].folder);
    plim_context *context = context_of(&e, &ways[0]);
    plim_model_options_init(&o);
    o.torch_dtype = PLIM_I8;
    assert_int_equal(plim_plan_open(&plan, context, e.folder, &o, &err), PLIM_E_UNSUP);
    assert_non_null(strstr(err.message, "int4 already"));
    plim_context_close(&context);
    expected_close(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logits),      cmocka_unit_test(test_streamed),
        cmocka_unit_test(test_types),       cmocka_unit_test(test_refused),
        cmocka_unit_test(test_other_types), cmocka_unit_test(test_scales),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
