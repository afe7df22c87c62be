/* SPDX-License-Identifier: Apache-2.0
 *
 * The system allocator, growing arrays, the arena. */
#include "base_test.h"

#include <stdio.h>

static bool all_zero(const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (((const unsigned char *)p)[i])
            return false;
    return true;
}

static void system_blocks(void **state)
{
    (void)state;
    const plim_alloc *alloc = plim_alloc_system();
    plim_error err;
    for (size_t n = 0; n < 200; n++) {
        unsigned char *p = plim_new(alloc, n, 1, &err);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        assert_true(all_zero(p, n));
        memset(p, 0xaa, n);
        unsigned char *q = alloc->resize(alloc, p, n + 1000, &err);
        assert_non_null(q);
        assert_int_equal((uintptr_t)q % 16, 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(q[i], 0xaa);
        assert_true(all_zero(q + n, 1000));
        memset(q, 0xbb, n + 1000);
        q = alloc->resize(alloc, q, 5, &err); /* shrunk and grown again: new bytes are zero */
        q = alloc->resize(alloc, q, 50, &err);
        assert_true(all_zero(q + 5, 45));
        assert_int_equal(q[4], 0xbb);
        plim_delete(alloc, q);
    }
    plim_delete(alloc, NULL);
    alloc->free(alloc, NULL);
}

static void too_much(void **state)
{
    (void)state;
    const plim_alloc *alloc = plim_alloc_system();
    plim_error err;
    assert_null(plim_new(alloc, SIZE_MAX, 2, &err));
    assert_int_equal(err.code, PLIM_E_NOMEM);
    plim_error_clear(&err);
    assert_null(plim_new(alloc, SIZE_MAX, 1, &err));
    assert_int_equal(err.code, PLIM_E_NOMEM);
    plim_error_clear(&err);
    assert_null(alloc->alloc(alloc, SIZE_MAX - 3, &err));
    assert_int_equal(err.code, PLIM_E_NOMEM);
    char *p = plim_new(alloc, 4, 1, &err);
    memcpy(p, "abc", 4);
    plim_error_clear(&err);
    assert_null(alloc->resize(alloc, p, SIZE_MAX - 3, &err));
    assert_int_equal(err.code, PLIM_E_NOMEM);
    assert_string_equal(p, "abc"); /* lives on */
    assert_null(alloc->resize(alloc, p, SIZE_MAX - 3, NULL));
    plim_delete(alloc, p);
}

static void growing(void **state)
{
    (void)state;
    counting_alloc counting;
    counting_open(&counting);
    uint32_t *array = NULL;
    size_t cap = 0;
    plim_error err;
    assert_int_equal(plim_grow(&counting.alloc, &array, &cap, 0, 4, &err), PLIM_OK);
    assert_null(array);
    for (uint32_t i = 0; i < 100000; i++) {
        assert_int_equal(plim_grow(&counting.alloc, &array, &cap, i + 1, sizeof *array, &err),
                         PLIM_OK);
        assert_true(cap > i);
        array[i] = i;
    }
    assert_true(counting.calls < 40); /* by half each time */
    assert_true(counting.peak_bytes <= 100000 * 4 * 3 / 2 + 64);
    for (uint32_t i = 0; i < 100000; i++)
        assert_int_equal(array[i], i);

    uint32_t *before = array;
    size_t before_cap = cap;
    counting.fail_at = counting.calls + 1;
    assert_int_equal(plim_grow(&counting.alloc, &array, &cap, cap + 1, 4, &err), PLIM_E_NOMEM);
    assert_string_equal(err.message, "refused by the test");
    assert_ptr_equal(array, before);
    assert_int_equal(cap, before_cap);
    assert_int_equal(plim_grow(&counting.alloc, &array, &cap, SIZE_MAX / 2, 4, &err), PLIM_E_NOMEM);
    assert_int_equal(plim_grow(&counting.alloc, &array, &cap, SIZE_MAX / 2, 4, NULL), PLIM_E_NOMEM);
    assert_int_equal(array[99999], 99999);
    plim_delete(&counting.alloc, array);
    assert_int_equal(counting.live_blocks, 0);
}

static void arena(void **state)
{
    (void)state;
    enum { THINGS = 5000 };
    counting_alloc counting;
    counting_open(&counting);
    plim_error err;
    plim_arena a;
    plim_arena_init(&a, &counting.alloc);
    assert_int_equal(counting.calls, 0);
    static unsigned char *things[THINGS];
    static char *texts[THINGS];
    size_t total = 0;
    for (size_t i = 0; i < THINGS; i++) {
        size_t n =
            i % 97 == 0 ? 3000 + i : i % 61; /* now and then one too large to share a block */
        things[i] = plim_arena_new(&a, n, 1, &err);
        assert_non_null(things[i]);
        assert_int_equal((uintptr_t)things[i] % 16, 0);
        assert_true(all_zero(things[i], n));
        memset(things[i], (int)(i & 255), n);
        char text[32];
        int length = snprintf(text, sizeof text, "thing %zu", i);
        texts[i] = i % 2 ? plim_arena_text(&a, text, (size_t)length, &err)
                         : plim_arena_format(&a, &err, "%s %zu", "thing", i);
        assert_non_null(texts[i]);
        total += n + (size_t)length + 1;
    }
    for (size_t i = 0; i < THINGS; i++) { /* nobody wrote into anybody else's */
        size_t n = i % 97 == 0 ? 3000 + i : i % 61;
        for (size_t k = 0; k < n; k++)
            assert_int_equal(things[i][k], i & 255);
        char text[32];
        snprintf(text, sizeof text, "thing %zu", i);
        assert_string_equal(texts[i], text);
    }
    assert_true(counting.peak_bytes < total + THINGS * 16 + 512 * 1024);
    assert_true(counting.calls < 150);
    plim_arena_free(&a);
    assert_int_equal(counting.live_blocks, 0);
    plim_arena_free(&a); /* twice is nothing */
    assert_non_null(plim_arena_text(&a, "a\0b", 3, &err));
    plim_arena_free(&a);
    assert_int_equal(counting.live_bytes, 0);
}

static void arena_failures(void **state)
{
    (void)state;
    counting_alloc counting;
    counting_open(&counting);
    plim_error err;
    plim_arena a;
    plim_arena_init(&a, &counting.alloc);
    assert_null(plim_arena_new(&a, SIZE_MAX / 2, 3, &err));
    assert_int_equal(err.code, PLIM_E_NOMEM);
    plim_error_clear(&err);
    assert_null(plim_arena_new(&a, SIZE_MAX - 8, 1, &err));
    assert_int_equal(err.code, PLIM_E_NOMEM);
    plim_error_clear(&err);
    assert_null(plim_arena_text(&a, "", SIZE_MAX, &err));
    assert_int_equal(err.code, PLIM_E_NOMEM);
    assert_int_equal(counting.calls, 0);

    char *kept = plim_arena_text(&a, "kept", 4, &err);
    counting.fail_at = counting.calls + 1;
    counting.forever = true;
    plim_error_clear(&err);
    assert_null(plim_arena_new(&a, 100000, 1, &err));
    assert_int_equal(err.code, PLIM_E_NOMEM);
    assert_null(plim_arena_format(&a, NULL, "%9000d", 1));
    assert_non_null(plim_arena_new(&a, 8, 1, &err)); /* there is room left */
    assert_string_equal(kept, "kept");
    counting.fail_at = 0;
    assert_non_null(plim_arena_new(&a, 100000, 1, &err));
    plim_arena_free(&a);
    assert_int_equal(counting.live_blocks, 0);
}

static void arithmetic(void **state)
{
    (void)state;
    uint64_t out = 7;
    assert_true(plim_mul_u64(UINT64_MAX, 1, &out));
    assert_int_equal(out, UINT64_MAX);
    assert_false(plim_mul_u64(UINT64_C(1) << 32, UINT64_C(1) << 32, &(uint64_t){0}));
    assert_true(plim_add_u64(UINT64_MAX - 1, 1, &out));
    assert_false(plim_add_u64(UINT64_MAX, 1, &(uint64_t){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(system_blocks),  cmocka_unit_test(too_much),
        cmocka_unit_test(growing),        cmocka_unit_test(arena),
        cmocka_unit_test(arena_failures), cmocka_unit_test(arithmetic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
