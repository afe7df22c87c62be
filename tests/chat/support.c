/* SPDX-License-Identifier: Apache-2.0
 *
 * Templates from memory and JSON lines, for the tests of chat/. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "chat/support.h"

const plim_chat_time chat_now = {.year = 2024,
                                 .month = 7,
                                 .day = 26,
                                 .hour = 13,
                                 .minute = 5,
                                 .second = 9,
                                 .weekday = 5,
                                 .yearday = 207};

plim_status chat_open_text(plim_templates **out, const plim_alloc *alloc, const char *text,
                           size_t bytes, plim_error *err)
{
    plim_templates *t = plim_new(alloc, 1, sizeof *t, err);
    *out = NULL;
    if (!t)
        return err->code;
    t->alloc = alloc;
    plim_arena_init(&t->arena, alloc);
    plim_status status = plim_names_init(&t->names, &t->arena, err);
    if (!status)
        status = plim_templates_add(t, "default", "snippet", text, bytes, err);
    if (status)
        plim_templates_close(&t);
    *out = t;
    return status;
}

plim_status chat_render(const plim_templates *templates, const plim_alloc *alloc,
                        const char *context, size_t bytes, plim_chat_text *out, plim_error *err)
{
    plim_chat_request request = {.context = context, .context_bytes = bytes, .now = &chat_now};
    return plim_templates_render(templates, alloc, &request, out, err);
}

bool chat_read_line(FILE *file, char **line, size_t *cap, size_t *bytes)
{
    ssize_t n = getline(line, cap, file);
    if (n <= 0)
        return false;
    *bytes = (size_t)n - ((*line)[n - 1] == '\n');
    (*line)[*bytes] = 0;
    return true;
}

static plim_status take(plim_json *json, const plim_alloc *alloc, char **out, size_t *bytes,
                        plim_error *err)
{
    PLIM_TRY(plim_json_expect(json, PLIM_JSON_STRING, "a member", err));
    const char *text = plim_json_text(json, bytes);
    plim_delete(alloc, *out);
    *out = plim_new(alloc, *bytes + 1, 1, err);
    if (!*out)
        return err->code;
    memcpy(*out, text, *bytes);
    return PLIM_OK;
}

static plim_status read_members(plim_json *json, chat_case *c, const plim_alloc *alloc,
                                const char *line, size_t bytes, plim_error *err)
{
    plim_json_event event;
    size_t error_bytes;
    PLIM_TRY(plim_json_expect(json, PLIM_JSON_OBJECT, "a line", err));
    for (;;) {
        PLIM_TRY(plim_json_next(json, &event, err));
        if (event != PLIM_JSON_KEY)
            return plim_json_fail(json, err, PLIM_E_FORMAT, "no context");
        if (plim_json_text_is(json, "template")) {
            PLIM_TRY(take(json, alloc, &c->template, &c->template_bytes, err));
        } else if (plim_json_text_is(json, "expected")) {
            PLIM_TRY(take(json, alloc, &c->expected, &c->expected_bytes, err));
        } else if (plim_json_text_is(json, "error")) {
            PLIM_TRY(take(json, alloc, &c->error, &error_bytes, err));
        } else if (plim_json_text_is(json, "context")) {
            PLIM_TRY(plim_json_next(json, &event, err));
            size_t from = (size_t)plim_json_offset(json);
            c->context = line + from;
            c->context_bytes = bytes - from - 1;
            return PLIM_OK;
        } else {
            PLIM_TRY(plim_json_skip(json, err));
        }
    }
}

plim_status chat_read_case(chat_case *out, const plim_alloc *alloc, const char *line, size_t bytes,
                           plim_error *err)
{
    plim_json *json;
    plim_json_limits limits = {.depth = 128, .keep_duplicates = true};
    *out = (chat_case){0};
    PLIM_TRY(plim_json_open_memory(&json, alloc, line, bytes, "line", &limits, err));
    plim_status status = read_members(json, out, alloc, line, bytes, err);
    plim_json_close(&json);
    return status;
}

void chat_free_case(chat_case *c, const plim_alloc *alloc)
{
    plim_delete(alloc, c->template);
    plim_delete(alloc, c->expected);
    plim_delete(alloc, c->error);
}

void chat_print_text(const char *text, size_t bytes)
{
    putchar('"');
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7F)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}
