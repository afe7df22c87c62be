/* SPDX-License-Identifier: Apache-2.0
 *
 * plimsoll template: messages, or a whole context, to the text that the chat template gives. */
#include <stdlib.h>
#include <string.h>

#include "chat_template.h"
#include "cli.h"
#include "fail.h"
#include "files.h"
#include "json_walk.h"

#define CONTEXT_BYTES ((size_t)64 << 20) /* what the library takes */

/* A file of JSON. */
typedef struct json_file {
    char *text;
    size_t bytes;
} json_file;

/* "-" is standard input.  FORMAT where it is no JSON, or none that begins with `kind`. */
static plim_status read_json(json_file *file, const char *path, char kind, plim_error *err)
{
    const char *name = strcmp(path, "-") != 0 ? path : NULL;
    char found;
    size_t position;
    plim_status status = file_read_most(name, CONTEXT_BYTES, &file->text, &file->bytes, err);
    if (status != PLIM_OK)
        return status;
    const char *message = json_walk_check(file->text, file->bytes, &found, &position);
    if (!message && found != kind) {
        message = kind == '{' ? "want an object" : "want an array";
        position = 0;
    }
    if (!message)
        return PLIM_OK;
    return cli_fail_file(err, PLIM_E_FORMAT, name ? name : "standard input", (int64_t)position,
                         "byte %zu: %s", position, message);
}

static plim_status check_usage(const cli_options *o, plim_error *err)
{
    if (!o->messages == !o->context_file)
        return cli_fail(err, PLIM_E_USAGE, "want one of --messages and --context%s",
                        o->messages ? ", found both" : "");
    if (o->context_file && (o->tools || o->no_generation_prompt))
        return cli_fail(err, PLIM_E_USAGE, "--%s goes with --messages; a --context holds its own",
                        o->tools ? "tools" : "no-generation-prompt");
    if (o->messages && o->tools && !strcmp(o->messages, "-") && !strcmp(o->tools, "-"))
        return cli_fail(err, PLIM_E_USAGE, "only one of --messages and --tools can be -");
    return chat_template_check(o, err);
}

/* The object of --context as it is, with the members of --set before its end: the last of two that
 * bear the same name counts. */
static void write_context(cli_out *out, const json_file *context, const cli_texts *set)
{
    size_t end = context->bytes;
    while (context->text[end - 1] != '}')
        end--;
    json_walk walk = {context->text, context->bytes, 0, NULL};
    json_walk_take(&walk, '{');
    bool empty = json_walk_peek(&walk) == '}';
    out_write(out, context->text, end - 1);
    if (set->count > 0) {
        cli_bytes members = {0};
        cli_out own;
        cli_json json;
        out_open_memory(&own, &members);
        json_begin(&json, &own);
        json_object(&json);
        chat_template_set_json(&json, set);
        json_object_end(&json);
        out_flush(&own);
        out->errnum = own.errnum ? own.errnum : out->errnum;
        out_text(out, empty ? "" : ",");
        if (members.bytes > 2)
            out_write(out, members.text + 1, members.bytes - 2); /* without its braces */
        free(members.text);
    }
    out_text(out, "}");
}

static void write_messages(cli_out *out, const cli_options *o, const json_file *messages,
                           const json_file *tools)
{
    cli_json json;
    json_begin(&json, out);
    json_object(&json);
    json_key(&json, "messages");
    json_raw(&json, messages->text, messages->bytes);
    if (o->tools) {
        json_key(&json, "tools");
        json_raw(&json, tools->text, tools->bytes);
    }
    json_put_bool(&json, "add_generation_prompt", !o->no_generation_prompt);
    chat_template_set_json(&json, &o->set);
    json_object_end(&json);
    json_end(&json);
}

/* The whole context as JSON into *text. */
static plim_status build_context(const cli_options *o, cli_bytes *text, plim_error *err)
{
    json_file main_file = {NULL, 0}, tools = {NULL, 0};
    cli_out out;
    plim_status status = o->messages ? read_json(&main_file, o->messages, '[', err)
                                     : read_json(&main_file, o->context_file, '{', err);
    if (status == PLIM_OK && o->tools)
        status = read_json(&tools, o->tools, '[', err);
    if (status == PLIM_OK) {
        out_open_memory(&out, text);
        if (o->messages)
            write_messages(&out, o, &main_file, &tools);
        else
            write_context(&out, &main_file, &o->set);
        status = out_end(&out, err);
    }
    free(main_file.text);
    free(tools.text);
    return status;
}

/* The name of the template that is taken where the options name none. */
static const char *taken_template(const chat_template *t, const cli_bytes *context)
{
    json_range tools;
    if (t->options.template_name)
        return t->options.template_name;
    bool has = json_walk_find(context->text, context->bytes, "tools", &tools) &&
               context->text[tools.begin] != 'n'; /* null */
    const char *name;
    for (size_t i = 0; has && (name = plim_chat_template_name(t->chat, i)) != NULL; i++)
        if (!strcmp(name, "tool_use"))
            return name;
    return "default";
}

static void write_answer(cli *c, const chat_template *t, const cli_bytes *context, const char *text,
                         size_t bytes)
{
    cli_json json;
    if (!c->options.json) {
        out_write(&c->out, text, bytes);
        return;
    }
    json_begin(&json, &c->out);
    json_object(&json);
    json_key(&json, "text");
    json_bytes(&json, text, bytes);
    json_put_text(&json, "template", taken_template(t, context));
    json_object_end(&json);
    json_end(&json);
    c->answered = true;
}

plim_status template_command(cli *c, plim_error *err)
{
    chat_template t = {0};
    cli_bytes context = {0};
    char *text = NULL;
    size_t bytes = 0;
    plim_status status = check_usage(&c->options, err);
    if (status == PLIM_OK)
        status = build_context(&c->options, &context, err);
    if (status == PLIM_OK)
        status = cli_check_name(c->options.names[0], err);
    if (status == PLIM_OK)
        status = cli_start(c, "reading", err);
    if (status == PLIM_OK)
        status = chat_template_open(&t, c, err);
    if (status == PLIM_OK)
        status = plim_chat_render(t.chat, context.text, context.bytes, &t.options, &text, &bytes,
                                  NULL, NULL, err);
    if (status == PLIM_OK)
        write_answer(c, &t, &context, text, bytes);
    plim_free(text);
    free(context.text);
    chat_template_close(&t);
    return status;
}
