/* SPDX-License-Identifier: Apache-2.0
 *
 * The JSON reader: events against Python's json, every syntax error with its offset, whatever the
 * size of the reads. */
#include "json_test.h"

#include <stdio.h>

#include "expected_json.h"

static const size_t steps[] = {1, 2, 3, 7, 100000};
enum { STEPS = sizeof steps / sizeof steps[0] };

static void events_of_python(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof json_cases / sizeof json_cases[0]; i++) {
        const struct json_case *c = &json_cases[i];
        for (size_t s = 0; s <= STEPS; s++) {
            drip d = {c->text, c->n, s < STEPS ? steps[s] : 0, 0, SIZE_MAX};
            plim_json *json;
            plim_error err;
            char *events;
            size_t n;
            if (s < STEPS)
                json = drip_open(&d, plim_alloc_system(), NULL);
            else
                assert_int_equal(plim_json_open_memory(&json, plim_alloc_system(), c->text, c->n,
                                                       "doc.json", NULL, &err),
                                 PLIM_OK);
            assert_int_equal(all_events(json, &events, &n, &err), PLIM_OK);
            assert_int_equal(n, c->events_n);
            assert_memory_equal(events, c->events, n);
            free(events);
            plim_json_close(&json);
        }
    }
}

/* Every beginning of a document is either whole (a number) or ends too early, and that at its end.
 */
static void every_prefix(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof json_cases / sizeof json_cases[0]; i++) {
        const struct json_case *c = &json_cases[i];
        size_t last = c->n;
        while (last > 0 && strchr(" \t\r\n", c->text[last - 1]))
            last--;
        for (size_t n = 0; n < last; n++) {
            drip d = {c->text, n, n % 3 ? 1000 : 1, 0, SIZE_MAX};
            plim_json *json = drip_open(&d, plim_alloc_system(), NULL);
            plim_error err;
            char *events;
            size_t events_n;
            plim_status status = all_events(json, &events, &events_n, &err);
            bool number = events_n > 0 && events[0] == 'N';
            if (!number || status != PLIM_OK) {
                assert_int_equal(status, PLIM_E_TRUNC);
                assert_int_equal(err.offset, DRIP_BASE + n);
            }
            free(events);
            plim_json_close(&json);
        }
    }
}

static void verdicts_of_python(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof json_verdicts / sizeof json_verdicts[0]; i++) {
        const struct json_verdict *v = &json_verdicts[i];
        int64_t offset = -1;
        plim_status first = PLIM_OK;
        for (size_t s = 0; s < STEPS; s++) {
            drip d = {v->text, v->n, steps[s], 0, SIZE_MAX};
            plim_json *json = drip_open(&d, plim_alloc_system(), NULL);
            plim_error err;
            char *events;
            size_t n;
            plim_error_clear(&err);
            plim_status status = all_events(json, &events, &n, &err);
            assert_int_equal(status == PLIM_OK, v->good);
            if (s == 0) {
                first = status;
                offset = err.offset;
            }
            assert_int_equal(status, first); /* the same error at the same place */
            assert_int_equal(err.offset, offset);
            free(events);
            plim_json_close(&json);
        }
    }
}

typedef struct bad {
    const char *text;
    plim_status code;
    int offset;
    const char *message;
    size_t n; /* 0: strlen */
} bad;

