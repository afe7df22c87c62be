/* SPDX-License-Identifier: Apache-2.0
 *
 * A merge sort of positions, from short runs to long ones.  qsort is not used: it may take memory
 * that nobody counts, and its worst case is in the hands of whoever wrote the file. */
#include "checkpoint/internal.h"

/* Merge src[from, middle) and src[middle, to) into dst[from, to). */
static void merge(uint32_t *dst, const uint32_t *src, size_t from, size_t middle, size_t to,
                  plim_compare_fn compare, const void *context)
{
    size_t a = from, b = middle;
    for (size_t i = from; i < to; i++) {
        if (a < middle && (b >= to || compare(context, src[a], src[b]) <= 0))
            dst[i] = src[a++];
        else
            dst[i] = src[b++];
    }
}

plim_status plim_sort_order(uint32_t **order, const plim_alloc *alloc, uint32_t count,
                            plim_compare_fn compare, const void *context, plim_error *err)
{
    *order = NULL;
    uint32_t *now = plim_new(alloc, count, sizeof *now, err);
    if (!now)
        return err->code;
    bool sorted = true;
    for (uint32_t i = 0; i < count; i++) {
        now[i] = i;
        sorted = sorted && (i == 0 || compare(context, i - 1, i) <= 0);
    }
    if (sorted) {
        *order = now;
        return PLIM_OK;
    }
    uint32_t *next = plim_new(alloc, count, sizeof *next, err);
    if (!next) {
        plim_delete(alloc, now);
        return err->code;
    }
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t from = 0; from < count; from += 2 * width) {
            size_t middle = from + width < count ? from + width : count;
            size_t to = from + 2 * width < count ? from + 2 * width : count;
            merge(next, now, from, middle, to, compare, context);
        }
        uint32_t *swap = now;
        now = next;
        next = swap;
    }
    plim_delete(alloc, next);
    *order = now;
    return PLIM_OK;
}
