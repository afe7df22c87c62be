/* SPDX-License-Identifier: Apache-2.0
 *
 * plim_convert through the public calls: what it holds, what a callback may do, what is refused.
 * (What is written is tests/cli/test_convert.py's affair.) */
#include "api_test.h"

#include <pthread.h>
#include <unistd.h>

static plim_convert_options options_for(plim_dtype dtype)
{
    plim_convert_options o;
    plim_convert_options_init(&o);
    o.torch_dtype = dtype;
    return o;
}

/* Some 3 MiB, and none of it afterwards; the same bytes whatever the number of threads. */
static void test_memory(void **state)
{
    temp_folder t = temp_open();
    plim_error err;
    (void)state;
    for (unsigned threads = 1; threads <= 3; threads += 2) {
        char name[8] = "int4-0";
        name[5] = (char)('0' + threads);
        plim_context *c = context_with(threads);
        plim_memory before, after;
        plim_context_memory(c, &before);
        plim_convert_options o = options_for(PLIM_Q4);
        ok(plim_convert(c, SHAKESPEARE, temp_path(&t, name), &o, &err), &err);
        plim_context_memory(c, &after);
        assert_int_equal(after.total.now, before.total.now);
        assert_in_range(after.total.peak - before.total.now, 3u << 20, 4u << 20);
        plim_context_close(&c);
    }
    char command[400];
    snprintf(command, sizeof command, "cmp %s/model.safetensors %s/model.safetensors",
             temp_path(&t, "int4-1"), temp_path(&t, "int4-3"));
    assert_int_equal(system(command), 0);
    temp_close(&t);
}

typedef struct watcher {
    unsigned calls;
    uint64_t done, total;
    int stop;
} watcher;

static int on_progress(void *user, const plim_progress *p)
{
    watcher *w = user;
    w->calls++;
    assert_true(p->done_bytes >= w->done && p->done_bytes <= p->total_bytes);
    w->done = p->done_bytes;
    w->total = p->total_bytes;
    return w->stop;
}

static void test_progress(void **state)
{
    temp_folder t = temp_open();
    plim_error err;
    (void)state;
    plim_context *c = context_with(1);
    watcher w = {0};
    plim_convert_options o = options_for(PLIM_F32);
    o.progress = on_progress;
    o.progress_user = &w;
    ok(plim_convert(c, SHAKESPEARE, temp_path(&t, "whole"), &o, &err), &err);
    assert_true(w.calls >= 1 && w.done == w.total);
    assert_int_equal(w.total, UINT64_C(4) * 1746624);
    w = (watcher){.stop = 1};
    assert_int_equal(plim_convert(c, SHAKESPEARE, temp_path(&t, "cut"), &o, &err),
                     PLIM_E_CANCELLED);
    assert_int_equal(temp_entries(t.path), 1);
    plim_context_close(&c);
    temp_close(&t);
}

/* config.json is changed by the callback, which comes when all weights are written. */
typedef struct changer {
    const char *config;
    char how;
} changer;

static int change_config(void *user, const plim_progress *p)
{
    changer *c = user;
    (void)p;
    if (c->how == 's') {
        assert_int_equal(truncate(c->config, 2), 0);
    } else if (c->how == 'w') {
        FILE *f = fopen(c->config, "r+");
        assert_non_null(f);
        fputs("{ ", f);
        fclose(f);
    } else if (c->how == 'r') {
        assert_int_equal(unlink(c->config), 0);
    }
    c->how = 0;
    return 0;
}

static void test_config_changes(void **state)
{
    plim_error err;
    (void)state;
    for (const char *how = "swr"; *how; how++)
        for (int groups = 0; groups < 2; groups++) {
            temp_folder t = temp_open();
            plim_context *c = context_with(1);
            char command[400];
            snprintf(command, sizeof command, "cp -rL %s %s", SHAKESPEARE, temp_path(&t, "model"));
            assert_int_equal(system(command), 0);
            char config[300];
            snprintf(config, sizeof config, "%s", temp_path(&t, "model/config.json"));
            changer change = {config, *how};
            plim_convert_options o = options_for(groups ? PLIM_Q4 : PLIM_F32);
            o.progress = change_config;
            o.progress_user = &change;
            char model[300];
            snprintf(model, sizeof model, "%s", temp_path(&t, "model"));
            assert_int_equal(plim_convert(c, model, temp_path(&t, "out"), &o, &err),
                             PLIM_E_CHANGED);
            assert_int_equal(change.how, 0);
            assert_non_null(strstr(err.file, "config.json"));
            assert_int_equal(temp_entries(t.path), 1);
            plim_context_close(&c);
            temp_close(&t);
        }
}

