/* SPDX-License-Identifier: Apache-2.0
 *
 * plimsoll chat: a conversation with a model, its commands, and how it ends. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat_input.h"
#include "chat_turn.h"
#include "fail.h"
#include "interrupt.h"
#include "report.h"

static const char help_text[] =
    "A line is a message.  A line that ends in a backslash goes on in the next one; a text of\n"
    "several lines, or one that begins with a slash, stands between \"\"\" and \"\"\".\n"
    "\n"
    "  /reset         forget the conversation; the system message stays\n"
    "  /system TEXT   another system message; without a TEXT: none\n"
    "  /save FILE     write the conversation, JSON messages\n"
    "  /load FILE     go on from such a file\n"
    "  /help          this text\n"
    "  /quit          the end, as Ctrl-D\n";

void chat_help(cli_out *out)
{
    out_text(out, "\n");
    out_text(out, help_text);
    out_text(
        out,
        "\n"
        "Ctrl-C stops an answer, at the prompt it clears the line, and twice it ends the\n"
        "program (exit 130).  Without a terminal each line of standard input is a message, and\n"
        "an interrupt ends the program; where a turn failed the exit code is that of the\n"
        "first failure.  When the context is full the oldest turns after the system message\n"
        "go: an answer has room for -n tokens, without -n for a quarter of the context, at\n"
        "most 512.  With --json one object comes at the end of standard input, its \"turns\"\n"
        "with the members of run's.\n");
}

/* The first failure of a turn or a command; the program went on. */
typedef struct failures {
    size_t count;
    plim_error first;
} failures;

static void tell_failure(failures *f, plim_status status, plim_error *err)
{
    err->code = status;
    if (f->count++ == 0)
        f->first = *err;
    fprintf(stderr, "plimsoll chat: %s: %s\n", plim_status_name(status), err->message);
}

/* ---- commands ---- */

/* What follows the command's name, blanks around it left out. */
static char *argument_of(char *text, size_t name_bytes)
{
    char *from = text + name_bytes;
    from += strspn(from, " \t\n");
    size_t n = strlen(from);
    while (n > 0 && strchr(" \t\n", from[n - 1]))
        from[--n] = '\0';
    return from;
}

static plim_status with_file(chat_state *s, const char *name, const char *path, plim_error *err)
{
    bool save = !strcmp(name, "/save");
    if (!*path)
        return cli_fail(err, PLIM_E_USAGE, "%s wants a FILE", name);
    plim_status status =
        save ? chat_talk_save(&s->talk, path, err) : chat_talk_load(&s->talk, path, err);
    if (status == PLIM_OK)
        chat_note(s, "%zu message%s %s.", s->talk.count, s->talk.count == 1 ? "" : "s",
                  save ? "saved" : "loaded");
    else if (interrupt_seen()) /* the error is what that made of a call */
        status = cli_fail(err, PLIM_E_CANCELLED, "%s was interrupted", name);
    return status;
}

static plim_status do_command(chat_state *s, const char *text, bool *quit, plim_error *err)
{
    size_t n = strcspn(text, " \t\n");
    char name[16] = "", *own = strdup(text);
    plim_status status = PLIM_OK;
    if (!own)
        return cli_fail(err, PLIM_E_NOMEM, "no memory for a command");
    const char *argument = argument_of(own, n);
    if (n < sizeof name)
        memcpy(name, text, n);
    if (!strcmp(name, "/quit") || !strcmp(name, "/exit")) {
        *quit = true;
    } else if (!strcmp(name, "/help")) {
        fputs(help_text, stderr);
    } else if (!strcmp(name, "/reset")) {
        chat_talk_cut(&s->talk, chat_talk_head(&s->talk), s->talk.count);
        chat_note(s, "The conversation is forgotten.");
    } else if (!strcmp(name, "/system")) {
        status = chat_talk_set_system(&s->talk, argument, err);
        if (status == PLIM_OK)
            chat_note(s, *argument ? "The system message is another one."
                                   : "There is no system message.");
    } else if (!strcmp(name, "/save") || !strcmp(name, "/load")) {
        status = with_file(s, name, argument, err);
    } else {
        status = cli_fail(err, PLIM_E_USAGE, "unknown command '%.60s'; /help lists them", text);
    }
    free(own);
    return status;
}

/* A Ctrl-C while a command ran is none at the prompt; where it may not be forgotten the program
 * ends. */
static plim_status heard_command(chat_state *s, const char *text, bool *ends, plim_error *err)
{
    plim_status status = do_command(s, text, ends, err);
    bool forgotten = s->talks && interrupt_forget();
    if (status == PLIM_E_CANCELLED && !forgotten)
        *ends = true;
    return status;
}

/* ---- the conversation ---- */

