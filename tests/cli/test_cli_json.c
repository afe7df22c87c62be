/* SPDX-License-Identifier: Apache-2.0
 *
 * The small parts of the program: writing JSON, reading its strings and ids, sizes.  What is right
 * comes from RFC 8259 and from Python (bytes.decode("utf-8", "replace"), repr of doubles). */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "json_in.h"
#include "json_out.h"
#include "values.h"

/* What came out of a writer over `fd`. */
static char *finish(cli_out *out, int fd)
{
    static char text[4096];
    out_flush(out);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    assert_true(n >= 0);
    text[n] = '\0';
    close(fd);
    return text;
}

static char *written_string(const char *bytes, size_t count)
{
    cli_out out;
    cli_json json;
    int fd = memfd_create("out", 0);
    out_open(&out, fd);
    json_begin(&json, &out);
    json_bytes(&json, bytes, count);
    return finish(&out, fd);
}

static char *written_real(double value)
{
    cli_out out;
    cli_json json;
    int fd = memfd_create("out", 0);
    out_open(&out, fd);
    json_begin(&json, &out);
    json_real(&json, value);
    return finish(&out, fd);
}

#define FFFD "\xef\xbf\xbd"

static void strings(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t count;
        const char *want;
    } cases[] = {
        {"", 0, "\"\""},
        {"a\"\\/b", 5, "\"a\\\"\\\\/b\""},
        {"\n\r\t\b\f\x01\x1f", 7, "\"\\n\\r\\t\\u0008\\u000c\\u0001\\u001f\""},
        {"a\0b", 3, "\"a\\u0000b\""},
        {"\x7f", 1, "\"\\u007f\""},
        {"\xc3\xa9\xf0\x9f\x98\x80", 6, "\"\xc3\xa9\xf0\x9f\x98\x80\""},
        /* Python: b"...".decode("utf-8", "replace") */
        {"a\xff\x62", 3, "\"a" FFFD "b\""},
        {"\xc0\x80", 2, "\"" FFFD FFFD "\""},
        {"\xe2\x82", 2, "\"" FFFD "\""},
        {"\xe2\x82\x41", 3, "\"" FFFD "A\""},
        {"\xed\xa0\x80", 3, "\"" FFFD FFFD FFFD "\""},
        {"\xf4\x90\x80\x80", 4, "\"" FFFD FFFD FFFD FFFD "\""},
        {"\xf0\x9f\x98", 3, "\"" FFFD "\""},
        {"\xf0\x9f\x98\xf0\x9f\x98\x80", 7, "\"" FFFD "\xf0\x9f\x98\x80\""},
        {"\xc3\x22", 2, "\"" FFFD "\\\"\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(written_string(cases[i].bytes, cases[i].count), cases[i].want);
}

static void reals(void **state)
{
    (void)state;
    static const double values[] = {0.0,
                                    -0.0,
                                    1.0,
                                    0.1,
                                    1.0 / 3,
                                    1e300,
                                    5e-324,
                                    123456.789,
                                    1e21,
                                    1e-7,
                                    0.3,
                                    2.5e-8,
                                    4503599627370497.5,
                                    1.7976931348623157e308};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        const char *text = written_real(values[i]);
        double back = strtod(text, NULL);
        assert_memory_equal(&back, &values[i], sizeof back);
    }
    assert_string_equal(written_real(0.1), "0.1");
    assert_string_equal(written_real(1.5), "1.5");
    assert_string_equal(written_real(NAN), "null");
    assert_string_equal(written_real(INFINITY), "null");
    assert_string_equal(written_real(-INFINITY), "null");
}

static void reals_with_a_comma(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "it_IT.UTF-8",
                                        "de_DE"};
    const char *found = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !found; i++)
        found = setlocale(LC_ALL, names[i]);
    if (!found) {
        print_message("skipped: no locale with a decimal comma is installed\n");
        skip();
    }
    const char *text = written_real(0.25);
    assert_string_equal(text, "0.25");
    assert_string_equal(written_real(1e-7), "1e-07");
    setlocale(LC_ALL, "C");
}

