/* SPDX-License-Identifier: Apache-2.0
 *
 * Loading, through the public API, on a synthetic checkpoint of some 50 MB: the same logits
 * whichever way the bytes came, peaks as predicted, files that change, cancelling, and memory back
 * where it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "load/load.h"
#include "temp.h"

#define MIB 1048576.0

static const char config[] =
    "{\"model_type\": \"llama\", \"vocab_size\": 4000, \"hidden_size\": 512, "
    "\"num_hidden_layers\": 4, "
    "\"num_attention_heads\": 8, \"num_key_value_heads\": 4, \"intermediate_size\": 1376, "
    "\"max_position_embeddings\": 256, \"tie_word_embeddings\": false}";

static temp_folder folder;
static char model_path[128], sharded_path[128];

static void ok(plim_status status, const plim_error *err)
{
    if (status)
        fail_msg("%s: %s", plim_status_name(status), err->message);
}

static plim_context *open_context(uint64_t limit)
{
    plim_context *c;
    plim_context_options o;
    plim_error err;
    plim_context_options_init(&o);
    o.memory_limit = limit;
    o.threads = 2;
    ok(plim_context_open(&c, &o, &err), &err);
    return c;
}

/* Also the check that nothing is held any more. */
static void close_context(plim_context *c)
{
    plim_memory memory;
    plim_context_memory(c, &memory);
    uint64_t held = memory.total.now -
                    memory.category[PLIM_MEM_OTHER].now; /* the pool lives with the context */
    assert_int_equal(held, 0);
    plim_context_close(&c);
    assert_null(c);
}

static int setup(void **state)
{
    (void)state;
    plim_error err;
    plim_synth_options o;
    plim_context *c = open_context(0);
    folder = temp_open();
    const char *path = temp_text(&folder, "config.json", config);
    snprintf(model_path, sizeof model_path, "%s/whole", folder.path);
    snprintf(sharded_path, sizeof sharded_path, "%s/sharded", folder.path);
    plim_synth_options_init(&o);
    o.seed = 7;
    ok(plim_synth(c, path, model_path, &o, &err), &err);
    o.max_shard_size = 8 << 20;
    ok(plim_synth(c, path, sharded_path, &o, &err), &err);
    close_context(c);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temp_close(&folder);
    return 0;
}

static plim_model_options options(plim_reader reader, plim_dtype dtype, int low)
{
    plim_model_options o;
    plim_model_options_init(&o);
    o.reader = reader;
    o.torch_dtype = dtype;
    o.low_cpu_mem_usage = low;
    o.context = 32;
    o.kv_dtype = PLIM_F32;
    return o;
}

/* f32 [4000] after five tokens. */
static void last_logits(plim_context *c, const char *path, const plim_model_options *o, float *out)
{
    static const int32_t tokens[] = {1, 2, 3, 999, 3999};
    plim_error err;
    plim_model *m;
    plim_session *s;
    ok(plim_model_open(&m, c, path, o, &err), &err);
    ok(plim_session_open(&s, m, &err), &err);
    ok(plim_session_eval(s, tokens, 5, NULL, NULL, &err), &err);
    memcpy(out, plim_session_logits(s), 4000 * sizeof *out);
    plim_model_close(&m); /* handles may be closed in any order */
    plim_session_close(&s);
}

static void test_same_bits_whichever_way(void **state)
{
    (void)state;
    static const plim_dtype types[] = {PLIM_F32, PLIM_BF16, PLIM_F16, PLIM_I8, PLIM_Q4};
    static float want[4000], have[4000];
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        plim_context *c = open_context(0);
        plim_model_options o = options(PLIM_READER_MAP, types[t], 1);
        last_logits(c, model_path, &o, want);
        for (int low = 0; low < 2; low++)
            for (int sharded = 0; sharded < 2; sharded++) {
                o = options(PLIM_READER_BUFFERED, types[t], low);
                last_logits(c, sharded ? sharded_path : model_path, &o, have);
                assert_memory_equal(want, have, sizeof want);
            }
        close_context(c);
    }
}

/* ---- memory ---- */

