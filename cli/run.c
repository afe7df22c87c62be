/* SPDX-License-Identifier: Apache-2.0
 *
 * plimsoll run: load, generate from a prompt, show the memory it took. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat_template.h"
#include "cli.h"
#include "fail.h"
#include "generation.h"
#include "interrupt.h"
#include "report.h"
#include "values.h"

/* What streams to standard output while tokens come. */
typedef struct stream {
    cli *c;
    plim_decoder *decoder; /* over prompt and continuation; NULL where only the latter is shown */
    bool ids;              /* no tokenizer: ids between commas */
    bool started;
    size_t text_bytes; /* of the continuation, written so far */
    plim_status status;
    plim_error *err;
} stream;

static void write_id(stream *s, int32_t id)
{
    out_format(&s->c->out, "%s%" PRId32, s->started ? "," : "", id);
    s->started = true;
}

static void write_decoded(stream *s, int32_t id)
{
    const char *text;
    size_t bytes;
    if (s->status == PLIM_OK)
        s->status = plim_decoder_push(s->decoder, id, &text, &bytes, s->err);
    if (s->status == PLIM_OK)
        out_write(&s->c->out, text, bytes);
}

static int on_token(void *user, const plim_token_event *event)
{
    stream *s = user;
    if (!s->c->options.json) {
        if (s->ids && event->token >= 0)
            write_id(s, event->token);
        else if (s->decoder && event->token >= 0)
            write_decoded(s, event->token);
        else if (!s->decoder && !s->ids) {
            out_write(&s->c->out, event->text, event->text_bytes);
            s->text_bytes += event->text_bytes;
        }
        out_flush(&s->c->out);
    }
    return interrupt_seen() || out_broken(&s->c->out) || s->status != PLIM_OK;
}

static plim_status stream_open(stream *s, cli *c, const cli_prompt *prompt, plim_error *err)
{
    memset(s, 0, sizeof *s);
    s->c = c;
    s->err = err;
    s->ids = prompt->tokenizer == NULL;
    if (c->options.json)
        return PLIM_OK;
    if (!s->ids && !c->options.no_prompt)
        s->status = plim_decoder_open(&s->decoder, prompt->tokenizer, 1, err);
    for (size_t i = 0; i < prompt->count && !c->options.no_prompt && s->status == PLIM_OK; i++) {
        if (s->ids)
            write_id(s, prompt->ids[i]);
        else
            write_decoded(s, prompt->ids[i]);
    }
    out_flush(&c->out);
    return s->status;
}

/* The rest of the text and the newline that Python's print writes. */
static plim_status stream_close(stream *s, const plim_generation *g)
{
    const char *text;
    size_t bytes;
    if (s->decoder && g && s->status == PLIM_OK) {
        s->status = plim_decoder_flush(s->decoder, &text, &bytes, s->err);
        if (s->status == PLIM_OK)
            out_write(&s->c->out, text, bytes);
    }
    plim_decoder_close(&s->decoder);
    if (!s->c->options.json && g) {
        if (!s->ids && s->c->options.no_prompt && g->text_bytes > s->text_bytes)
            out_write(&s->c->out, g->text + s->text_bytes, g->text_bytes - s->text_bytes);
        out_text(&s->c->out, "\n");
        out_flush(&s->c->out);
    }
    return s->status;
}

/* KV positions that this run needs; USAGE when --context has fewer. */
static plim_status find_positions(cli *c, const cli_prompt *prompt, const plim_generate_options *g,
                                  uint64_t *positions, plim_error *err)
{
    size_t new_tokens;
    plim_status status = plim_generate_count(&new_tokens, c->context, c->options.names[0],
                                             &c->model, g, prompt->count, err);
    if (status != PLIM_OK)
        return status;
    *positions = (uint64_t)prompt->count + new_tokens;
    if (c->options.context && *positions > c->options.context)
        return cli_fail(err, PLIM_E_USAGE,
                        "a prompt of %zu tokens and %zu new ones need %" PRIu64
                        " positions, --context is %" PRIu64,
                        prompt->count, new_tokens, *positions, c->options.context);
    return PLIM_OK;
}

