/* SPDX-License-Identifier: Apache-2.0
 *
 * Which bytes count as input, after every operation on strings; and continue_final_message, the
 * choice of a template and special tokens, which Transformers' apply_chat_template is about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chat/support.h"

static const char context[] =
    "{\"s\": \"in\", \"ws\": \" in \", \"csv\": \"a,b\", \"q\": \"a\\\"b\", \"nl\": \"a\\nb\", "
    "\"l\": [\"x\", \"y\"], \"d\": {\"k\": \"v\"}, \"pct\": \"%s!\", \"brace\": \"{}!\", "
    "\"html\": \"a<b\", \"tab\": \"a\\tb\", \"n\": 5, \"up\": \"\\u00df\"}";

/* Input stands in brackets (and so do lists: "[['x']]" is a list of one that is input). */
static const struct {
    const char *template, *marked;
} cases[] = {
    {"t{{ s }}t", "t[in]t"},
    {"{{ s + 't' }}", "[in]t"},
    {"{{ 't' + s }}", "t[in]"},
    {"{{ s ~ 't' ~ s }}", "[in]t[in]"},
    {"{{ s * 2 }}", "[inin]"},
    {"{{ ('t' ~ s) * 2 }}", "t[in]t[in]"},
    {"{{ ('t' ~ s) * 3 }}{{ s * 5 }}", "t[in]t[in]t[inininininin]"},
    {"{{ '<%s>' % s }}", "<[in]>"},
    {"{{ '<%5s>' % s }}", "<   [in]>"},
    {"{{ '%(k)s.' % d }}", "[v]."},
    {"{{ pct % 't' }}", "t[!]"},
    {"{{ '%r' % s }}", "['in']"},
    {"{{ '<{}>'.format(s) }}", "<[in]>"},
    {"{{ '{:>4}'.format(s) }}", "  [in]"},
    {"{{ '{0[k]}{x}'.format(d, x=s) }}", "[vin]"},
    {"{{ brace.format('t') }}", "t[!]"},
    {"{{ '%s-%s'|format(s, 't') }}", "[in]-t"},
    {"{{ ('t' ~ s)[1:] }}{{ ('t' ~ s)[0] }}", "[in]t"},
    {"{{ ('t' ~ s)[::-1] }}", "[ni]t"},
    {"{{ ('ab' ~ s)[::2] }}", "a[i]"},
    /* a number has no mark: what is made of one may be of the context */
    {"{{ '%c%c' % (n + 55, 's') }}", "[<]s"},
    {"{{ '%3c' % (n + 55) }}{{ '%c' % s[0] }}", "  [<i]"},
    {"{{ '{:c}'.format(n + 55) }}", "[<]"},
    {"{{ 'tin'.translate({116: n + 55}) }}", "[<]in"},
    {"{{ s[0] }}{{ s[-1] }}", "[in]"},
    {"{{ ws|trim }}", "[in]"},
    {"{{ ('t ' ~ ws).strip() }}", "t [ in]"},
    {"{{ ws.lstrip() }}|{{ ws.rstrip() }}", "[in ]|[ in]"},
    {"{{ ('t,' ~ csv).split(',')|join('-') }}", "t-[a]-[b]"},
    {"{{ csv.split(',') }}", "[['a'], ['b']]"},
    {"{{ csv.partition(',')[2] ~ csv.rpartition(',')[1] }}", "[b,]"},
    {"{{ nl.splitlines()|join('+') }}", "[a]+[b]"},
    {"{{ s.replace('i', 't') }}", "t[n]"},
    {"{{ 'tit'.replace('i', s) }}", "t[in]t"},
    {"{{ 'tit'|replace('i', s) }}", "t[in]t"},
    {"{{ ('t' ~ s).upper() }}{{ ('T' ~ s)|lower }}", "T[IN]t[in]"},
    {"{{ up|upper }}{{ up.title() }}", "[SSSs]"},
    {"{{ ('t ' ~ s)|title }}{{ ('t ' ~ s).title() }}", "T [In]T [In]"},
    {"{{ ('t' ~ s)|capitalize }}{{ s.swapcase() }}{{ s.casefold() }}", "T[inINin]"},
    {"{{ s|tojson }}", "[\"in\"]"},
    {"{{ q|tojson }}", "[\"a\\\"b\"]"},
    {"{{ ('t' ~ q)|tojson }}", "[\"]t[a\\\"b\"]"},
    {"{{ l|tojson }}", "[[\"x\"], [\"y\"]]"},
    {"{{ d|tojson }}", "{[\"k\"]: [\"v\"]}"},
    {"{{ {'t': s, 'u': 1}|tojson }}", "{\"t\": [\"in\"], \"u\": 1}"},
    {"{{ {'t': s}|tojson(indent=2) }}", "{\n  \"t\": [\"in\"]\n}"},
    {"{{ s|string }}{{ l|string }}", "[in][['x'], ['y']]"},
    {"{{ d }}", "{['k']: ['v']}"},
    {"{{ ['t', s] }}", "['t', ['in']]"},
    {"{{ nl|indent(2) }}", "[a]\n  [b]"},
    {"{{ s|indent(2, true) }}", "  [in]"},
    {"{{ 'a\nb'|indent(s) }}", "a\n[in]b"},
    {"{{ s|center(6) }}", "  [in]  "},
    {"{{ s.ljust(4, '.') }}{{ s.rjust(4, '.') }}{{ s.zfill(3) }}", "[in]....[in]0[in]"},
    {"{{ tab.expandtabs(2) }}", "[a b]"},
    {"{{ 'a b c'|truncate(3, true, s, 0) }}", "a[in]"},
    {"{{ ('word ' ~ s ~ ' more words')|truncate(11, false, '.', 0) }}", "word [in]."},
    {"{{ missing|default(s) }}{{ s|default('t') }}", "[inin]"},
    {"{{ l|join(', ') }}", "[x], [y]"},
    {"{{ ['t', 'u']|join(s) }}", "t[in]u"},
    {"{{ s.join(['t', 'u']) }}", "t[in]u"},
    {"{{ l|sort(reverse=true)|join }}{{ l|first }}{{ l|last }}", "[yxxy]"},
    {"{{ l|map('upper')|join('-') }}", "[X]-[Y]"},
    {"{{ l|reverse|join }}{{ s|reverse }}{{ l|min }}{{ l|max }}", "[yxnixy]"},
    {"{{ l|unique|list|join }}{{ (l|batch(1)|first)[0] }}", "[xyx]"},
    {"{{ s|list|join('.') }}", "[i].[n]"},
    {"{% for c in s %}{{ c }}.{% endfor %}", "[i].[n]."},
    {"{% for k, v in d.items() %}{{ k }}={{ v }}{% endfor %}", "[k]=[v]"},
    {"{{ d.keys()|join }}{{ d.values()|join }}{{ d|dictsort }}", "[kv][(['k'], ['v'])]"},
    {"{% set x %}t{{ s }}{% endset %}{{ x }}", "t[in]"},
    {"{% macro m(a) %}<{{ a }}>{% endmacro %}{{ m(s)|upper }}", "<[IN]>"},
    {"{% filter upper %}t{{ s }}{% endfilter %}", "T[IN]"},
    {"{% set ns = namespace(x='') %}{% for i in l %}{% set ns.x = ns.x ~ '-' ~ i %}{% endfor %}"
     "{{ ns.x }}",
     "-[x]-[y]"},
    {"{{ html|e }}{{ ('t<' ~ html)|escape }}", "[a&lt;b]t&lt;[a&lt;b]"},
    {"{{ html|safe }}{{ ('<'|safe) + html }}", "[a<b]<[a&lt;b]"},
    {"{{ {'t': s}|xmlattr }}", " t=\"[in]\""},
    {"{{ 'a b' ~ s|urlencode }}", "a b[in]"},
    {"{{ (html ~ 't')|urlencode }}", "[a%3Cb]t"},
    {"{{ ('t ' ~ s)|wordwrap(2) }}", "t\n[in]"},
    {"{{ ['t' ~ s]|pprint }}", "[[']t[in']]"},
    {"{{ ('<t>' ~ s ~ ' &lt;' ~ html)|striptags }}", "[in] <[a<b]"},
    {"{{ ('t'|safe).join([html]) }}{{ ('t'|safe).replace('t', html) }}", "[a&lt;ba&lt;b]"},
    {"{{ s.removeprefix('i') }}{{ s.removesuffix('n') }}", "[ni]"},
    {"{{ 'tin'.translate({116: s, 105: none}) }}", "[in]n"},
    {"{{ s if n > 3 else 't' }}{{ s or 't' }}{{ '' or s }}", "[ininin]"},
    {"{{ (l|groupby(0))[0].grouper }}", "[x]"},
    {"{{ l|sum(start='')|default(s) if false else s }}", "[in]"},
    {"{{ dict(a=s).a }}{{ [s][0] }}{{ (s,)[0] }}{{ namespace(b=s).b }}", "[inininin]"},
    {"{{ cycler(s, 't').next() }}{{ joiner(s)() }}", "[in]"},
    {"{{ s|attr('upper')() }}{{ s|wordcount }}{{ n }}", "[IN]15"},
    {"{{ strftime_now(s ~ '%Y') }}", "[in]2024"},
};

