/* SPDX-License-Identifier: Apache-2.0
 *
 * The token loop: prompt, then one token at a time until something ends it.  Results are allocated
 * before and after the loop, never inside. */
#include <string.h>

#include "base/file.h"
#include "generate/sequence.h"

typedef struct loop {
    plim_sequence *s;
    const plim_generate_request *request;
    plim_generation *result;
    plim_tok_decoder decoder;
    plim_tok_decoder spelled; /* special tokens kept: what stop strings are looked for in */
    plim_stopper *stopper;
} loop;

#define STOP_PROMPT_TOKENS 256 /* of the prompt's end, in which a stop string may begin */

static bool is_eos(const plim_generate_request *r, int32_t token)
{
    for (size_t i = 0; i < r->eos_count; i++)
        if (r->eos[i] == token)
            return true;
    return false;
}

/* Feed a token to the stop strings; *stopped when it completes one. */
static plim_status watch_for_stop(loop *l, int32_t token, bool *stopped, plim_error *err)
{
    const char *text;
    size_t bytes;
    *stopped = false;
    if (!l->stopper)
        return PLIM_OK;
    plim_status status = plim_tok_decoder_push(&l->spelled, token, &text, &bytes, err);
    if (!status)
        *stopped = plim_stopper_push(l->stopper, text, bytes);
    return status;
}

/* As in Transformers, a stop string may begin in the prompt; one that ends there does not count. */
static plim_status watch_prompt(loop *l, plim_error *err)
{
    size_t count = l->request->prompt_count;
    plim_status status = PLIM_OK;
    bool ignored;
    for (size_t i = count > STOP_PROMPT_TOKENS ? count - STOP_PROMPT_TOKENS : 0;
         !status && i < count; i++)
        status = watch_for_stop(l, l->request->prompt[i], &ignored, err);
    return status;
}

/* Show a new token to the caller and the stop strings; *finish is set when the generation ends with
 * it. */
static plim_status announce(loop *l, int32_t token, bool *done, plim_error *err)
{
    const plim_generate_request *r = l->request;
    plim_generation *g = l->result;
    plim_token_event event = {.token = token, .index = g->token_count - 1, .text = ""};
    bool stopped = false;
    if (r->tok) {
        plim_status status =
            plim_tok_decoder_push(&l->decoder, token, &event.text, &event.text_bytes, err);
        if (status)
            return status;
        status = watch_for_stop(l, token, &stopped, err);
        if (status)
            return status;
    }
    bool interrupted = r->on_token && r->on_token(r->user, &event);
    *done = true;
    if (is_eos(r, token))
        g->finish = PLIM_FINISH_EOS;
    else if (stopped)
        g->finish = PLIM_FINISH_STOP;
    else if (interrupted)
        g->finish = PLIM_FINISH_INTERRUPTED;
    else if (g->token_count == r->max_new)
        g->finish = PLIM_FINISH_LENGTH;
    else
        *done = false;
    return PLIM_OK;
}

/* Text that waited for more bytes, given out at the end. */
static plim_status flush_text(loop *l, plim_error *err)
{
    plim_token_event event = {.token = -1, .index = l->result->token_count, .text = ""};
    if (!l->request->tok)
        return PLIM_OK;
    plim_status status = plim_tok_decoder_flush(&l->decoder, &event.text, &event.text_bytes, err);
    if (!status && event.text_bytes && l->request->on_token)
        l->request->on_token(l->request->user, &event);
    return status;
}

static plim_status run_loop(loop *l, plim_error *err)
{
    plim_sequence *s = l->s;
    plim_generation *g = l->result;
    double start = plim_now(), first = 0;
    plim_status status =
        plim_sequence_eval(s, l->request->prompt, l->request->prompt_count, NULL, NULL, err);
    g->prefill_seconds = plim_now() - start;
    for (size_t i = 0; !status && i < l->request->earlier_count; i++)
        plim_sampler_saw(s->sampler, l->request->earlier[i]);
    for (size_t i = 0; !status && i < l->request->prompt_count; i++)
        plim_sampler_saw(s->sampler, l->request->prompt[i]);
    for (bool done = false; !status && !done;) {
        int32_t token = plim_sampler_next(s->sampler, s->logits);
        g->tokens[g->token_count++] = token;
        plim_sampler_saw(s->sampler, token);
        if (g->token_count == 1) {
            first = plim_now();
            g->first_token_seconds = first - start;
        }
        status = announce(l, token, &done, err);
        if (!status && !done)
            status = plim_sequence_eval(s, &token, 1, NULL, NULL, err);
        if (status || done)
            s->pending = token; /* it was given out: the sequence has it, computed or not */
    }
    g->decode_seconds = g->token_count > 1 ? plim_now() - first : 0;
    if (status == PLIM_E_CANCELLED) {
        g->finish = PLIM_FINISH_INTERRUPTED;
        plim_error_clear(err);
        status = PLIM_OK;
    }
    if (status == PLIM_E_IO || status == PLIM_E_CHANGED) {
        g->finish = PLIM_FINISH_ERROR; /* hours may have passed: what there is is kept */
        (void)flush_text(l, NULL);
        return status;
    }
    return status ? status : flush_text(l, err);
}

