/* SPDX-License-Identifier: Apache-2.0
 *
 * Stop strings: across pieces, overlapping themselves and each other, in the middle of a character;
 * against a plain search of all texts and cuts of a small alphabet. */
#include "base/base_test.h"

#include "generate/sampler.h"

static plim_stopper *stopper_make(const char *const *stop, size_t count)
{
    plim_stopper *stopper = NULL;
    plim_error err;
    assert_int_equal(plim_stopper_open(&stopper, plim_alloc_system(), stop, count, &err), PLIM_OK);
    return stopper;
}

/* Push pieces (NULL ends them); returns the number of the first that ends it, -1 for none. */
static int first_stop(const char *const *stop, size_t count, const char *const *pieces)
{
    plim_stopper *stopper = stopper_make(stop, count);
    int found = -1;
    for (int i = 0; pieces[i] && found < 0; i++) {
        if (plim_stopper_push(stopper, pieces[i], strlen(pieces[i])))
            found = i;
    }
    plim_stopper_close(&stopper);
    assert_null(stopper);
    return found;
}

#define STOPS(...)                                                                                 \
    (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)
#define PIECES(...)                                                                                \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static void across_pieces(void **state)
{
    (void)state;
    assert_int_equal(
        first_stop(STOPS("Texas"), PIECES("- Ala", "ska\n- ", "T", "ex", "", "as", "!")), 5);
    assert_int_equal(first_stop(STOPS("Texas"), PIECES("Te", "x", "aTexa", "s")), 3);
    assert_int_equal(first_stop(STOPS("Texas"), PIECES("Tex", "xas", "texas", "Texa")), -1);
    /* In the middle of a piece, with text after it. */
    assert_int_equal(first_stop(STOPS("\n\n"), PIECES("one\n", "two\n\nthree", "four")), 1);
    /* All in one. */
    assert_int_equal(first_stop(STOPS("stop"), PIECES("full stop.")), 0);
    assert_int_equal(first_stop(STOPS("a"), PIECES("", "bcd", "", "a")), 3);
}

static void overlapping(void **state)
{
    (void)state;
    assert_int_equal(first_stop(STOPS("aab"), PIECES("a", "a", "a", "b")), 3);
    assert_int_equal(first_stop(STOPS("abab!"), PIECES("ab", "ab", "ab", "!")), 3);
    assert_int_equal(first_stop(STOPS("aabaaab"), PIECES("aabaa", "baaab")), 1);
    /* Several: whichever ends first, also one inside the other. */
    assert_int_equal(first_stop(STOPS("User:", "\nUser"), PIECES("x", "\nUs", "er", ":")), 2);
    assert_int_equal(first_stop(STOPS("abcd", "bc"), PIECES("a", "b", "c", "d")), 2);
    assert_int_equal(first_stop(STOPS("abcx", "bcd"), PIECES("abc", "d")), 1);
}

/* A match ends in each piece that completes one, not in those after it. */
static void only_in_the_piece_that_ends_it(void **state)
{
    const char *const stop[] = {"aa"};
    (void)state;
    plim_stopper *stopper = stopper_make(stop, 1);
    assert_false(plim_stopper_push(stopper, "a", 1));
    assert_true(plim_stopper_push(stopper, "a", 1));
    assert_true(plim_stopper_push(stopper, "a", 1));
    assert_false(plim_stopper_push(stopper, "b", 1));
    assert_false(plim_stopper_push(stopper, "a", 1));
    assert_false(plim_stopper_push(stopper, "", 0));
    assert_true(plim_stopper_push(stopper, "ab", 2));
    plim_stopper_close(&stopper);
}

static void inside_characters(void **state)
{
    (void)state;
    /* U+20AC, U+1F600 byte by byte; U+00E9 ends in the byte that U+00A9 ends in. */
    assert_int_equal(first_stop(STOPS("\u20ac"), PIECES("5 ", "\xe2", "\x82", "\xac")), 3);
    assert_int_equal(first_stop(STOPS("\U0001f600!"), PIECES("\xf0\x9f", "\x98\x80", "!")), 2);
    assert_int_equal(first_stop(STOPS("\u00e9"), PIECES("\u00a9", "\xc2", "\xa9", "\xc3", "\xa9")),
                     4);
    assert_int_equal(first_stop(STOPS("\u3002\u3002"), PIECES("\xe3\x80", "\x82\xe3", "\x80\x82")),
                     2);
}

