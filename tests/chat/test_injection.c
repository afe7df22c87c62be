/* SPDX-License-Identifier: Apache-2.0
 *
 * Input never becomes a special token: every special token of a tokenizer is put into every string
 * and key of every recorded context, for every shared template, the text is encoded with the
 * render's spans, and the special ids are counted.  A twin has as many bytes of private characters
 * instead: where its text is the same but for those, the special ids must be as many; and no
 * special id may ever touch a marked byte. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "chat/chat.h"
#include "chat/support.h"
#include "tokenizer/tokenizer.h"

#define CONTEXTS   PLIM_SOURCE_DIR "/tests/chat/recorded/contexts.tsv"
#define TEMPLATES  PLIM_SOURCE_DIR "/../shared/data/chat_templates"
#define TOKENIZERS PLIM_SOURCE_DIR "/../shared/data/tokenizers"

enum { ROW_BYTES = 1 << 14, MAX_TEMPLATES = 128 };

typedef struct subject {
    const char *tokenizer;
    plim_tok *tok;
    plim_tok_scratch *scratch;
    const char *name; /* of the template */
    plim_templates *templates;
    char row[ROW_BYTES], twin[ROW_BYTES]; /* the special tokens; as many private bytes */
    size_t row_bytes;
    char *changed; /* a context with one of them in it */
    size_t changed_cap;
    size_t renders, same, steered, unmarked, wrong;
} subject;

/* All special tokens that need no escape in JSON, with a letter between them. */
static void make_row(subject *s)
{
    size_t used = 0;
    for (uint32_t id = 0; id < plim_tok_size(s->tok); id++) {
        char text[256];
        size_t bytes = plim_tok_token(s->tok, (int32_t)id, text, sizeof text - 1);
        if (bytes >= sizeof text)
            continue;
        text[bytes] = 0;
        if (!plim_tok_is_special(s->tok, (int32_t)id) || strpbrk(text, "\"\\\n\t") ||
            used + bytes + 2 > ROW_BYTES)
            continue;
        memcpy(s->row + used, text, bytes);
        used += bytes;
        s->row[used++] = 'x';
    }
    assert_true(used > 0);
    s->row_bytes = used;
    size_t at = 0;
    for (; at + 3 <= used; at += 3)
        memcpy(s->twin + at, "\xee\x81\x81", 3); /* U+E041 */
    memset(s->twin + at, '?', used - at);
}

static size_t special_ids(subject *s, const plim_chat_text *text, bool marked)
{
    plim_tok_request request = {.offsets = true,
                                .literal = marked ? text->spans : NULL,
                                .literal_count = marked ? text->span_count : 0};
    plim_tok_encoding ids;
    plim_error err = {0};
    size_t count = 0, span = 0;
    if (plim_tok_encode(s->scratch, text->text, text->bytes, &request, &ids, &err))
        fail_msg("%s", err.message);
    for (size_t i = 0; i < ids.count; i++) {
        if (!plim_tok_is_special(s->tok, ids.ids[i]))
            continue;
        count++;
        if (!marked)
            continue;
        while (span < text->span_count && text->spans[span].end <= ids.spans[i].begin)
            span++;
        if (span < text->span_count && text->spans[span].begin < ids.spans[i].end) {
            fprintf(stderr, "%s: special id %d touches input at byte %zu\n", s->name,
                    (int)ids.ids[i], ids.spans[i].begin);
            s->wrong++;
        }
    }
    return count;
}

/* Whether the texts differ only where one has the row and the other its twin. */
static bool same_but_for_row(const subject *s, const plim_chat_text *a, const plim_chat_text *b)
{
    if (a->bytes != b->bytes)
        return false;
    for (size_t i = 0; i < a->bytes;) {
        if (a->text[i] == b->text[i]) {
            i++;
        } else if (i + s->row_bytes <= a->bytes && !memcmp(a->text + i, s->row, s->row_bytes) &&
                   !memcmp(b->text + i, s->twin, s->row_bytes)) {
            i += s->row_bytes;
        } else {
            return false;
        }
    }
    return true;
}

static plim_status render(const subject *s, const char *context, size_t bytes, plim_chat_text *out)
{
    plim_chat_request request = {.context = context, .context_bytes = bytes, .now = &chat_now};
    plim_error err = {0};
    return plim_templates_render(s->templates, plim_alloc_system(), &request, out, &err);
}

/* The context with `what` put in at byte `at`. */
static size_t plant(subject *s, const char *context, size_t bytes, size_t at, const char *what)
{
    plim_error err = {0};
    assert_int_equal(
        plim_grow(plim_alloc_system(), &s->changed, &s->changed_cap, bytes + s->row_bytes, 1, &err),
        PLIM_OK);
    memcpy(s->changed, context, at);
    memcpy(s->changed + at, what, s->row_bytes);
    memcpy(s->changed + at + s->row_bytes, context + at, bytes - at);
    return bytes + s->row_bytes;
}

