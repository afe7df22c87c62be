/* SPDX-License-Identifier: Apache-2.0
 *
 * Models and sessions through the public API: two sessions on two threads, cancelling from another
 * thread in the middle of a prefill, the rules of generate(), handles closed in any order, and the
 * host's own allocator. */
#include "api_test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- two sessions on one model from two threads ---- */

typedef struct speaker {
    plim_model *model;
    int32_t prompt[4];
    int32_t tokens[64];
    size_t count;
    plim_status status;
} speaker;

static void *speak(void *arg)
{
    speaker *s = arg;
    plim_session *session;
    plim_generation *g;
    plim_generate_options o;
    plim_error err;
    plim_generate_options_init(&o);
    o.max_new_tokens = 64;
    o.ignore_eos = 1;
    s->status = plim_session_open(&session, s->model, &err);
    if (s->status)
        return NULL;
    s->status = plim_session_generate(&g, session, NULL, s->prompt, 4, &o, &err);
    if (!s->status) {
        s->count = g->token_count;
        memcpy(s->tokens, g->tokens, g->token_count * sizeof *g->tokens);
        plim_generation_free(&g);
    }
    plim_session_close(&session);
    return NULL;
}

static void test_two_threads(void **state)
{
    (void)state;
    plim_context *c = context_with(2);
    plim_model *m = model_with(c, TINY, 100, 2);
    speaker alone[2] = {{.model = m, .prompt = {1, 2, 3, 4}},
                        {.model = m, .prompt = {9, 8, 7, 60}}};
    for (int i = 0; i < 2; i++) {
        speak(&alone[i]);
        assert_int_equal(alone[i].status, PLIM_OK);
        assert_int_equal(alone[i].count, 64);
    }
    assert_memory_not_equal(alone[0].tokens, alone[1].tokens, sizeof alone[0].tokens);
    for (int round = 0; round < 20; round++) {
        speaker both[2] = {{.model = m, .prompt = {1, 2, 3, 4}},
                           {.model = m, .prompt = {9, 8, 7, 60}}};
        pthread_t threads[2];
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, speak, &both[i]), 0);
        for (int i = 0; i < 2; i++) {
            pthread_join(threads[i], NULL);
            assert_int_equal(both[i].status, PLIM_OK);
            assert_memory_equal(both[i].tokens, alone[i].tokens, sizeof both[i].tokens);
        }
    }
    plim_model_close(&m);
    plim_context_close(&c);
}

/* ---- cancelling ---- */

typedef struct alarm_clock {
    plim_session *session;
    atomic_bool rang;
    double at;
} alarm_clock;

static void *ring(void *arg)
{
    alarm_clock *a = arg;
    struct timespec wait = {.tv_nsec = 60000000};
    nanosleep(&wait, NULL);
    a->at = now();
    plim_session_cancel(a->session);
    atomic_store(&a->rang, true);
    return NULL;
}

static void test_cancel_in_a_prefill(void **state)
{
    (void)state;
    static int32_t prompt[2000];
    plim_error err;
    plim_session *s;
    pthread_t thread;
    temp_folder t = temp_open();
    plim_context *c = context_with(2);
    const char *config =
        temp_text(&t, "config.json",
                  "{\"model_type\": \"llama\", \"vocab_size\": 1000, \"hidden_size\": 1024, "
                  "\"num_hidden_layers\": 6, \"num_attention_heads\": 8, "
                  "\"intermediate_size\": 4096, \"max_position_embeddings\": 4096}");
    char folder[128];
    snprintf(folder, sizeof folder, "%s/model", t.path);
    ok(plim_synth(c, config, folder, NULL, &err), &err);
    plim_model *m = model_with(c, folder, 2048, 1);
    ok(plim_session_open(&s, m, &err), &err);
    alarm_clock a = {.session = s};
    assert_int_equal(pthread_create(&thread, NULL, ring, &a), 0);
    plim_status status = plim_session_eval(s, prompt, 2000, NULL, NULL, &err);
    double end = now();
    pthread_join(thread, NULL);
    assert_int_equal(status, PLIM_E_CANCELLED);
    assert_int_equal(err.code, PLIM_E_CANCELLED);
    print_message("cancelled after %.1f ms\n", (end - a.at) * 1000);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(end - a.at < 0.1);
#endif
    /* and it goes on from what was finished */
    size_t length = plim_session_length(s);
    assert_int_equal(length % 256, 0);
    ok(plim_session_eval(s, prompt, 1, NULL, NULL, &err), &err);
    assert_int_equal(plim_session_length(s), length + 1);
    plim_session_close(&s);
    plim_model_close(&m);
    plim_context_close(&c);
    temp_close(&t);
}

