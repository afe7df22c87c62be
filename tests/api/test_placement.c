/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a model's modules are and how they got there: device maps of real plans, the map that a
 * model answers with, cancelling a load, locked memory, a file that changes while tokens come, and
 * measured speeds. */
#include "api_test.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* times mean nothing, and mlock does nothing */
#else
#define SANITIZED 0
#endif

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Warnings that came through the log. */
typedef struct notes {
    atomic_int warnings;
    char last[1024];
} notes;

static void take_note(void *user, plim_log_level level, const char *line)
{
    notes *n = user;
    if (level != PLIM_LOG_WARN)
        return;
    n->warnings++;
    snprintf(n->last, sizeof n->last, "%s", line);
}

static plim_context *context_noting(notes *n)
{
    plim_context *c;
    plim_context_options o;
    plim_error err;
    plim_context_options_init(&o);
    o.threads = 2;
    o.log = take_note;
    o.log_user = n;
    ok(plim_context_open(&c, &o, &err), &err);
    return c;
}

static const char twelve_layers[] =
    "{\"model_type\": \"llama\", \"vocab_size\": 300, \"hidden_size\": 64, "
    "\"num_hidden_layers\": 12, \"num_attention_heads\": 2, \"intermediate_size\": 128, "
    "\"max_position_embeddings\": 512, \"tie_word_embeddings\": false}";

static const char two_gpt2_layers[] =
    "{\"model_type\": \"gpt2\", \"vocab_size\": 300, \"n_embd\": 64, \"n_layer\": 2, "
    "\"n_head\": 2, \"n_positions\": 64}";

static const char large[] =
    "{\"model_type\": \"llama\", \"vocab_size\": 1000, \"hidden_size\": 2048, "
    "\"num_hidden_layers\": 8, \"num_attention_heads\": 16, \"intermediate_size\": 5632, "
    "\"max_position_embeddings\": 512}";

/* A checkpoint of that config.json in the folder; valid until the next call. */
static const char *make_model(const temp_folder *t, plim_context *c, const char *config,
                              plim_dtype dtype)
{
    static char folder[128];
    plim_synth_options o;
    plim_error err;
    plim_synth_options_init(&o);
    o.torch_dtype = dtype;
    snprintf(folder, sizeof folder, "%s/model", t->path);
    ok(plim_synth(c, temp_text(t, "config.json", config), folder, &o, &err), &err);
    return folder;
}

/* ---- device maps ---- */

static void test_layer_1_is_not_layer_10(void **state)
{
    (void)state;
    plim_error err;
    plim_plan *p;
    plim_model_options o;
    plim_tensor_info info;
    notes n = {0};
    temp_folder t = temp_open();
    plim_context *c = context_noting(&n);
    const char *folder = make_model(&t, c, twelve_layers, PLIM_F32);
    plim_model_options_init(&o);
    o.context = 16;
    o.device_map = "{\"\": \"cpu\", \"model.layers.1\": \"disk\", \"model.layers.10.mlp\": "
                   "\"disk\", \"model.layer.3\": \"disk\"}";
    ok(plim_plan_open(&p, c, folder, &o, &err), &err);
    assert_int_equal(n.warnings, 1);
    assert_non_null(strstr(n.last, "'model.layer.3' matches no module"));
    size_t streams = 0;
    for (size_t i = 0; plim_plan_tensor(p, i, &info) == PLIM_OK; i++) {
        bool matrix = info.rank == 2, disk = !strcmp(info.device, "disk");
        bool asked = !strncmp(info.name, "model.layers.1.", 15) ||
                     !strncmp(info.name, "model.layers.10.mlp.", 20);
        if (disk != (asked && matrix))
            fail_msg("%s is on %s", info.name, info.device);
        assert_int_equal(info.form == PLIM_FORM_STREAMED, disk);
        assert_int_equal(info.pinned_bytes, disk ? 0 : info.bytes);
        streams += disk;
    }
    assert_int_equal(streams, 7 + 3);
    plim_plan_info plan;
    plim_plan_describe(p, &plan);
    uint64_t bytes = 4 * (4 * 64 * 64 + 6 * 64 * 128);
    assert_int_equal(plan.streamed_bytes, bytes);
    assert_int_equal(plan.pinned_bytes, plan.weight_bytes - bytes);
    assert_true(plan.ring_bytes > 0);
    plim_plan_close(&p);
    plim_context_close(&c);
    temp_close(&t);
}

