/* SPDX-License-Identifier: Apache-2.0
 *
 * One render: the caller's context made ready as Transformers' apply_chat_template does it, the
 * template run, its text cut where the final message is to be continued, and the marks made into
 * ranges. */
#include <string.h>

#include "chat/run.h"
#include "chat/templates.h"

#define TAG "CONTINUE_FINAL_MESSAGE_TAG "

typedef struct continuing {
    bool on;
    const plim_str *text; /* of the final message */
} continuing;

/* ---- memory with a cap ---- */

static plim_status over_memory(plim_run *run, plim_error *err)
{
    return plim_fail_at(err, PLIM_E_LIMIT, (plim_where){run->file, NULL, -1},
                        "line %u: the template takes more than %zu bytes of memory", run->line,
                        (size_t)PLIM_CHAT_MEMORY_BYTES);
}

static void *counted_alloc(const plim_alloc *self, size_t bytes, plim_error *err)
{
    plim_run *run = self->user;
    if (bytes > PLIM_CHAT_MEMORY_BYTES - run->held) {
        over_memory(run, err);
        return NULL;
    }
    void *block = run->alloc->alloc(run->alloc, bytes, err);
    run->held += block ? bytes : 0;
    return block;
}

/* What is given back stays counted: the arena gives nothing back before the end. */
static void counted_free(const plim_alloc *self, void *block)
{
    plim_run *run = self->user;
    run->alloc->free(run->alloc, block);
}

static void *counted_resize(const plim_alloc *self, void *block, size_t bytes, plim_error *err)
{
    plim_run *run = self->user;
    if (bytes > PLIM_CHAT_MEMORY_BYTES - run->held) {
        over_memory(run, err);
        return NULL;
    }
    void *after = run->alloc->resize(run->alloc, block, bytes, err);
    run->held += after ? bytes : 0;
    return after;
}

/* ---- the context ---- */

static plim_status context_fail(plim_run *run, const char *what)
{
    return plim_fail_at(run->err, PLIM_E_FORMAT, (plim_where){"chat context", NULL, -1}, "%s",
                        what);
}

/* A message without what is null; its reasoning under each of the names it goes by. */
static plim_status ready_message(plim_run *run, plim_val message, plim_val *out)
{
    static const char *const fields[] = {"reasoning_content", "thinking", "reasoning"};
    plim_dict *kept, *whole;
    plim_val reasoning = plim_missing();
    if (message.kind != PLIM_V_DICT)
        return context_fail(run, "each of the messages must be an object");
    PLIM_TRY(plim_dict_new(run, &kept));
    for (size_t i = 0; i < message.u.dict->count; i++) {
        const plim_entry *entry = &message.u.dict->at[i];
        if (entry->value.kind != PLIM_V_NONE)
            PLIM_TRY(plim_dict_set(run, kept, entry->key, entry->value));
    }
    for (size_t i = 0; i < 3 && reasoning.kind == PLIM_V_MISSING; i++)
        reasoning = plim_dict_find(kept, fields[i]);
    *out = plim_of_dict(kept);
    if (reasoning.kind == PLIM_V_MISSING)
        return PLIM_OK;
    PLIM_TRY(plim_dict_new(run, &whole));
    PLIM_TRY(plim_dict_set_text(run, whole, "thinking", reasoning));
    PLIM_TRY(plim_dict_update(run, whole, *out));
    PLIM_TRY(plim_dict_set_text(run, whole, "reasoning_content", reasoning));
    *out = plim_of_dict(whole);
    return PLIM_OK;
}

/* A copy of a text with the tag behind it. */
static plim_status tagged(plim_run *run, plim_val text, plim_val *out)
{
    static const plim_str tag = {.data = TAG, .bytes = sizeof TAG - 1};
    if (text.kind != PLIM_V_STR)
        return context_fail(run, "continue_final_message: what is to be continued is no string");
    return plim_str_concat(run, text.u.s, &tag, out);
}