static void nesting(void **state)
{
    (void)state;
    cli_out out;
    cli_json json;
    int fd = memfd_create("out", 0);
    int32_t ids[] = {1, -2, 3};
    out_open(&out, fd);
    json_begin(&json, &out);
    json_object(&json);
    json_put_u64(&json, "big", UINT64_MAX);
    json_key(&json, "empty");
    json_array(&json);
    json_array_end(&json);
    json_put_ids(&json, "ids", ids, 3);
    json_key(&json, "in");
    json_array(&json);
    json_object(&json);
    json_object_end(&json);
    json_null(&json);
    json_bool(&json, true);
    json_array_end(&json);
    json_put_text(&json, "none", NULL);
    json_object_end(&json);
    json_end(&json);
    assert_string_equal(finish(&out, fd),
                        "{\"big\":18446744073709551615,\"empty\":[],\"ids\":[1,-2,3],"
                        "\"in\":[{},null,true],\"none\":null}\n");
}

static void read_strings(void **state)
{
    (void)state;
    char text[] = " \"a\\u00e9\\ud83d\\ude00\\n\\u0000\\/b\" ";
    size_t start, length, position;
    assert_null(json_in_string(text, sizeof text - 1, &start, &length, &position));
    assert_int_equal(length, 11);
    assert_memory_equal(text + start, "a\xc3\xa9\xf0\x9f\x98\x80\n\0/b", 11);
}

static void read_ids(void **state)
{
    (void)state;
    int32_t ids[16];
    size_t count, position;
    assert_null(json_in_ids(" [ 1 ,2,\t2147483647 ] ", 22, ids, &count, &position));
    assert_int_equal(count, 3);
    assert_int_equal(ids[2], 2147483647);
    assert_null(json_in_ids("[]", 2, ids, &count, &position));
    assert_int_equal(count, 0);
    assert_non_null(json_in_ids("[1,,2]", 6, ids, &count, &position));
    assert_int_equal(position, 3);
}

static void sizes(void **state)
{
    (void)state;
    uint64_t size;
    static const struct {
        const char *text;
        uint64_t bytes;
    } right[] = {{"0", 0},
                 {"512MiB", 536870912},
                 {"8GiB", 8589934592},
                 {"8GB", 8000000000},
                 {"1.5GiB", 1610612736},
                 {"0.000001TB", 1000000},
                 {"10kB", 10000},
                 {"7B", 7},
                 {"18446744073709551615", UINT64_MAX},
                 {"16777215TiB", 18446742974197923840u}};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        assert_true(value_size(right[i].text, &size));
        assert_int_equal(size, right[i].bytes);
    }
    static const char *const wrong[] = {"",    "-1",    "1.5",         "1 GiB",
                                        "GiB", "1gib",  "1.GiB",       "1e3B",
                                        "0x1", "1MiBx", "16777216TiB", "18446744073709551616"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(value_size(wrong[i], &size));
}

static void bytes_for_people(void **state)
{
    (void)state;
    char text[32];
    assert_string_equal(text_of_bytes(text, sizeof text, 0), "0 B");
    assert_string_equal(text_of_bytes(text, sizeof text, 1023), "1023 B");
    assert_string_equal(text_of_bytes(text, sizeof text, 1536), "1.5 KiB");
    assert_string_equal(text_of_bytes(text, sizeof text, 371003392), "353.8 MiB");
    assert_string_equal(text_of_bytes(text, sizeof text, UINT64_MAX), "16.0 EiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings),
        cmocka_unit_test(reals),
        cmocka_unit_test(reals_with_a_comma),
        cmocka_unit_test(nesting),
        cmocka_unit_test(read_strings),
        cmocka_unit_test(read_ids),
        cmocka_unit_test(sizes),
        cmocka_unit_test(bytes_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
