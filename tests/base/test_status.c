/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors: the wording's frame, fields, cutting, and names that try to drive a terminal.  And the
 * log. */
#include "base_test.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "base/utf8.h"

static void names(void **state)
{
    (void)state;
    /* the list of plimsoll.h and of cli.md */
    const struct {
        plim_status code;
        const char *name;
    } all[] = {{PLIM_OK, "OK"},
               {PLIM_E_TRUNC, "TRUNC"},
               {PLIM_E_FORMAT, "FORMAT"},
               {PLIM_E_LIMIT, "LIMIT"},
               {PLIM_E_UNSUP, "UNSUP"},
               {PLIM_E_UNSAFE, "UNSAFE"},
               {PLIM_E_MISMATCH, "MISMATCH"},
               {PLIM_E_NOMEM, "NOMEM"},
               {PLIM_E_BUDGET, "BUDGET"},
               {PLIM_E_IO, "IO"},
               {PLIM_E_CHANGED, "CHANGED"},
               {PLIM_E_INTEGRITY, "INTEGRITY"},
               {PLIM_E_NET, "NET"},
               {PLIM_E_AUTH, "AUTH"},
               {PLIM_E_USAGE, "USAGE"},
               {PLIM_E_CANCELLED, "CANCELLED"}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        assert_string_equal(plim_status_name(all[i].code), all[i].name);
    assert_string_equal(plim_status_name((plim_status)1), "?");
    assert_string_equal(plim_status_name((plim_status)-16), "?");
    assert_string_equal(plim_status_name((plim_status)INT32_MIN), "?");
    assert_string_equal(plim_version(), PLIM_VERSION);
}

static void frame(void **state)
{
    (void)state;
    plim_error err;
    assert_int_equal(plim_fail(&err, PLIM_E_USAGE, "%d of %s", 3, "four"), PLIM_E_USAGE);
    assert_int_equal(err.code, PLIM_E_USAGE);
    assert_string_equal(err.message, "3 of four");
    assert_string_equal(err.file, "");
    assert_string_equal(err.tensor, "");
    assert_int_equal(err.offset, -1);

    plim_where where = {.file = "a/b.safetensors", .tensor = "wte.weight", .offset = 12345678901};
    plim_fail_at(&err, PLIM_E_FORMAT, where, "found %s", "holes");
    assert_string_equal(err.message,
                        "a/b.safetensors: tensor 'wte.weight': found holes (at byte 12345678901)");
    assert_string_equal(err.file, "a/b.safetensors");
    assert_string_equal(err.tensor, "wte.weight");
    assert_int_equal(err.offset, 12345678901);

    where = (plim_where){.file = "f", .offset = 0};
    plim_fail_at(&err, PLIM_E_FORMAT, where, "m");
    assert_string_equal(err.message, "f: m (at byte 0)");
    where = (plim_where){.tensor = "t", .offset = -1};
    plim_fail_at(&err, PLIM_E_FORMAT, where, "m");
    assert_string_equal(err.message, "tensor 't': m");
    assert_int_equal(err.offset, -1);

    /* nobody listens */
    assert_int_equal(plim_fail(NULL, PLIM_E_IO, "x"), PLIM_E_IO);
    plim_error_clear(NULL);
    plim_error_clear(&err);
    assert_int_equal(err.code, PLIM_OK);
    assert_string_equal(err.message, "");
    assert_int_equal(err.offset, -1);
}

static void system_errors(void **state)
{
    (void)state;
    plim_error err;
    plim_where where = {.file = "x", .offset = 7};
    assert_int_equal(plim_fail_errno(&err, ENOENT, where, "cannot open"), PLIM_E_IO);
    assert_string_equal(err.message, "x: cannot open: No such file or directory (at byte 7)");
    assert_int_equal(plim_fail_errno(&err, ENOMEM, PLIM_NOWHERE, "cannot map"), PLIM_E_NOMEM);
    assert_string_equal(err.message, "cannot map: Cannot allocate memory");
    assert_int_equal(plim_fail_errno(&err, 4095, PLIM_NOWHERE, "cannot"), PLIM_E_IO);
    assert_string_equal(err.message, "cannot: system error 4095");
}

static void wrapped(void **state)
{
    (void)state;
    plim_error err;
    plim_fail_at(&err, PLIM_E_IO, (plim_where){.file = "inner", .offset = 3}, "broke");
    plim_where where = {.file = err.file, .tensor = "t", .offset = err.offset};
    plim_fail_at(&err, err.code, where, "because: %s", err.message);
    assert_string_equal(err.message,
                        "inner: tensor 't': because: inner: broke (at byte 3) (at byte 3)");
    assert_string_equal(err.file, "inner");
}

/* Long names and messages are cut at whole code points; the offset is always there. */
static void cut(void **state)
{
    (void)state;
    plim_error err;
    for (size_t extra = 0; extra < 5; extra++) {
        char name[4001], text[4001];
        memset(name, 'n', 4);
        for (size_t i = extra; i + 2 < sizeof name; i += 2)
            memcpy(name + i, "\xc4\xa0", 2);
        name[3998 + extra % 2] = '\0';
        memset(text, 't', extra);
        for (size_t i = extra; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\xe2\x82\xac", 3);
        text[extra + 3990] = '\0';
        plim_where where = {.file = name, .tensor = name, .offset = 99};
        plim_fail_at(&err, PLIM_E_FORMAT, where, "%s", text);
        assert_in_range(strlen(err.file), sizeof err.file - 2, sizeof err.file - 1);
        assert_in_range(strlen(err.tensor), sizeof err.tensor - 2, sizeof err.tensor - 1);
        assert_in_range(strlen(err.message), sizeof err.message - 4, sizeof err.message - 1);
        assert_true(plim_utf8_valid(err.file, strlen(err.file)));
        assert_true(plim_utf8_valid(err.tensor, strlen(err.tensor)));
        assert_true(plim_utf8_valid(err.message, strlen(err.message)));
        assert_string_equal(err.message + strlen(err.message) - 13, " (at byte 99)");
    }
}

/* Bytes in, what the finished message shows. */
static const char *const hostile[][2] = {
    {"\x1b[2Jgone\r\n", "?[2Jgone??"},
    {"tab\tdel\x7f", "tab?del?"},
    {"c1 \xc2\x9b"
     "31m",
     "c1 ??31m"},
    {"bare \x9b"
     "31m",
     "bare ?31m"},
    {"\xc4\xa0the \xe2\x82\xac \xf0\x9f\x98\x80 \xc2\xa0",
     "\xc4\xa0the \xe2\x82\xac \xf0\x9f\x98\x80 \xc2\xa0"},
    {"\xe2\x9b\x84 \xc4\x9b", "\xe2\x9b\x84 \xc4\x9b"}, /* 9b inside a code point is no control */
    {"cut \xe2\x82", "cut \xe2\x82"},
};

static void tamed(void **state)
{
    (void)state;
    plim_error err;
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        plim_where where = {.file = hostile[i][0], .offset = -1};
        char want[128];
        plim_fail(&err, PLIM_E_FORMAT, "%s|", hostile[i][0]);
        snprintf(want, sizeof want, "%s|", hostile[i][1]);
        assert_string_equal(err.message, want);
        plim_fail_at(&err, PLIM_E_FORMAT, where, "m");
        snprintf(want, sizeof want, "%s: m", hostile[i][1]);
        assert_string_equal(err.message, want);
        assert_string_equal(err.file, hostile[i][0]); /* the field keeps the name as it is */
    }
}

static int log_calls;
static char log_text[2048];
static plim_log_level log_level;

static void on_line(void *user, plim_log_level level, const char *line)
{
    assert_ptr_equal(user, &log_calls);
    log_calls++;
    log_level = level;
    assert_true(strlen(line) < sizeof log_text);
    strcpy(log_text, line);
}

static void lines(void **state)
{
    (void)state;
    plim_log log = {on_line, &log_calls}, silent = {NULL, NULL};
    log_calls = 0;
    plim_log_line(NULL, PLIM_LOG_WARN, "x");
    plim_log_line(&silent, PLIM_LOG_WARN, "x");
    assert_int_equal(log_calls, 0);
    plim_log_line(&log, PLIM_LOG_INFO, "one %s\ntwo", "\x1b[31m");
    assert_int_equal(log_calls, 1);
    assert_int_equal(log_level, PLIM_LOG_INFO);
    assert_string_equal(log_text, "one ?[31m?two");
    char *longer = malloc(5000);
    memset(longer, 'x', 4999);
    longer[4999] = '\0';
    plim_log_line(&log, PLIM_LOG_DEBUG, "%s", longer);
    assert_int_equal(strlen(log_text), 1023);
    free(longer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),   cmocka_unit_test(frame), cmocka_unit_test(system_errors),
        cmocka_unit_test(wrapped), cmocka_unit_test(cut),   cmocka_unit_test(tamed),
        cmocka_unit_test(lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