static plim_status open_result(loop *l, plim_error *err)
{
    const plim_alloc *system = plim_alloc_system();
    l->result = plim_new(system, 1, sizeof *l->result, err);
    if (!l->result)
        return err->code;
    l->result->tokens = plim_new(system, l->request->max_new, sizeof(int32_t), err);
    if (!l->result->tokens)
        return err->code;
    l->result->prompt_tokens = l->request->prompt_count;
    if (!l->request->stop_count)
        return PLIM_OK;
    return plim_stopper_open(&l->stopper, plim_ledger_alloc(l->s->ledger, PLIM_MEM_OTHER),
                             l->request->stop, l->request->stop_count, err);
}

static plim_status check_request(const plim_sequence *s, const plim_generate_request *r,
                                 plim_error *err)
{
    size_t left = s->state.size.context - plim_sequence_length(s);
    if (!r->prompt_count)
        return plim_fail(err, PLIM_E_USAGE, "the prompt is empty");
    if (!r->max_new)
        return plim_fail(err, PLIM_E_USAGE, "no new tokens are asked for");
    if (r->stop_count && !r->tok)
        return plim_fail(err, PLIM_E_USAGE, "stop strings need a tokenizer");
    for (size_t i = 0; i < r->earlier_count; i++)
        if (r->earlier[i] < 0 || (uint32_t)r->earlier[i] >= s->engine.spec->vocab)
            return plim_fail(err, PLIM_E_USAGE, "earlier token %zu is %d, want 0..%u", i,
                             r->earlier[i], s->engine.spec->vocab - 1);
    if (r->prompt_count > left || r->max_new > left - r->prompt_count)
        return plim_fail(err, PLIM_E_LIMIT,
                         "prompt %zu and new tokens %zu are more than the context of %u holds "
                         "after %zu; choose a "
                         "larger context",
                         r->prompt_count, r->max_new, s->state.size.context,
                         plim_sequence_length(s));
    return plim_sampling_check(&r->sampling, err);
}

plim_status plim_sequence_generate(plim_generation **out, plim_sequence *s,
                                   const plim_generate_request *request, plim_error *err)
{
    plim_error local;
    if (!err)
        err = &local;
    *out = NULL;
    plim_status status = check_request(s, request, err);
    if (status)
        return status;
    loop l = {.s = s, .request = request};
    const plim_alloc *alloc = plim_ledger_alloc(s->ledger, PLIM_MEM_OTHER);
    if (request->tok) {
        plim_tok_decoder_init(&l.decoder, request->tok, alloc, true);
        plim_tok_decoder_init(&l.spelled, request->tok, alloc, false);
    }
    plim_sampler_reset(s->sampler, &request->sampling);
    status = open_result(&l, err);
    if (!status && request->tok)
        status = plim_tok_decoder_reserve(&l.decoder, err);
    if (!status && request->tok && l.stopper)
        status = plim_tok_decoder_reserve(&l.spelled, err);
    if (!status)
        status = watch_prompt(&l, err);
    if (!status)
        status = run_loop(&l, err);
    bool kept = !status || (l.result && l.result->finish == PLIM_FINISH_ERROR);
    if (kept && request->tok) {
        plim_status decoded = plim_tok_decode(request->tok, plim_alloc_system(), l.result->tokens,
                                              l.result->token_count, true, &l.result->text,
                                              &l.result->text_bytes, status ? NULL : err);
        kept = !decoded;
        status = status ? status : decoded;
    }
    if (request->tok) {
        plim_tok_decoder_free(&l.decoder);
        plim_tok_decoder_free(&l.spelled);
    }
    plim_stopper_close(&l.stopper);
    if (!kept)
        plim_generation_free(&l.result);
    *out = l.result;
    return status;
}

void plim_generation_free(plim_generation **generation)
{
    if (!generation || !*generation)
        return;
    plim_delete(plim_alloc_system(), (*generation)->tokens);
    plim_delete(plim_alloc_system(), (*generation)->text);
    plim_delete(plim_alloc_system(), *generation);
    *generation = NULL;
}

const char *plim_finish_name(plim_finish finish)
{
    static const char *const names[] = {"length", "eos", "stop", "interrupted", "error"};
    return (unsigned)finish < 5 ? names[finish] : "?";
}
