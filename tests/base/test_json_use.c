/* SPDX-License-Identifier: Apache-2.0
 *
 * The JSON reader as its callers use it: limits, memory, skipping, numbers, files. */
#include "json_test.h"

#include <unistd.h>

#include "base/file.h"
#include "base/num.h"

static void depth(void **state)
{
    (void)state;
    char text[400];
    plim_error err;
    for (int kind = 0; kind < 2; kind++) {
        const char *open = kind ? "{\"a\":" : "[";
        size_t step = strlen(open);
        for (size_t n = 64; n <= 65; n++) {
            text[0] = '\0';
            for (size_t i = 0; i < n; i++)
                strcat(text, open);
            strcat(text, "1");
            for (size_t i = 0; i < n; i++)
                strcat(text, kind ? "}" : "]");
            plim_status status = read_through(open_text(text, NULL), &err);
            assert_int_equal(status, n == 64 ? PLIM_OK : PLIM_E_LIMIT);
            assert_int_equal(err.offset,
                             n == 64 ? -1 : (int64_t)(64 * step)); /* the bracket one too many */
        }
    }
    plim_json_limits two = {.depth = 2}, many = {.depth = 300000};
    assert_int_equal(read_through(open_text("[[1],[2],{}]", &two), &err), PLIM_OK);
    assert_int_equal(read_through(open_text("[[1],[[2]]]", &two), &err), PLIM_E_LIMIT);
    assert_int_equal(err.offset, 6);
    assert_non_null(strstr(err.message, "nested more than 2 deep"));
    char *deep = malloc(200001); /* no recursion: no stack to overflow */
    memset(deep, '[', 200000);
    deep[200000] = '\0';
    assert_int_equal(read_through(open_text(deep, &many), &err), PLIM_E_TRUNC);
    assert_int_equal(err.offset, 200000);
    free(deep);
}

static void string_cap(void **state)
{
    (void)state;
    plim_error err;
    plim_json_limits five = {.string_bytes = 5};
    assert_int_equal(read_through(open_text("[1,\"12345\"]", &five), &err), PLIM_OK);
    assert_int_equal(read_through(open_text("[1,\"123456\"]", &five), &err), PLIM_E_LIMIT);
    assert_int_equal(err.offset, 3); /* where the string begins */
    assert_non_null(strstr(err.message, "a string of more than 5 bytes"));
    assert_int_equal(read_through(open_text("[1,\"123\\u00e9\"]", &five), &err), PLIM_OK);
    assert_int_equal(read_through(open_text("[1,\"1234\\u00e9\"]", &five), &err), PLIM_E_LIMIT);
    assert_int_equal(err.offset, 3);
    assert_int_equal(read_through(open_text("[\"\\n\\n\\n\\n\\n\",{\"123456\":1}]", &five), &err),
                     PLIM_E_LIMIT);
    assert_int_equal(err.offset, 15);

    /* what is wrong before the cap is found first, whatever the size of the reads */
    static const char *const both[] = {"\"123\xff"
                                       "456\"",
                                       "\"1234\xc3"
                                       "45\"",
                                       "\"1234\xc3\xa9\"",
                                       "\"12345\xff\"",
                                       "\"123456\x01\"",
                                       "\"1234\xc3\""};
    static const struct {
        plim_status code;
        int offset;
    } first[] = {{PLIM_E_FORMAT, 4}, {PLIM_E_LIMIT, 0}, {PLIM_E_LIMIT, 0},
                 {PLIM_E_LIMIT, 0},  {PLIM_E_LIMIT, 0}, {PLIM_E_FORMAT, 5}};
    for (size_t i = 0; i < sizeof both / sizeof both[0]; i++) {
        for (size_t step = 1; step < 12; step++) {
            drip d = {both[i], strlen(both[i]), step, 0, SIZE_MAX};
            assert_int_equal(read_through(drip_open(&d, plim_alloc_system(), &five), &err),
                             first[i].code);
            assert_int_equal(err.offset, DRIP_BASE + first[i].offset);
        }
    }

    /* the default, 16 MiB, with the memory that takes */
    const size_t cap = (size_t)16 << 20;
    char *text = malloc(cap + 4);
    for (size_t extra = 0; extra < 2; extra++) {
        counting_alloc counting;
        plim_json *json;
        counting_open(&counting);
        memset(text, 'x', cap + 3);
        text[0] = '"';
        text[cap + 1 + extra] = '"';
        assert_int_equal(
            plim_json_open_memory(&json, &counting.alloc, text, cap + 2 + extra, "f", NULL, &err),
            PLIM_OK);
        assert_int_equal(read_through(json, &err), extra ? PLIM_E_LIMIT : PLIM_OK);
        assert_int_equal(err.offset, extra ? 0 : -1);
        assert_true(counting.peak_bytes < cap * 3 / 2 + 200000);
        assert_int_equal(counting.live_blocks, 0);
    }
    free(text);
}

