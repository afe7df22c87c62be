/* SPDX-License-Identifier: Apache-2.0
 *
 * Sorting in place.  qsort is not used: it may take memory that nobody counts. */
#ifndef PLIM_BASE_SORT_H
#define PLIM_BASE_SORT_H

#include <stddef.h>

typedef int (*plim_sort_fn)(const void *a, const void *b);

/* Ascending by `compare` (as qsort's), n log n whatever the input; takes no memory.  Equals come in
 * any order, always the same one. */
void plim_sort(void *base, size_t count, size_t size, plim_sort_fn compare);

#endif
