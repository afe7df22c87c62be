/* SPDX-License-Identifier: Apache-2.0
 *
 * A turn of `plimsoll chat`. */
#include "chat_turn.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "environment.h"
#include "fail.h"
#include "generation.h"
#include "interrupt.h"
#include "values.h"

#define MOST_RESERVE 512 /* without -n: tokens of the context kept for an answer */

/* What a turn is made of. */
typedef struct turn {
    const char *said;
    size_t said_bytes;
    int32_t *ids; /* of the whole conversation */
    size_t count, kept, dropped;
    plim_generation *g;
} turn;

void chat_note(const chat_state *s, const char *format, ...)
{
    va_list args;
    bool dim = isatty(STDERR_FILENO) && environment_colour();
    if (s->c->options.quiet)
        return;
    va_start(args, format);
    fputs(dim ? "\033[2m" : "", stderr);
    vfprintf(stderr, format, args);
    fputs(dim ? "\033[0m\n" : "\n", stderr);
    va_end(args);
}

plim_status chat_turn_open(chat_state *s, plim_error *err)
{
    cli *c = s->c;
    uint32_t context = plim_model_context(s->model);
    generation_options(&c->options, &s->generate);
    /* generation_config.json's max_new_tokens wins over a max_length, and else this one is used up:
     * what comes back is a limit that somebody set, or the context. */
    plim_generate_options limit = s->generate;
    limit.max_length = context;
    plim_status status =
        plim_generate_count(&s->most, c->context, c->options.names[0], &c->model, &limit, 0, err);
    if (status != PLIM_OK)
        return status;
    if (c->options.max_new_tokens >= context)
        return cli_fail(err, PLIM_E_USAGE,
                        "-n %" PRId64 " leaves no room for a prompt: the context is %" PRIu32,
                        c->options.max_new_tokens, context);
    s->reserve = context / 4 < MOST_RESERVE ? context / 4 : MOST_RESERVE;
    s->reserve = s->reserve > 0 ? s->reserve : 1;
    if (c->options.max_new_tokens > 0 || s->most < s->reserve)
        s->reserve = s->most;
    s->held = malloc((size_t)context * sizeof *s->held);
    if (!s->held)
        return cli_fail(err, PLIM_E_NOMEM, "no memory for %" PRIu32 " token ids", context);
    return plim_session_open(&s->session, s->model, err);
}

void chat_turn_close(chat_state *s)
{
    plim_session_close(&s->session);
    free(s->held);
    s->held = NULL;
}

/* ---- the prompt ---- */

/* The message at which turn `number` begins, counted from the first behind the system message. */
static size_t turn_start(const chat_talk *talk, size_t number)
{
    size_t at = chat_talk_head(talk);
    while (number-- > 0)
        at = chat_talk_next_turn(talk, at);
    return at;
}

/* Encode the conversation without its `drop` oldest turns; *fits, and the turn has these ids then,
 * or *count of them were too many. */
static plim_status try_prompt(chat_state *s, turn *t, size_t drop, bool *fits, size_t *count,
                              plim_error *err)
{
    int32_t *ids;
    plim_status status =
        chat_template_encode(&s->chat_template, s->tokenizer, &s->talk, chat_talk_head(&s->talk),
                             turn_start(&s->talk, drop), &ids, count, err);
    *fits = status == PLIM_OK && *count + s->reserve <= plim_model_context(s->model);
    if (*fits) {
        plim_free(t->ids);
        t->ids = ids;
        t->count = *count;
    } else if (status == PLIM_OK) {
        plim_free(ids);
    }
    return status;
}

/* The ids of the conversation, without as many of its oldest turns as it takes to fit.  A try
 * renders and encodes all that is left, so there are few: the number of turns doubles until it is
 * enough, and the least that is enough is found by halving.  Fewer messages make no more ids. */