static void test_every_module_must_be_covered(void **state)
{
    (void)state;
    plim_error err;
    plim_plan *p;
    plim_model_options o;
    plim_context *c = context_with(1);
    plim_model_options_init(&o);
    o.device_map = "{\"model.layers\": \"cpu\", \"lm_head\": \"cpu\", \"model.norm\": \"cpu\"}";
    assert_int_equal(plim_plan_open(&p, c, TINY, &o, &err), PLIM_E_USAGE);
    assert_null(p);
    assert_int_equal(err.code, PLIM_E_USAGE);
    assert_non_null(strstr(err.message, "model.embed_tokens"));
    plim_context_close(&c);
}

static void assert_map(plim_context *c, const char *folder, const char *device_map,
                       const char *want)
{
    plim_error err;
    plim_model *m;
    plim_model_options o;
    plim_model_options_init(&o);
    o.context = 16;
    o.device_map = device_map;
    ok(plim_model_open(&m, c, folder, &o, &err), &err);
    assert_string_equal(plim_model_device_map(m), want);
    plim_model_close(&m);
}

static void test_map_of_a_model(void **state)
{
    (void)state;
    temp_folder t = temp_open();
    plim_context *c = context_with(1);
    const char *folder = make_model(&t, c, two_gpt2_layers, PLIM_F32);
    assert_map(c, folder, NULL, "{\"\": \"cpu\"}");
    assert_map(c, folder, "{\"\": \"cpu\"}", "{\"\": \"cpu\"}");
    assert_map(c, folder, "{\"\": \"cpu\", \"transformer.h.1.mlp.c_fc\": \"disk\"}",
               "{\"transformer.wte\": \"cpu\", \"transformer.wpe\": \"cpu\", "
               "\"transformer.h.0\": \"cpu\", \"transformer.h.1\": \"disk\", "
               "\"transformer.ln_f\": \"cpu\", \"lm_head\": \"cpu\"}");
    folder = make_model(&t, c, twelve_layers, PLIM_BF16);
    assert_map(c, folder, "{\"\": \"cpu\", \"model.layers.0\": \"disk\", \"lm_head\": \"disk\"}",
               "{\"model.embed_tokens\": \"cpu\", \"model.layers.0\": \"disk\", "
               "\"model.layers.1\": \"cpu\", \"model.layers.2\": \"cpu\", "
               "\"model.layers.3\": \"cpu\", \"model.layers.4\": \"cpu\", "
               "\"model.layers.5\": \"cpu\", \"model.layers.6\": \"cpu\", "
               "\"model.layers.7\": \"cpu\", \"model.layers.8\": \"cpu\", "
               "\"model.layers.9\": \"cpu\", \"model.layers.10\": \"cpu\", "
               "\"model.layers.11\": \"cpu\", \"model.norm\": \"cpu\", \"lm_head\": \"disk\"}");
    plim_context_close(&c);
    temp_close(&t);
}

static void test_max_memory_caps(void **state)
{
    (void)state;
    plim_error err;
    plim_plan *p;
    plim_model_options o;
    plim_plan_info info;
    temp_folder t = temp_open();
    plim_context *c = context_with(1);
    const char *folder = make_model(&t, c, twelve_layers, PLIM_F32);
    plim_model_options_init(&o);
    o.context = 16;
    o.max_memory = "{\"cpu\": \"1MiB\", \"0\": 0}";
    ok(plim_plan_open(&p, c, folder, &o, &err), &err);
    plim_plan_describe(p, &info);
    assert_true(info.fits);
    assert_true(info.weight_bytes > 2 << 20);
    assert_in_range(info.pinned_bytes, 1 << 17, 1 << 20);
    assert_true(info.streamed_bytes > 0);
    plim_plan_close(&p);
    plim_context_close(&c);
    temp_close(&t);
}

