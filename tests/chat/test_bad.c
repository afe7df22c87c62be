/* SPDX-License-Identifier: Apache-2.0
 *
 * Hostile templates and contexts: each gets its class, a message that names file and line, in less
 * than a second and below the cap on memory, on a thread with a stack of 256 KiB. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "chat/support.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOWER 20
#define STACK  (8u << 20) /* frames are several times as large there */
#else
#ifdef __OPTIMIZE__
#define SLOWER 1
#else
#define SLOWER 4
#endif
#define STACK (256u << 10)
#endif

typedef struct attempt {
    const char *template, *context;
    plim_status status;
    plim_error err;
    plim_chat_text text;
    plim_alloc alloc;
    size_t held, peak;
    double seconds;
} attempt;

/* Bytes before each block remember its size. */
static void *count_new(const plim_alloc *self, size_t bytes, plim_error *err)
{
    attempt *a = self->user;
    size_t *block = plim_alloc_system()->alloc(plim_alloc_system(), bytes + 16, err);
    if (!block)
        return NULL;
    *block = bytes;
    a->held += bytes;
    a->peak = a->held > a->peak ? a->held : a->peak;
    return block + 2;
}

static void count_free(const plim_alloc *self, void *block)
{
    attempt *a = self->user;
    if (!block)
        return;
    a->held -= ((size_t *)block)[-2];
    plim_alloc_system()->free(plim_alloc_system(), (size_t *)block - 2);
}

