/* SPDX-License-Identifier: Apache-2.0
 *
 * Callbacks that call back into the library: a session that its own callback uses or cancels, a
 * load within a load; and options that nobody initialised. */
#include "api_test.h"

static int cancel_at_three(void *user, const plim_token_event *event)
{
    if (event->index == 2)
        plim_session_cancel(user);
    return 0;
}

/* A token that was given out belongs to the sequence, however the generation ended. */
static void test_cancelled_between_tokens(void **state)
{
    (void)state;
    plim_error err;
    plim_session *s;
    plim_generation *g;
    plim_generate_options o;
    static const int32_t prompt[] = {1, 2}, more[] = {8};
    static float logits[2][1024];
    plim_context *c = context_with(1);
    plim_model *m = model_with(c, TINY, 64, 1);
    size_t vocab = plim_model_vocab_size(m);
    ok(plim_session_open(&s, m, &err), &err);
    plim_generate_options_init(&o);
    o.ignore_eos = 1;
    o.on_token = cancel_at_three;
    o.user = s;
    ok(plim_session_generate(&g, s, NULL, prompt, 2, &o, &err), &err);
    assert_int_equal(g->finish, PLIM_FINISH_INTERRUPTED);
    assert_int_equal(g->token_count, 3);
    assert_int_equal(plim_session_length(s), 5);
    ok(plim_session_eval(s, more, 1, NULL, NULL, &err), &err);
    memcpy(logits[0], plim_session_logits(s), vocab * sizeof(float));
    ok(plim_session_truncate(s, 0, &err), &err);
    ok(plim_session_eval(s, prompt, 2, NULL, NULL, &err), &err);
    ok(plim_session_eval(s, g->tokens, 3, NULL, NULL, &err), &err);
    ok(plim_session_eval(s, more, 1, NULL, NULL, &err), &err);
    memcpy(logits[1], plim_session_logits(s), vocab * sizeof(float));
    assert_memory_equal(logits[0], logits[1], vocab * sizeof(float));
    plim_generation_free(&g);
    plim_session_close(&s);
    plim_model_close(&m);
    plim_context_close(&c);
}

typedef struct caller_back {
    plim_context *context;
    plim_session *session;
    plim_status eval, generate, truncate, open;
    int calls;
} caller_back;

static int use_session(void *user, size_t position, const float *logits, size_t vocab)
{
    caller_back *b = user;
    plim_generation *g;
    static const int32_t token[] = {3};
    (void)position, (void)logits, (void)vocab;
    b->eval = plim_session_eval(b->session, token, 1, NULL, NULL, NULL);
    b->generate = plim_session_generate(&g, b->session, NULL, token, 1, NULL, NULL);
    b->truncate = plim_session_truncate(b->session, 0, NULL);
    return 0;
}

/* A session serves one call at a time; a second one is refused, and the first goes on unharmed. */
static void test_session_used_by_its_callback(void **state)
{
    (void)state;
    plim_error err;
    caller_back b = {0};
    static const int32_t tokens[] = {1, 2, 3};
    plim_context *c = context_with(1);
    plim_model *m = model_with(c, TINY, 64, 1);
    ok(plim_session_open(&b.session, m, &err), &err);
    ok(plim_session_eval(b.session, tokens, 3, use_session, &b, &err), &err);
    assert_int_equal(b.eval, PLIM_E_USAGE);
    assert_int_equal(b.generate, PLIM_E_USAGE);
    assert_int_equal(b.truncate, PLIM_E_USAGE);
    assert_int_equal(plim_session_length(b.session), 3);
    ok(plim_session_truncate(b.session, 1, &err), &err);
    plim_session_close(&b.session);
    plim_model_close(&m);
    plim_context_close(&c);
}

static int open_another(void *user, const plim_progress *progress)
{
    caller_back *b = user;
    plim_model *m;
    (void)progress;
    if (!b->calls++) {
        b->open = plim_model_open(&m, b->context, TINY, NULL, NULL);
        plim_model_close(&m);
    }
    return 0;
}

/* Progress comes from the middle of a load: the context is free for other work all the same. */
static void test_load_within_a_load(void **state)
{
    (void)state;
    plim_error err;
    plim_model *m;
    plim_model_options o;
    for (unsigned threads = 1; threads <= 2; threads++) {
        caller_back b = {.context = context_with(threads), .open = PLIM_E_IO};
        plim_model_options_init(&o);
        o.progress = open_another;
        o.progress_user = &b;
        ok(plim_model_open(&m, b.context, SHAKESPEARE, &o, &err), &err);
        assert_true(b.calls > 0);
        assert_int_equal(b.open, PLIM_OK);
        plim_model_close(&m);
        plim_context_close(&b.context);
    }
}

/* Options without a size were never initialised: what the caller wanted is unknown. */
static void test_options_without_a_size(void **state)
{
    (void)state;
    plim_context *c = context_with(1), *none;
    plim_context_options context = {.memory_limit = 1};
    plim_model_options model = {.context = 5};
    plim_generate_options generate = {.max_new_tokens = 5};
    plim_plan *p;
    plim_tokenizer *t;
    plim_checkpoint *k;
    plim_session *s;
    plim_generation *g;
    size_t count;
    static const int32_t prompt[] = {1};
    char path[256];
    assert_int_equal(plim_context_open(&none, &context, NULL), PLIM_E_USAGE);
    assert_null(none);
    assert_int_equal(plim_plan_open(&p, c, TINY, &model, NULL), PLIM_E_USAGE);
    assert_int_equal(plim_tokenizer_open(&t, c, SHAKESPEARE, &model, NULL), PLIM_E_USAGE);
    assert_int_equal(plim_checkpoint_open(&k, c, TINY, &model, NULL), PLIM_E_USAGE);
    assert_int_equal(plim_resolve(path, sizeof path, TINY, &model, NULL), PLIM_E_USAGE);
    assert_int_equal(plim_generate_count(&count, c, TINY, NULL, &generate, 1, NULL), PLIM_E_USAGE);
    plim_model *m = model_with(c, TINY, 64, 1);
    ok(plim_session_open(&s, m, NULL), NULL);
    assert_int_equal(plim_session_generate(&g, s, NULL, prompt, 1, &generate, NULL), PLIM_E_USAGE);
    assert_null(g);
    plim_session_close(&s);
    plim_model_close(&m);
    plim_context_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancelled_between_tokens),
        cmocka_unit_test(test_session_used_by_its_callback),
        cmocka_unit_test(test_load_within_a_load),
        cmocka_unit_test(test_options_without_a_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