/* ---- cancelling a load ---- */

typedef struct stopper {
    plim_plan *plan; /* cancelled from another thread, or */
    bool by_callback;
    atomic_bool begun;
    _Atomic double at;
} stopper;

static int on_progress(void *user, const plim_progress *progress)
{
    stopper *s = user;
    bool begun = progress->done_bytes > 0;
    if (begun && !s->begun) {
        if (s->by_callback)
            s->at = now();
        s->begun = true;
    }
    return begun && s->by_callback;
}

static void *stop_soon(void *arg)
{
    stopper *s = arg;
    while (!s->begun)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    s->at = now();
    plim_plan_cancel(s->plan);
    return NULL;
}

static uint64_t held(const plim_context *c)
{
    plim_memory memory;
    plim_context_memory(c, &memory);
    return memory.total.now;
}

/* Cancel the load of a cast, then of weights as they are; by the callback and by another thread. */
static void test_cancel_a_load(void **state)
{
    (void)state;
    static const plim_dtype types[] = {PLIM_F32, PLIM_BF16};
    temp_folder t = temp_open();
    plim_context *c = context_with(2);
    const char *folder = make_model(&t, c, large, PLIM_BF16);
    int cancelled = 0;
    for (int i = 0; i < 8; i++) {
        plim_error err = {0};
        plim_model *m = NULL;
        plim_model_options o;
        pthread_t thread;
        stopper s = {.by_callback = i & 1};
        plim_model_options_init(&o);
        o.torch_dtype = types[i >> 1 & 1];
        o.reader = i & 4 ? PLIM_READER_BUFFERED : PLIM_READER_DIRECT;
        o.context = 16;
        o.progress = on_progress;
        o.progress_user = &s;
        ok(plim_plan_open(&s.plan, c, folder, &o, &err), &err);
        uint64_t before = held(c);
        if (!s.by_callback)
            assert_int_equal(pthread_create(&thread, NULL, stop_soon, &s), 0);
        plim_status status = plim_model_load(&m, s.plan, &err);
        double end = now();
        if (!s.by_callback)
            pthread_join(thread, NULL);
        if (status == PLIM_E_CANCELLED) { /* not where the load was over first */
            cancelled++;
            assert_null(m);
            assert_int_equal(err.code, PLIM_E_CANCELLED);
            assert_int_equal(held(c), before);
            print_message("%d: cancelled after %.1f ms\n", i, (end - s.at) * 1000);
            if (!SANITIZED)
                assert_true(end - s.at < 0.05);
        } else {
            assert_false(s.by_callback);
            ok(status, &err);
            plim_model_close(&m);
        }
        plim_plan_close(&s.plan);
    }
    assert_true(cancelled >= 4); /* those by the callback */
    plim_context_close(&c);
    temp_close(&t);
}

/* A cancel that comes before the load ends the next one, and that one only. */
static void test_cancel_before_the_load(void **state)
{
    (void)state;
    plim_error err;
    plim_plan *p;
    plim_model *m;
    plim_context *c = context_with(1);
    ok(plim_plan_open(&p, c, TINY, NULL, &err), &err);
    plim_plan_cancel(p);
    assert_int_equal(plim_model_load(&m, p, &err), PLIM_E_CANCELLED);
    assert_null(m);
    ok(plim_model_load(&m, p, &err), &err);
    plim_model_close(&m);
    plim_plan_close(&p);
    plim_context_close(&c);
}

/* ---- locked memory ---- */

static uint64_t locked_kib(void)
{
    char line[256];
    unsigned long long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        sscanf(line, "VmLck: %llu", &kib);
    if (f)
        fclose(f);
    return kib;
}