static const bad bads[] = {
    /* nothing, or something else */
    {"", PLIM_E_TRUNC, 0, "the document is empty", 0},
    {" \n\t\r", PLIM_E_TRUNC, 4, "the document is empty", 0},
    {"\xef\xbb\xbf{}", PLIM_E_FORMAT, 0, "want a value, found byte 0xef", 0},
    {"junk", PLIM_E_FORMAT, 0, "want a value, found 'j'", 0},
    {"{}\0", PLIM_E_FORMAT, 2, "want nothing after the document, found byte 0x00", 3},
    {"{} x", PLIM_E_FORMAT, 3, "want nothing after the document, found 'x'", 0},
    {"{}{}", PLIM_E_FORMAT, 2, "want nothing", 0},
    {"1 2", PLIM_E_FORMAT, 2, "want nothing", 0},
    {"\"a\"b", PLIM_E_FORMAT, 3, "want nothing", 0},
    {"\f1", PLIM_E_FORMAT, 0, "found byte 0x0c", 0},
    {"\xc2\xa0"
     "1",
     PLIM_E_FORMAT, 0, "found byte 0xc2", 0},
    /* what other dialects have */
    {"NaN", PLIM_E_FORMAT, 0, "want a value, found 'N'", 0},
    {"Infinity", PLIM_E_FORMAT, 0, "want a value", 0},
    {"-Infinity", PLIM_E_FORMAT, 1, "a number wants a digit, found 'I'", 0},
    {"'a'", PLIM_E_FORMAT, 0, "want a value", 0},
    {"[1 /* x */]", PLIM_E_FORMAT, 3, "want ',' or ']', found '/'", 0},
    {"// c\n1", PLIM_E_FORMAT, 0, "want a value", 0},
    {"# c\n1", PLIM_E_FORMAT, 0, "want a value", 0},
    {"{a:1}", PLIM_E_FORMAT, 1, "want a key, found 'a'", 0},
    {"{1:1}", PLIM_E_FORMAT, 1, "want a key, found '1'", 0},
    /* words */
    {"nul", PLIM_E_TRUNC, 3, "ends in the middle of null", 0},
    {"nulx", PLIM_E_FORMAT, 3, "want null, found 'x'", 0},
    {"True", PLIM_E_FORMAT, 0, "want a value", 0},
    {"[tRue]", PLIM_E_FORMAT, 2, "want true, found 'R'", 0},
    {"[fals]", PLIM_E_FORMAT, 5, "want false, found ']'", 0},
    {"[truefalse]", PLIM_E_FORMAT, 5, "want ',' or ']', found 'f'", 0},
    {"t", PLIM_E_TRUNC, 1, "true", 0},
    /* arrays */
    {"[", PLIM_E_TRUNC, 1, "ends in the middle of an array", 0},
    {"[1", PLIM_E_TRUNC, 2, "an array", 0},
    {"[1,", PLIM_E_TRUNC, 3, "an array", 0},
    {"[1,]", PLIM_E_FORMAT, 3, "want a value, found ']'", 0},
    {"[,1]", PLIM_E_FORMAT, 1, "want a value, found ','", 0},
    {"[1,,2]", PLIM_E_FORMAT, 3, "want a value, found ','", 0},
    {"[1 2]", PLIM_E_FORMAT, 3, "want ',' or ']', found '2'", 0},
    {"[1:2]", PLIM_E_FORMAT, 2, "want ',' or ']', found ':'", 0},
    {"]", PLIM_E_FORMAT, 0, "want a value, found ']'", 0},
    {"[}", PLIM_E_FORMAT, 1, "want a value, found '}'", 0},
    {"[1}", PLIM_E_FORMAT, 2, "want ',' or ']', found '}'", 0},
    {"[]]", PLIM_E_FORMAT, 2, "want nothing", 0},
    {"[[1], [2]", PLIM_E_TRUNC, 9, "an array", 0},
    /* objects */
    {"{", PLIM_E_TRUNC, 1, "ends in the middle of an object", 0},
    {"{]", PLIM_E_FORMAT, 1, "want a key, found ']'", 0},
    {"{,}", PLIM_E_FORMAT, 1, "want a key, found ','", 0},
    {"{\"a\"", PLIM_E_TRUNC, 4, "an object", 0},
    {"{\"a\"}", PLIM_E_FORMAT, 4, "want ':', found '}'", 0},
    {"{\"a\" 1}", PLIM_E_FORMAT, 5, "want ':', found '1'", 0},
    {"{\"a\":", PLIM_E_TRUNC, 5, "an object", 0},
    {"{\"a\":}", PLIM_E_FORMAT, 5, "want a value, found '}'", 0},
    {"{\"a\"::1}", PLIM_E_FORMAT, 5, "want a value, found ':'", 0},
    {"{\"a\":1", PLIM_E_TRUNC, 6, "an object", 0},
    {"{\"a\":1,", PLIM_E_TRUNC, 7, "an object", 0},
    {"{\"a\":1,}", PLIM_E_FORMAT, 7, "want a key, found '}'", 0},
    {"{\"a\":1 \"b\":2}", PLIM_E_FORMAT, 7, "want ',' or '}', found '\"'", 0},
    {"{\"a\":1]", PLIM_E_FORMAT, 6, "want ',' or '}', found ']'", 0},
    {"{\"a\":1,2}", PLIM_E_FORMAT, 7, "want a key, found '2'", 0},
    {"{\"a\":1,\"b\":2,\"a\":3}", PLIM_E_FORMAT, 13, "duplicate key \"a\"", 0},
    {"{\"a\":1,\"\\u0061\":2}", PLIM_E_FORMAT, 7, "duplicate key \"a\"", 0},
    {"{\"\":{\"\":1,\"\":2}}", PLIM_E_FORMAT, 10, "duplicate key \"\"", 0},
    {"{\"\xc3\xa9\":1,\"\\u00E9\":2}", PLIM_E_FORMAT, 8, "duplicate key \"\xc3\xa9\"", 0},
    {"{\"a\\u0000b\":1,\"a\\u0000b\":2}", PLIM_E_FORMAT, 14, "duplicate key", 0},
    /* strings */
    {"\"ab", PLIM_E_TRUNC, 3, "ends in the middle of a string", 0},
    {"{\"a", PLIM_E_TRUNC, 3, "a string", 0},
    {"\"a\x01z\"", PLIM_E_FORMAT, 2, "control character 0x01", 0},
    {"\"a\nb\"", PLIM_E_FORMAT, 2, "control character 0x0a", 0},
    {"\"a\\n\tb\"", PLIM_E_FORMAT, 4, "control character 0x09", 0},
    {"\"a\0b\"", PLIM_E_FORMAT, 2, "control character 0x00", 5},
    {"\"0123456789abcdef0123456789abcdef\x1f\"", PLIM_E_FORMAT, 33, "control character 0x1f", 0},
    {"\"\\x41\"", PLIM_E_FORMAT, 1, "no such escape, a backslash and 'x'", 0},
    {"\"abc\\'\"", PLIM_E_FORMAT, 4, "no such escape", 0},
    {"\"\\\0\"", PLIM_E_FORMAT, 1, "no such escape, a backslash and byte 0x00", 4},
    {"\"\\\n\"", PLIM_E_FORMAT, 1, "no such escape", 0},
    {"\"\\", PLIM_E_TRUNC, 2, "a string", 0},
    {"\"\\\"", PLIM_E_TRUNC, 3, "a string", 0},
    {"\"\\u", PLIM_E_TRUNC, 3, "a string", 0},
    {"\"\\u12", PLIM_E_TRUNC, 5, "a string", 0},
    {"\"\\u12g4\"", PLIM_E_FORMAT, 5, "four hexadecimal digits", 0},
    {"\"\\u123\"", PLIM_E_FORMAT, 6, "four hexadecimal digits", 0},
    {"\"\\u+123\"", PLIM_E_FORMAT, 3, "four hexadecimal digits", 0},
    {"\"\\u 123\"", PLIM_E_FORMAT, 3, "four hexadecimal digits", 0},
    {"\"x\\ud800\"", PLIM_E_FORMAT, 2, "lone surrogate, \\ud800", 0},
    {"\"\\uD83Dx\"", PLIM_E_FORMAT, 1, "lone surrogate, \\ud83d", 0},
    {"\"\\ud83d\\n\"", PLIM_E_FORMAT, 1, "lone surrogate", 0},
    {"\"\\ud83d\\ud83d\"", PLIM_E_FORMAT, 1, "lone surrogate", 0},
    {"\"\\ud83d\\u0041\"", PLIM_E_FORMAT, 1, "lone surrogate", 0},
    {"\"\\udc00\"", PLIM_E_FORMAT, 1, "lone surrogate, \\udc00", 0},
    {"\"\\ude00\\ud83d\"", PLIM_E_FORMAT, 1, "lone surrogate, \\ude00", 0},
    {"\"\\ud83d", PLIM_E_TRUNC, 7, "a string", 0},
    {"\"\\ud83d\\u", PLIM_E_TRUNC, 9, "a string", 0},
    {"\"\\ud83d\\uzzzz\"", PLIM_E_FORMAT, 9, "four hexadecimal digits", 0},
    {"\"ab\xff\"", PLIM_E_FORMAT, 3, "not valid UTF-8", 0},
    {"\"\xc3\"", PLIM_E_FORMAT, 1, "not valid UTF-8", 0},
    {"\"ab\xe2\x82\"", PLIM_E_FORMAT, 3, "not valid UTF-8", 0},
    {"\"\xe2\x82x\xac\"", PLIM_E_FORMAT, 1, "not valid UTF-8", 0},
    {"\"a\\n\xc3\\n\"", PLIM_E_FORMAT, 4, "not valid UTF-8", 0},
    {"\"\\n\xc3\xa9\xf0\x9f\x98\"", PLIM_E_FORMAT, 5, "not valid UTF-8", 0},
    {"\"\\u00e9\xa9\"", PLIM_E_FORMAT, 7, "not valid UTF-8", 0},
    {"\"\xed\xa0\x80\"", PLIM_E_FORMAT, 1, "not valid UTF-8", 0},
    {"\"\xc0\x80\"", PLIM_E_FORMAT, 1, "not valid UTF-8", 0},
    {"\"\xf4\x90\x80\x80\"", PLIM_E_FORMAT, 1, "not valid UTF-8", 0},
    {"{\"\xff\":1}", PLIM_E_FORMAT, 2, "not valid UTF-8", 0},
    {"\"0123456789abcdef0123456789abcde\xe9\"", PLIM_E_FORMAT, 32, "not valid UTF-8", 0},
    {"\"\xc3", PLIM_E_TRUNC, 2, "a string", 0},
    /* numbers */
    {"-", PLIM_E_TRUNC, 1, "ends in the middle of a number", 0},
    {"[-]", PLIM_E_FORMAT, 2, "a number wants a digit, found ']'", 0},
    {"01", PLIM_E_FORMAT, 1, "no digit after a leading 0", 0},
    {"[00]", PLIM_E_FORMAT, 2, "no digit after a leading 0", 0},
    {"[-01]", PLIM_E_FORMAT, 3, "no digit after a leading 0", 0},
    {"1.", PLIM_E_TRUNC, 2, "a number", 0},
    {"[1.]", PLIM_E_FORMAT, 3, "a number wants a digit, found ']'", 0},
    {"[1.e1]", PLIM_E_FORMAT, 3, "a number wants a digit, found 'e'", 0},
    {"[1e]", PLIM_E_FORMAT, 3, "a number wants a digit", 0},
    {"[1e+]", PLIM_E_FORMAT, 4, "a number wants a digit", 0},
    {"1E-", PLIM_E_TRUNC, 3, "a number", 0},
    {"[+1]", PLIM_E_FORMAT, 1, "want a value, found '+'", 0},
    {"[.5]", PLIM_E_FORMAT, 1, "want a value, found '.'", 0},
    {"[--1]", PLIM_E_FORMAT, 2, "a number wants a digit, found '-'", 0},
    {"[1-2]", PLIM_E_FORMAT, 2, "a number wants the end of the number, found '-'", 0},
    {"[1.2.3]", PLIM_E_FORMAT, 4, "the end of the number, found '.'", 0},
    {"[1e5e5]", PLIM_E_FORMAT, 4, "the end of the number, found 'e'", 0},
    {"[0x1]", PLIM_E_FORMAT, 2, "want ',' or ']', found 'x'", 0},
    {"[1_0]", PLIM_E_FORMAT, 2, "want ',' or ']', found '_'", 0},
    {"[1,5 6]", PLIM_E_FORMAT, 5, "want ',' or ']'", 0},
    {"{\"a\":01234567890123456789}", PLIM_E_FORMAT, 6, "no digit after a leading 0", 0},
};