/* Texts of eight letters a or b, as bits; stop strings of 1..4 letters; cut at one place. */
static void as_a_plain_search(void **state)
{
    char text[9] = {0}, stop[5];
    (void)state;
    for (unsigned length = 1; length <= 4; length++) {
        for (unsigned pattern = 0; pattern < 1u << length; pattern++) {
            memset(stop, 0, sizeof stop);
            for (unsigned i = 0; i < length; i++)
                stop[i] = pattern >> i & 1 ? 'b' : 'a';
            for (unsigned bits = 0; bits < 256; bits++) {
                for (unsigned i = 0; i < 8; i++)
                    text[i] = bits >> i & 1 ? 'b' : 'a';
                const char *const stops[] = {stop};
                const char *at = strstr(text, stop);
                size_t end = at ? (size_t)(at - text) + length : 99, cut = bits % 9;
                plim_stopper *stopper = stopper_make(stops, 1);
                bool first = plim_stopper_push(stopper, text, cut);
                bool second = plim_stopper_push(stopper, text + cut, 8 - cut);
                assert_int_equal(first, end <= cut);
                if (!first)
                    assert_int_equal(second, at != NULL);
                plim_stopper_close(&stopper);
            }
        }
    }
}

static void refused(void **state)
{
    static const char *const bad[] = {"fine", "", "fine"}, *const none[] = {"fine", NULL};
    static char long_stop[PLIM_MAX_STOP_BYTES + 2];
    const char *const too_long[] = {long_stop};
    plim_stopper *stopper;
    counting_alloc counting;
    plim_error err;
    (void)state;
    counting_open(&counting);
    assert_int_equal(plim_stopper_open(&stopper, &counting.alloc, bad, 3, &err), PLIM_E_USAGE);
    assert_null(stopper);
    assert_non_null(strstr(err.message, "stop string 1 is empty"));
    assert_int_equal(plim_stopper_open(&stopper, &counting.alloc, none, 2, &err), PLIM_E_USAGE);
    assert_non_null(strstr(err.message, "stop string 1 is NULL"));
    memset(long_stop, 'x', sizeof long_stop - 1);
    assert_int_equal(plim_stopper_open(&stopper, &counting.alloc, too_long, 1, &err), PLIM_E_USAGE);
    assert_non_null(strstr(err.message, "65537 bytes"));
    assert_int_equal(plim_stopper_open(&stopper, &counting.alloc, bad, PLIM_MAX_STOPS + 1u, &err),
                     PLIM_E_USAGE);
    assert_int_equal(counting.calls, 0);
    counting.fail_at = 1;
    assert_int_equal(plim_stopper_open(&stopper, &counting.alloc, bad, 1, &err), PLIM_E_NOMEM);
    assert_null(stopper);
    counting.fail_at = 0;
    assert_int_equal(plim_stopper_open(&stopper, &counting.alloc, NULL, 0, NULL), PLIM_OK);
    assert_false(plim_stopper_push(stopper, "anything", 8));
    plim_stopper_close(&stopper);
    long_stop[PLIM_MAX_STOP_BYTES] = 0;
    assert_int_equal(plim_stopper_open(&stopper, &counting.alloc, too_long, 1, NULL), PLIM_OK);
    assert_false(plim_stopper_push(stopper, long_stop, PLIM_MAX_STOP_BYTES - 1));
    assert_true(plim_stopper_push(stopper, "x", 1));
    plim_stopper_close(&stopper);
    assert_int_equal(counting.live_blocks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(across_pieces),
        cmocka_unit_test(overlapping),
        cmocka_unit_test(only_in_the_piece_that_ends_it),
        cmocka_unit_test(inside_characters),
        cmocka_unit_test(as_a_plain_search),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