static plim_status find_prompt(chat_state *s, turn *t, plim_error *err)
{
    size_t head = chat_talk_head(&s->talk), last = 0, few = 0, enough = 0, count;
    bool fits = false;
    for (size_t at = head; (at = chat_talk_next_turn(&s->talk, at)) < s->talk.count;)
        last++;
    plim_status status = try_prompt(s, t, 0, &fits, &count, err);
    while (status == PLIM_OK && !fits && enough < last) {
        few = enough;
        enough = enough == 0 ? 1 : enough < last / 2 ? 2 * enough : last;
        status = try_prompt(s, t, enough, &fits, &count, err);
    }
    if (status == PLIM_OK && !fits)
        return cli_fail(err, PLIM_E_LIMIT,
                        "the message does not fit: it makes a prompt of %zu tokens, the "
                        "context is %" PRIu32 ", and %zu of it are for the answer (--context, -n)",
                        count, plim_model_context(s->model), s->reserve);
    while (status == PLIM_OK && enough - few > 1) {
        size_t middle = few + (enough - few) / 2;
        status = try_prompt(s, t, middle, &fits, &count, err);
        *(fits ? &enough : &few) = middle;
    }
    if (status != PLIM_OK)
        return status;
    size_t to = turn_start(&s->talk, enough);
    if (t->count == 0)
        return cli_fail(err, PLIM_E_FORMAT, "the chat template gives an empty prompt");
    t->dropped = to - head;
    chat_talk_cut(&s->talk, head, to);
    if (t->dropped > 0)
        chat_note(s, "The context is full: the %zu oldest messages are forgotten.", t->dropped);
    return PLIM_OK;
}

/* Keep of the session what the prompt begins with.  At least one token is computed: its scores are
 * those that the answer begins with. */
static plim_status keep_prefix(chat_state *s, turn *t, plim_error *err)
{
    size_t length = plim_session_length(s->session), same = 0;
    while (same < length && same + 1 < t->count && s->held[same] == t->ids[same])
        same++;
    t->kept = same;
    return plim_session_truncate(s->session, same, err);
}

/* ---- the answer ---- */

static int on_token(void *user, const plim_token_event *event)
{
    chat_state *s = user;
    if (!s->c->options.json) {
        out_write(&s->c->out, event->text, event->text_bytes);
        out_flush(&s->c->out);
    }
    return interrupt_seen() || out_broken(&s->c->out);
}

/* What the session holds after a generation. */
static void note_held(chat_state *s, const turn *t)
{
    size_t length = plim_session_length(s->session), prompt = t->count;
    for (size_t i = t->kept; i < length && i < prompt; i++)
        s->held[i] = t->ids[i];
    for (size_t i = prompt; t->g && i < length && i - prompt < t->g->token_count; i++)
        s->held[i] = t->g->tokens[i - prompt];
}

static plim_status generate(chat_state *s, turn *t, plim_error *err)
{
    size_t left = plim_model_context(s->model) - t->count;
    plim_generate_options options = s->generate;
    plim_status status = keep_prefix(s, t, err);
    options.max_new_tokens = (int64_t)(s->most < left ? s->most : left);
    options.on_token = on_token;
    options.user = s;
    /* Twice where a Ctrl-C came when the former answer had ended already: that one is for nobody.
     */
    for (int i = 0; status == PLIM_OK && i < 2; i++) {
        size_t from = plim_session_length(s->session);
        plim_generation_free(&t->g);
        options.earlier = t->ids;
        options.earlier_count = from;
        interrupt_watch(s->session);
        status = plim_session_generate(&t->g, s->session, s->tokenizer, t->ids + from,
                                       t->count - from, &options, err);
        interrupt_watch(NULL);
        if (interrupt_seen() || !t->g || t->g->token_count > 0 ||
            t->g->finish != PLIM_FINISH_INTERRUPTED)
            break;
    }
    note_held(s, t);
    return status;
}

/* ---- what is told about it ---- */

static void turn_json(chat_state *s, const turn *t)
{
    cli_json *json = &s->json;
    json_object(json);
    json_key(json, "user");
    json_bytes(json, t->said, t->said_bytes);
    json_put_ids(json, "prompt_tokens", t->ids, t->count);
    json_put_u64(json, "kept", t->kept);
    json_put_u64(json, "dropped_messages", t->dropped);
    json_put_ids(json, "tokens", t->g->tokens, t->g->token_count);
    json_key(json, "text");
    json_bytes(json, t->g->text, t->g->text_bytes);
    json_put_text(json, "finish_reason", plim_finish_name(t->g->finish));
    json_key(json, "timing");
    json_object(json);
    generation_timing_json(json, t->g);
    json_object_end(json);
    json_object_end(json);
}

