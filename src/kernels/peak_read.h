/* SPDX-License-Identifier: Apache-2.0
 *
 * The bare read of memory that products are measured by, in vectors of PEAK_BYTES: as one stream,
 * or as a product reads weights, four rows side by side.  Included by the peak_*.c files. */
#ifndef PLIM_KERNELS_PEAK_READ_H
#define PLIM_KERNELS_PEAK_READ_H

#include <stdint.h>
#include <string.h>

#include "kernels/kernels.h"

typedef uint64_t peak_vector __attribute__((vector_size(PEAK_BYTES)));

#define PEAK_LINE 256u /* bytes of a step, each of whose vectors has a sum of its own */

enum { PEAK_SUMS = PEAK_LINE / PEAK_BYTES };

static inline __attribute__((always_inline)) void peak_read_step(peak_vector sums[PEAK_SUMS],
                                                                 const char *at, size_t ahead)
{
    if (ahead)
        for (size_t i = 0; i < PEAK_LINE; i += 64)
            __builtin_prefetch(at + ahead + i);
    for (size_t i = 0; i < PEAK_SUMS; i++) {
        peak_vector v;
        memcpy(&v, at + i * PEAK_BYTES, sizeof v);
        sums[i] += v;
    }
}

static uint64_t peak_read(const void *src, size_t bytes, unsigned rows, size_t ahead)
{
    const char *at = src, *end = at + bytes;
    peak_vector sums[PEAK_SUMS] = {0};
    uint64_t total = 0;
    if (rows == 4) {
        for (; at < end; at += PLIM_PEAK_BLOCK)
            for (size_t i = 0; i < PLIM_PEAK_BLOCK / 4; i += PEAK_LINE)
                for (size_t r = 0; r < 4; r++)
                    peak_read_step(sums, at + r * (PLIM_PEAK_BLOCK / 4) + i, ahead);
    } else if (ahead) {
        for (; at < end; at += PEAK_LINE)
            peak_read_step(sums, at, ahead);
    } else {
        for (; at < end; at += PEAK_LINE)
            peak_read_step(sums, at, 0);
    }
    for (size_t i = 0; i < PEAK_SUMS; i++)
        for (size_t k = 0; k < PEAK_BYTES / 8; k++)
            total += sums[i][k];
    return total;
}

#endif