static void timing_json(cli_json *json, const plim_generation *g, const plim_load_report *load,
                        double open_seconds)
{
    json_key(json, "timing");
    json_object(json);
    json_put_real(json, "open", open_seconds);
    json_put_real(json, "load", load->load_seconds);
    generation_timing_json(json, g);
    json_object_end(json);
}

/* `failed` is NULL, or why the run ends with another exit code than 0. */
static void write_json(cli *c, const cli_prompt *prompt, const plim_model *model,
                       const plim_generation *g, const memory_report *report, double open_seconds,
                       const plim_error *failed)
{
    cli_json json;
    plim_load_report load;
    plim_model_load_report(model, &load);
    json_begin(&json, &c->out);
    json_object(&json);
    json_put_text(&json, "model", c->options.names[0]);
    json_put_text(&json, "model_type", plim_model_type(model));
    json_put_u64(&json, "parameters", plim_model_num_parameters(model));
    json_put_text(&json, "dtype", plim_dtype_torch_name(plim_model_dtype(model)));
    json_put_ids(&json, "prompt_tokens", prompt->ids, prompt->count);
    json_put_ids(&json, "tokens", g->tokens, g->token_count);
    json_key(&json, "text");
    if (g->text)
        json_bytes(&json, g->text, g->text_bytes);
    else
        json_null(&json);
    json_put_text(&json, "finish_reason", plim_finish_name(g->finish));
    json_put_u64(&json, "threads", plim_context_threads(c->context));
    json_put_text(&json, "kernels", plim_context_kernels(c->context));
    timing_json(&json, g, &load, open_seconds);
    report_json(&json, model, report);
    if (failed)
        cli_error_json(&json, failed);
    json_object_end(&json);
    json_end(&json);
    c->answered = true;
}

/* Generate in a session that a signal cancels. */
static plim_status generate(cli *c, const cli_prompt *prompt, plim_model *model,
                            const plim_generate_options *options, plim_generation **g,
                            plim_error *err)
{
    plim_generate_options with_stream = *options;
    plim_session *session = NULL;
    stream s;
    uint32_t vocab = plim_model_vocab_size(model);
    for (size_t i = 0; i < prompt->count; i++)
        if ((uint32_t)prompt->ids[i] >= vocab)
            return cli_fail(err, PLIM_E_USAGE,
                            "token %" PRId32 " is beyond the vocabulary of %" PRIu32,
                            prompt->ids[i], vocab);
    plim_status status = plim_session_open(&session, model, err);
    if (status != PLIM_OK)
        return status;
    status = stream_open(&s, c, prompt, err);
    if (status == PLIM_OK) {
        with_stream.on_token = on_token;
        with_stream.user = &s;
        interrupt_watch(session);
        status = plim_session_generate(g, session, prompt->tokenizer, prompt->ids, prompt->count,
                                       &with_stream, err);
        interrupt_watch(NULL);
    }
    plim_status streamed = stream_close(&s, *g);
    plim_session_close(&session);
    return status != PLIM_OK ? status : streamed;
}

/* What was read while tokens were made. */
static void print_stream(const plim_model *model)
{
    plim_stream_info info;
    char used[24];
    plim_model_stream_info(model, &info);
    if (info.passes > 0 && info.used_bytes > 0)
        fprintf(stderr,
                "        %" PRIu64 " passes read %s of weights and waited %.3f s for them\n",
                info.passes, text_of_bytes(used, sizeof used, info.used_bytes), info.wait_seconds);
}