static void test_peaks_as_predicted(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    print_message("SKIPPED: the sanitizer's own memory counts in the peak\n");
    skip();
#endif
    static const struct {
        plim_reader reader;
        plim_dtype dtype;
        int low;
    } cases[] = {{PLIM_READER_MAP, PLIM_AUTO, 1},    {PLIM_READER_BUFFERED, PLIM_AUTO, 1},
                 {PLIM_READER_DIRECT, PLIM_AUTO, 1}, {PLIM_READER_AUTO, PLIM_BF16, 1},
                 {PLIM_READER_DIRECT, PLIM_BF16, 1}, {PLIM_READER_BUFFERED, PLIM_F16, 1},
                 {PLIM_READER_DIRECT, PLIM_I8, 1},   {PLIM_READER_BUFFERED, PLIM_Q4, 1},
                 {PLIM_READER_AUTO, PLIM_AUTO, 0},   {PLIM_READER_AUTO, PLIM_Q4, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        plim_error err;
        plim_process_memory after;
        plim_load_report report;
        plim_model *m;
        if (plim_process_peak_reset(&err)) {
            print_message("SKIPPED: the peak cannot be reset here: %s\n", err.message);
            skip();
        }
        plim_context *c = open_context(0);
        plim_model_options o = options(cases[i].reader, cases[i].dtype, cases[i].low);
        ok(plim_model_open(&m, c, model_path, &o, &err), &err);
        ok(plim_process_memory_read(&after, &err), &err);
        plim_model_load_report(m, &report);
        double wrong = ((double)after.peak - (double)report.predicted_peak) / MIB;
        double over = ((double)after.peak - (double)after.rss) / MIB;
        print_message("peak %.1f MiB, predicted %.1f, over what stays %.1f\n",
                      (double)after.peak / MIB, (double)report.predicted_peak / MIB, over);
        assert_true(wrong < 8 && wrong > -8);
        if (cases[i].low)
            assert_true(over <= 8);
        else
            assert_true(over * MIB >=
                        0.9 * (double)plim_model_memory_footprint(m)); /* really two copies */
        plim_model_close(&m);
        close_context(c);
    }
}

static void test_open_and_close_a_hundred_times(void **state)
{
    (void)state;
    plim_error err;
    plim_process_memory before = {0}, after;
    for (int i = 0; i < 102; i++) {
        if (i == 2) /* what the C library keeps for good is there now */
            ok(plim_process_memory_read(&before, &err), &err);
        plim_context *c = open_context(0);
        plim_model_options o = options(i % 2 ? PLIM_READER_MAP : PLIM_READER_BUFFERED,
                                       i % 3 ? PLIM_AUTO : PLIM_BF16, 1);
        plim_model *m;
        ok(plim_model_open(&m, c, i % 5 ? model_path : sharded_path, &o, &err), &err);
        plim_model_close(&m);
        close_context(c);
    }
    ok(plim_process_memory_read(&after, &err), &err);
    print_message("resident before %.2f MiB, after %.2f\n", (double)before.rss / MIB,
                  (double)after.rss / MIB);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true((double)after.rss - (double)before.rss < MIB);
#endif
}

static void test_budget(void **state)
{
    (void)state;
    plim_error err;
    plim_model *m;
    plim_process_memory now;
    ok(plim_process_memory_read(&now, &err), &err);
    plim_context *c = open_context(now.rss + (20 << 20)); /* the weights take 50 MB */
    plim_model_options o = options(PLIM_READER_AUTO, PLIM_AUTO, 1);
    o.device_map = "cpu"; /* "auto" would stream */
    assert_int_equal(plim_model_open(&m, c, model_path, &o, &err), PLIM_E_BUDGET);
    assert_null(m);
    assert_non_null(strstr(err.message, "does not fit"));
    assert_non_null(strstr(err.message, "--device-map auto"));
    close_context(c);
}

/* What a plan says it needs is enough, to the byte, however large the pieces of a session are. */
static void test_exactly_enough(void **state)
{
    (void)state;
    static const uint32_t chunks[] = {1, 256, 20000};
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
        uint64_t need = 0;
        for (int round = 0; round < 2; round++) { /* ask, then load below that line */
            plim_error err;
            plim_plan *p;
            plim_model *m;
            plim_plan_info info;
            plim_context *c;
            plim_context_options co;
            plim_context_options_init(&co);
            co.threads = 2;
            co.baseline = 1 << 20;
            co.memory_limit = need;
            ok(plim_context_open(&c, &co, &err), &err);
            plim_model_options o = options(PLIM_READER_AUTO, PLIM_AUTO, 1);
            o.context = 20000;
            o.prefill_chunk = chunks[i];
            o.sessions = 2;
            ok(plim_plan_open(&p, c, PLIM_SOURCE_DIR "/tests/golden/llama-base", &o, &err), &err);
            plim_plan_describe(p, &info);
            need = info.baseline + info.anonymous + info.mapped;
            assert_true(info.fits);
            if (round) {
                ok(plim_model_load(&m, p, &err), &err);
                plim_model_close(&m);
            }
            plim_plan_close(&p);
            close_context(c);
        }
    }
}

/* ---- files that change ---- */

typedef struct meddler {
    const char *path;
    int how; /* 0 truncate, 1 rewrite in place */
    bool done;
} meddler;

static int meddle(void *user, const plim_progress *p)
{
    meddler *m = user;
    (void)p;
    if (m->done)
        return 0;
    m->done = true;
    if (m->how == 0)
        return truncate(m->path, 1 << 20) != 0;
    int fd = open(m->path, O_WRONLY);
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000000000}};
    int bad = fd < 0 || pwrite(fd, "x", 1, 40 << 20) != 1 || futimens(fd, times) != 0;
    close(fd);
    return bad;
}

