/* SPDX-License-Identifier: Apache-2.0
 *
 * Comparing what the public calls give with what Transformers gave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"

void must(plim_status status, const plim_error *err, const expected *e, const char *what)
{
    if (status)
        fail_msg("%s: %s: %s: %s", e->folder, what, plim_status_name(status), err->message);
}

plim_context *context_of(const expected *e, const way *w)
{
    plim_error err;
    plim_context *context;
    plim_context_options options;
    plim_context_options_init(&options);
    options.threads = w->threads;
    options.cpu_mask = w->cpu_mask;
    must(plim_context_open(&context, &options, &err), &err, e, "context");
    return context;
}

plim_status open_model(plim_model **model, plim_context *context, const char *folder, const way *w,
                       plim_dtype dtype, plim_error *err)
{
    plim_model_options options;
    plim_model_options_init(&options);
    options.torch_dtype = dtype;
    options.kv_dtype = PLIM_F32;
    options.reader = w->reader;
    options.low_cpu_mem_usage = w->low_cpu_mem_usage;
    options.prefill_chunk = w->prefill_chunk;
    return plim_model_open(model, context, folder, &options, err);
}

typedef struct rows {
    float *logits;
    size_t vocab, count, cap;
} rows;

static int take_row(void *user, size_t position, const float *logits, size_t vocab)
{
    rows *r = user;
    assert_int_equal(position, r->count);
    assert_true(r->count < r->cap);
    assert_int_equal(vocab, r->vocab);
    memcpy(r->logits + r->count * vocab, logits, vocab * sizeof *logits);
    r->count++;
    return 0;
}

float *logits_of(plim_session *session, const token_list *prompt, size_t vocab, const expected *e)
{
    plim_error err;
    rows r = {malloc(prompt->count * vocab * sizeof(float)), vocab, 0, prompt->count};
    assert_non_null(r.logits);
    must(plim_session_truncate(session, 0, &err), &err, e, "truncate");
    must(plim_session_eval(session, prompt->ids, prompt->count, take_row, &r, &err), &err, e,
         "eval");
    assert_int_equal(r.count, prompt->count);
    assert_int_equal(plim_session_length(session), prompt->count);
    assert_memory_equal(plim_session_logits(session), r.logits + (r.count - 1) * vocab,
                        vocab * sizeof(float));
    return r.logits;
}

double compare_logits(const float *got, const float *want, size_t count, size_t vocab,
                      double tolerance, const expected *e, const char *says)
{
    double largest = 0, apart = 0;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs((double)want[i]));
        double d = fabs((double)got[i] - (double)want[i]);
        if (!(d <= apart)) { /* a NaN too */
            apart = d;
            at = i;
        }
    }
    if (!(apart <= tolerance * largest))
        fail_msg("%s: %s: position %zu, token %zu: %g, Transformers gives %g (apart by %.3g of the "
                 "largest |logit|)",
                 e->folder, says, at / vocab, at % vocab, got[at], want[at], apart / largest);
    return apart / largest;
}

void compare_generation(plim_session *session, const token_list *prompt, const token_list *want,
                        const plim_generate_options *options, const char *finish, const expected *e,
                        const char *says)
{
    plim_error err;
    plim_generation *g;
    must(plim_session_truncate(session, 0, &err), &err, e, "truncate");
    must(plim_session_generate(&g, session, NULL, prompt->ids, prompt->count, options, &err), &err,
         e, says);
    for (size_t i = 0; i < want->count && i < g->token_count; i++)
        if (g->tokens[i] != want->ids[i])
            fail_msg("%s: %s: new token %zu is %d, Transformers gives %d", e->folder, says, i,
                     g->tokens[i], want->ids[i]);
    if (g->token_count != want->count)
        fail_msg("%s: %s: %zu new tokens, Transformers gives %zu", e->folder, says, g->token_count,
                 want->count);
    assert_string_equal(plim_finish_name(g->finish), finish);
    plim_generation_free(&g);
}

void compare_greedy(plim_session *session, const char *name, const expected *e, const char *says)
{
    token_list prompt, want;
    expected_tokens(e, &prompt, "prompts.%s", name);
    expected_tokens(e, &want, "greedy.%s", name);
    plim_generate_options options;
    plim_generate_options_init(&options);
    options.do_sample = 0;
    options.max_new_tokens = (int64_t)want.count;
    options.repetition_penalty = 1.0;
    options.ignore_eos = 1;
    compare_generation(session, &prompt, &want, &options, "length", e, says);
}