static void print_speed(const cli *c, const plim_model *model, const plim_generation *g)
{
    plim_load_report load;
    plim_model_load_report(model, &load);
    if (c->options.quiet)
        return;
    fprintf(stderr, "\ntime    load %.3f s, prompt of %zu ", load.load_seconds, g->prompt_tokens);
    if (g->token_count == 0)
        fprintf(stderr, "(%s) after %.3f s\n", plim_finish_name(g->finish), g->prefill_seconds);
    else
        fprintf(stderr, "in %.3f s, first token after %.3f s\n", g->prefill_seconds,
                g->first_token_seconds);
    if (g->token_count == 1)
        fprintf(stderr, "        1 new token (%s), %s kernels\n", plim_finish_name(g->finish),
                plim_context_kernels(c->context));
    else if (g->token_count > 1)
        fprintf(stderr, "        %zu new tokens (%s), %.1f tokens/s with %s kernels\n",
                g->token_count, plim_finish_name(g->finish),
                per_second(g->token_count - 1, g->decode_seconds),
                plim_context_kernels(c->context));
    print_stream(model);
}

/* From loaded model to answer. */
static plim_status answer(cli *c, const cli_prompt *prompt, plim_model *model,
                          const plim_generate_options *options, double open_seconds,
                          plim_error *err)
{
    plim_generation *g = NULL;
    memory_report report;
    plim_error ignored;
    plim_status status = generate(c, prompt, model, options, &g, err);
    /* A disk that failed in the middle: what was generated until then is an answer too. */
    bool failed = status != PLIM_OK && g && g->finish == PLIM_FINISH_ERROR;
    plim_status gathered = PLIM_E_IO;
    if (status == PLIM_OK || failed)
        gathered = report_gather(&report, c->context, model, failed ? &ignored : err);
    if (status == PLIM_OK)
        status = gathered;
    if (status == PLIM_OK && g->finish == PLIM_FINISH_INTERRUPTED && interrupt_seen())
        status = cli_fail(err, PLIM_E_CANCELLED, "interrupted");
    if (g && gathered == PLIM_OK) {
        err->code = status;
        if (c->options.json)
            write_json(c, prompt, model, g, &report, open_seconds, status == PLIM_OK ? NULL : err);
        print_speed(c, model, g);
        report_print(c, &report);
    }
    plim_generation_free(&g);
    return status;
}

static plim_status check_chat(const cli_options *o, plim_error *err)
{
    const char *without = o->system          ? "system"
                          : o->template_name ? "template"
                          : o->set.count > 0 ? "set"
                                             : NULL;
    if (!o->chat && without)
        return cli_fail(err, PLIM_E_USAGE, "--%s goes with --chat", without);
    if (o->chat && o->prompt_tokens.ids)
        return cli_fail(err, PLIM_E_USAGE, "--chat wants a text, --prompt-tokens gives ids");
    return o->chat ? chat_template_check(o, err) : PLIM_OK;
}

plim_status run_command(cli *c, plim_error *err)
{
    plim_model *model = NULL;
    cli_prompt prompt;
    plim_generate_options options;
    const char *text;
    size_t bytes;
    uint64_t positions;
    generation_options(&c->options, &options);
    plim_status status = check_chat(&c->options, err);
    if (status != PLIM_OK)
        return status;
    c->options.no_prompt |= c->options.chat; /* what the template made of it is nobody's text */
    status = prompt_read(c, &prompt, &text, &bytes, err);
    if (status == PLIM_OK)
        status = cli_check_name(c->options.names[0], err);
    if (status == PLIM_OK)
        status = cli_start(c, "loading", err);
    if (status == PLIM_OK)
        status = prompt_encode(c, &prompt, text, bytes, err);
    if (status == PLIM_OK && options.stop_count > 0 && !prompt.tokenizer)
        status =
            cli_fail(err, PLIM_E_USAGE, "--stop needs a tokenizer, and none lies beside the model");
    if (status == PLIM_OK)
        status = find_positions(c, &prompt, &options, &positions, err);
    if (status == PLIM_OK)
        status = cli_load(c, positions, &model, err);
    if (status == PLIM_OK) {
        plim_load_report load;
        plim_model_load_report(model, &load);
        double open_seconds = cli_now() - c->start - load.load_seconds;
        status = answer(c, &prompt, model, &options, open_seconds, err);
    }
    plim_model_close(&model);
    prompt_free(&prompt);
    return status;
}