/* Root may lock whatever the limit: give that right away for a while (true), or take it back. */
static void drop_lock_right(bool drop)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {0};
    uint32_t bit = 1u << CAP_IPC_LOCK;
    if (syscall(SYS_capget, &header, data) != 0)
        return;
    data[0].effective = drop ? data[0].effective & ~bit : data[0].effective | bit;
    if (data[0].permitted & bit)
        assert_int_equal(syscall(SYS_capset, &header, data), 0);
}

static void test_locked(void **state)
{
    (void)state;
    plim_error err;
    plim_model *m;
    plim_model_options o;
    notes n = {0};
    struct rlimit limit, small;
    if (SANITIZED) {
        print_message("skipped: the sanitizers make mlock do nothing\n");
        skip();
    }
    plim_context *c = context_noting(&n);
    plim_model_options_init(&o);
    o.context = 64;
    o.mlock = 1;
    getrlimit(RLIMIT_MEMLOCK, &limit);
    if (limit.rlim_cur > 4u << 20 || geteuid() == 0) {
        uint64_t before = locked_kib();
        ok(plim_model_open(&m, c, SHAKESPEARE, &o, &err), &err);
        assert_int_equal(n.warnings, 0);
        assert_true(locked_kib() - before >= plim_model_memory_footprint(m) / 1024 + 4);
        plim_model_close(&m);
        assert_int_equal(locked_kib(), before);
    }
    /* refused: one warning that says what to do, and the model is there all the same */
    small = (struct rlimit){4096, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &small), 0);
    drop_lock_right(true);
    plim_status status = plim_model_open(&m, c, SHAKESPEARE, &o, &err);
    drop_lock_right(false);
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    ok(status, &err);
    assert_int_equal(n.warnings, 1);
    assert_non_null(strstr(n.last, "ulimit -l"));
    assert_non_null(strstr(n.last, "LimitMEMLOCK"));
    plim_model_close(&m);
    plim_context_close(&c);
}

/* ---- a file that changes while tokens come ---- */

typedef struct vandal {
    const char *path;
    size_t at;
} vandal;

static int touch_file(void *user, const plim_token_event *event)
{
    vandal *v = user;
    struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    if (event->index == v->at)
        assert_int_equal(utimensat(AT_FDCWD, v->path, times, 0), 0);
    return 0;
}

static void test_what_was_generated_is_kept(void **state)
{
    (void)state;
    plim_error err;
    plim_model *m;
    plim_session *s;
    plim_generation *g, *whole;
    plim_model_options o;
    plim_generate_options options;
    static const int32_t prompt[] = {1, 2, 3};
    char file[192];
    temp_folder t = temp_open();
    plim_context *c = context_with(2);
    const char *folder = make_model(&t, c, twelve_layers, PLIM_F32);
    snprintf(file, sizeof file, "%s/model.safetensors", folder);
    plim_model_options_init(&o);
    o.context = 64;
    o.device_map = "disk";
    ok(plim_model_open(&m, c, folder, &o, &err), &err);
    ok(plim_session_open(&s, m, &err), &err);
    plim_generate_options_init(&options);
    options.max_new_tokens = 20;
    options.ignore_eos = 1;
    ok(plim_session_generate(&whole, s, NULL, prompt, 3, &options, &err), &err);
    assert_int_equal(whole->token_count, 20);
    plim_stream_info stream;
    plim_model_stream_info(m, &stream);
    assert_int_equal(stream.passes, 20);
    assert_true(stream.used_bytes > 20 * (plim_model_memory_footprint(m) * 4 / 10));
    assert_true(stream.read_bytes >= stream.used_bytes);
    ok(plim_session_truncate(s, 0, &err), &err);

    vandal v = {file, 6};
    options.on_token = touch_file;
    options.user = &v;
    g = NULL;
    plim_status status = plim_session_generate(&g, s, NULL, prompt, 3, &options, &err);
    assert_int_equal(status, PLIM_E_CHANGED);
    assert_int_equal(err.code, PLIM_E_CHANGED);
    assert_non_null(g);
    assert_int_equal(g->finish, PLIM_FINISH_ERROR);
    assert_string_equal(plim_finish_name(g->finish), "error");
    assert_int_equal(g->token_count, 7);
    assert_memory_equal(g->tokens, whole->tokens, 7 * sizeof *g->tokens);
    plim_generation_free(&g);
    /* the process lives on, and says it again */
    assert_int_equal(plim_session_eval(s, prompt, 1, NULL, NULL, &err), PLIM_E_CHANGED);
    plim_generation_free(&whole);
    plim_session_close(&s);
    plim_model_close(&m);
    plim_context_close(&c);
    temp_close(&t);
}