static void try_place(subject *s, const char *context, size_t bytes, size_t at)
{
    plim_chat_text with = {0}, twin = {0};
    size_t total = plant(s, context, bytes, at, s->row);
    bool rendered = !render(s, s->changed, total, &with);
    total = plant(s, context, bytes, at, s->twin);
    bool twin_rendered = !render(s, s->changed, total, &twin);
    if (rendered) {
        size_t ids = special_ids(s, &with, true);
        s->renders++;
        s->unmarked += special_ids(s, &with, false) - ids;
        if (twin_rendered && same_but_for_row(s, &with, &twin)) {
            s->same++;
            if (special_ids(s, &twin, true) != ids) {
                fprintf(stderr, "%s: %zu special ids, not as many as without the injection: %.*s\n",
                        s->name, ids, (int)total, s->changed);
                s->wrong++;
            }
        } else {
            s->steered++;
        }
        plim_chat_text_free(&with, plim_alloc_system());
    }
    if (twin_rendered)
        plim_chat_text_free(&twin, plim_alloc_system());
}

/* Every string and key of one context: before its closing quote. */
static void try_context(subject *s, const char *context, size_t bytes)
{
    bool open = false;
    for (size_t i = 0; i < bytes; i++) {
        if (open && context[i] == '\\') {
            i++;
        } else if (context[i] == '"') {
            if (open)
                try_place(s, context, bytes, i);
            open = !open;
        }
    }
}

static size_t stride = 6; /* every sixth context, other ones for each template; `all`: all */

static void try_template(subject *s, size_t template, const char *contexts, size_t bytes)
{
    size_t line = template;
    for (const char *at = contexts, *end = contexts + bytes; at < end; line++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *tab = memchr(at, '\t', (size_t)(end - at));
        assert_true(newline && tab && tab < newline);
        const char *slash = memchr(at, '/', (size_t)(tab - at));
        bool wanted = !slash || (strlen(s->name) == (size_t)(slash - at) + strlen(".jinja") &&
                                 !strncmp(s->name, at, (size_t)(slash - at)));
        if (wanted && line % stride == 0)
            try_context(s, tab + 1, (size_t)(newline - tab - 1));
        at = newline + 1;
    }
}

static void test_tokenizer(void **state)
{
    static subject s;
    char path[4096], *contexts;
    size_t bytes, count = 0;
    plim_error err = {0};
    memset(&s, 0, sizeof s);
    s.tokenizer = *state;
    if (plim_path_join(path, sizeof path, TOKENIZERS, s.tokenizer, &err) ||
        plim_tok_open(&s.tok, plim_alloc_system(), path, NULL, &err) ||
        plim_tok_scratch_open(&s.scratch, s.tok, plim_alloc_system(), &err) ||
        plim_file_slurp(&contexts, &bytes, plim_alloc_system(), CONTEXTS, 8u << 20, &err))
        fail_msg("%s", err.message);
    make_row(&s);
    DIR *folder = opendir(TEMPLATES);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (!strstr(entry->d_name, ".jinja"))
            continue;
        s.name = entry->d_name;
        if (plim_path_join(path, sizeof path, TEMPLATES, s.name, &err) ||
            plim_templates_open(&s.templates, plim_alloc_system(), path, NULL, &err))
            fail_msg("%s", err.message);
        try_template(&s, count, contexts, bytes);
        plim_templates_close(&s.templates);
        count++;
    }
    closedir(folder);
    printf("%s: %zu templates, %zu renders with special tokens in the input (%zu steered the "
           "template); %zu special ids of the input's without the marks, none with them; %zu "
           "wrong\n",
           s.tokenizer, count, s.renders, s.steered, s.unmarked, s.wrong);
    plim_delete(plim_alloc_system(), contexts);
    plim_delete(plim_alloc_system(), s.changed);
    plim_tok_scratch_close(&s.scratch);
    plim_tok_close(&s.tok);
    assert_int_equal(s.wrong, 0);
    assert_true(count > 0 && s.same > s.steered);
    /* else this test could not fail */
    assert_true(s.unmarked > s.same);
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "all"))
        stride = 1;
    static const char *const roots[] = {TEMPLATES, TOKENIZERS};
    for (unsigned i = 0; i < 2; i++) {
        bool found;
        if (plim_path_find_folder(&found, roots[i], NULL) || !found) {
            fprintf(stderr, "SKIPPED: %s is not there\n", roots[i]);
            return 77;
        }
    }
    const struct CMUnitTest tests[] = {
        {"smollm2", test_tokenizer, NULL, NULL, (void *)"smollm2"},
        {"qwen2", test_tokenizer, NULL, NULL, (void *)"qwen2"},
    };
    return cmocka_run_group_tests_name("special tokens in the input", tests, NULL, NULL);
}