static void *count_resize(const plim_alloc *self, void *block, size_t bytes, plim_error *err)
{
    size_t before = block ? ((size_t *)block)[-2] : 0;
    void *after = count_new(self, bytes, err);
    if (after && block) {
        memcpy(after, block, before < bytes ? before : bytes);
        count_free(self, block);
    }
    return after;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *run_attempt(void *user)
{
    attempt *a = user;
    plim_templates *templates;
    a->alloc = (plim_alloc){count_new, count_free, count_resize, a};
    double start = now();
    a->status = chat_open_text(&templates, &a->alloc, a->template, strlen(a->template), &a->err);
    if (!a->status)
        a->status =
            chat_render(templates, &a->alloc, a->context, strlen(a->context), &a->text, &a->err);
    plim_templates_close(&templates);
    a->seconds = now() - start;
    return NULL;
}

static attempt try_on(const char *template, const char *context, size_t stack)
{
    attempt a = {.template = template, .context = context};
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    assert_int_equal(pthread_attr_setstacksize(&attr, stack), 0);
    assert_int_equal(pthread_create(&thread, &attr, run_attempt, &a), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
    return a;
}

static void expect(plim_status want, const char *says, const char *template, const char *context)
{
    attempt a = try_on(template, context, STACK);
    if (a.status != want || (says && !strstr(a.err.message, says)))
        fail_msg("%.100s: want %d '%s', got %d '%s'", template, want, says ? says : "", a.status,
                 a.err.message);
    if (a.status) {
        assert_int_equal(a.status, a.err.code);
        assert_true(strstr(a.err.message, "line ") || strstr(a.err.message, "chat context"));
    }
    if (a.seconds > 1.0 * SLOWER)
        fail_msg("%.100s: %.2f s", template, a.seconds);
    assert_true(a.peak <= PLIM_CHAT_MEMORY_BYTES + (96u << 20));
    a.alloc.user = &a; /* it is a copy */
    plim_chat_text_free(&a.text, &a.alloc);
    assert_int_equal(a.held, 0);
}

static char *repeat(const char *before, const char *what, size_t times, const char *after)
{
    size_t n = strlen(what), total = strlen(before) + n * times + strlen(after) + 1;
    char *text = malloc(total), *at = text;
    assert_non_null(text);
    at += sprintf(at, "%s", before);
    for (size_t i = 0; i < times; i++, at += n)
        memcpy(at, what, n);
    strcpy(at, after);
    return text;
}

static void expect_repeated(plim_status want, const char *says, const char *before,
                            const char *what, size_t times, const char *after)
{
    char *text = repeat(before, what, times, after);
    expect(want, says, text, "{}");
    free(text);
}

/* ---- the cases, by the names of the list of bad inputs ---- */

static void test_limits(void **state)
{
    (void)state;
    expect(PLIM_E_LIMIT, "deeper than", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{}");
    expect(PLIM_E_LIMIT, "deeper than",
           "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a()|upper }}{% endmacro %}"
           "{{ a() }}",
           "{}");
    expect(PLIM_E_LIMIT, "deeper than",
           "{% macro m(x) %}{% for y in [1] %}{% if y %}{% set q %}{{ m(x + 1) }}{% endset %}"
           "{% endif %}{% endfor %}{% endmacro %}{{ m(0) }}",
           "{}");
    expect(PLIM_E_LIMIT, "deeper than",
           "{% macro m() %}{{ [[[[[[m()]]]]]]|string ~ (((1 + (m()|length)))) }}{% endmacro %}"
           "{{ m() }}",
           "{}");
    expect(PLIM_E_LIMIT, "deeper than", "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
           "{}");
    expect(PLIM_E_LIMIT, "steps",
           "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}"
           "{% endfor %}{% endfor %}{% endfor %}",
           "{}");
    expect(PLIM_E_LIMIT, "range", "{% for i in range(1000000000) %}x{% endfor %}", "{}");
    expect(PLIM_E_LIMIT, "range", "{{ range(10 ** 18)|length }}", "{}");
    expect(PLIM_E_LIMIT, "repeated", "{{ 'x' * 1000000000 }}", "{}");
    expect(PLIM_E_LIMIT, "repeated", "{{ 9223372036854775807 * 'xy' }}", "{}");
    expect(PLIM_E_LIMIT, NULL, "{{ ([1] * 1000000000)|length }}", "{}");
    expect(PLIM_E_LIMIT, "repeated", "{{ 'x'|indent(1000000000, true) }}", "{}");
    expect(PLIM_E_LIMIT, "repeated", "{{ 'x'|center(1000000000) }}", "{}");
    expect(PLIM_E_LIMIT, "repeated", "{{ 'x'.zfill(1000000000) }}", "{}");
    expect(PLIM_E_LIMIT, "width", "{{ '%1000000000d' % 1 }}", "{}");
    expect(PLIM_E_LIMIT, "precision", "{{ '%.100000f' % 1 }}", "{}");
    expect(PLIM_E_LIMIT, "width", "{{ '{:>1000000000}'.format(1) }}", "{}");
    expect(PLIM_E_LIMIT, "repeated", "{{ [1]|tojson(indent=1000000000) }}", "{}");
    expect(PLIM_E_LIMIT, "writes more",
           "{% set s = 'x' * 1000000 %}{% for i in range(100) %}{{ s }}{% endfor %}", "{}");
    expect(PLIM_E_LIMIT, NULL,
           "{% set ns = namespace(s='x' * 1000) %}{% for i in range(64) %}"
           "{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
           "{}");
    expect(PLIM_E_LIMIT, NULL,
           "{% set ns = namespace(s=[1]) %}{% for i in range(64) %}"
           "{% set ns.s = ns.s + ns.s %}{% endfor %}",
           "{}");
    expect(PLIM_E_LIMIT, NULL,
           "{% set ns = namespace(s='x' * 100000) %}{% for i in range(100000) %}"
           "{% set ns.s = ns.s|upper %}{% endfor %}",
           "{}");
    expect(PLIM_E_LIMIT, "deeper",
           "{% set ns = namespace(s=[]) %}{% for i in range(10000) %}{% set ns.s = [ns.s] %}"
           "{% endfor %}{{ ns.s }}",
           "{}");
    expect(PLIM_E_LIMIT, "deeper",
           "{% set ns = namespace(s=[]) %}{% for i in range(10000) %}{% set ns.s = [ns.s] %}"
           "{% endfor %}{{ ns.s|tojson }}",
           "{}");
    expect(PLIM_E_LIMIT, "deeper",
           "{% set ns = namespace(s=[1]) %}{% for i in range(10000) %}"
           "{% set ns.s = ns.s|map('abs') %}{% endfor %}{{ ns.s|list }}",
           "{}");
    expect(PLIM_E_LIMIT, "64 bits", "{{ 2 ** 64 }}", "{}");
    expect(PLIM_E_LIMIT, "64 bits", "{{ n }}", "{\"n\": 123456789012345678901234567890}");
}

/* What scans a long string counts the bytes: the cap on steps ends it in time. */
static const struct {
    const char *s, *expression;
} scans[] = {
    {"'b' * 4000000", "s.isalpha()"},
    {"'b' * 4000000", "s.islower()"},
    {"'b' * 4000000", "s is lower"},
    {"'B' * 4000000", "s is upper"},
    {"' ' * 4000000", "s.isspace()"},
    {"'b' * 4000000", "s.isprintable()"},
    {"'b' * 4000000", "s.isidentifier()"},
    {"'b' * 4000000", "s.isascii()"},
    {"'B b ' * 1000000", "s.istitle()"},
    {"'\\u00e9' * 2000000", "s.isalpha()"},
    {"'\\u4e00 ' * 1000000", "s|wordcount"},
    {"' ' * 4000000", "s|trim"},
    {"'Bb ' * 1000000", "s.istitle()"},
    {"'a ' * 1000000", "s|wordcount"},
    {"'b' * 4000000", "s.center(3)"},
    {"'b' * 4000000", "s.zfill(3)"},
    {"'b' * 4000000", "s.ljust(3)|length"},
    {"'b' * 4000000", "'%c' % s if 0 else s[-1]"},
    {"'b' * 4000000", "s.startswith(s ~ '')"},
    {"'b' * 4000000", "s.startswith('c', 3999999)"},
    {"'b' * 4000000", "s.endswith(('c' ~ s)[1:])"},
    {"'b' * 4000000", "s.removesuffix(s)"},
    {"'b' * 4000000", "s.removeprefix(t)"},
    {"'b' * 4000000", "s == t"},
    {"'b' * 4000000", "s < t"},
    {"'b' * 4000000", "s in [t]"},
    {"'b' * 4000000", "s.count('b')"},
    {"'b' * 4000000", "s.count('bb')"},
    {"'b' * 4000000", "s.find('c')"},
    {"'b' * 4000000", "s.find('cb')"},
    {"'b' * 4000000", "s.rfind('cbbbbbbbbbbbbbbbbbbbbbb')"},
    {"'b' * 4000000", "s.rfind('bc')"},
    {"'b' * 4000000", "'cbbb' in s"},
    {"'b' * 4000000", "'cbbbbbbbbbbbbbbbbbbbbbbbbbbbbb' in s"},
    {"'b' * 4000000", "('c' ~ 'b' * 255) in s"},
    {"'b' * 4000000", "('b' * 20 ~ 'c' ~ 'b' * 200) in s"},
    {"'b' * 4000000", "('b' * 1000 ~ 'c' ~ 'b' * 1000) in s"},
    {"'b' * 4000000", "('b' * 1999999 ~ 'c' ~ 'b' * 1999999) in s"},
    {"'b' * 4000000", "s.partition('cbbb')|length"},
    {"'b' * 4000000", "s.split('cbbb')|length"},
    {"'b' * 4000000", "s.split()|length"},
    {"'b' * 4000000", "s.splitlines()|length"},
    {"'b' * 4000000", "s|int"},
    {"' ' * 4000000", "s|int"},
    {"' ' * 4000000", "s|float"},
    {"'7' * 4000000", "s|int"},
    {"'b' * 4000000", "s|length"},
    {"'b' * 4000000", "s[3999998:]"},
    {"'b' * 4000000", "s[1::1999998]"},
    {"'b' * 4000000", "s|trim('b')"},
    {"'b' * 4000000", "'%.1s' % s"},
    {"'b' * 4000000", "'%.3999999s' % s"},
    {"'b' * 4000000", "s|truncate(9)"},
    {"'bB' * 2000000", "s.swapcase()"},
    {"'b ' * 2000000", "s|title"},
    {"'&' * 4000000", "s|striptags"},
};

static void test_scans(void **state)
{
    (void)state;
    const size_t stride = SLOWER > 1 ? 8 : 1; /* a slow build takes a part of them */
    for (size_t i = 0; i < sizeof scans / sizeof *scans; i += stride) {
        char text[400];
        snprintf(text, sizeof text,
                 "{%% set s = %s %%}{%% set t = s[1:] ~ s[0] %%}{%% for i in range(100000) %%}"
                 "{%% if (%s) == 1.5 %%}x{%% endif %%}{%% endfor %%}",
                 scans[i].s, scans[i].expression);
        attempt a = try_on(text, "{}", STACK);
        if (a.status != PLIM_E_LIMIT)
            fail_msg("%s: %d '%s'", scans[i].expression, a.status, a.err.message);
        if (a.seconds > 2.5 * SLOWER)
            fail_msg("%s: %.2f s", scans[i].expression, a.seconds);
        assert_int_equal(a.held, 0);
    }
}

/* Messages are UTF-8: nothing is cut inside a character. */
static void test_whole_characters(void **state)
{
    (void)state;
    expect(PLIM_E_FORMAT, "character '\u00e9'", "{{ '%\u00e9' % 1 }}", "{}");
    static const char *const templates[] = {"{{ d['%s'].x }}",
                                            "{{ d|attr('%s') + 1 }}",
                                            "{{ ''.%s.x }}",
                                            "{{ x|%s }}",
                                            "{{ x is %s }}",
                                            "{{ '{%s}'.format(1) }}",
                                            "{{ dict(%s=1, **d)[0].x }}"};
    for (size_t i = 0; i < sizeof templates / sizeof *templates; i++) {
        for (size_t lead = 0; lead < 2; lead++) {
            char text[400], name[200];
            size_t n = lead;
            memset(name, 'a', lead);
            for (; n < 120; n += 2)
                memcpy(name + n, "\u00e9", 2);
            name[n] = 0;
            snprintf(text, sizeof text, templates[i], name);
            attempt a = try_on(text, "{\"d\": {}}", STACK);
            assert_int_not_equal(a.status, PLIM_OK);
            const char *m = a.err.message, *end = m + strlen(m);
            for (size_t step; m < end; m += step) {
                uint32_t code;
                size_t bad;
                bool incomplete;
                step = plim_utf8_decode(m, (size_t)(end - m), &code, &bad, &incomplete);
                if (!step)
                    fail_msg("%s: '%s'", templates[i], a.err.message);
            }
        }
    }
}

/* ... and a conversation of a megabyte is far from the cap, in one message or in many. */
static void test_megabyte(void **state)
{
    (void)state;
    static const char template[] =
        "{% for m in messages %}{% set c = m.content|trim %}"
        "{% if '</think>' in c %}{% set c = c.split('</think>')[-1].lstrip('\\n') %}{% endif %}"
        "{% if c.startswith('<tool_response>') and c.endswith('</tool_response>') %}x{% endif %}"
        "{{ '<|im_start|>' + m.role + '\\n' + c.replace('\\r', '') + m|tojson }}"
        "{{ c.rfind('<|') }}{{ c|length }}{{ c.strip() }}{{ c is string and c.isspace() }}"
        "{% endfor %}";
    for (size_t messages = 1; messages <= 10000; messages *= 10000) {
        char *content =
            repeat("{\"role\": \"user\", \"content\": \"", "ten bytes ", 100000 / messages, "\"}");
        char *comma = repeat(",", content, 1, "");
        char *start = repeat("{\"messages\": [", content, 1, "");
        char *context = repeat(start, comma, messages - 1, "]}");
        expect(PLIM_OK, NULL, template, context);
        free(context);
        free(start);
        free(comma);
        free(content);
    }
}

static void test_nesting(void **state)
{
    (void)state;
    expect_repeated(PLIM_E_LIMIT, "nested deeper", "{{ ", "(", 10000, "1");
    expect_repeated(PLIM_E_LIMIT, "nested deeper", "{{ ", "[", 10000, "1");
    expect_repeated(PLIM_E_LIMIT, "nested deeper", "{{ ", "{1:", 10000, "1");
    expect_repeated(PLIM_E_LIMIT, "nested deeper", "{{ ", "not ", 10000, "1 }}");
    expect_repeated(PLIM_E_LIMIT, "nested deeper", "{{ ", "-", 10000, "1 }}");
    expect_repeated(PLIM_E_LIMIT, "nested deeper", "{{ a", ".b", 10000, " }}");
    expect_repeated(PLIM_E_LIMIT, "nested deeper", "{{ a", "|upper", 10000, " }}");
    expect_repeated(PLIM_E_LIMIT, "nested deeper", "{{ 1", "+1", 10000, " }}");
    expect_repeated(PLIM_E_LIMIT, "nested deeper", "{{ 1", " if 1 else 1", 10000, " }}");
    expect_repeated(PLIM_E_LIMIT, "nested deeper", "", "{% if 1 %}", 10000, "");
    expect_repeated(PLIM_E_LIMIT, "nested deeper", "", "{% for x in y %}", 10000, "");
    expect_repeated(PLIM_E_LIMIT, "nested deeper", "", "{% macro m() %}", 10000, "");
    expect_repeated(PLIM_E_LIMIT, "nested deeper", "", "{% filter upper %}", 10000, "");
    /* flat ones are as long as they like */
    expect_repeated(PLIM_OK, NULL, "{{ 1", " ~ 1", 10000, " }}");
    expect_repeated(PLIM_OK, NULL, "{{ 1", " or 1", 10000, " }}");
    expect_repeated(PLIM_OK, NULL, "{% if 0 %}", "{% elif 0 %}", 10000, "{% endif %}");
    expect_repeated(PLIM_OK, NULL, "", "{{ 1 }}", 100000, "");
}

/* As deep as it may be: not a byte beyond a small stack. */
static void test_deepest(void **state)
{
    (void)state;
    char *open = repeat("{% macro m(n) %}{{ ", "(", 20, "n|string ~ (m(n - 1) if n else '')");
    char *whole = repeat(open, ")", 20, " }}{% endmacro %}{{ m(30)|length }}");
    expect(PLIM_OK, NULL, whole, "{}");
    free(open);
    free(whole);
    char *nested = repeat("", "{% if 1 %}{% for x in [1] %}", 48, "x");
    char *closed = repeat(nested, "{% endfor %}{% endif %}", 48, "");
    expect(PLIM_OK, NULL, closed, "{}");
    free(nested);
    free(closed);
    expect_repeated(PLIM_OK, NULL, "{{ ", "[", 45,
                    "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]] }}");
    char *json = repeat("{\"x\": ", "[", 90, "");
    char *context = repeat(json, "]", 90, "}");
    expect(PLIM_OK, NULL, "{{ x }}{{ x|tojson(indent=1) }}{{ x == x[0] }}", context);
    free(json);
    free(context);
}

static void test_format(void **state)
{
    (void)state;
    expect(PLIM_E_FORMAT, "snippet: line 3: ", "a\nb\n{% if x %}", "{}");
    expect(PLIM_E_FORMAT, "line 2: ", "a\n{{ 1", "{}");
    expect(PLIM_E_FORMAT, "line 1: ", "{# never", "{}");
    expect(PLIM_E_FORMAT, "line 1: ", "{% raw %}", "{}");
    expect(PLIM_E_FORMAT, "line 2: ", "\n{{ 1 / 0 }}", "{}");
    expect(PLIM_E_FORMAT, "zero", "{{ 1 % 0 }}", "{}");
    expect(PLIM_E_FORMAT, "zero", "{{ 4 is divisibleby(0) }}", "{}");
    expect(PLIM_E_FORMAT, "'nope' is undefined", "{{ nope() }}", "{}");
    expect(PLIM_E_FORMAT, "undefined", "{{ nope.a }}", "{}");
    expect(PLIM_E_FORMAT, "my message", "{{ raise_exception('my message') }}", "{}");
    expect(PLIM_E_FORMAT, NULL, "x", "{\"a\": }");
    expect(PLIM_E_FORMAT, "object", "x", "[]");
    expect(PLIM_E_TRUNC, NULL, "x", "{\"a\": [");
    expect(PLIM_E_LIMIT, NULL, "{{ range(1) }}", "{\"a\": 99999999999999999999}");
    expect(PLIM_E_FORMAT, "messages", "x", "{\"messages\": []}");
    expect(PLIM_E_FORMAT, "messages", "x", "{\"messages\": [1]}");
    expect(PLIM_E_FORMAT, "tools", "x", "{\"tools\": [1]}");
    expect(PLIM_E_FORMAT, "documents", "x", "{\"documents\": {}}");
}

static void test_unsafe(void **state)
{
    (void)state;
    expect(PLIM_E_UNSAFE, "__class__", "{{ ''.__class__.__mro__[1].__subclasses__() }}", "{}");
    expect(PLIM_E_UNSAFE, "__class__", "{{ x.__class__() }}", "{\"x\": {}}");
    expect(PLIM_E_UNSAFE, "__globals__", "{{ range.__globals__.x }}", "{}");
    expect(PLIM_E_UNSAFE, "__init__", "{{ ''['__init__']['__globals__'] }}", "{}");
    expect(PLIM_E_UNSAFE, "__class__", "{{ '{0.__class__.__mro__}'.format('') }}", "{}");
    expect(PLIM_E_UNSAFE, "__class__", "{{ (''|attr('__class__'))() }}", "{}");
    expect(PLIM_E_UNSAFE, "append", "{{ [].append(1) }}", "{}");
    expect(PLIM_E_UNSAFE, "underscore", "{{ namespace(__x__=1) }}", "{}");
}

static void test_unsupported(void **state)
{
    (void)state;
    expect(PLIM_E_UNSUP, "stands alone", "{% include 'chat_template.jinja' %}", "{}");
    expect(PLIM_E_UNSUP, "stands alone", "{% extends 'x' %}", "{}");
    expect(PLIM_E_UNSUP, "stands alone", "{% import 'x' as y %}", "{}");
    expect(PLIM_E_UNSUP, NULL, "{% autoescape true %}{% endautoescape %}", "{}");
}

/* What is long is linear: twice as much takes no more than four times as long. */
static double seconds_of(const char *template, size_t messages)
{
    char *items =
        repeat("{\"messages\": [{\"role\": \"user\", \"content\": \"first\"}",
               ", {\"role\": \"user\", \"content\": \"some words of a message\"}", messages, "]}");
    attempt a = try_on(template, items, STACK);
    if (a.status)
        fail_msg("%s", a.err.message);
    a.alloc.user = &a;
    plim_chat_text_free(&a.text, &a.alloc);
    free(items);
    return a.seconds;
}

static void test_long(void **state)
{
    (void)state;
    static const char *const templates[] = {
        "{% set ns = namespace(s='') %}{% for m in messages %}{% set ns.s = ns.s + m.role + "
        "': ' + m.content + '\n' %}{% endfor %}{{ ns.s }}",
        "{% set ns = namespace(s='') %}{% for m in messages %}{% set ns.s = ns.s ~ m.content %}"
        "{% endfor %}{{ ns.s|length }}",
        "{% for m in messages %}{{ m.role ~ m.content|trim }}{{ loop.last }}{% endfor %}",
        "{{ messages|map(attribute='content')|join(' ')|upper }}",
    };
    for (size_t i = 0; i < sizeof templates / sizeof *templates; i++) {
        double one = seconds_of(templates[i], 10000), two = seconds_of(templates[i], 20000);
        if (two > 4 * one + 0.05 * SLOWER)
            fail_msg("%s: %.4f s, then %.4f s", templates[i], one, two);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),      cmocka_unit_test(test_scans),
        cmocka_unit_test(test_megabyte),    cmocka_unit_test(test_whole_characters),
        cmocka_unit_test(test_nesting),     cmocka_unit_test(test_deepest),
        cmocka_unit_test(test_format),      cmocka_unit_test(test_unsafe),
        cmocka_unit_test(test_unsupported), cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
