/* SPDX-License-Identifier: Apache-2.0
 *
 * The evaluator of chat templates: a template over a context gives text or an error, the same
 * twice; the text is UTF-8, its spans are in order, and a letter that only the context holds is
 * always marked, wherever the template put it.  Input: a template, a NUL, a context (without
 * one: a context of its own). */
#include "base/utf8.h"
#include "chat/templates.h"
#include "fuzz.h"

/* Latin letters with dots below are in the context only. */
static const char own_context[] =
    "{\"messages\": [{\"role\": \"\u1e05\", \"content\": \"\u1e05 <\u1e05>\\n'\u1e05\\\"\"}, "
    "{\"role\": \"assistant\", \"content\": [\"\u1e05\", 1, 2.5, null, true, {\"k\u1e05\": "
    "\"v\u1e05\"}]}], \"s\": \"\u1e05,\u1e05\", \"n\": 3, \"tools\": [{\"type\": \"\u1e05\"}]}";
#define LETTER "\u1e05"

static const plim_chat_time moment = {.year = 2024, .month = 7, .day = 26, .weekday = 5};

static bool marked(const plim_chat_text *text, size_t from, size_t to)
{
    for (size_t i = 0; i < text->span_count; i++) {
        if (text->spans[i].begin <= from && to <= text->spans[i].end)
            return true;
    }
    return false;
}

static void check_text(const plim_chat_text *text, bool own, bool template_has_letter)
{
    size_t end = 0;
    must(plim_utf8_valid(text->text, text->bytes) && text->text[text->bytes] == 0);
    for (size_t i = 0; i < text->span_count; i++) {
        must(text->spans[i].begin < text->spans[i].end);
        must(i == 0 || text->spans[i].begin > end);
        end = text->spans[i].end;
    }
    must(end <= text->bytes);
    if (!own || template_has_letter)
        return;
    for (size_t i = 0; i + 3 <= text->bytes; i++) {
        if (!memcmp(text->text + i, LETTER, 3))
            must(marked(text, i, i + 3));
    }
}

/* Whether a template could make the letter by itself: by its code or by an escape. */
static bool makes_letters(const uint8_t *data, size_t size)
{
    static const char *const ways[] = {LETTER, "\\", "%c", ":c", "translate", "\u1e04"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (memmem(data, size, ways[i], strlen(ways[i])))
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_alloc a;
    plim_error err = {0}, again = {0};
    plim_chat_text one, two;
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t template_bytes = nul ? (size_t)(nul - data) : size;
    plim_chat_request request = {.now = &moment};
    request.context = nul ? (const char *)nul + 1 : own_context;
    request.context_bytes = nul ? size - template_bytes - 1 : sizeof own_context - 1;
    fuzz_alloc_init(&a);
    plim_templates *t = plim_new(&a.alloc, 1, sizeof *t, &err);
    t->alloc = &a.alloc;
    plim_arena_init(&t->arena, &a.alloc);
    must(!plim_names_init(&t->names, &t->arena, &err));
    if (!plim_templates_add(t, "default", "fuzz", (const char *)data, template_bytes, &err)) {
        plim_status status = plim_templates_render(t, &a.alloc, &request, &one, &err);
        must(plim_templates_render(t, &a.alloc, &request, &two, &again) == status);
        if (status) {
            must_be_error(status, &err);
            must(!strcmp(err.message, again.message) && !one.text && !one.spans);
        } else {
            must(one.bytes == two.bytes && !memcmp(one.text, two.text, one.bytes));
            must(one.span_count == two.span_count);
            check_text(&one, !nul, makes_letters(data, template_bytes));
        }
        plim_chat_text_free(&one, &a.alloc);
        plim_chat_text_free(&two, &a.alloc);
    }
    plim_templates_close(&t);
    must(a.live == 0);
    return 0;
}