static int stop_at_three(void *user, const plim_token_event *event)
{
    ++*(int *)user;
    return event->index == 2;
}

static void test_interrupted_by_the_callback(void **state)
{
    (void)state;
    plim_error err;
    plim_session *s;
    plim_generation *g;
    plim_generate_options o;
    int calls = 0;
    static const int32_t prompt[] = {1, 2};
    plim_context *c = context_with(1);
    plim_model *m = model_with(c, TINY, 64, 1);
    ok(plim_session_open(&s, m, &err), &err);
    plim_generate_options_init(&o);
    o.ignore_eos = 1;
    o.on_token = stop_at_three;
    o.user = &calls;
    ok(plim_session_generate(&g, s, NULL, prompt, 2, &o, &err), &err);
    assert_int_equal(g->finish, PLIM_FINISH_INTERRUPTED);
    assert_int_equal(g->token_count, 3);
    assert_int_equal(calls, 3);
    assert_int_equal(plim_session_length(s), 5);
    plim_generation_free(&g);
    plim_session_close(&s);
    plim_model_close(&m);
    plim_context_close(&c);
}

/* ---- the rules of generate() ---- */

static void test_lengths(void **state)
{
    (void)state;
    plim_error err;
    plim_session *s;
    plim_generation *g = NULL;
    plim_generate_options o;
    static const int32_t prompt[] = {1, 2, 3, 4, 5};
    plim_context *c = context_with(1);
    plim_model *m = model_with(c, TINY, 40, 1);
    ok(plim_session_open(&s, m, &err), &err);
    static const struct {
        int64_t max_length, max_new;
        plim_status status;
        size_t count;
    } cases[] = {{-1, -1, PLIM_OK, 20},    {9, -1, PLIM_OK, 4},      {9, 7, PLIM_OK, 7},
                 {5, -1, PLIM_E_USAGE, 0}, {3, -1, PLIM_E_USAGE, 0}, {-1, 36, PLIM_E_LIMIT, 0},
                 {-1, 35, PLIM_OK, 35},    {-1, 0, PLIM_E_USAGE, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        plim_generate_options_init(&o);
        o.max_length = cases[i].max_length;
        o.max_new_tokens = cases[i].max_new;
        o.ignore_eos = 1;
        ok(plim_session_truncate(s, 0, &err), &err);
        assert_int_equal(plim_session_generate(&g, s, NULL, prompt, 5, &o, &err), cases[i].status);
        if (!cases[i].status) {
            assert_int_equal(g->token_count, cases[i].count);
            assert_int_equal(g->finish, PLIM_FINISH_LENGTH);
            assert_int_equal(g->prompt_tokens, 5);
        } else
            assert_null(g);
        plim_generation_free(&g);
    }
    plim_session_close(&s);
    plim_model_close(&m);
    plim_context_close(&c);
}

/* A conversation in two calls is the same sequence as one: the last token of the first is not lost.
 */
static void test_going_on(void **state)
{
    (void)state;
    plim_error err;
    plim_session *s;
    plim_generation *g;
    plim_generate_options o;
    static const int32_t prompt[] = {5, 6, 7}, more[] = {8, 9};
    int32_t all[16];
    static float logits[2][1024];
    plim_context *c = context_with(1);
    plim_model *m = model_with(c, TINY, 40, 1);
    size_t vocab = plim_model_vocab_size(m);
    ok(plim_session_open(&s, m, &err), &err);
    plim_generate_options_init(&o);
    o.max_new_tokens = 4;
    o.ignore_eos = 1;
    ok(plim_session_generate(&g, s, NULL, prompt, 3, &o, &err), &err);
    memcpy(all, prompt, sizeof prompt);
    memcpy(all + 3, g->tokens, 4 * sizeof *all);
    memcpy(all + 7, more, sizeof more);
    plim_generation_free(&g);
    assert_int_equal(plim_session_length(s), 7);
    ok(plim_session_eval(s, more, 2, NULL, NULL, &err), &err);
    memcpy(logits[0], plim_session_logits(s), vocab * sizeof(float));
    ok(plim_session_truncate(s, 0, &err), &err);
    ok(plim_session_eval(s, all, 9, NULL, NULL, &err), &err);
    memcpy(logits[1], plim_session_logits(s), vocab * sizeof(float));
    assert_memory_equal(logits[0], logits[1], vocab * sizeof(float));
    plim_session_close(&s);
    plim_model_close(&m);
    plim_context_close(&c);
}

static int collect(void *user, const plim_token_event *event)
{
    strncat(user, event->text, event->text_bytes);
    return 0;
}

static void test_text_and_stop_strings(void **state)
{
    (void)state;
    plim_error err;
    plim_tokenizer *t;
    plim_generation *g;
    plim_generate_options o;
    char streamed[4096] = "";
    plim_context *c = context_with(2);
    plim_model *m = model_with(c, SHAKESPEARE, 200, 1);
    ok(plim_tokenizer_open(&t, c, SHAKESPEARE, NULL, &err), &err);
    plim_generate_options_init(&o);
    o.max_new_tokens = 100;
    o.on_token = collect;
    o.user = streamed;
    ok(plim_generate_text(&g, m, t, "ROMEO:", &o, &err), &err);
    assert_string_equal(streamed, g->text);
    assert_int_equal(strlen(g->text), g->text_bytes);
    assert_true(g->text_bytes > 100);
    plim_generation_free(&g);
    static const char *const stop[] = {"nonesuch", "\n"};
    o.stop = stop;
    o.stop_count = 2;
    streamed[0] = 0;
    ok(plim_generate_text(&g, m, t, "ROMEO:", &o, &err), &err);
    assert_int_equal(g->finish, PLIM_FINISH_STOP);
    assert_non_null(strchr(g->text, '\n'));
    plim_generation_free(&g);
    plim_context_close(&c); /* the root first: the others keep it alive */
    plim_tokenizer_close(&t);
    plim_model_close(&m);
}

static void test_seeds(void **state)
{
    (void)state;
    plim_error err;
    plim_tokenizer *t;
    plim_generation *g;
    plim_generate_options o;
    int32_t first[40], same = 0;
    plim_context *c = context_with(2);
    plim_model *m = model_with(c, SHAKESPEARE, 200, 1);
    ok(plim_tokenizer_open(&t, c, SHAKESPEARE, NULL, &err), &err);
    for (int i = 0; i < 3; i++) {
        plim_generate_options_init(&o);
        o.max_new_tokens = 40;
        o.do_sample = 1;
        o.ignore_eos = 1;
        o.seed = i == 2 ? 43 : 42;
        ok(plim_generate_text(&g, m, t, "JULIET:", &o, &err), &err);
        if (!i)
            memcpy(first, g->tokens, sizeof first);
        else
            same += memcmp(first, g->tokens, sizeof first) == 0 ? i : 0;
        plim_generation_free(&g);
    }
    assert_int_equal(same, 1); /* the second is like the first, the third is not */
    plim_tokenizer_close(&t);
    plim_model_close(&m);
    plim_context_close(&c);
}

/* ---- the host's own allocator ---- */

typedef struct counter {
    atomic_llong bytes, blocks, calls;
} counter;

static void *counting_alloc(void *user, size_t bytes)
{
    counter *k = user;
    atomic_fetch_add(&k->bytes, (long long)bytes);
    atomic_fetch_add(&k->blocks, 1);
    atomic_fetch_add(&k->calls, 1);
    return malloc(bytes);
}

static void counting_free(void *user, void *ptr, size_t bytes)
{
    counter *k = user;
    atomic_fetch_sub(&k->bytes, (long long)bytes);
    atomic_fetch_sub(&k->blocks, 1);
    free(ptr);
}

static void test_host_allocator(void **state)
{
    (void)state;
    counter k = {0};
    plim_allocator host = {counting_alloc, counting_free, &k};
    plim_context_options o;
    plim_context *c;
    plim_tokenizer *t;
    plim_generation *g;
    plim_error err;
    plim_context_options_init(&o);
    o.allocator = &host;
    ok(plim_context_open(&c, &o, &err), &err);
    plim_model *m = model_with(c, SHAKESPEARE, 100, 1);
    ok(plim_tokenizer_open(&t, c, SHAKESPEARE, NULL, &err), &err);
    ok(plim_generate_text(&g, m, t, "A horse!", NULL, &err), &err);
    assert_true(atomic_load(&k.calls) > 10);
    plim_generation_free(&g);
    plim_tokenizer_close(&t);
    plim_model_close(&m);
    plim_context_close(&c);
    assert_int_equal(atomic_load(&k.blocks), 0);
    assert_int_equal(atomic_load(&k.bytes), 0);
}

/* ---- answers and refusals ---- */

static void test_questions(void **state)
{
    (void)state;
    plim_load_report r;
    plim_context *c = context_with(1);
    plim_model *m = model_with(c, SHAKESPEARE, 0, 1);
    plim_model_load_report(m, &r);
    assert_string_equal(plim_model_type(m), "llama");
    assert_string_equal(plim_model_device_map(m), "{\"\": \"cpu\"}");
    assert_int_equal(plim_model_memory_footprint(m),
                     2 * plim_model_num_parameters(m)); /* bfloat16 */
    assert_int_equal(plim_model_dtype(m), PLIM_BF16);
    assert_int_equal(r.stored_bytes, plim_model_memory_footprint(m));
    assert_null(plim_model_unexpected(m, 0));
    plim_model_close(&m);
    plim_context_close(&c);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *device_map, *max_memory;
        plim_status status;
    } cases[] = {{"auto", NULL, PLIM_OK},
                 {"{\"\": \"cpu\"}", "{\"cpu\": \"1GiB\"}", PLIM_OK},
                 {"{\"model\": \"cuda:0\"}", NULL, PLIM_E_UNSUP},
                 {"cuda", NULL, PLIM_E_UNSUP},
                 {"disk", NULL, PLIM_OK},
                 {"{\"model\": \"cpu\"}", NULL, PLIM_E_USAGE}, /* nothing covers lm_head */
                 {"sideways", NULL, PLIM_E_USAGE},
                 {"{\"\": \"cpu\"", NULL, PLIM_E_USAGE},
                 {NULL, "{\"cpu\": \"lots\"}", PLIM_E_USAGE},
                 {NULL, "{\"cpu\": 1000}", PLIM_E_BUDGET},
                 {NULL, "{\"0\": \"1GiB\"}", PLIM_E_UNSUP}};
    plim_context *c = context_with(1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        plim_model_options o;
        plim_model *m;
        plim_error err;
        plim_model_options_init(&o);
        o.device_map = cases[i].device_map;
        o.max_memory = cases[i].max_memory;
        plim_status status = plim_model_open(&m, c, TINY, &o, &err);
        if (status != cases[i].status)
            fail_msg("case %zu: %s, want %s", i, plim_status_name(status),
                     plim_status_name(cases[i].status));
        plim_model_close(&m);
    }
    plim_context_close(&c);
}

