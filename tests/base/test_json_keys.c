/* SPDX-License-Identifier: Apache-2.0
 *
 * Duplicate keys: in objects of any size, in objects within objects, and among half a million. */
#include "json_test.h"

#include "base/file.h"

static void duplicates_of_any_number(void **state)
{
    (void)state;
    plim_error err;
    text_builder b = {0};
    for (unsigned long keys = 1; keys < 420; keys++) {
        for (int which = 0; which < 4;
             which++) { /* none, the first, one in the middle, the last again */
            b.n = 0;
            add_object(&b, keys, "\"layer.%lu\"");
            size_t at = b.n + 1;
            unsigned long again = which == 1 ? 0 : which == 2 ? keys / 2 : keys - 1;
            if (which)
                add(&b, ",\"\\u006cayer.%lu\":0", again);
            add(&b, "}", 0);
            plim_json *json;
            assert_int_equal(
                plim_json_open_memory(&json, plim_alloc_system(), b.text, b.n, "f", NULL, &err),
                PLIM_OK);
            plim_status status = read_through(json, &err);
            assert_int_equal(status, which ? PLIM_E_FORMAT : PLIM_OK);
            assert_int_equal(err.offset, which ? (int64_t)at : -1);
        }
    }
    free(b.text);
}

/* Objects within objects: the same keys may come again there, and the outer ones are still known
 * after. */
static void duplicates_and_nesting(void **state)
{
    (void)state;
    plim_error err;
    for (unsigned long outer = 1; outer < 120; outer += 7) {
        for (int again = 0; again < 2; again++) {
            text_builder b = {0};
            add_object(&b, outer, "\"%lu\"");
            for (unsigned long i = 0; i < 40; i++) {
                add(&b, ",\"in%lu\":[", i);
                add_object(&b, i * 5, "\"%lu\"");
                add(&b, i ? ",\"deeper\":" : "\"deeper\":", 0);
                add_object(&b, i, "\"%lu\"");
                add(&b, "}}]", 0);
            }
            size_t at = b.n + 1;
            if (again)
                add(&b, ",\"in%lu\":1", 13);
            add(&b, "}", 0);
            plim_json *json;
            assert_int_equal(
                plim_json_open_memory(&json, plim_alloc_system(), b.text, b.n, "f", NULL, &err),
                PLIM_OK);
            assert_int_equal(read_through(json, &err), again ? PLIM_E_FORMAT : PLIM_OK);
            assert_int_equal(err.offset, again ? (int64_t)at : -1);
            free(b.text);
        }
    }
    assert_int_equal(
        read_through(open_text("[{\"a\":1},{\"a\":1},{\"a\":{\"a\":{\"a\":1}}}]", NULL), &err),
        PLIM_OK);
    plim_json_limits keep = {.keep_duplicates = true};
    assert_int_equal(
        read_through(open_text("{\"a\":1,\"a\":2,\"b\":{\"c\":1,\"c\":1}}", &keep), &err), PLIM_OK);
}

/* Half a million keys: none is taken for another, memory is as promised, and a duplicate is found.
 */
static void duplicates_in_number(void **state)
{
    (void)state;
    const unsigned long keys = 500000;
    plim_error err;
    text_builder b = {0};
    add_object(&b, keys, "\"model.layers.%lu.mlp.experts.up_proj.weight\"");
    for (int again = 0; again < 3; again++) {
        size_t n = b.n, at = b.n + 1;
        if (again)
            add(&b, ",\"model.layers.%lu.mlp.experts.up_proj.weight\":1",
                again == 1 ? 0 : keys - 1);
        add(&b, "}", 0);
        counting_alloc counting;
        counting_open(&counting);
        plim_json_event event = PLIM_JSON_NULL;
        plim_json *json;
        assert_int_equal(
            plim_json_open_memory(&json, &counting.alloc, b.text, b.n, "f", NULL, &err), PLIM_OK);
        plim_status status = PLIM_OK;
        plim_error_clear(&err);
        double start = plim_now();
        while (status == PLIM_OK && event != PLIM_JSON_END)
            status = plim_json_next(json, &event, &err);
        assert_true(plim_now() - start < 60); /* not quadratic: that would take an hour */
        plim_json_close(&json);
        assert_int_equal(status, again ? PLIM_E_FORMAT : PLIM_OK);
        assert_int_equal(err.offset, again ? (int64_t)at : -1);
        assert_true(counting.peak_bytes <= keys * 24 + 70000);
        assert_int_equal(counting.live_blocks, 0);
        b.n = n;
    }
    free(b.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(duplicates_of_any_number),
        cmocka_unit_test(duplicates_and_nesting),
        cmocka_unit_test(duplicates_in_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
