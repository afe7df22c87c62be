/* SPDX-License-Identifier: Apache-2.0
 *
 * The shared chat templates with the contexts of recorded/ (tools/chat/record.py): the text is what
 * Transformers gives, byte for byte, or there is an error where it raises one. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "chat/chat.h"
#include "chat/support.h"
#include "tokenizer/cases.h"

#define FOLDER    PLIM_SOURCE_DIR "/tests/chat/recorded"
#define TEMPLATES PLIM_SOURCE_DIR "/../shared/data/chat_templates"

enum { MAX_CONTEXTS = 512, MAX_RENDERS = 512, MAX_TEMPLATES = 128, NAME_BYTES = 256 };

typedef struct named {
    const char *name, *json;
    size_t name_bytes, json_bytes;
} named;

static struct {
    char *file;
    named at[MAX_CONTEXTS];
    size_t count;
} contexts;

/* One line: the name of a context, and the text (of which `bytes` are those of render `like`) or
 * what Python said. */
typedef struct render {
    tok_text context, text, error;
    uint64_t like, bytes;
    bool has_text, has_like;
} render;

static void slurp(char **out, size_t *bytes, const char *folder, const char *name)
{
    char path[4096];
    plim_error err = {0};
    if (plim_path_join(path, sizeof path, folder, name, &err) ||
        plim_file_slurp(out, bytes, plim_alloc_system(), path, 8u << 20, &err))
        fail_msg("%s", err.message);
}

static int read_contexts(void **state)
{
    (void)state;
    size_t bytes;
    slurp(&contexts.file, &bytes, FOLDER, "contexts.tsv");
    for (const char *at = contexts.file, *end = at + bytes; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *tab = memchr(at, '\t', (size_t)(end - at));
        assert_non_null(newline);
        assert_true(tab && tab < newline && contexts.count < MAX_CONTEXTS);
        contexts.at[contexts.count++] =
            (named){at, tab + 1, (size_t)(tab - at), (size_t)(newline - tab - 1)};
        at = newline + 1;
    }
    return 0;
}

static int free_contexts(void **state)
{
    (void)state;
    plim_delete(plim_alloc_system(), contexts.file);
    return 0;
}

static const named *find_context(const tok_text *name)
{
    for (size_t i = 0; i < contexts.count; i++)
        if (contexts.at[i].name_bytes == name->bytes &&
            !memcmp(contexts.at[i].name, name->at, name->bytes))
            return &contexts.at[i];
    fail_msg("no context \"%s\"", name->at);
    return NULL;
}

static void append(tok_text *to, const char *text, size_t bytes)
{
    plim_error err = {0};
    assert_int_equal(
        plim_grow(plim_alloc_system(), &to->at, &to->cap, to->bytes + bytes + 1, 1, &err), PLIM_OK);
    memcpy(to->at + to->bytes, text, bytes);
    to->bytes += bytes;
    to->at[to->bytes] = 0;
}

static void read_field(plim_json *json, render *out, const render *before, size_t count)
{
    static const char *const names[] = {"context", "text", "error"};
    tok_text *texts[] = {&out->context, &out->text, &out->error};
    plim_json_event event;
    plim_error err = {0};
    for (unsigned i = 0; i < 3; i++)
        if (plim_json_text_is(json, names[i])) {
            size_t bytes;
            assert_int_equal(plim_json_expect(json, PLIM_JSON_STRING, names[i], &err), PLIM_OK);
            const char *text = plim_json_text(json, &bytes);
            append(texts[i], text, bytes);
            out->has_text = out->has_text || i == 1;
            return;
        }
    bool like = plim_json_text_is(json, "like");
    assert_true(like || plim_json_text_is(json, "bytes"));
    assert_int_equal(plim_json_next(json, &event, &err), PLIM_OK);
    assert_int_equal(
        plim_json_u64(json, "a number", SIZE_MAX, like ? &out->like : &out->bytes, &err), PLIM_OK);
    if (like) {
        out->has_like = true;
        return;
    }
    /* "bytes" follows "like" and comes before "text" */
    assert_true(out->has_like && out->like < count && !out->has_text);
    assert_true(out->bytes <= before[out->like].text.bytes);
    append(&out->text, before[out->like].text.at, (size_t)out->bytes);
}

static void read_render(render *out, const char *line, size_t bytes, const render *before,
                        size_t count)
{
    plim_json *json;
    plim_json_event event;
    plim_error err = {0};
    assert_int_equal(
        plim_json_open_memory(&json, plim_alloc_system(), line, bytes, "recorded", NULL, &err),
        PLIM_OK);
    assert_int_equal(plim_json_expect(json, PLIM_JSON_OBJECT, "a line", &err), PLIM_OK);
    while (!plim_json_next(json, &event, &err) && event == PLIM_JSON_KEY)
        read_field(json, out, before, count);
    assert_int_equal(event, PLIM_JSON_OBJECT_END);
    assert_true(out->context.bytes && out->has_text != (out->error.bytes > 0));
    plim_json_close(&json);
}

static void check_spans(const plim_chat_text *text)
{
    size_t at = 0;
    for (size_t i = 0; i < text->span_count; i++) {
        assert_true(text->spans[i].begin >= at);
        assert_true(text->spans[i].end > text->spans[i].begin);
        at = text->spans[i].end;
    }
    assert_true(at <= text->bytes);
    assert_int_equal(text->text[text->bytes], 0);
}