/* A signal at the prompt: Ctrl-C twice, or another one, ends the program. */
static plim_status heed_break(const chat_state *s, size_t typed, unsigned *breaks, plim_error *err)
{
    fputs("\n", stderr);
    *breaks = typed > 0 ? 1 : *breaks + 1; /* one that cleared a line is the first */
    if (!interrupt_forget() || *breaks > 1)
        return cli_fail(err, PLIM_E_CANCELLED, "interrupted");
    chat_note(s, "Ctrl-C again ends, as Ctrl-D and /quit.");
    return PLIM_OK;
}

static plim_status converse(chat_state *s, chat_input *input, failures *f, plim_error *err)
{
    unsigned breaks = 0;
    bool ends = false;
    while (!ends && !out_broken(&s->c->out)) {
        const char *text;
        size_t bytes = 0;
        chat_heard heard;
        plim_status status = chat_input_next(input, &heard, &text, &bytes, err);
        if (status == PLIM_E_LIMIT) { /* too long, and read over */
            tell_failure(f, status, err);
            continue;
        }
        if (heard == HEARD_END && s->talks)
            fputs("\n", stderr);
        if (status != PLIM_OK || heard == HEARD_END)
            return status;
        if (heard == HEARD_BREAK) {
            status = heed_break(s, bytes, &breaks, err);
            if (status != PLIM_OK)
                return status;
            continue;
        }
        breaks = 0;
        if (heard == HEARD_COMMAND)
            status = heard_command(s, text, &ends, err);
        else
            status = chat_turn_say(s, text, bytes, &ends, err);
        out_flush(&s->c->out);
        if (ends)
            return status;
        if (status != PLIM_OK)
            tell_failure(f, status, err);
    }
    return PLIM_OK;
}

static void begin_json(chat_state *s)
{
    cli_json *json = &s->json;
    json_begin(json, &s->c->out);
    json_object(json);
    json_put_text(json, "model", s->c->options.names[0]);
    json_put_text(json, "model_type", plim_model_type(s->model));
    json_put_u64(json, "parameters", plim_model_num_parameters(s->model));
    json_put_text(json, "dtype", plim_dtype_torch_name(plim_model_dtype(s->model)));
    json_put_u64(json, "context", plim_model_context(s->model));
    json_key(json, "turns");
    json_array(json);
}

static void end_json(chat_state *s, const memory_report *report, const plim_error *failed)
{
    cli_json *json = &s->json;
    json_array_end(json);
    json_key(json, "messages");
    chat_talk_json(json, &s->talk, 0, 0);
    report_json(json, s->model, report);
    if (failed)
        cli_error_json(json, failed);
    json_object_end(json);
    json_end(json);
    s->c->answered = true;
}

/* From loaded model to the last word. */
static plim_status chat(chat_state *s, chat_input *input, plim_error *err)
{
    failures f = {0};
    memory_report report;
    plim_error ignored;
    plim_status status = chat_turn_open(s, err);
    if (status != PLIM_OK)
        return status;
    s->talks = chat_input_talks(input);
    if (s->talks)
        chat_note(s,
                  "Talking with %s, %" PRIu32 " tokens of context; /help lists what else "
                  "there is.",
                  s->c->options.names[0], plim_model_context(s->model));
    if (s->c->options.json)
        begin_json(s);
    interrupt_spare(s->talks);
    status = converse(s, input, &f, err);
    interrupt_spare(false);
    if (status == PLIM_OK && f.count > 0 && !s->talks) {
        status = cli_fail(err, f.first.code,
                          f.count == 1 ? "%zu turn or command failed: %s"
                                       : "%zu turns or commands failed, the "
                                         "first: %s",
                          f.count, f.first.message);
    }
    if (s->c->options.json) {
        (void)report_gather(&report, s->c->context, s->model, &ignored);
        err->code = status;
        end_json(s, &report, status == PLIM_OK ? NULL : err);
    }
    return status;
}

plim_status chat_command(cli *c, plim_error *err)
{
    chat_state s = {.c = c};
    chat_input *input = NULL;
    plim_status status = chat_template_check(&c->options, err);
    if (status == PLIM_OK)
        status = cli_check_name(c->options.names[0], err);
    if (status == PLIM_OK)
        status = chat_input_open(&input, c, err);
    if (status == PLIM_OK)
        status = cli_start(c, "loading", err);
    if (status == PLIM_OK)
        status = chat_template_open(&s.chat_template, c, err);
    if (status == PLIM_OK)
        status = plim_tokenizer_open(&s.tokenizer, c->context, c->options.names[0], &c->model, err);
    if (status == PLIM_OK && c->options.system)
        status = chat_talk_set_system(&s.talk, c->options.system, err);
    if (status == PLIM_OK)
        status = cli_load(c, 0, &s.model, err);
    if (status == PLIM_OK)
        status = chat(&s, input, err);
    chat_turn_close(&s);
    plim_model_close(&s.model);
    plim_tokenizer_close(&s.tokenizer);
    chat_template_close(&s.chat_template);
    chat_talk_free(&s.talk);
    chat_input_close(&input, c);
    return status;
}
