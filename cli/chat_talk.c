/* SPDX-License-Identifier: Apache-2.0
 *
 * A conversation. */
#include "chat_talk.h"

#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "files.h"
#include "json_in.h"
#include "json_walk.h"

void chat_talk_free(chat_talk *talk)
{
    chat_talk_cut(talk, 0, talk->count);
    free(talk->messages);
    *talk = (chat_talk){0};
}

static plim_status fill(chat_message *m, const char *role, const char *text, size_t bytes,
                        plim_error *err)
{
    *m = (chat_message){.bytes = bytes};
    strncpy(m->role, role, sizeof m->role - 1);
    m->content = malloc(bytes + 1);
    if (!m->content)
        return cli_fail(err, PLIM_E_NOMEM, "no memory for a message of %zu bytes", bytes);
    if (bytes > 0)
        memcpy(m->content, text, bytes);
    m->content[bytes] = '\0';
    return PLIM_OK;
}

/* Room for one more. */
static plim_status make_room(chat_talk *talk, plim_error *err)
{
    if (talk->count < talk->cap)
        return PLIM_OK;
    size_t cap = talk->cap + talk->cap / 2 + 16;
    chat_message *grown = realloc(talk->messages, cap * sizeof *grown);
    if (!grown)
        return cli_fail(err, PLIM_E_NOMEM, "no memory for %zu messages", cap);
    talk->messages = grown;
    talk->cap = cap;
    return PLIM_OK;
}

plim_status chat_talk_add(chat_talk *talk, const char *role, const char *text, size_t bytes,
                          plim_error *err)
{
    plim_status status = make_room(talk, err);
    if (status == PLIM_OK)
        status = fill(&talk->messages[talk->count], role, text, bytes, err);
    talk->count += status == PLIM_OK;
    return status;
}

size_t chat_talk_head(const chat_talk *talk)
{
    return talk->count > 0 && !strcmp(talk->messages[0].role, "system");
}

plim_status chat_talk_set_system(chat_talk *talk, const char *text, plim_error *err)
{
    chat_message message;
    plim_status status = make_room(talk, err);
    if (status == PLIM_OK)
        status = fill(&message, "system", text, strlen(text), err);
    if (status != PLIM_OK)
        return status;
    chat_talk_cut(talk, 0, chat_talk_head(talk));
    if (message.bytes == 0) {
        free(message.content);
        return PLIM_OK;
    }
    memmove(talk->messages + 1, talk->messages, talk->count * sizeof *talk->messages);
    talk->messages[0] = message;
    talk->count++;
    return PLIM_OK;
}

void chat_talk_cut(chat_talk *talk, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        free(talk->messages[i].content);
    if (to > from)
        memmove(talk->messages + from, talk->messages + to,
                (talk->count - to) * sizeof *talk->messages);
    talk->count -= to - from;
}

size_t chat_talk_next_turn(const chat_talk *talk, size_t at)
{
    do
        at++;
    while (at < talk->count && strcmp(talk->messages[at].role, "user") != 0);
    return at < talk->count ? at : talk->count;
}

void chat_talk_json(cli_json *json, const chat_talk *talk, size_t from, size_t to)
{
    json_array(json);
    for (size_t i = 0; i < talk->count; i++) {
        const chat_message *m = &talk->messages[i];
        if (i >= from && i < to)
            continue;
        json_object(json);
        json_put_text(json, "role", m->role);
        json_key(json, "content");
        json_bytes(json, m->content, m->bytes);
        json_object_end(json);
    }
    json_array_end(json);
}

plim_status chat_talk_save(const chat_talk *talk, const char *path, plim_error *err)
{
    result_file file;
    cli_json json;
    plim_status status = result_open(&file, path, 0600, err);
    if (status != PLIM_OK)
        return status;
    json_begin(&json, &file.out);
    chat_talk_json(&json, talk, 0, 0);
    json_end(&json);
    return result_commit(&file, err);
}

/* ---- reading ---- */

typedef struct reading {
    char *text;
    json_walk walk;
    const char *path;
    chat_talk *talk;
} reading;

static plim_status bad(const reading *r, size_t at, const char *message, plim_error *err)
{
    return cli_fail_file(err, PLIM_E_FORMAT, r->path, (int64_t)at, "byte %zu: %s", at, message);
}

/* The string at `value`, unescaped in place. */
static plim_status take_string(reading *r, json_range value, const char **text, size_t *bytes,
                               plim_error *err)
{
    size_t start, position;
    const char *message =
        json_in_string(r->text + value.begin, value.end - value.begin, &start, bytes, &position);
    if (message)
        return bad(r, value.begin + position, message, err);
    *text = r->text + value.begin + start;
    return PLIM_OK;
}

/* {"role": "...", "content": "..."} at `value`. */
static plim_status take_message(reading *r, json_range value, plim_error *err)
{
    json_walk w = {r->text, value.end, value.begin, NULL};
    json_range key, each, role = {0, 0}, content = {0, 0};
    const char *text = "", *name = "";
    size_t bytes = 0, name_bytes = 0;
    char word[32] = "";
    if (!json_walk_take(&w, '{'))
        return bad(r, w.at, "want a message, {\"role\": ..., \"content\": ...}", err);
    for (bool first = true; json_walk_member(&w, first, &key, &each); first = false) {
        size_t n = key.end - key.begin;
        if (n == 6 && !memcmp(r->text + key.begin, "\"role\"", n))
            role = each;
        else if (n == 9 && !memcmp(r->text + key.begin, "\"content\"", n))
            content = each;
        else
            return bad(r, key.begin, "chat keeps role and content of a message, nothing else", err);
    }
    if (role.end == 0 || content.end == 0)
        return bad(r, value.begin, "a message wants role and content", err);
    plim_status status = take_string(r, role, &name, &name_bytes, err);
    if (status != PLIM_OK)
        return status;
    if (name_bytes == 0 || name_bytes >= sizeof word || memchr(name, '\0', name_bytes))
        return bad(r, role.begin, "want a role of 1 to 31 bytes", err);
    memcpy(word, name, name_bytes);
    status = take_string(r, content, &text, &bytes, err);
    return status == PLIM_OK ? chat_talk_add(r->talk, word, text, bytes, err) : status;
}

static plim_status take_all(reading *r, plim_error *err)
{
    size_t position;
    char kind;
    const char *message = json_walk_check(r->walk.text, r->walk.bytes, &kind, &position);
    if (message)
        return bad(r, position, message, err);
    if (!json_walk_take(&r->walk, '['))
        return bad(r, r->walk.at, "want an array of messages", err);
    json_range value;
    plim_status status = PLIM_OK;
    for (bool first = true; status == PLIM_OK && json_walk_element(&r->walk, first, &value);
         first = false)
        status = take_message(r, value, err);
    return status;
}

plim_status chat_talk_load(chat_talk *talk, const char *path, plim_error *err)
{
    chat_talk read = {0};
    char *text = NULL;
    size_t bytes;
    plim_status status = file_read_most(path, CLI_MAX_CHAT, &text, &bytes, err);
    if (status != PLIM_OK)
        return status;
    reading r = {text, {text, bytes, 0, NULL}, path, &read};
    status = take_all(&r, err);
    if (status == PLIM_OK) {
        chat_talk_free(talk);
        *talk = read;
    } else {
        chat_talk_free(&read);
    }
    free(text);
    return status;
}
