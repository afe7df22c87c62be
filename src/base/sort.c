/* SPDX-License-Identifier: Apache-2.0
 *
 * Heapsort (Williams 1964).  Where elements are many and large, checkpoint/sort.c merges positions
 * instead. */
#include "base/sort.h"

#include <string.h>

static void swap(char *a, char *b, size_t size)
{
    char spare[64];
    for (size_t n; size; size -= n, a += n, b += n) {
        n = size < sizeof spare ? size : sizeof spare;
        memcpy(spare, a, n);
        memcpy(a, b, n);
        memcpy(b, spare, n);
    }
}

/* Let the element at `i` sink to its place in the heap of `count`. */
static void sink(char *base, size_t i, size_t count, size_t size, plim_sort_fn compare)
{
    for (size_t child; (child = 2 * i + 1) < count; i = child) {
        if (child + 1 < count && compare(base + child * size, base + (child + 1) * size) < 0)
            child++;
        if (compare(base + i * size, base + child * size) >= 0)
            return;
        swap(base + i * size, base + child * size, size);
    }
}

void plim_sort(void *base, size_t count, size_t size, plim_sort_fn compare)
{
    char *elements = base;
    for (size_t i = count / 2; i-- > 0;)
        sink(elements, i, count, size, compare);
    for (size_t left = count; left > 1; left--) {
        swap(elements, elements + (left - 1) * size, size);
        sink(elements, 0, left - 1, size, compare);
    }
}