/* A config.json that is too large to be one, cut short, or none. */
static void test_config_is_bad(void **state)
{
    static const struct {
        off_t bytes;
        plim_status want;
    } rows[] = {{(4 << 20) + 1, PLIM_E_LIMIT}, {30, PLIM_E_TRUNC}, {0, PLIM_E_TRUNC}};
    temp_folder t = temp_open();
    plim_error err;
    (void)state;
    plim_context *c = context_with(1);
    char command[400], model[300], config[300];
    snprintf(model, sizeof model, "%s", temp_path(&t, "model"));
    snprintf(config, sizeof config, "%s", temp_path(&t, "model/config.json"));
    snprintf(command, sizeof command, "cp -rL %s %s", SHAKESPEARE, model);
    assert_int_equal(system(command), 0);
    plim_convert_options o = options_for(PLIM_F16);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(truncate(config, rows[i].bytes), 0);
        assert_int_equal(plim_convert(c, model, temp_path(&t, "out"), &o, &err), rows[i].want);
        assert_string_equal(err.file, config);
    }
    assert_int_equal(temp_entries(t.path), 1);
    plim_context_close(&c);
    temp_close(&t);
}

typedef struct racer {
    const char *out;
    plim_dtype dtype;
    plim_status status;
} racer;

static void *race(void *arg)
{
    racer *r = arg;
    plim_error err;
    plim_context *c = context_with(1);
    plim_convert_options o = options_for(r->dtype);
    r->status = plim_convert(c, SHAKESPEARE, r->out, &o, &err);
    plim_context_close(&c);
    return NULL;
}

/* Two threads, one folder: one of them makes it, whole, and the other says that it did not. */
static void test_race(void **state)
{
    plim_error err;
    (void)state;
    for (int round = 0; round < 4; round++) {
        temp_folder t = temp_open();
        char out[300];
        snprintf(out, sizeof out, "%s", temp_path(&t, "out"));
        racer racers[2] = {{out, PLIM_F32, 0}, {out, PLIM_Q8, 0}};
        pthread_t threads[2];
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        int won = racers[0].status != PLIM_OK;
        assert_int_equal(racers[won].status, PLIM_OK);
        assert_true(racers[!won].status == PLIM_E_IO || racers[!won].status == PLIM_E_USAGE);
        plim_context *c = context_with(1);
        plim_convert_options o = options_for(racers[won].dtype);
        ok(plim_convert(c, SHAKESPEARE, temp_path(&t, "alone"), &o, &err), &err);
        char command[700];
        snprintf(command, sizeof command, "diff -r %s %s", out, temp_path(&t, "alone"));
        assert_int_equal(system(command), 0);
        assert_int_equal(temp_entries(t.path), 2);
        plim_context_close(&c);
        temp_close(&t);
    }
}

static void test_usage(void **state)
{
    temp_folder t = temp_open();
    plim_error err;
    (void)state;
    plim_context *c = context_with(1);
    const char *out = temp_path(&t, "out");
    static const plim_dtype bad[] = {PLIM_AUTO, PLIM_F64, PLIM_I32, PLIM_U8, PLIM_DTYPE_COUNT};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        plim_convert_options o = options_for(bad[i]);
        assert_int_equal(plim_convert(c, SHAKESPEARE, out, &o, &err), PLIM_E_USAGE);
    }
    plim_convert_options o = options_for(PLIM_F16);
    assert_int_equal(plim_convert(c, SHAKESPEARE, out, NULL, &err), PLIM_E_USAGE);
    assert_int_equal(plim_convert(c, SHAKESPEARE, "", &o, NULL), PLIM_E_USAGE);
    assert_int_equal(plim_convert(c, NULL, out, &o, &err), PLIM_E_USAGE);
    o.size = 0;
    assert_int_equal(plim_convert(c, SHAKESPEARE, out, &o, &err), PLIM_E_USAGE);
    o = options_for(PLIM_F16);
    assert_int_equal(plim_convert(c, SHAKESPEARE, t.path, &o, &err), PLIM_OK); /* empty */
    assert_int_equal(plim_convert(c, SHAKESPEARE, t.path, &o, &err), PLIM_E_USAGE);
    assert_string_equal(err.file, t.path);
    plim_context_close(&c);
    temp_close(&t);
}

/* A line that leaves less than the pieces need: refused before anything is written. */
static void test_line(void **state)
{
    temp_folder t = temp_open();
    plim_error err;
    plim_context *c;
    plim_context_options context;
    (void)state;
    plim_context_options_init(&context);
    context.threads = 1;
    context.baseline = 1;
    context.memory_limit = 3u << 20;
    ok(plim_context_open(&c, &context, &err), &err);
    plim_convert_options o = options_for(PLIM_I8);
    assert_int_equal(plim_convert(c, SHAKESPEARE, temp_path(&t, "out"), &o, &err), PLIM_E_BUDGET);
    assert_int_equal(temp_entries(t.path), 0);
    plim_context_close(&c);
    temp_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),         cmocka_unit_test(test_progress),
        cmocka_unit_test(test_config_changes), cmocka_unit_test(test_config_is_bad),
        cmocka_unit_test(test_race),           cmocka_unit_test(test_usage),
        cmocka_unit_test(test_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