/* ---- measured speeds ---- */

static int refuse_at_once(void *user, const plim_progress *progress)
{
    (void)user, (void)progress;
    return 1;
}

static void test_probe(void **state)
{
    (void)state;
    plim_error err;
    plim_model_options o;
    plim_speeds speeds = {0}, untouched = {.disk = 7};
    plim_memory memory;
    plim_plan *p;
    plim_plan_info info;
    temp_folder t = temp_open();
    plim_context *c = context_with(2);
    const char *folder = make_model(&t, c, twelve_layers, PLIM_F32);
    uint64_t before = held(c);
    double start = now();
    ok(plim_probe(&speeds, c, folder, NULL, &err), &err);
    if (!SANITIZED)
        assert_true(now() - start < 5);
    const double *all = (const double *)&speeds;
    for (size_t i = 0; i < sizeof speeds / sizeof(double); i++)
        assert_true(all[i] > 1e6 && all[i] < 1e13);
    plim_context_memory(c, &memory);
    assert_int_equal(memory.total.now, before);
    assert_true(memory.total.peak - before < 100u << 20);

    /* they give a plan its seconds; without them it has none */
    plim_model_options_init(&o);
    ok(plim_plan_open(&p, c, folder, &o, &err), &err);
    plim_plan_describe(p, &info);
    assert_true(info.load_seconds == 0 && info.token_seconds == 0);
    plim_plan_close(&p);
    o.speeds = &speeds;
    o.device_map = "disk";
    ok(plim_plan_open(&p, c, folder, &o, &err), &err);
    memset(&speeds, 0, sizeof speeds); /* it has its own copy */
    plim_plan_describe(p, &info);
    assert_true(info.load_seconds > 0 && info.load_seconds < 60);
    assert_true(info.token_seconds > 0 && info.token_seconds < 60);
    plim_plan_close(&p);

    plim_model_options_init(&o);
    o.progress = refuse_at_once;
    assert_int_equal(plim_probe(&untouched, c, folder, &o, &err), PLIM_E_CANCELLED);
    assert_int_equal(plim_probe(&untouched, c, "/nowhere/at/all", NULL, &err), PLIM_E_IO);
    assert_int_equal(held(c), before);
    plim_context_close(&c);
    plim_context_options low;
    plim_context_options_init(&low);
    low.baseline = 1;
    low.memory_limit = 20 << 20;
    ok(plim_context_open(&c, &low, &err), &err);
    assert_int_equal(plim_probe(&untouched, c, folder, NULL, &err), PLIM_E_BUDGET);
    assert_true(untouched.disk == 7);
    plim_context_close(&c);
    temp_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layer_1_is_not_layer_10),
        cmocka_unit_test(test_every_module_must_be_covered),
        cmocka_unit_test(test_map_of_a_model),
        cmocka_unit_test(test_max_memory_caps),
        cmocka_unit_test(test_cancel_a_load),
        cmocka_unit_test(test_cancel_before_the_load),
        cmocka_unit_test(test_locked),
        cmocka_unit_test(test_what_was_generated_is_kept),
        cmocka_unit_test(test_probe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