static void number_cap(void **state)
{
    (void)state;
    plim_error err;
    char text[PLIM_NUMBER_BYTES + 8];
    for (size_t extra = 0; extra < 2; extra++) {
        memset(text, '7', sizeof text);
        text[0] = text[1] = ' ';
        text[2 + PLIM_NUMBER_BYTES + extra] = '\0';
        assert_int_equal(read_through(open_text(text, NULL), &err), extra ? PLIM_E_LIMIT : PLIM_OK);
        assert_int_equal(err.offset, extra ? 2 : -1);
    }
}

/* ---- memory ---- */

typedef struct endless {
    size_t bytes, given;
} endless;

/* "[ {...}, {...}, ... ]" of `bytes` bytes and a little more. */
static plim_status endless_read(void *user, void *dst, size_t cap, size_t *got, plim_error *err)
{
    static const char row[] =
        "{\"id\":123,\"content\":\"\\u0120the \xc3\xa9\",\"special\":false,\"x\":[1.5,null]},";
    endless *e = user;
    (void)err;
    char *to = dst;
    size_t n = 0;
    if (e->given == 0)
        to[n++] = '[';
    else if (e->given >= e->bytes) {
        static const char last[] = "0]";
        size_t left = e->given - e->bytes;
        if (left < 2)
            to[n++] = last[left];
        e->given += n;
        *got = n;
        return PLIM_OK;
    }
    while (n + sizeof row - 1 <= cap) {
        memcpy(to + n, row, sizeof row - 1);
        n += sizeof row - 1;
    }
    e->given += n;
    if (e->given > e->bytes)
        e->bytes = e->given; /* the end comes next */
    *got = n;
    return PLIM_OK;
}

static void any_size_in_the_same_memory(void **state)
{
    (void)state;
    counting_alloc counting;
    counting_open(&counting);
    endless e = {.bytes = 30000000};
    plim_json_source source = {endless_read, &e, "f", 0};
    plim_json *json;
    plim_error err;
    plim_json_event event = PLIM_JSON_NULL;
    size_t objects = 0;
    assert_int_equal(plim_json_open(&json, &counting.alloc, &source, NULL, &err), PLIM_OK);
    while (event != PLIM_JSON_END) {
        assert_int_equal(plim_json_next(json, &event, &err), PLIM_OK);
        objects += event == PLIM_JSON_OBJECT;
    }
    assert_true(objects > 400000);
    assert_int_equal(plim_json_offset(json), e.given);
    assert_true(counting.peak_bytes < 80000);
    plim_json_close(&json);
    assert_int_equal(counting.live_blocks, 0);
    plim_json_close(&json);
}

/* Each allocation refused in its turn: NOMEM, nothing lost. */
static void refused_memory(void **state)
{
    (void)state;
    text_builder b = {0};
    plim_error err;
    add_object(&b, 300, "\"k%lu\\n\"");
    add(&b, ",\"deep\":[[[[[[[[[[{\"a\":%lu}]]]]]]]]]]}", 1);
    for (int forever = 0; forever < 2; forever++) {
        for (size_t at = 1;; at++) {
            counting_alloc counting;
            counting_open(&counting);
            counting.fail_at = at;
            counting.forever = forever;
            plim_json *json = NULL;
            plim_error_clear(&err);
            plim_status status =
                plim_json_open_memory(&json, &counting.alloc, b.text, b.n, "f", NULL, &err);
            if (status == PLIM_OK) {
                status = read_through(json, &err);
                json = NULL;
            }
            assert_null(json);
            assert_int_equal(counting.live_blocks, 0);
            if (counting.calls < at) {
                assert_int_equal(status, PLIM_OK);
                assert_true(at > 9);
                break;
            }
            assert_int_equal(status, PLIM_E_NOMEM);
            assert_string_equal(err.message, "refused by the test");
        }
    }
    free(b.text);
}

/* ---- asking ---- */

