/* SPDX-License-Identifier: Apache-2.0
 *
 * The chat template of a command. */
#include "chat_template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fail.h"
#include "json_walk.h"

#define KEY_BYTES 256 /* of --set, with its NUL */

/* The bytes of KEY in KEY=JSON; 0 where it is no name. */
static size_t key_bytes(const char *set)
{
    static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    size_t n = strspn(set, word);
    return set[n] == '=' && !(set[0] >= '0' && set[0] <= '9') ? n : 0;
}

static bool same_key(const char *set, size_t n, const char *key)
{
    return strlen(key) == n && !memcmp(set, key, n);
}

static bool is_ours(const cli_options *o, const char *set, size_t n)
{
    if (o->context_file)
        return false;
    return same_key(set, n, "messages") || same_key(set, n, "add_generation_prompt") ||
           (o->tools && same_key(set, n, "tools"));
}

plim_status chat_template_check(const cli_options *o, plim_error *err)
{
    for (size_t i = 0; i < o->set.count; i++) {
        const char *set = o->set.text[i];
        size_t n = key_bytes(set), position;
        char kind;
        const char *message =
            n ? json_walk_check(set + n + 1, strlen(set + n + 1), &kind, &position) : "";
        if (n == 0)
            return cli_fail(err, PLIM_E_USAGE,
                            "--set: want KEY=JSON, as enable_thinking=false, found '%.60s'", set);
        if (n >= KEY_BYTES)
            return cli_fail(err, PLIM_E_USAGE, "--set: a KEY of over %d bytes: '%.60s...'",
                            KEY_BYTES - 1, set);
        if (message)
            return cli_fail(err, PLIM_E_USAGE,
                            "--set %.*s: want JSON (a text in double quotes), found '%.60s': byte "
                            "%zu: %s",
                            (int)n, set, set + n + 1, position, message);
        if (is_ours(o, set, n))
            return cli_fail(err, PLIM_E_USAGE, "--set: %.*s is set by the program itself", (int)n,
                            set);
        for (size_t k = 0; k < i; k++)
            if (key_bytes(o->set.text[k]) == n && !memcmp(o->set.text[k], set, n))
                return cli_fail(err, PLIM_E_USAGE, "--set: %.*s is given twice", (int)n, set);
    }
    return PLIM_OK;
}

void chat_template_set_json(cli_json *json, const cli_texts *set)
{
    for (size_t i = 0; i < set->count; i++) {
        char key[KEY_BYTES];
        size_t n = key_bytes(set->text[i]);
        snprintf(key, sizeof key, "%.*s", (int)n, set->text[i]); /* checked: it has room */
        json_key(json, key);
        json_raw(json, set->text[i] + n + 1, strlen(set->text[i] + n + 1));
    }
}

static void read_clock(chat_template *t)
{
    struct tm local;
    time_t now = time(NULL);
    if (!localtime_r(&now, &local))
        return;
    t->options.now = (int64_t)now;
    t->options.utc_offset_minutes = (int)(local.tm_gmtoff / 60);
    strncpy(t->zone, local.tm_zone ? local.tm_zone : "", sizeof t->zone - 1);
    t->options.zone = t->zone;
}

static bool is_jinja(const char *name)
{
    size_t n = name ? strlen(name) : 0;
    return n > 6 && !strcmp(name + n - 6, ".jinja");
}

/* USAGE for a name that no template bears. */
static plim_status check_name(const chat_template *t, plim_error *err)
{
    const char *wanted = t->options.template_name, *name;
    char names[256] = "";
    size_t used = 0;
    if (!wanted)
        return PLIM_OK;
    for (size_t i = 0; (name = plim_chat_template_name(t->chat, i)) != NULL; i++) {
        if (!strcmp(name, wanted))
            return PLIM_OK;
        int n = snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", name);
        used += n > 0 && (size_t)n < sizeof names - used ? (size_t)n : 0;
    }
    return cli_fail(err, PLIM_E_USAGE, "--template: there is no '%.60s', but: %s", wanted, names);
}

/* What helps a model that is there and has no template, said behind the error. */
static void advise(const cli *c, plim_error *err)
{
    char path[4096];
    plim_error why = *err, ignored;
    if (plim_resolve(path, sizeof path, c->options.names[0], &c->model, &ignored) != PLIM_OK ||
        is_jinja(path))
        return;
    cli_fail(err, why.code,
             c->command == CMD_TEMPLATE
                 ? "%s; --template FILE.jinja takes a template from elsewhere"
                 : "%s; a model that was not made for chats is for plimsoll run (without --chat), "
                   "and --template FILE.jinja takes a template from elsewhere",
             why.message);
    memcpy(err->file, why.file, sizeof err->file);
}

plim_status chat_template_open(chat_template *t, cli *c, plim_error *err)
{
    const cli_options *o = &c->options;
    const char *name = o->names[0];
    memset(t, 0, sizeof *t);
    plim_chat_options_init(&t->options);
    t->set = &o->set;
    read_clock(t);
    bool file = is_jinja(o->template_name);
    if (!file)
        t->options.template_name = o->template_name;
    plim_status status =
        file ? plim_chat_open_template(&t->chat, c->context, o->template_name, name, &c->model, err)
             : plim_chat_open(&t->chat, c->context, name, &c->model, err);
    if (status == PLIM_E_IO && !file)
        advise(c, err);
    if (status == PLIM_OK)
        status = check_name(t, err);
    if (status != PLIM_OK)
        chat_template_close(t);
    return status;
}

void chat_template_close(chat_template *t)
{
    plim_chat_close(&t->chat);
}

plim_status chat_template_encode(const chat_template *t, plim_tokenizer *tokenizer,
                                 const chat_talk *talk, size_t from, size_t to, int32_t **ids,
                                 size_t *count, plim_error *err)
{
    cli_bytes text = {0};
    cli_out out;
    cli_json json;
    *ids = NULL;
    *count = 0;
    out_open_memory(&out, &text);
    json_begin(&json, &out);
    json_object(&json);
    json_key(&json, "messages");
    chat_talk_json(&json, talk, from, to);
    json_put_bool(&json, "add_generation_prompt", true);
    chat_template_set_json(&json, t->set);
    json_object_end(&json);
    json_end(&json);
    plim_status status = out_end(&out, err);
    if (status == PLIM_OK)
        status = plim_chat_encode(t->chat, tokenizer, text.text, text.bytes, &t->options, ids,
                                  count, err);
    free(text.text);
    return status;
}
