/* SPDX-License-Identifier: Apache-2.0
 *
 * Stable sorting by keys, as Python's sorted(): merges from the bottom up, n log n comparisons. */
#include <string.h>

#include "chat/run.h"

typedef struct item {
    plim_val value, key;
} item;

/* Merge [low, middle) and [middle, high) of `from` into `to`. */
static plim_status merge(plim_run *run, const item *from, item *to, size_t low, size_t middle,
                         size_t high, bool reverse)
{
    size_t a = low, b = middle;
    for (size_t i = low; i < high; i++) {
        bool second = a == middle;
        PLIM_TRY(plim_work(run, 1));
        if (a < middle && b < high) /* equals keep their order, in reverse too */
            PLIM_TRY(reverse ? plim_less(run, from[a].key, from[b].key, &second)
                             : plim_less(run, from[b].key, from[a].key, &second));
        to[i] = second ? from[b++] : from[a++];
    }
    return PLIM_OK;
}

plim_status plim_sort_list(plim_run *run, plim_list *list, const plim_list *keys, bool reverse)
{
    size_t n = list->count;
    item *a = plim_run_new(run, n + 1, sizeof *a), *b = plim_run_new(run, n + 1, sizeof *b);
    if (!a || !b)
        return plim_run_error(run);
    for (size_t i = 0; i < n; i++)
        a[i] = (item){list->at[i], keys->at[i]};
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t low = 0; low < n; low += 2 * width) {
            size_t middle = low + width < n ? low + width : n;
            size_t high = low + 2 * width < n ? low + 2 * width : n;
            PLIM_TRY(merge(run, a, b, low, middle, high, reverse));
        }
        item *swap = a;
        a = b;
        b = swap;
    }
    for (size_t i = 0; i < n; i++)
        list->at[i] = a[i].value;
    return PLIM_OK;
}