/* The last block of a content that has text. */
static plim_status tag_blocks(plim_run *run, plim_list *blocks, continuing *c)
{
    for (size_t i = blocks->count; i-- > 0;) {
        bool found;
        plim_val key, text, with_tag;
        PLIM_TRY(plim_str_literal(run, "text", &key));
        PLIM_TRY(plim_contains(run, blocks->at[i], key, &found));
        if (!found)
            continue;
        if (blocks->at[i].kind != PLIM_V_DICT)
            return context_fail(run, "continue_final_message: a block that is no object");
        text = plim_dict_find(blocks->at[i].u.dict, "text");
        PLIM_TRY(tagged(run, text, &with_tag));
        c->text = text.u.s;
        return plim_dict_set(run, blocks->at[i].u.dict, key, with_tag);
    }
    return context_fail(run,
                        "continue_final_message is set but there is no text to continue in the "
                        "final message");
}

/* The fields that hold what is to be continued: all names of a reasoning that are the same. */
static plim_status tag_fields(plim_run *run, plim_dict *message, const char *field,
                              const plim_str *source, continuing *c)
{
    static const char *const reasoning[] = {"reasoning_content", "thinking", "reasoning"};
    const char *fields[3] = {field};
    size_t count = 1;
    plim_val final = plim_dict_find(message, field);
    bool mentioned = false, alias = false;
    if (final.kind == PLIM_V_MISSING || final.kind == PLIM_V_NONE)
        return context_fail(run, "continue_final_message is set but the final message has nothing "
                                 "to continue");
    for (size_t i = 0; i < 3; i++)
        alias = alias || !strcmp(field, reasoning[i]);
    for (size_t i = count = alias ? 0 : 1; alias && i < 3; i++) {
        plim_val other = plim_dict_find(message, reasoning[i]);
        bool same = false;
        if (other.kind != PLIM_V_MISSING)
            PLIM_TRY(plim_equal(run, other, final, &same));
        if (same)
            fields[count++] = reasoning[i];
    }
    for (size_t i = 0; i < count; i++)
        mentioned = mentioned || memmem(source->data, source->bytes, fields[i], strlen(fields[i]));
    if (!mentioned)
        return context_fail(run, "continue_final_message: the template does not mention the field");
    if (final.kind == PLIM_V_LIST)
        return tag_blocks(run, final.u.list, c);
    for (size_t i = 0; i < count; i++) {
        plim_val with_tag;
        PLIM_TRY(tagged(run, plim_dict_find(message, fields[i]), &with_tag));
        PLIM_TRY(plim_dict_set_text(run, message, fields[i], with_tag));
    }
    c->text = final.u.s;
    return PLIM_OK;
}

static plim_status ready_messages(plim_run *run, plim_val messages, plim_val how, continuing *c,
                                  plim_val *out)
{
    plim_list *list;
    if (messages.kind != PLIM_V_LIST || !messages.u.list->count)
        return context_fail(run, "messages must be a list of at least one object");
    PLIM_TRY(plim_list_new(run, messages.u.list->count, &list));
    for (size_t i = 0; i < messages.u.list->count; i++) {
        plim_val message;
        PLIM_TRY(ready_message(run, messages.u.list->at[i], &message));
        PLIM_TRY(plim_list_add(run, list, message));
    }
    *out = plim_of_list(list, PLIM_V_LIST);
    c->on = how.kind != PLIM_V_MISSING && plim_truth(how);
    if (!c->on)
        return PLIM_OK;
    char field[64] = "content";
    if (how.kind == PLIM_V_STR) {
        size_t n = how.u.s->bytes < sizeof field ? how.u.s->bytes : sizeof field - 1;
        memcpy(field, how.u.s->data, n);
        field[n] = 0;
    }
    plim_dict *last = list->at[list->count - 1].u.dict;
    return tag_fields(run, last, field, run->source->source, c);
}

static plim_status check_objects(plim_run *run, plim_val list, const char *what)
{
    if (list.kind == PLIM_V_MISSING || list.kind == PLIM_V_NONE)
        return PLIM_OK;
    bool good = list.kind == PLIM_V_LIST;
    for (size_t i = 0; good && i < list.u.list->count; i++)
        good = list.u.list->at[i].kind == PLIM_V_DICT;
    return good ? PLIM_OK : context_fail(run, what);
}

static plim_val or_else(plim_val v, plim_val other)
{
    return v.kind == PLIM_V_MISSING ? other : v;
}