static void test_unknown_model_type(void **state)
{
    (void)state;
    plim_error err;
    plim_model *m;
    plim_plan *p;
    plim_session *s;
    plim_plan_info info;
    temp_folder t = temp_open();
    plim_context *c = context_with(1);
    temp_text(&t, "config.json", "{\"model_type\": \"nonesuch\"}");
    temp_safetensors(&t, "model.safetensors",
                     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                     "\"b\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[24,32]}}",
                     32);
    assert_int_equal(plim_model_open(&m, c, t.path, NULL, &err), PLIM_E_UNSUP);
    assert_non_null(strstr(err.message, "nonesuch"));
    assert_non_null(strstr(err.message, "gpt2, llama, mistral, qwen2, qwen3"));
    ok(plim_plan_open(&p, c, t.path, NULL, &err), &err); /* weights alone */
    plim_plan_describe(p, &info);
    assert_int_equal(info.runnable, 0);
    assert_int_equal(info.parameters, 7);
    ok(plim_model_load(&m, p, &err), &err);
    assert_int_equal(plim_model_num_parameters(m), 7);
    assert_int_equal(plim_session_open(&s, m, &err), PLIM_E_UNSUP);
    plim_plan_close(&p);
    plim_model_close(&m);
    plim_context_close(&c);
    temp_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_threads),
        cmocka_unit_test(test_cancel_in_a_prefill),
        cmocka_unit_test(test_interrupted_by_the_callback),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_going_on),
        cmocka_unit_test(test_text_and_stop_strings),
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_host_allocator),
        cmocka_unit_test(test_questions),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_unknown_model_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
