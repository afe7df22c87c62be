/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions: sequences of a model, and generation with the options of generate(). */
#include <math.h>
#include <string.h>

#include "api/handles.h"

plim_status plim_session_open(plim_session **out, plim_model *model, plim_error *err)
{
    plim_error local;
    plim_context *c = model->plan->context;
    plim_error_clear(err);
    if (!err)
        err = &local;
    *out = NULL;
    if (!model->plan->skeleton->family)
        return plim_fail(err, PLIM_E_UNSUP, "model_type '%s' is not known: these are weights alone",
                         plim_model_type(model));
    plim_session *s = plim_new(plim_context_alloc(c), 1, sizeof *s, err);
    if (!s)
        return err->code;
    pthread_mutex_lock(&model->lock);
    if (model->idle_count) {
        s->sequence = model->idle[--model->idle_count];
        s->paid = true;
    }
    pthread_mutex_unlock(&model->lock);
    plim_status status = PLIM_OK;
    if (!s->sequence)
        status = plim_sequence_open(&s->sequence, &model->engine, c->ledger,
                                    &model->plan->plan->session, NULL, err);
    if (status) {
        plim_delete(plim_context_alloc(c), s);
        return status;
    }
    if (!s->paid)
        plim_model_lock_kv(model, s->sequence);
    s->model = plim_model_ref(model);
    *out = s;
    return PLIM_OK;
}

void plim_session_close(plim_session **session)
{
    plim_session *s = session ? *session : NULL;
    if (!s)
        return;
    *session = NULL;
    plim_model *model = s->model;
    plim_context *c = plim_context_ref(model->plan->context);
    if (s->paid) {
        (void)plim_sequence_truncate(s->sequence, 0, NULL);
        s->sequence->logits = NULL;
        atomic_store(&s->sequence->cancel, false);
        pthread_mutex_lock(&model->lock);
        model->idle[model->idle_count++] = s->sequence;
        pthread_mutex_unlock(&model->lock);
    } else
        plim_sequence_close(&s->sequence);
    plim_model_close(&model);
    plim_delete(plim_context_alloc(c), s);
    plim_context_close(&c);
}

/* A session serves one call at a time: not two threads, not its own callback. */
static plim_status enter(plim_session *s, plim_error *err)
{
    if (atomic_exchange(&s->busy, true))
        return plim_fail(err, PLIM_E_USAGE,
                         "the session is in use: a call to it has not returned yet");
    return PLIM_OK;
}

static plim_status leave(plim_session *s, plim_status status)
{
    atomic_store(&s->busy, false);
    return status;
}

plim_status plim_session_eval(plim_session *s, const int32_t *tokens, size_t count,
                              plim_logits_fn on_logits, void *user, plim_error *err)
{
    plim_error_clear(err);
    plim_status status = enter(s, err);
    if (!status)
        status = leave(s, plim_sequence_eval(s->sequence, tokens, count, on_logits, user, err));
    return status;
}

const float *plim_session_logits(const plim_session *s)
{
    return s->sequence->logits;
}

size_t plim_session_length(const plim_session *s)
{
    return plim_sequence_length(s->sequence);
}

plim_status plim_session_truncate(plim_session *s, size_t length, plim_error *err)
{
    plim_error_clear(err);
    plim_status status = enter(s, err);
    if (!status)
        status = leave(s, plim_sequence_truncate(s->sequence, length, err));
    return status;
}

plim_status plim_session_fill(plim_session *s, size_t length, uint64_t seed, plim_error *err)
{
    plim_error_clear(err);
    plim_status status = enter(s, err);
    if (!status)
        status = leave(s, plim_sequence_fill(s->sequence, length, seed, err));
    return status;
}

void plim_session_cancel(plim_session *s)
{
    atomic_store(&s->sequence->cancel, true);
}

/* ---- generate() ---- */

static double given(double option, double otherwise)
{
    return isnan(option) ? otherwise : option;
}

/* How many new tokens: max_new_tokens, else max_length less the prompt, else 20; each from the
 * options, else from the model's generation_config.  As in Transformers, max_new_tokens wins
 * wherever it comes from. */