/* The template's variables: special tokens, then what the caller gives. */
static plim_status ready_context(plim_run *run, const plim_templates *t, const plim_dict *given,
                                 continuing *c)
{
    plim_val messages = plim_dict_find(given, "messages");
    plim_val how = plim_dict_find(given, "continue_final_message");
    plim_val prompt = or_else(plim_dict_find(given, "add_generation_prompt"), plim_bool(false));
    plim_val tools = plim_dict_find(given, "tools"), documents = plim_dict_find(given, "documents");
    PLIM_TRY(plim_dict_new(run, &run->context));
    for (size_t i = 0; i < t->special_count; i++)
        PLIM_TRY(plim_dict_set_text(run, run->context, t->specials[i].name,
                                    plim_text(t->specials[i].token)));
    for (size_t i = 0; i < given->count; i++) {
        if (given->at[i].key.kind == PLIM_V_STR &&
            plim_str_is(given->at[i].key.u.s, "continue_final_message"))
            continue;
        PLIM_TRY(plim_dict_set(run, run->context, given->at[i].key, given->at[i].value));
    }
    PLIM_TRY(check_objects(run, tools, "tools must be a list of objects"));
    PLIM_TRY(check_objects(run, documents, "documents must be a list of objects"));
    PLIM_TRY(plim_dict_set_text(run, run->context, "tools", or_else(tools, plim_none())));
    PLIM_TRY(plim_dict_set_text(run, run->context, "documents", or_else(documents, plim_none())));
    PLIM_TRY(plim_dict_set_text(run, run->context, "add_generation_prompt", prompt));
    if (how.kind != PLIM_V_MISSING && plim_truth(how) && plim_truth(prompt))
        return context_fail(run, "continue_final_message and add_generation_prompt exclude each "
                                 "other");
    if (messages.kind == PLIM_V_MISSING)
        return PLIM_OK;
    PLIM_TRY(ready_messages(run, messages, how, c, &messages));
    return plim_dict_set_text(run, run->context, "messages", messages);
}

/* ---- which template ---- */

static const plim_template *named(const plim_templates *t, const char *name)
{
    for (size_t i = 0; i < t->count; i++) {
        if (!strcmp(t->at[i].name, name))
            return &t->at[i];
    }
    return NULL;
}

static plim_status choose(const plim_templates *t, const char *name, plim_val tools,
                          const plim_template **out, plim_error *err)
{
    bool with_tools = tools.kind != PLIM_V_MISSING && tools.kind != PLIM_V_NONE;
    *out = NULL;
    if (name) {
        *out = named(t, name);
        return *out ? PLIM_OK : plim_fail(err, PLIM_E_USAGE, "there is no template '%s'", name);
    }
    if (with_tools)
        *out = named(t, "tool_use");
    if (!*out)
        *out = named(t, "default");
    if (*out)
        return PLIM_OK;
    return plim_fail(err, PLIM_E_USAGE, "several chat templates and none is the default: name one");
}

/* ---- the result ---- */

/* Cut the text where the final message ends, so that the model goes on with it. */
static plim_status cut(plim_run *run, plim_buf *buf, const continuing *c)
{
    static const plim_str tag = {.data = TAG, .bytes = sizeof TAG - 2}; /* without its blank */
    plim_str text = {.data = buf->data ? buf->data : "", .bytes = buf->used};
    size_t from, to;
    if (!c->on)
        return PLIM_OK;
    plim_str_strip(c->text, NULL, PLIM_STRIP_LEFT | PLIM_STRIP_RIGHT, &from, &to);
    plim_str final = {.data = c->text->data + from, .bytes = to - from};
    PLIM_TRY(plim_work_bytes(run, text.bytes));
    size_t at = plim_str_find_last(&text, &tag, 0, text.bytes);
    if (at == SIZE_MAX || plim_str_find(&text, &final, 0, text.bytes) == SIZE_MAX)
        return plim_fail_at(run->err, PLIM_E_FORMAT, (plim_where){run->file, NULL, -1},
                            "continue_final_message is set but the final message does not appear "
                            "in the chat after applying the template");
    buf->used = at;
    bool kept = at + tag.bytes < text.bytes && text.data[at + tag.bytes] == ' ';
    text.bytes = at;
    if (!kept) {
        plim_str_strip(&text, NULL, PLIM_STRIP_RIGHT, &from, &to);
        buf->used = to;
    }
    return PLIM_OK;
}