/* The text with its spans in brackets. */
static char *bracketed(const plim_chat_text *text)
{
    char *out = malloc(text->bytes + 2 * text->span_count + 1), *at = out;
    size_t span = 0;
    assert_non_null(out);
    for (size_t i = 0; i <= text->bytes; i++) {
        if (span < text->span_count && text->spans[span].end == i && i) {
            *at++ = ']';
            span++;
        }
        if (span < text->span_count && text->spans[span].begin == i)
            *at++ = '[';
        if (i < text->bytes)
            *at++ = text->text[i];
    }
    *at = 0;
    return out;
}

static plim_status render(const char *template, const char *json, plim_chat_text *text,
                          plim_error *err)
{
    plim_templates *templates;
    plim_status status =
        chat_open_text(&templates, plim_alloc_system(), template, strlen(template), err);
    if (!status)
        status = chat_render(templates, plim_alloc_system(), json, strlen(json), text, err);
    plim_templates_close(&templates);
    return status;
}

static void expect(const char *template, const char *json, const char *marked, size_t *wrong)
{
    plim_chat_text text = {0};
    plim_error err = {0};
    if (render(template, json, &text, &err)) {
        print_error("%s: %s\n", template, err.message);
        ++*wrong;
        return;
    }
    char *got = bracketed(&text);
    if (strcmp(got, marked) != 0) {
        print_error("%s\n  want %s\n  got  %s\n", template, marked, got);
        ++*wrong;
    }
    free(got);
    plim_chat_text_free(&text, plim_alloc_system());
}