static plim_status count_new(const plim_generation_defaults *d, const plim_generate_options *o,
                             size_t prompt_count, size_t *out, plim_error *err)
{
    if (o->max_new_tokens < -1 || o->max_length < -1)
        return plim_fail(err, PLIM_E_USAGE,
                         "max_new_tokens %lld and max_length %lld: want -1 (unset) or more",
                         (long long)o->max_new_tokens, (long long)o->max_length);
    int64_t max_new = o->max_new_tokens >= 0 ? o->max_new_tokens : d->max_new_tokens;
    int64_t max_length = o->max_length >= 0 ? o->max_length : d->max_length;
    if (max_new < 0 && max_length < 0)
        max_new = 20;
    if (max_new >= 0) {
        if (max_new == 0)
            return plim_fail(err, PLIM_E_USAGE, "max_new_tokens must be at least 1");
        *out = (size_t)max_new;
        return PLIM_OK;
    }
    if ((uint64_t)max_length <= prompt_count)
        return plim_fail(
            err, PLIM_E_USAGE,
            "the prompt has %zu tokens, but max_length is %lld: nothing could be generated; raise "
            "max_length or set max_new_tokens",
            prompt_count, (long long)max_length);
    *out = (size_t)max_length - prompt_count;
    return PLIM_OK;
}

plim_status plim_generate_count(size_t *new_tokens, plim_context *context, const char *name,
                                const plim_model_options *options,
                                const plim_generate_options *generate, size_t prompt_count,
                                plim_error *err)
{
    plim_model_options o;
    plim_generate_options g = {0};
    plim_generation_defaults defaults;
    char path[4096], folder[4096];
    plim_status status = plim_model_options_take(&o, options, err);
    if (!status)
        status = plim_generate_options_take(&g, generate, err);
    if (!status)
        status = plim_resolve(path, sizeof path, name, &o, err);
    if (!status)
        status = plim_find_folder(folder, sizeof folder, path, o.subfolder, err);
    if (!status) /* no log: what it would say is said at the load */
        status = plim_generation_defaults_read(&defaults, plim_context_alloc(context), folder, NULL,
                                               err);
    if (!status)
        status = count_new(&defaults, &g, prompt_count, new_tokens, err);
    return status;
}

plim_status plim_sampling_merge(const plim_model *m, const plim_generate_options *o,
                                plim_generate_request *r, size_t prompt_count, plim_error *err)
{
    const plim_sampling *d = &m->defaults.sampling;
    r->sampling =
        (plim_sampling){.do_sample = o->do_sample < 0 ? d->do_sample : o->do_sample != 0,
                        .repetition_penalty = given(o->repetition_penalty, d->repetition_penalty),
                        .temperature = given(o->temperature, d->temperature),
                        .top_k = o->top_k < 0 ? d->top_k : (uint64_t)o->top_k,
                        .top_p = given(o->top_p, d->top_p),
                        .min_p = given(o->min_p, d->min_p),
                        .seed = o->seed,
                        .lacks = d->lacks};
    r->eos = m->defaults.eos;
    r->eos_count = o->ignore_eos ? 0 : m->defaults.eos_count;
    r->earlier = o->earlier;
    r->earlier_count = o->earlier_count;
    r->stop = o->stop;
    r->stop_count = o->stop_count;
    r->on_token = o->on_token;
    r->user = o->user;
    return count_new(&m->defaults, o, prompt_count, &r->max_new, err);
}

static plim_status generate(plim_generation **out, plim_session *s, plim_tokenizer *tokenizer,
                            const int32_t *prompt, size_t count, const plim_generate_options *o,
                            plim_error *err)
{
    plim_generate_request request = {.prompt = prompt, .prompt_count = count};
    int32_t bos = s->model->defaults.bos;
    if (!count && !plim_session_length(s) && bos >= 0) { /* as generate() without input_ids */
        request.prompt = &bos;
        request.prompt_count = 1;
    }
    request.tok = tokenizer ? tokenizer->tok : NULL;
    plim_status status = plim_sampling_merge(s->model, o, &request, request.prompt_count, err);
    return status ? status : plim_sequence_generate(out, s->sequence, &request, err);
}

plim_status plim_session_generate(plim_generation **out, plim_session *s, plim_tokenizer *tokenizer,
                                  const int32_t *prompt, size_t count,
                                  const plim_generate_options *options, plim_error *err)
{
    plim_generate_options o;
    plim_error_clear(err);
    *out = NULL;
    plim_status status = plim_generate_options_take(&o, options, err);
    if (!status)
        status = enter(s, err);
    if (!status)
        status = leave(s, generate(out, s, tokenizer, prompt, count, &o, err));
    return status;
}

plim_status plim_generate_text(plim_generation **out, plim_model *model, plim_tokenizer *tokenizer,
                               const char *prompt, const plim_generate_options *options,
                               plim_error *err)
{
    int32_t *ids = NULL;
    size_t count = 0;
    plim_session *session = NULL;
    *out = NULL;
    plim_status status =
        plim_tokenizer_encode(tokenizer, prompt, strlen(prompt), 1, &ids, &count, err);
    if (!status)
        status = plim_session_open(&session, model, err);
    if (!status)
        status = plim_session_generate(out, session, tokenizer, ids, count, options, err);
    plim_session_close(&session);
    plim_free(ids);
    return status;
}
