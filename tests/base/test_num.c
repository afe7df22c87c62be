/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers against Python's float and repr, in the C locale and (argument "comma") under one with a
 * decimal comma, which is compiled on the spot; exit 77 where the system can't. */
#include "base_test.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>

#include "base/num.h"
#include "expected_num.h"

static uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static double of_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static int significant(const char *text)
{
    int n = 0, zeros = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (*text == '0' && n == 0))
            continue;
        zeros = *text == '0' ? zeros + 1 : 0;
        n++;
    }
    return n - zeros;
}

static void doubles(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof f64_cases / sizeof f64_cases[0]; i++) {
        const struct f64_case *c = &f64_cases[i];
        double value = 0;
        assert_true(plim_parse_f64(c->text, strlen(c->text), &value));
        assert_int_equal(bits_of(value), c->bits);
        char text[32];
        size_t n = plim_format_f64(text, sizeof text, of_bits(c->bits));
        assert_int_equal(n, strlen(text));
        assert_null(strchr(text, ','));
        assert_int_equal(significant(text), c->digits);
        assert_true(plim_parse_f64(text, n, &value)); /* so it is JSON's number too */
        assert_int_equal(bits_of(value), c->bits);
    }
    for (size_t i = 0; i < sizeof f64_texts / sizeof f64_texts[0]; i++) {
        double value = 0;
        assert_true(plim_parse_f64(f64_texts[i].text, strlen(f64_texts[i].text), &value));
        assert_int_equal(bits_of(value), f64_texts[i].bits);
    }
    char text[32];
    plim_format_f64(text, sizeof text, NAN);
    assert_string_equal(text, "nan");
    plim_format_f64(text, sizeof text, -INFINITY);
    assert_string_equal(text, "-inf");
    plim_format_f64(text, sizeof text, INFINITY);
    assert_string_equal(text, "inf");
}

static void not_doubles(void **state)
{
    (void)state;
    const char *const bad[] = {"",    "-",      "+1",       "01",    "-01",  "1.",   ".5",   "1.e5",
                               "1e",  "1e+",    "1e5x",     " 1",    "1 ",   "1,5",  "0x10", "inf",
                               "nan", "NaN",    "-inf",     "1e999", "--1",  "1e5.", "1..2", "e5",
                               "1_0", "-1e400", "Infinity", "١",     "1e+-5"};
    double value = 42;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(plim_parse_f64(bad[i], strlen(bad[i]), &value));
    assert_true(value == 42);
    /* a length, not a NUL, ends the text */
    assert_true(plim_parse_f64("12.5junk", 4, &value));
    assert_true(value == 12.5);
    char digits[PLIM_NUMBER_BYTES + 2];
    memset(digits, '0', sizeof digits);
    digits[1] = '.';
    digits[sizeof digits - 2] = '1';
    assert_true(plim_parse_f64(digits, PLIM_NUMBER_BYTES, &value));
    assert_true(value == 0);
    assert_false(plim_parse_f64(digits, PLIM_NUMBER_BYTES + 1, &value));
}

static void integers(void **state)
{
    (void)state;
    const struct {
        const char *text;
        bool u64, i64;
        uint64_t u;
        int64_t i;
    } cases[] = {
        {"0", true, true, 0, 0},
        {"007", true, true, 7, 7},
        {"9223372036854775807", true, true, INT64_MAX, INT64_MAX},
        {"9223372036854775808", true, false, (uint64_t)INT64_MAX + 1, 0},
        {"18446744073709551615", true, false, UINT64_MAX, 0},
        {"18446744073709551616", false, false, 0, 0},
        {"99999999999999999999", false, false, 0, 0},
        {"184467440737095516150", false, false, 0, 0},
        {"-1", false, true, 0, -1},
        {"-0", false, true, 0, 0},
        {"-9223372036854775808", false, true, 0, INT64_MIN},
        {"-9223372036854775809", false, false, 0, 0},
        {"", false, false, 0, 0},
        {"-", false, false, 0, 0},
        {"+1", false, false, 0, 0},
        {"--1", false, false, 0, 0},
        {" 1", false, false, 0, 0},
        {"1 ", false, false, 0, 0},
        {"1.0", false, false, 0, 0},
        {"1e3", false, false, 0, 0},
        {"0x1", false, false, 0, 0},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        uint64_t u = 42;
        int64_t i = 42;
        size_t n = strlen(cases[k].text);
        assert_int_equal(plim_parse_u64(cases[k].text, n, &u), cases[k].u64);
        assert_int_equal(u, cases[k].u64 ? cases[k].u : 42);
        assert_int_equal(plim_parse_i64(cases[k].text, n, &i), cases[k].i64);
        assert_int_equal(i, cases[k].i64 ? cases[k].i : 42);
    }
}

