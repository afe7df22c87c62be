/* SPDX-License-Identifier: Apache-2.0
 *
 * snippets.jsonl (tools/chat/record_snippets.py): every feature of the language and every class of
 * error, as Jinja2 has them with Transformers' settings; each snippet again with all allocations
 * failing in their turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chat/support.h"

#define SNIPPETS PLIM_SOURCE_DIR "/tests/chat/snippets.jsonl"

static plim_status code_of(const char *name)
{
    static const struct {
        const char *name;
        plim_status code;
    } codes[] = {{"FORMAT", PLIM_E_FORMAT},
                 {"LIMIT", PLIM_E_LIMIT},
                 {"UNSUP", PLIM_E_UNSUP},
                 {"UNSAFE", PLIM_E_UNSAFE}};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (!strcmp(codes[i].name, name))
            return codes[i].code;
    }
    fail_msg("no class '%s'", name);
    return PLIM_OK;
}

static plim_status run_case(const chat_case *c, const plim_alloc *alloc, plim_chat_text *text,
                            plim_error *err)
{
    plim_templates *templates;
    *text = (plim_chat_text){0};
    plim_status status = chat_open_text(&templates, alloc, c->template, c->template_bytes, err);
    if (!status)
        status = chat_render(templates, alloc, c->context, c->context_bytes, text, err);
    plim_templates_close(&templates);
    return status;
}

/* Spans are ascending, disjoint, not empty and inside of the text. */
static void check_spans(const plim_chat_text *text)
{
    size_t end = 0;
    for (size_t i = 0; i < text->span_count; i++) {
        assert_true(text->spans[i].begin < text->spans[i].end);
        assert_true(i == 0 || text->spans[i].begin > end);
        end = text->spans[i].end;
    }
    assert_true(end <= text->bytes);
}

static bool as_recorded(const chat_case *c, plim_status status, const plim_chat_text *text)
{
    if (c->error)
        return status == code_of(c->error);
    return !status && text->bytes == c->expected_bytes &&
           !memcmp(text->text, c->expected, text->bytes);
}

static void check_case(const chat_case *c, size_t *wrong)
{
    plim_chat_text text;
    plim_error err = {0};
    plim_status status = run_case(c, plim_alloc_system(), &text, &err);
    if (!as_recorded(c, status, &text)) {
        ++*wrong;
        print_error("%s\n  want %s%s\n  got  %s\n", c->template, c->error ? c->error : "",
                    c->expected ? c->expected : "", status ? err.message : text.text);
    }
    if (status) {
        assert_int_equal(status, err.code);
        assert_true(strlen(err.message) > 0);
    }
    check_spans(&text);
    plim_chat_text_free(&text, plim_alloc_system());
}

/* ---- allocations that fail ---- */

typedef struct failing {
    plim_alloc alloc;
    size_t calls, fail_at;
    bool forever;
    long live;
} failing;

static bool refuses(failing *f, plim_error *err)
{
    f->calls++;
    if (f->calls != f->fail_at && !(f->forever && f->calls > f->fail_at))
        return false;
    plim_fail(err, PLIM_E_BUDGET, "refused");
    return true;
}

static void *failing_new(const plim_alloc *self, size_t bytes, plim_error *err)
{
    failing *f = self->user;
    if (refuses(f, err))
        return NULL;
    f->live++;
    return plim_alloc_system()->alloc(plim_alloc_system(), bytes, err);
}

static void failing_free(const plim_alloc *self, void *block)
{
    failing *f = self->user;
    f->live -= block != NULL;
    plim_alloc_system()->free(plim_alloc_system(), block);
}

static void *failing_resize(const plim_alloc *self, void *block, size_t bytes, plim_error *err)
{
    failing *f = self->user;
    if (refuses(f, err))
        return NULL;
    f->live += block == NULL;
    return plim_alloc_system()->resize(plim_alloc_system(), block, bytes, err);
}

static void fail_each(const chat_case *c, size_t *faults)
{
    for (int forever = 0; forever < 2; forever++) {
        for (size_t k = 1;; k++) {
            failing f = {.fail_at = k, .forever = forever};
            f.alloc = (plim_alloc){failing_new, failing_free, failing_resize, &f};
            plim_chat_text text;
            plim_error err = {0};
            plim_status status = run_case(c, &f.alloc, &text, &err);
            bool failed = f.calls >= k;
            if (failed) {
                assert_int_equal(status, PLIM_E_BUDGET);
                assert_int_equal(err.code, PLIM_E_BUDGET);
                ++*faults;
            } else {
                assert_true(as_recorded(c, status, &text));
            }
            plim_chat_text_free(&text, &f.alloc);
            assert_int_equal(f.live, 0);
            if (!failed)
                break;
        }
    }
}

typedef void (*case_fn)(const chat_case *c, size_t *count);

static size_t each_case(case_fn fn, size_t *count)
{
    FILE *file = fopen(SNIPPETS, "r");
    char *line = NULL;
    size_t cap = 0, bytes, cases = 0;
    assert_non_null(file);
    while (chat_read_line(file, &line, &cap, &bytes)) {
        chat_case c;
        plim_error err = {0};
        if (chat_read_case(&c, plim_alloc_system(), line, bytes, &err))
            fail_msg("%s", err.message);
        fn(&c, count);
        cases++;
        chat_free_case(&c, plim_alloc_system());
    }
    free(line);
    fclose(file);
    return cases;
}

static void test_snippets(void **state)
{
    (void)state;
    size_t wrong = 0, cases = each_case(check_case, &wrong);
    print_message("%zu snippets\n", cases);
    assert_true(cases > 1000);
    assert_int_equal(wrong, 0);
}

static void test_failing_allocations(void **state)
{
    (void)state;
    size_t faults = 0;
    each_case(fail_each, &faults);
    print_message("%zu faults\n", faults);
    assert_true(faults > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snippets),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