static void test_operations(void **state)
{
    (void)state;
    size_t wrong = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(cases[i].template, context, cases[i].marked, &wrong);
    assert_int_equal(wrong, 0);
}

/* ---- the chat around it ---- */

#define LOOP  "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}"
#define TRIM  "{% for m in messages %}<{{ m.role }}>{{ m.content|trim }}</>{% endfor %}"
#define THINK "{% for m in messages %}<{{ m.reasoning_content }}>{{ m.thinking }}</>{% endfor %}"

static void test_continue(void **state)
{
    (void)state;
    size_t wrong = 0;
    expect(LOOP,
           "{\"messages\": [{\"role\": \"u\", \"content\": \"x\"}, {\"role\": \"a\", \"content\": "
           "\"so \"}], \"continue_final_message\": true}",
           "<[u]>[x]</><[a]>[so ]", &wrong);
    expect(TRIM,
           "{\"messages\": [{\"role\": \"a\", \"content\": \" so \"}], "
           "\"continue_final_message\": true}",
           "<[a]>[so]", &wrong);
    expect("{% for m in messages %}{% for b in m.content %}<{{ b.text }}>{% endfor %}{% endfor %}",
           "{\"messages\": [{\"content\": [{\"text\": \"a\"}, {\"text\": \"b\"}, {\"x\": 1}]}], "
           "\"continue_final_message\": true}",
           "<[a]><[b]", &wrong);
    expect("{% for m in messages %}<{{ m.reasoning_content }}></>{% endfor %}",
           "{\"messages\": [{\"role\": \"a\", \"reasoning\": \"r\"}], "
           "\"continue_final_message\": \"reasoning\"}",
           "<[r]", &wrong);
    expect(LOOP, "{\"messages\": [{\"role\": \"a\", \"content\": \"so\"}]}", "<[a]>[so]</>",
           &wrong);
    assert_int_equal(wrong, 0);
}

static void refuse(const char *template, const char *json, const char *says)
{
    plim_chat_text text = {0};
    plim_error err = {0};
    assert_int_equal(render(template, json, &text, &err), PLIM_E_FORMAT);
    assert_non_null(strstr(err.message, says));
    assert_null(text.text);
}

static void test_continue_refused(void **state)
{
    (void)state;
    refuse(LOOP,
           "{\"messages\": [{\"role\": \"a\", \"content\": \"x\"}], \"continue_final_message\": "
           "true, \"add_generation_prompt\": true}",
           "exclude each other");
    refuse(LOOP, "{\"messages\": [{\"role\": \"a\"}], \"continue_final_message\": true}",
           "nothing to continue");
    refuse("{{ messages[0].role }}",
           "{\"messages\": [{\"role\": \"a\", \"content\": \"x\"}], "
           "\"continue_final_message\": true}",
           "does not mention");
    refuse("{{ messages[0].role }}content",
           "{\"messages\": [{\"role\": \"a\", \"content\": \"x\"}], "
           "\"continue_final_message\": true}",
           "does not appear");
    refuse(LOOP,
           "{\"messages\": [{\"role\": \"a\", \"content\": []}], "
           "\"continue_final_message\": true}",
           "no text to continue");
}

static void test_messages(void **state)
{
    (void)state;
    size_t wrong = 0;
    expect("{{ 'content' in messages[0] }}{{ tools is none }}{{ add_generation_prompt }}",
           "{\"messages\": [{\"role\": \"a\", \"content\": null}]}", "FalseTrueFalse", &wrong);
    expect(THINK, "{\"messages\": [{\"reasoning\": \"r\"}]}", "<[r]>[r]</>", &wrong);
    expect(THINK, "{\"messages\": [{\"thinking\": \"t\", \"reasoning\": \"r\"}]}", "<[t]>[t]</>",
           &wrong);
    expect("{{ x }}", "{\"x\": 1, \"x\": \"twice\"}", "[twice]", &wrong);
    expect("{{ continue_final_message is defined }}", "{}", "False", &wrong);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operations),
        cmocka_unit_test(test_continue),
        cmocka_unit_test(test_continue_refused),
        cmocka_unit_test(test_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
