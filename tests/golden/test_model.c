/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole model with its tokenizer against Transformers, through the public calls only: text to
 * ids, the logits of every position, greedy ids, and the text they make.
 *
 * Without arguments: models/shakespeare-1.7m.  With one: the environment variable of that name
 * gives the folder of another model, with what is expected in its folder "expected"
 * (tools/golden/smollm2.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"

typedef struct subject {
    char folder[512];
    char expected[560];
} subject;

static const way one_thread = {"one thread", PLIM_CPU_ALL, 1, 0, PLIM_READER_AUTO, 1};
static const way all_threads = {"all threads", PLIM_CPU_ALL, 0, 0, PLIM_READER_AUTO, 1};
static const way scalar = {"scalar", 0, 0, 0, PLIM_READER_AUTO, 1};

static const char *name_of(const expected *e, size_t i)
{
    return expected_text(e, "names[%zu]", i);
}

static void test_encode(void **state)
{
    const subject *s = *state;
    expected e;
    plim_error err;
    plim_tokenizer *tokenizer;
    expected_open(&e, s->expected);
    plim_context *context = context_of(&e, &one_thread);
    must(plim_tokenizer_open(&tokenizer, context, s->folder, NULL, &err), &err, &e, "tokenizer");
    for (size_t i = 0; i < expected_count(&e, "names"); i++) {
        const char *text = expected_text(&e, "texts.%s", name_of(&e, i));
        token_list want;
        int32_t *ids;
        size_t count;
        expected_tokens(&e, &want, "prompts.%s", name_of(&e, i));
        must(plim_tokenizer_encode(tokenizer, text, strlen(text), 1, &ids, &count, &err), &err, &e,
             text);
        assert_int_equal(count, want.count);
        assert_memory_equal(ids, want.ids, count * sizeof *ids);
        plim_free(ids);
    }
    plim_tokenizer_close(&tokenizer);
    plim_context_close(&context);
    expected_close(&e);
}

static void check_logits(const subject *s, const way *w)
{
    expected e;
    plim_error err;
    plim_model *model;
    plim_session *session;
    size_t compared = 0;
    expected_open(&e, s->expected);
    plim_context *context = context_of(&e, w);
    must(open_model(&model, context, s->folder, w, PLIM_F32, &err), &err, &e, w->says);
    assert_null(plim_model_unexpected(model, 0));
    must(plim_session_open(&session, model, &err), &err, &e, "session");
    for (size_t i = 0; i < expected_count(&e, "names"); i++) {
        char name[64];
        size_t count, vocab = plim_model_vocab_size(model);
        plim_tensor_info info;
        snprintf(name, sizeof name, "logits_%s", name_of(&e, i));
        if (plim_checkpoint_find(e.tensors, name, &info, &err))
            continue; /* recorded for short prompts only */
        token_list prompt;
        expected_tokens(&e, &prompt, "prompts.%s", name_of(&e, i));
        float *want = expected_tensor(&e, name, &count),
              *got = logits_of(session, &prompt, vocab, &e);
        assert_int_equal(count, prompt.count * vocab);
        double tolerance = expected_number(&e, "tolerance", 0);
        double apart = compare_logits(got, want, count, vocab, tolerance, &e, w->says);
        print_message("%s, %s: apart by %.2g of the largest |logit|\n", name, w->says, apart);
        free(want);
        free(got);
        compared++;
    }
    assert_true(compared >= 3);
    plim_session_close(&session);
    plim_model_close(&model);
    plim_context_close(&context);
    expected_close(&e);
}

static void test_logits(void **state)
{
    check_logits(*state, &all_threads);
}

static void test_logits_scalar(void **state)
{
    check_logits(*state, &scalar);
}

/* Greedy ids, and from text to text. */
static void check_greedy(const subject *s, const way *w, plim_dtype dtype)
{
    expected e;
    plim_error err;
    plim_model *model;
    plim_session *session;
    plim_tokenizer *tokenizer;
    expected_open(&e, s->expected);
    plim_context *context = context_of(&e, w);
    must(open_model(&model, context, s->folder, w, dtype, &err), &err, &e, w->says);
    must(plim_tokenizer_open(&tokenizer, context, s->folder, NULL, &err), &err, &e, "tokenizer");
    must(plim_session_open(&session, model, &err), &err, &e, "session");
    for (size_t i = 0; i < expected_count(&e, "names"); i++)
        compare_greedy(session, name_of(&e, i), &e, w->says);
    plim_session_close(&session);
    for (size_t i = 0; i < expected_count(&e, "names"); i++) {
        plim_generation *g;
        plim_generate_options options;
        plim_generate_options_init(&options);
        options.do_sample = 0;
        options.max_new_tokens = 32;
        options.ignore_eos = 1;
        must(plim_generate_text(&g, model, tokenizer, expected_text(&e, "texts.%s", name_of(&e, i)),
                                &options, &err),
             &err, &e, name_of(&e, i));
        assert_string_equal(g->text, expected_text(&e, "continuations.%s", name_of(&e, i)));
        plim_generation_free(&g);
    }
    plim_tokenizer_close(&tokenizer);
    plim_model_close(&model);
    plim_context_close(&context);
    expected_close(&e);
}

static void test_greedy_float32(void **state)
{
    check_greedy(*state, &one_thread, PLIM_F32);
}

/* bfloat16 weights, KV in float32: the tokens of Transformers in float32 on these weights. */
static void test_greedy_as_stored(void **state)
{
    check_greedy(*state, &all_threads, PLIM_AUTO);
}

int main(int argc, char **argv)
{
    static subject s;
    snprintf(s.folder, sizeof s.folder, "%s", PLIM_SOURCE_DIR "/models/shakespeare-1.7m");
    snprintf(s.expected, sizeof s.expected, "shakespeare");
    if (argc > 1) {
        const char *folder = getenv(argv[1]);
        if (!folder || !*folder) {
            fprintf(stderr, "skipped: %s is not set (a folder made by tools/golden/smollm2.py)\n",
                    argv[1]);
            return 77;
        }
        snprintf(s.folder, sizeof s.folder, "%s", folder);
        snprintf(s.expected, sizeof s.expected, "%s/expected", folder);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_encode, &s),
        cmocka_unit_test_prestate(test_logits, &s),
        cmocka_unit_test_prestate(test_logits_scalar, &s),
        cmocka_unit_test_prestate(test_greedy_float32, &s),
        cmocka_unit_test_prestate(test_greedy_as_stored, &s),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