static void sizes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bytes_cases / sizeof bytes_cases[0]; i++) {
        char text[32];
        assert_ptr_equal(plim_format_bytes(text, sizeof text, bytes_cases[i].bytes), text);
        assert_string_equal(text, bytes_cases[i].text);
    }
    char small[5];
    plim_format_bytes(small, sizeof small, 1536);
    assert_string_equal(small, "1.5 ");
}

static void formatting(void **state)
{
    (void)state;
    char text[8];
    assert_int_equal(plim_format(text, sizeof text, "%.2f", 1234.5), 7);
    assert_string_equal(text, "1234.50");
    assert_int_equal(plim_format(text, sizeof text, "%.3f", 1234.5), 7); /* what was written */
    assert_string_equal(text, "1234.50");
    assert_int_equal(plim_format(text, 1, "%d", 5), 0);
    assert_string_equal(text, "");
}

/* The thread's locale is the host's: it is as it was after every call. */
static void locale_stays(void **state)
{
    (void)state;
    char before[16], after[16], text[32];
    double value;
    assert_ptr_equal(uselocale((locale_t)0), LC_GLOBAL_LOCALE); /* after all the tests above */
    snprintf(before, sizeof before, "%.1f", 0.5);
    plim_format_f64(text, sizeof text, 0.5);
    assert_string_equal(text, "0.5");
    assert_true(plim_parse_f64("0.5", 3, &value));
    plim_format(text, sizeof text, "%.1f", 0.5);
    assert_string_equal(text, "0.5");
    snprintf(after, sizeof after, "%.1f", 0.5);
    assert_string_equal(before, after);
    assert_ptr_equal(uselocale((locale_t)0), LC_GLOBAL_LOCALE);
}

/* Compile a locale with a decimal comma into a folder of our own and take it. */
static bool take_comma(char folder[64])
{
    char command[256];
    folder_make(folder);
    snprintf(command, sizeof command,
             "localedef -i de_DE -f UTF-8 ./%s/de_DE.UTF-8 >/dev/null 2>&1", folder);
    char path[128];
    snprintf(path, sizeof path, "./%s", folder);
    if (system(command) < 0) /* localedef may only warn: setlocale decides */
        return false;
    setenv("LOCPATH", path, 1);
    return setlocale(LC_ALL, "de_DE.UTF-8") != NULL &&
           strcmp(localeconv()->decimal_point, ",") == 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubles), cmocka_unit_test(not_doubles), cmocka_unit_test(integers),
        cmocka_unit_test(sizes),   cmocka_unit_test(formatting),  cmocka_unit_test(locale_stays),
    };
    if (argc < 2 || strcmp(argv[1], "comma") != 0)
        return cmocka_run_group_tests(tests, NULL, NULL);
    char folder[64], shown[16];
    bool taken = take_comma(folder);
    folder_remove(folder); /* the locale stays loaded */
    if (!taken) {
        puts("skipped: no locale with a decimal comma can be made here (localedef and de_DE are "
             "wanted)");
        return 77;
    }
    snprintf(shown, sizeof shown, "%.1f", 0.5);
    if (strcmp(shown, "0,5") != 0) {
        puts("the locale has no effect");
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