static plim_json_event next(plim_json *json)
{
    plim_json_event event;
    assert_int_equal(plim_json_next(json, &event, NULL), PLIM_OK);
    return event;
}

static void positions(void **state)
{
    (void)state;
    /*                            0         1         2         3 */
    /*                            0123456789012345678901234567890123456 */
    plim_json *json = open_text(" {\"a\" : [ -1.5 , true],\"b\\n\":\"x\" } \n", NULL);
    const struct {
        plim_json_event event;
        int offset;
        size_t depth;
        const char *text;
    } want[] = {{PLIM_JSON_OBJECT, 1, 1, NULL},      {PLIM_JSON_KEY, 2, 1, "a"},
                {PLIM_JSON_ARRAY, 8, 2, NULL},       {PLIM_JSON_NUMBER, 10, 2, "-1.5"},
                {PLIM_JSON_TRUE, 17, 2, NULL},       {PLIM_JSON_ARRAY_END, 21, 1, NULL},
                {PLIM_JSON_KEY, 23, 1, "b\n"},       {PLIM_JSON_STRING, 29, 1, "x"},
                {PLIM_JSON_OBJECT_END, 33, 0, NULL}, {PLIM_JSON_END, 36, 0, NULL},
                {PLIM_JSON_END, 36, 0, NULL},        {PLIM_JSON_END, 36, 0, NULL}};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        assert_int_equal(next(json), want[i].event);
        assert_int_equal(plim_json_offset(json), want[i].offset);
        assert_int_equal(plim_json_depth(json), want[i].depth);
        if (want[i].text) {
            assert_string_equal(plim_json_text(json, NULL), want[i].text);
            assert_true(plim_json_text_is(json, want[i].text));
            assert_false(plim_json_text_is(json, "other"));
            assert_false(plim_json_text_is(json, ""));
        }
    }
    assert_string_equal(plim_json_file(json), "f");
    plim_json_close(&json);

    json = open_text("[1, \"a\\u0000b\"]", NULL);
    plim_error err;
    size_t n;
    next(json);
    next(json);
    next(json);
    assert_memory_equal(plim_json_text(json, &n), "a\0b", 4);
    assert_int_equal(n, 3);
    assert_false(plim_json_text_is(json, "a"));
    assert_int_equal(plim_json_fail(json, &err, PLIM_E_MISMATCH, "%s is %d", "x", 3),
                     PLIM_E_MISMATCH);
    assert_string_equal(err.message, "f: x is 3 (at byte 4)");
    assert_int_equal(err.offset, 4);
    assert_string_equal(err.file, "f");
    assert_int_equal(next(json), PLIM_JSON_ARRAY_END); /* the reader goes on */
    plim_json_close(&json);
}

static void skipping(void **state)
{
    (void)state;
    plim_error err;
    plim_json *json = open_text(
        "{\"a\":[1,{\"b\":[]},[2]],\"c\":3,\"d\":{\"e\":{}},\"f\":[[],{}],\"g\":null}", NULL);
    assert_int_equal(plim_json_skip(json, &err), PLIM_OK); /* nothing yet, nothing to do */
    assert_int_equal(next(json), PLIM_JSON_OBJECT);
    const char *const keys[] = {"a", "c", "d", "f", "g"};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(next(json), PLIM_JSON_KEY);
        assert_true(plim_json_text_is(json, keys[i]));
        if (i == 2) /* the value has begun */
            assert_int_equal(next(json), PLIM_JSON_OBJECT);
        assert_int_equal(plim_json_skip(json, &err), PLIM_OK);
        assert_int_equal(plim_json_depth(json), 1);
    }
    assert_int_equal(plim_json_skip(json, &err), PLIM_OK); /* a scalar: nothing to do */
    assert_int_equal(next(json), PLIM_JSON_OBJECT_END);
    assert_int_equal(next(json), PLIM_JSON_END);
    assert_int_equal(plim_json_skip(json, &err), PLIM_OK);
    plim_json_close(&json);

    json = open_text("[[1,{\"a\":1,\"a\":2}]]", NULL); /* what is passed over must be right too */
    next(json);
    next(json);
    assert_int_equal(plim_json_skip(json, &err), PLIM_E_FORMAT);
    assert_int_equal(err.offset, 11);
    plim_json_close(&json);
}