static void expect_bad(const bad *b, const char *text, size_t n, size_t step)
{
    drip d = {text, n, step, 0, SIZE_MAX};
    plim_json *json = drip_open(&d, plim_alloc_system(), NULL);
    plim_error err, again;
    plim_json_event event;
    char *events, tail[40];
    plim_status status = all_events(json, &events, &n, &err);
    if (status != b->code || err.offset != DRIP_BASE + b->offset)
        print_error("%s: %s\n", b->text, err.message);
    assert_int_equal(status, b->code);
    assert_int_equal(err.code, b->code);
    assert_int_equal(err.offset, DRIP_BASE + b->offset);
    assert_string_equal(err.file, "doc.json");
    assert_memory_equal(err.message, "doc.json: ", 10);
    if (!strstr(err.message, b->message))
        fail_msg("'%s' is not in '%s'", b->message, err.message);
    snprintf(tail, sizeof tail, " (at byte %d)", DRIP_BASE + b->offset);
    assert_non_null(strstr(err.message, tail));
    for (int k = 0; k < 3; k++) { /* and again the same */
        assert_int_equal(plim_json_next(json, &event, &again), b->code);
        assert_int_equal(again.offset, err.offset);
        assert_string_equal(again.message, err.message);
    }
    assert_int_equal(plim_json_next(json, &event, NULL), b->code);
    free(events);
    plim_json_close(&json);
}