static bool same_text(const render *want, const plim_chat_text *have)
{
    if (have->bytes == want->text.bytes && !memcmp(have->text, want->text.at, have->bytes))
        return true;
    size_t i = 0;
    while (i < have->bytes && i < want->text.bytes && have->text[i] == want->text.at[i])
        i++;
    size_t from = i < 30 ? 0 : i - 30;
    fprintf(stderr, "%s: differs at byte %zu\n  want: %.90s\n  have: %.90s\n", want->context.at, i,
            want->text.at + from, have->text + from);
    return false;
}

static bool is_class(const render *want, const char *name)
{
    return !strncmp(want->error.at, name, strlen(name));
}

/* Python's class says which code is due, and what raise_exception said must be told. */
static bool same_error(const render *want, plim_status status, const plim_error *err)
{
    static const char raised[] = "TemplateError: ";
    plim_status due = is_class(want, "SecurityError")    ? PLIM_E_UNSAFE
                      : is_class(want, "RecursionError") ? PLIM_E_LIMIT
                                                         : PLIM_E_FORMAT;
    bool told = !is_class(want, raised) || strstr(err->message, want->error.at + sizeof raised - 1);
    if (status == due && told)
        return true;
    fprintf(stderr, "%s: want %s\n  have %s: %s\n", want->context.at, want->error.at,
            plim_status_name(status), err->message);
    return false;
}

static bool check_render(const plim_templates *templates, const render *want)
{
    const named *context = find_context(&want->context);
    plim_chat_request request = {
        .context = context->json, .context_bytes = context->json_bytes, .now = &chat_now};
    plim_chat_text text = {0};
    plim_error err = {0};
    counting counted;
    counting_init(&counted);
    plim_status status = plim_templates_render(templates, &counted.alloc, &request, &text, &err);
    bool same;
    if (!want->has_text) {
        same = same_error(want, status, &err);
    } else if (status) {
        fprintf(stderr, "%s: %s: %s\n", want->context.at, plim_status_name(status), err.message);
        same = false;
    } else {
        check_spans(&text);
        same = same_text(want, &text);
    }
    if (!status)
        plim_chat_text_free(&text, &counted.alloc);
    assert_int_equal(counted.blocks, 0);
    return same;
}

static void test_template(void **state)
{
    const char *name = *state;
    static render renders[MAX_RENDERS];
    char file[NAME_BYTES + 8], path[4096], *lines;
    size_t bytes, count = 0, wrong = 0, texts = 0;
    plim_templates *templates;
    plim_error err = {0};
    counting counted;
    counting_init(&counted);
    memset(renders, 0, sizeof renders);
    snprintf(file, sizeof file, "%s.jinja", name);
    assert_int_equal(plim_path_join(path, sizeof path, TEMPLATES, file, &err), PLIM_OK);
    if (plim_templates_open(&templates, &counted.alloc, path, NULL, &err))
        fail_msg("%s: %s", name, err.message);
    assert_string_equal(plim_templates_name(templates, 0), "default");
    assert_null(plim_templates_name(templates, 1));
    snprintf(file, sizeof file, "%s.jsonl", name);
    slurp(&lines, &bytes, FOLDER, file);
    for (const char *at = lines, *end = lines + bytes; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        assert_true(newline && count < MAX_RENDERS);
        read_render(&renders[count], at, (size_t)(newline - at), renders, count);
        wrong += !check_render(templates, &renders[count]);
        texts += renders[count].has_text;
        count++;
        at = newline + 1;
    }
    printf("%s: %zu renders (%zu texts), %zu wrong\n", name, count, texts, wrong);
    plim_templates_close(&templates);
    assert_null(templates);
    assert_int_equal(counted.blocks, 0);
    for (size_t i = 0; i < count; i++) {
        plim_delete(plim_alloc_system(), renders[i].context.at);
        plim_delete(plim_alloc_system(), renders[i].text.at);
        plim_delete(plim_alloc_system(), renders[i].error.at);
    }
    plim_delete(plim_alloc_system(), lines);
    assert_true(count >= 12);
    assert_int_equal(wrong, 0);
}

/* Names of recorded/NAME.jsonl, in order. */
static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static size_t list_templates(char names[][NAME_BYTES])
{
    size_t count = 0;
    DIR *folder = opendir(FOLDER);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        size_t bytes = strlen(entry->d_name);
        if (bytes <= 6 || bytes >= NAME_BYTES || strcmp(entry->d_name + bytes - 6, ".jsonl") != 0 ||
            count == MAX_TEMPLATES)
            continue;
        memcpy(names[count], entry->d_name, bytes - 6);
        names[count++][bytes - 6] = 0;
    }
    if (folder)
        closedir(folder);
    qsort(names, count, NAME_BYTES, by_name);
    return count;
}

int main(void)
{
    static char names[MAX_TEMPLATES][NAME_BYTES];
    static struct CMUnitTest tests[MAX_TEMPLATES];
    bool found;
    if (plim_path_find_folder(&found, TEMPLATES, NULL) || !found) {
        fprintf(stderr, "SKIPPED: %s is not there\n", TEMPLATES);
        return 77;
    }
    size_t count = list_templates(names);
    if (!count) {
        fprintf(stderr, "nothing in %s\n", FOLDER);
        return 1;
    }
    for (size_t i = 0; i < count; i++)
        tests[i] = (struct CMUnitTest){names[i], test_template, NULL, NULL, names[i]};
    return _cmocka_run_group_tests("chat templates (recorded)", tests, count, read_contexts,
                                   free_contexts);
}