static void expecting(void **state)
{
    (void)state;
    plim_error err;
    plim_json *json = open_text("[\"a\",1", NULL);
    assert_int_equal(plim_json_expect(json, PLIM_JSON_ARRAY, "the list", &err), PLIM_OK);
    assert_int_equal(plim_json_expect(json, PLIM_JSON_STRING, "an item", &err), PLIM_OK);
    assert_int_equal(plim_json_expect(json, PLIM_JSON_STRING, "an item", &err), PLIM_E_FORMAT);
    assert_string_equal(err.message, "f: an item must be a string, found a number (at byte 5)");
    assert_int_equal(plim_json_expect(json, PLIM_JSON_STRING, "an item", &err), PLIM_E_TRUNC);
    assert_int_equal(err.offset, 6);
    plim_json_close(&json);
    const char *const names[] = {"an object", "the end of an object",
                                 "an array",  "the end of an array",
                                 "a key",     "a string",
                                 "a number",  "true",
                                 "false",     "null",
                                 "the end"};
    for (int i = 0; i <= PLIM_JSON_END; i++)
        assert_string_equal(plim_json_event_name((plim_json_event)i), names[i]);
    assert_non_null(plim_json_event_name((plim_json_event)99));
}

static void integers(void **state)
{
    (void)state;
    const struct {
        const char *text;
        plim_status u64, i64; /* with max 100, and in [-5, 100] */
        int64_t value;
    } cases[] = {
        {"0", PLIM_OK, PLIM_OK, 0},
        {"100", PLIM_OK, PLIM_OK, 100},
        {"101", PLIM_E_LIMIT, PLIM_E_LIMIT, 0},
        {"-0", PLIM_E_FORMAT, PLIM_OK, 0},
        {"-5", PLIM_E_FORMAT, PLIM_OK, -5},
        {"-6", PLIM_E_FORMAT, PLIM_E_FORMAT, 0},
        {"1.0", PLIM_E_FORMAT, PLIM_E_FORMAT, 0},
        {"1e1", PLIM_E_FORMAT, PLIM_E_FORMAT, 0},
        {"1E1", PLIM_E_FORMAT, PLIM_E_FORMAT, 0},
        {"99999999999999999999", PLIM_E_LIMIT, PLIM_E_LIMIT, 0},
        {"-99999999999999999999", PLIM_E_FORMAT, PLIM_E_FORMAT, 0},
        {"\"7\"", PLIM_E_FORMAT, PLIM_E_FORMAT, 0},
        {"true", PLIM_E_FORMAT, PLIM_E_FORMAT, 0},
        {"[]", PLIM_E_FORMAT, PLIM_E_FORMAT, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[64];
        plim_error err;
        uint64_t u = 42;
        int64_t s = 42;
        snprintf(text, sizeof text, "[%s]", cases[i].text);
        plim_json *json = open_text(text, NULL);
        next(json);
        next(json);
        plim_error_clear(&err);
        assert_int_equal(plim_json_u64(json, "layers", 100, &u, &err), cases[i].u64);
        assert_int_equal(u, cases[i].u64 == PLIM_OK ? cases[i].value : 42);
        if (cases[i].u64 != PLIM_OK) {
            assert_int_equal(err.offset, 1);
            assert_memory_equal(err.message, "f: layers must ", 15);
        }
        plim_error_clear(&err);
        assert_int_equal(plim_json_i64(json, "layers", -5, 100, &s, &err), cases[i].i64);
        assert_int_equal(s, cases[i].i64 == PLIM_OK ? cases[i].value : 42);
        if (cases[i].i64 != PLIM_OK)
            assert_int_equal(err.offset, 1);
        plim_json_close(&json);
    }
    uint64_t u;
    int64_t s;
    plim_json *json = open_text("[18446744073709551615,-9223372036854775808]", NULL);
    next(json);
    next(json);
    assert_int_equal(plim_json_u64(json, "x", UINT64_MAX, &u, NULL), PLIM_OK);
    assert_int_equal(u, UINT64_MAX);
    assert_int_equal(plim_json_i64(json, "x", INT64_MIN, INT64_MAX, &s, NULL), PLIM_E_LIMIT);
    next(json);
    assert_int_equal(plim_json_i64(json, "x", INT64_MIN, INT64_MAX, &s, NULL), PLIM_OK);
    assert_int_equal(s, INT64_MIN);
    plim_json_close(&json);
}

static void doubles(void **state)
{
    (void)state;
    plim_error err;
    double x = 42;
    plim_json *json = open_text("[-1.5e3,0.1,1e400,\"1\",1e-400]", NULL);
    next(json);
    assert_int_equal(plim_json_f64(json, "eps", &x, &err), PLIM_E_FORMAT);
    next(json);
    assert_int_equal(plim_json_f64(json, "eps", &x, &err), PLIM_OK);
    assert_true(x == -1500);
    next(json);
    assert_int_equal(plim_json_f64(json, "eps", &x, &err), PLIM_OK);
    assert_true(x == 0.1);
    next(json);
    assert_int_equal(plim_json_f64(json, "eps", &x, &err), PLIM_E_FORMAT);
    assert_string_equal(err.message, "f: eps must be a finite number, found 1e400 (at byte 12)");
    next(json);
    assert_int_equal(plim_json_f64(json, "eps", &x, &err), PLIM_E_FORMAT);
    assert_string_equal(err.message, "f: eps must be a number, found a string (at byte 18)");
    assert_true(x == 0.1);
    next(json);
    assert_int_equal(plim_json_f64(json, "eps", &x, &err), PLIM_OK);
    assert_true(x == 0);
    plim_json_close(&json);
}

/* ---- files ---- */

static void files(void **state)
{
    (void)state;
    char folder[64], path[128];
    plim_error err;
    plim_json *json;
    plim_file file;
    folder_make(folder);
    snprintf(path, sizeof path, "%s/config.json", folder);
    FILE *f = fopen(path, "wb");
    fputs("12345678{\"a\":1, x}tail", f);
    fclose(f);

    assert_int_equal(plim_file_open(&file, path, &err), PLIM_OK);
    assert_int_equal(
        plim_json_open_range(&json, plim_alloc_system(), &file, path, 8, 10, NULL, &err), PLIM_OK);
    assert_int_equal(read_through(json, &err), PLIM_E_FORMAT);
    assert_int_equal(err.offset, 16); /* in the file, not in the range */
    assert_string_equal(err.file, path);
    assert_int_equal(
        plim_json_open_range(&json, plim_alloc_system(), &file, path, 8, 3, NULL, &err), PLIM_OK);
    assert_int_equal(read_through(json, &err),
                     PLIM_E_TRUNC); /* the range ends, though the file does not */
    assert_int_equal(err.offset, 11);
    assert_int_equal(
        plim_json_open_range(&json, plim_alloc_system(), &file, path, 0, 8, NULL, &err), PLIM_OK);
    assert_int_equal(read_through(json, &err), PLIM_OK);
    assert_int_equal(
        plim_json_open_range(&json, plim_alloc_system(), &file, path, 100, 8, NULL, &err), PLIM_OK);
    assert_int_equal(read_through(json, &err), PLIM_E_TRUNC);
    assert_int_equal(err.offset, 100);
    assert_int_equal(
        plim_json_open_range(&json, plim_alloc_system(), &file, path, UINT64_MAX, 8, NULL, &err),
        PLIM_E_TRUNC);
    assert_null(json);
    plim_file_close(&file);

    assert_int_equal(plim_json_open_path(&json, plim_alloc_system(), path, 22, NULL, &err),
                     PLIM_OK);
    assert_int_equal(read_through(json, &err), PLIM_E_FORMAT);
    assert_int_equal(err.offset, 8);
    assert_int_equal(plim_json_open_path(&json, plim_alloc_system(), path, 21, NULL, &err),
                     PLIM_E_LIMIT);
    assert_null(json);
    assert_int_equal(plim_json_open_path(&json, plim_alloc_system(), folder, 21, NULL, &err),
                     PLIM_E_IO);
    int before = dup(0); /* the next number: no descriptor is left open */
    close(before);
    counting_alloc counting;
    for (size_t at = 1; at <= 2; at++) {
        counting_open(&counting);
        counting.fail_at = at;
        assert_int_equal(plim_json_open_path(&json, &counting.alloc, path, 100, NULL, &err),
                         PLIM_E_NOMEM);
        assert_null(json);
    }
    assert_int_equal(plim_json_open_path(&json, plim_alloc_system(), path, 100, NULL, &err),
                     PLIM_OK);
    plim_json_close(&json);
    int after = dup(0);
    close(after);
    assert_int_equal(before, after);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(depth),          cmocka_unit_test(string_cap),
        cmocka_unit_test(number_cap),     cmocka_unit_test(any_size_in_the_same_memory),
        cmocka_unit_test(refused_memory), cmocka_unit_test(positions),
        cmocka_unit_test(skipping),       cmocka_unit_test(expecting),
        cmocka_unit_test(integers),       cmocka_unit_test(doubles),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