static void every_syntax_error(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++) {
        const bad *b = &bads[i];
        size_t n = b->n ? b->n : strlen(b->text);
        char longer[200];
        memcpy(longer, b->text, n);
        memset(longer + n, ' ', 40);
        for (size_t s = 0; s < STEPS; s++) {
            expect_bad(b, b->text, n, steps[s]);
            if (b->code !=
                PLIM_E_TRUNC) /* what follows changes nothing, but lets the fast ways be taken */
                expect_bad(b, longer, n + 40, steps[s]);
        }
    }
}

/* Strings and errors at every distance from the end of the read buffer (64 KiB). */
static void around_the_buffer(void **state)
{
    (void)state;
    static const char tail[] =
        "\"Ab\\u00e9\xe2\x82\xac\\\\cd\", -12.5e+3,true, {\"k\\n\":\"\"}, \"bad\xff\"]";
    static const char want[] = "[SAb\xc3\xa9\xe2\x82\xac\\cd\0N-12.5e+3\0t{Kk\n\0S\0}";
    const size_t buffer = 65536;
    char *text = malloc(buffer + sizeof tail);
    for (size_t shift = 0; shift <= sizeof tail; shift++) {
        size_t lead = buffer - shift;
        text[0] = '[';
        memset(text + 1, ' ', lead - 1);
        memcpy(text + lead, tail, sizeof tail - 1);
        drip d = {text, lead + sizeof tail - 1, SIZE_MAX, 0, SIZE_MAX};
        plim_json *json = drip_open(&d, plim_alloc_system(), NULL);
        plim_error err;
        char *events;
        size_t n;
        assert_int_equal(all_events(json, &events, &n, &err), PLIM_E_FORMAT);
        assert_int_equal(err.offset, DRIP_BASE + lead + (strchr(tail, '\xff') - tail));
        assert_int_equal(n, sizeof want - 1);
        assert_memory_equal(events, want, n);
        free(events);
        plim_json_close(&json);
    }
    free(text);
}

/* A source that fails: its own error, and no more calls of it. */
static void source_fails(void **state)
{
    (void)state;
    static const char text[] = "{\"a\": [1, \"two\", true, \"\\u00e9\"]}";
    for (size_t at = 0; at < sizeof text - 1; at++) {
        drip d = {text, sizeof text - 1, 1, 0, at};
        plim_json *json = drip_open(&d, plim_alloc_system(), NULL);
        plim_error err;
        plim_json_event event;
        char *events;
        size_t n;
        assert_int_equal(all_events(json, &events, &n, &err), PLIM_E_IO);
        assert_string_equal(err.message, "the source failed");
        d.fail_after = SIZE_MAX;
        assert_int_equal(plim_json_next(json, &event, &err), PLIM_E_IO);
        assert_string_equal(err.message, "the source failed");
        assert_int_equal(d.at, at);
        free(events);
        plim_json_close(&json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_of_python),   cmocka_unit_test(every_prefix),
        cmocka_unit_test(verdicts_of_python), cmocka_unit_test(every_syntax_error),
        cmocka_unit_test(around_the_buffer),  cmocka_unit_test(source_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
