/* SPDX-License-Identifier: Apache-2.0
 *
 * Arithmetic on shapes.  Dimensions may come straight from a file: every product is checked. */
#include "tensor/dtype.h"

#include <inttypes.h>
#include <stdio.h>

bool plim_shape_count(const plim_shape *shape, uint64_t *out)
{
    /* An empty dimension makes the product 0 even where the others alone would overflow, but only
     * after the others were seen: a header that needs it is not worth accepting. */
    uint64_t count = 1;
    if (shape->rank > PLIM_MAX_DIMS)
        return false;
    for (unsigned i = 0; i < shape->rank; i++)
        if (!plim_mul_u64(count, shape->dim[i], &count))
            return false;
    *out = count;
    return true;
}

bool plim_shape_bytes(const plim_shape *shape, plim_dtype dtype, uint64_t *out)
{
    uint64_t count, bits;
    unsigned each = plim_dtype_bits(dtype),
             group = dtype < PLIM_DTYPE_COUNT ? plim_dtypes[dtype].group : 0;
    if ((each == 0 && group == 0) || !plim_shape_count(shape, &count))
        return false;
    if (group) /* a row holds whole groups */
        return shape->rank > 0 && shape->dim[shape->rank - 1] % group == 0 &&
               plim_mul_u64(count / group, plim_dtypes[dtype].group_bytes, out);
    if (each % 8 == 0)
        return plim_mul_u64(count, each / 8, out);
    if (!plim_mul_u64(count, each, &bits) || bits % 8 != 0)
        return false;
    *out = bits / 8;
    return true;
}

bool plim_shape_equal(const plim_shape *a, const plim_shape *b)
{
    if (a->rank != b->rank || a->rank > PLIM_MAX_DIMS)
        return false;
    for (unsigned i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

char *plim_shape_text(const plim_shape *shape, char *out, size_t cap)
{
    char text[PLIM_MAX_DIMS * 22 + 3];
    size_t used = 0;
    text[used++] = '[';
    for (unsigned i = 0; i < shape->rank && i < PLIM_MAX_DIMS; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%" PRIu64, i ? ", " : "",
                                 shape->dim[i]);
    snprintf(text + used, sizeof text - used, "]");
    if (cap > 0)
        snprintf(out, cap, "%s", text);
    return out;
}
