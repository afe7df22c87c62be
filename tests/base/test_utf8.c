/* SPDX-License-Identifier: Apache-2.0
 *
 * UTF-8 against Python's decoder: chosen cases, all sequences of edge bytes, all code points. */
#include "base_test.h"

#include "base/utf8.h"
#include "expected_utf8.h"

/* Decode with one U+FFFD per maximal ill-formed prefix.  Returns the length; *incomplete as Python
 * has it. */
static size_t replace(const char *bytes, size_t n, char *out, long *incomplete)
{
    size_t length = 0;
    *incomplete = -1;
    for (size_t i = 0; i < n;) {
        uint32_t cp = 0;
        size_t bad = 0;
        bool more = false;
        size_t used = plim_utf8_decode(bytes + i, n - i, &cp, &bad, &more);
        if (used == 0) {
            assert_in_range(bad, 1, 3);
            assert_true(i + bad <= n);
            if (more) {
                assert_int_equal(i + bad, n);
                *incomplete = (long)i;
            }
            cp = PLIM_UTF8_REPLACEMENT;
            used = bad;
        }
        length += plim_utf8_encode(cp, out + length);
        i += used;
    }
    return length;
}

static void cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof utf8_cases / sizeof utf8_cases[0]; i++) {
        const struct utf8_case *c = &utf8_cases[i];
        char out[256],
            *exact = malloc(c->n + 1); /* of exact size: a sanitizer sees a byte too far */
        long incomplete;
        memcpy(exact, c->bytes, c->n);
        exact = realloc(exact, c->n ? c->n : 1);
        size_t n = replace(exact, c->n, out, &incomplete);
        assert_int_equal(n, c->replaced_n);
        assert_memory_equal(out, c->replaced, n);
        assert_int_equal(incomplete, c->incomplete);
        assert_int_equal(plim_utf8_first_bad(exact, c->n), c->first_bad);
        assert_int_equal(plim_utf8_valid(exact, c->n), c->first_bad == c->n);
        free(exact);
    }
}

static void edge_sequences(void **state)
{
    (void)state;
    const size_t edges = sizeof utf8_edge;
    uint64_t h = FNV_START;
    for (size_t n = 1, count = edges; n <= 4; n++, count *= edges) {
        for (size_t k = 0; k < count; k++) {
            char bytes[4], out[32];
            long incomplete;
            for (size_t i = n, rest = k; i-- > 0; rest /= edges)
                bytes[i] = (char)utf8_edge[rest % edges];
            size_t length = replace(bytes, n, out, &incomplete);
            out[length++] = (char)plim_utf8_first_bad(bytes, n);
            out[length++] = (char)incomplete;
            h = fnv(out, length, h);
        }
    }
    assert_int_equal(h, utf8_edge_hash);
}

static void all_code_points(void **state)
{
    (void)state;
    uint64_t h = FNV_START;
    for (uint32_t cp = 0; cp < 0x110000; cp++) {
        char out[4];
        size_t n = plim_utf8_encode(cp, out);
        if (cp >= 0xd800 && cp < 0xe000) {
            assert_int_equal(n, 0);
            continue;
        }
        h = fnv(out, n, h);
        uint32_t back;
        size_t bad;
        bool incomplete;
        assert_int_equal(plim_utf8_decode(out, n, &back, &bad, &incomplete), n);
        assert_int_equal(back, cp);
        assert_true(plim_utf8_valid(out, n));
    }
    assert_int_equal(h, utf8_all_hash);
    char out[4];
    assert_int_equal(plim_utf8_encode(0x110000, out), 0);
    assert_int_equal(plim_utf8_encode(UINT32_MAX, out), 0);
}

/* The first bad byte at every place of a long text, whatever the fast paths skip. */
static void every_place(void **state)
{
    (void)state;
    for (size_t n = 1; n < 70; n++) {
        for (size_t at = 0; at < n; at++) {
            char text[70];
            memset(text, 'a', n);
            text[at] = (char)0xff;
            assert_int_equal(plim_utf8_first_bad(text, n), at);
            text[at] = (char)0xc3; /* valid only with what follows */
            assert_int_equal(plim_utf8_first_bad(text, n), at);
            if (at + 1 < n) {
                text[at + 1] = (char)0xa9;
                assert_int_equal(plim_utf8_first_bad(text, n), n);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cases),
        cmocka_unit_test(edge_sequences),
        cmocka_unit_test(all_code_points),
        cmocka_unit_test(every_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