static size_t find_spans(const plim_buf *buf, plim_tok_span *spans)
{
    size_t count = 0;
    if (!buf->marks) {
        if (buf->used && buf->input && spans)
            spans[0] = (plim_tok_span){0, buf->used};
        return buf->used && buf->input;
    }
    for (size_t i = 0; i < buf->used;) {
        const uint8_t *next = memchr(buf->marks + i, 1, buf->used - i);
        if (!next)
            break;
        size_t begin = (size_t)(next - buf->marks);
        const uint8_t *end = memchr(next, 0, buf->used - begin);
        i = end ? (size_t)(end - buf->marks) : buf->used;
        if (spans)
            spans[count] = (plim_tok_span){begin, i};
        count++;
    }
    return count;
}

static plim_status hand_over(const plim_buf *buf, const plim_alloc *alloc, plim_chat_text *out,
                             plim_error *err)
{
    plim_chat_text text = {.bytes = buf->used, .span_count = find_spans(buf, NULL)};
    text.text = plim_new(alloc, buf->used + 1, 1, err);
    text.spans = text.text ? plim_new(alloc, text.span_count, sizeof *text.spans, err) : NULL;
    if (!text.spans) {
        plim_delete(alloc, text.text);
        return plim_failed(err);
    }
    if (buf->used)
        memcpy(text.text, buf->data, buf->used);
    find_spans(buf, text.spans);
    *out = text;
    return PLIM_OK;
}

/* ---- the render ---- */

static plim_status start_scopes(plim_run *run, const plim_templates *t)
{
    PLIM_TRY(plim_scope_new(run, NULL, &run->root));
    run->scope = run->root;
    run->special[0] = t->names.caller;
    run->special[1] = t->names.kwargs;
    run->special[2] = t->names.varargs;
    for (const plim_str **name = run->source->hidden; name && *name; name++)
        PLIM_TRY(plim_scope_set(run, run->root, *name, plim_missing()));
    return plim_scope_set(run, run->root, t->names.self, (plim_val){.kind = PLIM_V_SELF});
}

static plim_status render(plim_run *run, const plim_templates *t, const plim_chat_request *request,
                          plim_buf **out)
{
    plim_val given;
    continuing c = {0};
    plim_flow flow = PLIM_FLOW_ON;
    run->file = "chat context";
    PLIM_TRY(plim_json_context(run, request->context, request->context_bytes, &given));
    PLIM_TRY(choose(t, request->template_name, plim_dict_find(given.u.dict, "tools"), &run->source,
                    run->err));
    run->file = run->source->file;
    run->steps = 0; /* reading the context has a cap of its own */
    PLIM_TRY(ready_context(run, t, given.u.dict, &c));
    PLIM_TRY(start_scopes(run, t));
    PLIM_TRY(plim_buf_new(run, &run->out));
    PLIM_TRY(plim_exec(run, run->source->body, &flow));
    *out = run->out;
    return cut(run, run->out, &c);
}

plim_status plim_templates_render(const plim_templates *templates, const plim_alloc *alloc,
                                  const plim_chat_request *request, plim_chat_text *out,
                                  plim_error *err)
{
    plim_error why = {0};
    plim_buf *buf = NULL;
    plim_run run = {.alloc = alloc, .err = &why, .now = request->now, .line = 1};
    run.counted = (plim_alloc){counted_alloc, counted_free, counted_resize, &run};
    *out = (plim_chat_text){0};
    plim_arena_init(&run.arena, &run.counted);
    plim_status status = render(&run, templates, request, &buf);
    if (!status)
        status = hand_over(buf, alloc, out, &why);
    plim_arena_free(&run.arena);
    if (status && err)
        *err = why;
    return status;
}

void plim_chat_text_free(plim_chat_text *text, const plim_alloc *alloc)
{
    plim_delete(alloc, text->text);
    plim_delete(alloc, text->spans);
    *text = (plim_chat_text){0};
}
