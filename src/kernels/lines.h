/* SPDX-License-Identifier: Apache-2.0
 *
 * What all products with vectors know of memory. */
#ifndef PLIM_KERNELS_LINES_H
#define PLIM_KERNELS_LINES_H

#include <stddef.h>

enum {
    LINE_BYTES = 64, /* of a cache */
    /* How far before its use a stream is fetched: of the bare read bf16 weights reach 0.99 like
     * this, 0.9 with half or twice as much (Zen 5). */
    AHEAD_BYTES = 2048
};

static inline size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

#endif
