/* SPDX-License-Identifier: Apache-2.0
 *
 * Tensors in words and in JSON. */
#include "tensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

char *tensor_shape(char out[TENSOR_SHAPE_TEXT], const plim_tensor_info *t)
{
    size_t used = 0;
    out[used++] = '[';
    for (unsigned i = 0; i < t->rank; i++)
        used += (size_t)snprintf(out + used, TENSOR_SHAPE_TEXT - used, "%s%" PRIu64, i ? ", " : "",
                                 t->shape[i]);
    out[used++] = ']';
    out[used] = '\0';
    return out;
}

int tensor_column(int longest, const char *name)
{
    size_t length = strlen(name);
    int width = length < 100 ? (int)length : 100;
    return width > longest ? width : longest;
}

void tensor_json(cli_json *json, const plim_tensor_info *t)
{
    json_put_text(json, "name", t->name);
    bool group = t->dtype == PLIM_Q8 || t->dtype == PLIM_Q4; /* nobody's name in a file */
    json_put_text(json, "dtype",
                  group ? plim_dtype_torch_name(t->dtype) : plim_dtype_name(t->dtype));
    json_key(json, "shape");
    json_array(json);
    for (unsigned i = 0; i < t->rank; i++)
        json_u64(json, t->shape[i]);
    json_array_end(json);
}