static void failed_json(chat_state *s, const turn *t, const plim_error *err)
{
    json_object(&s->json);
    json_key(&s->json, "user");
    json_bytes(&s->json, t->said, t->said_bytes);
    cli_error_json(&s->json, err);
    json_object_end(&s->json);
}

static void tell_speed(const chat_state *s, const turn *t)
{
    const plim_generation *g = t->g;
    plim_process_memory process;
    plim_error ignored;
    char now[24], peak[24], line[24], memory[96] = "", speed[32] = "";
    if (g->token_count > 1)
        snprintf(speed, sizeof speed, ", %.1f/s",
                 per_second(g->token_count - 1, g->decode_seconds));
    if (plim_process_memory_read(&process, &ignored) == PLIM_OK) {
        text_of_bytes(now, sizeof now, process.rss);
        text_of_bytes(peak, sizeof peak, process.peak);
        text_of_bytes(line, sizeof line, s->c->limit);
        snprintf(memory, sizeof memory, "; memory %s, peak %s%s%s", now, peak,
                 s->c->limit ? " of " : "", s->c->limit ? line : "");
    }
    chat_note(s, "%zu token%s%s%s; prompt %zu new, %zu kept%s", g->token_count,
              g->token_count == 1 ? "" : "s", speed,
              g->finish == PLIM_FINISH_INTERRUPTED ? " (stopped)"
              : g->finish == PLIM_FINISH_LENGTH    ? " (cut short)"
                                                   : "",
              t->count - t->kept, t->kept, memory);
}

/* A generation is there: its text becomes a message, and the turn is told.  An answer of which not
 * a word was said is none: the message to it goes too. */
static plim_status finish(chat_state *s, turn *t, size_t said_at, plim_error *err)
{
    const plim_generation *g = t->g;
    plim_status status = PLIM_OK;
    if (s->c->options.json) {
        turn_json(s, t);
    } else {
        if (g->token_count > 0)
            out_text(&s->c->out, "\n");
        out_flush(&s->c->out);
    }
    if (g->finish == PLIM_FINISH_INTERRUPTED && g->text_bytes == 0) {
        chat_talk_cut(&s->talk, said_at, s->talk.count);
        if (s->talks)
            fputs("\n", stderr); /* behind the terminal's own ^C */
        chat_note(s, "Stopped before an answer: the message is taken back.");
        return PLIM_OK;
    }
    status = chat_talk_add(&s->talk, "assistant", g->text, g->text_bytes, err);
    tell_speed(s, t);
    return status;
}

/* The wish to stop: of this answer only, or of the program. */
static plim_status heed_interrupt(chat_state *s, bool *ends, plim_error *err)
{
    if (!interrupt_seen())
        return PLIM_OK;
    if (s->talks && interrupt_forget()) {
        if (s->c->out.errnum == EINTR) /* a write to the terminal was waiting */
            s->c->out.errnum = 0;
        return PLIM_OK;
    }
    *ends = true;
    return cli_fail(err, PLIM_E_CANCELLED, "interrupted");
}

plim_status chat_turn_say(chat_state *s, const char *text, size_t bytes, bool *ends,
                          plim_error *err)
{
    turn t = {.said = text, .said_bytes = bytes};
    *ends = false;
    plim_status status = chat_talk_add(&s->talk, "user", text, bytes, err);
    if (status != PLIM_OK) {
        *ends = true;
        return status;
    }
    status = find_prompt(s, &t, err);
    size_t said_at = s->talk.count - 1;
    if (status == PLIM_OK) {
        status = generate(s, &t, err);
        *ends = status != PLIM_OK && status != PLIM_E_USAGE; /* an id beyond the vocabulary */
    }
    plim_error why = *err;
    plim_status failed = status;
    if (t.g)
        status = finish(s, &t, said_at, err);
    else
        chat_talk_cut(&s->talk, said_at, s->talk.count);
    if (failed != PLIM_OK) {
        if (s->c->options.json && !t.g)
            failed_json(s, &t, &why);
        *err = why;
        status = failed;
    }
    if (status == PLIM_OK)
        status = heed_interrupt(s, ends, err);
    plim_generation_free(&t.g);
    plim_free(t.ids);
    return status;
}