static void test_changed_files(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++)
        for (int reader = PLIM_READER_MAP; reader <= PLIM_READER_BUFFERED; reader++) {
            plim_error err;
            plim_model *m;
            char command[512], path[300];
            snprintf(command, sizeof command, "cp -r %s %s/changing", model_path, folder.path);
            assert_int_equal(system(command), 0);
            snprintf(path, sizeof path, "%s/changing/model.safetensors", folder.path);
            meddler hand = {path, how, false};
            plim_context *c = open_context(0);
            plim_model_options o = options((plim_reader)reader, PLIM_AUTO, 1);
            o.progress = meddle;
            o.progress_user = &hand;
            snprintf(path, sizeof path, "%s/changing/model.safetensors", folder.path);
            snprintf(command, sizeof command, "%s/changing", folder.path);
            plim_status status = plim_model_open(&m, c, command, &o, &err);
            assert_true(hand.done);
            if (status != PLIM_E_CHANGED)
                fail_msg("how %d, reader %d: %s: %s", how, reader, plim_status_name(status),
                         err.message);
            assert_string_equal(err.file, path);
            close_context(c);
            snprintf(command, sizeof command, "rm -r %s/changing", folder.path);
            assert_int_equal(system(command), 0);
        }
}

/* ---- cancelling ---- */

static int cancel(void *user, const plim_progress *p)
{
    assert_true(p->done_bytes <= p->total_bytes);
    ++*(int *)user;
    return 1;
}

static void test_cancel(void **state)
{
    (void)state;
    plim_error err;
    plim_model *m;
    int calls = 0;
    plim_context *c = open_context(0);
    plim_model_options o = options(PLIM_READER_BUFFERED, PLIM_AUTO, 1);
    o.progress = cancel;
    o.progress_user = &calls;
    assert_int_equal(plim_model_open(&m, c, model_path, &o, &err), PLIM_E_CANCELLED);
    assert_int_equal(calls, 1);
    close_context(c);
}

/* ---- checkpoints on their own ---- */

static void test_slices(void **state)
{
    (void)state;
    plim_error err;
    plim_checkpoint *k;
    plim_tensor_info info;
    plim_context *c = open_context(0);
    static const char name[] = "model.layers.1.mlp.up_proj.weight"; /* [1376, 512] */
    static float whole[1376 * 512], part[3 * 5];
    static uint16_t half[1376 * 512];
    ok(plim_checkpoint_open(&k, c, sharded_path, NULL, &err), &err);
    ok(plim_checkpoint_find(k, name, &info, &err), &err);
    assert_int_equal(info.shape[0], 1376);
    assert_int_equal(info.dtype, PLIM_F32);
    ok(plim_checkpoint_read(k, name, NULL, NULL, PLIM_AUTO, whole, sizeof whole, &err), &err);
    uint64_t begin[] = {700, 100}, end[] = {703, 105};
    ok(plim_checkpoint_read(k, name, begin, end, PLIM_F32, part, sizeof part, &err), &err);
    for (size_t i = 0; i < 3; i++)
        assert_memory_equal(part + i * 5, whole + (700 + i) * 512 + 100, 5 * sizeof *part);
    ok(plim_checkpoint_read(k, name, NULL, NULL, PLIM_F16, half, sizeof half, &err), &err);
    assert_int_equal(
        plim_checkpoint_read(k, name, begin, end, PLIM_F32, part, sizeof part - 1, &err),
        PLIM_E_USAGE);
    assert_int_equal(plim_checkpoint_read(k, name, begin, end, PLIM_Q4, part, sizeof part, &err),
                     PLIM_E_UNSUP); /* groups are made of models */
    assert_non_null(strstr(err.message, "int4"));
    end[0] = 1377;
    assert_int_equal(plim_checkpoint_read(k, name, begin, end, PLIM_F32, part, sizeof part, &err),
                     PLIM_E_USAGE);
    assert_int_equal(plim_checkpoint_find(k, "nonesuch", &info, &err), PLIM_E_USAGE);
    assert_string_equal(err.tensor, "nonesuch");
    plim_checkpoint_close(&k);
    close_context(c);
}

/* Elements whose bytes in the wider type are 2^64, which is 0: no buffer is right for them. */
static void test_absurd_slice(void **state)
{
    (void)state;
    char name[] = "a";
    float dst[1];
    plim_error err;
    plim_kernels kernels;
    plim_kernels_init(&kernels, 0);
    plim_stored tensor = {.name = name, .dtype = PLIM_U8, .shape = {1, {1ull << 61}}};
    tensor.bytes = tensor.shape.dim[0];
    plim_stored_file file = {.path = name};
    plim_stored_set set = {.tensors = &tensor, .tensor_count = 1, .files = &file, .file_count = 1};
    assert_int_equal(plim_slice_read(&set, &tensor, NULL, NULL, PLIM_F64, &kernels,
                                     plim_alloc_system(), dst, 0, &err),
                     PLIM_E_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits_whichever_way),
        cmocka_unit_test(test_peaks_as_predicted),
        cmocka_unit_test(test_open_and_close_a_hundred_times),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_exactly_enough),
        cmocka_unit_test(test_changed_files),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_absurd_slice),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
