/* SPDX-License-Identifier: Apache-2.0
 *
 * Sorting in place: against qsort, for every small count and for sizes of elements beside those of
 * numbers. */
#include "base_test.h"

#include "base/sort.h"

typedef struct element {
    unsigned key;
    char rest[91];
} element;

static int by_key(const void *a, const void *b)
{
    unsigned x = ((const element *)a)->key, y = ((const element *)b)->key;
    return x < y ? -1 : x > y;
}

static int by_byte(const void *a, const void *b)
{
    return *(const unsigned char *)a - *(const unsigned char *)b;
}

static void same_as_qsort(void **state)
{
    (void)state;
    static element ours[300], theirs[300];
    uint32_t seed = 1;
    for (size_t count = 0; count <= 300; count++)
        for (unsigned keys = 1; keys <= 100000; keys *= 50) { /* all equal .. hardly any */
            for (size_t i = 0; i < count; i++) {
                seed = seed * 1664525u + 1013904223u;
                ours[i].key = (seed >> 8) % keys;
                for (size_t j = 0; j < sizeof ours[i].rest; j++) /* a function of the key */
                    ours[i].rest[j] = (char)(ours[i].key * 31 + j);
            }
            memcpy(theirs, ours, sizeof ours);
            qsort(theirs, count, sizeof *theirs, by_key);
            plim_sort(ours, count, sizeof *ours, by_key);
            for (size_t i = 0; i < count; i++) {
                assert_int_equal(ours[i].key, theirs[i].key);
                assert_memory_equal(ours[i].rest, theirs[i].rest, sizeof ours[i].rest);
            }
        }
}

static void bytes(void **state)
{
    (void)state;
    char text[] = "the plimsoll line";
    plim_sort(text, sizeof text - 1, 1, by_byte);
    assert_string_equal(text, "  eehiillllmnopst");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_qsort),
        cmocka_unit_test(bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
